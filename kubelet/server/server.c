// SPDX-License-Identifier: Apache-2.0
// The routes, and the two listeners: TLS for all of them, and plain health on the loopback.
#include "kubelet/server/server_internal.h"

#include "kubelet/pod/pods.h"
#include "kubelet/probe/probe.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

bool server_flag(struct cx_http_request *request, const char *name, const char *other)
{
        const char *value = cx_http_query(request, name);
        if (!value && other)
                value = cx_http_query(request, other);
        return value && *value && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}

static bool route(const char *path, const char *prefix, struct cx_strings *ret_parts)
{
        size_t n = strlen(prefix);
        if (strncmp(path, prefix, n) != 0 || (path[n] && path[n] != '/'))
                return false;
        if (path[n] == '/' && path[n + 1])
                cx_strings_split(ret_parts, path + n + 1, '/');
        return true;
}

// /exec/NS/POD[/UID]/CONTAINER. The running container (a reference), or NULL after answering why not.
static struct container *running_container(struct kubelet_server *s, struct cx_http_request *request,
                                           const struct cx_strings *parts)
{
        CX_CLEANUP(cx_freep) char *why = NULL;
        json_auto_t *pod = NULL;
        if (parts->count != 3 && parts->count != 4) {
                cx_http_respond_text(request, 404, "404 page not found\n");
                return NULL;
        }
        pod = pods_find(s->pods, parts->items[0], parts->items[1]);
        if (!pod) {
                why = cx_sprintf("pod does not exist");
                cx_http_respond_text(request, 404, why);
                return NULL;
        }
        const char *name = parts->items[parts->count - 1];
        struct container *c =
                runtime_container(s->kubelet->runtime, cx_json_string_or(pod, "metadata.uid", ""), name, false);
        struct container_state state = {.status = CONTAINER_EXITED};
        if (c)
                container_state(s->kubelet->runtime, c, &state);
        if (state.status == CONTAINER_RUNNING)
                return c;
        container_unref(c);
        why = cx_sprintf("container not found (\"%s\")", name);
        cx_http_respond_text(request, 404, why);
        return NULL;
}

static void run_command(struct kubelet_server *s, struct cx_http_request *request, const struct cx_strings *parts)
{
        CX_CLEANUP(container_unrefp) struct container *c = running_container(s, request, parts);
        if (!c)
                return;
        CX_STRINGS argv = CX_STRINGS_INIT;
        const char *command = cx_http_query(request, "cmd");
        for (const char *p = cx_str(command); *p;) { // words, as upstream splits them
                p += strspn(p, " ");
                size_t n = strcspn(p, " ");
                if (n)
                        cx_strings_add_length(&argv, p, n);
                p += n;
        }
        if (!argv.count) {
                cx_http_respond_text(request, 400, "query parameter \"cmd\" is required");
                return;
        }
        argv.items = cx_realloc_array(argv.items, argv.count + 1, sizeof *argv.items);
        argv.items[argv.count] = NULL;
        CX_BUF output = CX_BUF_INIT_MAX(1 << 20);
        CX_ERROR err = CX_ERROR_INIT;
        int status = 0;
        int r = container_exec(
                s->kubelet->runtime, c,
                &(struct exec_options){.argv = (const char *const *)argv.items, .timeout = 300 * CX_NS_PER_S}, &output,
                &status, &err);
        if (r < 0)
                cx_http_respond_text(request, 500, cx_error_text(&err));
        else
                cx_http_respond(request, status == 0 ? 200 : 500, "text/plain", output.data, output.length);
}

static void respond_pods(struct kubelet_server *s, struct cx_http_request *request)
{
        json_t *items = pods_list(s->pods);
        cx_http_respond_json(
                request, 200,
                json_pack("{s:s, s:s, s:{}, s:o}", "kind", "PodList", "apiVersion", "v1", "metadata", "items", items));
}

