// SPDX-License-Identifier: Apache-2.0
// Documents about the server and its API: health, version, discovery, metrics, keys. The big ones are in openapi.c.
#include "apiserver/endpoints/documents.h"
#include "apiserver/auth/tokens.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/request/media.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/version_info.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"

// --- health ---

struct check {
        const char *name;
        bool live; // part of /livez as well
        bool (*good)(struct apiserver *api);
};

static bool always(struct apiserver *api CX_UNUSED)
{
        return true;
}

static bool etcd_answers(struct apiserver *api)
{
        return store_sync(api->store, NULL) == 0;
}

static bool caches_follow(struct apiserver *api)
{
        return store_ready(api->store);
}

static bool is_started(struct apiserver *api)
{
        return atomic_load(&api->ready);
}

static bool is_staying(struct apiserver *api)
{
        return !atomic_load(&api->stopping);
}

static const struct check checks[] = {
        {"ping", true, always},
        {"log", true, always},
        {"etcd", true, etcd_answers},
        {"informer-sync", false, caches_follow},
        {"poststarthook/rbac/bootstrap-roles", true, is_started},
        {"shutdown", false, is_staying},
};

bool health_ready(struct apiserver *api)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(checks); i++)
                if (!checks[i].good(api))
                        return false;
        return true;
}

static void serve_health(struct call *call, const char *name, const char *rest)
{
        bool live = strcmp(name, "livez") == 0, all_good = true, found = !*rest;
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        CX_STRINGS excluded = CX_STRINGS_INIT;
        size_t used = 0;
        cx_http_query_all(call->request, "exclude", &excluded);
        for (size_t i = 0; i < CX_ARRAY_SIZE(checks); i++) {
                if ((live && !checks[i].live) || (*rest && strcmp(rest, checks[i].name) != 0))
                        continue;
                found = true;
                if (cx_strings_has(&excluded, checks[i].name)) {
                        used++;
                        cx_buf_printf(&text, "[+]%s excluded: ok\n", checks[i].name);
                        continue;
                }
                bool good = checks[i].good(call->api);
                all_good &= good;
                cx_buf_printf(&text, good ? "[+]%s ok\n" : "[-]%s failed: reason withheld\n", checks[i].name);
        }
        if (!found) {
                cx_http_respond_text(call->request, 404, "404 page not found\n");
                return;
        }
        if (used < excluded.count) {
                CX_CLEANUP(cx_freep) char *names = cx_strings_join(&excluded, "\",\"");
                cx_buf_printf(&text, "warn: some health checks cannot be excluded: no matches for \"%.200s\"\n", names);
        }
        cx_buf_printf(&text, "%s check %s\n", name, all_good ? "passed" : "failed");
        if (all_good && !cx_http_query(call->request, "verbose"))
                cx_http_respond_text(call->request, 200, "ok");
        else
                cx_http_respond_text(call->request, all_good ? 200 : 500, text.data);
}

// --- version, discovery ---

static json_t *version_document(void)
{
        return cx_version_info(CX_VERSION);
}

// Always for people to read, whoever asks.
static void serve_version(struct call *call)
{
        json_auto_t *document = version_document();
        CX_BUF text = CX_BUF_INIT;
        cx_json_dump_indented(document, &text);
        cx_http_respond_buf(call->request, 200, "application/json", &text);
}

static bool wants_aggregated(const struct call *call)
{
        const char *accept = cx_str(cx_http_header(call->request, "Accept"));
        struct media media;
        while (media_next(&accept, &media))
                if (strcmp(media.as, "APIGroupDiscoveryList") == 0 && strcmp(media.group, "apidiscovery.k8s.io") == 0 &&
                    strcmp(media.version, "v2") == 0)
                        return true;
        return false;
}

static void respond_or_404(struct call *call, json_t *document_steal)
{
        if (document_steal) {
                respond_object(call, 200, document_steal);
                return;
        }
        cx_http_respond_text(call->request, 404, "404 page not found\n");
}

static void serve_groups(struct call *call, const struct cx_resource_set *all)
{
        json_t *list = cx_discovery_groups(all);
        aggregate_groups(call->api->api_services, list);
        respond_object(call, 200, list);
}

