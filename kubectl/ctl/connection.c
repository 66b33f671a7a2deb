// SPDX-License-Identifier: Apache-2.0
// From the global flags to requests: kubeconfig, impersonation, warnings, timeouts, watches.
#include "kubectl/ctl/ctl.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"

int ctl_config(struct ctl *ctl, struct cx_error *err)
{
        if (ctl->config_loaded)
                return 0;
        int r = cx_kubeconfig_load(ctl->kubeconfig && *ctl->kubeconfig ? ctl->kubeconfig : NULL, false, &ctl->config,
                                   err);
        ctl->config_loaded = r == 0;
        return r;
}

#define IMPERSONATED_GROUPS_MAX 28 // beside a user and a uid in a call's headers

static int request_timeout(const struct ctl *ctl, int64_t *ret_ns, struct cx_error *err)
{
        int64_t seconds;
        *ret_ns = -1;
        if (!ctl->request_timeout || cx_streq(ctl->request_timeout, "0"))
                return 0;
        if (cx_parse_int(ctl->request_timeout, 1, 1000000, &seconds) == 0)
                *ret_ns = seconds * CX_NS_PER_S;
        else if (cx_duration_parse(ctl->request_timeout, ret_ns) < 0)
                return cx_error_set(err, -EINVAL,
                                    "Invalid timeout value. Timeout must be a single integer in seconds, or an integer "
                                    "followed by a corresponding time unit (e.g. 1s | 2m | 3h)");
        return 0;
}

// Groups and a uid belong to a user who is acted for.
static int check_impersonation(struct ctl *ctl, const struct cx_credentials *credentials, struct cx_error *err)
{
        const char *context = ctl->context ? ctl->context : cx_kubeconfig_current_context(&ctl->config);
        const json_t *body = context ? cx_kubeconfig_context(&ctl->config, context) : NULL;
        if (ctl->as_groups.count > IMPERSONATED_GROUPS_MAX)
                return cx_error_set(err, -E2BIG, "more than %d groups to act as", IMPERSONATED_GROUPS_MAX);
        if ((!ctl->as_groups.count && !ctl->as_uid) || (credentials->impersonate && *credentials->impersonate))
                return 0;
        return cx_error_set(err, -EINVAL, "requesting uid, groups or user-extra for %s without impersonating a user",
                            ctl->user ? ctl->user : cx_json_string_or(body, "user", ""));
}

int ctl_connect(struct ctl *ctl, struct cx_error *err)
{
        if (ctl->rest)
                return 0;
        int r = ctl_config(ctl, err);
        if (r < 0)
                return r;
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        bool nothing = !ctl->kubeconfig && !ctl->server && !cx_json_count(ctl->config.merged, "contexts") &&
                       !cx_json_count(ctl->config.merged, "clusters");
        if (nothing && cx_credentials_in_cluster(&credentials, NULL) == 0) {
                r = 0;
        } else {
                struct cx_kubeconfig_overrides overrides = {
                        .context = ctl->context,
                        .cluster = ctl->cluster,
                        .user = ctl->user,
                        .server = ctl->server,
                        .token = ctl->token,
                        .username = ctl->username,
                        .password = ctl->password,
                        .certificate_authority = ctl->certificate_authority,
                        .client_certificate = ctl->client_certificate,
                        .client_key = ctl->client_key,
                        .tls_server_name = ctl->tls_server_name,
                        .as = ctl->as,
                        .insecure_skip_tls_verify = ctl->insecure,
                };
                if (ctl->context && !cx_kubeconfig_context(&ctl->config, ctl->context))
                        return cx_error_set(err, -ENOENT,
                                            "Error in configuration: context was not found for specified context: %s",
                                            ctl->context);
                r = cx_kubeconfig_resolve(&ctl->config, &overrides, &credentials, err);
        }
        if (r < 0)
                return r;
        int64_t timeout;
        r = check_impersonation(ctl, &credentials, err);
        if (r == 0)
                r = request_timeout(ctl, &timeout, err);
        if (r < 0)
                return r;
        const char *namespace =
                ctl->namespace_flag && *ctl->namespace_flag ? ctl->namespace_flag : credentials.namespace;
        free(ctl->namespace);
        ctl->namespace = cx_strdup(namespace && *namespace ? namespace : "default");
        struct cx_rest_options options = {.user_agent = "kubectl/" CX_VERSION_API " (" CX_PLATFORM ") coxswain",
                                          .timeout = timeout};
        return cx_rest_new(&credentials, &options, &ctl->rest, err);
}

