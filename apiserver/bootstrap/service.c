// SPDX-License-Identifier: Apache-2.0
// The service "kubernetes". Each apiserver keeps a leased key with its address; the endpoints of the service are the
// keys that live (upstream's lease reconciler).
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/bootstrap/ensure.h"
#include "apiserver/registry/registry.h"
#include "apiserver/strategy/allocator.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

#define MASTERS "/registry/masterleases/"
#define MASTERS_END "/registry/masterleases0"
#define MASTER_TTL 15

int bootstrap_service(struct apiserver *api, struct cx_error *err)
{
        char address[CX_ADDRESS_TEXT];
        allocator_first_address(api->allocator, address);
        int r = ensure_object(api, builtin(api, "networking.k8s.io", "v1", "servicecidrs"),
                              json_pack("{s:{s:s},s:{s:[s]}}", "metadata", "name", "kubernetes", "spec", "cidrs",
                                        api->options.service_cluster_ip_range),
                              err);
        if (r == 0)
                r = ensure_object(api, builtin(api, "networking.k8s.io", "v1", "ipaddresses"),
                                  address_object(address, &(struct holder){"default", "kubernetes"}), err);
        if (r < 0)
                return r;
        return ensure_object(api, builtin(api, "", "v1", "services"),
                             json_pack("{s:{s:s,s:s,s:{s:s,s:s}},s:{s:s,s:[s],s:s,s:[{s:s,s:i,s:I,s:s}]}}", "metadata",
                                       "name", "kubernetes", "namespace", "default", "labels", "component", "apiserver",
                                       "provider", "kubernetes", "spec", "clusterIP", address, "ipFamilies", "IPv4",
                                       "ipFamilyPolicy", "SingleStack", "ports", "name", "https", "port", 443,
                                       "targetPort", (json_int_t)api->options.secure_port, "protocol", "TCP"),
                             err);
}

// --- endpoints of the service ---

static void note_master(void *context, struct cx_etcd_kv *kv)
{
        cx_strings_add(context, kv->key + strlen(MASTERS));
}

// A part of an object that is to be as `wanted` has it, whoever changed it.
struct part {
        const json_t *wanted;
        const char *name;
};

static int set_part(void *context, const struct scope *scope CX_UNUSED, const json_t *current, json_t **ret_object,
                    struct cx_error *err CX_UNUSED)
{
        const struct part *part = context;
        json_t *object = json_deep_copy(current ? current : part->wanted);
        json_object_set(object, part->name, json_object_get(part->wanted, part->name));
        *ret_object = object;
        return 0;
}

static int keep_part(struct apiserver *api, const struct served_kind *kind, const json_t *wanted, const char *name,
                     struct cx_error *err)
{
        struct scope scope = scope_own(api, kind, "default", "kubernetes");
        struct part part = {.wanted = wanted, .name = name};
        struct change change = {.compute = set_part, .context = &part, .create_if_absent = true};
        STORED *stored = NULL;
        return registry_update(&scope, &change, &stored, NULL, err);
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
                json_pack("{s:s,s:s,s:{s:s,s:s,s:{s:s}},s:[{s:o,s:[{s:s,s:i,s:s}]}]}", "kind", "Endpoints",
                          "apiVersion", "v1", "metadata", "name", "kubernetes", "namespace", "default", "labels",
                          "endpointslice.kubernetes.io/skip-mirror", "true", "subsets", "addresses", addresses, "ports",
                          "name", "https", "port", port, "protocol", "TCP");
        json_auto_t *slice =
                json_pack("{s:s,s:s,s:{s:s,s:s,s:{s:s}},s:s,s:o,s:[{s:s,s:i,s:s}]}", "kind", "EndpointSlice",
                          "apiVersion", "discovery.k8s.io/v1", "metadata", "name", "kubernetes", "namespace", "default",
                          "labels", "kubernetes.io/service-name", "kubernetes", "addressType", "IPv4", "endpoints",
                          endpoints, "ports", "name", "https", "port", port, "protocol", "TCP");
        int r = keep_part(api, builtin(api, "", "v1", "endpoints"), list, "subsets", err);
        if (r == 0)
                r = keep_part(api, builtin(api, "discovery.k8s.io", "v1", "endpointslices"), slice, "endpoints", err);
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

void service_heartbeat(struct apiserver *api)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS masters = CX_STRINGS_INIT;
        int r = bootstrap_service(api, &err);
        if (r == 0)
                r = renew(api, &err);
        if (r == 0)
                r = cx_etcd_range(api->etcd, MASTERS, MASTERS_END, 0, 0, note_master, &masters, NULL, NULL, &err);
        cx_strings_sort(&masters);
        if (r == 0)
                r = write_endpoints(api, &masters, &err);
        if (r < 0 && !cx_error_is(&err, CX_REASON_CONFLICT))
                cx_err(&err, "Cannot keep the service kubernetes");
}

void service_goodbye(struct apiserver *api)
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
