// SPDX-License-Identifier: Apache-2.0
// The port of a component. Whether it lives is for everybody to see; the rest is for whom the API server lets read that path
// (nonResourceAttributes), and for system:masters when there is no API server to ask.
#include "libcommon/client/component_internal.h"

#include "libcommon/client/delegated_auth.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

static bool is_open(const struct cx_component *component, const char *path)
{
        for (size_t i = 0; i < component->open_paths.count; i++) {
                const char *open = component->open_paths.items[i];
                size_t length = strlen(open);
                bool rest = length && open[length - 1] == '*';
                if (rest ? strncmp(path, open, length - 1) == 0 : strcmp(path, open) == 0)
                        return true;
        }
        return false;
}

static bool is_master(const json_t *user)
{
        size_t i;
        json_t *group;
        json_array_foreach (json_object_get(user, "groups"), i, group)
                if (cx_streq(json_string_value(group), "system:masters"))
                        return true;
        return false;
}

// Answers 401 or 403 itself when the request may not pass.
static bool may_pass(struct cx_component *component, struct cx_http_request *request)
{
        const char *path = cx_http_path(request);
        if (is_open(component, path))
                return true;
        json_auto_t *user = cx_delegated_auth_user(component->auth, request);
        CX_ERROR err = CX_ERROR_INIT;
        if (!user) {
                (void)cx_error_reason(&err, CX_REASON_UNAUTHORIZED, "Unauthorized");
                cx_http_respond_error(request, &err);
                return false;
        }
        const char *method = cx_http_method(request);
        CX_CLEANUP(cx_freep) char *verb = cx_strdup(method);
        for (char *p = verb; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        if (is_master(user) || cx_delegated_auth_may(component->auth, user, "nonResourceAttributes",
                                                     json_pack("{s:s, s:s}", "path", path, "verb", verb)))
                return true;
        (void)cx_error_reason(&err, CX_REASON_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
                              cx_json_string_or(user, "username", ""), verb, path);
        cx_http_respond_error(request, &err);
        return false;
}

static void handle(struct cx_http_request *request, void *context)
{
        struct cx_component *component = context;
        const char *path = cx_http_path(request);
        bool started = atomic_load(&component->started);
        if (started && component->serve && component->serve(component, request))
                return;
        if (!may_pass(component, request))
                return;
        if (cx_streq(path, "/healthz") || cx_streq(path, "/livez")) {
                cx_http_respond_text(request, 200, "ok");
        } else if (cx_streq(path, "/readyz")) {
                bool ready = cx_component_ready(component);
                cx_http_respond_text(request, ready ? 200 : 500, ready ? "ok" : "not ready");
        } else if (cx_streq(path, "/metrics")) {
                CX_BUF text = CX_BUF_INIT;
                cx_metrics_write(component->metrics, &text);
                cx_http_respond_buf(request, 200, CX_METRICS_CONTENT_TYPE, &text);
        } else {
                bool later = !started && component->serve;
                cx_http_respond_text(request, later ? 503 : 404, later ? "not started yet\n" : "404 page not found\n");
        }
}

// Certificate and key of this run, for a component that is given none.
static int make_pair(const struct cx_component *component, char **ret_cert, char **ret_key, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        cx_strings_add(&names, "localhost");
        cx_strings_add(&addresses, "127.0.0.1");
        struct cx_certificate_spec spec = {.common_name = component->name,
                                           .dns_names = &names,
                                           .ip_addresses = &addresses,
                                           .server = true,
                                           .lifetime = 365 * 86400};
        return cx_pki_issue(&spec, NULL, NULL, ret_cert, ret_key, err);
}

static int make_server(struct cx_component *component, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        bool given = component->tls_cert_file && component->tls_key_file;
        int r = given ? 0 : make_pair(component, &cert, &key, err);
        if (r < 0)
                return r;
        return cx_http_server_new(
                &(struct cx_http_server_options){.address = component->bind_address,
                                                 .port = (int)component->port,
                                                 .cert_pem = cert,
                                                 .key_pem = key,
                                                 .cert_file = given ? component->tls_cert_file : NULL,
                                                 .key_file = given ? component->tls_key_file : NULL,
                                                 .client_ca_file = component->client_ca_file,
                                                 .front_proxy_ca_file = component->front_proxy_ca_file,
                                                 .io_threads = 1,
                                                 .workers = 1,
                                                 .max_connections = 256,
                                                 .handler = handle,
                                                 .context = component},
                &component->server, err);
}

// Who is asked about users or permissions: the API server of this file, or the component's own.
static int asked(struct cx_component *component, const char *kubeconfig, struct cx_rest **ret_own, struct cx_error *err)
{
        if (!kubeconfig || cx_streq(kubeconfig, component->kubeconfig))
                return 0;
        return cx_component_rest(component, kubeconfig, false, ret_own, err);
}

int cx_component_open_port(struct cx_component *component, struct cx_error *err)
{
        static const char *const open[] = {"/healthz", "/readyz", "/livez"};
        for (size_t i = 0; !component->open_paths_given && i < CX_ARRAY_SIZE(open); i++)
                cx_strings_add(&component->open_paths, open[i]);
        int r = asked(component, component->authentication_kubeconfig, &component->tokens, err);
        if (r == 0)
                r = asked(component, component->authorization_kubeconfig, &component->permissions, err);
        if (r < 0)
                return r;
        component->auth = cx_delegated_auth_new(&(struct cx_delegated_auth_options){
                .tokens = component->tokens ? component->tokens : component->rest,
                .permissions = component->permissions ? component->permissions : component->rest,
                .anonymous = true});
        return make_server(component, err);
}

void cx_component_close_port(struct cx_component *component)
{
        cx_http_server_free(cx_steal(&component->server));
        cx_delegated_auth_free(cx_steal(&component->auth));
        cx_rest_free(cx_steal(&component->tokens));
        cx_rest_free(cx_steal(&component->permissions));
        cx_strings_release(&component->open_paths);
}
