// SPDX-License-Identifier: Apache-2.0
// Calls: paths, limits on their rate, trying again, errors.
#include "libcommon/client/rest.h"

#include "libcommon/api/status.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>

#define MAX_TRIES 10

struct cx_rest {
        struct cx_http_client *http;
        bool borrowed; // http is another client's
        struct cx_rest_identity identity;
        char *server, *namespace, *impersonate_header;
        int64_t timeout, patience;
        double qps, burst;

        pthread_mutex_t lock; // guards the bucket
        double tokens;
        int64_t refilled;
};

int cx_rest_new(const struct cx_credentials *credentials, const struct cx_rest_options *options,
                struct cx_rest **ret_rest, struct cx_error *err)
{
        static const struct cx_rest_options none;
        if (!options)
                options = &none;
        struct cx_http_client *http = NULL;
        int r = cx_http_client_new(
                &(struct cx_http_client_options){
                        .base_url = credentials->server,
                        .others = &credentials->servers,
                        .ca_pem = credentials->ca_pem,
                        .cert_pem = credentials->cert_pem,
                        .key_pem = credentials->key_pem,
                        .ca_file = credentials->ca_file,
                        .cert_file = credentials->cert_file,
                        .key_file = credentials->key_file,
                        .bearer_token = credentials->token,
                        .bearer_token_file = credentials->token_file,
                        .username = credentials->username,
                        .password = credentials->password,
                        .server_name = credentials->server_name,
                        .user_agent = options->user_agent,
                        .insecure = credentials->insecure,
                        .max_idle = options->max_idle,
                },
                &http, err);
        if (r < 0)
                return r;
        struct cx_rest *rest = cx_alloc(sizeof *rest);
        rest->http = http;
        rest->server = cx_strdup(credentials->server);
        rest->namespace = cx_strdup(credentials->namespace ? credentials->namespace : "default");
        if (credentials->impersonate)
                rest->impersonate_header = cx_sprintf("Impersonate-User: %s", credentials->impersonate);
        rest->timeout = options->timeout ? options->timeout : 60 * CX_NS_PER_S;
        rest->patience = options->patience;
        rest->qps = options->qps;
        rest->burst = options->burst ? options->burst : 2 * options->qps;
        if (rest->burst < 1)
                rest->burst = 1;
        rest->tokens = rest->burst;
        rest->refilled = cx_time_monotonic();
        pthread_mutex_init(&rest->lock, NULL);
        *ret_rest = rest;
        return 0;
}

int cx_rest_from_kubeconfig(const char *kubeconfig, const struct cx_rest_options *options, struct cx_rest **ret_rest,
                            struct cx_error *err)
{
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        int r;
        if (kubeconfig && *kubeconfig) {
                CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
                r = cx_kubeconfig_load(kubeconfig, false, &config, err);
                if (r == 0)
                        r = cx_kubeconfig_resolve(&config, NULL, &credentials, err);
        } else {
                r = cx_credentials_in_cluster(&credentials, err);
        }
        return r < 0 ? r : cx_rest_new(&credentials, options, ret_rest, err);
}

struct cx_rest *cx_rest_derive(struct cx_rest *from, const struct cx_rest_identity *identity)
{
        struct cx_rest *rest = cx_alloc(sizeof *rest);
        *rest = (struct cx_rest){
                .http = from->http,
                .borrowed = true,
                .server = cx_strdup(from->server),
                .namespace = cx_strdup(from->namespace),
                .impersonate_header = cx_strdup(from->impersonate_header),
                .timeout = from->timeout,
                .patience = from->patience,
                .qps = from->qps,
                .burst = from->burst,
                .tokens = from->burst,
                .refilled = cx_time_monotonic(),
        };
        if (identity)
                rest->identity = *identity;
        pthread_mutex_init(&rest->lock, NULL);
        return rest;
}

void cx_rest_set_timeout(struct cx_rest *rest, int64_t timeout, int64_t patience)
{
        rest->timeout = timeout;
        rest->patience = patience;
}

void cx_rest_free(struct cx_rest *rest)
{
        if (!rest)
                return;
        if (!rest->borrowed)
                cx_http_client_free(rest->http);
        free(rest->server);
        free(rest->namespace);
        free(rest->impersonate_header);
        pthread_mutex_destroy(&rest->lock);
        free(rest);
}

