// SPDX-License-Identifier: Apache-2.0
// What a cluster has from the start: its namespaces, priority classes and the service "kubernetes". Each apiserver keeps
// a leased key with its address; the endpoints of the service are the keys that live (upstream's lease reconciler).
#include "apiserver/endpoints/endpoints.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <arpa/inet.h>

#define MASTERS "/registry/masterleases/"
#define MASTERS_END "/registry/masterleases0"
#define MASTER_TTL 15

static int ensure(struct apiserver *api, const char *group, const char *version, const char *resource,
                  json_t *object_steal, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        const struct cx_resource *found = cx_schema_resource(group, version, resource);
        const char *namespace = cx_json_string(object, "metadata.namespace"),
                   *name = cx_json_string(object, "metadata.name");
        STORED *present = store_get(api->store, found, namespace, name);
        CX_ERROR why = CX_ERROR_INIT;
        char uid[CX_UID_TEXT], now[CX_TIME_TEXT], api_version[128];
        if (present)
                return 0;
        cx_random_uid(uid);
        cx_time_format(cx_time_now(), now);
        json_object_set_new(object, "kind", json_string(found->kind->kind));
        json_object_set_new(object, "apiVersion", json_string(cx_join_api_version(api_version, group, version)));
        cx_json_set_string(object, "metadata.uid", uid);
        cx_json_set_string(object, "metadata.creationTimestamp", now);
        int r = store_put(api->store, found, namespace, name, object, 0, 0, NULL, &why);
        if (r < 0 && !cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                return cx_error_move(err, &why);
        return 0;
}

static const char *first_address(const struct apiserver *api, char to[16])
{
        struct in_addr address = {.s_addr = htonl(api->service_network + 1)};
        inet_ntop(AF_INET, &address, to, 16);
        return to;
}

static int ensure_service(struct apiserver *api, struct cx_error *err)
{
        char address[16];
        first_address(api, address);
        int r = ensure(api, "networking.k8s.io", "v1", "servicecidrs",
                       json_pack("{s:{s:s},s:{s:[s]}}", "metadata", "name", "kubernetes", "spec", "cidrs",
                                 api->options.service_cluster_ip_range),
                       err);
        if (r == 0)
                r = ensure(api, "networking.k8s.io", "v1", "ipaddresses",
                           json_pack("{s:{s:s,s:{s:s,s:s}},s:{s:{s:s,s:s,s:s,s:s}}}", "metadata", "name", address,
                                     "labels", "ipaddress.kubernetes.io/ip-family", "IPv4",
                                     "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io", "spec", "parentRef",
                                     "group", "", "resource", "services", "namespace", "default", "name", "kubernetes"),
                           err);
        if (r < 0)
                return r;
        return ensure(
                api, "", "v1", "services",
                json_pack(
                        "{s:{s:s,s:s,s:{s:s,s:s}},s:{s:s,s:[s],s:[s],s:s,s:s,s:s,s:s,s:[{s:s,s:i,s:I,s:s}]},s:{s:{}}}",
                        "metadata", "name", "kubernetes", "namespace", "default", "labels", "component", "apiserver",
                        "provider", "kubernetes", "spec", "clusterIP", address, "clusterIPs", address, "ipFamilies",
                        "IPv4", "ipFamilyPolicy", "SingleStack", "type", "ClusterIP", "sessionAffinity", "None",
                        "internalTrafficPolicy", "Cluster", "ports", "name", "https", "port", 443, "targetPort",
                        (json_int_t)api->options.secure_port, "protocol", "TCP", "status", "loadBalancer"),
                err);
}

int system_objects(struct apiserver *api, struct cx_error *err)
{
        static const char *const namespaces[] = {"default", "kube-node-lease", "kube-public", "kube-system"};
        static const struct {
                const char *name, *description;
                int value;
        } classes[] = {
                {"system-cluster-critical",
                 "Used for system critical pods that must run in the cluster, but can be moved to another node if "
                 "necessary.",
                 2000000000},
                {"system-node-critical",
                 "Used for system critical pods that must not be moved from their current node.", 2000001000}};
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(namespaces); i++)
                r = ensure(api, "", "v1", "namespaces",
                           json_pack("{s:{s:s,s:{s:s}},s:{s:[s]},s:{s:s}}", "metadata", "name", namespaces[i], "labels",
                                     "kubernetes.io/metadata.name", namespaces[i], "spec", "finalizers", "kubernetes",
                                     "status", "phase", "Active"),
                           err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(classes); i++)
                r = ensure(api, "scheduling.k8s.io", "v1", "priorityclasses",
                           json_pack("{s:{s:s,s:i},s:i,s:s,s:s}", "metadata", "name", classes[i].name, "generation", 1,
                                     "value", classes[i].value, "description", classes[i].description,
                                     "preemptionPolicy", "PreemptLowerPriority"),
                           err);
        return r < 0 ? r : ensure_service(api, err);
}

