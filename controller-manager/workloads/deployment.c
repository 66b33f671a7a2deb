// SPDX-License-Identifier: Apache-2.0
// Deployments: the ReplicaSet of the current template grows while the others shrink, within maxSurge and maxUnavailable
// (or all old ones first, for Recreate). Every step is taken from the observed state alone.
#include "controller-manager/workloads/deployment.h"

#include "controller-manager/pods/pods.h"
#include "libcommon/api/selector.h"

void replica_set_read(struct replica_set *set, json_t *json_steal)
{
        *set = (struct replica_set){
                .json = json_steal,
                .name = cx_json_string_or(json_steal, "metadata.name", ""),
                .uid = cx_json_string_or(json_steal, "metadata.uid", ""),
                .replicas = cx_json_int(json_steal, "spec.replicas", 0),
                .current = cx_json_int(json_steal, "status.replicas", 0),
                .ready = cx_json_int(json_steal, "status.readyReplicas", 0),
                .available = cx_json_int(json_steal, "status.availableReplicas", 0),
                .terminating = cx_json_int(json_steal, "status.terminatingReplicas", -1),
                .revision = annotation_int(json_steal, REVISION, 0),
        };
        const char *created = cx_json_string(json_steal, "metadata.creationTimestamp");
        if (!created || cx_time_parse(created, &set->created) < 0)
                set->created = 0;
}

void replica_set_release(struct replica_set *set)
{
        json_decref(set->json);
        set->json = NULL;
}

// Whether a Deployment replaces all its pods at once.
struct deployment_strategy {
        bool recreate;
};

static void take_strategy(void *part, const json_t *deployment)
{
        ((struct deployment_strategy *)part)->recreate =
                cx_streq(cx_json_string(deployment, "spec.strategy.type"), "Recreate");
}

static const struct object_part strategy_part = {sizeof(struct deployment_strategy), take_strategy, NULL};

static void on_set(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct deployments *self = context;
        const struct cx_object *both[] = {old, now};
        char key[512];
        for (size_t i = 0; i < 2; i++)
                if (both[i] && controller_key(both[i], &deployment_kind, key))
                        cx_workqueue_add(self->queue, key);
        if (now && !cx_object_controller(now) && !now->deleted) { // an orphan: whoever matches may adopt it
                CX_OBJECTS all = CX_OBJECTS_INIT;
                cx_informer_list(self->deployments, now->namespace, &all);
                for (size_t i = 0; i < all.count; i++)
                        cx_workqueue_add(self->queue, all.items[i]->key);
        }
}

