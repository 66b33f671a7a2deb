// SPDX-License-Identifier: Apache-2.0
// What the aggregation of API servers needs to be there: an APIService for each group and version of our own, as clients
// look for, and how other API servers recognize the requests that we pass on to them.
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/bootstrap/ensure.h"
#include "apiserver/registry/registry.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define GROUP "apiregistration.k8s.io"

// --- local services --------------------------------------------------------------------------------------------------

struct priority {
        const char *group, *version;
        int of_group, of_version;
};

// Upstream's places in discovery; what is not listed has those of custom resources.
static struct priority priority_of(const char *group, const char *version)
{
        static const struct priority known[] = {
                {"", "v1", 18000, 1},
                {"admissionregistration.k8s.io", "v1", 16700, 15},
                {"apiextensions.k8s.io", "v1", 16700, 15},
                {"apps", "v1", 17800, 15},
                {"authentication.k8s.io", "v1", 17700, 15},
                {"authorization.k8s.io", "v1", 17600, 15},
                {"autoscaling", "v1", 17500, 15},
                {"autoscaling", "v2", 17500, 30},
                {"batch", "v1", 17400, 15},
                {"certificates.k8s.io", "v1", 17300, 15},
                {"coordination.k8s.io", "v1", 16500, 15},
                {"discovery.k8s.io", "v1", 16200, 15},
                {"events.k8s.io", "v1", 17750, 15},
                {"flowcontrol.apiserver.k8s.io", "v1", 16100, 21},
                {"networking.k8s.io", "v1", 17200, 15},
                {"node.k8s.io", "v1", 16300, 15},
                {"policy", "v1", 17100, 15},
                {"rbac.authorization.k8s.io", "v1", 17000, 15},
                {"resource.k8s.io", "v1", 16200, 15},
                {"scheduling.k8s.io", "v1", 16600, 15},
                {"storage.k8s.io", "v1", 16800, 15},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(known); i++)
                if (strcmp(known[i].group, group) == 0 && strcmp(known[i].version, version) == 0)
                        return known[i];
        return (struct priority){group, version, 1000, 100};
}

static int say_local(void *context CX_UNUSED, const struct scope *scope CX_UNUSED, const json_t *current,
                     json_t **ret_object, struct cx_error *err CX_UNUSED)
{
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        *ret_object = json_deep_copy(current);
        json_object_set_new(*ret_object, "status",
                            json_pack("{s:[{s:s,s:s,s:s,s:s,s:s}]}", "conditions", "type", "Available", "status",
                                      "True", "lastTransitionTime", now, "reason", "Local", "message",
                                      "Local APIServices are always available"));
        return 0;
}

static int ensure_local(struct apiserver *api, const struct cx_resource *of, struct cx_error *err)
{
        const struct served_kind *kind = builtin(api, GROUP, "v1", "apiservices");
        const struct priority priority = priority_of(of->group, of->version);
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s.%s", of->version, of->group);
        struct scope scope = scope_own(api, kind, NULL, name);
        STORED *stored = scope_find(&scope);
        if (stored)
                return 0;
        json_t *spec = json_pack("{s:s,s:s,s:i,s:i}", "group", of->group, "version", of->version,
                                 "groupPriorityMinimum", priority.of_group, "versionPriority", priority.of_version);
        int r = ensure_object(api, kind,
                              json_pack("{s:{s:s,s:{s:s}},s:o}", "metadata", "name", name, "labels",
                                        "kube-aggregator.kubernetes.io/automanaged", "onstart", "spec", spec),
                              err);
        struct change change = {.compute = say_local, .fresh = true};
        scope.subresource = "status";
        return r < 0 ? r : registry_update(&scope, &change, &stored, NULL, err);
}

