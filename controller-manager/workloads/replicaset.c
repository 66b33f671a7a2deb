// SPDX-License-Identifier: Apache-2.0
// ReplicaSets and ReplicationControllers: as many pods as asked for, all made of one template. The two differ in how they
// select, and in what their status can say.
#include "controller-manager/pods/pod_control.h"
#include "controller-manager/workloads/kinds.h"

struct replicasets {
        struct pod_control control;
        bool counts_terminating; // the status has a number for pods that end
};

static struct replicasets *make(struct manager *manager, struct cx_workqueue *queue, const struct owner_kind *type,
                                const char *events)
{
        struct replicasets *self = cx_alloc(sizeof *self);
        pod_control_init(&self->control, manager, queue, type, events);
        return self;
}

static void *init_sets(struct manager *manager, struct cx_workqueue *queue)
{
        struct replicasets *self = make(manager, queue, &replicaset_kind, "replicaset-controller");
        self->counts_terminating = true;
        return self;
}

static void *init_controllers(struct manager *manager, struct cx_workqueue *queue)
{
        return make(manager, queue, &replication_controller_kind, "replication-controller");
}

static void release(void *context)
{
        struct replicasets *self = context;
        pod_control_release(&self->control);
        free(self);
}

static int write_body(void *context, size_t i CX_UNUSED, struct cx_buf *to, struct cx_error *err CX_UNUSED)
{
        const struct cx_buf *body = context; // the server adds a random suffix to the name
        cx_buf_append(to, body->data, body->length);
        return 0;
}

static int create_pods(struct replicasets *self, const struct owner *owner, const json_t *json, size_t count,
                       struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%.200s-", owner->object->name);
        json_auto_t *pod = pod_from_template(cx_json_get(json, "spec.template"), prefix, owner_reference(owner));
        CX_BUF body = CX_BUF_INIT;
        cx_json_dump(pod, &body);
        return pod_control_create(&self->control, owner, &(struct pod_batch){count, write_body, &body}, err);
}

// The active pods of the same workload: nodes that run several of them lose pods first.
static void find_siblings(struct replicasets *self, const struct cx_object *set, struct cx_objects *ret_pods)
{
        CX_OBJECTS sets = CX_OBJECTS_INIT;
        const struct cx_object_owner *above = cx_object_controller(set);
        if (above)
                cx_informer_by_index(self->control.owners, CX_INDEX_CONTROLLER, above->uid, &sets);
        else
                cx_objects_add(&sets, set);
        for (size_t i = 0; i < sets.count; i++) {
                CX_OBJECTS pods = CX_OBJECTS_INIT;
                cx_informer_by_index(self->control.pods, CX_INDEX_CONTROLLER, sets.items[i]->uid, &pods);
                pods_filter(&pods, pod_is_active, ret_pods);
        }
}

static int delete_pods(struct replicasets *self, const struct owner *owner, struct cx_objects *active, size_t count,
                       struct cx_error *err)
{
        CX_OBJECTS siblings = CX_OBJECTS_INIT;
        find_siblings(self, owner->object, &siblings);
        pods_rank_for_deletion(active, &siblings);
        return pod_control_delete(&self->control, owner, active, count, err);
}

struct tally {
        int64_t replicas, labeled, ready, available, terminating;
        int64_t wait;                         // ns until one more is available; 0: none will be by waiting
        const char *failure_reason, *failure; // why pods could not be made or ended; NULL: nothing failed
};

static struct tally count_pods(const struct cx_objects *active, const json_t *json)
{
        struct tally tally = {.replicas = (int64_t)active->count};
        int64_t min_ready = cx_json_int(json, "spec.minReadySeconds", 0), now = cx_time_now();
        CX_SELECTOR labels = CX_SELECTOR_INIT;
        json_t *wanted = cx_json_get(json, "spec.template.metadata.labels");
        if (json_object_size(wanted))
                cx_selector_from_map(wanted, &labels);
        for (size_t i = 0; i < active->count; i++) {
                const struct cx_object *pod = active->items[i];
                tally.labeled += !json_object_size(wanted) || cx_object_matches(pod, &labels);
                tally.ready += POD_STATE(pod)->ready;
                tally.available += pod_is_available(pod, min_ready, now);
        }
        tally.wait = pods_wait(active, min_ready, now);
        return tally;
}

