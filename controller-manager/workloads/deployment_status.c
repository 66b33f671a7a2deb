// SPDX-License-Identifier: Apache-2.0
// A Deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure.
#include "controller-manager/workloads/deployment.h"

struct counts {
        int64_t replicas, updated, ready, available, wanted;
        int64_t terminating; // -1: not known of every ReplicaSet
};

static struct counts count(const struct rollout *rollout)
{
        struct counts counts = {0};
        for (size_t i = 0; i < rollout->sets.count; i++) {
                const struct replica_set *set = &rollout->sets.items[i];
                counts.replicas += set->current;
                counts.ready += set->ready;
                counts.available += set->available;
                counts.wanted += set->replicas;
                counts.terminating =
                        counts.terminating < 0 || set->terminating < 0 ? -1 : counts.terminating + set->terminating;
                if ((int)i == rollout->fresh)
                        counts.updated = set->current;
        }
        return counts;
}

void rollout_condition(json_t *status, const char *type, const char *value, const char *reason, const char *message)
{
        json_t *conditions = cx_json_array_at(status, "conditions");
        json_t *have = cx_json_find(conditions, "type", type);
        if (have && cx_streq(cx_json_string(have, "status"), value) && cx_streq(cx_json_string(have, "reason"), reason))
                return;
        json_t *changed = have && cx_streq(cx_json_string(have, "status"), value)
                                  ? json_incref(json_object_get(have, "lastTransitionTime"))
                                  : json_now();
        json_t *fresh = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "type", type, "status", value, "reason", reason,
                                  "message", message, "lastUpdateTime", json_now(), "lastTransitionTime", changed);
        for (size_t i = json_array_size(conditions); have && i-- > 0;)
                if (json_array_get(conditions, i) == have)
                        json_array_remove(conditions, i);
        json_array_append_new(conditions, fresh);
}

static void drop_condition(json_t *status, const char *type)
{
        json_t *conditions = json_object_get(status, "conditions");
        for (size_t i = json_array_size(conditions); i-- > 0;)
                if (cx_streq(cx_json_string(json_array_get(conditions, i), "type"), type))
                        json_array_remove(conditions, i);
        if (conditions && !json_array_size(conditions))
                json_object_del(status, "conditions");
}

static json_t *make_status(const struct rollout *rollout)
{
        const struct deployment *d = &rollout->d;
        const json_t *old = json_object_get(d->json, "status");
        struct counts counts = count(rollout);
        int64_t unavailable = counts.wanted - counts.available;
        json_t *status = json_object();
        const struct {
                const char *name;
                int64_t value;
        } fields[] = {{"observedGeneration", d->generation},
                      {"replicas", counts.replicas},
                      {"updatedReplicas", counts.updated},
                      {"readyReplicas", counts.ready},
                      {"availableReplicas", counts.available},
                      {"unavailableReplicas", unavailable > 0 ? unavailable : 0},
                      {"collisionCount", cx_json_int(old, "collisionCount", 0)}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++)
                if (fields[i].value)
                        json_object_set_new(status, fields[i].name, json_integer(fields[i].value));
        if (counts.terminating >= 0)
                json_object_set_new(status, "terminatingReplicas", json_integer(counts.terminating));
        if (json_object_get(old, "conditions"))
                json_object_set_new(status, "conditions", json_deep_copy(json_object_get(old, "conditions")));
        int64_t floor = d->replicas - (d->recreate ? 0 : d->max_unavailable);
        if (counts.available >= floor)
                rollout_condition(status, "Available", "True", "MinimumReplicasAvailable",
                                  "Deployment has minimum availability.");
        else
                rollout_condition(status, "Available", "False", "MinimumReplicasUnavailable",
                                  "Deployment does not have minimum availability.");
        return status;
}

bool rollout_complete(const struct deployment *d, const json_t *status)
{
        return cx_json_int(status, "updatedReplicas", 0) == d->replicas &&
               cx_json_int(status, "replicas", 0) == d->replicas &&
               cx_json_int(status, "availableReplicas", 0) == d->replicas &&
               cx_json_int(status, "observedGeneration", 0) >= d->generation;
}

static bool is_progressing(const json_t *old, const json_t *now)
{
        int64_t updated = cx_json_int(now, "updatedReplicas", 0), was_updated = cx_json_int(old, "updatedReplicas", 0);
        int64_t others = cx_json_int(now, "replicas", 0) - updated;
        int64_t were_others = cx_json_int(old, "replicas", 0) - was_updated;
        return updated > was_updated || others < were_others ||
               cx_json_int(now, "readyReplicas", 0) > cx_json_int(old, "readyReplicas", 0) ||
               cx_json_int(now, "availableReplicas", 0) > cx_json_int(old, "availableReplicas", 0);
}

