// SPDX-License-Identifier: Apache-2.0
// DaemonSets: a pod on each node that its template fits, whatever the nodes are up to. A reconcile looks at nodes and pods,
// makes a plan (daemon_set_plan.c) and carries it out; the scheduler binds the pods.
#include "controller-manager/workloads/daemon_set.h"

#include "controller-manager/pods/backoff.h"
#include "controller-manager/workloads/revisions.h"

struct daemon_sets {
        struct pod_control control;
        struct cx_informer *nodes, *revisions;
        struct backoff failed; // of failed pods, by set and node
};

// --- watching --------------------------------------------------------------------------------------------------------

static bool same_taints(const struct cx_object *a, const struct cx_object *b)
{
        const struct cx_taints *x = object_part(a, &daemon_node_part), *y = object_part(b, &daemon_node_part);
        bool same = x->count == y->count;
        for (size_t i = 0; same && i < x->count; i++)
                same = cx_streq(x->items[i].key, y->items[i].key) && cx_streq(x->items[i].value, y->items[i].value) &&
                       x->items[i].effect == y->items[i].effect;
        return same;
}

// Heartbeats change nothing: only what decides which pods a node is to have.
static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct daemon_sets *self = context;
        if (old && now && cx_object_same_labels(old, now) && same_taints(old, now))
                return;
        CX_OBJECTS sets = CX_OBJECTS_INIT;
        cx_informer_list(self->control.owners, NULL, &sets);
        for (size_t i = 0; i < sets.count; i++)
                cx_workqueue_add(self->control.queue, sets.items[i]->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct daemon_sets *self = cx_alloc(sizeof *self);
        pod_control_init(&self->control, manager, queue, &daemon_set_kind, "daemonset-controller");
        manager_part_informer(manager, "", "pods", &daemon_pod_part);
        self->nodes = manager_part_informer(manager, "", "nodes", &daemon_node_part);
        self->revisions = revisions_informer(manager);
        backoff_init(&self->failed, CX_NS_PER_S, 900 * CX_NS_PER_S);
        cx_informer_on_event(self->nodes, on_node, self);
        return self;
}

static void release(void *context)
{
        struct daemon_sets *self = context;
        pod_control_release(&self->control);
        backoff_release(&self->failed);
        free(self);
}

// --- one reconcile ---------------------------------------------------------------------------------------------------

struct daemon {
        struct daemon_sets *self;
        const struct owner *owner;
        json_t *json;     // the set
        const char *hash; // of the current template
        struct daemon_view view;
        struct daemon_strategy strategy;
        int64_t wait; // ns until a failed pod may go; 0: none waits
};

// The pods to be made, for the threads that make them.
struct daemon_creation {
        const struct daemon *daemon;
        const size_t *nodes;
        json_t *template;
        char *prefix;
};

static int write_pod(void *context, size_t i, struct cx_buf *to, struct cx_error *err CX_UNUSED)
{
        const struct daemon_creation *creation = context;
        const struct daemon *d = creation->daemon;
        json_auto_t *pod = pod_from_template(creation->template, creation->prefix, owner_reference(d->owner));
        daemon_aim(cx_json_object_at(pod, "spec"), d->view.nodes[creation->nodes[i]].name);
        cx_json_dump(pod, to);
        return 0;
}

static json_t *make_template(const struct daemon *d)
{
        json_t *template = json_deep_copy(cx_json_get(d->json, "spec.template"));
        json_t *labels = cx_json_object_at(cx_json_object_at(template, "metadata"), "labels");
        const json_t *annotations = cx_json_get(d->json, "metadata.annotations");
        const char *generation = json_string_value(json_object_get(annotations, DAEMON_GENERATION_ANNOTATION));
        int64_t number;
        daemon_add_tolerations(cx_json_object_at(template, "spec"));
        json_object_set_new(labels, DAEMON_HASH, json_string(d->hash));
        if (generation && cx_parse_int(generation, INT64_MIN, INT64_MAX, &number) == 0)
                json_object_set_new(labels, DAEMON_GENERATION, json_string(CX_INT(number)));
        return template;
}

static int create_pods(const struct daemon *d, const struct daemon_plan *plan, struct cx_error *err)
{
        size_t count = plan->n_create < POD_BURST ? plan->n_create : POD_BURST;
        if (!count)
                return 0;
        json_auto_t *template = make_template(d);
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%.200s-", d->owner->object->name);
        struct daemon_creation creation = {d, plan->create, template, prefix};
        return pod_control_create(&d->self->control, d->owner, &(struct pod_batch){count, write_pod, &creation}, err);
}

