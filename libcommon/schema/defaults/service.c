// SPDX-License-Identifier: Apache-2.0
// Conditional defaults of services and network policies. Cluster IPs and node ports are allocated by the apiserver.
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/defaults/defaults.h"

static void default_service_port(json_t *port)
{
        json_t *target = json_object_get(port, "targetPort");
        bool unset = !target || (json_is_integer(target) && json_integer_value(target) == 0) ||
                     (json_is_string(target) && json_string_length(target) == 0);
        json_t *number = json_object_get(port, "port");
        if (unset && number)
                json_object_set(port, "targetPort", number);
}

static void default_service_spec(json_t *spec)
{
        const char *type = cx_default_string(spec, "type");
        bool balancer = strcmp(type, "LoadBalancer") == 0, node_port = strcmp(type, "NodePort") == 0;
        bool cluster = strcmp(type, "ClusterIP") == 0;
        if (strcmp(cx_default_string(spec, "sessionAffinity"), "None") == 0) {
                json_object_del(spec, "sessionAffinityConfig");
        } else if (strcmp(cx_default_string(spec, "sessionAffinity"), "ClientIP") == 0) {
                json_t *config = cx_json_object_at(spec, "sessionAffinityConfig");
                cx_default_set_new(config, "clientIP", json_object());
        }
        if (balancer || node_port || (cluster && json_array_size(json_object_get(spec, "externalIPs"))))
                cx_default_set_new(spec, "externalTrafficPolicy", json_string("Cluster"));
        if (balancer || node_port || cluster)
                cx_default_set_new(spec, "internalTrafficPolicy", json_string("Cluster"));
        if (balancer)
                cx_default_set_new(spec, "allocateLoadBalancerNodePorts", json_true());
}

static void default_service(json_t *service)
{
        if (!cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer"))
                return;
        size_t i;
        json_t *ingress;
        json_array_foreach (cx_json_get(service, "status.loadBalancer.ingress"), i, ingress)
                if (*cx_default_string(ingress, "ip"))
                        cx_default_set_new(ingress, "ipMode", json_string("VIP"));
}

static void default_network_policy(json_t *spec)
{
        if (json_array_size(json_object_get(spec, "policyTypes")))
                return;
        json_t *types = json_pack("[s]", "Ingress");
        if (json_array_size(json_object_get(spec, "egress")))
                json_array_append_new(types, json_string("Egress"));
        json_object_set_new(spec, "policyTypes", types);
}

const struct cx_conditional_default cx_defaults_service[] = {
        {"core.v1.ServicePort", default_service_port},
        {"core.v1.ServiceSpec", default_service_spec},
        {"core.v1.Service", default_service},
        {"networking.v1.NetworkPolicySpec", default_network_policy},
        {NULL, NULL},
};
