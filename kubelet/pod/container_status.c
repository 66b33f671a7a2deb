// SPDX-License-Identifier: Apache-2.0
// The status of one container: its states, with the message that it left, and how it was made.
#include "kubelet/pod/container_status.h"

#include "kubelet/pod/message.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

json_t *status_time(int64_t us)
{
        char text[CX_TIME_TEXT];
        if (us <= 0)
                return json_null();
        cx_time_format(us, text);
        return json_string(text);
}

static json_t *terminated(const json_t *container, const struct container *c, const struct container_state *s,
                          size_t max)
{
        const char *reason = *s->reason ? s->reason : s->oom ? "OOMKilled" : s->exit_code == 0 ? "Completed" : "Error";
        json_t *out = json_pack("{s:i, s:s, s:o, s:o}", "exitCode", s->exit_code, "reason", reason, "startedAt",
                                status_time(s->started), "finishedAt", status_time(s->finished));
        CX_CLEANUP(cx_freep) char *id = cx_sprintf("coxswain://%s", c->id);
        json_object_set_new(out, "containerID", json_string(id));
        json_t *message = *s->message ? json_string(s->message)
                                      : termination_message(&(struct termination){
                                                .file = c->message_path,
                                                .log = c->log_path,
                                                .policy = cx_json_string(container, "terminationMessagePolicy"),
                                                .failed = s->exit_code != 0,
                                                .max = max});
        if (message)
                json_object_set_new(out, "message", message);
        return json_pack("{s:o}", "terminated", out);
}

static json_t *waiting(const char *reason, const char *message)
{
        json_t *out = json_pack("{s:s}", "reason", reason);
        if (message && *message)
                json_object_set_new(out, "message", json_string(message));
        return json_pack("{s:o}", "waiting", out);
}

struct states {
        json_t *now, *last; // last: NULL when there is none
};

const char *default_waiting_reason(const json_t *object)
{
        return json_array_size(cx_json_get(object, "spec.initContainers")) ? "PodInitializing" : "ContainerCreating";
}

static struct states states_without_run(const struct pod *pod, const json_t *object, const struct slot *slot)
{
        bool over = pod->terminating || pod->failed_reason;
        if (over && pod->torn_down)
                return (struct states){
                        .now = json_pack("{s:{s:i, s:s, s:s, s:n, s:n}}", "terminated", "exitCode", 137, "reason",
                                         "ContainerStatusUnknown", "message",
                                         "The container could not be located when the pod was terminated", "startedAt",
                                         "finishedAt")};
        if (slot->reason)
                return (struct states){.now = waiting(slot->reason, slot->message)};
        return (struct states){.now = waiting(default_waiting_reason(object), NULL)};
}

// The present and the last state of a container that has run.
static struct states states_of_run(const struct pod *pod, const json_t *object, const json_t *container,
                                   const struct pod_run *run, const struct slot *slot)
{
        size_t max = termination_message_share(object);
        bool over = pod->terminating || pod->failed_reason, ended = run->state.status == CONTAINER_EXITED;
        bool again = ended && !over && (slot->rerun || should_restart(object, container, &run->state));
        if (again && slot->reason)
                return (struct states){waiting(slot->reason, slot->message),
                                       terminated(container, run->now, &run->state, max)};
        return (struct states){ended ? terminated(container, run->now, &run->state, max)
                               : run->state.started
                                       ? json_pack("{s:{s:o}}", "running", "startedAt", status_time(run->state.started))
                                       : waiting(default_waiting_reason(object), NULL),
                               run->before ? terminated(container, run->before, &run->before_state, max) : NULL};
}

static json_t *mounts_of(const struct kubelet *k, const json_t *container)
{
        json_t *list = json_array(), *mount;
        size_t i;
        json_array_foreach (json_object_get(container, "volumeMounts"), i, mount) {
                json_t *out = json_pack("{s:s, s:s}", "name", cx_json_string_or(mount, "name", ""), "mountPath",
                                        cx_json_string_or(mount, "mountPath", ""));
                if (cx_json_bool(mount, "readOnly", false)) {
                        // Only where the node can, and then on request, are the mounts below read-only too.
                        bool recursive =
                                strcmp(cx_json_string_or(mount, "recursiveReadOnly", "Disabled"), "Disabled") != 0 &&
                                runtime_recursive_read_only(k->runtime);
                        json_object_set_new(out, "readOnly", json_true());
                        json_object_set_new(out, "recursiveReadOnly", json_string(recursive ? "Enabled" : "Disabled"));
                }
                json_array_append_new(list, out);
        }
        return list;
}

