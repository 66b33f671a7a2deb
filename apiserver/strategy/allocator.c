// SPDX-License-Identifier: Apache-2.0
// Addresses are IPAddress objects, created and deleted through the registry; ports are keys of their own.
#include "apiserver/strategy/allocator.h"

#include "apiserver/request/write.h"
#include "libcommon/base/address.h"
#include "libcommon/base/flags.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define PORT_PREFIX "/registry/ranges/nodeports/"
#define TRIES 128

struct allocator {
        const char *range; // as the flag says it
        struct cx_network network;
        int first_port, last_port;
        int64_t repair_revision; // store's revision at the last repair
};

static int parse_network(const char *text, struct allocator *allocator, struct cx_error *err)
{
        if (cx_network_parse(text, &allocator->network) < 0 || allocator->network.base.family != CX_IPV4 ||
            allocator->network.prefix < 8 || allocator->network.prefix > 28)
                return cx_error_set(err, -EINVAL,
                                    "--service-cluster-ip-range: \"%s\" must be an IPv4 network, /8 to /28", text);
        allocator->range = text;
        return 0;
}

static int parse_ports(const char *text, struct allocator *allocator, struct cx_error *err)
{
        const char *dash = strchr(text, '-');
        CX_CLEANUP(cx_freep) char *first = cx_strndup(text, dash ? (size_t)(dash - text) : strlen(text));
        int64_t from, to;
        if (!dash || cx_parse_int(first, 1, 65535, &from) < 0 || cx_parse_int(dash + 1, from, 65535, &to) < 0)
                return cx_error_set(err, -EINVAL, "--service-node-port-range: \"%s\" must be like 30000-32767", text);
        allocator->first_port = (int)from;
        allocator->last_port = (int)to;
        return 0;
}

int allocator_new(const struct apiserver_options *options, struct allocator **ret_allocator, struct cx_error *err)
{
        struct allocator *allocator = cx_alloc(sizeof *allocator);
        int r = parse_network(options->service_cluster_ip_range, allocator, err);
        if (r == 0)
                r = parse_ports(options->service_node_port_range, allocator, err);
        if (r < 0) {
                allocator_free(allocator);
                return r;
        }
        *ret_allocator = allocator;
        return 0;
}

void allocator_free(struct allocator *allocator)
{
        free(allocator);
}

// --- addresses ---

static const struct served_kind *addresses(const struct apiserver *api)
{
        return builtin(api, "networking.k8s.io", "v1", "ipaddresses");
}

void allocator_first_address(const struct allocator *allocator, char to[CX_ADDRESS_TEXT])
{
        struct cx_address address = cx_network_at(&allocator->network, 1);
        cx_address_format(&address, to);
}

static bool is_reserved(const struct allocator *allocator, const char *address, const struct holder *holder)
{
        char first[CX_ADDRESS_TEXT];
        allocator_first_address(allocator, first);
        return strcmp(address, first) == 0 && cx_streq(holder->namespace, "default") &&
               cx_streq(holder->name, "kubernetes");
}

json_t *address_object(const char *address, const struct holder *holder)
{
        return json_pack("{s:s,s:s,s:{s:s,s:{s:s,s:s}},s:{s:{s:s,s:s,s:s,s:s}}}", "kind", "IPAddress", "apiVersion",
                         "networking.k8s.io/v1", "metadata", "name", address, "labels",
                         "ipaddress.kubernetes.io/ip-family", "IPv4", "ipaddress.kubernetes.io/managed-by",
                         "ipallocator.k8s.io", "spec", "parentRef", "group", "", "resource", "services", "namespace",
                         holder->namespace, "name", holder->name);
}

// What a dry run asks of etcd: 0 when nobody holds it.
static int is_free(int r, enum cx_reason held, struct cx_error *why_steal, struct cx_error *err)
{
        if (r == 0)
                return cx_error_reason(err, held, "it is held already");
        return cx_error_is(why_steal, CX_REASON_NOT_FOUND) ? 0 : cx_error_move(err, why_steal);
}

