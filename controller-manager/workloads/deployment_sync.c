// SPDX-License-Identifier: Apache-2.0
// What the Deployment controller writes to ReplicaSets: it creates the one of the current template, numbers revisions,
// sets sizes, and deletes old ones beyond the history limit.
#include "controller-manager/workloads/deployment.h"

#include <inttypes.h>

static const struct cx_ref *set_ref(const struct rollout *rollout, const char *name, struct cx_ref *to)
{
        *to = (struct cx_ref){"apps", "v1", "replicasets", rollout->d.namespace, name};
        return to;
}

static bool set_annotation(json_t *object, const char *name, const char *value)
{
        if (cx_streq(annotation(object, name), value))
                return false;
        json_t *annotations = cx_json_object_at(cx_json_object_at(object, "metadata"), "annotations");
        json_object_set_new(annotations, name, json_string(value));
        return true;
}

static bool set_size_annotations(const struct deployment *d, json_t *set)
{
        bool changed = set_annotation(set, DESIRED, CX_INT(d->replicas));
        int64_t most = d->replicas + (d->recreate ? 0 : d->max_surge);
        return set_annotation(set, MAX_REPLICAS, CX_INT(most)) || changed;
}

// Copies the Deployment's annotations, except those that are about the Deployment alone.
static bool copy_annotations(const struct deployment *d, json_t *set)
{
        static const char *const own[] = {"kubectl.kubernetes.io/last-applied-configuration",
                                          REVISION,
                                          REVISION_HISTORY,
                                          DESIRED,
                                          MAX_REPLICAS,
                                          "deprecated.deployment.rollback.to"};
        bool changed = false;
        const char *key;
        json_t *value;
        json_object_foreach (cx_json_get(d->json, "metadata.annotations"), key, value) {
                bool skip = false;
                for (size_t i = 0; i < CX_ARRAY_SIZE(own); i++)
                        skip = skip || strcmp(own[i], key) == 0;
                if (!skip && json_string_value(value))
                        changed = set_annotation(set, key, json_string_value(value)) || changed;
        }
        return changed;
}

static bool set_revision(json_t *set, int64_t revision)
{
        int64_t had = annotation_int(set, REVISION, 0);
        if (had >= revision)
                return false;
        if (had) {
                const char *history = annotation(set, REVISION_HISTORY);
                CX_CLEANUP(cx_freep)
                char *longer =
                        history && *history ? cx_sprintf("%s,%" PRId64, history, had) : cx_sprintf("%" PRId64, had);
                set_annotation(set, REVISION_HISTORY, longer);
        }
        set_annotation(set, REVISION, CX_INT(revision));
        return true;
}

static int write_set(struct rollout *rollout, struct replica_set *set, struct cx_error *err)
{
        json_object_set_new(set->json, "apiVersion", json_string("apps/v1"));
        json_object_set_new(set->json, "kind", json_string("ReplicaSet"));
        json_t *written = NULL;
        struct cx_ref ref;
        int r = cx_rest_update(rollout->self->manager->rest, set_ref(rollout, set->name, &ref), set->json, &written,
                               err);
        if (r < 0)
                return r;
        replica_set_release(set);
        replica_set_read(set, written);
        return 0;
}

// The Deployment shows the revision that it is at.
static int show_revision(struct rollout *rollout, const json_t *set, struct cx_error *err)
{
        const char *revision = annotation(set, REVISION);
        if (!revision || !set_annotation(rollout->d.json, REVISION, revision))
                return 0;
        json_object_set_new(rollout->d.json, "apiVersion", json_string("apps/v1"));
        json_object_set_new(rollout->d.json, "kind", json_string("Deployment"));
        json_auto_t *written = NULL;
        // through the status: an annotation that came the other way would be a new generation
        int r = cx_rest_update_sub(rollout->self->manager->rest,
                                   CX_REF("apps", "v1", "deployments", rollout->d.namespace, rollout->d.name), "status",
                                   rollout->d.json, &written, err);
        if (r < 0)
                return r;
        json_object_set(rollout->d.json, "metadata", json_object_get(written, "metadata"));
        rollout->d.namespace = cx_json_string_or(rollout->d.json, "metadata.namespace", "");
        rollout->d.name = cx_json_string_or(rollout->d.json, "metadata.name", "");
        rollout->d.uid = cx_json_string_or(rollout->d.json, "metadata.uid", "");
        return 0;
}

