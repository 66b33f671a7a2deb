// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod/allocation.h"

#include "kubelet/pod/admit.h"
#include "kubelet/pod/cgroups.h"
#include "kubelet/runtime/cgroup.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define RETRY (5 * CX_NS_PER_S)
#define INFEASIBLE "Infeasible"
#define DEFERRED "Deferred"

// --- what was given --------------------------------------------------------------------------------------------------

// Name of a container -> its resources.
static json_t *asked(const json_t *object)
{
        json_t *map = json_object();
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        {
                json_t *resources = json_object_get(walk.container, "resources");
                json_object_set_new(map, walk.name, resources ? json_incref(resources) : json_object());
        }
        return map;
}

// Of a pod that was here before this kubelet: what its containers run with.
static json_t *remembered(struct pod *pod, const json_t *object)
{
        json_t *map = asked(object);
        struct runtime *runtime = pod->pods->kubelet->runtime;
        CONTAINERS list = {0};
        runtime_containers(runtime, pod->uid, &list);
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        {
                struct pod_run run = run_of(pod, &list, walk.name);
                json_t *given = run.now ? container_resources(runtime, run.now) : NULL;
                if (json_is_object(given))
                        json_object_set(map, walk.name, given);
                json_decref(given);
        }
        return map;
}

static json_t *with(const json_t *object, const json_t *allocated)
{
        json_auto_t *own = asked(object);
        if (!allocated || json_equal(own, allocated))
                return json_incref((json_t *)object);
        json_t *copy = json_copy((json_t *)object), *spec = json_deep_copy(json_object_get(object, "spec"));
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        {
                json_t *resources = json_object_get(allocated, walk.name);
                if (resources)
                        json_object_set(walk.container, "resources", resources);
        }
        json_object_set_new(copy, "spec", spec);
        return copy;
}

static json_t *allocated_of(struct pod *pod)
{
        pthread_mutex_lock(&pod->pods->lock);
        json_t *allocated = pod->allocated ? json_incref(pod->allocated) : NULL;
        pthread_mutex_unlock(&pod->pods->lock);
        return allocated;
}

static void allocate(struct pod *pod, json_t *map_steal)
{
        pthread_mutex_lock(&pod->pods->lock);
        json_decref(pod->allocated);
        pod->allocated = map_steal;
        pthread_mutex_unlock(&pod->pods->lock);
}

json_t *allocation_apply(struct pod *pod, const json_t *object)
{
        json_auto_t *allocated = allocated_of(pod);
        return with(object, allocated);
}

// Of a pod that this kubelet has not looked at yet: what its status says that it was given.
static json_t *told(const json_t *object)
{
        json_t *map = asked(object);
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        {
                json_t *requests = json_object_get(cx_pod_container_status(object, walk.name), "allocatedResources");
                if (requests)
                        json_object_set_new(map, walk.name, json_pack("{s:O}", "requests", requests));
        }
        return map;
}

// Whether it takes a share of this node. Those that were here before this kubelet do so before it has looked at them.
static bool is_here(const struct pod *pod)
{
        return !pod->torn_down &&
               (pod->admitted || (cx_json_get(pod->object, "status.startTime") && !cx_pod_is_terminal(pod->object)));
}

static json_t *all_but(struct pods *pods, const struct pod *pod)
{
        json_t *list = json_array();
        pthread_mutex_lock(&pods->lock);
        CX_MAP_FOREACH (&pods->map, entry) {
                struct pod *other = entry->value;
                if (other == pod || !is_here(other))
                        continue;
                json_auto_t *given = other->allocated ? json_incref(other->allocated) : told(other->object);
                json_array_append_new(list, with(other->object, given));
        }
        pthread_mutex_unlock(&pods->lock);
        return list;
}

json_t *allocation_others(struct pod *pod)
{
        return all_but(pod->pods, pod);
}

json_t *allocation_all(struct pods *pods)
{
        return all_but(pods, NULL);
}

// --- deciding --------------------------------------------------------------------------------------------------------

