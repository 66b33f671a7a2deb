// SPDX-License-Identifier: Apache-2.0
// kubectl config: looking at kubeconfig files and changing them.
#include "kubectl/cmd/commands.h"
#include "kubectl/printer/tabs.h"
#include "libcommon/base/process.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/yaml.h"

static int unexpected(struct ctl *ctl, const struct cx_strings *args, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *words = cx_strings_join(args, " ");
        return ctl_usage_error(ctl, err, "unexpected arguments: [%s]", words);
}

static int begin(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *args,
                 size_t least, size_t most, struct cx_error *err)
{
        int r = ctl_parse(ctl, flags, argc, argv, args, NULL, err);
        if (r < 0)
                return r;
        if (args->count < least || args->count > most)
                return unexpected(ctl, args, err);
        if (ctl->config_loaded)
                return 0;
        r = cx_kubeconfig_load(ctl->kubeconfig && *ctl->kubeconfig ? ctl->kubeconfig : NULL, true, &ctl->config, err);
        ctl->config_loaded = r == 0;
        return r;
}
static const struct cx_flag no_flags[] = {{0}};

static void redact(json_t *config)
{
        static const struct {
                const char *list, *member, *field, *shown;
        } secrets[] = {{"clusters", "cluster", "certificate-authority-data", "DATA+OMITTED"},
                       {"users", "user", "client-certificate-data", "DATA+OMITTED"},
                       {"users", "user", "client-key-data", "DATA+OMITTED"},
                       {"users", "user", "token", "REDACTED"},
                       {"users", "user", "password", "REDACTED"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(secrets); i++) {
                size_t j;
                json_t *entry;
                json_array_foreach (json_object_get(config, secrets[i].list), j, entry) {
                        json_t *body = json_object_get(entry, secrets[i].member);
                        if (json_object_get(body, secrets[i].field))
                                json_object_set_new(body, secrets[i].field, json_string(secrets[i].shown));
                }
        }
}

static json_t *only_named(const json_t *list, const char *name)
{
        json_t *entry = cx_json_find(list, "name", name);
        return entry ? json_pack("[O]", entry) : json_array();
}

// Keeps what the current context needs.
static int minify(const struct ctl *ctl, json_t *config, struct cx_error *err)
{
        const char *context = ctl->context ? ctl->context : cx_kubeconfig_current_context(&ctl->config);
        if (!context || !*context)
                return cx_error_set(err, -ENOENT, "current-context must exist in order to minify");
        if (!cx_kubeconfig_context(&ctl->config, context))
                return cx_error_set(err, -ENOENT, "cannot locate context %s", context);
        json_auto_t *contexts = only_named(json_object_get(config, "contexts"), context);
        const json_t *body = json_object_get(json_array_get(contexts, 0), "context");
        json_object_set_new(config, "clusters",
                            only_named(json_object_get(config, "clusters"), cx_json_string(body, "cluster")));
        json_object_set_new(config, "users",
                            only_named(json_object_get(config, "users"), cx_json_string(body, "user")));
        json_object_set(config, "contexts", contexts);
        json_object_set_new(config, "current-context", json_string(context));
        return 0;
}

static int flatten(json_t *config, struct cx_error *err)
{
        static const struct {
                const char *list, *member, *field;
        } files[] = {{"clusters", "cluster", "certificate-authority"},
                     {"users", "user", "client-certificate"},
                     {"users", "user", "client-key"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(files); i++) {
                size_t j;
                json_t *entry;
                json_array_foreach (json_object_get(config, files[i].list), j, entry) {
                        json_t *body = json_object_get(entry, files[i].member);
                        const char *path = cx_json_string(body, files[i].field);
                        CX_BUF text = CX_BUF_INIT_MAX(1 << 20), data = CX_BUF_INIT;
                        if (!path)
                                continue;
                        int r = cx_buf_read_file(&text, path);
                        if (r < 0)
                                return cx_error_set(err, r, "open %s: %s", path, strerror(-r));
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s-data", files[i].field);
                        cx_base64_encode(text.data, text.length, &data);
                        json_object_set_new(body, field, json_string(data.data));
                        json_object_del(body, files[i].field);
                }
        }
        return 0;
}

COMMAND(config_view)
{
        OUTPUT output = {.text = "yaml"};
        bool raw = false, small = false, flat = false, merge = true;
        const struct cx_flag flags[] = {
                OUTPUT_FLAGS(&output),
                {"raw", 0, CX_FLAG_BOOL, &raw, "Show secrets as they are."},
                {"minify", 0, CX_FLAG_BOOL, &small, "Only what the current context uses."},
                {"flatten", 0, CX_FLAG_BOOL, &flat, "Put the contents of files into the config."},
                {"merge", 0, CX_FLAG_BOOL, &merge, "Merge all files."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, flags, argc, argv, &args, 0, 0, err);
        if (r == 0)
                r = output_parse(ctl, &output, err);
        if (r < 0)
                return r;
        json_auto_t *config = json_deep_copy(ctl->config.merged);
        static const char *const lists[] = {"clusters", "contexts", "users"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                if (!json_array_size(json_object_get(config, lists[i])))
                        json_object_set_new(config, lists[i], json_null());
        if (!json_object_size(json_object_get(config, "preferences")))
                json_object_del(config, "preferences");
        if (small && (r = minify(ctl, config, err)) < 0)
                return r;
        if (flat && (r = flatten(config, err)) < 0)
                return r;
        if (!raw && !flat)
                redact(config);
        CX_BUF text = CX_BUF_INIT;
        r = output_object(&output, config, &text, err);
        fputs(text.data, stdout);
        return r;
}

static int list_names(struct ctl *ctl, int argc, char **argv, const char *list, struct cx_error *err)
{
        CX_STRINGS args = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 0, 0, err);
        if (r < 0)
                return r;
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(ctl->config.merged, list), i, entry)
                cx_strings_add(&names, cx_json_string_or(entry, "name", ""));
        cx_strings_sort(&names);
        OUT("NAME\n");
        for (i = 0; i < names.count; i++)
                OUT("%s\n", names.items[i]);
        return 0;
}

COMMAND(config_get_clusters)
{
        return list_names(ctl, argc, argv, "clusters", err);
}

COMMAND(config_get_users)
{
        return list_names(ctl, argc, argv, "users", err);
}

COMMAND(config_get_contexts)
{
        const char *output = "";
        bool no_headers = false;
        const struct cx_flag flags[] = {{"output", 'o', CX_FLAG_STRING, &output, "name."},
                                        {"no-headers", 0, CX_FLAG_BOOL, &no_headers, "Do not print headers."},
                                        {0}};
        CX_STRINGS args = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        int r = begin(ctl, flags, argc, argv, &args, 0, 64, err);
        if (r < 0)
                return r;
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(ctl->config.merged, "contexts"), i, entry) {
                const char *name = cx_json_string_or(entry, "name", "");
                if (!args.count || cx_strings_has(&args, name))
                        cx_strings_add(&names, name);
        }
        for (i = 0; i < args.count; i++)
                if (!cx_strings_has(&names, args.items[i])) {
                        CX_ERROR missing = CX_ERROR_INIT;
                        cx_error_set(&missing, -ENOENT, "context %s not found", args.items[i]);
                        ctl_report(ctl, &missing);
                }
        cx_strings_sort(&names);
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        const char *current = cx_kubeconfig_current_context(&ctl->config);
        bool only_names = strcmp(output, "name") == 0;
        if (!no_headers && !only_names)
                cx_buf_add(&text, "CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
        for (i = 0; i < names.count; i++) {
                const json_t *body = cx_kubeconfig_context(&ctl->config, names.items[i]);
                if (only_names)
                        cx_buf_printf(&text, "%s\n", names.items[i]);
                else
                        cx_buf_printf(&text, "%s\t%s\t%s\t%s\t%s\n", cx_streq(names.items[i], current) ? "*" : "",
                                      names.items[i], cx_json_string_or(body, "cluster", ""),
                                      cx_json_string_or(body, "user", ""), cx_json_string_or(body, "namespace", ""));
        }
        tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
        return 0;
}

COMMAND(config_current_context)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 0, 64, err);
        if (r < 0)
                return r;
        const char *current = cx_kubeconfig_current_context(&ctl->config);
        if (!current || !*current)
                return cx_error_set(err, -ENOENT, "current-context is not set");
        OUT("%s\n", current);
        return 0;
}

