// SPDX-License-Identifier: Apache-2.0
// The checks, one after the other; the first that fails tells.
#include "kubelet/pod/admit.h"

#include "kubelet/runtime/runtime.h"
#include "libcommon/api/node_affinity.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/api/taints.h"
#include "libcommon/format/json.h"

const char *admission_lacks(const struct admission *a, struct cx_buf *to)
{
        CX_RESOURCE_LIST wanted = {0};
        CX_RESOURCE_LIST used = {0};
        size_t i;
        json_t *other;
        cx_pod_resources(json_object_get(a->pod, "spec"), NULL, &wanted);
        json_array_foreach ((json_t *)a->others, i, other) {
                CX_RESOURCE_LIST own = {0};
                cx_pod_resources(json_object_get(other, "spec"), NULL, &own);
                cx_resource_list_add(&used, &own);
        }
        const struct {
                const char *reason, *name;
                int64_t wanted, used, capacity;
        } all[] = {{"OutOfpods", "pods", 1, (int64_t)json_array_size(a->others), a->pods},
                   {"OutOfcpu", "cpu", cx_resource_list_units(&wanted, "cpu"), cx_resource_list_units(&used, "cpu"),
                    a->milli_cpu},
                   {"OutOfmemory", "memory", cx_resource_list_units(&wanted, "memory"),
                    cx_resource_list_units(&used, "memory"), a->memory}};
        for (i = 0; i < CX_ARRAY_SIZE(all); i++) {
                if (all[i].wanted == 0 || all[i].used + all[i].wanted <= all[i].capacity)
                        continue;
                cx_buf_printf(to, "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld",
                              all[i].name, (long long)all[i].wanted, (long long)all[i].used,
                              (long long)all[i].capacity);
                return all[i].reason;
        }
        return NULL;
}

static bool likes_node(const struct admission *a)
{
        struct cx_node_affinity affinity;
        struct cx_node_facts facts = cx_node_facts_of(a->node);
        cx_node_affinity_parse(json_object_get(a->pod, "spec"), &affinity);
        bool likes = cx_node_affinity_matches(&affinity, &facts);
        cx_node_affinity_release(&affinity);
        return likes;
}

static bool tolerates_node(const struct admission *a)
{
        CX_TAINTS taints = {0};
        CX_TOLERATIONS tolerations = {0};
        cx_taints_parse(cx_json_get(a->node, "spec.taints"), &taints);
        cx_tolerations_parse(cx_json_get(a->pod, "spec.tolerations"), &tolerations);
        return !cx_taints_untolerated(&taints, &tolerations, 1U << CX_EFFECT_NO_EXECUTE);
}

// --- host ports ------------------------------------------------------------------------------------------------------

static void collect_ports(const json_t *pod, json_t *list)
{
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                if (walk.list == CX_POD_INIT && !cx_container_is_sidecar(walk.container))
                        continue;
                size_t i;
                json_t *port;
                json_array_foreach (json_object_get(walk.container, "ports"), i, port) {
                        if (cx_json_int(port, "hostPort", 0) > 0)
                                json_array_append(list, port);
                }
        }
}

static bool any_address(const char *ip)
{
        return !*ip || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static bool collide(const json_t *a, const json_t *b)
{
        const char *ip_a = cx_json_string_or(a, "hostIP", ""), *ip_b = cx_json_string_or(b, "hostIP", "");
        return cx_json_int(a, "hostPort", 0) == cx_json_int(b, "hostPort", 0) &&
               cx_streq(cx_json_string(a, "protocol"), cx_json_string(b, "protocol")) &&
               (any_address(ip_a) || any_address(ip_b) || strcmp(ip_a, ip_b) == 0);
}

static bool ports_free(const struct admission *a)
{
        json_auto_t *own = json_array(), *taken = json_array();
        collect_ports(a->pod, own);
        if (!json_array_size(own))
                return true;
        size_t i, k;
        json_t *other, *port, *used;
        json_array_foreach ((json_t *)a->others, i, other) {
                collect_ports(other, taken);
        }
        json_array_foreach (own, i, port) {
                json_array_foreach (taken, k, used) {
                        if (collide(port, used))
                                return false;
                }
        }
        return true;
}

// --- sysctls ---------------------------------------------------------------------------------------------------------

static bool allowed(const char *name, const struct cx_strings *more)
{
        // Those that are a pod's own and harm no other.
        static const char *const safe[] = {"kernel.shm_rmid_forced",
                                           "net.ipv4.ip_local_port_range",
                                           "net.ipv4.tcp_syncookies",
                                           "net.ipv4.ping_group_range",
                                           "net.ipv4.ip_unprivileged_port_start",
                                           "net.ipv4.ip_local_reserved_ports",
                                           "net.ipv4.tcp_keepalive_time",
                                           "net.ipv4.tcp_fin_timeout",
                                           "net.ipv4.tcp_keepalive_intvl",
                                           "net.ipv4.tcp_keepalive_probes",
                                           "net.ipv4.tcp_rmem",
                                           "net.ipv4.tcp_wmem"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(safe); i++)
                if (strcmp(safe[i], name) == 0)
                        return true;
        for (size_t i = 0; more && i < more->count; i++) {
                const char *pattern = more->items[i];
                size_t n = strlen(pattern);
                if (n && pattern[n - 1] == '*' ? strncmp(pattern, name, n - 1) == 0 : strcmp(pattern, name) == 0)
                        return true;
        }
        return false;
}

static const char *check_sysctls(const struct admission *a, struct cx_buf *to)
{
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(a->pod, "spec.securityContext.sysctls"), i, item) {
                CX_CLEANUP(cx_freep) char *name = sandbox_sysctl_name(cx_json_string_or(item, "name", ""));
                if (!allowed(name, a->unsafe_sysctls))
                        cx_buf_printf(to, "forbidden sysctl: \"%s\" not allowlisted", name);
                else if (cx_has_prefix(name, "net.") && cx_json_bool(a->pod, "spec.hostNetwork", false))
                        cx_buf_printf(to, "forbidden sysctl: \"%s\" not allowed with host net enabled", name);
                else if (!cx_has_prefix(name, "net.") && cx_json_bool(a->pod, "spec.hostIPC", false))
                        cx_buf_printf(to, "forbidden sysctl: \"%s\" not allowed with host ipc enabled", name);
                if (to->length)
                        return "SysctlForbidden";
        }
        return NULL;
}

const char *admission_refusal(const struct admission *a, struct cx_buf *to)
{
        if (!cx_streq(cx_json_string_or(a->pod, "spec.os.name", "linux"), "linux")) {
                cx_buf_add(to, "Failed to admit pod as the OS field doesn't match node OS");
                return "PodOSNotSupported";
        }
        const char *reason = check_sysctls(a, to);
        if (!reason && !a->is_static)
                reason = admission_lacks(a, to);
        if (reason)
                return reason;
        if (a->node && !likes_node(a)) {
                cx_buf_add(to, "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
                return "NodeAffinity";
        }
        if (!ports_free(a)) {
                cx_buf_add(to,
                           "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports");
                return "NodePorts";
        }
        if (a->node && !a->is_static && !tolerates_node(a)) {
                cx_buf_add(to, "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate");
                return "TaintToleration";
        }
        return NULL;
}
