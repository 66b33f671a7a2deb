// SPDX-License-Identifier: Apache-2.0
// Services.
#include "libcommon/api/names.h"
#include "libcommon/base/address.h"
#include "libcommon/schema/validate/validate.h"

static const char *check_external_ip(const char *text)
{
        struct cx_address address;
        return cx_address_parse(text, &address) < 0 ? cx_check_ip(text) : cx_address_why_special(&address);
}

static void check_service_port(struct cx_validator *v, const json_t *port, const char *type, bool several)
{
        const json_t *target = json_object_get(port, "targetPort");
        if (!json_object_get(port, "port"))
                cx_invalid(v, "port", NULL, "must be between 1 and 65535, inclusive");
        if (several && !*cx_json_string_or(port, "name", ""))
                cx_required(v, "name", NULL);
        cx_check_text(v, port, "name", cx_check_dns1123_label);
        cx_check_text(v, port, "appProtocol", cx_check_qualified_name);
        if (json_is_string(target))
                cx_check_text(v, port, "targetPort", cx_check_port_name);
        else if (target && (json_integer_value(target) < 1 || json_integer_value(target) > 65535))
                cx_invalid(v, "targetPort", target, "must be between 1 and 65535, inclusive");
        if (strcmp(type, "ClusterIP") == 0 && cx_json_int(port, "nodePort", 0))
                cx_forbidden(v, "nodePort", "may not be used when `type` is 'ClusterIP'");
}

static void check_service_ports(struct cx_validator *v, const json_t *spec, const char *type)
{
        const json_t *ports = json_object_get(spec, "ports");
        json_auto_t *names = json_object();
        size_t i;
        json_t *port;
        json_array_foreach (ports, i, port) {
                const char *name = cx_json_string_or(port, "name", "");
                size_t length = cx_enter(v, ".ports[%zu]", i);
                check_service_port(v, port, type, json_array_size(ports) > 1);
                if (*name && json_object_get(names, name))
                        cx_duplicate(v, "name", json_object_get(port, "name"));
                json_object_set_new(names, name, json_true());
                cx_leave(v, length);
        }
}

// What only balancers have.
static void check_balancer(struct cx_validator *v, const json_t *spec, bool balancer)
{
        size_t i;
        const json_t *value;
        if (!balancer && json_object_get(spec, "allocateLoadBalancerNodePorts"))
                cx_forbidden(v, "allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'");
        if (!balancer && json_object_get(spec, "loadBalancerClass"))
                cx_forbidden(v, "loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
        else
                cx_check_text(v, spec, "loadBalancerClass", cx_check_qualified_name);
        if (!balancer && cx_json_count(spec, "loadBalancerSourceRanges")) {
                cx_forbidden(v, "LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'");
                return;
        }
        json_array_foreach (json_object_get(spec, "loadBalancerSourceRanges"), i, value) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("LoadBalancerSourceRanges[%zu]", i);
                if (!cx_is_network(json_string_value(value), CX_FAMILY_NONE))
                        cx_invalid(v, field, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        }
}

static void check_traffic(struct cx_validator *v, const json_t *spec, const char *type)
{
        const json_t *policy = json_object_get(spec, "externalTrafficPolicy");
        bool balancer = strcmp(type, "LoadBalancer") == 0, local = cx_streq(json_string_value(policy), "Local");
        bool accessible = balancer || strcmp(type, "NodePort") == 0 ||
                          (strcmp(type, "ClusterIP") == 0 && cx_json_count(spec, "externalIPs"));
        if (policy && !accessible)
                cx_invalid(v, "externalTrafficPolicy", policy, "may only be set for externally-accessible services");
        if (cx_json_int(spec, "healthCheckNodePort", 0) && !(balancer && local))
                cx_invalid(v, "healthCheckNodePort", json_object_get(spec, "healthCheckNodePort"),
                           "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
        if (cx_streq(cx_json_string_or(spec, "sessionAffinity", "None"), "None") &&
            json_object_get(spec, "sessionAffinityConfig"))
                cx_forbidden(v, "sessionAffinityConfig", "must not be set when session affinity is None");
}

static void check_service(struct cx_validator *v, const json_t *spec)
{
        const char *type = cx_json_string_or(spec, "type", "ClusterIP");
        const char *ip = cx_json_string_or(spec, "clusterIP", "");
        bool headless = strcmp(ip, "None") == 0, external = strcmp(type, "ExternalName") == 0;
        const char *key, *wrong;
        json_t *value;
        size_t i;
        if (!cx_json_count(spec, "ports") && !headless && !external)
                cx_required(v, "ports", NULL);
        check_service_ports(v, spec, type);
        if (external && !*cx_json_string_or(spec, "externalName", ""))
                cx_required(v, "externalName", NULL);
        if (external)
                cx_check_text(v, spec, "externalName", cx_check_dns1123_subdomain);
        if (headless && (strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0))
                cx_invalid_text(v, "clusterIPs[0]", ip,
                                *type == 'N' ? "may not be set to 'None' for NodePort services"
                                             : "may not be set to 'None' for LoadBalancer services");
        if (*ip && !headless && cx_check_ip(ip))
                cx_invalid_text(v, "clusterIPs[0]", ip, cx_check_ip(ip));
        json_array_foreach (json_object_get(spec, "externalIPs"), i, value) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("externalIPs[%zu]", i);
                if ((wrong = check_external_ip(cx_str(json_string_value(value)))))
                        cx_invalid(v, field, value, wrong);
        }
        check_balancer(v, spec, strcmp(type, "LoadBalancer") == 0);
        check_traffic(v, spec, type);
        json_object_foreach (json_object_get(spec, "selector"), key, value) {
                if ((wrong = cx_check_qualified_name(key)))
                        cx_invalid_text(v, "selector", key, wrong);
                if ((wrong = cx_check_label_value(cx_str(json_string_value(value)))))
                        cx_invalid(v, "selector", value, wrong);
        }
}

const struct cx_check cx_checks_service[] = {
        {"core.v1.ServiceSpec", check_service},
        {NULL, NULL},
};