static const char *beyond_node(const struct kubelet *k, const json_t *object, struct cx_buf *to)
{
        CX_RESOURCE_LIST wanted = {0};
        cx_pod_resources(json_object_get(object, "spec"), NULL, &wanted);
        const struct {
                const char *name;
                int64_t wanted, capacity;
        } all[] = {{"cpu", cx_resource_list_units(&wanted, "cpu"), k->allocatable_cpu},
                   {"memory", cx_resource_list_units(&wanted, "memory"), k->allocatable_memory}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(all); i++)
                if (all[i].wanted > all[i].capacity) {
                        cx_buf_printf(to, "%sNode didn't have enough capacity: %s, requested: %lld, capacity: %lld",
                                      to->length ? ", " : "", all[i].name, (long long)all[i].wanted,
                                      (long long)all[i].capacity);
                }
        return to->length ? INFEASIBLE : NULL;
}

// NULL when it can be had now; else why not (a constant).
static const char *refuse(struct pod *pod, const json_t *object, struct cx_buf *to)
{
        const struct kubelet *k = pod->pods->kubelet;
        if (pod->is_static) {
                cx_buf_add(to, "In-place resize of static-pods is not supported");
                return INFEASIBLE;
        }
        const char *reason = beyond_node(k, object, to);
        if (reason)
                return reason;
        json_auto_t *taken = allocation_others(pod);
        return admission_lacks(&(struct admission){.pod = object,
                                                   .others = taken,
                                                   .milli_cpu = k->allocatable_cpu,
                                                   .memory = k->allocatable_memory,
                                                   .pods = k->max_pods},
                               to)
                       ? DEFERRED
                       : NULL;
}

// An event about the resize that the pod asks for, in upstream's form: what was asked, and what is wrong, as JSON.
// `error` NULL: nothing is.
static void tell(const struct pod *pod, const json_t *object, const char *reason, const char *what, const char *error)
{
        json_auto_t *about = json_object();
        json_t *containers = json_array();
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        {
                const json_t *resources = json_object_get(walk.container, "resources");
                json_array_append_new(containers, json_pack("{s:s, s:{s:O*, s:O*}}", "name", walk.name, "resources",
                                                            "limits", json_object_get(resources, "limits"), "requests",
                                                            json_object_get(resources, "requests")));
        }
        json_object_set_new(about, "containers", containers);
        json_object_set(about, "generation", cx_json_get(object, "metadata.generation"));
        if (error)
                json_object_set_new(about, "error", json_string(error));
        CX_CLEANUP(cx_freep) char *text = json_dumps(about, JSON_COMPACT);
        pod_event(pod->pods->kubelet, object, NULL, error ? "Warning" : "Normal", reason, "Pod resize %s: %s", what,
                  cx_str(text));
}

static void set_pending(struct pod *pod, const json_t *object, const char *reason, const char *message)
{
        bool other = reason && (!cx_streq(reason, pod->resize_reason) || !cx_streq(message, pod->resize_message));
        if (other) {
                bool infeasible = strcmp(reason, INFEASIBLE) == 0;
                cx_info("Resize of a pod has to wait", "pod", pod->key, "reason", reason, "message", message);
                tell(pod, object, infeasible ? "ResizeInfeasible" : "ResizeDeferred",
                     infeasible ? "infeasible" : "deferred", message);
        }
        free(pod->resize_message);
        pod->resize_reason = reason;
        pod->resize_message = reason ? cx_strdup(message) : NULL;
}

void allocation_decide(struct pod *pod, const json_t *object)
{
        json_auto_t *wanted = asked(object);
        json_auto_t *allocated = allocated_of(pod);
        if (!allocated) {
                allocated = remembered(pod, object);
                allocate(pod, json_incref(allocated));
        }
        if (json_equal(wanted, allocated)) {
                set_pending(pod, object, NULL, NULL);
                return;
        }
        pthread_mutex_lock(&pod->pods->lock);
        bool all_known = pod->pods->sources_ready;
        pthread_mutex_unlock(&pod->pods->lock);
        if (!all_known) { // the room may be taken
                pod_again(pod, CX_NS_PER_S / 10);
                return;
        }
        CX_BUF message = CX_BUF_INIT_MAX(4096);
        pthread_mutex_lock(&pod->pods->admission);
        const char *reason = refuse(pod, object, &message);
        if (!reason)
                allocate(pod, json_incref(wanted));
        pthread_mutex_unlock(&pod->pods->admission);
        set_pending(pod, object, reason, message.data);
        if (!reason) {
                pod->cgroup_due = true;
                pod->resize_begun = true;
                tell(pod, object, "ResizeStarted", "started", NULL);
        } else if (strcmp(reason, DEFERRED) == 0) {
                pod_again(pod, RETRY); // others may have left by then
        }
}