// Whether nothing has said so yet: a command may send many requests.
static bool is_new_warning(struct ctl *ctl, const char *text)
{
        pthread_mutex_lock(&ctl->warned_lock);
        bool is_new = !cx_strings_has(&ctl->warned, text);
        if (is_new)
                cx_strings_add(&ctl->warned, text);
        pthread_mutex_unlock(&ctl->warned_lock);
        return is_new;
}

// A Warning header: 299 agent "text".
static void show_warning(void *context, const char *name, const char *value)
{
        const char *open = strcasecmp(name, "Warning") == 0 ? strchr(value, '"') : NULL;
        if (!open)
                return;
        CX_BUF text = CX_BUF_INIT;
        for (const char *p = open + 1; *p && *p != '"'; p++) {
                if (*p == '\\' && p[1])
                        p++;
                cx_buf_add_char(&text, (unsigned char)*p < ' ' ? ' ' : *p);
        }
        if (!is_new_warning(context, text.data))
                return;
        fflush(stdout);
        fprintf(stderr, "Warning: %s\n", text.data);
}

void ctl_impersonation(struct ctl *ctl, bool direct, const char *headers[32], struct cx_buf *storage)
{
        size_t offsets[32], n = 0;
        const char *user = direct ? cx_rest_impersonation(ctl->rest) : NULL;
        if (user) {
                offsets[n++] = storage->length;
                cx_buf_add(storage, user);
                cx_buf_add_char(storage, 0);
        }
        for (size_t i = 0; i < ctl->as_groups.count && n < 30; i++) {
                offsets[n++] = storage->length;
                cx_buf_printf(storage, "Impersonate-Group: %s", ctl->as_groups.items[i]);
                cx_buf_add_char(storage, 0);
        }
        if (ctl->as_uid) {
                offsets[n++] = storage->length;
                cx_buf_printf(storage, "Impersonate-Uid: %s", ctl->as_uid);
                cx_buf_add_char(storage, 0);
        }
        for (size_t i = 0; i < n; i++)
                headers[i] = storage->data + offsets[i];
        headers[n] = NULL;
}

// What Go would say about a failure that libcurl describes.
static void put_network_error(int r, const char *text, struct cx_buf *to)
{
        static const char resolve[] = "Could not resolve host: ";
        const char *host = strstr(text, resolve);
        bool tls = strstr(text, "SSL") || strstr(text, "certificate");
        if (host)
                cx_buf_printf(to, "dial tcp: lookup %s: no such host", host + strlen(resolve));
        else if (tls && strstr(text, "expired"))
                cx_buf_add(to, "tls: failed to verify certificate: x509: certificate has expired or is not yet valid");
        else if (tls && (strstr(text, "issuer") || strstr(text, "self-signed") || strstr(text, "self signed")))
                cx_buf_add(to, "tls: failed to verify certificate: x509: certificate signed by unknown authority");
        else if (tls && strstr(text, "does not match"))
                cx_buf_add(to, "tls: failed to verify certificate: x509: certificate is not valid for this name");
        else if (r == -ETIMEDOUT)
                cx_buf_add(to, "net/http: request canceled (Client.Timeout exceeded while awaiting headers)");
        else
                cx_buf_add(to, text);
}