// --- endpoints of the service ---

static void note_master(void *context, struct cx_etcd_kv *kv)
{
        cx_strings_add(context, kv->key + strlen(MASTERS));
}

static int write_if_changed(struct apiserver *api, const struct cx_resource *resource, json_t *wanted, const char *part,
                            struct cx_error *err)
{
        const char *name = cx_json_string(wanted, "metadata.name");
        STORED *stored = store_get(api->store, resource, "default", name);
        if (!stored)
                return ensure(api, resource->group, resource->version, resource->resource, json_deep_copy(wanted), err);
        json_auto_t *present = stored_parse(stored);
        if (json_equal(json_object_get(present, part), json_object_get(wanted, part)))
                return 0;
        json_object_set(present, part, json_object_get(wanted, part));
        return store_put(api->store, resource, "default", name, present, stored->revision, 0, NULL, err);
}

static int write_endpoints(struct apiserver *api, const struct cx_strings *masters, struct cx_error *err)
{
        json_t *addresses = json_array(), *endpoints = json_array();
        int port = (int)api->options.secure_port;
        for (size_t i = 0; i < masters->count; i++) {
                json_array_append_new(addresses, json_pack("{s:s}", "ip", masters->items[i]));
                json_array_append_new(endpoints, json_pack("{s:[s],s:{s:b}}", "addresses", masters->items[i],
                                                           "conditions", "ready", 1));
        }
        json_auto_t *list =
                json_pack("{s:{s:s,s:s,s:{s:s}},s:[{s:o,s:[{s:s,s:i,s:s}]}]}", "metadata", "name", "kubernetes",
                          "namespace", "default", "labels", "endpointslice.kubernetes.io/skip-mirror", "true",
                          "subsets", "addresses", addresses, "ports", "name", "https", "port", port, "protocol", "TCP");
        json_auto_t *slice =
                json_pack("{s:{s:s,s:s,s:{s:s}},s:s,s:o,s:[{s:s,s:i,s:s}]}", "metadata", "name", "kubernetes",
                          "namespace", "default", "labels", "kubernetes.io/service-name", "kubernetes", "addressType",
                          "IPv4", "endpoints", endpoints, "ports", "name", "https", "port", port, "protocol", "TCP");
        int r = write_if_changed(api, cx_schema_resource("", "v1", "endpoints"), list, "subsets", err);
        if (r == 0)
                r = write_if_changed(api, cx_schema_resource("discovery.k8s.io", "v1", "endpointslices"), slice,
                                     "endpoints", err);
        return r;
}

static char *own_key(const struct apiserver *api)
{
        return cx_sprintf(MASTERS "%s", api->options.advertise_address);
}

// Writes the own key under a new lease, whatever is there.
static int renew(struct apiserver *api, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = own_key(api);
        int64_t lease = 0;
        struct cx_etcd_kv kv = {0};
        int r = cx_etcd_lease_grant(api->etcd, MASTER_TTL, &lease, err);
        if (r < 0)
                return r;
        int64_t expected = cx_etcd_get(api->etcd, key, &kv, NULL, NULL) == 0 ? kv.mod_revision : 0;
        cx_etcd_kv_release(&kv);
        return cx_etcd_put(api->etcd, key, "{}", 2, expected, lease, NULL, NULL, err);
}

void system_heartbeat(struct apiserver *api)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS masters = CX_STRINGS_INIT;
        int r = renew(api, &err);
        if (r == 0)
                r = cx_etcd_range(api->etcd, MASTERS, MASTERS_END, 0, 0, note_master, &masters, NULL, NULL, &err);
        cx_strings_sort(&masters);
        if (r == 0)
                r = write_endpoints(api, &masters, &err);
        if (r < 0 && !cx_error_is(&err, CX_REASON_CONFLICT))
                cx_err(&err, "Cannot keep the endpoints of the service kubernetes");
}

void system_goodbye(struct apiserver *api)
{
        CX_CLEANUP(cx_freep) char *key = own_key(api);
        struct cx_etcd_kv kv = {0};
        CX_STRINGS masters = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_etcd_get(api->etcd, key, &kv, NULL, NULL) == 0 &&
            cx_etcd_delete(api->etcd, key, kv.mod_revision, NULL, NULL, &err) == 0 &&
            cx_etcd_range(api->etcd, MASTERS, MASTERS_END, 0, 0, note_master, &masters, NULL, NULL, &err) == 0 &&
            masters.count)
                (void)!write_endpoints(api, &masters, &err);
        cx_etcd_kv_release(&kv);
}