// How the container was made: resources, mounts, user.
static void add_made(const struct kubelet *k, const json_t *container, const struct container *made, json_t *out)
{
        json_auto_t *given = made ? container_resources(k->runtime, made) : NULL;
        const json_t *wanted = json_object_get(container, "resources");
        json_t *requests = json_object_get(wanted, "requests");
        json_object_set_new(out, "resources",
                            json_is_object(given) ? json_copy(given)
                            : wanted              ? json_copy((json_t *)wanted)
                                                  : json_object());
        json_object_del(json_object_get(out, "resources"), "claims");
        if (json_object_size(requests))
                json_object_set(out, "allocatedResources", requests);
        json_t *mounts = mounts_of(k, container);
        if (json_array_size(mounts))
                json_object_set(out, "volumeMounts", mounts);
        json_decref(mounts);
        if (made && json_is_object(made->user))
                json_object_set_new(out, "user", json_pack("{s:O}", "linux", made->user));
        const char *stop = cx_json_string(container, "lifecycle.stopSignal");
        if (stop)
                json_object_set_new(out, "stopSignal", json_string(stop));
}

json_t *container_status(const struct status_subject *subject, const json_t *container, struct container_tally *tally)
{
        struct pod *pod = subject->pod;
        const json_t *object = subject->object;
        bool init = subject->init;
        const struct kubelet *k = pod->pods->kubelet;
        const char *name = cx_json_string_or(container, "name", "");
        struct pod_run run = run_of(pod, subject->list, name);
        struct slot *slot = pod_slot(pod, name);
        struct states states =
                run.now ? states_of_run(pod, object, container, &run, slot) : states_without_run(pod, object, slot);
        json_t *state = states.now, *last = states.last;
        bool running = run.now && run.state.status == CONTAINER_RUNNING;
        bool started = run_started(pod, object, container, &run);
        bool sidecar = cx_container_is_sidecar(container);
        bool ready = run_ready(pod, object, container, &run);
        if (init && !sidecar)
                ready = run.now && run.state.status == CONTAINER_EXITED && run.state.exit_code == 0;
        json_t *terminal = json_object_get(state, "terminated");
        tally->total++;
        tally->ready += ready;
        tally->running += running;
        tally->waiting += json_object_get(state, "waiting") != NULL;
        tally->unstarted = tally->unstarted || (json_object_get(state, "waiting") && !last);
        tally->stopped += terminal != NULL || (json_object_get(state, "waiting") && last);
        tally->succeeded += terminal && cx_json_int(terminal, "exitCode", 1) == 0;
        int restarts = run.now ? run.now->attempt : slot->restarts;
        json_t *out = json_pack("{s:s, s:o, s:o, s:b, s:i, s:s, s:s}", "name", name, "state", state, "lastState",
                                last ? last : json_object(), "ready", ready, "restartCount", restarts, "image",
                                run.now ? run.now->image : cx_json_string_or(container, "image", ""), "imageID",
                                run.now ? run.now->image_ref : "");
        if (run.now) {
                CX_CLEANUP(cx_freep) char *id = cx_sprintf("coxswain://%s", run.now->id);
                json_object_set_new(out, "containerID", json_string(id));
        }
        json_object_set_new(out, "started", json_boolean(init && !sidecar ? false : started));
        add_made(k, container, run.now, out);
        return out;
}

char *why_no_logs(const json_t *pod, const char *container, bool previous)
{
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        if (previous)
                return cx_sprintf("previous terminated container \"%s\" in pod \"%s\" not found", container, name);
        const json_t *status = cx_pod_container_status(pod, container), *state = json_object_get(status, "state");
        if (!status)
                return cx_sprintf("container \"%s\" in pod \"%s\" is not available", container, name);
        if (json_object_get(state, "terminated") || cx_json_get(status, "lastState.terminated"))
                return cx_sprintf("container \"%s\" in pod \"%s\" is terminated", container, name);
        const char *reason = cx_json_string(state, "waiting.reason");
        if (!reason)
                return cx_sprintf("container \"%s\" in pod \"%s\" is waiting to start - no logs yet", container, name);
        return cx_sprintf("container \"%s\" in pod \"%s\" is waiting to start: %s", container, name,
                          strcmp(reason, "ErrImagePull") == 0       ? "image can't be pulled"
                          : strcmp(reason, "ImagePullBackOff") == 0 ? "trying and failing to pull image"
                                                                    : reason);
}
