// SPDX-License-Identifier: Apache-2.0
// Pods and their containers by name: references, what is remembered, and what follows from a run's state.
#include "kubelet/pod/model.h"

#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

// --- containers by name ----------------------------------------------------------------------------------------------

static void slot_free(void *p)
{
        struct slot *slot = p;
        free(slot->name);
        json_decref(slot->image);
        free(slot->pull_error);
        free(slot->message);
        free(slot->run_id);
        free(slot);
}

// Under the lock, or of a pod that nobody else knows yet.
static struct slot *slot_of(struct pod *pod, const char *name)
{
        struct slot *slot = cx_map_get(&pod->slots, name);
        if (!slot) {
                slot = cx_alloc(sizeof *slot);
                slot->name = cx_strdup(name);
                cx_map_set(&pod->slots, name, slot);
        }
        return slot;
}

struct slot *pod_slot(struct pod *pod, const char *name)
{
        pthread_mutex_lock(&pod->pods->lock);
        struct slot *slot = slot_of(pod, name);
        pthread_mutex_unlock(&pod->pods->lock);
        return slot;
}

void slot_waits(struct slot *slot, const char *reason, const char *format, ...)
{
        va_list args;
        CX_BUF text = CX_BUF_INIT_MAX(8192);
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        free(slot->message);
        slot->message = cx_buf_detach(&text);
        slot->reason = reason;
}

void slot_ok(struct slot *slot)
{
        free(slot->message);
        slot->message = NULL;
        slot->reason = NULL;
}

void slot_set_run(struct pod *pod, struct slot *slot, const char *run_id, enum hook_phase post_start)
{
        pthread_mutex_lock(&pod->pods->lock);
        free(slot->run_id);
        slot->run_id = cx_strdup(run_id);
        slot->post_start = post_start;
        slot->pre_stop_done = false;
        pthread_mutex_unlock(&pod->pods->lock);
}

bool slot_hook(struct pod *pod, const struct slot *slot, const char *run_id, enum hook_phase *ret_phase)
{
        pthread_mutex_lock(&pod->pods->lock);
        bool same = cx_streq(slot->run_id, run_id);
        *ret_phase = same ? slot->post_start : HOOK_NONE;
        pthread_mutex_unlock(&pod->pods->lock);
        return same;
}

void slot_begin_end(struct pod *pod, struct slot *slot, const char *run_id)
{
        pthread_mutex_lock(&pod->pods->lock);
        if (!cx_streq(slot->run_id, run_id)) { // found again after our restart
                free(slot->run_id);
                slot->run_id = cx_strdup(run_id);
                slot->post_start = HOOK_DONE;
        }
        slot->pre_stop_done = false;
        pthread_mutex_unlock(&pod->pods->lock);
}

bool slot_pre_stop_done(struct pod *pod, const struct slot *slot)
{
        pthread_mutex_lock(&pod->pods->lock);
        bool done = slot->pre_stop_done;
        pthread_mutex_unlock(&pod->pods->lock);
        return done;
}

// --- pods ------------------------------------------------------------------------------------------------------------

struct pod *pod_new(struct pods *pods, const char *uid, json_t *object_steal)
{
        struct pod *pod = cx_alloc(sizeof *pod);
        pod->refs = 1;
        pod->pods = pods;
        pod->uid = cx_strdup(uid);
        pod->key = cx_sprintf("%s/%s", cx_json_string_or(object_steal, "metadata.namespace", ""),
                              cx_json_string_or(object_steal, "metadata.name", ""));
        pod->object = object_steal;
        pod->slots = (struct cx_map)CX_MAP_INIT_FREE(slot_free);
        // Restart counts go on from what was last reported, should the records here be lost.
        static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                size_t i;
                json_t *status;
                json_array_foreach (cx_json_get(object_steal, lists[l]), i, status) {
                        struct slot *slot = slot_of(pod, cx_json_string_or(status, "name", ""));
                        slot->restarts = (int)cx_json_int(status, "restartCount", 0);
                        if (cx_json_string(status, "containerID"))
                                slot->restarts++;
                }
        }
        return pod;
}

void pod_ref(struct pod *pod)
{
        pthread_mutex_lock(&pod->pods->lock);
        pod->refs++;
        pthread_mutex_unlock(&pod->pods->lock);
}