void cx_rest_trim(struct cx_rest *rest)
{
        cx_http_client_trim(rest->http, 30 * CX_NS_PER_S);
}

struct cx_http_client *cx_rest_http(struct cx_rest *rest)
{
        return rest->http;
}

const char *cx_rest_impersonation(const struct cx_rest *rest)
{
        return rest->impersonate_header;
}

const char *cx_rest_server(const struct cx_rest *rest)
{
        return rest->server;
}

const char *cx_rest_namespace(const struct cx_rest *rest)
{
        return rest->namespace;
}

void cx_rest_path(struct cx_buf *to, const struct cx_ref *ref, const char *subresource)
{
        if (ref->group && *ref->group)
                cx_buf_printf(to, "/apis/%s/%s", ref->group, ref->version);
        else
                cx_buf_printf(to, "/api/%s", ref->version);
        if (ref->namespace && *ref->namespace) {
                cx_buf_add(to, "/namespaces/");
                cx_url_encode(to, ref->namespace);
        }
        cx_buf_printf(to, "/%s", ref->resource);
        if (ref->name && *ref->name) {
                cx_buf_add_char(to, '/');
                cx_url_encode(to, ref->name);
        }
        if (subresource && *subresource)
                cx_buf_printf(to, "/%s", subresource);
}

void cx_rest_query(struct cx_buf *path, const char *name, const char *value)
{
        if (!value)
                return;
        cx_buf_printf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', name);
        cx_url_encode(path, value);
}

static void sleep_ns(int64_t ns)
{
        struct timespec ts = {ns / CX_NS_PER_S, ns % CX_NS_PER_S};
        while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
                ;
}

static void limit_rate(struct cx_rest *rest)
{
        if (rest->qps <= 0)
                return;
        pthread_mutex_lock(&rest->lock);
        int64_t now = cx_time_monotonic();
        rest->tokens += (double)(now - rest->refilled) / CX_NS_PER_S * rest->qps;
        if (rest->tokens > rest->burst)
                rest->tokens = rest->burst;
        rest->refilled = now;
        rest->tokens -= 1; // below zero: this caller's place in the line
        double wait = rest->tokens < 0 ? -rest->tokens / rest->qps : 0;
        pthread_mutex_unlock(&rest->lock);
        if (wait > 0)
                sleep_ns((int64_t)(wait * CX_NS_PER_S));
}

// Seconds to wait before the same call may be sent again; -1 when it should not be.
static int64_t retry_after(const struct cx_http_reply *reply)
{
        if (reply->code != 429 && reply->code != 503)
                return -1;
        CX_CLEANUP(cx_freep) char *header = cx_http_reply_header(reply, "Retry-After");
        int64_t seconds = -1;
        if (header && cx_parse_int(header, 0, 60, &seconds) == 0)
                return seconds;
        return reply->code == 429 ? 1 : -1;
}

static bool is_idempotent(const char *method)
{
        return !method || cx_streq(method, "GET") || cx_streq(method, "PUT") || cx_streq(method, "DELETE") ||
               cx_streq(method, "HEAD");
}

