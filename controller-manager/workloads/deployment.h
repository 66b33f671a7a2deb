// SPDX-License-Identifier: Apache-2.0
// What the files of the Deployment controller share: views of a Deployment and its ReplicaSets, the arithmetic of
// rolling updates and of proportional scaling, writing ReplicaSets, and the status.
#pragma once

#include "controller-manager/core/owner.h"
#include "controller-manager/workloads/kinds.h"

#define REVISION "deployment.kubernetes.io/revision"
#define REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define DESIRED "deployment.kubernetes.io/desired-replicas"
#define MAX_REPLICAS "deployment.kubernetes.io/max-replicas"
#define HASH_LABEL "pod-template-hash"
#define NO_DEADLINE INT32_MAX

struct replica_set {
        json_t *json;                      // owned
        const char *name, *uid;            // borrowed from json
        int64_t replicas;                  // spec
        int64_t current, ready, available; // status
        int64_t terminating;               // status; -1: not reported yet
        int64_t created, revision;
};
struct replica_sets {
        struct replica_set *items; // oldest first
        size_t count;
};
struct deployment {
        json_t *json; // owned
        const char *namespace, *name, *uid;
        int64_t replicas, generation;
        int64_t max_surge, max_unavailable; // resolved
        int64_t min_ready, history_limit;
        int64_t progress_deadline; // seconds; NO_DEADLINE: it may take for ever
        bool recreate, paused, deleted;
};
struct deployments {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *deployments, *sets, *pods;
        struct cx_events *events;
};
// One reconcile's world. `fresh` is an index into sets, -1 when there is no ReplicaSet of the current template.
struct rollout {
        struct deployments *self;
        struct owner owner;
        struct deployment d;
        struct replica_sets sets;
        int fresh;
        int64_t *retry_after;
};

void replica_set_read(struct replica_set *set, json_t *json_steal);
void replica_set_release(struct replica_set *set);

// --- deployment_math.c: pure -----------------------------------------------------------------------------------------
void rollout_fenceposts(const json_t *rolling_update, int64_t replicas, int64_t *ret_surge, int64_t *ret_unavailable);
// How many replicas the new ReplicaSet gets now.
int64_t rollout_fresh_replicas(const struct deployment *d, const struct replica_sets *sets, int fresh);
// The new sizes (as many as sets) when old ReplicaSets are scaled down in a rolling update; true when any changes.
bool rollout_scale_down_old(const struct deployment *d, const struct replica_sets *sets, int fresh, int64_t *ret_sizes);
// The new sizes when the Deployment itself was scaled in the middle of a rollout.
bool rollout_scale(const struct deployment *d, const struct replica_sets *sets, int fresh, int64_t *ret_sizes);
void template_hash(const json_t *template, int64_t collisions, char to[11]);
bool templates_equal(const json_t *a, const json_t *b); // but for the hash label
// A number from 0 on, one below the largest of 64 bits at most, so that there is a next one.
int64_t annotation_int(const json_t *object, const char *name, int64_t fallback);
const char *annotation(const json_t *object, const char *name);

// --- deployment_sync.c: writes ---------------------------------------------------------------------------------------
int rollout_find_or_create(struct rollout *rollout, bool create, struct cx_error *err) CX_CHECK;
int rollout_set_size(struct rollout *rollout, size_t i, int64_t size, struct cx_error *err) CX_CHECK;
int rollout_clean_up(struct rollout *rollout, struct cx_error *err) CX_CHECK;
// --- deployment_status.c ---------------------------------------------------------------------------------------------
int rollout_sync_status(struct rollout *rollout, bool progress, struct cx_error *err) CX_CHECK;
bool rollout_complete(const struct deployment *d, const json_t *status);
// A condition of the Deployment's status, in d.json; written with the next status.
void rollout_condition(json_t *status, const char *type, const char *value, const char *reason, const char *message);
int rollout_write_status(struct rollout *rollout, json_t *status_steal, struct cx_error *err) CX_CHECK;
