// SPDX-License-Identifier: Apache-2.0
// The status of a pod from its object and what runs: container statuses, phase, conditions, addresses. Pure but for reading
// termination messages.
#include "kubelet/pod/status.h"

#include "kubelet/base/log_line.h"
#include "kubelet/pod/conditions.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MESSAGE_MAX 4096
#define ALL_MESSAGES_MAX 12288
#define LOG_MESSAGE_MAX 2048
#define LOG_MESSAGE_LINES 80

static json_t *time_json(int64_t us)
{
        char text[CX_TIME_TEXT];
        if (us <= 0)
                return json_null();
        cx_time_format(us, text);
        return json_string(text);
}

// The last lines of a CRI log without their stamps, at most LOG_MESSAGE_MAX bytes and LOG_MESSAGE_LINES lines.
static void log_tail(const char *path, struct cx_buf *to)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        char block[LOG_MESSAGE_MAX * 2 + 1];
        off_t from = st.st_size > (off_t)sizeof block - 1 ? st.st_size - (off_t)sizeof block + 1 : 0;
        ssize_t n = pread(fd, block, sizeof block - 1, from);
        block[n > 0 ? n : 0] = '\0';
        const char *line = from ? strchr(block, '\n') : block;
        size_t lines = 0;
        for (const char *end; line && *line; line = end) {
                struct log_line l;
                line += *line == '\n';
                end = strchr(line, '\n');
                if (!log_line_parse(line, end ? (size_t)(end - line) : strlen(line), &l))
                        continue;
                cx_buf_append(to, l.text, l.text_length);
                if (l.full)
                        cx_buf_add_char(to, '\n');
                lines += l.full;
        }
        for (; lines > LOG_MESSAGE_LINES; lines--)
                cx_buf_consume(to, (size_t)((const char *)memchr(to->data, '\n', to->length) - to->data) + 1);
        if (to->length > LOG_MESSAGE_MAX)
                cx_buf_consume(to, to->length - LOG_MESSAGE_MAX);
}

// The end of what the container wrote to its file.
static void file_tail(const char *path, struct cx_buf *to)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        char block[MESSAGE_MAX];
        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        ssize_t n = pread(fd, block, sizeof block, st.st_size > MESSAGE_MAX ? st.st_size - MESSAGE_MAX : 0);
        if (n > 0)
                cx_buf_append(to, block, (size_t)n);
}

// At most `max` bytes: the pod's messages share 12 KiB.
static json_t *message_of(const json_t *container, const struct container *c, const struct container_state *state,
                          size_t max)
{
        if (*state->message)
                return json_string(state->message);
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        file_tail(c->message_path, &text);
        bool fall_back = cx_streq(cx_json_string(container, "terminationMessagePolicy"), "FallbackToLogsOnError");
        if (!text.length && fall_back && state->exit_code != 0)
                log_tail(c->log_path, &text);
        if (!text.length)
                return NULL;
        if (text.length > max) {
                text.length = max;
                text.data[max] = '\0';
        }
        json_t *json = json_string(text.data);
        if (json)
                return json;
        for (char *p = text.data; *p; p++) // what is not UTF-8 cannot be in JSON
                if ((unsigned char)*p >= 0x80)
                        *p = '?';
        return json_string(text.data);
}

