// SPDX-License-Identifier: Apache-2.0
// Tables from names to kinds, and a small function for each kind that uses more than its number of objects.
#include "libcommon/api/quota.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/strings.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define COUNT "count/"
#define REQUESTS "requests."
#define HUGEPAGES "hugepages-"
#define OF_CLASS ".storageclass.storage.k8s.io/"
#define DEVICES ".deviceclass.resource.k8s.io/devices"
#define MAX_DEVICES 32 // that one request of all devices can get

#define ONE ((struct cx_quantity){.nano = 1000000000, .format = CX_QUANTITY_DECIMAL})

// --- names -----------------------------------------------------------------------------------------------------------

static const struct {
        const char *name, *resource, *group;
} names[] = {
        {"pods", "pods", ""},
        {"cpu", "pods", ""},
        {"memory", "pods", ""},
        {"ephemeral-storage", "pods", ""},
        {"requests.cpu", "pods", ""},
        {"requests.memory", "pods", ""},
        {"requests.ephemeral-storage", "pods", ""},
        {"limits.cpu", "pods", ""},
        {"limits.memory", "pods", ""},
        {"limits.ephemeral-storage", "pods", ""},
        {"services", "services", ""},
        {"services.nodeports", "services", ""},
        {"services.loadbalancers", "services", ""},
        {"persistentvolumeclaims", "persistentvolumeclaims", ""},
        {"requests.storage", "persistentvolumeclaims", ""},
        {"configmaps", "configmaps", ""},
        {"secrets", "secrets", ""},
        {"replicationcontrollers", "replicationcontrollers", ""},
        {"resourcequotas", "resourcequotas", ""},
};

struct cx_quota_kind cx_quota_kind_make(const char *group, const char *resource)
{
        struct cx_quota_kind kind;
        cx_copy_string(kind.resource, sizeof kind.resource, resource);
        cx_copy_string(kind.group, sizeof kind.group, group);
        return kind;
}

// A resource that Kubernetes does not know, which only pods ask for.
static bool is_extended(const char *name)
{
        return strchr(name, '/') && !strstr(name, "kubernetes.io/") && !cx_has_prefix(name, REQUESTS);
}