int ctl_explain_failure(const char *url, int r, struct cx_error *err)
{
        if (!err || err->reason != CX_REASON_UNKNOWN)
                return r;
        const char *host = strstr(url, "://");
        host = host ? host + 3 : url;
        CX_ERROR made = CX_ERROR_INIT;
        if (r == -ECONNREFUSED) {
                cx_error_set(&made, r,
                             "The connection to the server %.*s was refused - did you specify the right host or port?",
                             (int)strcspn(host, "/"), host);
        } else {
                CX_BUF why = CX_BUF_INIT;
                put_network_error(r, cx_error_text(err), &why);
                cx_error_set(&made, r, "Unable to connect to the server: %s", why.data);
        }
        cx_error_release(err);
        return cx_error_move(err, &made);
}

int ctl_call(struct ctl *ctl, const struct ctl_call *call, struct cx_http_reply *ret_reply, struct cx_error *err)
{
        int r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        const char *headers[32];
        CX_BUF storage = CX_BUF_INIT;
        ctl_impersonation(ctl, false, headers, &storage);
        int64_t started = cx_time_monotonic();
        CX_ERROR local = CX_ERROR_INIT;
        struct cx_error *to = err ? err : &local;
        r = cx_rest_do(ctl->rest,
                       &(struct cx_rest_call){.method = call->method,
                                              .path = call->path,
                                              .accept = call->accept,
                                              .content_type = call->content_type,
                                              .body = call->body,
                                              .body_length = call->length,
                                              .headers = headers,
                                              .timeout = call->endless ? -1 : 0,
                                              .on_data = call->on_data,
                                              .cancel = call->cancel,
                                              .context = call->context},
                       ret_reply, to);
        if (ctl->verbosity >= 6)
                fprintf(stderr, "I %s %s%s %d in %lld milliseconds\n", call->method ? call->method : "GET",
                        cx_rest_server(ctl->rest), call->path, ret_reply->code,
                        (long long)((cx_time_monotonic() - started) / CX_NS_PER_MS));
        if (ctl->verbosity >= 8 && call->body)
                fprintf(stderr, "I Request Body: %.*s\n", (int)call->length, (const char *)call->body);
        if (ctl->verbosity >= 8 && ret_reply->body.length)
                fprintf(stderr, "I Response Body: %s\n", ret_reply->body.data);
        cx_http_reply_headers(ret_reply, show_warning, ctl);
        if (r == -EAGAIN && to->reason == CX_REASON_UNKNOWN)
                return r;
        return r < 0 && !call->on_data ? ctl_explain_failure(cx_rest_server(ctl->rest), r, to) : r;
}

int ctl_json(struct ctl *ctl, const char *method, const char *path, const char *content_type, const json_t *body,
             json_t **ret_object, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        CX_CLEANUP(cx_freep)
        char *sorted = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
        if (body) // sorted, so that complaints come in upstream's order
                cx_buf_add(&text, cx_str(sorted));
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = ctl_call(ctl,
                         &(struct ctl_call){.method = method,
                                            .path = path,
                                            .content_type = content_type,
                                            .body = body ? text.data : NULL,
                                            .length = text.length},
                         &reply, err);
        if (r < 0 || !ret_object)
                return r;
        r = cx_json_parse(reply.body.data, reply.body.length, false, ret_object, err);
        if (r < 0 && err)
                err->reason = CX_REASON_UNKNOWN;
        return r < 0 ? cx_error_wrap(err, "the server's answer to %s %s", method, path) : 0;
}

struct watch_stream {
        struct cx_buf pending;
        int (*event)(void *context, const char *type, json_t *object);
        void *context;
        struct cx_error *err;
        int result;
};

