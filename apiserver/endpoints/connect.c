// SPDX-License-Identifier: Apache-2.0
// Everything that goes on to somewhere else: logs and streams of containers (to the kubelet), and the proxies to nodes,
// pods and services. Plain answers are relayed block by block with a bounded buffer, on a thread of their own;
// upgraded connections are joined byte by byte, so that WebSocket and SPDY pass alike.
#include "api/status.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/respond.h"
#include "base/log.h"
#include "base/time.h"
#include "format/json.h"
#include "net/http_client.h"

#include <poll.h>

#define RELAY_BUFFER ((size_t)1 << 20)

struct target {
        char *base_url, *path; // path with query
        bool kubelet;          // with our client certificate
        bool tls;
};

static void release_target(struct target *target)
{
        free(target->base_url);
        free(target->path);
}

static int read_pem(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = path ? cx_buf_read_file(to, path) : 0;
        return r < 0 ? cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int new_client(struct cx_call *call, const struct target *target, struct cx_http_client **ret_client,
                      struct cx_error *err)
{
        const struct cx_apiserver_options *o = &call->api->options;
        CX_BUF ca = CX_BUF_INIT_MAX(1 << 20), cert = CX_BUF_INIT_MAX(1 << 20), key = CX_BUF_INIT_MAX(1 << 20);
        int r = 0;
        if (target->kubelet) {
                r = read_pem(o->kubelet_ca_file, &ca, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_cert_file, &cert, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_key_file, &key, err);
        }
        if (r < 0)
                return r;
        struct cx_http_client_options options = {
                .base_url = target->base_url,
                .ca_pem = ca.length ? ca.data : NULL,
                .cert_pem = cert.length ? cert.data : NULL,
                .key_pem = key.length ? key.data : NULL,
                .insecure = !ca.length, // as upstream without --kubelet-certificate-authority
        };
        return cx_http_client_new(&options, ret_client, err);
}

// --- relaying a plain answer ---

struct relay {
        struct cx_http_client *client;
        struct cx_http_request *request; // until the answer has begun
        struct target target;
        char *method, *content_type, *accept;
        struct cx_buf body;
        pthread_mutex_t lock; // guards the rest
        pthread_cond_t drained;
        struct cx_buf buffer;
        bool finished, failed;
        bool gone; // the client has left
        struct cx_http_stream *stream;
        int references; // the thread's and the stream's
};

static void unref_relay(struct relay *relay)
{
        pthread_mutex_lock(&relay->lock);
        bool last = --relay->references == 0;
        pthread_mutex_unlock(&relay->lock);
        if (!last)
                return;
        cx_http_client_free(relay->client);
        release_target(&relay->target);
        cx_http_stream_unref(relay->stream);
        cx_buf_release(&relay->buffer);
        cx_buf_release(&relay->body);
        free(relay->method);
        free(relay->content_type);
        free(relay->accept);
        pthread_mutex_destroy(&relay->lock);
        pthread_cond_destroy(&relay->drained);
        free(relay);
}

static ssize_t read_relay(void *context, uint64_t offset CX_UNUSED, char *to, size_t max)
{
        struct relay *relay = context;
        pthread_mutex_lock(&relay->lock);
        ssize_t n = relay->finished ? relay->failed ? CX_HTTP_STREAM_ABORT : CX_HTTP_STREAM_END : CX_HTTP_STREAM_WAIT;
        if (relay->buffer.length) {
                n = (ssize_t)(relay->buffer.length < max ? relay->buffer.length : max);
                memcpy(to, relay->buffer.data, (size_t)n);
                cx_buf_consume(&relay->buffer, (size_t)n);
                pthread_cond_signal(&relay->drained);
        }
        pthread_mutex_unlock(&relay->lock);
        return n;
}

static void release_relay(void *context)
{
        struct relay *relay = context;
        pthread_mutex_lock(&relay->lock);
        __atomic_store_n(&relay->gone, true, __ATOMIC_RELEASE);
        pthread_cond_signal(&relay->drained);
        pthread_mutex_unlock(&relay->lock);
        unref_relay(relay);
}

// Begins the answer once the status and headers of the other side are known.
static void begin_answer(struct relay *relay, const struct cx_http_reply *reply)
{
        static const char *const passed[] = {"Location", "ETag", "Last-Modified", "Cache-Control", "Set-Cookie"};
        CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(reply, "Content-Type");
        for (size_t i = 0; i < CX_ARRAY_SIZE(passed); i++) {
                CX_CLEANUP(cx_freep) char *value = cx_http_reply_header(reply, passed[i]);
                if (value)
                        cx_http_add_header(relay->request, passed[i], value);
        }
        struct cx_http_stream_source source = {.read = read_relay, .release = release_relay, .context = relay};
        struct cx_http_request *request = cx_steal(&relay->request);
        relay->references++;
        cx_http_respond_stream_into(request, reply->code, type ? type : "text/plain", -1, &source, &relay->stream);
}

static int on_relay_data(void *context, const struct cx_http_reply *reply, const char *data, size_t length)
{
        struct relay *relay = context;
        if (relay->request)
                begin_answer(relay, reply);
        pthread_mutex_lock(&relay->lock);
        while (relay->buffer.length > RELAY_BUFFER && !relay->gone)
                pthread_cond_wait(&relay->drained, &relay->lock);
        bool gone = relay->gone;
        if (!gone)
                cx_buf_append(&relay->buffer, data, length);
        pthread_mutex_unlock(&relay->lock);
        if (!gone)
                cx_http_stream_wake(relay->stream);
        return gone ? -EPIPE : 0;
}

static void *relay_main(void *context)
{
        struct relay *relay = context;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_http_call http = {.method = relay->method,
                                    .path = relay->target.path,
                                    .body = relay->body.length ? relay->body.data : NULL,
                                    .body_length = relay->body.length,
                                    .content_type = relay->content_type,
                                    .accept = relay->accept ? relay->accept : "*/*",
                                    .timeout = -1,
                                    .on_data = on_relay_data,
                                    .context = relay,
                                    .cancel = &relay->gone};
        int r = cx_http_do(relay->client, &http, &reply, &err);
        if (relay->request && r < 0) {
                CX_ERROR answer = CX_ERROR_INIT;
                (void)cx_error_reason(&answer, CX_REASON_UNAVAILABLE, "error trying to reach %s: %s",
                                      relay->target.base_url, cx_error_text(&err));
                cx_http_respond_error(relay->request, &answer);
        } else {
                if (relay->request)
                        begin_answer(relay, &reply); // an empty body
                pthread_mutex_lock(&relay->lock);
                relay->finished = true;
                relay->failed = r < 0;
                pthread_mutex_unlock(&relay->lock);
                cx_http_stream_wake(relay->stream);
        }
        unref_relay(relay);
        return NULL;
}

static int start_thread(void *(*run)(void *), void *context)
{
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, (size_t)512 << 10);
        int r = pthread_create(&thread, &attributes, run, context);
        pthread_attr_destroy(&attributes);
        return -r;
}

