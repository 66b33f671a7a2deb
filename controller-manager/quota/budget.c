// SPDX-License-Identifier: Apache-2.0
// PodDisruptionBudgets: how many of the pods there should be, how many are well, and how many may go. The API server takes
// from what is allowed as it evicts, and notes whom: those count as gone until they are, or for two minutes.
//
// A budget that cannot be counted allows nothing, and says why.
//
// Pods that were told that they would be disrupted and were not, two minutes later, are told so, too.
#include "controller-manager/quota/budget.h"

#include "libcommon/api/budget.h"
#include "libcommon/api/pod.h"

#define STALE "stale " // before the key of a pod, in the queue
#define STALE_AFTER (INT64_C(120) * CX_US_PER_S)

struct budgets {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_events *events;
        struct cx_informer *budgets, *pods;
        struct scales scales;
};

static const struct owner_kind budget_kind = {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"};

// --- events ----------------------------------------------------------------------------------------------------------

// Whom a budget is for (struct cx_selector).
static void take_selector(void *part, const json_t *budget)
{
        struct cx_selector *selector = part;
        if (cx_selector_from_json(cx_json_get(budget, "spec.selector"), selector, NULL) < 0) {
                cx_selector_release(selector);
                selector->nothing = true;
        }
}

static void release_selector(void *part)
{
        cx_selector_release(part);
}

static const struct object_part selector_part = {sizeof(struct cx_selector), take_selector, release_selector};

// Since when (µs) a pod is said to be disrupted; 0: it is not, or its kubelet says so, which takes the time that it takes.
static void take_disrupted(void *part, const json_t *pod)
{
        const json_t *condition = cx_pod_condition(pod, "DisruptionTarget");
        const char *since = cx_json_string(condition, "lastTransitionTime");
        if (!cx_pod_condition_is(pod, "DisruptionTarget", "True") ||
            cx_streq(cx_json_string(condition, "reason"), "TerminationByKubelet") || !since ||
            cx_time_parse(since, part) < 0)
                *(int64_t *)part = 0;
}

static const struct object_part disrupted_part = {sizeof(int64_t), take_disrupted, NULL};

static int64_t disrupted_since(const struct cx_object *pod)
{
        return pod->deleted || pod_is_terminal(pod) ? 0 : *(const int64_t *)object_part(pod, &disrupted_part);
}

static void enqueue_budgets(struct budgets *self, const struct cx_object *pod)
{
        CX_OBJECTS budgets = CX_OBJECTS_INIT;
        cx_informer_by_index(self->budgets, CX_INDEX_NAMESPACE, pod->namespace, &budgets);
        for (size_t i = 0; i < budgets.count; i++)
                if (cx_object_matches(pod, object_part(budgets.items[i], &selector_part)))
                        cx_workqueue_add(self->queue, budgets.items[i]->key);
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct budgets *self = context;
        bool same = old && now && POD_STATE(old)->ready == POD_STATE(now)->ready && !old->deleted == !now->deleted &&
                    cx_object_same_labels(old, now) && strcmp(old->uid, now->uid) == 0;
        if (old && !same)
                enqueue_budgets(self, old);
        if (now && !same)
                enqueue_budgets(self, now);
        if (now && disrupted_since(now)) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf(STALE "%s", now->key);
                int64_t left = disrupted_since(now) + STALE_AFTER - cx_time_now();
                cx_workqueue_add_after(self->queue, key, left > 0 ? left * 1000 : 0);
        }
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct budgets *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->events = manager_recorder(manager, "controllermanager");
        self->budgets = manager_informer(manager, "policy", "poddisruptionbudgets");
        (void)manager_part_informer(manager, "policy", "poddisruptionbudgets", &selector_part);
        cx_informer_index_namespace(self->budgets);
        manager_enqueue_all(self->budgets, queue);
        self->pods = pods_informer(manager);
        (void)manager_part_informer(manager, "", "pods", &disrupted_part);
        cx_informer_on_event(self->pods, on_pod, self);
        scales_init(&self->scales, manager);
        return self;
}

// --- budgets ---------------------------------------------------------------------------------------------------------

