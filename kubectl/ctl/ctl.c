// SPDX-License-Identifier: Apache-2.0
// Flags, errors and their words on the screen.
#include "kubectl/ctl/ctl.h"

const struct cx_flag *ctl_global_flags(struct ctl *ctl)
{
        static struct cx_flag flags[32];
        const struct cx_flag table[] = {
                {"kubeconfig", 0, CX_FLAG_STRING, &ctl->kubeconfig, "Path to the kubeconfig file to use."},
                {"context", 0, CX_FLAG_STRING, &ctl->context, "The name of the kubeconfig context to use."},
                {"cluster", 0, CX_FLAG_STRING, &ctl->cluster, "The name of the kubeconfig cluster to use."},
                {"user", 0, CX_FLAG_STRING, &ctl->user, "The name of the kubeconfig user to use."},
                {"namespace", 'n', CX_FLAG_STRING, &ctl->namespace_flag, "The namespace of this request."},
                {"server", 's', CX_FLAG_STRING, &ctl->server, "The address and port of the API server."},
                {"token", 0, CX_FLAG_STRING, &ctl->token, "Bearer token for authentication to the API server."},
                {"username", 0, CX_FLAG_STRING, &ctl->username, "User name for basic authentication."},
                {"password", 0, CX_FLAG_STRING, &ctl->password, "Password for basic authentication."},
                {"certificate-authority", 0, CX_FLAG_STRING, &ctl->certificate_authority,
                 "Path to a file with the certificates of authorities that may sign the server's."},
                {"client-certificate", 0, CX_FLAG_STRING, &ctl->client_certificate, "Path to a client certificate."},
                {"client-key", 0, CX_FLAG_STRING, &ctl->client_key, "Path to the key of the client certificate."},
                {"tls-server-name", 0, CX_FLAG_STRING, &ctl->tls_server_name,
                 "Name that the server's certificate is checked for; default: the host."},
                {"insecure-skip-tls-verify", 0, CX_FLAG_BOOL, &ctl->insecure,
                 "Do not check the server's certificate. This makes the connection insecure."},
                {"request-timeout", 0, CX_FLAG_STRING, &ctl->request_timeout,
                 "How long to wait for a single request, with a unit (1s, 2m, 3h); 0: no end."},
                {"as", 0, CX_FLAG_STRING, &ctl->as, "User name to act as."},
                {"as-group", 0, CX_FLAG_LIST, &ctl->as_groups, "Group to act as; may be repeated."},
                {"as-uid", 0, CX_FLAG_STRING, &ctl->as_uid, "UID to act as."},
                {"cache-dir", 0, CX_FLAG_STRING, &ctl->cache_dir, "Folder for cached discovery."},
                {"v", 'v', CX_FLAG_INT, &ctl->verbosity, "Verbosity of the log."},
                {"help", 'h', CX_FLAG_BOOL, &ctl->help, "Help for this command."},
                {0},
        };
        _Static_assert(sizeof table <= sizeof flags, "room for the flags");
        memcpy(flags, table, sizeof table);
        return flags;
}

int ctl_parse(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *ret_args,
              int *ret_dash, struct cx_error *err)
{
        const struct cx_flag *tables[] = {flags, ctl_global_flags(ctl)};
        if (ctl->on_parse) {
                ctl->on_parse(ctl, flags, argc, argv);
                return -ECANCELED;
        }
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        ctl->help = true;
        if (ctl->help) {
                CX_BUF text = CX_BUF_INIT;
                help_command(ctl, flags, &text);
                fputs(text.data, stdout);
                return -ECANCELED;
        }
        int r = cx_flags_parse(tables, 2, argc, argv, ret_args, ret_dash, err);
        if (r < 0 && err) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text,
                              ctl->failure_status ? "%s\nSee 'kubectl %s -h' for help and examples"
                                                  : "%s\nSee 'kubectl %s --help' for usage.",
                              cx_error_text(err), ctl->path);
                const char *meant = cx_flags_suggest(tables, 2, cx_error_text(err));
                if (meant)
                        cx_buf_printf(&text, "\nDid you mean --%s?", meant);
                free(err->message);
                err->message = cx_buf_detach(&text);
        }
        return r;
}

int ctl_usage_error(struct ctl *ctl, struct cx_error *err, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        return cx_error_set(err, -EINVAL, "%s\nSee 'kubectl %s -h' for help and examples", text.data, ctl->path);
}

int ctl_unexpected_args(struct ctl *ctl, const struct cx_strings *args, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *words = cx_strings_join(args, " ");
        return ctl_usage_error(ctl, err, "Unexpected args: [%s]", words);
}

