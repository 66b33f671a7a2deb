// SPDX-License-Identifier: Apache-2.0
// The row of a pod: what its STATUS, READY and RESTARTS say.
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"
#include "libcommon/schema/table_internal.h"

struct summary {
        char *reason; // owned
        size_t ready, total;
        int64_t restarts, restartable_restarts;
        int64_t last_restart; // µs, 0: none
};

static void set_reason(struct summary *s, char *reason_steal)
{
        free(s->reason);
        s->reason = reason_steal;
}

static int64_t last_finish(const json_t *status)
{
        int64_t us;
        const char *text = cx_json_string(status, "lastState.terminated.finishedAt");
        return text && cx_time_parse(text, &us) == 0 ? us : 0;
}

static char *terminated_reason(const json_t *terminated, const char *prefix)
{
        const char *reason = cx_json_string_or(terminated, "reason", "");
        int64_t signal = cx_json_int(terminated, "signal", 0);
        if (*reason)
                return cx_sprintf("%s%s", prefix, reason);
        if (signal)
                return cx_sprintf("%sSignal:%lld", prefix, (long long)signal);
        return cx_sprintf("%sExitCode:%lld", prefix, (long long)cx_json_int(terminated, "exitCode", 0));
}

// True when the pod is still in its init containers.
static bool look_at_init(struct summary *s, const json_t *pod)
{
        const json_t *statuses = cx_json_get(pod, "status.initContainerStatuses");
        size_t total = cx_json_count(pod, "spec.initContainers"), i;
        json_t *status;
        int64_t sidecar_restart = 0;
        json_array_foreach (statuses, i, status) {
                const json_t *terminated = cx_json_get(status, "state.terminated");
                const char *waiting = cx_json_string_or(status, "state.waiting.reason", "");
                bool sidecar = cx_container_is_sidecar(cx_pod_container(
                        json_object_get(pod, "spec"), cx_json_string(status, "name"), CX_POD_INIT, NULL));
                int64_t finish = last_finish(status), restarts = cx_json_int(status, "restartCount", 0);
                s->restarts += restarts;
                s->last_restart = finish > s->last_restart ? finish : s->last_restart;
                if (sidecar) {
                        s->restartable_restarts += restarts;
                        sidecar_restart = finish > sidecar_restart ? finish : sidecar_restart;
                }
                if (terminated && cx_json_int(terminated, "exitCode", 0) == 0)
                        continue;
                if (sidecar && cx_json_bool(status, "started", false)) {
                        if (cx_json_bool(status, "ready", false))
                                s->ready++;
                        continue;
                }
                if (terminated)
                        set_reason(s, terminated_reason(terminated, "Init:"));
                else if (*waiting && strcmp(waiting, "PodInitializing") != 0)
                        set_reason(s, cx_sprintf("Init:%s", waiting));
                else
                        set_reason(s, cx_sprintf("Init:%zu/%zu", i, total));
                return true;
        }
        s->restarts = s->restartable_restarts;
        s->last_restart = sidecar_restart;
        return false;
}

static void look_at_containers(struct summary *s, const json_t *pod)
{
        const json_t *statuses = cx_json_get(pod, "status.containerStatuses");
        bool running = false;
        for (size_t i = json_array_size(statuses); i-- > 0;) {
                const json_t *status = json_array_get(statuses, i),
                             *terminated = cx_json_get(status, "state.terminated");
                const char *waiting = cx_json_string_or(status, "state.waiting.reason", "");
                int64_t finish = last_finish(status);
                s->restarts += cx_json_int(status, "restartCount", 0);
                s->last_restart = finish > s->last_restart ? finish : s->last_restart;
                bool ready = cx_json_bool(status, "ready", false);
                if (*waiting) {
                        set_reason(s, cx_strdup(waiting));
                } else if (terminated) {
                        set_reason(s, terminated_reason(terminated, ""));
                } else if (ready && cx_json_get(status, "state.running")) {
                        running = true;
                        s->ready++;
                }
        }
        if (running && strcmp(s->reason, "Completed") == 0)
                set_reason(s, cx_strdup(cx_pod_condition_is(pod, "Ready", "True") ? "Running" : "NotReady"));
}

static void summarize(struct summary *s, const json_t *pod)
{
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        s->total += walk.list == CX_POD_MAIN || cx_container_is_sidecar(walk.container);
        const char *status_reason = cx_json_string_or(pod, "status.reason", "");
        s->reason = cx_strdup(*status_reason ? status_reason : cx_pod_phase(pod));
        if (cx_streq(cx_json_string(cx_pod_condition(pod, "PodScheduled"), "reason"), "SchedulingGated"))
                set_reason(s, cx_strdup("SchedulingGated"));
        if (!look_at_init(s, pod) || cx_pod_condition_is(pod, "Initialized", "True"))
                look_at_containers(s, pod);
        if (!cx_pod_is_terminating(pod))
                return;
        if (strcmp(status_reason, "NodeLost") == 0)
                set_reason(s, cx_strdup("Unknown"));
        else if (!cx_pod_is_terminal(pod))
                set_reason(s, cx_strdup("Terminating"));
}

char *cx_pod_status_text(const json_t *pod)
{
        struct summary s = {0};
        summarize(&s, pod);
        return s.reason;
}

static void print_gates(struct cx_row *row, const json_t *pod)
{
        const json_t *gates = cx_json_get(pod, "spec.readinessGates");
        size_t i, passed = 0;
        json_t *gate;
        json_array_foreach (gates, i, gate)
                if (cx_pod_condition_is(pod, cx_json_string_or(gate, "conditionType", ""), "True"))
                        passed++;
        if (json_array_size(gates))
                cx_cell_printf(row, "%zu/%zu", passed, json_array_size(gates));
        else
                cx_cell(row, "<none>");
}

static void print_pod(struct cx_row *row, const json_t *pod)
{
        struct summary s = {0};
        summarize(&s, pod);
        cx_cell_name(row, pod);
        cx_cell_printf(row, "%zu/%zu", s.ready, s.total);
        cx_cell_steal(row, s.reason);
        if (s.restarts && s.last_restart) {
                char ago[CX_TIME_TEXT];
                cx_duration_human((row->now - s.last_restart) / CX_US_PER_S * CX_NS_PER_S, ago);
                cx_cell_printf(row, "%lld (%s ago)", (long long)s.restarts, ago);
        } else {
                cx_cell_printf(row, "%lld", (long long)s.restarts);
        }
        cx_cell_age(row, pod);
        const char *ip = cx_json_string(json_array_get(cx_json_get(pod, "status.podIPs"), 0), "ip");
        cx_cell_or(row, ip ? ip : cx_json_string(pod, "status.podIP"), "<none>");
        cx_cell_at(row, pod, "spec.nodeName", "<none>");
        cx_cell_at(row, pod, "status.nominatedNodeName", "<none>");
        print_gates(row, pod);
}

static void print_pod_template(struct cx_row *row, const json_t *template)
{
        cx_cell_name(row, template);
        cx_cell_containers(row, cx_json_get(template, "template.spec"));
        cx_cell_labels(row, cx_json_get(template, "template.metadata.labels"));
}

const struct cx_printer cx_printers_pod[] = {
        {"core.v1.Pod", print_pod},
        {"core.v1.PodTemplate", print_pod_template},
        {NULL, NULL},
};