void pod_unref(struct pod *pod)
{
        pthread_mutex_lock(&pod->pods->lock);
        bool last = --pod->refs == 0;
        pthread_mutex_unlock(&pod->pods->lock);
        if (!last)
                return;
        free(pod->uid);
        free(pod->key);
        free(pod->mirror_uid);
        json_decref(pod->allocated);
        free(pod->resize_message);
        free(pod->resize_error);
        free(pod->resize_told);
        json_decref(pod->object);
        json_decref(pod->status);
        cx_map_release(&pod->slots);
        free(pod->failed_reason);
        free(pod->failed_message);
        free(pod);
}

struct pod *pod_find(struct pods *pods, const char *uid)
{
        pthread_mutex_lock(&pods->lock);
        struct pod *pod = cx_map_get(&pods->map, uid);
        if (pod)
                pod->refs++;
        pthread_mutex_unlock(&pods->lock);
        return pod;
}

void pod_enqueue(struct pod *pod)
{
        cx_workqueue_add(pod->pods->queue, pod->uid);
}

void pod_again(struct pod *pod, int64_t ns)
{
        if (ns < pod->again)
                pod->again = ns;
}

char *pod_log_folder(const struct kubelet *k, const json_t *object)
{
        return cx_sprintf("%s/%s_%s_%s", k->log_root, cx_json_string_or(object, "metadata.namespace", ""),
                          cx_json_string_or(object, "metadata.name", ""),
                          cx_json_string_or(object, "metadata.uid", ""));
}

const char *pod_address(const struct kubelet *k, const struct sandbox *sandbox)
{
        const struct cx_strings *ips = sandbox && !sandbox->host_network ? &sandbox->ips : &k->node_ips;
        return ips->count ? ips->items[0] : "127.0.0.1";
}

// --- runs ------------------------------------------------------------------------------------------------------------

struct pod_run run_of(const struct pod *pod, const struct containers *list, const char *name)
{
        struct pod_run run = {0};
        for (size_t i = list->count; i-- > 0 && !run.before;) {
                if (strcmp(list->items[i]->name, name) != 0)
                        continue;
                *(run.now ? &run.before : &run.now) = list->items[i];
        }
        if (run.now)
                container_state(pod->pods->kubelet->runtime, run.now, &run.state);
        if (run.before)
                container_state(pod->pods->kubelet->runtime, run.before, &run.before_state);
        return run;
}

// What the object's status says of this very run: `field` is "started" or "ready".
static bool was_said(const json_t *object, const struct container *run, const char *field)
{
        const json_t *status = cx_pod_container_status(object, run->name);
        CX_CLEANUP(cx_freep) char *id = cx_sprintf("coxswain://%s", run->id);
        return cx_streq(cx_json_string(status, "containerID"), id) && json_is_true(json_object_get(status, field));
}

bool run_started(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run)
{
        enum hook_phase hook;
        if (!run->now || run->state.status != CONTAINER_RUNNING)
                return false;
        if (slot_hook(pod, pod_slot(pod, run->now->name), run->now->id, &hook) && hook == HOOK_RUNNING)
                return false;
        if (!json_object_get(container, "startupProbe"))
                return true;
        enum probe_result result = probes_result(pod->pods->probes, run->now->id, PROBE_STARTUP);
        return result == PROBE_UNKNOWN ? was_said(object, run->now, "started") : result == PROBE_SUCCESS;
}

bool run_ready(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run)
{
        if (!run_started(pod, object, container, run))
                return false;
        if (!json_object_get(container, "readinessProbe"))
                return true;
        enum probe_result result = probes_result(pod->pods->probes, run->now->id, PROBE_READINESS);
        if (result != PROBE_UNKNOWN)
                return result == PROBE_SUCCESS;
        // One that is being ended alone is not probed any more. A node that was away for long: the pod is not ready, whatever its
        // containers are said to be.
        bool ending = pod_slot(pod, run->now->name)->kill.phase != KILL_NONE && !pod->terminating;
        return !ending && cx_pod_is_ready(object) && was_said(object, run->now, "ready");
}

bool should_restart(const json_t *object, const json_t *container, const struct container_state *state)
{
        const json_t *spec = json_object_get(object, "spec");
        const char *policy = cx_json_string(spec, "restartPolicy");
        const char *name = cx_json_string_or(container, "name", "");
        if (cx_pod_container(spec, name, CX_POD_EPHEMERAL, NULL))
                return false;
        if (cx_container_is_sidecar(container))
                return true;
        if (cx_pod_container(spec, name, CX_POD_INIT, NULL))
                return state->exit_code != 0 && !cx_streq(policy, "Never");
        return cx_streq(policy, "Always") || (cx_streq(policy, "OnFailure") && state->exit_code != 0);
}