static int end_pods(const struct daemon *d, const struct daemon_plan *plan, struct cx_error *err)
{
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        for (size_t i = 0; i < plan->n_end && i < POD_BURST; i++)
                cx_objects_add(&pods, d->view.pods[plan->end[i]].pod);
        return pod_control_delete(&d->self->control, d->owner, &pods, pods.count, err);
}

static int carry_out(const struct daemon *d, const struct daemon_plan *plan, struct cx_error *err)
{
        CX_ERROR other = CX_ERROR_INIT;
        int r = create_pods(d, plan, err);
        int ended = end_pods(d, plan, r < 0 ? &other : err); // whatever became of the creations
        return r < 0 ? r : ended;
}

// What is over is ended: what failed not more often than its delay allows, lest it and the kubelet chase each other.
static void end_what_is_over(struct daemon *d, struct daemon_plan *plan)
{
        struct daemon_sets *self = d->self;
        int64_t now = cx_time_monotonic();
        long observed = (long)cx_json_int(d->json, "status.observedGeneration", 0);
        for (size_t i = 0; i < plan->n_failed; i++) {
                const struct cx_object *pod = d->view.pods[plan->failed[i]].pod;
                const char *node = cx_str(POD_STATE(pod)->node);
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%ld/%s", d->owner->object->uid, observed, node);
                int64_t left = backoff_left(&self->failed, key, now);
                if (left) {
                        d->wait = !d->wait || left < d->wait ? left : d->wait;
                        continue;
                }
                backoff_next(&self->failed, key, now);
                owner_event(self->control.events, d->owner, "Warning", "FailedDaemonPod",
                            "Found failed daemon pod %s/%s on node %s, will try to kill it", pod->namespace, pod->name,
                            node);
                plan->end[plan->n_end++] = plan->failed[i];
        }
        for (size_t i = 0; i < plan->n_succeeded; i++) {
                const struct cx_object *pod = d->view.pods[plan->succeeded[i]].pod;
                owner_event(self->control.events, d->owner, "Normal", "SucceededDaemonPod",
                            "Found succeeded daemon pod %s/%s on node %s, will try to delete it", pod->namespace,
                            pod->name, cx_str(POD_STATE(pod)->node));
                plan->end[plan->n_end++] = plan->succeeded[i];
        }
}

static int act(struct daemon *d, struct cx_error *err)
{
        CX_CLEANUP(daemon_plan_release) struct daemon_plan plan = {0}, update = {0};
        daemon_plan_nodes(&d->view, &d->strategy, &plan);
        end_what_is_over(d, &plan);
        if (plan.n_create || plan.n_end)
                return carry_out(d, &plan, err);
        daemon_plan_update(&d->view, &d->strategy, &update);
        return carry_out(d, &update, err);
}

static int update_status(const struct daemon *d, bool acted, int64_t collisions, struct cx_error *err)
{
        struct daemon_counts counts = daemon_count(&d->view);
        int64_t observed = cx_json_int(d->json, "status.observedGeneration", 0);
        const struct status_count numbers[] = {{"observedGeneration", acted ? d->owner->object->generation : observed},
                                               {"desiredNumberScheduled", counts.desired, .always = true},
                                               {"currentNumberScheduled", counts.current, .always = true},
                                               {"numberMisscheduled", counts.misscheduled, .always = true},
                                               {"numberReady", counts.ready, .always = true},
                                               {"updatedNumberScheduled", counts.updated},
                                               {"numberAvailable", counts.available},
                                               {"numberUnavailable", counts.desired - counts.available},
                                               {"collisionCount", collisions}};
        json_t *status = status_of_counts(numbers, CX_ARRAY_SIZE(numbers));
        const json_t *conditions = cx_json_get(d->json, "status.conditions");
        if (conditions)
                json_object_set_new(status, "conditions", json_deep_copy(conditions));
        return owner_write_status(d->self->control.rest, d->owner, d->json, status, err);
}

static const char *hash_of(const struct controller_revision *revision)
{
        return *revision->hash ? revision->hash : revision->name;
}

// The hashes of all revisions of the current template; the last one is what new pods get.
static int update_history(const struct revision_history *history, struct daemon *d, int64_t *collisions,
                          struct controller_revisions *revisions, struct cx_strings *ret_hashes, struct cx_error *err)
{
        const json_t *template = cx_json_get(d->json, "spec.template");
        json_auto_t *data = revision_data(template);
        const struct revision_content content = {data, cx_json_get(template, "metadata.labels"),
                                                 cx_json_get(d->json, "metadata.annotations")};
        size_t current;
        int r = revisions_update(history, &content, collisions, revisions, &current, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < revisions->count; i++)
                if (json_equal(revisions->items[i].data, data))
                        cx_strings_add(ret_hashes, hash_of(&revisions->items[i]));
        d->hash = hash_of(&revisions->items[current]);
        return 0;
}