static void respond_metrics(struct kubelet_server *s, struct cx_http_request *request,
                            void (*write_metrics)(struct kubelet_server *, struct cx_buf *))
{
        CX_BUF text = CX_BUF_INIT;
        write_metrics(s, &text);
        cx_http_respond_buf(request, 200, CX_METRICS_CONTENT_TYPE, &text);
}

static void server_probe_metrics(struct kubelet_server *s, struct cx_buf *to)
{
        probes_write_metrics(s->probes, to);
}

static void forward(struct kubelet_server *s, struct cx_http_request *request, const struct cx_strings *parts)
{
        json_auto_t *pod =
                parts->count == 2 || parts->count == 3 ? pods_find(s->pods, parts->items[0], parts->items[1]) : NULL;
        if (pod)
                server_port_forward(s, request, cx_json_string_or(pod, "metadata.uid", ""));
        else
                cx_http_respond_text(request, 404, "pod does not exist");
}

static void handle(struct cx_http_request *request, void *context)
{
        struct kubelet_server *s = context;
        const char *path = cx_http_path(request);
        CX_STRINGS parts = CX_STRINGS_INIT;
        if (!server_authorize(s, request))
                return;
        if (route(path, "/containerLogs", &parts) && parts.count == 3) {
                server_logs(s, request, parts.items[0], parts.items[1], parts.items[2]);
        } else if (route(path, "/exec", &parts)) {
                struct container *c = running_container(s, request, &parts);
                if (c)
                        server_exec(s, request, c);
        } else if (route(path, "/attach", &parts)) {
                struct container *c = running_container(s, request, &parts);
                if (c)
                        server_attach(s, request, c);
        } else if (route(path, "/portForward", &parts)) {
                forward(s, request, &parts);
        } else if (route(path, "/run", &parts)) {
                run_command(s, request, &parts);
        } else if (strcmp(path, "/pods") == 0 || strcmp(path, "/pods/") == 0 || strcmp(path, "/runningpods/") == 0) {
                respond_pods(s, request);
        } else if (strcmp(path, "/healthz") == 0 || cx_has_prefix(path, "/healthz/")) {
                cx_http_respond_text(request, 200, "ok");
        } else if (strcmp(path, "/metrics") == 0) {
                respond_metrics(s, request, server_metrics);
        } else if (strcmp(path, "/metrics/resource") == 0) {
                respond_metrics(s, request, server_resource_metrics);
        } else if (strcmp(path, "/metrics/cadvisor") == 0) {
                respond_metrics(s, request, server_cadvisor_metrics);
        } else if (strcmp(path, "/metrics/probes") == 0) {
                respond_metrics(s, request, server_probe_metrics);
        } else if (strcmp(path, "/stats/summary") == 0) {
                cx_http_respond_json(request, 200, server_stats(s));
        } else if (strcmp(path, "/configz") == 0) {
                cx_http_respond_json(request, 200,
                                     json_pack("{s:o}", "kubeletconfig", kubelet_settings_json(s->settings)));
        } else {
                cx_http_respond_text(request, 404, "404 page not found\n");
        }
}

static void handle_health(struct cx_http_request *request, void *context CX_UNUSED)
{
        bool known = cx_has_prefix(cx_http_path(request), "/healthz");
        cx_http_respond_text(request, known ? 200 : 404, known ? "ok" : "404 page not found\n");
}

struct serving_files {
        char *cert, *key;
};

static void serving_files_release(struct serving_files *files)
{
        free(files->cert);
        free(files->key);
}

static int make_self_signed(const struct kubelet_server *s, const struct serving_files *files, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        CX_STRINGS names = CX_STRINGS_INIT;
        cx_strings_add(&names, s->kubelet->node_name);
        int r = cx_pki_issue(&(struct cx_certificate_spec){.common_name = s->kubelet->node_name,
                                                           .dns_names = &names,
                                                           .ip_addresses = &s->kubelet->node_ips,
                                                           .server = true,
                                                           .lifetime = 365 * 24 * 3600},
                             NULL, NULL, &cert, &key, err);
        if (r == 0)
                r = cx_write_file(files->key, key, strlen(key), 0600, false, err);
        return r < 0 ? r : cx_write_file(files->cert, cert, strlen(cert), 0644, false, err);
}

