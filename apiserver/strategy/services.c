// SPDX-License-Identifier: Apache-2.0
// Services take addresses and node ports that no other service has. An address is taken by creating its IPAddress
// object, a port by creating its key: both succeed once in etcd, so any number of apiservers agree without state of
// their own.
#include "apiserver/request/errors.h"
#include "apiserver/strategy/allocator.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

static bool has_cluster_ip(const json_t *service)
{
        return !cx_streq(cx_json_string(service, "spec.type"), "ExternalName");
}

static bool wants_node_ports(const json_t *service)
{
        const char *type = cx_json_string(service, "spec.type");
        return cx_streq(type, "NodePort") ||
               (cx_streq(type, "LoadBalancer") && cx_json_bool(service, "spec.allocateLoadBalancerNodePorts", false));
}

static bool wants_health_port(const json_t *service)
{
        return cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer") &&
               cx_streq(cx_json_string(service, "spec.externalTrafficPolicy"), "Local");
}

static const char *address_of(const json_t *service)
{
        const char *address = cx_json_string(service, "spec.clusterIP");
        return address && *address && strcmp(address, "None") != 0 ? address : NULL;
}

// --- clearing and carrying over before the rules are checked ---

static int prepare_create(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        json_object_set_new(object, "status", json_pack("{s:{}}", "loadBalancer"));
        return 0;
}

static const json_t *same_port(const json_t *ports, const json_t *port)
{
        for (size_t i = 0; i < json_array_size(ports); i++) {
                const json_t *other = json_array_get(ports, i);
                if (cx_json_int(other, "port", 0) == cx_json_int(port, "port", 0) &&
                    cx_streq(cx_json_string(other, "protocol"), cx_json_string(port, "protocol")))
                        return other;
        }
        return NULL;
}

static void carry(json_t *object, const json_t *old, const char *path)
{
        if (!cx_json_get(object, path) && cx_json_get(old, path))
                (void)cx_json_set(object, path, json_incref(cx_json_get(old, path)));
}

static bool is_externally_accessible(const json_t *service)
{
        const char *type = cx_json_string(service, "spec.type");
        return cx_streq(type, "NodePort") || cx_streq(type, "LoadBalancer") ||
               (!cx_streq(type, "ExternalName") && cx_json_count(service, "spec.externalIPs"));
}

// Takes fields out of the spec that the client left as they were.
static void drop_unchanged(json_t *object, const json_t *old, const char *const *fields, size_t count)
{
        json_t *spec = json_object_get(object, "spec");
        const json_t *before = json_object_get(old, "spec");
        for (size_t i = 0; i < count; i++)
                if (json_equal(json_object_get(spec, fields[i]), json_object_get(before, fields[i])))
                        json_object_del(spec, fields[i]);
}

// What was given to a Service for its type goes when it changes to a type that has no use for it.
static void drop_type_dependent(json_t *object, const json_t *old)
{
        static const char *const addresses[] = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};
        static const char *const balancer[] = {"allocateLoadBalancerNodePorts", "loadBalancerClass"};
        static const char *const policy[] = {"externalTrafficPolicy"}, *const health[] = {"healthCheckNodePort"};
        bool was_balancer = cx_streq(cx_json_string(old, "spec.type"), "LoadBalancer");
        if (has_cluster_ip(old) && !has_cluster_ip(object))
                drop_unchanged(object, old, addresses, CX_ARRAY_SIZE(addresses));
        if (was_balancer && !cx_streq(cx_json_string(object, "spec.type"), "LoadBalancer"))
                drop_unchanged(object, old, balancer, CX_ARRAY_SIZE(balancer));
        if (wants_health_port(old) && !wants_health_port(object))
                drop_unchanged(object, old, health, 1);
        if (is_externally_accessible(old) && !is_externally_accessible(object))
                drop_unchanged(object, old, policy, 1);
        json_t *ports = cx_json_get(object, "spec.ports");
        for (size_t i = 0; wants_node_ports(old) && !wants_node_ports(object) && i < json_array_size(ports); i++) {
                json_t *port = json_array_get(ports, i);
                const json_t *before = same_port(cx_json_get(old, "spec.ports"), port);
                if (before && cx_json_int(port, "nodePort", 0) == cx_json_int(before, "nodePort", 0))
                        json_object_del(port, "nodePort");
        }
}