static int relay(struct cx_call *call, struct target *target, struct cx_error *err)
{
        struct cx_http_client *client = NULL;
        int r = new_client(call, target, &client, err);
        if (r < 0)
                return r;
        struct relay *relay = cx_alloc(sizeof *relay);
        relay->client = client;
        relay->request = call->request;
        relay->target = *target;
        *target = (struct target){0};
        relay->method = cx_strdup(cx_http_method(call->request));
        relay->content_type = cx_strdup(cx_http_header(call->request, "Content-Type"));
        relay->accept = cx_strdup(cx_http_header(call->request, "Accept"));
        relay->body = (struct cx_buf)CX_BUF_INIT;
        relay->buffer = (struct cx_buf)CX_BUF_INIT;
        relay->references = 1;
        size_t length;
        const char *body = cx_http_body(call->request, &length);
        cx_buf_append(&relay->body, body, length);
        pthread_mutex_init(&relay->lock, NULL);
        pthread_cond_init(&relay->drained, NULL);
        r = start_thread(relay_main, relay);
        if (r < 0) {
                unref_relay(relay);
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        }
        return 0;
}

// --- joining two upgraded connections ---

struct join {
        struct cx_http_client *client;
        struct cx_http_tunnel *tunnel;
};

static bool write_all(int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return false;
                data += n;
                length -= (size_t)n;
        }
        return true;
}

static bool tunnel_write_all(struct cx_http_tunnel *tunnel, const char *data, size_t length)
{
        while (length) {
                ssize_t n = cx_http_tunnel_write(tunnel, data, length);
                if (n == -EAGAIN) {
                        struct pollfd wait = {cx_http_tunnel_fd(tunnel), POLLOUT, 0};
                        (void)poll(&wait, 1, 1000);
                        continue;
                }
                if (n <= 0)
                        return false;
                data += n;
                length -= (size_t)n;
        }
        return true;
}

