// SPDX-License-Identifier: Apache-2.0
// kubectl why POD: an addition of ours.
#include "kubectl/cmd/why.h"
#include "kubectl/cmd/commands.h"
#include "kubectl/printer/tabs.h"
#include "libcommon/api/pod.h"

#include <inttypes.h>

#define MAX_EVENTS 5

struct why_text {
        struct cx_buf *to;
        const json_t *pod;
        const char *name, *namespace;
        char next[512]; // command; "": none yet
        bool wrong;
};

static void say(struct why_text *page, const char *format, ...) CX_PRINTF(2, 3);
static void say(struct why_text *page, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(page->to, format, args);
        va_end(args);
        cx_buf_add_char(page->to, '\n');
        page->wrong = true;
}

// The first advice counts: it is about what comes first.
static void advise(struct why_text *page, const char *format, ...) CX_PRINTF(2, 3);
static void advise(struct why_text *page, const char *format, ...)
{
        va_list args;
        if (*page->next)
                return;
        va_start(args, format);
        vsnprintf(page->next, sizeof page->next, format, args);
        va_end(args);
}

// --- containers -------------------------------------------------------------------------------------------------------
// What reasons of waiting mean. `logs`: the previous instance has said something.
static const struct {
        const char *reason, *words;
        bool logs, events;
} waits[] = {
        {"ImagePullBackOff", "its image cannot be pulled", false, true},
        {"ErrImagePull", "its image cannot be pulled", false, true},
        {"InvalidImageName", "the name of its image is not valid", false, true},
        {"ErrImageNeverPull", "its image is not on the node, and may not be pulled", false, true},
        {"CreateContainerConfigError", "something that it refers to is missing", false, true},
        {"CreateContainerError", "it cannot be created", false, true},
        {"RunContainerError", "it cannot be started", false, true},
        {"CrashLoopBackOff", "it ends again and again, and waits before the next try", true, false},
        {"ContainerCreating", "the node still prepares it (image, volumes, network)", false, true},
        {"PodInitializing", "the init containers have not ended yet", false, false},
};

static void tell_end(struct why_text *page, const json_t *ended, const char *when)
{
        int64_t code = cx_json_int(ended, "exitCode", -1), signal = cx_json_int(ended, "signal", 0);
        const char *reason = cx_json_string_or(ended, "reason", ""), *message = cx_json_string_or(ended, "message", "");
        if (strcmp(reason, "OOMKilled") == 0)
                say(page, "    %s it was killed because it used more memory than its limit allows", when);
        else if (signal || code > 128)
                say(page, "    %s it was ended by signal %" PRId64, when, signal ? signal : code - 128);
        else
                say(page, "    %s it ended with exit code %" PRId64 "%s%s%s", when, code, *reason ? " (" : "", reason,
                    *reason ? ")" : "");
        if (*message)
                say(page, "    it said: %s", message);
}

static void tell_waiting(struct why_text *page, const json_t *status, const json_t *waiting)
{
        const char *name = cx_json_string_or(status, "name", ""), *reason = cx_json_string_or(waiting, "reason", "");
        const char *message = cx_json_string_or(waiting, "message", "");
        const json_t *last = cx_json_get(status, "lastState.terminated");
        size_t i = 0;
        while (i < CX_ARRAY_SIZE(waits) && strcmp(waits[i].reason, reason) != 0)
                i++;
        bool known = i < CX_ARRAY_SIZE(waits);
        say(page, "  Container \"%s\" waits: %s%s%s%s", name,
            known     ? waits[i].words
            : *reason ? reason
                      : "not started",
            known ? " (" : "", known ? reason : "", known ? ")" : "");
        if (*message && !(known && waits[i].logs))
                say(page, "    %s", message);
        if (last)
                tell_end(page, last, "the last time");
        if (known && waits[i].logs)
                advise(page, "kubectl logs -n %s %s -c %s --previous", page->namespace, page->name, name);
        else if (known && waits[i].events)
                advise(page, "kubectl events -n %s --for pod/%s", page->namespace, page->name);
}