// Nanoseconds until the progress deadline of a Progressing condition; 0 or less when it has passed.
static int64_t until_deadline(const struct deployment *d, const json_t *condition)
{
        const char *since = cx_json_string(condition, "lastUpdateTime");
        int64_t from = 0, deadline = d->progress_deadline;
        if (!since || cx_time_parse(since, &from) < 0)
                return deadline * CX_NS_PER_S;
        return (from + deadline * CX_US_PER_S - cx_time_now()) * 1000;
}

static void sync_progress(struct rollout *rollout, json_t *status)
{
        const struct deployment *d = &rollout->d;
        const json_t *old = json_object_get(d->json, "status");
        const json_t *condition = cx_json_find(json_object_get(status, "conditions"), "type", "Progressing");
        const char *reason = cx_json_string_or(condition, "reason", "");
        bool over = cx_streq(reason, "NewReplicaSetAvailable") &&
                    cx_json_int(status, "replicas", 0) == cx_json_int(status, "updatedReplicas", 0);
        if (over)
                return;
        const char *set = rollout->fresh >= 0 ? rollout->sets.items[rollout->fresh].name : NULL;
        CX_CLEANUP(cx_freep)
        char *who = cx_sprintf("%s \"%s\"", set ? "ReplicaSet" : "Deployment", set ? set : d->name);
        CX_CLEANUP(cx_freep) char *message = NULL;
        if (rollout_complete(d, status)) {
                message = cx_sprintf("%s has successfully progressed.", who);
                rollout_condition(status, "Progressing", "True", "NewReplicaSetAvailable", message);
        } else if (is_progressing(old, status)) {
                message = cx_sprintf("%s is progressing.", who);
                // The time of the last progress moves on even when nothing else changes.
                if (cx_streq(cx_json_string(condition, "reason"), "ReplicaSetUpdated") &&
                    cx_streq(cx_json_string(condition, "status"), "True"))
                        json_object_set_new((json_t *)(uintptr_t)condition, "lastUpdateTime", json_now());
                rollout_condition(status, "Progressing", "True", "ReplicaSetUpdated", message);
        } else if (condition && !cx_streq(reason, "NewReplicaSetAvailable") && until_deadline(d, condition) <= 0) {
                message = cx_sprintf("%s has timed out progressing.", who);
                rollout_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", message);
        }
        condition = cx_json_find(json_object_get(status, "conditions"), "type", "Progressing");
        reason = cx_json_string_or(condition, "reason", "");
        if (condition && !cx_streq(reason, "NewReplicaSetAvailable") && !cx_streq(reason, "ProgressDeadlineExceeded") &&
            !d->paused) {
                int64_t left = until_deadline(d, condition);
                *rollout->retry_after = (left > 0 ? left : 0) + CX_NS_PER_S;
        }
}

static void sync_failure(const struct rollout *rollout, json_t *status)
{
        const json_t *failure = NULL;
        if (rollout->fresh >= 0)
                failure = find_condition(rollout->sets.items[rollout->fresh].json, "ReplicaFailure");
        for (size_t i = 0; i < rollout->sets.count && !failure; i++)
                failure = find_condition(rollout->sets.items[i].json, "ReplicaFailure");
        if (failure)
                rollout_condition(status, "ReplicaFailure", cx_json_string_or(failure, "status", "True"),
                                  cx_json_string_or(failure, "reason", ""), cx_json_string_or(failure, "message", ""));
        else
                drop_condition(status, "ReplicaFailure");
}

int rollout_sync_status(struct rollout *rollout, bool progress, struct cx_error *err)
{
        json_t *status = make_status(rollout);
        if (progress) {
                if (rollout->d.progress_deadline == NO_DEADLINE)
                        drop_condition(status, "Progressing");
                else
                        sync_progress(rollout, status);
                sync_failure(rollout, status);
        }
        return rollout_write_status(rollout, status, err);
}

int rollout_write_status(struct rollout *rollout, json_t *status_steal, struct cx_error *err)
{
        json_auto_t *status = status_steal;
        struct deployment *d = &rollout->d;
        if (json_equal(status, json_object_get(d->json, "status")))
                return 0;
        json_object_set(d->json, "status", status);
        json_object_set_new(d->json, "apiVersion", json_string("apps/v1"));
        json_object_set_new(d->json, "kind", json_string("Deployment"));
        json_auto_t *written = NULL;
        int r = cx_rest_update_status(rollout->self->manager->rest,
                                      CX_REF("apps", "v1", "deployments", d->namespace, d->name), d->json, &written,
                                      err);
        if (r < 0)
                return r;
        const char *rv = cx_json_string(written, "metadata.resourceVersion");
        if (rv)
                cx_json_set_string(d->json, "metadata.resourceVersion", rv);
        return 0;
}