static int write_status(struct budgets *self, const struct cx_object *object, json_t *budget, const json_t *status,
                        struct cx_error *err)
{
        if (json_equal(status, json_object_get(budget, "status")))
                return 0;
        json_object_set(budget, "status", (json_t *)status);
        json_object_set_new(budget, "apiVersion", json_string("policy/v1"));
        json_object_set_new(budget, "kind", json_string("PodDisruptionBudget"));
        int r = cx_rest_update_status(self->manager->rest,
                                      CX_REF("policy", "v1", "poddisruptionbudgets", object->namespace, object->name),
                                      budget, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

// What is not known allows nothing.
static int fail_safe(struct budgets *self, const struct cx_object *object, json_t *budget, const char *why,
                     struct cx_error *err)
{
        json_auto_t *status = json_deep_copy(json_object_get(budget, "status"));
        json_object_set_new(status, "disruptionsAllowed", json_integer(0));
        cx_budget_set_condition(status, CX_BUDGET_FAILED, why);
        return write_status(self, object, budget, status, err);
}

static int count_expected(struct budgets *self, const struct owner *owner, const json_t *spec,
                          const struct cx_objects *pods, int64_t *ret_count, struct cx_error *err)
{
        size_t bare = 0;
        *ret_count = (int64_t)pods->count;
        int r = budget_needs_scale(spec) ? scales_sum(&self->scales, pods, ret_count, &bare, err) : 0;
        if (bare) {
                CX_BUF selector = CX_BUF_INIT;
                cx_selector_format(object_part(owner->object, &selector_part), &selector);
                owner_event(
                        self->events, owner, "Warning", "UnmanagedPods",
                        "Pods selected by this PodDisruptionBudget (selector: %s) were found to be unmanaged. As a "
                        "result, the status of the PDB cannot be calculated correctly, which may result in undefined "
                        "behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an "
                        "integer value.",
                        selector.data);
        }
        return r;
}

static void tell_late(struct budgets *self, const struct cx_object *budget, const struct cx_strings *late)
{
        for (size_t i = 0; i < late->count; i++) {
                CX_OBJECT *pod = cx_informer_get_key(self->pods, late->items[i]);
                if (pod)
                        cx_event_object(self->events, "v1", "Pod", pod, "Warning", "NotDeleted",
                                        "Pod was expected by PDB %s to be deleted but it wasn't", budget->key);
        }
}

// The status that follows from what there is. The conditions are the old ones but for their own.
static json_t *make_status(const json_t *budget, const struct budget_counts *counts, json_t *disrupted_steal)
{
        const json_t *old = json_object_get(budget, "status");
        json_t *status =
                json_pack("{s:I, s:I, s:I, s:I, s:I}", "observedGeneration",
                          (json_int_t)cx_json_int(budget, "metadata.generation", 0), "disruptionsAllowed",
                          (json_int_t)counts->allowed, "currentHealthy", (json_int_t)counts->healthy, "desiredHealthy",
                          (json_int_t)counts->desired, "expectedPods", (json_int_t)counts->expected);
        if (json_object_size(disrupted_steal))
                json_object_set(status, "disruptedPods", disrupted_steal);
        json_decref(disrupted_steal);
        if (json_object_get(old, "conditions"))
                json_object_set_new(status, "conditions", json_deep_copy(json_object_get(old, "conditions")));
        cx_budget_update_condition(status);
        return status;
}

static void select_pods(struct budgets *self, const struct cx_object *budget, struct cx_objects *ret_pods)
{
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_by_index(self->pods, CX_INDEX_NAMESPACE, budget->namespace, &pods);
        for (size_t i = 0; i < pods.count; i++)
                if (cx_object_matches(pods.items[i], object_part(budget, &selector_part)))
                        cx_objects_add(ret_pods, pods.items[i]);
}

static int reconcile_budget(struct budgets *self, const struct cx_object *object, int64_t *retry_after,
                            struct cx_error *err)
{
        json_auto_t *budget = cx_object_json(object);
        const json_t *spec = json_object_get(budget, "spec");
        const struct owner owner = {&budget_kind, object};
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        CX_STRINGS late = CX_STRINGS_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        int64_t now = cx_time_now(), next, count;
        select_pods(self, object, &pods);
        if (!pods.count)
                owner_event(self->events, &owner, "Normal", "NoPods", "No matching pods found");
        json_auto_t *disrupted = budget_disrupted(json_object_get(budget, "status"), &pods, now, &next, &late);
        struct budget_counts counts = {0};
        int r = count_expected(self, &owner, spec, &pods, &count, &why);
        if (r == 0)
                r = budget_count(spec, count, budget_healthy(&pods, disrupted), &counts, &why);
        if (r < 0) {
                owner_event(self->events, &owner, "Warning", "CalculateExpectedPodCountFailed",
                            "Failed to calculate the number of expected pods: %s", cx_error_text(&why));
                return fail_safe(self, object, budget, cx_error_text(&why), err);
        }
        tell_late(self, object, &late);
        if (next < INT64_MAX)
                *retry_after = (next - now) * 1000 + CX_NS_PER_S;
        json_auto_t *status = make_status(budget, &counts, cx_steal(&disrupted));
        return write_status(self, object, budget, status, err);
}

// --- pods that were not disrupted ------------------------------------------------------------------------------------

static int reconcile_stale(struct budgets *self, const char *key, int64_t *retry_after, struct cx_error *err)
{
        CX_OBJECT *pod = cx_informer_get_key(self->pods, key);
        int64_t since = pod ? disrupted_since(pod) : 0;
        int64_t left = since + STALE_AFTER - cx_time_now();
        if (!since)
                return 0;
        if (left > 0) {
                *retry_after = left * 1000;
                return 0;
        }
        json_auto_t *patch =
                json_pack("{s:{s:s, s:s}, s:{s:[{s:s, s:s, s:n, s:n, s:o}]}}", "metadata", "uid", pod->uid,
                          "resourceVersion", pod->resource_version, "status", "conditions", "type", "DisruptionTarget",
                          "status", "False", "reason", "message", "lastTransitionTime", json_now());
        int r = cx_rest_patch(self->manager->rest, CX_REF("", "v1", "pods", pod->namespace, pod->name), "status",
                              CX_PATCH_STRATEGIC, patch, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err); // it has changed: that event brings it back
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct budgets *self = context;
        if (cx_has_prefix(key, STALE))
                return reconcile_stale(self, key + strlen(STALE), retry_after, err);
        CX_OBJECT *object = cx_informer_get_key(self->budgets, key);
        return object && !object->deleted ? reconcile_budget(self, object, retry_after, err) : 0;
}

const struct controller disruption_controller = {.name = "disruption-controller",
                                                 .account = "disruption-controller",
                                                 .workers = 1,
                                                 .init = init,
                                                 .reconcile = reconcile,
                                                 .free = free};