// --- giving ----------------------------------------------------------------------------------------------------------

bool allocation_is_due(struct pod *pod, const json_t *container, const struct container *running)
{
        json_auto_t *given = container_resources(pod->pods->kubelet->runtime, running);
        const json_t *wanted = json_object_get(container, "resources");
        if (!json_is_object(given)) // a record that does not tell
                return false;
        return wanted ? !json_equal(given, wanted) : json_object_size(given) > 0;
}

static bool differs(const json_t *given, const json_t *wanted, const char *resource)
{
        static const char *const lists[] = {"requests", "limits"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                struct cx_quantity a = {0}, b = {0};
                const json_t *was = json_object_get(json_object_get(given, lists[i]), resource);
                const json_t *now = json_object_get(json_object_get(wanted, lists[i]), resource);
                if (!was != !now || (was && (cx_quantity_from_json(was, &a) < 0 || cx_quantity_from_json(now, &b) < 0 ||
                                             cx_quantity_compare(&a, &b) != 0)))
                        return true;
        }
        return false;
}

static bool must_restart(const json_t *container, const json_t *given)
{
        size_t i;
        json_t *policy;
        json_array_foreach (json_object_get(container, "resizePolicy"), i, policy)
                if (strcmp(cx_json_string_or(policy, "restartPolicy", ""), "RestartContainer") == 0 &&
                    differs(given, json_object_get(container, "resources"),
                            cx_json_string_or(policy, "resourceName", "")))
                        return true;
        return false;
}

// A limit below what is in use would end the container.
static int check_memory(const json_t *container, const json_t *given, const struct container *running,
                        struct cx_error *err)
{
        int64_t now = cx_quantity_value_of(cx_json_get(container, "resources.limits.memory"));
        int64_t was = cx_quantity_value_of(cx_json_get(given, "limits.memory"));
        struct cgroup_usage usage;
        if (now <= 0 || (was > 0 && now >= was) || cgroup_usage(running->cgroup, &usage) < 0)
                return 0;
        if ((int64_t)usage.memory_usage <= now)
                return 0;
        return cx_error_set(err, -EBUSY,
                            "attempting to set container \"%s\" memory limit (%lld) below current usage (%lld)",
                            running->name, (long long)now, (long long)usage.memory_usage);
}

bool allocation_resize(struct pod *pod, const json_t *object, const json_t *container, struct container *running)
{
        const struct kubelet *k = pod->pods->kubelet;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *given = container_resources(k->runtime, running);
        if (must_restart(container, given))
                return true;
        // What grows has to find room in the pod's group first, what shrinks makes it: that is seen to afterwards.
        CX_ERROR ignored = CX_ERROR_INIT;
        (void)!pod_cgroup_make(k, object, &ignored);
        int r = check_memory(container, given, running, &err);
        if (r == 0)
                r = container_update(k->runtime, running, container, &err);
        if (r == 0) {
                cx_info("Container resized", "pod", pod->key, "container", running->name);
                return false;
        }
        cx_err(&err, "Cannot resize a container", "pod", pod->key, "container", running->name);
        free(pod->resize_error);
        pod->resize_error = cx_strdup(cx_error_text(&err));
        if (!cx_streq(pod->resize_error, pod->resize_told)) {
                free(pod->resize_told);
                pod->resize_told = cx_strdup(pod->resize_error);
                tell(pod, object, "ResizeError", "error", pod->resize_error);
        }
        pod_again(pod, RETRY);
        return false;
}

static bool any_due(struct pod *pod, const json_t *object, const struct containers *list, bool only_running)
{
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        {
                struct pod_run run = run_of(pod, list, walk.name);
                if (run.now && (!only_running || run.state.status == CONTAINER_RUNNING) &&
                    allocation_is_due(pod, walk.container, run.now))
                        return true;
        }
        return false;
}

bool allocation_under_way(struct pod *pod, const json_t *object, const struct containers *list)
{
        return any_due(pod, object, list, true);
}

void allocation_finish(struct pod *pod, const json_t *object, const struct containers *list)
{
        if (!pod->resize_begun || pod->resize_reason || pod->resize_error || any_due(pod, object, list, false))
                return; // or one is to start again with what it was given
        pod->resize_begun = false;
        free(cx_steal(&pod->resize_told));
        tell(pod, object, "ResizeCompleted", "completed", NULL);
}
