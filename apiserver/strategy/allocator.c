// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/allocator.h"

#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <arpa/inet.h>

#define PORT_PREFIX "/registry/ranges/nodeports/"
#define TRIES 128

static const struct cx_resource *addresses(void)
{
        return cx_schema_resource("networking.k8s.io", "v1", "ipaddresses");
}

// --- addresses ---

static bool in_network(const struct apiserver *api, uint32_t address)
{
        return (address & api->service_mask) == api->service_network;
}

static int take_address(struct apiserver *api, const char *address, const char *namespace, const char *service,
                        struct cx_error *err)
{
        char uid[CX_UID_TEXT], now[CX_TIME_TEXT];
        cx_random_uid(uid);
        cx_time_format(cx_time_now(), now);
        json_auto_t *object = json_pack(
                "{s:s,s:s,s:{s:s,s:s,s:s,s:{s:s,s:s}},s:{s:{s:s,s:s,s:s,s:s}}}", "kind", "IPAddress", "apiVersion",
                "networking.k8s.io/v1", "metadata", "name", address, "uid", uid, "creationTimestamp", now, "labels",
                "ipaddress.kubernetes.io/ip-family", "IPv4", "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io",
                "spec", "parentRef", "group", "", "resource", "services", "namespace", namespace, "name", service);
        return store_put(api->store, addresses(), NULL, address, object, 0, 0, NULL, err);
}

static bool holds_address(struct apiserver *api, const char *address, const char *namespace, const char *service)
{
        json_auto_t *object = store_get_json(api->store, addresses(), NULL, address);
        return cx_streq(cx_json_string(object, "spec.parentRef.namespace"), namespace) &&
               cx_streq(cx_json_string(object, "spec.parentRef.name"), service);
}