COMMAND(config_use_context)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 1, 1, err);
        if (r < 0)
                return r;
        if (!cx_kubeconfig_context(&ctl->config, args.items[0]))
                return cx_error_set(err, -ENOENT, "no context exists with the name: \"%s\"", args.items[0]);
        cx_kubeconfig_set_current(&ctl->config, args.items[0]);
        r = cx_kubeconfig_save(&ctl->config, err);
        if (r == 0)
                OUT("Switched to context \"%s\".\n", args.items[0]);
        return r;
}

// --- setting entries ------------------------------------------------------------------------------------------------
struct field {
        const char *name;
        const char *value; // NULL: leave
};

static int set_entry(struct ctl *ctl, const char *list, const char *word, const char *name, const json_t *old,
                     const struct field *fields, json_t *more_steal, struct cx_error *err)
{
        json_t *body = old ? json_deep_copy(old) : json_object();
        for (; fields->name; fields++)
                if (fields->value)
                        json_object_set_new(body, fields->name, json_string(fields->value));
        if (more_steal)
                json_object_update(body, more_steal);
        json_decref(more_steal);
        bool existed = old != NULL;
        (void)cx_kubeconfig_set(&ctl->config, list, name, body);
        int r = cx_kubeconfig_save(&ctl->config, err);
        if (r == 0)
                OUT("%s \"%s\" %s.\n", word, name,
                    existed                        ? strcmp(word, "Context") == 0 ? "modified" : "set"
                    : strcmp(word, "Context") == 0 ? "created"
                                                   : "set");
        return r;
}