static int take_address(struct apiserver *api, const char *address, const struct holder *holder, struct cx_error *err)
{
        struct scope scope = scope_own(api, addresses(api), NULL, address);
        STORED *stored = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        if (holder->dry_run)
                return is_free(scope_read(&scope, &stored, &why), CX_REASON_ALREADY_EXISTS, &why, err);
        return api->writes->create(&scope, address_object(address, holder), &stored, err);
}

int allocate_address(struct apiserver *api, const char *address, const struct holder *holder, struct cx_error *err)
{
        const struct allocator *a = api->allocator;
        struct cx_address parsed;
        CX_ERROR why = CX_ERROR_INIT;
        if (cx_address_parse(address, &parsed) < 0 || !cx_network_has(&a->network, &parsed))
                return cx_error_reason(err, CX_REASON_INVALID,
                                       "failed to allocate IP %s: the provided IP (%s) is not in the valid range. The "
                                       "range of valid IPs is %s",
                                       address, address, a->range);
        if (is_reserved(a, address, holder))
                return 0;
        int r = take_address(api, address, holder, &why);
        if (cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                return cx_error_reason(err, CX_REASON_INVALID,
                                       "failed to allocate IP %s: provided IP is already allocated", address);
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int allocate_any_address(struct apiserver *api, const struct holder *holder, char to[CX_ADDRESS_TEXT],
                         struct cx_error *err)
{
        const struct allocator *a = api->allocator;
        for (int i = 0; i < TRIES; i++) {
                // Neither the network's own address, nor the first (the apiserver's service), nor broadcast.
                uint64_t offset = 2 + cx_random_below(cx_network_size(&a->network) - 3);
                struct cx_address address = cx_network_at(&a->network, offset);
                CX_ERROR why = CX_ERROR_INIT;
                cx_address_format(&address, to);
                int r = take_address(api, to, holder, &why);
                if (r == 0)
                        return 0;
                if (!cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                        return cx_error_move(err, &why);
        }
        return cx_error_reason(err, CX_REASON_INTERNAL, "failed to allocate a serviceIP: range is full");
}

void release_address(struct apiserver *api, const char *address, const struct holder *holder)
{
        json_auto_t *object = cache_find_json(addresses(api)->cache, NULL, address);
        if (is_reserved(api->allocator, address, holder) ||
            !cx_streq(cx_json_string(object, "spec.parentRef.namespace"), holder->namespace) ||
            !cx_streq(cx_json_string(object, "spec.parentRef.name"), holder->name))
                return;
        struct scope scope = scope_own(api, addresses(api), NULL, address);
        CX_CLEANUP(delete_options_release) struct delete_options options = DELETE_OPTIONS_INIT;
        options.uid = cx_strdup(cx_json_string(object, "metadata.uid"));
        STORED *left = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (api->writes->remove(&scope, &options, &left, NULL, &err) < 0 && !cx_error_is(&err, CX_REASON_NOT_FOUND))
                cx_err(&err, "Cannot give back a cluster IP; the repair loop will", "address", address);
}

// --- ports ---

static char *port_key(int port)
{
        return cx_sprintf(PORT_PREFIX "%d", port);
}

static char *port_value(const struct holder *holder)
{
        return cx_sprintf("%s/%s", holder->namespace, holder->name);
}

static int take_port(struct apiserver *api, int port, const struct holder *holder, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = port_key(port);
        CX_CLEANUP(cx_freep) char *value = port_value(holder);
        struct cx_etcd_kv kv = {0};
        CX_ERROR why = CX_ERROR_INIT;
        if (holder->dry_run) {
                int r = cx_etcd_get(api->etcd, key, &kv, NULL, &why);
                cx_etcd_kv_release(&kv);
                return is_free(r, CX_REASON_CONFLICT, &why, err);
        }
        return cx_etcd_put(api->etcd, key, value, strlen(value), 0, 0, NULL, NULL, err);
}

int allocate_port(struct apiserver *api, int port, const struct holder *holder, struct cx_error *err)
{
        const struct allocator *a = api->allocator;
        CX_ERROR why = CX_ERROR_INIT;
        if (port < a->first_port || port > a->last_port)
                return cx_error_reason(err, CX_REASON_INVALID,
                                       "provided port is not in the valid range. The range of valid ports is %d-%d",
                                       a->first_port, a->last_port);
        int r = take_port(api, port, holder, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT))
                return cx_error_reason(err, CX_REASON_INVALID, "provided port is already allocated");
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int allocate_any_port(struct apiserver *api, const struct holder *holder, int *ret_port, struct cx_error *err)
{
        const struct allocator *a = api->allocator;
        int count = a->last_port - a->first_port + 1, start = (int)cx_random_below((uint64_t)count);
        for (int i = 0; i < count; i++) {
                int port = a->first_port + (start + i) % count;
                CX_ERROR why = CX_ERROR_INIT;
                if (take_port(api, port, holder, &why) == 0) {
                        *ret_port = port;
                        return 0;
                }
                if (!cx_error_is(&why, CX_REASON_CONFLICT))
                        return cx_error_move(err, &why);
        }
        return cx_error_reason(err, CX_REASON_INTERNAL, "failed to allocate a nodePort: range is full");
}

void release_port(struct apiserver *api, int port, const struct holder *holder)
{
        CX_CLEANUP(cx_freep) char *key = port_key(port);
        CX_CLEANUP(cx_freep) char *value = port_value(holder);
        struct cx_etcd_kv kv = {0};
        CX_ERROR err = CX_ERROR_INIT;
        int r = cx_etcd_get(api->etcd, key, &kv, NULL, &err);
        if (r == 0 && cx_streq(kv.value, value))
                r = cx_etcd_delete(api->etcd, key, kv.mod_revision, NULL, NULL, &err);
        if (r < 0 && !cx_error_is(&err, CX_REASON_NOT_FOUND))
                cx_err(&err, "Cannot give back a node port; the repair loop will", "port", CX_INT(port));
        cx_etcd_kv_release(&kv);
}

// --- repair ---

struct held_ports {
        const struct allocator *allocator;
        struct cx_strings ports, holders;
};

static void note_port(void *context, struct cx_etcd_kv *kv)
{
        struct held_ports *held = context;
        if (kv->mod_revision > held->allocator->repair_revision)
                return; // its service may be about to be written
        cx_strings_add(&held->ports, kv->key + strlen(PORT_PREFIX));
        cx_strings_add(&held->holders, kv->value);
}

// Does the service (still) use the address or port? Asked of etcd: the cache may lag behind a creation.
static bool service_uses(struct apiserver *api, const struct holder *holder, const char *address, int64_t port)
{
        STORED *stored = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        struct cache *services = builtin(api, "", "v1", "services")->cache;
        if (store_read(api->store, services, holder->namespace, holder->name, &stored, &err) < 0)
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
        struct filter all = {0};
        cache_list(addresses(api)->cache, &all, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_auto_t *object = stored_parse(list.items[i]);
                struct holder holder = {cx_json_string_or(object, "spec.parentRef.namespace", ""),
                                        cx_json_string_or(object, "spec.parentRef.name", "")};
                // A young one may belong to a service that is being written right now.
                if (is_young(object) || service_uses(api, &holder, list.items[i]->name, 0) ||
                    is_reserved(api->allocator, list.items[i]->name, &holder))
                        continue;
                cx_info("Giving back a cluster IP whose service is gone", "address", list.items[i]->name);
                release_address(api, list.items[i]->name, &holder);
        }
}

static void repair_ports(struct apiserver *api)
{
        struct held_ports held = {.allocator = api->allocator};
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
                struct holder holder = {held.holders.items[i], slash + 1};
                if (!service_uses(api, &holder, NULL, port))
                        release_port(api, (int)port, &holder);
        }
        cx_strings_release(&held.ports);
        cx_strings_release(&held.holders);
}

void allocator_repair(struct apiserver *api)
{
        int64_t revision = store_revision(api->store);
        repair_addresses(api);
        if (api->allocator->repair_revision)
                repair_ports(api);
        api->allocator->repair_revision = revision;
}
