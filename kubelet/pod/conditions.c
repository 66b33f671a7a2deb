// SPDX-License-Identifier: Apache-2.0
// What each condition says, from container statuses; transition times stay while the value does.
#include "kubelet/pod/conditions.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <string.h>

struct pod_condition {
        const char *type;
        bool value;
        const char *reason, *message;
};

static void add_condition(json_t *list, const json_t *object, const json_t *last, const struct pod_condition *c)
{
        const char *value = c->value ? "True" : "False";
        const json_t *old = cx_pod_condition(object, c->type);
        if (!cx_streq(cx_json_string(old, "status"), value)) // what we said last may not have come back yet
                old = cx_json_find(json_object_get(last, "conditions"), "type", c->type);
        bool same = cx_streq(cx_json_string(old, "status"), value);
        const char *since = same ? cx_json_string(old, "lastTransitionTime") : NULL;
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_t *out = json_pack("{s:s, s:s, s:n, s:s}", "type", c->type, "status", value, "lastProbeTime",
                                "lastTransitionTime", since ? since : now);
        if (c->reason)
                json_object_set_new(out, "reason", json_string(c->reason));
        if (c->message && *c->message)
                json_object_set_new(out, "message", json_string(c->message));
        json_t *generation = cx_json_get(object, "metadata.generation");
        if (json_is_integer(generation))
                json_object_set(out, "observedGeneration", generation);
        json_array_append_new(list, out);
}

static bool is_sidecar(const json_t *object, const json_t *status)
{
        return cx_container_is_sidecar(cx_pod_container(json_object_get(object, "spec"),
                                                        cx_json_string_or(status, "name", ""), CX_POD_INIT, NULL));
}

static void add_name(struct cx_buf *names, const json_t *status)
{
        cx_buf_printf(names, "%s%s", names->length ? " " : "", cx_json_string_or(status, "name", ""));
}

// Sidecars and main containers that are not ready.
static void find_unready(const json_t *object, const struct condition_facts *facts, struct cx_buf *names)
{
        size_t i;
        json_t *status;
        json_array_foreach ((json_t *)facts->init, i, status) {
                if (is_sidecar(object, status) && !json_is_true(json_object_get(status, "ready")))
                        add_name(names, status);
        }
        json_array_foreach ((json_t *)facts->mains, i, status) {
                if (!json_is_true(json_object_get(status, "ready")))
                        add_name(names, status);
        }
}

// Init containers that have not succeeded, and sidecars that have not started.
static void find_incomplete(const json_t *object, const struct condition_facts *facts, struct cx_buf *names)
{
        size_t i;
        json_t *status;
        json_array_foreach ((json_t *)facts->init, i, status) {
                const char *through = is_sidecar(object, status) ? "started" : "ready";
                if (!json_is_true(json_object_get(status, through)))
                        add_name(names, status);
        }
}

static void check_gates(const json_t *object, struct cx_buf *closed)
{
        size_t i;
        json_t *gate;
        json_array_foreach (cx_json_get(object, "spec.readinessGates"), i, gate) {
                const char *type = cx_json_string_or(gate, "conditionType", "");
                const json_t *c = cx_pod_condition(object, type);
                const char *value = cx_json_string(c, "status");
                if (cx_streq(value, "True"))
                        continue;
                const char *comma = closed->length ? ", " : "";
                if (!c)
                        cx_buf_printf(closed, "%scorresponding condition of pod readiness gate \"%s\" does not exist.",
                                      comma, type);
                else
                        cx_buf_printf(closed, "%sthe status of pod readiness gate \"%s\" is not \"True\", but %s",
                                      comma, type, cx_str(value));
        }
}

static struct pod_condition containers_ready(const struct condition_facts *facts, const char *unready)
{
        struct pod_condition c = {"ContainersReady", true, NULL, NULL};
        if (strcmp(facts->phase, "Succeeded") == 0)
                c = (struct pod_condition){"ContainersReady", false, "PodCompleted", NULL};
        else if (strcmp(facts->phase, "Failed") == 0)
                c = (struct pod_condition){"ContainersReady", false, "PodFailed", NULL};
        else if (*unready)
                c = (struct pod_condition){"ContainersReady", false, "ContainersNotReady", unready};
        return c;
}

json_t *pod_conditions(const json_t *object, const json_t *last, const struct condition_facts *facts)
{
        json_t *list = json_array();
        CX_BUF names = CX_BUF_INIT;
        CX_BUF unready = CX_BUF_INIT;
        CX_BUF incomplete = CX_BUF_INIT;
        CX_BUF closed = CX_BUF_INIT;
        find_unready(object, facts, &names);
        if (names.length)
                cx_buf_printf(&unready, "containers with unready status: [%s]", names.data);
        cx_buf_clear(&names);
        find_incomplete(object, facts, &names);
        if (names.length)
                cx_buf_printf(&incomplete, "containers with incomplete status: [%s]", names.data);
        check_gates(object, &closed);

        const struct pod_condition sandbox = {"PodReadyToStartContainers", facts->sandbox, NULL, NULL};
        struct pod_condition initialized = {"Initialized", true, NULL, NULL};
        if (strcmp(facts->phase, "Succeeded") == 0)
                initialized.reason = "PodCompleted";
        else if (!facts->began && incomplete.length)
                initialized = (struct pod_condition){"Initialized", false, "ContainersNotInitialized", incomplete.data};
        struct pod_condition containers = containers_ready(facts, unready.data), ready = containers;
        ready.type = "Ready";
        if (ready.value && closed.length)
                ready = (struct pod_condition){"Ready", false, "ReadinessGatesNotReady", closed.data};
        const struct pod_condition scheduled = {"PodScheduled", true, NULL, NULL};
        const struct pod_condition *const all[] = {&sandbox, &initialized, &ready, &containers, &scheduled};
        for (size_t i = 0; i < CX_ARRAY_SIZE(all); i++)
                add_condition(list, object, last, all[i]);
        if (facts->resize_reason)
                add_condition(
                        list, object, last,
                        &(struct pod_condition){"PodResizePending", true, facts->resize_reason, facts->resize_message});
        if (facts->resizing)
                add_condition(list, object, last,
                              &(struct pod_condition){"PodResizeInProgress", true, facts->resize_error ? "Error" : NULL,
                                                      facts->resize_error});
        return list;
}