COMMAND(config_set_context)
{
        bool current = false;
        const struct cx_flag flags[] = {{"current", 0, CX_FLAG_BOOL, &current, "Change the current context."}, {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, flags, argc, argv, &args, 0, 1, err);
        if (r < 0)
                return r;
        if (current && args.count)
                return cx_error_set(err, -EINVAL, "you cannot specify both a context name and --current");
        const char *chosen = current ? cx_kubeconfig_current_context(&ctl->config) : args.count ? args.items[0] : NULL;
        CX_CLEANUP(cx_freep) char *name = cx_strdup(chosen); // the config is made anew by the change
        if (!name)
                return cx_error_set(err, -EINVAL,
                                    current ? "no current context is set"
                                            : "you must specify a non-empty context name or --current");
        bool exists = cx_kubeconfig_context(&ctl->config, name) != NULL;
        const char *absent = exists ? NULL : ""; // a new context has both
        const struct field fields[] = {{"cluster", ctl->cluster ? ctl->cluster : absent},
                                       {"namespace", ctl->namespace_flag},
                                       {"user", ctl->user ? ctl->user : absent},
                                       {0}};
        return set_entry(ctl, "contexts", "Context", name, cx_kubeconfig_context(&ctl->config, name), fields, NULL,
                         err);
}

static int embed(json_t *to, const char *field, const char *path, bool embedded, struct cx_error *err)
{
        if (!path)
                return 0;
        if (!embedded) {
                CX_CLEANUP(cx_freep) char *whole = realpath(path, NULL);
                json_object_set_new(to, field, json_string(whole ? whole : path));
                return 0;
        }
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20), data = CX_BUF_INIT;
        int r = cx_buf_read_file(&text, path);
        if (r == -ENOENT)
                return cx_error_set(err, r, "could not stat %s file %s: stat %s: no such file or directory", field,
                                    path, path);
        if (r < 0)
                return cx_error_set(err, r, "could not read %s data from %s: %s", field, path, strerror(-r));
        CX_CLEANUP(cx_freep) char *data_field = cx_sprintf("%s-data", field);
        cx_base64_encode(text.data, text.length, &data);
        json_object_set_new(to, data_field, json_string(data.data));
        return 0;
}