// The group of APIServices itself is not one of them, as upstream.
static int ensure_locals(struct apiserver *api, struct cx_error *err)
{
        KIND_SET *served = kinds_snapshot(api->kinds);
        const struct cx_resource *last = NULL;
        int r = 0;
        for (size_t i = 0; i < served->resources.count && r == 0; i++) {
                const struct cx_resource *resource = served->resources.items[i];
                if (last && strcmp(last->group, resource->group) == 0 && strcmp(last->version, resource->version) == 0)
                        continue;
                last = resource;
                if (strcmp(resource->group, GROUP) != 0)
                        r = ensure_local(api, resource, err);
        }
        return r;
}

// --- how we are recognized -------------------------------------------------------------------------------------------

static int read_certificates(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = cx_buf_read_file(to, path);
        return r < 0 ? cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static json_t *as_text(const struct cx_strings *list)
{
        json_auto_t *array = json_array();
        for (size_t i = 0; i < list->count; i++)
                json_array_append_new(array, json_string(list->items[i]));
        CX_BUF text = CX_BUF_INIT;
        cx_json_dump(array, &text);
        return json_string(text.data);
}

static int set_data(void *context, const struct scope *scope CX_UNUSED, const json_t *current, json_t **ret_object,
                    struct cx_error *err CX_UNUSED)
{
        const json_t *wanted = context;
        *ret_object = json_deep_copy(current ? current : wanted);
        json_object_update(cx_json_object_at(*ret_object, "data"), json_object_get(wanted, "data"));
        return 0;
}

static bool has_all(const json_t *have, const json_t *wanted)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)wanted, key, value)
                if (!json_equal(json_object_get(have, key), value))
                        return false;
        return true;
}

// The ConfigMap that aggregated servers read: whose client certificates they may believe, and which headers. What another
// apiserver has said beyond that stays.
static int publish(struct apiserver *api, struct cx_error *err)
{
        const struct apiserver_options *o = &api->options;
        CX_BUF clients = CX_BUF_INIT_MAX(1 << 20), proxies = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *data = json_object(), *wanted = NULL;
        int r = o->client_ca_file ? read_certificates(o->client_ca_file, &clients, err) : 0;
        if (r == 0 && o->requestheader_client_ca_file)
                r = read_certificates(o->requestheader_client_ca_file, &proxies, err);
        if (r < 0)
                return r;
        if (clients.length)
                json_object_set_new(data, "client-ca-file", json_string(clients.data));
        if (proxies.length) {
                json_object_set_new(data, "requestheader-client-ca-file", json_string(proxies.data));
                json_object_set_new(data, "requestheader-allowed-names", as_text(&o->requestheader_allowed_names));
                json_object_set_new(data, "requestheader-username-headers",
                                    as_text(&o->requestheader_username_headers));
                json_object_set_new(data, "requestheader-uid-headers", as_text(&o->requestheader_uid_headers));
                json_object_set_new(data, "requestheader-group-headers", as_text(&o->requestheader_group_headers));
                json_object_set_new(data, "requestheader-extra-headers-prefix",
                                    as_text(&o->requestheader_extra_headers_prefix));
        }
        const struct served_kind *kind = builtin(api, "", "v1", "configmaps");
        struct scope scope = scope_own(api, kind, "kube-system", "extension-apiserver-authentication");
        json_auto_t *have = scope_find_json(&scope);
        if (have && has_all(json_object_get(have, "data"), data))
                return 0;
        wanted = json_pack("{s:s,s:s,s:{s:s,s:s},s:O}", "kind", "ConfigMap", "apiVersion", "v1", "metadata", "name",
                           scope.name, "namespace", scope.namespace, "data", data);
        struct change change = {.compute = set_data, .context = wanted, .create_if_absent = true};
        STORED *stored = NULL;
        return registry_update(&scope, &change, &stored, NULL, err);
}

void aggregation_heartbeat(struct apiserver *api)
{
        CX_ERROR err = CX_ERROR_INIT;
        int r = ensure_locals(api, &err);
        if (r == 0)
                r = publish(api, &err);
        if (r < 0 && !cx_error_is(&err, CX_REASON_CONFLICT))
                cx_err(&err, "Cannot keep what aggregated API servers need");
}
