// SPDX-License-Identifier: Apache-2.0
// StatefulSets: members with names that stay. A reconcile looks at the members, makes a plan (stateful_set_plan.c) and carries
// it out. A name belongs to one pod at a time: a member whose node is lost comes back when its pod is gone from the API, and
// no earlier.
#include "controller-manager/workloads/stateful_set.h"

#include "controller-manager/workloads/revisions.h"

// --- events ----------------------------------------------------------------------------------------------------------

static void tell_member(struct pod_control *control, const struct owner *owner, const char *verb, const char *pod,
                        const struct cx_error *failure)
{
        CX_CLEANUP(cx_freep)
        char *reason = cx_sprintf("%s%c%s", failure ? "Failed" : "Successful", verb[0] - 'a' + 'A', verb + 1);
        if (failure)
                owner_event(control->events, owner, "Warning", reason, "%s Pod %s in StatefulSet %s failed error: %s",
                            verb, pod, owner->object->name, cx_error_text(failure));
        else
                owner_event(control->events, owner, "Normal", reason, "%s Pod %s in StatefulSet %s successful", verb,
                            pod, owner->object->name);
}

static void tell(struct pod_control *control, const struct owner *owner, enum pod_verb verb, const char *pod,
                 const struct cx_error *failure)
{
        if (!failure || !cx_error_is(failure, CX_REASON_ALREADY_EXISTS)) // somebody else's: it is only waited for
                tell_member(control, owner, verb == POD_CREATE ? "create" : "delete", pod, failure);
}

// --- watching --------------------------------------------------------------------------------------------------------

static bool is_member(const struct owner *owner, const struct cx_object *pod)
{
        return member_ordinal(owner->object->name, pod->name) >= 0;
}

// A claim that has gone may be one that a member waits for, or has to get anew.
static void on_claim(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct pod_control *control = &((struct stateful_sets *)context)->control;
        if (now || !old)
                return;
        CX_OBJECTS sets = CX_OBJECTS_INIT;
        cx_informer_list(control->owners, old->namespace, &sets);
        for (size_t i = 0; i < sets.count; i++) {
                CX_CLEANUP(cx_freep) char *part = cx_sprintf("-%s-", sets.items[i]->name);
                if (strstr(old->name, part))
                        cx_workqueue_add(control->queue, sets.items[i]->key);
        }
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct stateful_sets *self = cx_alloc(sizeof *self);
        pod_control_init(&self->control, manager, queue, &stateful_set_kind, "statefulset-controller");
        self->control.tell = tell;
        self->control.fits = is_member;
        self->revisions = revisions_informer(manager);
        self->claims = claims_informer(manager);
        cx_informer_on_event(self->claims, on_claim, self);
        return self;
}

static void release(void *context)
{
        struct stateful_sets *self = context;
        pod_control_release(&self->control);
        free(self);
}

// --- members ---------------------------------------------------------------------------------------------------------

static void set_identity(json_t *labels, const char *name, int64_t ordinal)
{
        json_object_set_new(labels, MEMBER_NAME, json_string(name));
        json_object_set_new(labels, MEMBER_INDEX, json_string(CX_INT(ordinal)));
}

// The members to be made, for the threads that make them.
struct creation {
        const struct stateful *s;
        const int64_t *ordinals;
        const json_t *current, *update; // templates
};

static int write_member(void *context, size_t i, struct cx_buf *to, struct cx_error *err)
{
        const struct creation *creation = context;
        const struct stateful *s = creation->s;
        const char *set = s->owner->object->name;
        int64_t ordinal = creation->ordinals[i];
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s-%ld", set, (long)ordinal);
        int r = claims_create(s, ordinal, name, err);
        if (r < 0) {
                if (r != -EAGAIN)
                        tell(&s->self->control, s->owner, POD_CREATE, name, err);
                return r;
        }
        bool held_back = member_is_held_back(s->set, ordinal);
        json_auto_t *pod =
                pod_from_template(held_back ? creation->current : creation->update, NULL, owner_reference(s->owner));
        json_t *metadata = json_object_get(pod, "metadata"), *labels = cx_json_object_at(metadata, "labels");
        json_t *spec = cx_json_object_at(pod, "spec");
        json_object_set_new(metadata, "name", json_string(name));
        set_identity(labels, name, ordinal);
        json_object_set_new(labels, MEMBER_REVISION, json_string(held_back ? s->set->current : s->set->update));
        json_object_set_new(spec, "hostname", json_string(name));
        const char *service = cx_json_string_or(s->set->json, "spec.serviceName", "");
        if (*service)
                json_object_set_new(spec, "subdomain", json_string(service));
        claims_mount(s->set, set, ordinal, spec);
        cx_json_dump(pod, to);
        return 0;
}