static void set_failure(json_t *status, const json_t *old, const struct tally *tally)
{
        const char *reason = tally->failure_reason;
        json_t *conditions = json_array();
        size_t i;
        json_t *condition;
        const json_t *before = NULL;
        json_array_foreach (json_object_get(old, "conditions"), i, condition) {
                if (cx_streq(cx_json_string(condition, "type"), "ReplicaFailure"))
                        before = condition;
                else
                        json_array_append(conditions, condition);
        }
        if (reason) {
                bool same = before && cx_streq(cx_json_string(before, "reason"), reason);
                json_array_append_new(conditions,
                                      same ? json_deep_copy(before)
                                           : json_pack("{s:s, s:s, s:o, s:s, s:s}", "type", "ReplicaFailure", "status",
                                                       "True", "lastTransitionTime", json_now(), "reason", reason,
                                                       "message", tally->failure));
        }
        if (json_array_size(conditions))
                json_object_set_new(status, "conditions", conditions);
        else
                json_decref(conditions);
}

static int update_status(struct replicasets *self, const struct owner *owner, json_t *json, const struct tally *tally,
                         struct cx_error *err)
{
        const struct status_count counts[] = {{"replicas", tally->replicas, .always = true},
                                              {"fullyLabeledReplicas", tally->labeled},
                                              {"readyReplicas", tally->ready},
                                              {"availableReplicas", tally->available},
                                              {"observedGeneration", owner->object->generation},
                                              {"terminatingReplicas", tally->terminating, .always = true}};
        json_t *status = status_of_counts(counts, CX_ARRAY_SIZE(counts) - !self->counts_terminating);
        set_failure(status, json_object_get(json, "status"), tally);
        return owner_write_status(self->control.rest, owner, json, status, err);
}

static int manage(struct replicasets *self, const struct owner *owner, const json_t *json, struct cx_objects *active,
                  const char **ret_reason, struct cx_error *err)
{
        int64_t missing = cx_json_int(json, "spec.replicas", 0) - (int64_t)active->count;
        if (missing > 0) {
                *ret_reason = "FailedCreate";
                return create_pods(self, owner, json, (size_t)(missing < POD_BURST ? missing : POD_BURST), err);
        }
        if (missing < 0) {
                *ret_reason = "FailedDelete";
                return delete_pods(self, owner, active, (size_t)(-missing < POD_BURST ? -missing : POD_BURST), err);
        }
        return 0;
}

static bool is_live(const struct cx_object *pod)
{
        return !pod_is_terminal(pod);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct replicasets *self = context;
        CX_OBJECT *set = cx_informer_get_key(self->control.owners, key);
        if (!set) {
                expectations_forget(&self->control.expectations, key);
                return 0;
        }
        bool act = expectations_met(&self->control.expectations, key);
        json_auto_t *json = cx_object_json(set);
        const struct owner owner = {self->control.type, set};
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_OBJECTS pods = CX_OBJECTS_INIT, active = CX_OBJECTS_INIT;
        int r = owner_selector(owner.type, json, &selector, err);
        if (r == 0)
                r = pod_control_claim(&self->control, &owner, &selector, is_live, &pods, err);
        if (r < 0)
                return r;
        pods_filter(&pods, pod_is_active, &active);
        CX_ERROR failure = CX_ERROR_INIT;
        const char *reason = NULL;
        if (act && !set->deleted && manage(self, &owner, json, &active, &reason, &failure) == 0)
                reason = NULL;
        const json_t *before = find_condition(json, "ReplicaFailure");
        if (!act && before) // not tried this time: what was said stays
                reason = cx_json_string(before, "reason");
        struct tally tally = count_pods(&active, json);
        tally.terminating = (int64_t)(pods.count - active.count);
        tally.failure_reason = reason;
        tally.failure = cx_error_text(&failure);
        r = update_status(self, &owner, json, &tally, err);
        if (failure.code) {
                cx_error_release(err);
                return cx_error_move(err, &failure);
        }
        if (tally.wait)
                *retry_after = tally.wait;
        return r;
}

const struct controller replicaset_controller = {.name = "replicaset-controller",
                                                 .account = "replicaset-controller",
                                                 .workers = 5,
                                                 .init = init_sets,
                                                 .reconcile = reconcile,
                                                 .free = release};
const struct controller replication_controller = {.name = "replicationcontroller-controller",
                                                  .account = "replication-controller",
                                                  .workers = 5,
                                                  .init = init_controllers,
                                                  .reconcile = reconcile,
                                                  .free = release};
