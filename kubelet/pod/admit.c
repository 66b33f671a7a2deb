// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod/admit.h"

#include "libcommon/api/quantity.h"
#include "libcommon/api/selector.h"
#include "libcommon/format/json.h"

struct demand {
        int64_t milli_cpu, memory;
};

static struct demand demand_of_container(const json_t *container)
{
        const json_t *requests = cx_json_get(container, "resources.requests");
        const json_t *limits = cx_json_get(container, "resources.limits");
        const json_t *cpu = json_object_get(requests, "cpu"), *memory = json_object_get(requests, "memory");
        return (struct demand){cx_quantity_milli_of(cpu ? cpu : json_object_get(limits, "cpu")),
                               cx_quantity_value_of(memory ? memory : json_object_get(limits, "memory"))};
}

static int64_t larger(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

// Of the containers together, or of the neediest moment of initialization; sidecars count from their start on.
static struct demand demand_of(const json_t *pod)
{
        struct demand total = {0}, sidecars = {0}, peak = {0};
        size_t i;
        json_t *container;
        json_array_foreach (cx_json_get(pod, "spec.containers"), i, container) {
                struct demand d = demand_of_container(container);
                total.milli_cpu += d.milli_cpu;
                total.memory += d.memory;
        }
        json_array_foreach (cx_json_get(pod, "spec.initContainers"), i, container) {
                struct demand d = demand_of_container(container);
                if (cx_streq(cx_json_string(container, "restartPolicy"), "Always")) {
                        sidecars.milli_cpu += d.milli_cpu;
                        sidecars.memory += d.memory;
                        d = (struct demand){0};
                }
                peak.milli_cpu = larger(peak.milli_cpu, sidecars.milli_cpu + d.milli_cpu);
                peak.memory = larger(peak.memory, sidecars.memory + d.memory);
        }
        const json_t *overhead = cx_json_get(pod, "spec.overhead");
        return (struct demand){larger(total.milli_cpu + sidecars.milli_cpu, peak.milli_cpu) +
                                       cx_quantity_milli_of(json_object_get(overhead, "cpu")),
                               larger(total.memory + sidecars.memory, peak.memory) +
                                       cx_quantity_value_of(json_object_get(overhead, "memory"))};
}

static const char *check_resources(const struct admission *a, struct cx_buf *to)
{
        struct demand wanted = demand_of(a->pod), used = {0};
        size_t i;
        json_t *other;
        json_array_foreach ((json_t *)a->others, i, other) {
                struct demand d = demand_of(other);
                used.milli_cpu += d.milli_cpu;
                used.memory += d.memory;
        }
        const struct {
                const char *reason, *name;
                int64_t wanted, used, capacity;
        } all[] = {{"OutOfpods", "pods", 1, (int64_t)json_array_size(a->others), a->pods},
                   {"OutOfcpu", "cpu", wanted.milli_cpu, used.milli_cpu, a->milli_cpu},
                   {"OutOfmemory", "memory", wanted.memory, used.memory, a->memory}};
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

static bool term_matches(const json_t *term, const json_t *labels, const json_t *fields)
{
        static const char *const members[] = {"matchExpressions", "matchFields"};
        bool any = false;
        for (size_t m = 0; m < CX_ARRAY_SIZE(members); m++) {
                json_t *expressions = json_object_get(term, members[m]);
                if (!json_array_size(expressions))
                        continue;
                any = true;
                json_auto_t *query = json_pack("{s:O}", "matchExpressions", expressions);
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                // What only the scheduler understands (Gt, Lt) it has looked at.
                if (cx_selector_from_json(query, &selector, &err) == 0 &&
                    !cx_selector_matches(&selector, m == 0 ? labels : fields))
                        return false;
        }
        return any; // a term without requirements matches nothing
}

static bool likes_node(const struct admission *a)
{
        const json_t *labels = cx_json_get(a->node, "metadata.labels");
        const json_t *wanted = cx_json_get(a->pod, "spec.nodeSelector");
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)wanted, key, value) {
                json_t *has = json_object_get(labels, key);
                if (!has || !json_equal(has, value))
                        return false;
        }
        const json_t *required =
                cx_json_get(a->pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        if (!json_is_object(required))
                return true;
        json_auto_t *fields = json_pack("{s:s}", "metadata.name", cx_json_string_or(a->node, "metadata.name", ""));
        size_t i;
        json_t *term;
        json_array_foreach (json_object_get(required, "nodeSelectorTerms"), i, term) {
                if (term_matches(term, labels, fields))
                        return true;
        }
        return false;
}

static bool tolerates(const json_t *pod, const json_t *taint)
{
        const char *key = cx_json_string_or(taint, "key", ""), *effect = cx_json_string_or(taint, "effect", "");
        size_t i;
        json_t *t;
        json_array_foreach (cx_json_get(pod, "spec.tolerations"), i, t) {
                const char *t_key = cx_json_string_or(t, "key", ""), *t_effect = cx_json_string_or(t, "effect", "");
                bool exists = strcmp(cx_json_string_or(t, "operator", "Equal"), "Exists") == 0;
                if ((*t_effect && strcmp(t_effect, effect) != 0) || (*t_key && strcmp(t_key, key) != 0) ||
                    (!*t_key && !exists))
                        continue;
                if (exists || strcmp(cx_json_string_or(t, "value", ""), cx_json_string_or(taint, "value", "")) == 0)
                        return true;
        }
        return false;
}

static bool tolerates_node(const struct admission *a)
{
        size_t i;
        json_t *taint;
        json_array_foreach (cx_json_get(a->node, "spec.taints"), i, taint) {
                if (cx_streq(cx_json_string(taint, "effect"), "NoExecute") && !tolerates(a->pod, taint))
                        return false;
        }
        return true;
}

// --- host ports ------------------------------------------------------------------------------------------------------

static void collect_ports(const json_t *pod, json_t *list)
{
        static const char *const paths[] = {"spec.containers", "spec.initContainers"};
        for (size_t p = 0; p < CX_ARRAY_SIZE(paths); p++) {
                size_t i, k;
                json_t *container, *port;
                json_array_foreach (cx_json_get(pod, paths[p]), i, container) {
                        if (p == 1 && !cx_streq(cx_json_string(container, "restartPolicy"), "Always"))
                                continue;
                        json_array_foreach (json_object_get(container, "ports"), k, port) {
                                if (cx_json_int(port, "hostPort", 0) > 0)
                                        json_array_append(list, port);
                        }
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
               strcmp(cx_json_string_or(a, "protocol", "TCP"), cx_json_string_or(b, "protocol", "TCP")) == 0 &&
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
                CX_CLEANUP(cx_freep) char *name = cx_strdup(cx_json_string_or(item, "name", ""));
                for (char *p = strchr(name, '.') ? name + strlen(name) : name; *p; p++) // "kernel/x" is "kernel.x"
                        *p = *p == '/' ? '.' : *p;
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
        const char *reason = check_sysctls(a, to);
        if (!reason && !a->is_static)
                reason = check_resources(a, to);
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