// Upstream's sentences for a Status of reason Invalid.
static void invalid_text(const struct cx_error *err, struct cx_buf *to)
{
        if (cx_str(err->kind)[0] || cx_str(err->name)[0])
                cx_buf_printf(to, "The %s \"%s\" is invalid", cx_str(err->kind), cx_str(err->name));
        else if (err->n_causes)
                cx_buf_add(to, "The request is invalid");
        else
                cx_buf_printf(to, "The request is invalid: %s", cx_error_text(err));
        CX_STRINGS lines = CX_STRINGS_INIT;
        for (size_t i = 0; i < err->n_causes; i++) {
                CX_CLEANUP(cx_freep)
                char *line = cx_sprintf("%s: %s", cx_str(err->causes[i].field), cx_str(err->causes[i].message));
                if (!cx_strings_has(&lines, line))
                        cx_strings_add(&lines, line);
        }
        if (lines.count == 1)
                cx_buf_printf(to, ": %s\n", lines.items[0]);
        else if (lines.count)
                cx_buf_add(to, ": ");
        for (size_t i = 0; lines.count > 1 && i < lines.count; i++)
                cx_buf_printf(to, "\n* %s", lines.items[i]);
}

void ctl_error_text(const struct ctl *ctl CX_UNUSED, const struct cx_error *err, struct cx_buf *to)
{
        static const char *const bare[] = {"The connection to the server ", "Unable to connect to the server",
                                           "error: ", "Error in configuration: ", NULL};
        const char *text = cx_error_text(err);
        bool plain = false;
        for (const char *const *prefix = bare; *prefix; prefix++)
                plain = plain || cx_has_prefix(text, *prefix);
        if (plain && err->reason == CX_REASON_UNKNOWN)
                cx_buf_add(to, text);
        else if (err->reason == CX_REASON_INVALID && (err->n_causes || err->kind || err->name))
                invalid_text(err, to);
        else if (err->reason == CX_REASON_UNAUTHORIZED)
                cx_buf_printf(to, "error: You must be logged in to the server (%s)", text);
        else if (err->reason != CX_REASON_UNKNOWN)
                cx_buf_printf(to, "Error from server (%s): %s", cx_reason_name(err->reason), text);
        else
                cx_buf_printf(to, "error: %s", text);
        if (!to->length || to->data[to->length - 1] != '\n')
                cx_buf_add_char(to, '\n');
}

// As one of several: without "error: ", and the causes of an invalid object only in the server's own sentence.
static void bare_text(const struct cx_error *err, const char *alone, struct cx_buf *to)
{
        if (err->reason == CX_REASON_INVALID)
                cx_buf_printf(to, "Error from server (Invalid): %s\n", cx_error_text(err));
        else
                cx_buf_add(to, alone + (cx_has_prefix(alone, "error: ") ? strlen("error: ") : 0));
}

void ctl_report(struct ctl *ctl, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT, bare = CX_BUF_INIT;
        ctl_error_text(ctl, err, &text);
        bare_text(err, text.data, &bare);
        if (!ctl->errors)
                ctl->errors = json_array();
        size_t at = json_array_size(ctl->errors);
        while (at && json_integer_value(json_array_get(json_array_get(ctl->errors, at - 1), 2)) > ctl->position)
                at--;
        json_array_insert_new(ctl->errors, at, json_pack("[s,s,I]", text.data, bare.data, (json_int_t)ctl->position));
        ctl->status = ctl->failure_status ? ctl->failure_status : 1;
        cx_error_release(err);
}

int ctl_report_or_end(struct ctl *ctl, struct cx_error *failure, struct cx_error *err)
{
        if (failure->reason == CX_REASON_UNKNOWN)
                return cx_error_move(err, failure);
        ctl_report(ctl, failure);
        return 0;
}

void ctl_join_errors(struct ctl *ctl, size_t n)
{
        CX_BUF all = CX_BUF_INIT;
        if (n < 2 || json_array_size(ctl->errors) <= n)
                return;
        for (size_t i = 0; i < n; i++) {
                const char *text = json_string_value(json_array_get(json_array_get(ctl->errors, 0), 1));
                cx_buf_printf(&all, "%s%.*s", i ? ", " : "[", (int)strcspn(text, "\n"), text);
                json_array_remove(ctl->errors, 0);
        }
        cx_buf_add(&all, "]\n");
        json_array_insert_new(ctl->errors, 0, json_pack("[s,s,i]", all.data, all.data, 0));
}

void ctl_show_errors(struct ctl *ctl)
{
        size_t n = json_array_size(ctl->errors);
        fflush(stdout);
        for (size_t i = 0; i < n; i++)
                fputs(cx_str(json_string_value(json_array_get(json_array_get(ctl->errors, i), ctl->bare || n > 1))),
                      stderr);
        json_decref(ctl->errors);
        ctl->errors = NULL;
}