static void run_join(int fd, const char *extra, size_t extra_length, void *context)
{
        struct join *join = context;
        char block[32768];
        bool open = tunnel_write_all(join->tunnel, extra, extra_length);
        while (open) {
                // What TLS has decrypted already does not show in poll: read first, then wait.
                ssize_t n = cx_http_tunnel_read(join->tunnel, block, sizeof block);
                if (n > 0) {
                        open = write_all(fd, block, (size_t)n);
                        continue;
                }
                if (n != -EAGAIN)
                        break;
                struct pollfd fds[2] = {{fd, POLLIN, 0}, {cx_http_tunnel_fd(join->tunnel), POLLIN, 0}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        break;
                if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
                        continue;
                n = read(fd, block, sizeof block);
                if (n <= 0)
                        break;
                open = tunnel_write_all(join->tunnel, block, (size_t)n);
        }
}

static void release_join(void *context)
{
        struct join *join = context;
        cx_http_tunnel_free(join->tunnel);
        cx_http_client_free(join->client);
        free(join);
}

static void add_upgrade_header(void *context, const char *name, const char *value)
{
        struct cx_strings *headers = context;
        static const char *const passed[] = {"Upgrade",
                                             "Connection",
                                             "Sec-WebSocket-Key",
                                             "Sec-WebSocket-Version",
                                             "Sec-WebSocket-Protocol",
                                             "Sec-WebSocket-Extensions",
                                             "X-Stream-Protocol-Version",
                                             "Origin"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(passed); i++)
                if (strcasecmp(name, passed[i]) == 0) {
                        CX_CLEANUP(cx_freep) char *line = cx_sprintf("%s: %s", name, value);
                        cx_strings_add(headers, line);
                }
}

static void relay_refusal(struct cx_call *call, const struct cx_http_reply *refusal, struct cx_error *why)
{
        if (refusal->code >= 300) {
                CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(refusal, "Content-Type");
                cx_http_respond(call->request, refusal->code, type ? type : "text/plain", refusal->body.data,
                                refusal->body.length);
                return;
        }
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_INTERNAL, "error dialing backend: %s", cx_error_text(why));
        cx_respond_error(call, &err);
}

static int join_upgraded(struct cx_call *call, const struct target *target, struct cx_error *err)
{
        struct join *join = cx_alloc(sizeof *join);
        CX_HTTP_REPLY headers = CX_HTTP_REPLY_INIT, refusal = CX_HTTP_REPLY_INIT;
        CX_STRINGS passed = CX_STRINGS_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        int r = new_client(call, target, &join->client, err);
        if (r < 0) {
                free(join);
                return r;
        }
        cx_http_headers(call->request, add_upgrade_header, &passed);
        CX_CLEANUP(cx_freep) const char **lines = cx_alloc_array(passed.count + 1, sizeof(char *));
        for (size_t i = 0; i < passed.count; i++)
                lines[i] = passed.items[i];
        struct cx_http_call http = {.method = cx_http_method(call->request), .path = target->path, .headers = lines};
        if (cx_http_upgrade(join->client, &http, &join->tunnel, &headers, &refusal, &why) < 0) {
                relay_refusal(call, &refusal, &why);
                release_join(join);
                return 0;
        }
        static const char *const answered[] = {"Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
                                               "X-Stream-Protocol-Version"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(answered); i++) {
                CX_CLEANUP(cx_freep) char *value = cx_http_reply_header(&headers, answered[i]);
                if (value)
                        cx_http_add_header(call->request, answered[i], value);
        }
        cx_http_respond_upgrade(call->request, run_join, join, release_join);
        return 0;
}

// --- where to ---

static int node_target(struct cx_call *call, const char *name, struct target *target, struct cx_error *err)
{
        json_auto_t *node = cx_store_get_json(call->api->store, cx_schema_resource("", "v1", "nodes"), NULL, name);
        const json_t *addresses = cx_json_get(node, "status.addresses");
        const json_t *address = cx_json_find(addresses, "type", "InternalIP");
        if (!address)
                address = cx_json_find(addresses, "type", "Hostname");
        if (!address)
                return cx_error_reason(err, CX_REASON_INTERNAL, "no preferred addresses found for node \"%s\"", name);
        target->kubelet = true;
        target->base_url = cx_sprintf("https://%s:%ld", cx_json_string_or(address, "address", ""),
                                      (long)cx_json_int(node, "status.daemonEndpoints.kubeletEndpoint.Port", 10250));
        return 0;
}