static int prepare_update(const struct scope *scope CX_UNUSED, json_t *object, const json_t *old,
                          struct cx_error *err CX_UNUSED)
{
        if (scope->subresource)
                return 0;
        drop_type_dependent(object, old);
        if (!has_cluster_ip(object))
                return 0;
        if (has_cluster_ip(old)) {
                const char *address = cx_json_string(object, "spec.clusterIP");
                if (!address || !*address) {
                        cx_json_remove(object, "spec.clusterIP");
                        carry(object, old, "spec.clusterIP");
                        cx_json_remove(object, "spec.clusterIPs");
                }
                carry(object, old, "spec.clusterIPs");
                carry(object, old, "spec.ipFamilies");
                carry(object, old, "spec.ipFamilyPolicy");
        }
        if (wants_health_port(object) && wants_health_port(old))
                carry(object, old, "spec.healthCheckNodePort");
        json_t *ports = cx_json_get(object, "spec.ports");
        for (size_t i = 0; i < json_array_size(ports); i++) {
                json_t *port = json_array_get(ports, i);
                const json_t *before = same_port(cx_json_get(old, "spec.ports"), port);
                if (wants_node_ports(object) && !cx_json_int(port, "nodePort", 0) && cx_json_int(before, "nodePort", 0))
                        json_object_set(port, "nodePort", json_object_get(before, "nodePort"));
        }
        return 0;
}

// Services have IPv4 addresses.
static void validate_families(const json_t *object, struct cx_error *causes)
{
        size_t i;
        const json_t *family;
        if (cx_streq(cx_json_string(object, "spec.ipFamilyPolicy"), "RequireDualStack"))
                cx_error_cause(causes, "FieldValueInvalid", "spec.ipFamilyPolicy",
                               "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack "
                               "services");
        json_array_foreach (cx_json_get(object, "spec.ipFamilies"), i, family) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("spec.ipFamilies[%zu]", i);
                if (cx_streq(json_string_value(family), "IPv6"))
                        cx_error_cause(causes, "FieldValueInvalid", field,
                                       "Invalid value: \"IPv6\": not configured on this cluster");
        }
}

static void validate(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                     struct cx_error *causes)
{
        const char *before = cx_json_string(old, "spec.clusterIP"), *now = cx_json_string(object, "spec.clusterIP");
        if (old && !scope->subresource && has_cluster_ip(old) && has_cluster_ip(object) && before && *before &&
            !cx_streq(before, now))
                cx_error_cause(causes, "FieldValueInvalid", "spec.clusterIPs[0]",
                               "Invalid value: [\"%s\"]: may not change once set", cx_str(now));
        validate_families(object, causes);
}

// --- taking and giving back ---

static int invalid(const json_t *object, const char *field, const char *value, const char *why, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        cx_error_cause(&causes, "FieldValueInvalid", field, "Invalid value: %s: %s", value, why);
        return object_invalid("", "Service", cx_json_string(object, "metadata.name"), &causes, err);
}

static int take_address(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        const char *asked = cx_json_string(object, "spec.clusterIP"), *before = old ? address_of(old) : NULL;
        struct holder holder = {scope->namespace, cx_json_string(object, "metadata.name"), scope->dry_run};
        json_t *spec = json_object_get(object, "spec");
        if (!has_cluster_ip(object))
                return 0;
        if (cx_streq(asked, "None")) {
                json_object_set_new(spec, "clusterIPs", json_pack("[s]", "None"));
        } else if (!before || !cx_streq(before, asked)) {
                char address[CX_ADDRESS_TEXT];
                CX_ERROR why = CX_ERROR_INIT;
                int r = asked && *asked ? allocate_address(scope->api, asked, &holder, &why)
                                        : allocate_any_address(scope->api, &holder, address, &why);
                if (r < 0 && cx_error_is(&why, CX_REASON_INVALID)) {
                        CX_CLEANUP(cx_freep) char *value = cx_sprintf("[\"%s\"]", cx_str(asked));
                        return invalid(object, "spec.clusterIPs", value, cx_error_text(&why), err);
                }
                if (r < 0)
                        return cx_error_move(err, &why);
                if (!asked || !*asked)
                        json_object_set_new(spec, "clusterIP", json_string(address));
                json_object_set_new(spec, "clusterIPs", json_pack("[O]", json_object_get(spec, "clusterIP")));
        }
        if (!json_object_get(spec, "ipFamilies"))
                json_object_set_new(spec, "ipFamilies", json_pack("[s]", "IPv4"));
        if (!json_object_get(spec, "ipFamilyPolicy"))
                json_object_set_new(spec, "ipFamilyPolicy", json_string("SingleStack"));
        return 0;
}