// Old revisions that pods are made of are kept, and count.
static int truncate_history(const struct revision_history *history, const struct daemon *d,
                            const struct cx_objects *pods, const struct cx_strings *hashes,
                            struct controller_revisions *revisions, struct cx_error *err)
{
        int64_t limit = cx_json_int(d->json, "spec.revisionHistoryLimit", 10);
        CX_MAP lives = CX_MAP_INIT;
        CX_STRINGS in_use = CX_STRINGS_INIT;
        for (size_t i = 0; i < pods->count; i++) {
                const char *hash = cx_object_label(pods->items[i], DAEMON_HASH);
                if (hash)
                        cx_map_set(&lives, hash, d->json);
        }
        for (size_t i = 0; i < revisions->count; i++) {
                const char *hash = hash_of(&revisions->items[i]);
                bool current = cx_strings_has(hashes, hash);
                if (!current && !cx_map_has(&lives, hash))
                        continue;
                cx_strings_add(&in_use, revisions->items[i].name);
                limit -= !current;
        }
        return revisions_truncate(history, &in_use, limit > 0 ? limit : 0, revisions, err);
}

static int reconcile_set(struct daemon *d, const struct cx_objects *pods, const struct cx_selector *selector,
                         bool may_act, struct cx_error *err)
{
        struct daemon_sets *self = d->self;
        const struct revision_history history = {self->control.rest, self->revisions, d->owner, selector, DAEMON_HASH};
        CX_CLEANUP(revisions_release) struct controller_revisions revisions = {0};
        CX_CLEANUP(daemon_placement_release) struct daemon_placement placement = {0};
        CX_STRINGS hashes = CX_STRINGS_INIT;
        CX_OBJECTS nodes = CX_OBJECTS_INIT;
        CX_ERROR failure = CX_ERROR_INIT;
        int64_t collisions = cx_json_int(d->json, "status.collisionCount", 0);
        int r = revisions_claim(&history, &revisions, err);
        if (r == 0)
                r = update_history(&history, d, &collisions, &revisions, &hashes, err);
        if (r < 0)
                return r;
        cx_informer_list(self->nodes, NULL, &nodes);
        daemon_placement_parse(cx_json_get(d->json, "spec.template"), &placement);
        const struct daemon_pods found = {pods, &hashes, cx_json_int(d->json, "spec.minReadySeconds", 0),
                                          cx_time_now()};
        daemon_view_make(&placement, &nodes, &found, &d->view);
        daemon_strategy_read(d->json, &d->view, &d->strategy);
        if (may_act)
                (void)!act(d, &failure);
        r = update_status(d, may_act, collisions, err);
        if (r == 0 && may_act)
                r = truncate_history(&history, d, pods, &hashes, &revisions, err);
        daemon_view_release(&d->view);
        if (failure.code) {
                cx_error_release(err);
                return cx_error_move(err, &failure);
        }
        return r;
}

// A set that is being deleted is left alone: its history may have gone already, and with it what its pods are made of.
static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct daemon_sets *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->control.owners, key);
        if (!object)
                expectations_forget(&self->control.expectations, key);
        if (!object || object->deleted)
                return 0;
        bool may_act = expectations_met(&self->control.expectations, key);
        const struct owner owner = {&daemon_set_kind, object};
        json_auto_t *json = cx_object_json(object);
        struct daemon d = {.self = self, .owner = &owner, .json = json};
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        int r = owner_selector(owner.type, json, &selector, err);
        if (r == 0)
                r = pod_control_claim(&self->control, &owner, &selector, NULL, &pods, err);
        if (r == 0)
                r = reconcile_set(&d, &pods, &selector, may_act, err);
        *retry_after = pods_wait(&pods, cx_json_int(json, "spec.minReadySeconds", 0), cx_time_now());
        if (d.wait && (!*retry_after || d.wait < *retry_after))
                *retry_after = d.wait;
        return r;
}

const struct controller daemon_set_controller = {.name = "daemonset-controller",
                                                 .account = "daemon-set-controller",
                                                 .workers = 2,
                                                 .init = init,
                                                 .reconcile = reconcile,
                                                 .free = release};