static json_t *find_pod(struct cx_call *call, struct cx_error *err)
{
        CX_STORED *stored = cx_store_get(call->api->store, cx_schema_resource("", "v1", "pods"), call->info.namespace,
                                         call->info.name);
        if (stored)
                return cx_stored_parse(stored);
        (void)cx_call_not_found(call, call->info.name, err);
        return NULL;
}

// The container that the query names, or the pod's only one (or its default by annotation).
static int choose_container(struct cx_call *call, const json_t *pod, const char **ret_name, struct cx_error *err)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers", "spec.ephemeralContainers"};
        const char *asked = cx_http_query(call->request, "container");
        const json_t *containers = cx_json_get(pod, "spec.containers");
        if (asked && *asked) {
                for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                        if (cx_json_find(cx_json_get(pod, lists[i]), "name", asked)) {
                                *ret_name = asked;
                                return 0;
                        }
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "container %s is not valid for pod %s", asked,
                                       call->info.name);
        }
        if (json_array_size(containers) == 1) {
                *ret_name = cx_json_string(json_array_get(containers, 0), "name");
                return 0;
        }
        CX_BUF names = CX_BUF_INIT_MAX(4096);
        for (size_t i = 0; i < json_array_size(containers); i++)
                cx_buf_printf(&names, "%s%s", i ? " " : "",
                              cx_json_string_or(json_array_get(containers, i), "name", ""));
        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                               "a container name must be specified for pod %s, choose one of: [%s]", call->info.name,
                               names.data);
}

// The query's parameters under the kubelet's names, in one go.
static void add_query(struct cx_call *call, struct cx_buf *path)
{
        const char *query = cx_http_raw_query(call->request);
        if (*query)
                cx_buf_printf(path, "?%s", query);
}

static void add_exec_query(struct cx_call *call, struct cx_buf *path)
{
        static const char *const flags[][2] = {
                {"stdin", "input"}, {"stdout", "output"}, {"stderr", "error"}, {"tty", "tty"}};
        char mark = '?';
        for (size_t i = 0; i < CX_ARRAY_SIZE(flags); i++) {
                const char *value = cx_http_query(call->request, flags[i][0]);
                if (value && (cx_streq(value, "true") || cx_streq(value, "1"))) {
                        cx_buf_printf(path, "%c%s=1", mark, flags[i][1]);
                        mark = '&';
                }
        }
        CX_STRINGS words = CX_STRINGS_INIT;
        cx_http_query_all(call->request, "command", &words);
        for (size_t i = 0; i < words.count; i++) {
                cx_buf_printf(path, "%ccommand=", mark);
                cx_url_encode(path, words.items[i]);
                mark = '&';
        }
}

static int container_target(struct cx_call *call, struct target *target, struct cx_error *err)
{
        static const char *const paths[][2] = {
                {"log", "containerLogs"}, {"exec", "exec"}, {"attach", "attach"}, {"portforward", "portForward"}};
        const char *container = NULL, *what = NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++)
                if (cx_streq(paths[i][0], call->info.subresource))
                        what = paths[i][1];
        json_auto_t *pod = find_pod(call, err);
        if (!pod)
                return -ENOENT;
        bool forward = cx_streq(what, "portForward"), log = cx_streq(what, "containerLogs");
        int r = forward ? 0 : choose_container(call, pod, &container, err);
        if (r < 0)
                return r;
        const char *node = cx_json_string(pod, "spec.nodeName");
        if (!node || !*node) {
                if (!log)
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "pod %s does not have a host assigned",
                                               call->info.name);
                cx_http_respond(call->request, 200, "text/plain", "", 0); // nothing has run yet
                return 1;
        }
        r = node_target(call, node, target, err);
        if (r < 0)
                return r;
        CX_BUF path = CX_BUF_INIT;
        cx_buf_printf(&path, "/%s/%s/%s", what, call->info.namespace, call->info.name);
        if (container)
                cx_buf_printf(&path, "/%s", container);
        if (log || forward)
                add_query(call, &path);
        else
                add_exec_query(call, &path);
        target->path = cx_buf_detach(&path);
        return 0;
}

// "[scheme:]name[:port]" of the proxy subresources.
static void split_proxy_name(char *name, const char **ret_scheme, const char **ret_name, const char **ret_port)
{
        char *colon = strchr(name, ':');
        *ret_scheme = "http";
        *ret_port = "";
        *ret_name = name;
        if (!colon)
                return;
        *colon = '\0';
        char *second = strchr(colon + 1, ':');
        if (second) {
                *second = '\0';
                *ret_scheme = name;
                *ret_name = colon + 1;
                *ret_port = second + 1;
        } else {
                *ret_port = colon + 1;
        }
}