static int create_members(const struct stateful *s, const struct stateful_plan *plan,
                          const struct controller_revision *current, const struct controller_revision *update,
                          struct cx_error *err)
{
        CX_CLEANUP(cx_freep) int64_t *ordinals = cx_alloc_array(plan->n_create + 1, sizeof *ordinals);
        size_t n = 0;
        for (size_t i = 0; i < plan->n_create; i++)
                if (!claims_are_stale(s, plan->create[i]))
                        ordinals[n++] = plan->create[i];
        json_auto_t *old = revision_template(current->data), *fresh = revision_template(update->data);
        if (!old || !fresh)
                return cx_error_set(err, -EINVAL, "revision %s of StatefulSet %s has no template of pods",
                                    old ? update->name : current->name, s->owner->object->key);
        struct creation creation = {s, ordinals, old, fresh};
        return pod_control_create(&s->self->control, s->owner, &(struct pod_batch){n, write_member, &creation}, err);
}

// A pod that was adopted may lack what says which member it is.
static int settle_identity(const struct stateful *s, const struct member *member, struct cx_error *err)
{
        const struct cx_object *pod = member->pod;
        if (member->going || cx_streq(cx_object_label(pod, MEMBER_NAME), pod->name))
                return 0;
        json_auto_t *patch = json_pack("{s:{s:s, s:{}}}", "metadata", "uid", pod->uid, "labels");
        set_identity(cx_json_get(patch, "metadata.labels"), pod->name, member->ordinal);
        int r = cx_rest_patch(s->self->control.rest, CX_REF("", "v1", "pods", pod->namespace, pod->name), NULL,
                              CX_PATCH_MERGE, patch, NULL, err);
        tell_member(&s->self->control, s->owner, "update", pod->name, r < 0 ? err : NULL);
        return r;
}

static int settle_member(const struct stateful *s, const struct member *member, struct cx_error *err)
{
        int r = 0;
        if (member->pending && !member->going && member_in_range(s->set, member->ordinal))
                r = claims_create(s, member->ordinal, member->pod->name, err);
        if (r == 0)
                r = claims_settle(s, member, err);
        return r < 0 ? r : settle_identity(s, member, err);
}

static int end_members(const struct stateful *s, const struct members *members, const size_t *which, size_t count,
                       struct cx_error *err)
{
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        for (size_t i = 0; i < count && i < POD_BURST; i++)
                cx_objects_add(&pods, members->items[which[i]].pod);
        return pod_control_delete(&s->self->control, s->owner, &pods, pods.count, err);
}

static int carry_out(const struct stateful *s, const struct members *members, const struct stateful_plan *plan,
                     const struct controller_revision *current, const struct controller_revision *update,
                     struct cx_error *err)
{
        for (size_t i = 0; i < plan->n_settle; i++) {
                int r = settle_member(s, &members->items[plan->settle[i]], err);
                if (r < 0)
                        return r;
        }
        int r = end_members(s, members, plan->end, plan->n_end, err);
        if (r == 0 && plan->n_create)
                r = create_members(s, plan, current, update, err);
        return r < 0 ? r : end_members(s, members, plan->replace, plan->n_replace, err);
}

// --- the whole -------------------------------------------------------------------------------------------------------

static int update_status(const struct stateful *s, const struct members *members, int64_t collisions,
                         struct cx_error *err)
{
        const struct stateful_set *set = s->set;
        struct stateful_counts counts = stateful_count(set, members);
        const struct status_count numbers[] = {{"observedGeneration", s->owner->object->generation},
                                               {"replicas", counts.replicas, .always = true},
                                               {"readyReplicas", counts.ready},
                                               {"availableReplicas", counts.available, .always = true},
                                               {"currentReplicas", counts.current},
                                               {"updatedReplicas", counts.updated},
                                               {"collisionCount", collisions, .always = true}};
        json_t *status = status_of_counts(numbers, CX_ARRAY_SIZE(numbers));
        const json_t *conditions = cx_json_get(set->json, "status.conditions");
        if (set->current)
                json_object_set_new(status, "currentRevision",
                                    json_string(counts.complete ? set->update : set->current));
        if (set->update)
                json_object_set_new(status, "updateRevision", json_string(set->update));
        if (conditions)
                json_object_set_new(status, "conditions", json_deep_copy(conditions));
        return owner_write_status(s->self->control.rest, s->owner, set->json, status, err);
}