bool cx_quota_kind_of(const char *name, struct cx_quota_kind *ret_kind)
{
        if (cx_has_prefix(name, COUNT)) {
                const char *resource = name + strlen(COUNT), *dot = strchr(resource, '.');
                CX_CLEANUP(cx_freep)
                char *plain = cx_strndup(resource, dot ? (size_t)(dot - resource) : strlen(resource));
                *ret_kind = cx_quota_kind_make(dot ? dot + 1 : "", plain);
                return true;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (strcmp(names[i].name, name) == 0) {
                        *ret_kind = cx_quota_kind_make(names[i].group, names[i].resource);
                        return true;
                }
        if (cx_has_prefix(name, HUGEPAGES) || cx_has_prefix(name, REQUESTS HUGEPAGES) ||
            (cx_has_prefix(name, REQUESTS) && is_extended(name + strlen(REQUESTS))))
                *ret_kind = cx_quota_kind_make("", "pods");
        else if (cx_has_suffix(name, OF_CLASS "persistentvolumeclaims") ||
                 cx_has_suffix(name, OF_CLASS "requests.storage"))
                *ret_kind = cx_quota_kind_make("", "persistentvolumeclaims");
        else if (cx_has_suffix(name, DEVICES))
                *ret_kind = cx_quota_kind_make("resource.k8s.io", "resourceclaims");
        else
                return false;
        return true;
}

static bool is_kind(const struct cx_quota_kind *kind, const char *group, const char *resource)
{
        return strcmp(kind->resource, resource) == 0 && strcmp(kind->group, group) == 0;
}

bool cx_quota_concerns(const struct cx_quota_kind *kind, const char *name)
{
        struct cx_quota_kind owner;
        return cx_quota_kind_of(name, &owner) && is_kind(kind, owner.group, owner.resource);
}

bool cx_quota_kind_changes(const struct cx_quota_kind *kind)
{
        return is_kind(kind, "", "pods") || is_kind(kind, "", "services") ||
               is_kind(kind, "", "persistentvolumeclaims") || is_kind(kind, "resource.k8s.io", "resourceclaims");
}

// --- usage -----------------------------------------------------------------------------------------------------------

static void add(struct cx_resource_list *to, const char *name, struct cx_quantity amount)
{
        char *own = (char *)name;
        struct cx_resource_amount one = {own, amount};
        cx_resource_list_add(to, &(struct cx_resource_list){&one, 1});
}

static void add_count(struct cx_resource_list *to, const char *name, int64_t count)
{
        struct cx_quantity amount = ONE;
        amount.nano *= count;
        add(to, name, amount);
}

static void add_named(struct cx_resource_list *to, const char *prefix, const struct cx_resource_amount *amount)
{
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%s", prefix, amount->name);
        add(to, name, amount->amount);
}

static bool is_computed(const char *name)
{
        return strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0 || strcmp(name, "ephemeral-storage") == 0;
}

// What requests and limits are called in quotas. A limit of other resources is none of a quota's.
static void add_compute(struct cx_resource_list *to, const struct cx_resource_list *requests,
                        const struct cx_resource_list *limits)
{
        for (size_t i = 0; i < requests->count; i++) {
                const struct cx_resource_amount *request = &requests->items[i];
                bool own_name = is_computed(request->name) || cx_has_prefix(request->name, HUGEPAGES);
                if (own_name)
                        add(to, request->name, request->amount);
                if (own_name || is_extended(request->name))
                        add_named(to, REQUESTS, request);
        }
        for (size_t i = 0; i < limits->count; i++)
                if (is_computed(limits->items[i].name))
                        add_named(to, "limits.", &limits->items[i]);
}

static bool is_over(const json_t *pod, int64_t now)
{
        const char *deleted = cx_json_string(pod, "metadata.deletionTimestamp");
        const json_t *grace = cx_json_get(pod, "metadata.deletionGracePeriodSeconds");
        int64_t since;
        if (cx_pod_is_terminal(pod))
                return true;
        // The timestamp has the grace in it already; upstream adds it once more.
        return deleted && json_is_integer(grace) && cx_time_parse(deleted, &since) == 0 &&
               now - since > json_integer_value(grace) * CX_US_PER_S;
}

static void use_pod(const json_t *pod, int64_t now, struct cx_resource_list *to)
{
        CX_RESOURCE_LIST requests = {0}, limits = {0};
        const json_t *spec = json_object_get(pod, "spec");
        if (is_over(pod, now))
                return;
        cx_pod_resources(spec, NULL, &requests);
        cx_pod_resources(spec, &(struct cx_pod_resources_options){.limits = true}, &limits);
        add_count(to, "pods", 1);
        add_compute(to, &requests, &limits);
}

// Node ports are allocated later: what counts is how many it will get.
static void use_service(const json_t *service, int64_t now CX_UNUSED, struct cx_resource_list *to)
{
        const char *type = cx_json_string_or(service, "spec.type", "");
        const json_t *ports = cx_json_get(service, "spec.ports"), *port;
        bool balanced = strcmp(type, "LoadBalancer") == 0;
        bool all = strcmp(type, "NodePort") == 0 ||
                   (balanced && cx_json_bool(service, "spec.allocateLoadBalancerNodePorts", true));
        int64_t count = 0;
        size_t i;
        json_array_foreach (ports, i, port)
                count += all || (balanced && cx_json_int(port, "nodePort", 0));
        add_count(to, "services", 1);
        add_count(to, "services.loadbalancers", balanced);
        add_count(to, "services.nodeports", count);
}

static const char *class_of(const json_t *claim)
{
        static const char *const beta[] = {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"};
        const char *class = json_string_value(cx_json_at(claim, beta, CX_ARRAY_SIZE(beta)));
        return class ? class : cx_json_string_or(claim, "spec.storageClassName", "");
}

// What was asked for, or what a resizer has allocated of it, if that is more; in whole bytes.
static bool storage_of(const json_t *claim, struct cx_quantity *ret_storage)
{
        struct cx_quantity allocated;
        if (cx_quantity_from_json(cx_json_get(claim, "spec.resources.requests.storage"), ret_storage) < 0)
                return false;
        if (cx_quantity_from_json(cx_json_get(claim, "status.allocatedResources.storage"), &allocated) == 0 &&
            cx_quantity_compare(&allocated, ret_storage) > 0)
                *ret_storage = allocated;
        __int128 rest = ret_storage->nano % ONE.nano;
        if (rest > 0)
                ret_storage->nano += ONE.nano - rest;
        return true;
}

static void use_claim(const json_t *claim, int64_t now CX_UNUSED, struct cx_resource_list *to)
{
        struct cx_resource_amount uses[] = {{(char *)"persistentvolumeclaims", ONE}, {(char *)"requests.storage", {0}}};
        size_t count = storage_of(claim, &uses[1].amount) ? 2 : 1;
        const char *class = class_of(claim);
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%s" OF_CLASS, class);
        for (size_t i = 0; i < count; i++) {
                add(to, uses[i].name, uses[i].amount);
                if (*class)
                        add_named(to, prefix, &uses[i]);
        }
}

static void add_devices(struct cx_resource_list *to, const json_t *request)
{
        bool all = cx_streq(cx_json_string(request, "allocationMode"), "All");
        int64_t count = all ? MAX_DEVICES : cx_json_int(request, "count", 1);
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s" DEVICES, cx_json_string_or(request, "deviceClassName", ""));
        add_count(to, name, count > 0 ? count : 0);
}

// Of alternatives the one that takes most of a class counts.
static void use_devices(const json_t *claim, int64_t now CX_UNUSED, struct cx_resource_list *to)
{
        const json_t *request, *alternative;
        size_t i, j;
        json_array_foreach (cx_json_get(claim, "spec.devices.requests"), i, request) {
                CX_RESOURCE_LIST most = {0};
                if (json_object_get(request, "exactly"))
                        add_devices(&most, json_object_get(request, "exactly"));
                json_array_foreach (json_object_get(request, "firstAvailable"), j, alternative) {
                        CX_RESOURCE_LIST own = {0};
                        add_devices(&own, alternative);
                        cx_resource_list_raise(&most, &own);
                }
                cx_resource_list_add(to, &most);
        }
}

static const struct {
        const char *group, *resource;
        void (*use)(const json_t *object, int64_t now, struct cx_resource_list *to);
} uses[] = {
        {"", "pods", use_pod},
        {"", "services", use_service},
        {"", "persistentvolumeclaims", use_claim},
        {"resource.k8s.io", "resourceclaims", use_devices},
};

void cx_quota_usage(const struct cx_quota_kind *kind, const json_t *object, int64_t now, struct cx_resource_list *to)
{
        CX_CLEANUP(cx_freep)
        char *name = cx_sprintf(COUNT "%s%s%s", kind->resource, *kind->group ? "." : "", kind->group);
        struct cx_quota_kind plain;
        add_count(to, name, 1);
        for (size_t i = 0; i < CX_ARRAY_SIZE(uses); i++)
                if (is_kind(kind, uses[i].group, uses[i].resource)) {
                        uses[i].use(object, now, to);
                        return;
                }
        if (!*kind->group && cx_quota_kind_of(kind->resource, &plain)) // configmaps, secrets, …
                add_count(to, kind->resource, 1);
}

// --- scopes ----------------------------------------------------------------------------------------------------------

struct scope_term {
        const char *operator;
        const json_t *values;
};

// A selector over one label that has any of these values (none: it is absent).
static bool values_match(const struct scope_term *term, const struct cx_strings *values)
{
        bool in = false;
        size_t i;
        const json_t *value;
        json_array_foreach (term->values, i, value)
                in = in || cx_strings_has(values, cx_str(json_string_value(value)));
        if (strcmp(term->operator, "Exists") == 0)
                return values->count;
        if (strcmp(term->operator, "DoesNotExist") == 0)
                return !values->count;
        if (strcmp(term->operator, "In") == 0)
                return in;
        // NotIn: one of several values that is not among them is enough
        bool other = !values->count;
        for (size_t j = 0; j < values->count && !other; j++) {
                other = true;
                json_array_foreach (term->values, i, value)
                        other = other && !cx_streq(json_string_value(value), values->items[j]);
        }
        return strcmp(term->operator, "NotIn") == 0 && other;
}

static void add_text(struct cx_strings *to, const json_t *object, const char *path)
{
        const char *text = cx_json_string(object, path);
        if (text && *text)
                cx_strings_add(to, text);
}

static bool is_terminating(const json_t *pod)
{
        return cx_json_int(pod, "spec.activeDeadlineSeconds", -1) >= 0;
}

static bool crosses_namespaces(const json_t *term)
{
        return json_array_size(json_object_get(term, "namespaces")) ||
               json_is_object(json_object_get(term, "namespaceSelector"));
}

static bool has_cross_namespace_affinity(const json_t *pod)
{
        static const char *const kinds[] = {"spec.affinity.podAffinity", "spec.affinity.podAntiAffinity"};
        size_t j;
        const json_t *term;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++) {
                const json_t *affinity = cx_json_get(pod, kinds[i]);
                json_array_foreach (json_object_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"), j,
                                    term)
                        if (crosses_namespaces(term))
                                return true;
                json_array_foreach (json_object_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"), j,
                                    term)
                        if (crosses_namespaces(json_object_get(term, "podAffinityTerm")))
                                return true;
        }
        return false;
}

static bool pod_in_scope(const json_t *pod, const char *scope, const struct scope_term *term)
{
        bool best_effort = strcmp(cx_pod_qos(json_object_get(pod, "spec")), "BestEffort") == 0;
        if (strcmp(scope, "Terminating") == 0)
                return is_terminating(pod);
        if (strcmp(scope, "NotTerminating") == 0)
                return !is_terminating(pod);
        if (strcmp(scope, "BestEffort") == 0)
                return best_effort;
        if (strcmp(scope, "NotBestEffort") == 0)
                return !best_effort;
        if (strcmp(scope, "CrossNamespacePodAffinity") == 0)
                return has_cross_namespace_affinity(pod);
        CX_STRINGS class = CX_STRINGS_INIT;
        add_text(&class, pod, "spec.priorityClassName");
        return strcmp(scope, "PriorityClass") == 0 && values_match(term, &class);
}

// A claim has the class that it asks for, the one it has, and the one it is on its way to.
static bool claim_in_scope(const json_t *claim, const char *scope, const struct scope_term *term)
{
        CX_STRINGS classes = CX_STRINGS_INIT;
        add_text(&classes, claim, "spec.volumeAttributesClassName");
        add_text(&classes, claim, "status.currentVolumeAttributesClassName");
        add_text(&classes, claim, "status.modifyVolumeStatus.targetVolumeAttributesClassName");
        return strcmp(scope, "VolumeAttributesClass") == 0 && values_match(term, &classes);
}

static bool in_scope(const struct cx_quota_kind *kind, const json_t *object, const char *scope,
                     const struct scope_term *term)
{
        if (is_kind(kind, "", "pods"))
                return pod_in_scope(object, scope, term);
        return is_kind(kind, "", "persistentvolumeclaims") && claim_in_scope(object, scope, term);
}

bool cx_quota_takes(const struct cx_quota_kind *kind, const json_t *spec, const json_t *object)
{
        static const struct scope_term exists = {"Exists", NULL};
        size_t i;
        const json_t *scope;
        json_array_foreach (json_object_get(spec, "scopes"), i, scope)
                if (!in_scope(kind, object, cx_str(json_string_value(scope)), &exists))
                        return false;
        json_array_foreach (cx_json_get(spec, "scopeSelector.matchExpressions"), i, scope) {
                struct scope_term term = {cx_json_string_or(scope, "operator", ""), json_object_get(scope, "values")};
                if (!in_scope(kind, object, cx_json_string_or(scope, "scopeName", ""), &term))
                        return false;
        }
        return true;
}

// --- what must be said -----------------------------------------------------------------------------------------------

static bool is_specified(const json_t *container, const char *name)
{
        const json_t *resources = json_object_get(container, "resources");
        if (cx_has_prefix(name, "limits."))
                return json_object_get(json_object_get(resources, "limits"), name + strlen("limits."));
        const char *request = cx_has_prefix(name, REQUESTS) ? name + strlen(REQUESTS) : name;
        return json_object_get(json_object_get(resources, "requests"), request);
}

// What is said for the pod as a whole, whatever of it, is enough.
static bool has_pod_level(const json_t *spec)
{
        return cx_json_count(spec, "resources.requests") || cx_json_count(spec, "resources.limits");
}

char *cx_quota_unspecified(const struct cx_quota_kind *kind, const json_t *hard, const json_t *object)
{
        // In order. Others, that came later, need not be said.
        static const char *const required[] = {"cpu",    "limits.cpu",   "limits.memory",
                                               "memory", "requests.cpu", "requests.memory"};
        const json_t *spec = json_object_get(object, "spec");
        CX_BUF text = CX_BUF_INIT;
        if (!is_kind(kind, "", "pods") || has_pod_level(spec))
                return NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(required); i++) {
                CX_STRINGS containers = CX_STRINGS_INIT;
                if (!json_object_get(hard, required[i]))
                        continue;
                CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
                if (!is_specified(walk.container, required[i]) && !cx_strings_has(&containers, walk.name))
                        cx_strings_add(&containers, walk.name);
                if (!containers.count)
                        continue;
                cx_strings_sort(&containers);
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&containers, ",");
                cx_buf_printf(&text, "%s%s for: %s", text.length ? "; " : "must specify ", required[i], joined);
        }
        return text.length ? cx_buf_detach(&text) : NULL;
}