static json_t *terminated(const json_t *container, const struct container *c, const struct container_state *s,
                          size_t max)
{
        const char *reason = *s->reason ? s->reason : s->oom ? "OOMKilled" : s->exit_code == 0 ? "Completed" : "Error";
        json_t *out = json_pack("{s:i, s:s, s:o, s:o}", "exitCode", s->exit_code, "reason", reason, "startedAt",
                                time_json(s->started), "finishedAt", time_json(s->finished));
        CX_CLEANUP(cx_freep) char *id = cx_sprintf("coxswain://%s", c->id);
        json_object_set_new(out, "containerID", json_string(id));
        json_t *message = message_of(container, c, s, max);
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

struct container_tally {
        size_t total, waiting, running, stopped, succeeded, ready;
        bool unstarted; // a waiting container that never ran
};

static size_t message_share(const json_t *object)
{
        size_t n = json_array_size(cx_json_get(object, "spec.containers")) +
                   json_array_size(cx_json_get(object, "spec.initContainers"));
        return n > 0 ? ALL_MESSAGES_MAX / n : ALL_MESSAGES_MAX;
}

// The present and the last state of one container.
static void states_of(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run,
                      const struct slot *slot, bool may_start, json_t **ret_state, json_t **ret_last)
{
        bool over = pod->terminating || pod->failed_reason;
        size_t max = message_share(object);
        *ret_last = NULL;
        if (!run->now) {
                if (over && pod->torn_down)
                        *ret_state = json_pack("{s:{s:i, s:s, s:s, s:n, s:n}}", "terminated", "exitCode", 137, "reason",
                                               "ContainerStatusUnknown", "message",
                                               "The container could not be located when the pod was terminated",
                                               "startedAt", "finishedAt");
                else if (slot->reason)
                        *ret_state = waiting(slot->reason, slot->message);
                else
                        *ret_state = waiting(may_start ? "ContainerCreating" : "PodInitializing", NULL);
                return;
        }
        if (run->state.status != CONTAINER_EXITED) {
                *ret_state = run->state.started
                                     ? json_pack("{s:{s:o}}", "running", "startedAt", time_json(run->state.started))
                                     : waiting("ContainerCreating", NULL);
                if (run->before)
                        *ret_last = terminated(container, run->before, &run->before_state, max);
                return;
        }
        bool again = !over && (slot->rerun || should_restart(object, container, &run->state));
        if (again && slot->reason) {
                *ret_state = waiting(slot->reason, slot->message);
                *ret_last = terminated(container, run->now, &run->state, max);
                return;
        }
        *ret_state = terminated(container, run->now, &run->state, max);
        if (run->before)
                *ret_last = terminated(container, run->before, &run->before_state, max);
}

static json_t *mounts_of(const json_t *container)
{
        json_t *list = json_array(), *mount;
        size_t i;
        json_array_foreach (json_object_get(container, "volumeMounts"), i, mount) {
                json_t *out = json_pack("{s:s, s:s}", "name", cx_json_string_or(mount, "name", ""), "mountPath",
                                        cx_json_string_or(mount, "mountPath", ""));
                if (cx_json_bool(mount, "readOnly", false)) {
                        // Only where the kernel can, and then on request, are the mounts below read-only too.
                        json_object_set_new(out, "readOnly", json_true());
                        json_object_set_new(out, "recursiveReadOnly", json_string("Disabled"));
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
        json_t *mounts = mounts_of(container);
        if (json_array_size(mounts))
                json_object_set(out, "volumeMounts", mounts);
        json_decref(mounts);
        if (made && json_is_object(made->user))
                json_object_set_new(out, "user", json_pack("{s:O}", "linux", made->user));
        const char *stop = cx_json_string(container, "lifecycle.stopSignal");
        if (stop)
                json_object_set_new(out, "stopSignal", json_string(stop));
}

static json_t *container_status(struct pod *pod, const json_t *object, const json_t *container,
                                const struct containers *list, bool init, bool may_start, struct container_tally *tally)
{
        const struct kubelet *k = pod->pods->kubelet;
        const char *name = cx_json_string_or(container, "name", "");
        struct pod_run run = run_of(pod, list, name);
        struct slot *slot = pod_slot(pod, name);
        json_t *state = NULL, *last = NULL;
        states_of(pod, object, container, &run, slot, may_start, &state, &last);
        bool running = run.now && run.state.status == CONTAINER_RUNNING;
        bool started = run_started(pod, slot, container, &run);
        bool sidecar = cx_container_is_sidecar(container);
        bool ready = started && !pod->terminating;
        if (ready && json_object_get(container, "readinessProbe"))
                ready = probes_result(pod->pods->probes, run.now->id, PROBE_READINESS) == PROBE_SUCCESS;
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
                                "startTime", old ? json_incref(old) : time_json(cx_time_now()));
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
        bool may_start = true, init_failed = false;
        size_t i, init_left = 0;
        const char *policy = cx_json_string(object, "spec.restartPolicy");
        json_array_foreach (cx_json_get(object, "spec.initContainers"), i, container) {
                json_t *status = container_status(pod, object, container, &list, true, may_start, &init_tally);
                bool through = cx_container_is_sidecar(container) ? json_is_true(json_object_get(status, "started"))
                                                                  : json_is_true(json_object_get(status, "ready"));
                int64_t code = cx_json_int(status, "state.terminated.exitCode", 0);
                if (!cx_container_is_sidecar(container) && code != 0 && cx_streq(policy, "Never"))
                        init_failed = true;
                if (!through) {
                        may_start = false;
                        init_left++;
                }
                json_array_append_new(init, status);
        }
        bool began = false;
        json_array_foreach (cx_json_get(object, "spec.containers"), i, container) {
                began = began || run_of(pod, &list, cx_json_string_or(container, "name", "")).now;
                json_array_append_new(
                        main_list, container_status(pod, object, container, &list, false, may_start || began, &tally));
        }
        const char *phase = phase_of(pod, object, began ? 0 : init_left, init_failed && !began, &tally);
        bool has_sandbox = sandbox && (sandbox->host_network || sandbox->ips.count);
        const struct condition_facts facts = {
                .phase = phase, .sandbox = has_sandbox, .began = began, .init = init, .mains = main_list};
        const char *start = cx_json_string(object, "status.startTime");
        json_t *old = pod->status ? json_object_get(pod->status, "startTime") : NULL;
        json_t *out = json_pack("{s:s, s:o, s:s, s:o}", "phase", phase, "conditions",
                                pod_conditions(object, pod->status, &facts), "qosClass",
                                cx_pod_qos(json_object_get(object, "spec")), "startTime",
                                start ? json_string(start)
                                : old ? json_incref(old)
                                      : time_json(cx_time_now()));
        add_addresses(k, object, sandbox, out);
        if (json_array_size(init))
                json_object_set(out, "initContainerStatuses", init);
        json_object_set(out, "containerStatuses", main_list);
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