static void tell_container(struct why_text *page, const json_t *status, bool init)
{
        const char *name = cx_json_string_or(status, "name", "");
        const json_t *waiting = cx_json_get(status, "state.waiting"), *ended = cx_json_get(status, "state.terminated");
        bool ready = cx_json_bool(status, "ready", false);
        int64_t restarts = cx_json_int(status, "restartCount", 0);
        if (waiting) {
                tell_waiting(page, status, waiting);
        } else if (ended && cx_json_int(ended, "exitCode", 0) != 0) {
                say(page, "  Container \"%s\" has ended:", name);
                tell_end(page, ended, "");
                advise(page, "kubectl logs -n %s %s -c %s", page->namespace, page->name, name);
        } else if (cx_json_get(status, "state.running") && init && !ready) {
                say(page, "  Init container \"%s\" has not ended yet; the others wait for it", name);
                advise(page, "kubectl logs -n %s %s -c %s", page->namespace, page->name, name);
        } else if (cx_json_get(status, "state.running") && !ready) {
                say(page, "  Container \"%s\" runs, but is not ready: %s", name,
                    cx_json_bool(status, "started", true) ? "its readiness probe does not succeed"
                                                          : "its startup probe has not succeeded yet");
                advise(page, "kubectl events -n %s --for pod/%s", page->namespace, page->name);
        }
        if (restarts)
                cx_buf_printf(page->to, "    it was started again %" PRId64 " time%s\n", restarts,
                              restarts == 1 ? "" : "s");
}

static void tell_containers(struct why_text *page)
{
        static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
        for (size_t list = 0; list < CX_ARRAY_SIZE(lists); list++) {
                size_t i;
                json_t *status;
                json_array_foreach (cx_json_get(page->pod, lists[list]), i, status)
                        tell_container(page, status, list == 0);
        }
}

// --- the pod ----------------------------------------------------------------------------------------------------------
static void tell_placement(struct why_text *page)
{
        const json_t *scheduled = cx_pod_condition(page->pod, "PodScheduled");
        const char *reason = cx_json_string_or(scheduled, "reason", "");
        if (cx_json_string(page->pod, "spec.nodeName"))
                return;
        if (cx_json_count(page->pod, "spec.schedulingGates")) {
                say(page, "  It has scheduling gates, which somebody must remove before it is given a node.");
                advise(page, "kubectl get pod -n %s %s -o jsonpath='{.spec.schedulingGates[*].name}'", page->namespace,
                       page->name);
        } else if (cx_streq(cx_json_string(scheduled, "status"), "False")) {
                say(page, "  No node can take it%s%s%s:", *reason ? " (" : "", reason, *reason ? ")" : "");
                say(page, "    %s", cx_json_string_or(scheduled, "message", ""));
                advise(page, "kubectl describe nodes");
        } else {
                say(page, "  No scheduler has looked at it yet: it asks for \"%s\".",
                    cx_json_string_or(page->pod, "spec.schedulerName", "default-scheduler"));
                advise(page, "kubectl get pods -n kube-system");
        }
}

static void tell_deletion(struct why_text *page)
{
        const json_t *finalizers = cx_json_get(page->pod, "metadata.finalizers");
        if (!cx_pod_is_terminating(page->pod))
                return;
        say(page, "  It is being deleted, since %s.", cx_json_string_or(page->pod, "metadata.deletionTimestamp", ""));
        for (size_t i = 0; i < json_array_size(finalizers); i++)
                say(page, "    the finalizer %s has not been removed",
                    cx_str(json_string_value(json_array_get(finalizers, i))));
        if (json_array_size(finalizers))
                advise(page, "kubectl get pod -n %s %s -o jsonpath='{.metadata.finalizers}'", page->namespace,
                       page->name);
        else
                advise(page, "kubectl get node %s", cx_json_string_or(page->pod, "spec.nodeName", ""));
}

static void tell_gates(struct why_text *page)
{
        size_t i;
        json_t *gate;
        json_array_foreach (cx_json_get(page->pod, "spec.readinessGates"), i, gate) {
                const char *type = cx_json_string_or(gate, "conditionType", "");
                if (!cx_pod_condition_is(page->pod, type, "True"))
                        say(page, "  Its readiness gate %s is not met.", type);
        }
}