static int adopt_fresh(struct rollout *rollout, int64_t revision, struct cx_error *err)
{
        struct replica_set *set = &rollout->sets.items[rollout->fresh];
        bool changed = copy_annotations(&rollout->d, set->json);
        changed = set_revision(set->json, revision) || changed;
        int64_t min_ready = rollout->d.min_ready;
        if (cx_json_int(set->json, "spec.minReadySeconds", 0) != min_ready) {
                if (cx_json_set(set->json, "spec.minReadySeconds", json_integer(min_ready)) == 0)
                        changed = true;
        }
        if (changed) {
                int r = write_set(rollout, set, err);
                if (r < 0)
                        return r;
        }
        if (!find_condition(rollout->d.json, "Progressing") && rollout->d.progress_deadline != NO_DEADLINE) {
                json_t *status = json_deep_copy(json_object_get(rollout->d.json, "status"));
                CX_CLEANUP(cx_freep) char *message = cx_sprintf("Found new replica set \"%s\"", set->name);
                rollout_condition(status, "Progressing", "True", "FoundNewReplicaSet", message);
                int r = rollout_write_status(rollout, status, err);
                if (r < 0)
                        return r;
        }
        return show_revision(rollout, set->json, err);
}

static json_t *make_set(const struct rollout *rollout, const char *hash, int64_t revision, int64_t size)
{
        const struct deployment *d = &rollout->d;
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%.200s-%s", d->name, hash);
        json_t *template = json_deep_copy(cx_json_get(d->json, "spec.template"));
        json_t *template_labels = cx_json_object_at(cx_json_object_at(template, "metadata"), "labels");
        json_object_set_new(template_labels, HASH_LABEL, json_string(hash));
        json_t *selector = json_deep_copy(cx_json_get(d->json, "spec.selector"));
        json_object_set_new(cx_json_object_at(selector, "matchLabels"), HASH_LABEL, json_string(hash));
        json_t *set = json_pack("{s:s, s:s, s:{s:s, s:s, s:O, s:[o]}, s:{s:I, s:o, s:o}}", "apiVersion", "apps/v1",
                                "kind", "ReplicaSet", "metadata", "name", name, "namespace", d->namespace, "labels",
                                template_labels, "ownerReferences", owner_reference(&rollout->owner), "spec",
                                "replicas", (json_int_t)size, "selector", selector, "template", template);
        if (d->min_ready)
                json_object_set_new(json_object_get(set, "spec"), "minReadySeconds", json_integer(d->min_ready));
        copy_annotations(d, set);
        set_revision(set, revision);
        set_size_annotations(d, set);
        return set;
}

static void add_set(struct rollout *rollout, json_t *json_steal)
{
        struct replica_sets *sets = &rollout->sets;
        sets->items = cx_realloc_array(sets->items, sets->count + 1, sizeof *sets->items);
        replica_set_read(&sets->items[sets->count], json_steal);
        rollout->fresh = (int)sets->count++;
}

// The name is taken: by our own ReplicaSet that the informer has not shown yet, or by a collision of hashes.
static int resolve_taken(struct rollout *rollout, const char *name, struct cx_error *err)
{
        json_auto_t *there = NULL;
        struct cx_ref ref;
        int r = cx_rest_get(rollout->self->manager->rest, set_ref(rollout, name, &ref), &there, err);
        if (r < 0)
                return r;
        const json_t *owner = cx_json_find(cx_json_get(there, "metadata.ownerReferences"), "uid", rollout->d.uid);
        if (owner &&
            templates_equal(cx_json_get(there, "spec.template"), cx_json_get(rollout->d.json, "spec.template"))) {
                add_set(rollout, json_incref(there));
                return 0;
        }
        json_t *status = json_deep_copy(json_object_get(rollout->d.json, "status"));
        if (!status)
                status = json_object();
        json_object_set_new(status, "collisionCount", json_integer(cx_json_int(status, "collisionCount", 0) + 1));
        r = rollout_write_status(rollout, status, err);
        return r < 0 ? r : cx_error_reason(err, CX_REASON_CONFLICT, "the name %s is taken", name);
}