COMMAND(config_set_cluster)
{
        bool embedded = false;
        const char *proxy = NULL;
        const struct cx_flag flags[] = {
                {"embed-certs", 0, CX_FLAG_BOOL, &embedded, "Put the certificate into the config."},
                {"proxy-url", 0, CX_FLAG_STRING, &proxy, "Proxy of the cluster."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, flags, argc, argv, &args, 1, 1, err);
        if (r < 0)
                return r;
        json_auto_t *more = json_object();
        r = embed(more, "certificate-authority", ctl->certificate_authority, embedded, err);
        if (r < 0)
                return r;
        if (ctl->insecure)
                json_object_set_new(more, "insecure-skip-tls-verify", json_true());
        const struct field fields[] = {
                {"server", ctl->server}, {"tls-server-name", ctl->tls_server_name}, {"proxy-url", proxy}, {0}};
        return set_entry(ctl, "clusters", "Cluster", args.items[0], cx_kubeconfig_cluster(&ctl->config, args.items[0]),
                         fields, json_incref(more), err);
}

COMMAND(config_set_credentials)
{
        bool embedded = false;
        const struct cx_flag flags[] = {
                {"embed-certs", 0, CX_FLAG_BOOL, &embedded, "Put certificates into the config."}, {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, flags, argc, argv, &args, 1, 1, err);
        if (r < 0)
                return r;
        if (ctl->token && (ctl->username || ctl->password))
                return cx_error_set(err, -EINVAL,
                                    "you cannot specify more than one authentication method at the same time: --token, "
                                    "--username/--password");
        json_auto_t *more = json_object();
        r = embed(more, "client-certificate", ctl->client_certificate, embedded, err);
        if (r == 0)
                r = embed(more, "client-key", ctl->client_key, embedded, err);
        if (r < 0)
                return r;
        const struct field fields[] = {
                {"token", ctl->token}, {"username", ctl->username}, {"password", ctl->password}, {0}};
        return set_entry(ctl, "users", "User", args.items[0], cx_kubeconfig_user(&ctl->config, args.items[0]), fields,
                         json_incref(more), err);
}

static int delete_entry(struct ctl *ctl, int argc, char **argv, const char *list, const char *word,
                        struct cx_error *err)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 1, 1, err);
        if (r < 0)
                return r;
        const char *file = ctl->config.n_files ? ctl->config.files[0].path : "";
        const char *current = cx_kubeconfig_current_context(&ctl->config);
        if (strcmp(word, "context") == 0 && cx_streq(current, args.items[0]))
                fprintf(stderr,
                        "warning: this removed your active context, use \"kubectl config use-context\" to select a "
                        "different one\n");
        if (!cx_kubeconfig_set(&ctl->config, list, args.items[0], NULL))
                return cx_error_set(err, -ENOENT, "cannot delete %s %s, not in %s", word, args.items[0], file);
        r = cx_kubeconfig_save(&ctl->config, err);
        if (r == 0)
                OUT("deleted %s %s from %s\n", word, args.items[0], file);
        return r;
}

COMMAND(config_delete_context)
{
        return delete_entry(ctl, argc, argv, "contexts", "context", err);
}

COMMAND(config_delete_cluster)
{
        return delete_entry(ctl, argc, argv, "clusters", "cluster", err);
}

COMMAND(config_delete_user)
{
        return delete_entry(ctl, argc, argv, "users", "user", err);
}

COMMAND(config_rename_context)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 2, 2, err);
        if (r < 0)
                return r;
        const json_t *body = cx_kubeconfig_context(&ctl->config, args.items[0]);
        const char *file = ctl->config.n_files ? ctl->config.files[0].path : "";
        if (!body)
                return cx_error_set(err, -ENOENT, "cannot rename the context \"%s\", it's not in %s", args.items[0],
                                    file);
        if (cx_kubeconfig_context(&ctl->config, args.items[1]))
                return cx_error_set(err, -EEXIST,
                                    "cannot rename the context \"%s\", the context \"%s\" already exists in %s",
                                    args.items[0], args.items[1], file);
        bool current = cx_streq(cx_kubeconfig_current_context(&ctl->config), args.items[0]);
        json_t *copy = json_deep_copy(body);
        (void)cx_kubeconfig_set(&ctl->config, "contexts", args.items[0], NULL);
        (void)cx_kubeconfig_set(&ctl->config, "contexts", args.items[1], copy);
        if (current)
                cx_kubeconfig_set_current(&ctl->config, args.items[1]);
        r = cx_kubeconfig_save(&ctl->config, err);
        if (r == 0)
                OUT("Context \"%s\" renamed to \"%s\".\n", args.items[0], args.items[1]);
        return r;
}