static bool has_port(const json_t *service, int64_t number)
{
        const json_t *ports = cx_json_get(service, "spec.ports");
        for (size_t i = 0; i < json_array_size(ports); i++)
                if (cx_json_int(json_array_get(ports, i), "nodePort", 0) == number)
                        return true;
        return cx_json_int(service, "spec.healthCheckNodePort", 0) == number;
}

#define TRIES 100

// Takes the port that `part` asks for at `key`, or any when it asks for none.
static int take_port(const struct scope *scope, json_t *object, const json_t *old, json_t *part, const char *key,
                     const char *field, struct cx_error *err)
{
        struct holder holder = {scope->namespace, cx_json_string(object, "metadata.name"), scope->dry_run};
        int64_t asked = cx_json_int(part, key, 0);
        if (asked && old && has_port(old, asked))
                return 0;
        int port = (int)asked;
        CX_ERROR why = CX_ERROR_INIT;
        int r = 0, tries = 0;
        do { // nothing holds what a dry run has shown for another port
                r = asked ? allocate_port(scope->api, (int)asked, &holder, &why)
                          : allocate_any_port(scope->api, &holder, &port, &why);
        } while (r == 0 && !asked && scope->dry_run && has_port(object, port) && ++tries < TRIES);
        if (r < 0 && cx_error_is(&why, CX_REASON_INVALID))
                return invalid(object, field, CX_INT(asked), cx_error_text(&why), err);
        if (r < 0)
                return cx_error_move(err, &why);
        json_object_set_new(part, key, json_integer(port));
        return 0;
}

static int take_ports(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        json_t *ports = cx_json_get(object, "spec.ports");
        for (size_t i = 0; wants_node_ports(object) && i < json_array_size(ports); i++) {
                json_t *port = json_array_get(ports, i);
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("spec.ports[%zu].nodePort", i);
                // one number may serve TCP and UDP of the same service
                int64_t asked = cx_json_int(port, "nodePort", 0);
                bool shared = false;
                for (size_t j = 0; asked && j < i; j++)
                        shared |= cx_json_int(json_array_get(ports, j), "nodePort", 0) == asked;
                int r = shared ? 0 : take_port(scope, object, old, port, "nodePort", field, err);
                if (r < 0)
                        return r;
        }
        if (wants_health_port(object))
                return take_port(scope, object, old, json_object_get(object, "spec"), "healthCheckNodePort",
                                 "spec.healthCheckNodePort", err);
        return 0;
}

static void release(struct apiserver *api, const json_t *object, const json_t *kept)
{
        const char *address = address_of(object);
        struct holder holder = {cx_json_string_or(object, "metadata.namespace", ""),
                                cx_json_string_or(object, "metadata.name", "")};
        if (address && !(kept && cx_streq(address_of(kept), address)))
                release_address(api, address, &holder);
        const json_t *ports = cx_json_get(object, "spec.ports");
        for (size_t i = 0; i < json_array_size(ports); i++) {
                int64_t port = cx_json_int(json_array_get(ports, i), "nodePort", 0);
                if (port && !(kept && has_port(kept, port)))
                        release_port(api, (int)port, &holder);
        }
        int64_t health = cx_json_int(object, "spec.healthCheckNodePort", 0);
        if (health && !(kept && has_port(kept, health)))
                release_port(api, (int)health, &holder);
}

static int allocate(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        int r = take_address(scope, object, old, err);
        if (r == 0)
                r = take_ports(scope, object, old, err);
        if (r < 0 && !scope->dry_run)
                release(scope->api, object, old); // only what this service holds is given back
        return r;
}

const struct strategy strategy_services = {
        .group = "",
        .resource = "services",
        .prepare_create = prepare_create,
        .prepare_update = prepare_update,
        .validate = validate,
        .allocate = allocate,
        .release = release,
        .status_takes_finalizers = true, // upstream's service controller may write nothing but the status
};