// With Recreate, the new pods wait for the last old one to go.
static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct deployments *self = context;
        char key[512];
        if (now || !controller_key(old, &replicaset_kind, key))
                return;
        CX_OBJECT *set = cx_informer_get_key(self->sets, key);
        if (!set || !controller_key(set, &deployment_kind, key))
                return;
        CX_OBJECT *deployment = cx_informer_get_key(self->deployments, key);
        if (deployment && ((const struct deployment_strategy *)object_part(deployment, &strategy_part))->recreate)
                cx_workqueue_add(self->queue, key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct deployments *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->deployments = manager_informer(manager, "apps", "deployments");
        manager_part_informer(manager, "apps", "deployments", &strategy_part);
        self->sets = manager_informer(manager, "apps", "replicasets");
        self->pods = pods_informer(manager);
        self->events = manager_recorder(manager, "deployment-controller");
        owner_index_dependents(self->sets);
        manager_enqueue_all(self->deployments, queue);
        cx_informer_on_event(self->sets, on_set, self);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static int compare_sets(const void *a, const void *b)
{
        const struct replica_set *x = a, *y = b;
        if (x->created != y->created)
                return x->created < y->created ? -1 : 1;
        return strcmp(x->name, y->name);
}

static void take_set(struct rollout *rollout, const struct cx_object *object)
{
        struct replica_sets *sets = &rollout->sets;
        sets->items = cx_realloc_array(sets->items, sets->count + 1, sizeof *sets->items);
        replica_set_read(&sets->items[sets->count++], cx_object_json(object));
}

// `ret_adopted`: some were adopted just now. They are ours, with their revisions and sizes, when the informer shows them.
static int claim_sets(struct rollout *rollout, bool *ret_adopted, struct cx_error *err)
{
        struct deployments *self = rollout->self;
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_OBJECTS sets = CX_OBJECTS_INIT;
        int r = cx_selector_from_json(cx_json_get(rollout->d.json, "spec.selector"), &selector, err);
        if (r == 0)
                r = claim_dependents(&(struct claim){.rest = self->manager->rest,
                                                     .owner = &rollout->owner,
                                                     .selector = &selector,
                                                     .dependents = &replicaset_kind,
                                                     .informer = self->sets},
                                     &sets, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < sets.count; i++) {
                if (cx_object_controller(sets.items[i]))
                        take_set(rollout, sets.items[i]);
                else
                        *ret_adopted = true;
        }
        if (rollout->sets.count)
                qsort(rollout->sets.items, rollout->sets.count, sizeof *rollout->sets.items, compare_sets);
        return 0;
}

static int apply_sizes(struct rollout *rollout, const int64_t *sizes, struct cx_error *err)
{
        for (size_t i = 0; i < rollout->sets.count; i++) {
                if (sizes[i] == rollout->sets.items[i].replicas)
                        continue;
                int r = rollout_set_size(rollout, i, sizes[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

// Paused, or resized: sizes follow, the template does not roll out.
static int sync_sizes(struct rollout *rollout, struct cx_error *err)
{
        int r = rollout_find_or_create(rollout, false, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) int64_t *sizes = cx_alloc_array(rollout->sets.count + 1, sizeof *sizes);
        if (rollout_scale(&rollout->d, &rollout->sets, rollout->fresh, sizes))
                r = apply_sizes(rollout, sizes, err);
        for (size_t i = 0; i < rollout->sets.count && r == 0; i++) // what the sizes are for is noted on each
                if (rollout->sets.items[i].replicas > 0)
                        r = rollout_set_size(rollout, i, rollout->sets.items[i].replicas, err);
        if (r == 0 && rollout->d.paused)
                r = rollout_clean_up(rollout, err);
        return r < 0 ? r : rollout_sync_status(rollout, false, err);
}

static bool was_resized(const struct rollout *rollout)
{
        for (size_t i = 0; i < rollout->sets.count; i++) {
                const struct replica_set *set = &rollout->sets.items[i];
                if (set->replicas > 0 && annotation_int(set->json, DESIRED, rollout->d.replicas) != rollout->d.replicas)
                        return true;
        }
        return false;
}

static bool old_pods_run(const struct rollout *rollout)
{
        for (size_t i = 0; i < rollout->sets.count; i++) {
                if ((int)i == rollout->fresh)
                        continue;
                CX_OBJECTS pods = CX_OBJECTS_INIT;
                cx_informer_by_index(rollout->self->pods, CX_INDEX_CONTROLLER, rollout->sets.items[i].uid, &pods);
                for (size_t j = 0; j < pods.count; j++)
                        if (!pod_is_terminal(pods.items[j]))
                                return true;
        }
        return false;
}

static int finish(struct rollout *rollout, struct cx_error *err)
{
        int r = 0;
        if (rollout_complete(&rollout->d, json_object_get(rollout->d.json, "status")))
                r = rollout_clean_up(rollout, err);
        return r < 0 ? r : rollout_sync_status(rollout, true, err);
}

static int recreate(struct rollout *rollout, struct cx_error *err)
{
        int r = rollout_find_or_create(rollout, false, err);
        for (size_t i = 0; i < rollout->sets.count && r == 0; i++)
                if ((int)i != rollout->fresh && rollout->sets.items[i].replicas > 0)
                        r = rollout_set_size(rollout, i, 0, err);
        if (r < 0)
                return r;
        if (old_pods_run(rollout))
                return rollout_sync_status(rollout, true, err);
        if (rollout->fresh < 0)
                r = rollout_find_or_create(rollout, true, err);
        if (r == 0)
                r = rollout_set_size(rollout, (size_t)rollout->fresh, rollout->d.replicas, err);
        return r < 0 ? r : finish(rollout, err);
}

static int roll(struct rollout *rollout, struct cx_error *err)
{
        int r = rollout_find_or_create(rollout, true, err);
        if (r < 0)
                return r;
        int64_t size = rollout_fresh_replicas(&rollout->d, &rollout->sets, rollout->fresh);
        r = rollout_set_size(rollout, (size_t)rollout->fresh, size, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) int64_t *sizes = cx_alloc_array(rollout->sets.count, sizeof *sizes);
        if (rollout_scale_down_old(&rollout->d, &rollout->sets, rollout->fresh, sizes))
                r = apply_sizes(rollout, sizes, err);
        return r < 0 ? r : finish(rollout, err);
}

static int note_pause(struct rollout *rollout, struct cx_error *err)
{
        const json_t *condition = find_condition(rollout->d.json, "Progressing");
        const char *reason = cx_json_string_or(condition, "reason", "");
        if (rollout->d.progress_deadline == NO_DEADLINE || cx_streq(reason, "ProgressDeadlineExceeded"))
                return 0;
        bool noted = cx_streq(reason, "DeploymentPaused");
        if (noted == rollout->d.paused)
                return 0;
        json_t *status = json_deep_copy(json_object_get(rollout->d.json, "status"));
        if (!status)
                status = json_object();
        rollout_condition(status, "Progressing", "Unknown", noted ? "DeploymentResumed" : "DeploymentPaused",
                          noted ? "Deployment is resumed" : "Deployment is paused");
        return rollout_write_status(rollout, status, err);
}

static void read_deployment(struct deployment *d, const struct cx_object *object)
{
        json_t *json = cx_object_json(object);
        *d = (struct deployment){
                .json = json,
                .namespace = cx_json_string_or(json, "metadata.namespace", ""),
                .name = cx_json_string_or(json, "metadata.name", ""),
                .uid = cx_json_string_or(json, "metadata.uid", ""),
                .replicas = cx_json_int(json, "spec.replicas", 0),
                .generation = object->generation,
                .min_ready = cx_json_int(json, "spec.minReadySeconds", 0),
                .history_limit = cx_json_int(json, "spec.revisionHistoryLimit", INT32_MAX),
                .progress_deadline = cx_json_int(json, "spec.progressDeadlineSeconds", NO_DEADLINE),
                .recreate = cx_streq(cx_json_string(json, "spec.strategy.type"), "Recreate"),
                .paused = cx_json_bool(json, "spec.paused", false),
                .deleted = object->deleted != 0,
        };
        if (!d->recreate)
                rollout_fenceposts(cx_json_get(json, "spec.strategy.rollingUpdate"), d->replicas, &d->max_surge,
                                   &d->max_unavailable);
}

static int reconcile_rollout(struct rollout *rollout, struct cx_error *err)
{
        bool adopted = false;
        int r = claim_sets(rollout, &adopted, err);
        if (r < 0)
                return r;
        if (adopted) { // a decision without them would be wrong
                *rollout->retry_after = CX_NS_PER_S;
                return 0;
        }
        rollout->fresh = -1;
        if (rollout->d.deleted) {
                for (size_t i = 0; i < rollout->sets.count; i++)
                        if (templates_equal(cx_json_get(rollout->sets.items[i].json, "spec.template"),
                                            cx_json_get(rollout->d.json, "spec.template")))
                                rollout->fresh = (int)i;
                return rollout_sync_status(rollout, false, err);
        }
        r = note_pause(rollout, err);
        if (r < 0)
                return r;
        if (rollout->d.paused || was_resized(rollout))
                return sync_sizes(rollout, err);
        return rollout->d.recreate ? recreate(rollout, err) : roll(rollout, err);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct deployments *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->deployments, key);
        if (!object)
                return 0;
        struct rollout rollout = {.self = self, .owner = {&deployment_kind, object}, .retry_after = retry_after};
        read_deployment(&rollout.d, object);
        int r = reconcile_rollout(&rollout, err);
        for (size_t i = 0; i < rollout.sets.count; i++)
                replica_set_release(&rollout.sets.items[i]);
        free(rollout.sets.items);
        json_decref(rollout.d.json);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) { // it, or a part of it, has just gone: its event will tell
                cx_error_release(err);
                return 0;
        }
        return r;
}

const struct controller deployment_controller = {.name = "deployment-controller",
                                                 .account = "deployment-controller",
                                                 .workers = 5,
                                                 .init = init,
                                                 .reconcile = reconcile,
                                                 .free = free};