// The files given, else a self-signed pair that is kept in the folder of certificates.
static int find_files(const struct kubelet_server *s, struct serving_files *ret_files, struct cx_error *err)
{
        const struct kubelet_settings *o = s->settings;
        if (o->tls_cert_file && *o->tls_cert_file) {
                *ret_files = (struct serving_files){cx_strdup(o->tls_cert_file),
                                                    cx_strdup(o->tls_key_file ? o->tls_key_file : o->tls_cert_file)};
                return 0;
        }
        *ret_files = (struct serving_files){cx_sprintf("%s/kubelet.crt", o->cert_dir),
                                            cx_sprintf("%s/kubelet.key", o->cert_dir)};
        if (access(ret_files->cert, R_OK) == 0 && access(ret_files->key, R_OK) == 0)
                return 0;
        int r = cx_mkdir_all(o->cert_dir, 0700, err);
        return r < 0 ? r : make_self_signed(s, ret_files, err);
}

static int open_port(struct kubelet_server *s, struct cx_error *err)
{
        const struct kubelet_settings *o = s->settings;
        CX_CLEANUP(serving_files_release) struct serving_files files = {0};
        int r = find_files(s, &files, err);
        if (r < 0)
                return r;
        bool ca = o->client_ca_file && *o->client_ca_file;
        return cx_http_server_new(&(struct cx_http_server_options){.address = o->address,
                                                                   .port = (int)o->port,
                                                                   .cert_file = files.cert,
                                                                   .key_file = files.key,
                                                                   .client_ca_file = ca ? o->client_ca_file : NULL,
                                                                   .io_threads = 1,
                                                                   .workers = 4,
                                                                   .handler = handle,
                                                                   .context = s},
                                  &s->server, err);
}

int kubelet_server_use(struct kubelet_server *s, const char *pair, struct cx_error *err)
{
        return s->server ? cx_http_server_use(s->server, pair, pair, err) : 0;
}

int kubelet_server_start(const struct kubelet *kubelet, const struct kubelet_settings *settings, struct pods *pods,
                         struct volumes *volumes, struct probes *probes, struct kubelet_server **ret_server,
                         struct cx_error *err)
{
        struct kubelet_server *s = cx_alloc(sizeof *s);
        s->kubelet = kubelet;
        s->settings = settings;
        s->pods = pods;
        s->volumes = volumes;
        s->probes = probes;
        s->metrics = cx_metrics_new();
        s->disk_uses = disk_uses_new(kubelet->runtime);
        s->auth = cx_delegated_auth_new(
                &(struct cx_delegated_auth_options){.tokens = settings->webhook_auth ? kubelet->rest : NULL,
                                                    .permissions = kubelet->rest,
                                                    .anonymous = settings->anonymous_auth});
        int r = settings->port > 0 ? open_port(s, err) : 0;
        if (r == 0 && settings->healthz_port > 0)
                r = cx_http_server_new(&(struct cx_http_server_options){.address = "127.0.0.1",
                                                                        .port = (int)settings->healthz_port,
                                                                        .io_threads = 1,
                                                                        .workers = 1,
                                                                        .handler = handle_health},
                                       &s->healthz, err);
        if (r < 0) {
                kubelet_server_free(s);
                return r;
        }
        *ret_server = s;
        return 0;
}

bool kubelet_server_alive(const struct kubelet_server *s, int64_t limit)
{
        return (!s->server || cx_http_server_alive(s->server, limit)) &&
               (!s->healthz || cx_http_server_alive(s->healthz, limit));
}

void kubelet_server_free(struct kubelet_server *s)
{
        if (!s)
                return;
        cx_http_server_free(s->server);
        cx_http_server_free(s->healthz);
        cx_metrics_free(s->metrics);
        cx_delegated_auth_free(s->auth);
        disk_uses_free(s->disk_uses);
        free(s);
}
