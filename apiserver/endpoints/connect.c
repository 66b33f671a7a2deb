// SPDX-License-Identifier: Apache-2.0
// Everything that goes on to somewhere else: logs and streams of containers (to the kubelet), and the proxies to nodes,
// pods and services. This file finds out where to; relay.c and join.c pass it on.
#include "apiserver/admission/admission.h"
#include "apiserver/endpoints/backend.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/query.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

static int node_backend(struct call *call, const char *name, struct backend *backend, struct cx_error *err)
{
        json_auto_t *node = cache_find_json(builtin(call->api, "", "v1", "nodes")->cache, NULL, name);
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

static json_t *find_pod(const struct scope *scope, const char *name, struct cx_error *err)
{
        json_t *pod = cache_find_json(scope->kind->cache, scope->namespace, name);
        if (!pod)
                (void)object_not_found(scope->resource, name, err);
        return pod;
}

// The container that the query names, or the pod's only one (or its default by annotation).
static int choose_container(struct call *call, const json_t *pod, const char **ret_name, struct cx_error *err)
{
        const char *asked = cx_http_query(call->request, "container");
        const json_t *containers = cx_json_get(pod, "spec.containers");
        if (asked && *asked) {
                *ret_name = asked;
                if (cx_pod_container(json_object_get(pod, "spec"), asked, CX_POD_ALL, NULL))
                        return 0;
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
        json_auto_t *pod = find_pod(&call->scope, call->scope.name, err);
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
                add_raw_query(call, &path);
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
        const struct service_ref ref = {.namespace = call->info.namespace, .name = name, .port = port};
        struct service_found found;
        enum service_state state = service_endpoint(call->api, &ref, &found);
        if (state == SERVICE_ABSENT)
                return object_not_found(call->scope.resource, name, err);
        if (state != SERVICE_FOUND)
                return cx_error_reason(err, CX_REASON_UNAVAILABLE, "no endpoints available for service \"%s\"", name);
        *ret_host = found.host;
        *ret_port = found.port;
        return 0;
}

static int proxy_backend(struct call *call, struct backend *backend, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *text = cx_strdup(call->info.name);
        const char *scheme, *name, *port;
        split_proxy_name(text, &scheme, &name, &port);
        CX_BUF path = CX_BUF_INIT;
        add_url_path(&path, *call->info.rest ? call->info.rest : "/");
        add_raw_query(call, &path);
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
                json_auto_t *pod = find_pod(&call->scope, name, err);
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

// --- admission ---

// What is connected to, as admission sees it: PodExecOptions and the like, from the query by the fields of their type.
static json_t *connect_options(const struct call *call)
{
        const struct cx_subresource *part =
                cx_resource_subresource(call->scope.resource, cx_str(call->scope.subresource));
        const struct cx_kind *kind = cx_schema_kind(part->group, part->version, part->kind);
        char api_version[128];
        json_t *options = json_pack("{s:s,s:s}", "kind", part->kind, "apiVersion",
                                    cx_join_api_version(api_version, part->group, part->version));
        for (size_t i = 0; kind && i < kind->type->n_fields; i++) {
                const struct cx_field *field = &kind->type->fields[i];
                CX_STRINGS values = CX_STRINGS_INIT;
                cx_http_query_all(call->request, field->name, &values);
                for (size_t j = 0; j < values.count; j++) {
                        int64_t number = 0;
                        (void)!cx_parse_int(values.items[j], INT32_MIN, INT32_MAX, &number);
                        json_t *value = field->of == CX_OF_BOOL ? json_boolean(query_bool(call, field->name) > 0)
                                        : field->of == CX_OF_INT32 || field->of == CX_OF_INT64
                                                ? json_integer(number)
                                                : json_string(values.items[j]);
                        if (field->shape == CX_SHAPE_LIST)
                                json_array_append_new(cx_json_array_at(options, field->name), value);
                        else
                                json_object_set_new(options, field->name, value);
                }
        }
        if (cx_streq(call->scope.subresource, "proxy") && *call->info.rest)
                json_object_set_new(options, "path", json_string(call->info.rest));
        return options;
}

// Admission is asked about connections; reading a log is not one.
static int admit_connect(const struct call *call, struct cx_error *err)
{
        if (cx_streq(call->scope.subresource, "log"))
                return 0;
        json_auto_t *options = connect_options(call);
        struct admission_request admission = {.scope = &call->scope, .operation = ADMIT_CONNECT, .object = options};
        return admit(&admission, err);
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
        int r = admit_connect(call, &err);
        if (r == 0)
                r = container ? container_backend(call, &backend, &err) : proxy_backend(call, &backend, &err);
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