static bool serve_discovery(struct call *call, const char *path)
{
        KIND_SET *served = kinds_snapshot(call->api->kinds);
        const struct cx_resource_set *all = &served->resources;
        char group[INFO_PART], version[64];
        if (strcmp(path, "/api") == 0 || strcmp(path, "/api/") == 0) {
                if (wants_aggregated(call)) {
                        serve_aggregated_discovery(call, true);
                        return true;
                }
                CX_CLEANUP(cx_freep)
                char *address = cx_sprintf("%s:%ld", call->api->options.advertise_address,
                                           (long)call->api->options.secure_port);
                respond_object(call, 200, cx_discovery_api_versions(address));
                return true;
        }
        if (strcmp(path, "/apis") == 0 || strcmp(path, "/apis/") == 0) {
                if (wants_aggregated(call))
                        serve_aggregated_discovery(call, false);
                else
                        serve_groups(call, all);
                return true;
        }
        if (strcmp(path, "/api/v1") == 0 || strcmp(path, "/api/v1/") == 0) {
                respond_or_404(call, cx_discovery_resources(all, "", "v1"));
                return true;
        }
        if (!cx_has_prefix(path, "/apis/"))
                return false;
        path += strlen("/apis/");
        size_t length = strcspn(path, "/");
        if (length >= sizeof group)
                return false;
        memcpy(group, path, length);
        group[length] = '\0';
        path += length + (path[length] == '/');
        if (!*path) {
                json_t *document = cx_discovery_group(all, group);
                aggregate_group(call->api->api_services, group, &document);
                respond_or_404(call, document);
                return true;
        }
        length = strcspn(path, "/");
        if (length >= sizeof version || (path[length] && path[length + 1]))
                return false;
        memcpy(version, path, length);
        version[length] = '\0';
        CX_CLEANUP(cx_freep) char *group_version = cx_sprintf("%s/%s", group, version);
        if (!serve_if_aggregated(call, group_version))
                respond_or_404(call, cx_discovery_resources(all, group, version));
        return true;
}

// --- the rest ---

static void serve_metrics(struct call *call)
{
        CX_BUF text = CX_BUF_INIT;
        cx_metrics_write(call->api->metrics, &text);
        cx_http_respond_buf(call->request, 200, CX_METRICS_CONTENT_TYPE, &text);
}

static json_t *root_paths(void)
{
        static const char *const fixed[] = {"/.well-known/openid-configuration",
                                            "/api",
                                            "/api/v1",
                                            "/apis",
                                            "/healthz",
                                            "/livez",
                                            "/metrics",
                                            "/openapi/v2",
                                            "/openapi/v3",
                                            "/openid/v1/jwks",
                                            "/readyz",
                                            "/version"};
        json_t *paths = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(fixed); i++)
                json_array_append_new(paths, json_string(fixed[i]));
        return json_pack("{s:o}", "paths", paths);
}

bool serve_document(struct call *call)
{
        static const char *const health[] = {"healthz", "livez", "readyz"};
        const char *path = call->info.path;
        for (size_t i = 0; i < CX_ARRAY_SIZE(health); i++) {
                size_t length = strlen(health[i]);
                if (strncmp(path + 1, health[i], length) == 0 && (!path[length + 1] || path[length + 1] == '/')) {
                        serve_health(call, health[i], path[length + 1] ? path + length + 2 : "");
                        return true;
                }
        }
        if (!cx_streq(call->info.verb, "get") && !cx_streq(call->info.verb, "head"))
                return false;
        if (strcmp(path, "/version") == 0 || strcmp(path, "/version/") == 0)
                serve_version(call);
        else if (strcmp(path, "/metrics") == 0)
                serve_metrics(call);
        else if (strcmp(path, "/") == 0)
                cx_http_respond_json(call->request, 200, root_paths());
        else if (strcmp(path, "/.well-known/openid-configuration") == 0)
                cx_http_respond_json(call->request, 200, token_openid_configuration(call->api->tokens));
        else if (strcmp(path, "/openid/v1/jwks") == 0)
                cx_http_respond_json(call->request, 200, token_key_set(call->api->tokens));
        else
                return serve_discovery(call, path) || serve_openapi(call);
        return true;
}