static int update_history(const struct revision_history *history, struct stateful_set *set, int64_t *collisions,
                          struct controller_revisions *revisions, size_t *ret_current, size_t *ret_update,
                          struct cx_error *err)
{
        const json_t *template = cx_json_get(set->json, "spec.template");
        json_auto_t *data = revision_data(template);
        const struct revision_content content = {data, cx_json_get(template, "metadata.labels"),
                                                 cx_json_get(set->json, "metadata.annotations")};
        int r = revisions_update(history, &content, collisions, revisions, ret_update, err);
        if (r < 0)
                return r;
        *ret_current = *ret_update;
        for (size_t i = 0; i < revisions->count; i++)
                if (cx_streq(revisions->items[i].name, cx_json_string(set->json, "status.currentRevision")))
                        *ret_current = i;
        set->current = revisions->items[*ret_current].name;
        set->update = revisions->items[*ret_update].name;
        return 0;
}

static int truncate_history(const struct revision_history *history, const struct stateful_set *set,
                            const struct cx_objects *pods, struct controller_revisions *revisions, struct cx_error *err)
{
        CX_STRINGS in_use = CX_STRINGS_INIT;
        const char *last = NULL;
        cx_strings_add(&in_use, set->current);
        cx_strings_add(&in_use, set->update);
        for (size_t i = 0; i < pods->count; i++) {
                const char *revision = cx_object_label(pods->items[i], MEMBER_REVISION);
                if (revision && !cx_streq(revision, last) && !cx_strings_has(&in_use, revision))
                        cx_strings_add(&in_use, revision);
                last = revision;
        }
        return revisions_truncate(history, &in_use, cx_json_int(set->json, "spec.revisionHistoryLimit", 10), revisions,
                                  err);
}

// A set that is being deleted only says what is left of it.
static int reconcile_set(const struct stateful *s, const struct cx_objects *pods, const struct cx_selector *selector,
                         bool act, struct cx_error *err)
{
        struct stateful_sets *self = s->self;
        struct stateful_set *set = s->set;
        const struct revision_history history = {self->control.rest, self->revisions, s->owner, selector};
        CX_CLEANUP(revisions_release) struct controller_revisions revisions = {0};
        CX_CLEANUP(members_release) struct members members = {0};
        CX_CLEANUP(stateful_plan_release) struct stateful_plan plan = {0};
        CX_ERROR failure = CX_ERROR_INIT;
        int64_t collisions = cx_json_int(set->json, "status.collisionCount", 0);
        size_t current = 0, update = 0;
        if (set->deleted) {
                set->current = cx_json_string(set->json, "status.currentRevision");
                set->update = cx_json_string(set->json, "status.updateRevision");
        } else {
                int r = revisions_claim(&history, &revisions, err);
                if (r == 0)
                        r = update_history(&history, set, &collisions, &revisions, &current, &update, err);
                if (r < 0)
                        return r;
        }
        members_read(set, pods, cx_time_now(), &members);
        stateful_plan_make(set, &members, &plan);
        if (act && !set->deleted)
                (void)!carry_out(s, &members, &plan, &revisions.items[current], &revisions.items[update], &failure);
        int r = update_status(s, &members, collisions, err);
        if (r == 0 && !set->deleted)
                r = truncate_history(&history, set, pods, &revisions, err);
        if (failure.code) {
                cx_error_release(err);
                return cx_error_move(err, &failure);
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct stateful_sets *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->control.owners, key);
        if (!object) {
                expectations_forget(&self->control.expectations, key);
                return 0;
        }
        bool act = expectations_met(&self->control.expectations, key);
        const struct owner owner = {&stateful_set_kind, object};
        CX_CLEANUP(stateful_set_release) struct stateful_set set = {0};
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        stateful_set_read(object, &set);
        int r = owner_selector(owner.type, set.json, &selector, err);
        if (r == 0)
                r = pod_control_claim(&self->control, &owner, &selector, NULL, &pods, err);
        if (r == 0)
                r = reconcile_set(&(struct stateful){self, &owner, &set}, &pods, &selector, act, err);
        *retry_after = pods_wait(&pods, set.min_ready, cx_time_now());
        return r;
}

const struct controller stateful_set_controller = {.name = "statefulset-controller",
                                                   .account = "statefulset-controller",
                                                   .workers = 5,
                                                   .init = init,
                                                   .reconcile = reconcile,
                                                   .free = release};