int allocate_address(struct apiserver *api, const char *address, const char *namespace, const char *service,
                     struct cx_error *err)
{
        struct in_addr parsed;
        CX_ERROR why = CX_ERROR_INIT;
        if (inet_pton(AF_INET, address, &parsed) != 1 || !in_network(api, ntohl(parsed.s_addr)))
                return cx_error_reason(err, CX_REASON_INVALID,
                                       "failed to allocate IP %s: the provided IP (%s) is not in the valid range. The "
                                       "range of valid IPs is %s",
                                       address, address, api->options.service_cluster_ip_range);
        int r = take_address(api, address, namespace, service, &why);
        if (cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                return cx_error_reason(err, CX_REASON_INVALID,
                                       "failed to allocate IP %s: provided IP is already allocated", address);
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int allocate_any_address(struct apiserver *api, const char *namespace, const char *service, char to[16],
                         struct cx_error *err)
{
        uint32_t size = ~api->service_mask;
        for (int i = 0; i < TRIES; i++) {
                // Neither the network's own address, nor the first (the apiserver's service), nor broadcast.
                uint32_t offset = 2 + (uint32_t)cx_random_below(size - 2);
                struct in_addr address = {.s_addr = htonl(api->service_network + offset)};
                CX_ERROR why = CX_ERROR_INIT;
                inet_ntop(AF_INET, &address, to, 16);
                int r = take_address(api, to, namespace, service, &why);
                if (r == 0)
                        return 0;
                if (!cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                        return cx_error_move(err, &why);
        }
        return cx_error_reason(err, CX_REASON_INTERNAL, "failed to allocate a serviceIP: range is full");
}

void release_address(struct apiserver *api, const char *address, const char *namespace, const char *service)
{
        STORED *stored = store_get(api->store, addresses(), NULL, address);
        CX_ERROR err = CX_ERROR_INIT;
        if (!stored || !holds_address(api, address, namespace, service))
                return;
        if (store_delete(api->store, addresses(), NULL, address, stored->revision, NULL, &err) < 0)
                cx_err(&err, "Cannot give back a cluster IP; the repair loop will", "address", address);
}

// --- ports ---

static int take_port(struct apiserver *api, int port, const char *namespace, const char *service, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf(PORT_PREFIX "%d", port);
        CX_CLEANUP(cx_freep) char *holder = cx_sprintf("%s/%s", namespace, service);
        return cx_etcd_put(api->etcd, key, holder, strlen(holder), 0, 0, NULL, NULL, err);
}

int allocate_port(struct apiserver *api, int port, const char *namespace, const char *service, struct cx_error *err)
{
        CX_ERROR why = CX_ERROR_INIT;
        if (port < api->node_port_first || port > api->node_port_last)
                return cx_error_reason(err, CX_REASON_INVALID,
                                       "provided port is not in the valid range. The range of valid ports is %d-%d",
                                       api->node_port_first, api->node_port_last);
        int r = take_port(api, port, namespace, service, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT))
                return cx_error_reason(err, CX_REASON_INVALID, "provided port is already allocated");
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int allocate_any_port(struct apiserver *api, const char *namespace, const char *service, int *ret_port,
                      struct cx_error *err)
{
        int count = api->node_port_last - api->node_port_first + 1;
        int start = (int)cx_random_below((uint64_t)count);
        for (int i = 0; i < count; i++) {
                int port = api->node_port_first + (start + i) % count;
                CX_ERROR why = CX_ERROR_INIT;
                if (take_port(api, port, namespace, service, &why) == 0) {
                        *ret_port = port;
                        return 0;
                }
                if (!cx_error_is(&why, CX_REASON_CONFLICT))
                        return cx_error_move(err, &why);
        }
        return cx_error_reason(err, CX_REASON_INTERNAL, "failed to allocate a nodePort: range is full");
}

void release_port(struct apiserver *api, int port, const char *namespace, const char *service)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf(PORT_PREFIX "%d", port);
        CX_CLEANUP(cx_freep) char *holder = cx_sprintf("%s/%s", namespace, service);
        struct cx_etcd_kv kv = {0};
        CX_ERROR err = CX_ERROR_INIT;
        int r = cx_etcd_get(api->etcd, key, &kv, NULL, &err);
        if (r == 0 && cx_streq(kv.value, holder))
                r = cx_etcd_delete(api->etcd, key, kv.mod_revision, NULL, NULL, &err);
        if (r < 0 && !cx_error_is(&err, CX_REASON_NOT_FOUND))
                cx_err(&err, "Cannot give back a node port; the repair loop will", "port", CX_INT(port));
        cx_etcd_kv_release(&kv);
}

// --- repair ---

struct held_ports {
        struct apiserver *api;
        struct cx_strings ports, holders;
};

static void note_port(void *context, struct cx_etcd_kv *kv)
{
        struct held_ports *held = context;
        if (kv->mod_revision > held->api->repair_revision)
                return; // its service may be about to be written
        cx_strings_add(&held->ports, kv->key + strlen(PORT_PREFIX));
        cx_strings_add(&held->holders, kv->value);
}

// Does the service (still) use the address or port? Asked of etcd: the cache may lag behind a creation.
static bool service_uses(struct apiserver *api, const char *namespace, const char *name, const char *address,
                         int64_t port)
{
        STORED *stored = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_resource *services = cx_schema_resource("", "v1", "services");
        if (store_read(api->store, services, namespace, name, &stored, &err) < 0)
                return !cx_error_is(&err, CX_REASON_NOT_FOUND); // not known: keep
        json_auto_t *service = stored_parse(stored);
        if (address)
                return cx_streq(cx_json_string(service, "spec.clusterIP"), address);
        const json_t *ports = cx_json_get(service, "spec.ports");
        for (size_t i = 0; i < json_array_size(ports); i++)
                if (cx_json_int(json_array_get(ports, i), "nodePort", 0) == port)
                        return true;
        return cx_json_int(service, "spec.healthCheckNodePort", 0) == port;
}

static bool is_young(const json_t *object)
{
        int64_t made;
        return cx_time_parse(cx_json_string_or(object, "metadata.creationTimestamp", ""), &made) == 0 &&
               cx_time_now() - made < 60 * CX_US_PER_S;
}

static void repair_addresses(struct apiserver *api)
{
        STORED_LIST list = {0};
        struct filter all = {.resource = addresses()};
        cache_list(store_cache(api->store, addresses()), &all, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_auto_t *object = stored_parse(list.items[i]);
                const char *namespace = cx_json_string_or(object, "spec.parentRef.namespace", "");
                const char *name = cx_json_string_or(object, "spec.parentRef.name", "");
                // A young one may belong to a service that is being written right now.
                if (is_young(object) || service_uses(api, namespace, name, list.items[i]->name, 0))
                        continue;
                cx_info("Giving back a cluster IP whose service is gone", "address", list.items[i]->name);
                release_address(api, list.items[i]->name, namespace, name);
        }
}

static void repair_ports(struct apiserver *api)
{
        struct held_ports held = {.api = api};
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_etcd_range(api->etcd, PORT_PREFIX, "/registry/ranges/nodeports0", 0, 0, note_port, &held, NULL, NULL,
                          &err) < 0)
                cx_err(&err, "Cannot read the node ports");
        for (size_t i = 0; i < held.ports.count; i++) {
                int64_t port;
                char *slash = strchr(held.holders.items[i], '/');
                if (!slash || cx_parse_int(held.ports.items[i], 1, 65535, &port) < 0)
                        continue;
                *slash = '\0';
                if (!service_uses(api, held.holders.items[i], slash + 1, NULL, port))
                        release_port(api, (int)port, held.holders.items[i], slash + 1);
        }
        cx_strings_release(&held.ports);
        cx_strings_release(&held.holders);
}

void allocator_repair(struct apiserver *api)
{
        int64_t revision = store_revision(api->store);
        repair_addresses(api);
        if (api->repair_revision)
                repair_ports(api);
        api->repair_revision = revision;
}
