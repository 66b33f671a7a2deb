// SPDX-License-Identifier: Apache-2.0
// Ending containers and pods, one step at a time: preStop hook, the stop signal, after the grace period SIGKILL. Each step
// returns at once; the exit's event or the deadline's timer brings the worker back.
#include "kubelet/pod/kill.h"

#include "kubelet/pod/cgroups.h"
#include "kubelet/pod/hook.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <signal.h>

#define LEAST_GRACE (2 * CX_NS_PER_S)

static void send_stop(struct pod *pod, struct slot *slot, struct container *c, int64_t now)
{
        slot->kill.phase = KILL_TERM;
        slot->kill.stopped = now;
        (void)container_signal(pod->pods->kubelet->runtime, c, c->stop_signal);
}

int64_t kill_deadline(const struct ending *end)
{
        int64_t asked = end->started + end->grace, least = end->stopped + LEAST_GRACE;
        return end->grace > 0 && end->stopped && least > asked ? least : asked;
}

bool pod_kill(struct pod *pod, const json_t *object, struct container *c, int64_t grace, const char *why)
{
        const struct kubelet *k = pod->pods->kubelet;
        struct container_state state;
        container_state(k->runtime, c, &state);
        if (state.status == CONTAINER_EXITED)
                return true;
        struct slot *slot = pod_slot(pod, c->name);
        int64_t now = cx_time_monotonic();
        bool hook_done = slot_pre_stop_done(pod, slot);
        if (slot->kill.phase == KILL_NONE) {
                pod_event(k, object, c->name, "Normal", "Killing", "%s", why);
                if (pod->terminating)
                        probes_stand_down(pod->pods->probes, pod->uid, c->name);
                else
                        probes_remove(pod->pods->probes, pod->uid, c->name);
                slot->kill = (struct ending){.started = now, .grace = grace * CX_NS_PER_S};
                slot_begin_end(pod, slot, c->id);
                const json_t *spec = cx_pod_container(json_object_get(object, "spec"), c->name, CX_POD_TEMPLATE, NULL);
                if (grace > 0 && cx_json_get(spec, "lifecycle.preStop")) {
                        slot->kill.phase = KILL_HOOK;
                        pod_start_hook(pod, object, spec, c, true, grace * CX_NS_PER_S);
                } else if (grace > 0) {
                        send_stop(pod, slot, c, now);
                } else {
                        slot->kill.phase = KILL_TERM;
                }
        } else if (grace * CX_NS_PER_S < slot->kill.grace) {
                slot->kill.grace = grace * CX_NS_PER_S; // a shorter one was asked for
        }
        if (slot->kill.phase == KILL_HOOK && (hook_done || now >= kill_deadline(&slot->kill)))
                send_stop(pod, slot, c, now);
        if (slot->kill.phase >= KILL_TERM && now >= kill_deadline(&slot->kill)) {
                slot->kill.phase = KILL_KILL;
                (void)container_signal(k->runtime, c, SIGKILL);
                pod_again(pod, CX_NS_PER_S);
                container_state(k->runtime, c, &state);
                return state.status == CONTAINER_EXITED;
        } else {
                pod_again(pod, kill_deadline(&slot->kill) - now);
        }
        return false;
}

static bool is_main(const json_t *object, const char *name)
{
        return !cx_json_find(cx_json_get(object, "spec.initContainers"), "name", name);
}

// What of the pod's grace period (s) was left for a sidecar when its end began.
static int64_t grace_left(const struct pod *pod, const struct slot *slot, int64_t grace)
{
        int64_t began = slot->kill.phase == KILL_NONE ? cx_time_monotonic() : slot->kill.started;
        int64_t left = grace - (began - pod->kill_began) / CX_NS_PER_S, least = LEAST_GRACE / CX_NS_PER_S;
        return grace > 0 && left < least ? least : left;
}

bool pod_kill_all(struct pod *pod, const json_t *object, int64_t grace)
{
        CONTAINERS list = {0};
        runtime_containers(pod->pods->kubelet->runtime, pod->uid, &list);
        if (!pod->kill_began)
                pod->kill_began = cx_time_monotonic();
        bool mains_ended = true, all_ended = true;
        for (size_t i = 0; i < list.count; i++) {
                if (!is_main(object, list.items[i]->name))
                        continue;
                CX_CLEANUP(cx_freep) char *why = cx_sprintf("Stopping container %s", list.items[i]->name);
                if (!pod_kill(pod, object, list.items[i], grace, why))
                        mains_ended = all_ended = false;
        }
        // Sidecars go after the containers they serve, the last started first.
        for (size_t i = list.count; i-- > 0 && mains_ended;) {
                if (is_main(object, list.items[i]->name))
                        continue;
                CX_CLEANUP(cx_freep) char *why = cx_sprintf("Stopping container %s", list.items[i]->name);
                int64_t left = grace_left(pod, pod_slot(pod, list.items[i]->name), grace);
                if (!pod_kill(pod, object, list.items[i], left, why)) {
                        all_ended = false;
                        break;
                }
        }
        return all_ended;
}

int pod_tear_down(struct pod *pod, struct cx_error *err)
{
        const struct kubelet *k = pod->pods->kubelet;
        probes_remove(pod->pods->probes, pod->uid, NULL);
        for (;;) {
                CX_CLEANUP(sandbox_unrefp) struct sandbox *sandbox = runtime_sandbox(k->runtime, pod->uid);
                if (!sandbox)
                        break;
                int r = sandbox_remove(k->runtime, sandbox, err);
                if (r < 0)
                        return cx_error_wrap(err, "cannot remove the sandbox");
        }
        int64_t again = INT64_MAX;
        int r = volumes_tear_down(pod->pods->volumes, pod->uid, &again, err);
        pod_again(pod, again);
        if (r < 0)
                return r;
        return pod_cgroup_remove(k, pod->uid, err);
}

int pod_forget_containers(struct pod *pod, struct cx_error *err)
{
        CONTAINERS list = {0};
        runtime_containers(pod->pods->kubelet->runtime, pod->uid, &list);
        for (size_t i = 0; i < list.count; i++) {
                int r = container_remove(pod->pods->kubelet->runtime, list.items[i], err);
                if (r < 0)
                        return cx_error_wrap(err, "cannot remove container %s", list.items[i]->id);
        }
        return 0;
}
