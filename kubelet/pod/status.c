// SPDX-License-Identifier: Apache-2.0
// The status of a pod from its object and what runs: its containers' statuses, and what follows from them, phase,
// conditions and addresses.
#include "kubelet/pod/status.h"

#include "kubelet/pod/allocation.h"
#include "kubelet/pod/conditions.h"
#include "kubelet/pod/container_status.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

static const char *phase_of(struct pod *pod, const json_t *object, size_t init_left, bool init_failed,
                            const struct container_tally *t)
{
        const char *policy = cx_json_string(object, "spec.restartPolicy");
        const char *before = cx_pod_phase(object);
        if (cx_pod_is_terminal(object))
                return before;
        if (pod->failed_reason)
                return "Failed";
        if (pod->terminating && pod->torn_down)
                return t->total && t->succeeded == t->total ? "Succeeded" : "Failed";
        if (init_failed)
                return "Failed";
        if (init_left && !t->running && !t->stopped)
                return "Pending";
        if (t->unstarted)
                return t->running || t->stopped ? (strcmp(before, "Running") == 0 ? "Running" : "Pending") : "Pending";
        if (t->running)
                return "Running";
        if (t->stopped) {
                if (cx_streq(policy, "Always"))
                        return "Running";
                if (t->succeeded == t->total)
                        return "Succeeded";
                if (cx_streq(policy, "Never"))
                        return "Failed";
                return "Running";
        }
        return "Pending";
}

static json_t *ip_list(const struct cx_strings *ips)
{
        json_t *list = json_array();
        for (size_t i = 0; ips && i < ips->count; i++)
                json_array_append_new(list, json_pack("{s:s}", "ip", ips->items[i]));
        return list;
}

static void add_addresses(const struct kubelet *k, const json_t *object, const struct sandbox *sandbox, json_t *out)
{
        if (k->node_ips.count) {
                json_object_set_new(out, "hostIP", json_string(k->node_ips.items[0]));
                json_object_set_new(out, "hostIPs", ip_list(&k->node_ips));
        }
        const struct cx_strings *ips = !sandbox ? NULL : sandbox->host_network ? &k->node_ips : &sandbox->ips;
        if (ips && ips->count) {
                json_object_set_new(out, "podIP", json_string(ips->items[0]));
                json_object_set_new(out, "podIPs", ip_list(ips));
                return;
        }
        // After the end the addresses stay for the record.
        static const char *const keys[] = {"podIP", "podIPs"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++) {
                json_t *old = json_object_get(json_object_get(object, "status"), keys[i]);
                if (old)
                        json_object_set(out, keys[i], old);
        }
}

// Of a pod that this node did not take: no container of it has a state.
static json_t *rejected_status(const struct pod *pod, const json_t *object)
{
        json_t *old = pod->status ? json_object_get(pod->status, "startTime") : NULL;
        json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:o}", "phase", "Failed", "reason", pod->failed_reason, "message",
                                pod->failed_message, "qosClass", cx_pod_qos(json_object_get(object, "spec")),
                                "startTime", old ? json_incref(old) : status_time(cx_time_now()));
        json_t *generation = cx_json_get(object, "metadata.generation");
        if (json_is_integer(generation))
                json_object_set(out, "observedGeneration", generation);
        return out;
}

// Of a pod that was over before this kubelet started, and of which nothing is left to look at: what was said stays.
static bool is_past(const struct pod *pod, const json_t *object, const struct containers *list)
{
        return !list->count && !pod->was_up && !pod->failed_reason && cx_pod_is_terminal(object);
}

json_t *pod_make_status(struct pod *pod, const json_t *object, const struct sandbox *sandbox)
{
        const struct kubelet *k = pod->pods->kubelet;
        CONTAINERS list = {0};
        if (pod->rejected)
                return rejected_status(pod, object);
        runtime_containers(k->runtime, pod->uid, &list);
        if (is_past(pod, object, &list))
                return json_deep_copy(json_object_get(object, "status"));
        json_t *init = json_array(), *main_list = json_array(), *container;
        struct container_tally init_tally = {0}, tally = {0};
        bool init_failed = false;
        size_t i, init_left = 0;
        const char *policy = cx_json_string(object, "spec.restartPolicy");
        json_array_foreach (cx_json_get(object, "spec.initContainers"), i, container) {
                json_t *status =
                        container_status(&(struct status_subject){pod, object, &list, true}, container, &init_tally);
                bool through = cx_container_is_sidecar(container) ? json_is_true(json_object_get(status, "started"))
                                                                  : json_is_true(json_object_get(status, "ready"));
                int64_t code = cx_json_int(status, "state.terminated.exitCode", 0);
                if (!cx_container_is_sidecar(container) && code != 0 && cx_streq(policy, "Never"))
                        init_failed = true;
                init_left += !through;
                json_array_append_new(init, status);
        }
        bool began = false;
        json_array_foreach (cx_json_get(object, "spec.containers"), i, container) {
                began = began || run_of(pod, &list, cx_json_string_or(container, "name", "")).now;
                json_array_append_new(main_list, container_status(&(struct status_subject){pod, object, &list, false},
                                                                  container, &tally));
        }
        // Of them nothing depends.
        json_t *ephemeral = json_array();
        struct container_tally ignored = {0};
        json_array_foreach (cx_json_get(object, "spec.ephemeralContainers"), i, container) {
                json_t *status =
                        container_status(&(struct status_subject){pod, object, &list, false}, container, &ignored);
                json_object_set_new(status, "ready", json_false());
                json_object_del(status, "started");
                json_array_append_new(ephemeral, status);
        }
        const char *phase = phase_of(pod, object, began ? 0 : init_left, init_failed && !began, &tally);
        bool has_sandbox = sandbox && (sandbox->host_network || sandbox->ips.count);
        const struct condition_facts facts = {.phase = phase,
                                              .sandbox = has_sandbox,
                                              .began = began,
                                              .init = init,
                                              .mains = main_list,
                                              .resize_reason = pod->resize_reason,
                                              .resize_message = pod->resize_message,
                                              .resizing = allocation_under_way(pod, object, &list),
                                              .resize_error = pod->resize_error};
        const char *start = cx_json_string(object, "status.startTime");
        json_t *old = pod->status ? json_object_get(pod->status, "startTime") : NULL;
        json_t *out = json_pack("{s:s, s:o, s:s, s:o}", "phase", phase, "conditions",
                                pod_conditions(object, pod->status, &facts), "qosClass",
                                cx_pod_qos(json_object_get(object, "spec")), "startTime",
                                start ? json_string(start)
                                : old ? json_incref(old)
                                      : status_time(cx_time_now()));
        add_addresses(k, object, sandbox, out);
        if (json_array_size(init))
                json_object_set(out, "initContainerStatuses", init);
        json_object_set(out, "containerStatuses", main_list);
        if (json_array_size(ephemeral))
                json_object_set(out, "ephemeralContainerStatuses", ephemeral);
        json_decref(ephemeral);
        json_decref(init);
        json_decref(main_list);
        if (pod->failed_reason) {
                json_object_set_new(out, "reason", json_string(pod->failed_reason));
                json_object_set_new(out, "message", json_string(pod->failed_message));
        }
        json_t *generation = cx_json_get(object, "metadata.generation");
        if (json_is_integer(generation))
                json_object_set(out, "observedGeneration", generation);
        return out;
}