static int create_fresh(struct rollout *rollout, int64_t revision, struct cx_error *err)
{
        struct deployment *d = &rollout->d;
        char hash[11];
        template_hash(cx_json_get(d->json, "spec.template"), cx_json_int(d->json, "status.collisionCount", 0), hash);
        int64_t size = rollout_fresh_replicas(d, &rollout->sets, -1);
        json_auto_t *set = make_set(rollout, hash, revision, size);
        const char *name = cx_json_string(set, "metadata.name");
        json_t *made = NULL;
        struct cx_ref ref;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_create(rollout->self->manager->rest, set_ref(rollout, NULL, &ref), set, &made, &failure);
        if (r < 0 && cx_error_is(&failure, CX_REASON_ALREADY_EXISTS)) {
                r = resolve_taken(rollout, name, err);
                return r < 0 ? r : show_revision(rollout, rollout->sets.items[rollout->fresh].json, err);
        }
        json_t *status = json_deep_copy(json_object_get(d->json, "status"));
        if (!status)
                status = json_object();
        if (r < 0) {
                CX_CLEANUP(cx_freep)
                char *message =
                        cx_sprintf("Failed to create new replica set \"%s\": %s", name, cx_error_text(&failure));
                rollout_condition(status, "Progressing", "False", "ReplicaSetCreateError", message);
                CX_ERROR ignored = CX_ERROR_INIT;
                (void)!rollout_write_status(rollout, status, &ignored);
                return cx_error_move(err, &failure);
        }
        add_set(rollout, made);
        if (size > 0)
                owner_event(rollout->self->events, &rollout->owner, "Normal", "ScalingReplicaSet",
                            "Scaled up replica set %s from 0 to %" PRId64, name, size);
        if (d->progress_deadline != NO_DEADLINE) {
                CX_CLEANUP(cx_freep) char *message = cx_sprintf("Created new replica set \"%s\"", name);
                rollout_condition(status, "Progressing", "True", "NewReplicaSetCreated", message);
        }
        r = rollout_write_status(rollout, status, err);
        return r < 0 ? r : show_revision(rollout, rollout->sets.items[rollout->fresh].json, err);
}

int rollout_find_or_create(struct rollout *rollout, bool create, struct cx_error *err)
{
        const json_t *template = cx_json_get(rollout->d.json, "spec.template");
        int64_t newest = 0;
        rollout->fresh = -1;
        for (size_t i = 0; i < rollout->sets.count && rollout->fresh < 0; i++)
                if (templates_equal(cx_json_get(rollout->sets.items[i].json, "spec.template"), template))
                        rollout->fresh = (int)i;
        for (size_t i = 0; i < rollout->sets.count; i++)
                if ((int)i != rollout->fresh && rollout->sets.items[i].revision > newest)
                        newest = rollout->sets.items[i].revision;
        if (rollout->fresh >= 0)
                return adopt_fresh(rollout, newest + 1, err);
        return create ? create_fresh(rollout, newest + 1, err) : 0;
}

int rollout_set_size(struct rollout *rollout, size_t i, int64_t size, struct cx_error *err)
{
        struct replica_set *set = &rollout->sets.items[i];
        int64_t had = set->replicas;
        bool changed = set_size_annotations(&rollout->d, set->json);
        if (had != size) {
                if (cx_json_set(set->json, "spec.replicas", json_integer(size)) == 0)
                        changed = true;
        }
        if (!changed)
                return 0;
        int r = write_set(rollout, set, err);
        if (r < 0 || had == size)
                return r;
        owner_event(rollout->self->events, &rollout->owner, "Normal", "ScalingReplicaSet",
                    "Scaled %s replica set %s from %" PRId64 " to %" PRId64, size > had ? "up" : "down", set->name, had,
                    size);
        return 0;
}

static int compare_revisions(const void *a, const void *b)
{
        const struct replica_set *x = *(struct replica_set *const *)a, *y = *(struct replica_set *const *)b;
        return x->revision < y->revision ? -1 : x->revision > y->revision;
}

// Still has pods, or may: its controller has not looked at its last size yet.
static bool is_in_use(const struct replica_set *set)
{
        return set->replicas || set->current ||
               cx_json_int(set->json, "metadata.generation", 0) >
                       cx_json_int(set->json, "status.observedGeneration", 0);
}

int rollout_clean_up(struct rollout *rollout, struct cx_error *err)
{
        size_t n = 0;
        CX_CLEANUP(cx_freep) struct replica_set **old = cx_alloc_array(rollout->sets.count + 1, sizeof(void *));
        for (size_t i = 0; i < rollout->sets.count; i++)
                if ((int)i != rollout->fresh && !cx_json_get(rollout->sets.items[i].json, "metadata.deletionTimestamp"))
                        old[n++] = &rollout->sets.items[i];
        qsort(old, n, sizeof *old, compare_revisions);
        for (size_t i = 0; (int64_t)(n - i) > rollout->d.history_limit; i++) {
                if (is_in_use(old[i]))
                        continue;
                struct cx_ref ref;
                struct cx_delete_options options = {.grace = -1, .uid = old[i]->uid};
                int r = cx_rest_delete(rollout->self->manager->rest, set_ref(rollout, old[i]->name, &ref), &options,
                                       err);
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                        return r;
                cx_error_release(err);
                json_object_set_new(json_object_get(old[i]->json, "metadata"), "deletionTimestamp", json_now());
        }
        return 0;
}