static void tell_resize(struct why_text *page)
{
        const json_t *pending = cx_pod_condition(page->pod, "PodResizePending");
        const json_t *failed = cx_pod_condition(page->pod, "PodResizeInProgress");
        if (pending) {
                say(page, "  Its containers run, but do not get the resources that they ask for now (%s): %s",
                    cx_json_string_or(pending, "reason", ""), cx_json_string_or(pending, "message", ""));
                advise(page, "kubectl describe node %s", cx_json_string_or(page->pod, "spec.nodeName", ""));
        }
        if (cx_json_string(failed, "message"))
                say(page, "  Its containers cannot be resized: %s", cx_json_string(failed, "message"));
}

static void tell_events(struct why_text *page, const json_t *events)
{
        size_t count = json_array_size(events), shown = 0;
        for (size_t i = count; i-- > 0 && shown < MAX_EVENTS;) {
                const json_t *event = json_array_get(events, i);
                if (!cx_streq(cx_json_string(event, "type"), "Warning"))
                        continue;
                cx_buf_printf(page->to, "%s  %s: %s\n", shown++ ? "" : "\nWarnings, the latest first:\n",
                              cx_json_string_or(event, "reason", ""), cx_json_string_or(event, "message", ""));
        }
}

bool why_page(const json_t *pod, const json_t *events, struct cx_buf *to)
{
        struct why_text page = {.to = to,
                                .pod = pod,
                                .name = cx_json_string_or(pod, "metadata.name", ""),
                                .namespace = cx_json_string_or(pod, "metadata.namespace", "")};
        const char *phase = cx_pod_phase(pod), *reason = cx_json_string_or(pod, "status.reason", "");
        const char *message = cx_json_string_or(pod, "status.message", "");
        cx_buf_printf(to, "Pod %s/%s is %s%s\n\n", page.namespace, page.name,
                      cx_pod_is_terminating(pod) ? "being deleted" : phase,
                      strcmp(phase, "Running") == 0 && !cx_pod_is_terminating(pod)
                              ? cx_pod_is_ready(pod) ? " and ready" : ", but not ready"
                              : "");
        tell_deletion(&page);
        if (*reason || *message)
                say(&page, "  %s%s%s", reason, *reason && *message ? ": " : "", message);
        if (!cx_pod_is_terminal(pod))
                tell_placement(&page);
        tell_containers(&page);
        if (!cx_pod_is_terminal(pod))
                tell_gates(&page);
        if (!cx_pod_is_terminal(pod))
                tell_resize(&page);
        if (!page.wrong)
                cx_buf_add(to, strcmp(phase, "Succeeded") == 0 ? "  Its containers have ended well.\n"
                                                               : "  Nothing is wrong with it.\n");
        tell_events(&page, events);
        if (page.wrong) {
                advise(&page, "kubectl describe pod -n %s %s", page.namespace, page.name);
                cx_buf_printf(to, "\nNext:\n  %s\n", page.next);
        }
        return page.wrong;
}

COMMAND(why)
{
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        json_auto_t *pod = NULL, *events = NULL;
        CX_BUF path = CX_BUF_INIT, text = CX_BUF_INIT;
        CX_ERROR ignored = CX_ERROR_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count != 1)
                return ctl_usage_error(ctl, err, "exactly one POD, or TYPE/NAME that has pods, is required, got %zu",
                                       args.count);
        r = pod_of(ctl, args.items[0], 0, &pod, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep)
        char *about = cx_sprintf("involvedObject.uid=%s", cx_json_string_or(pod, "metadata.uid", ""));
        cx_rest_path(&path, CX_REF("", "v1", "events", cx_json_string(pod, "metadata.namespace"), NULL), NULL);
        cx_rest_query(&path, "fieldSelector", about);
        events = list_objects(ctl, path.data, &ignored); // without them the page is shorter
        cx_error_release(&ignored);
        (void)why_page(pod, events, &text);
        CX_BUF shown = CX_BUF_INIT;
        text_for_terminal(text.data, &shown);
        fputs(shown.data, stdout);
        return 0;
}