static int service_backend(struct cx_call *call, const char *name, const char *port, char **ret_host, int64_t *ret_port,
                           struct cx_error *err)
{
        json_auto_t *service = cx_store_get_json(call->api->store, cx_schema_resource("", "v1", "services"),
                                                 call->info.namespace, name);
        json_auto_t *endpoints = cx_store_get_json(call->api->store, cx_schema_resource("", "v1", "endpoints"),
                                                   call->info.namespace, name);
        if (!service)
                return cx_call_not_found(call, name, err);
        const json_t *ports = cx_json_get(service, "spec.ports"), *chosen = NULL;
        for (size_t i = 0; i < json_array_size(ports); i++) {
                const json_t *candidate = json_array_get(ports, i);
                if (!*port || cx_streq(cx_json_string(candidate, "name"), port) ||
                    strcmp(CX_INT(cx_json_int(candidate, "port", 0)), port) == 0)
                        chosen = chosen ? chosen : candidate;
        }
        const json_t *subset = json_array_get(json_object_get(endpoints, "subsets"), 0);
        const char *address = cx_json_string(json_array_get(json_object_get(subset, "addresses"), 0), "ip");
        const char *port_name = cx_json_string(chosen, "name");
        const json_t *backend = port_name ? cx_json_find(json_object_get(subset, "ports"), "name", port_name)
                                          : json_array_get(json_object_get(subset, "ports"), 0);
        if (!chosen || !address || !backend)
                return cx_error_reason(err, CX_REASON_UNAVAILABLE, "no endpoints available for service \"%s\"", name);
        *ret_host = cx_strdup(address);
        *ret_port = cx_json_int(backend, "port", 0);
        return 0;
}

static int proxy_target(struct cx_call *call, struct target *target, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *text = cx_strdup(call->info.name);
        const char *scheme, *name, *port;
        split_proxy_name(text, &scheme, &name, &port);
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, *call->info.rest ? call->info.rest : "/");
        add_query(call, &path);
        target->path = cx_buf_detach(&path);
        if (cx_streq(call->info.resource, "nodes"))
                return node_target(call, name, target, err);
        CX_CLEANUP(cx_freep) char *host = NULL;
        int64_t number = 80;
        if (cx_streq(call->info.resource, "services")) {
                int r = service_backend(call, name, port, &host, &number, err);
                if (r < 0)
                        return r;
        } else {
                cx_copy_string(call->info.name, sizeof call->info.name, name);
                json_auto_t *pod = find_pod(call, err);
                if (!pod)
                        return -ENOENT;
                host = cx_strdup(cx_json_string(pod, "status.podIP"));
                const json_t *first = json_array_get(cx_json_get(pod, "spec.containers"), 0);
                const json_t *declared = json_array_get(json_object_get(first, "ports"), 0);
                number = cx_json_int(declared, "containerPort", 80);
                if (*port && cx_parse_int(port, 1, 65535, &number) < 0)
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "invalid proxy port \"%s\"", port);
                if (!host || !*host)
                        return cx_error_reason(err, CX_REASON_UNAVAILABLE, "address not allowed: pod has no IP yet");
        }
        target->base_url = cx_sprintf("%s://%s:%ld", cx_streq(scheme, "https") ? "https" : "http", host, (long)number);
        return 0;
}

bool cx_serve_connect(struct cx_call *call)
{
        static const char *const of_container[] = {"log", "exec", "attach", "portforward"};
        const char *sub = call->info.subresource;
        bool container = false, proxy = cx_streq(sub, "proxy");
        for (size_t i = 0; i < CX_ARRAY_SIZE(of_container); i++)
                container |= cx_streq(call->info.resource, "pods") && cx_streq(sub, of_container[i]);
        if (*call->info.group || (!container && !proxy))
                return false;
        struct target target = {0};
        CX_ERROR err = CX_ERROR_INIT;
        int r = container ? container_target(call, &target, &err) : proxy_target(call, &target, &err);
        bool upgrade = cx_http_header(call->request, "Upgrade") != NULL;
        if (r == 0 && container && !cx_streq(sub, "log") && !upgrade)
                r = cx_error_reason(&err, CX_REASON_BAD_REQUEST, "Upgrade request required");
        if (r == 0)
                r = upgrade ? join_upgraded(call, &target, &err) : relay(call, &target, &err);
        release_target(&target);
        if (r < 0)
                cx_respond_error(call, &err);
        return true;
}