static int do_with(struct cx_rest *rest, const struct cx_rest_call *call, const char *authorization,
                   struct cx_http_reply *ret_reply, struct cx_error *err)
{
        const char *headers[35] = {0};
        size_t n = 0;
        if (authorization)
                headers[n++] = authorization;
        if (rest->impersonate_header)
                headers[n++] = rest->impersonate_header;
        for (const char *const *header = call->headers; header && *header && n < 34; header++)
                headers[n++] = *header;
        struct cx_http_call http = {
                .method = call->method,
                .path = call->path,
                .headers = headers,
                .body = call->body,
                .body_length = call->body_length,
                .content_type = call->content_type,
                .accept = call->accept,
                .timeout = call->timeout ? call->timeout : rest->timeout,
                .on_data = call->on_data,
                .context = call->context,
                .cancel = call->cancel,
        };
        int64_t started = cx_time_monotonic(), wait = 20 * CX_NS_PER_MS;
        for (int attempt = 1;; attempt++) {
                limit_rate(rest);
                CX_ERROR failure = CX_ERROR_INIT;
                int r = cx_http_do(rest->http, &http, ret_reply, &failure);
                if (r < 0) {
                        bool again = r == -ECONNREFUSED || (r == -ECONNRESET && is_idempotent(call->method));
                        bool canceled = call->cancel && __atomic_load_n(call->cancel, __ATOMIC_RELAXED);
                        if (!again || canceled || cx_time_monotonic() - started + wait > rest->patience)
                                return cx_error_move(err, &failure);
                        sleep_ns(wait / 2 + (int64_t)cx_random_below((uint64_t)wait));
                        wait = wait * 2 < CX_NS_PER_S ? wait * 2 : CX_NS_PER_S;
                        continue;
                }
                if (ret_reply->code < 400)
                        return 0;
                int64_t seconds = retry_after(ret_reply);
                if (seconds < 0 || attempt >= MAX_TRIES)
                        return cx_error_from_status(err, ret_reply->code, ret_reply->body.data, ret_reply->body.length);
                sleep_ns(seconds ? seconds * CX_NS_PER_S : 50 * CX_NS_PER_MS);
        }
}

// A call by an identity: its token goes along, and a refused one is replaced once.
static int do_as(struct cx_rest *rest, const struct cx_rest_call *call, struct cx_http_reply *ret_reply,
                 struct cx_error *err)
{
        const struct cx_rest_identity *identity = &rest->identity;
        for (int attempt = 1;; attempt++) {
                char *token = NULL;
                int r = identity->token(identity->context, &token, err);
                if (r < 0)
                        return r;
                char *header = cx_sprintf("Authorization: Bearer %s", token);
                r = do_with(rest, call, header, ret_reply, err);
                bool refused = r < 0 && ret_reply->code == 401;
                if (refused)
                        identity->refused(identity->context, token);
                explicit_bzero(header, strlen(header));
                explicit_bzero(token, strlen(token));
                free(header);
                free(token);
                if (!refused || attempt > 1)
                        return r;
                cx_error_release(err);
                cx_http_reply_release(ret_reply);
                *ret_reply = (struct cx_http_reply)CX_HTTP_REPLY_INIT;
        }
}

int cx_rest_do(struct cx_rest *rest, const struct cx_rest_call *call, struct cx_http_reply *ret_reply,
               struct cx_error *err)
{
        return rest->identity.token ? do_as(rest, call, ret_reply, err) : do_with(rest, call, NULL, ret_reply, err);
}

static int call_json(struct cx_rest *rest, const char *method, const char *path, const char *content_type,
                     const json_t *body, json_t **ret_object, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        if (body)
                cx_json_dump(body, &text);
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = cx_rest_do(rest,
                           &(struct cx_rest_call){.method = method,
                                                  .path = path,
                                                  .content_type = content_type,
                                                  .body = body ? text.data : NULL,
                                                  .body_length = text.length},
                           &reply, err);
        if (r < 0)
                return r;
        if (ret_object) {
                r = cx_json_parse(reply.body.data, reply.body.length, false, ret_object, err);
                if (r < 0)
                        return cx_error_wrap(err, "the server's answer to %s %s", method, path);
        }
        return 0;
}

int cx_rest_get(struct cx_rest *rest, const struct cx_ref *ref, json_t **ret_object, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, NULL);
        return call_json(rest, "GET", path.data, NULL, NULL, ret_object, err);
}

static void list_query(struct cx_buf *path, const struct cx_list_options *options)
{
        if (!options)
                return;
        cx_rest_query(path, "labelSelector", options->label_selector);
        cx_rest_query(path, "fieldSelector", options->field_selector);
        cx_rest_query(path, "resourceVersion", options->resource_version);
        cx_rest_query(path, "resourceVersionMatch", options->resource_version_match);
        if (options->limit)
                cx_rest_query(path, "limit", CX_INT(options->limit));
        cx_rest_query(path, "continue", options->continue_token);
}

int cx_rest_list(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_list_options *options,
                 json_t **ret_list, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, NULL);
        list_query(&path, options);
        return call_json(rest, "GET", path.data, NULL, NULL, ret_list, err);
}

