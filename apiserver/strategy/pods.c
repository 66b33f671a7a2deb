// SPDX-License-Identifier: Apache-2.0
// Pods: what of a new one the server says (phase, quality of service), the few parts of a spec that may change, and how
// long a deletion waits.
#include "apiserver/strategy/pods_resize.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/format/json.h"

static int prepare_create(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        json_object_set_new(
                object, "status",
                json_pack("{s:s,s:s}", "phase", "Pending", "qosClass", cx_pod_qos(json_object_get(object, "spec"))));
        if (cx_json_count(object, "spec.schedulingGates"))
                json_object_set_new(json_object_get(object, "status"), "conditions",
                                    json_pack("[{s:s,s:s,s:s,s:s}]", "type", "PodScheduled", "status", "False",
                                              "reason", "SchedulingGated", "message",
                                              "Scheduling is blocked due to non-empty scheduling gates"));
        return 0;
}

// Of a write of the ephemeral containers nothing else is taken.
static void keep_all_but_ephemeral(json_t *object, const json_t *old)
{
        static const char *const kept[] = {"resourceVersion", "managedFields"};
        json_auto_t *result = json_deep_copy(old);
        json_t *spec = cx_json_object_at(result, "spec"), *metadata = cx_json_object_at(result, "metadata");
        json_t *asked = cx_json_get(object, "spec.ephemeralContainers");
        json_object_del(spec, "ephemeralContainers");
        if (json_array_size(asked))
                json_object_set(spec, "ephemeralContainers", asked);
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++) {
                json_t *value = json_object_get(json_object_get(object, "metadata"), kept[i]);
                if (value)
                        json_object_set(metadata, kept[i], value);
                else
                        json_object_del(metadata, kept[i]);
        }
        json_object_clear(object);
        json_object_update(object, result);
}

static int prepare_update(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err CX_UNUSED)
{
        if (cx_streq(scope->subresource, "ephemeralcontainers"))
                keep_all_but_ephemeral(object, old);
        if (cx_streq(scope->subresource, "resize"))
                pods_resize_prepare(object, old);
        if (cx_streq(scope->subresource, "status") && !cx_json_string(object, "status.qosClass"))
                (void)cx_json_set(object, "status.qosClass", json_string(cx_pod_qos(json_object_get(old, "spec"))));
        return 0;
}

// --- what may change in a pod's spec ---

static json_t *masked(const json_t *object)
{
        static const char *const changeable[] = {"activeDeadlineSeconds", "tolerations",
                                                 "terminationGracePeriodSeconds", "schedulingGates"};
        json_t *spec = json_deep_copy(json_object_get(object, "spec"));
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        json_object_del(walk.container, "image");
        for (size_t i = 0; i < CX_ARRAY_SIZE(changeable); i++)
                json_object_del(spec, changeable[i]);
        return spec;
}

static bool has_all(const json_t *list, const json_t *wanted)
{
        for (size_t i = 0; i < json_array_size(wanted); i++) {
                bool found = false;
                for (size_t j = 0; !found && j < json_array_size(list); j++)
                        found = json_equal(json_array_get(list, j), json_array_get(wanted, i));
                if (!found)
                        return false;
        }
        return true;
}

// They are only added: what is there stays as it is.
static void check_ephemeral(const json_t *object, const json_t *old, struct cx_error *causes)
{
        static const char field[] = "spec.ephemeralContainers";
        const json_t *now = cx_json_get(object, field);
        if (cx_pod_is_mirror(old))
                cx_error_cause(causes, "FieldValueForbidden", field,
                               "Forbidden: static pods do not support ephemeral containers");
        CX_POD_FOREACH(walk, json_object_get(old, "spec"), CX_POD_EPHEMERAL)
        {
                const json_t *after = cx_json_find(now, "name", walk.name);
                if (!after || !json_equal(after, walk.container))
                        cx_error_cause(causes, "FieldValueForbidden", field,
                                       "Forbidden: existing ephemeral containers \"%s\" may not be %s\n", walk.name,
                                       after ? "changed" : "removed");
        }
}

static void validate(const struct scope *scope, const json_t *object, const json_t *old, struct cx_error *causes)
{
        if (!old && cx_json_count(object, "spec.ephemeralContainers"))
                cx_error_cause(causes, "FieldValueForbidden", "spec.ephemeralContainers",
                               "Forbidden: cannot be set on create");
        if (old && cx_streq(scope->subresource, "ephemeralcontainers"))
                check_ephemeral(object, old, causes);
        if (old && cx_streq(scope->subresource, "resize"))
                pods_resize_validate(object, old, causes);
        if (!old || scope->subresource || json_equal(json_object_get(object, "spec"), json_object_get(old, "spec")))
                return;
        json_auto_t *a = masked(object);
        json_auto_t *b = masked(old);
        bool same = json_equal(a, b) &&
                    has_all(cx_json_get(object, "spec.tolerations"), cx_json_get(old, "spec.tolerations")) &&
                    has_all(cx_json_get(old, "spec.schedulingGates"), cx_json_get(object, "spec.schedulingGates"));
        int64_t before = cx_json_int(old, "spec.terminationGracePeriodSeconds", 0);
        int64_t after = cx_json_int(object, "spec.terminationGracePeriodSeconds", 0);
        if (!same || (before != after && !(before < 0 && after == 1)))
                cx_error_cause(
                        causes, "FieldValueForbidden", "spec",
                        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
                        "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
                        "set to 1 if it was previously negative)");
}

// A pod that no kubelet has, or that has ended, goes at once.
static int64_t grace(const json_t *object, int64_t asked)
{
        int64_t seconds = asked >= 0 ? asked : cx_json_int(object, "spec.terminationGracePeriodSeconds", 0);
        const char *node = cx_json_string(object, "spec.nodeName");
        if (!node || !*node || cx_pod_is_terminal(object))
                seconds = 0;
        return seconds < 0 ? 1 : seconds;
}

const struct strategy strategy_pods = {
        .group = "",
        .resource = "pods",
        .prepare_create = prepare_create,
        .prepare_update = prepare_update,
        .validate = validate,
        .grace = grace,
};
