// SPDX-License-Identifier: Apache-2.0
// Everything that goes on to somewhere else: logs and streams of containers (to the kubelet), and the proxies to nodes,
// pods and services. This file finds out where to; relay.c and join.c pass it on.
#include "apiserver/endpoints/backend.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/respond.h"
#include "libcommon/api/status.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

// --- backends ---

void backend_release(struct backend *backend)
{
        free(backend->base_url);
        free(backend->path);
}

static int read_pem(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = path ? cx_buf_read_file(to, path) : 0;
        return r < 0 ? cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

int backend_client(struct call *call, const struct backend *backend, struct cx_http_client **ret_client,
                   struct cx_error *err)
{
        const struct apiserver_options *o = &call->api->options;
        CX_BUF ca = CX_BUF_INIT_MAX(1 << 20), cert = CX_BUF_INIT_MAX(1 << 20), key = CX_BUF_INIT_MAX(1 << 20);
        int r = 0;
        if (backend->kubelet) {
                r = read_pem(o->kubelet_ca_file, &ca, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_cert_file, &cert, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_key_file, &key, err);
        }
        if (r < 0)
                return r;
        struct cx_http_client_options options = {
                .base_url = backend->base_url,
                .ca_pem = ca.length ? ca.data : NULL,
                .cert_pem = cert.length ? cert.data : NULL,
                .key_pem = key.length ? key.data : NULL,
                .insecure = !ca.length, // as upstream without --kubelet-certificate-authority
        };
        return cx_http_client_new(&options, ret_client, err);
}

int start_thread(void *(*run)(void *), void *context)
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

// --- where to ---

static int node_backend(struct call *call, const char *name, struct backend *backend, struct cx_error *err)
{
        json_auto_t *node = store_get_json(call->api->store, cx_schema_resource("", "v1", "nodes"), NULL, name);
        const json_t *addresses = cx_json_get(node, "status.addresses");
        const json_t *address = cx_json_find(addresses, "type", "InternalIP");
        if (!address)
                address = cx_json_find(addresses, "type", "Hostname");
        if (!address)
                return cx_error_reason(err, CX_REASON_INTERNAL, "no preferred addresses found for node \"%s\"", name);
        backend->kubelet = true;
        backend->base_url = cx_sprintf("https://%s:%ld", cx_json_string_or(address, "address", ""),
                                       (long)cx_json_int(node, "status.daemonEndpoints.kubeletEndpoint.Port", 10250));
        return 0;
}

static json_t *find_pod(struct call *call, struct cx_error *err)
{
        STORED *stored = store_get(call->api->store, cx_schema_resource("", "v1", "pods"), call->info.namespace,
                                   call->info.name);
        if (stored)
                return stored_parse(stored);
        (void)call_not_found(call, call->info.name, err);
        return NULL;
}

// The container that the query names, or the pod's only one (or its default by annotation).
static int choose_container(struct call *call, const json_t *pod, const char **ret_name, struct cx_error *err)
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
static void add_query(struct call *call, struct cx_buf *path)
{
        const char *query = cx_http_raw_query(call->request);
        if (*query)
                cx_buf_printf(path, "?%s", query);
}

static void add_exec_query(struct call *call, struct cx_buf *path)
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

static int container_backend(struct call *call, struct backend *backend, struct cx_error *err)
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
        r = node_backend(call, node, backend, err);
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
        backend->path = cx_buf_detach(&path);
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

static int service_backend(struct call *call, const char *name, const char *port, char **ret_host, int64_t *ret_port,
                           struct cx_error *err)
{
        json_auto_t *service =
                store_get_json(call->api->store, cx_schema_resource("", "v1", "services"), call->info.namespace, name);
        json_auto_t *endpoints =
                store_get_json(call->api->store, cx_schema_resource("", "v1", "endpoints"), call->info.namespace, name);
        if (!service)
                return call_not_found(call, name, err);
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

static int proxy_backend(struct call *call, struct backend *backend, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *text = cx_strdup(call->info.name);
        const char *scheme, *name, *port;
        split_proxy_name(text, &scheme, &name, &port);
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, *call->info.rest ? call->info.rest : "/");
        add_query(call, &path);
        backend->path = cx_buf_detach(&path);
        if (cx_streq(call->info.resource, "nodes"))
                return node_backend(call, name, backend, err);
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
        backend->base_url = cx_sprintf("%s://%s:%ld", cx_streq(scheme, "https") ? "https" : "http", host, (long)number);
        return 0;
}

bool serve_connect(struct call *call)
{
        static const char *const of_container[] = {"log", "exec", "attach", "portforward"};
        const char *sub = call->info.subresource;
        bool container = false, proxy = cx_streq(sub, "proxy");
        for (size_t i = 0; i < CX_ARRAY_SIZE(of_container); i++)
                container |= cx_streq(call->info.resource, "pods") && cx_streq(sub, of_container[i]);
        if (*call->info.group || (!container && !proxy))
                return false;
        struct backend backend = {0};
        CX_ERROR err = CX_ERROR_INIT;
        int r = container ? container_backend(call, &backend, &err) : proxy_backend(call, &backend, &err);
        bool upgrade = !cx_streq(sub, "log") && cx_http_header(call->request, "Upgrade") != NULL;
        if (r == 0 && container && !cx_streq(sub, "log") && !upgrade)
                r = cx_error_reason(&err, CX_REASON_BAD_REQUEST, "Upgrade request required");
        if (r == 0)
                r = upgrade ? join_upgraded(call, &backend, &err) : relay(call, &backend, &err);
        backend_release(&backend);
        if (r < 0)
                respond_error(call, &err);
        return true;
}