static int watch_line(struct watch_stream *w, const char *line, size_t length)
{
        json_auto_t *event = NULL;
        int r = cx_json_parse(line, length, false, &event, w->err);
        if (r < 0)
                return w->result = r;
        const char *type = cx_json_string_or(event, "type", "");
        json_t *object = json_object_get(event, "object");
        if (strcmp(type, "ERROR") == 0) {
                CX_CLEANUP(cx_freep) char *text = cx_json_text(object);
                return w->result =
                               cx_error_from_status(w->err, (int)cx_json_int(object, "code", 500), text, strlen(text));
        }
        r = w->event(w->context, type, object);
        return r ? (w->result = r) : 0;
}

static int watch_data(void *context, const struct cx_http_reply *reply, const char *data, size_t length)
{
        struct watch_stream *w = context;
        cx_buf_append(&w->pending, data, length);
        if (reply->code >= 400)
                return 0;
        size_t start = 0;
        for (char *end; (end = memchr(w->pending.data + start, '\n', w->pending.length - start));) {
                size_t n = (size_t)(end - w->pending.data) - start;
                int r = n ? watch_line(w, w->pending.data + start, n) : 0;
                if (r)
                        return -1;
                start += n + 1;
        }
        cx_buf_consume(&w->pending, start);
        return 0;
}

int ctl_watch(struct ctl *ctl, const char *path, const char *accept,
              int (*event)(void *context, const char *type, json_t *object), void *context, struct cx_error *err)
{
        return ctl_watch_until(ctl, path, accept, event, context, NULL, err);
}

int ctl_watch_until(struct ctl *ctl, const char *path, const char *accept,
                    int (*event)(void *context, const char *type, json_t *object), void *context, const bool *cancel,
                    struct cx_error *err)
{
        CX_ERROR inside = CX_ERROR_INIT, failure = CX_ERROR_INIT;
        struct watch_stream w = {
                .pending = CX_BUF_INIT_MAX((size_t)64 << 20), .event = event, .context = context, .err = &inside};
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = ctl_call(ctl,
                         &(struct ctl_call){.method = "GET",
                                            .path = path,
                                            .accept = accept,
                                            .on_data = watch_data,
                                            .context = &w,
                                            .cancel = cancel,
                                            .endless = !ctl->request_timeout},
                         &reply, &failure);
        if (w.result > 0)
                r = w.result;
        else if (w.result < 0)
                r = cx_error_move(err, &inside);
        else if (reply.code >= 400)
                r = cx_error_from_status(err, reply.code, w.pending.data, w.pending.length);
        else if ((r == -ETIMEDOUT && ctl->request_timeout) || (r == -ECONNRESET && reply.code == 200))
                r = 0; // as long as the user wanted; or the server has gone: who watches on will see
        else if (r < 0)
                r = cx_error_move(err, &failure);
        cx_buf_release(&w.pending);
        return r;
}

// A warning in klog's form, whose text is bare.
void ctl_log_warning(const char *text)
{
        struct timespec now;
        struct tm tm;
        char when[32];
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &tm);
        strftime(when, sizeof when, "%m%d %H:%M:%S", &tm);
        fprintf(stderr, "W%s.%06ld %7d connection.c:%d] %s\n", when, now.tv_nsec / 1000, (int)getpid(), __LINE__, text);
}

int dry_run_parse(const char *text, int *ret_mode, struct cx_error *err)
{
        if (!text || cx_streq(text, "none") || cx_streq(text, "false")) {
                *ret_mode = DRY_NONE;
        } else if (cx_streq(text, "client") || cx_streq(text, "unchanged") || cx_streq(text, "true")) {
                if (!cx_streq(text, "client"))
                        ctl_log_warning("--dry-run is deprecated and can be replaced with --dry-run=client.");
                *ret_mode = DRY_CLIENT;
        } else if (cx_streq(text, "server")) {
                *ret_mode = DRY_SERVER;
        } else {
                return cx_error_set(err, -EINVAL,
                                    "Invalid dry-run value (%s). Must be \"none\", \"server\", or \"client\".", text);
        }
        return 0;
}