int cx_rest_list_each(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_list_options *options,
                      int (*each)(void *context, const json_t *item), void *context, struct cx_error *err)
{
        struct cx_list_options page = options ? *options : (struct cx_list_options){0};
        if (!page.limit)
                page.limit = 500;
        CX_CLEANUP(cx_freep) char *token = NULL;
        for (;;) {
                json_auto_t *list = NULL;
                int r = cx_rest_list(rest, ref, &page, &list, err);
                if (r < 0)
                        return r;
                size_t i;
                const json_t *item;
                json_array_foreach (json_object_get(list, "items"), i, item) {
                        r = each(context, item);
                        if (r)
                                return r;
                }
                const char *next = cx_json_string(list, "metadata.continue");
                if (!next || !*next)
                        return 0;
                free(token);
                token = cx_strdup(next);
                page.continue_token = token;
                page.resource_version = page.resource_version_match = NULL;
        }
}

int cx_rest_create_sub(struct cx_rest *rest, const struct cx_ref *ref, const char *subresource, const json_t *object,
                       json_t **ret_object, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, subresource);
        return call_json(rest, "POST", path.data, NULL, object, ret_object, err);
}

int cx_rest_create(struct cx_rest *rest, const struct cx_ref *ref, const json_t *object, json_t **ret_object,
                   struct cx_error *err)
{
        struct cx_ref collection = *ref;
        collection.name = NULL;
        return cx_rest_create_sub(rest, &collection, NULL, object, ret_object, err);
}

int cx_rest_update_sub(struct cx_rest *rest, const struct cx_ref *ref, const char *subresource, const json_t *object,
                       json_t **ret_object, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, subresource);
        return call_json(rest, "PUT", path.data, NULL, object, ret_object, err);
}

int cx_rest_update(struct cx_rest *rest, const struct cx_ref *ref, const json_t *object, json_t **ret_object,
                   struct cx_error *err)
{
        return cx_rest_update_sub(rest, ref, NULL, object, ret_object, err);
}

const char *cx_patch_content_type(enum cx_patch_type type)
{
        static const char *const types[] = {
                [CX_PATCH_JSON] = "application/json-patch+json",
                [CX_PATCH_MERGE] = "application/merge-patch+json",
                [CX_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
                [CX_PATCH_APPLY] = "application/apply-patch+yaml",
        };
        return types[type];
}

int cx_rest_patch(struct cx_rest *rest, const struct cx_ref *ref, const char *subresource, enum cx_patch_type type,
                  const json_t *patch, json_t **ret_object, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, subresource);
        return call_json(rest, "PATCH", path.data, cx_patch_content_type(type), patch, ret_object, err);
}

static json_t *delete_body(const struct cx_delete_options *options)
{
        json_t *body = json_pack("{s:s, s:s}", "kind", "DeleteOptions", "apiVersion", "v1");
        if (!options)
                return body;
        if (options->propagation)
                json_object_set_new(body, "propagationPolicy", json_string(options->propagation));
        if (options->grace >= 0)
                json_object_set_new(body, "gracePeriodSeconds", json_integer(options->grace));
        if (options->dry_run)
                json_object_set_new(body, "dryRun", json_pack("[s]", "All"));
        if (options->uid || options->resource_version) {
                json_t *conditions = json_object();
                if (options->uid)
                        json_object_set_new(conditions, "uid", json_string(options->uid));
                if (options->resource_version)
                        json_object_set_new(conditions, "resourceVersion", json_string(options->resource_version));
                json_object_set_new(body, "preconditions", conditions);
        }
        return body;
}

int cx_rest_delete(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_delete_options *options,
                   struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, NULL);
        json_auto_t *body = delete_body(options);
        return call_json(rest, "DELETE", path.data, NULL, body, NULL, err);
}

int cx_rest_delete_collection(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_list_options *list,
                              const struct cx_delete_options *options, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        struct cx_ref collection = *ref;
        collection.name = NULL;
        cx_rest_path(&path, &collection, NULL);
        list_query(&path, list);
        json_auto_t *body = delete_body(options);
        return call_json(rest, "DELETE", path.data, NULL, body, NULL, err);
}