// set and unset work on "current-context" and on PLURAL.NAME.FIELD; names may have dots.
static int change_path(struct ctl *ctl, const char *path, const char *value, struct cx_error *err)
{
        if (strcmp(path, "current-context") == 0) {
                cx_kubeconfig_set_current(&ctl->config, value);
                return 0;
        }
        size_t n = strcspn(path, ".");
        CX_CLEANUP(cx_freep) char *list = cx_strndup(path, n);
        const char *rest = path[n] ? path + n + 1 : "", *dot = strrchr(rest, '.');
        const bool known = strcmp(list, "clusters") == 0 || strcmp(list, "users") == 0 || strcmp(list, "contexts") == 0;
        CX_CLEANUP(cx_freep) char *name = cx_strndup(rest, dot ? (size_t)(dot - rest) : strlen(rest));
        if (!known)
                return cx_error_set(err, -EINVAL, "unable to parse %s after [] at api.Config", path);
        if (!*rest || (value && !dot))
                return cx_error_set(err, -EINVAL, "unable to parse one or more field values of %s", path);
        const json_t *old = strcmp(list, "clusters") == 0 ? cx_kubeconfig_cluster(&ctl->config, dot ? name : rest)
                            : strcmp(list, "users") == 0  ? cx_kubeconfig_user(&ctl->config, dot ? name : rest)
                                                          : cx_kubeconfig_context(&ctl->config, dot ? name : rest);
        if (!value && cx_kubeconfig_set(&ctl->config, list, rest, NULL))
                return 0;
        if (!old && !value && !dot)
                return 0;
        if (!old && !value)
                return cx_error_set(err, -ENOENT, "current map key `%s` is invalid", name);
        json_t *body = old ? json_deep_copy(old) : json_object();
        if (!value)
                json_object_del(body, dot + 1);
        else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
                json_object_set_new(body, dot + 1, json_boolean(*value == 't'));
        else
                json_object_set_new(body, dot + 1, json_string(value));
        (void)cx_kubeconfig_set(&ctl->config, list, name, body);
        return 0;
}

COMMAND(config_unset)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 1, 1, err);
        if (r == 0)
                r = change_path(ctl, args.items[0], NULL, err);
        if (r == 0)
                r = cx_kubeconfig_save(&ctl->config, err);
        if (r == 0)
                OUT("Property \"%s\" unset.\n", args.items[0]);
        return r;
}

COMMAND(config_set)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, no_flags, argc, argv, &args, 2, 2, err);
        if (r == 0)
                r = change_path(ctl, args.items[0], args.items[1], err);
        if (r == 0)
                r = cx_kubeconfig_save(&ctl->config, err);
        if (r == 0)
                OUT("Property \"%s\" set.\n", args.items[0]);
        return r;
}

const struct command config_commands[] = {
        {"current-context", "", "Display the current-context", "", cmd_config_current_context},
        {"delete-cluster", "", "Delete the specified cluster from the kubeconfig", "NAME", cmd_config_delete_cluster},
        {"delete-context", "", "Delete the specified context from the kubeconfig", "NAME", cmd_config_delete_context},
        {"delete-user", "", "Delete the specified user from the kubeconfig", "NAME", cmd_config_delete_user},
        {"get-clusters", "", "Display clusters defined in the kubeconfig", "", cmd_config_get_clusters},
        {"get-contexts", "", "Describe one or many contexts", "[(-o|--output=)name)]", cmd_config_get_contexts},
        {"get-users", "", "Display users defined in the kubeconfig", "", cmd_config_get_users},
        {"rename-context", "", "Rename a context from the kubeconfig file", "CONTEXT_NAME NEW_NAME",
         cmd_config_rename_context},
        {"set", "", "Set an individual value in a kubeconfig file", "PROPERTY_NAME PROPERTY_VALUE", cmd_config_set},
        {"set-cluster", "", "Set a cluster entry in kubeconfig", "NAME", cmd_config_set_cluster},
        {"set-context", "", "Set a context entry in kubeconfig", "[NAME | --current]", cmd_config_set_context},
        {"set-credentials", "", "Set a user entry in kubeconfig", "NAME", cmd_config_set_credentials},
        {"unset", "", "Unset an individual value in a kubeconfig file", "PROPERTY_NAME", cmd_config_unset},
        {"use-context", "", "Set the current-context in a kubeconfig file", "CONTEXT_NAME", cmd_config_use_context,
         .aliases = " use "},
        {"view", "", "Display merged kubeconfig settings or a specified kubeconfig file", "[flags]", cmd_config_view},
        {0},
};
