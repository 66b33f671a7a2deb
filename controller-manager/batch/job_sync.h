// SPDX-License-Identifier: Apache-2.0
// One look at one Job, from what the informers show to what is written: shared by the files of the controller. Nothing
// of it outlives the reconcile.
//
// How pods are counted exactly once, whenever the process is killed: every pod carries a finalizer, so it stays until
// it has been counted. A pod that has ended is first named in status.uncountedTerminatedPods, then its finalizer is
// taken off, then its name is exchanged for a one in the counter. Indexes that succeeded need no names: they are a set.
#pragma once

#include "controller-manager/batch/job_pod.h"
#include "controller-manager/batch/job_records.h"
#include "controller-manager/batch/kinds.h"
#include "controller-manager/core/own_writes.h"
#include "controller-manager/pods/pod_control.h"
#include "libcommon/api/indexes.h"

struct jobs {
        struct pod_control control;
        struct job_records records;
        struct own_writes writes; // of Jobs
};

struct job_spec {
        int64_t parallelism, backoff_limit;
        int64_t completions, per_index, max_failed, deadline; // -1: not given
        bool indexed, suspended;
        bool replaces_failed;                          // a pod is replaced when it has ended, not when it begins to
        const json_t *failure_policy, *success_policy; // NULL: none; borrowed from the Job
};

// A condition that the Job is to get; no type: none.
struct job_verdict {
        const char *type;
        char *reason, *message; // owned
};

struct job_sync {
        struct jobs *jobs;
        const struct owner *owner;
        json_t *json; // the Job; its status is what will be written. Owned.
        struct job_spec spec;
        struct cx_objects pods, active;
        struct cx_map awaited; // uids of pods whose finalizer has been taken off
        bool caught_up;        // the informer shows all pods that were made or deleted
        bool changed;          // the status differs from what is stored
        int64_t n_active, ready, terminating, succeeded, failed;
        struct cx_indexes done_before, done, failed_indexes; // of an indexed Job
        struct cx_map delayed; // by index: the failed pod that stays until there is one in its place
        struct job_backoff backoff;
        struct job_verdict verdict;
        int64_t now;         // µs
        int64_t retry_after; // ns; 0: not by itself
};

// --- what the Job and its pods say (job_sync.c) ---
void job_spec_read(const json_t *job, struct job_spec *ret_spec);
int job_sync_list(struct job_sync *s, struct cx_error *err) CX_CHECK; // fills in the pods; adopts and releases some
void job_sync_read(struct job_sync *s);                               // and then all that follows from them; pure
void job_sync_release(struct job_sync *s);
void job_sync_later(struct job_sync *s, int64_t ns); // comes back then at the latest

bool job_pod_failed(const struct job_sync *s, const struct cx_object *pod);
// The pod has its finalizer and has not been counted.
bool job_pod_tracked(const struct job_sync *s, const struct cx_object *pod);
// The pod's index when the Job has such a one; else -1.
int64_t job_pod_index(const struct job_sync *s, const struct cx_object *pod);
const struct cx_object *job_delayed_pod(const struct job_sync *s, int64_t index); // NULL: none

json_t *job_status(const struct job_sync *s); // borrowed, to be edited
// Sets a condition of the status; false when it was so already. One that is not there is not added as False.
bool job_set_condition(struct job_sync *s, const char *type, const char *status, const char *reason,
                       const char *message);
// Sets the verdict; all NULL: none.
void job_decide(struct job_sync *s, const char *type, const char *reason, const char *message);

// --- whether it has come to an end (job_judge.c); pure ---
void job_judge(struct job_sync *s);

// --- how many pods it is to have (job_plan.c); pure ---
struct job_plan { // either deletes or makes pods, so that each pod's place is clear
        struct cx_objects surplus;
        size_t missing;
        int64_t *indexes; // of those that are missing; NULL: they have none. Owned.
};
void job_plan(struct job_sync *s, struct job_plan *ret_plan);
void job_plan_release(struct job_plan *plan);

// --- making and deleting pods (job_manage.c) ---
// Brings the number of active pods to what the spec asks for.
int job_manage(struct job_sync *s, struct cx_error *err) CX_CHECK;
int job_delete_active(struct job_sync *s, struct cx_error *err) CX_CHECK;
// The pod's JSON as the Job makes it. New.
json_t *job_make_pod(const struct job_sync *s, int64_t index);

// --- counting (job_track.c) ---
int job_track(struct job_sync *s, struct cx_error *err) CX_CHECK;
// Takes the finalizer off pods, in parallel. `ret_done` (may be NULL, `count` long): which of them have none any more.
int job_release_pods(struct jobs *jobs, const struct cx_object *job, const struct cx_objects *pods, bool *ret_done,
                     struct cx_error *err) CX_CHECK;
// The same of one pod that has no Job.
int job_release_stray(struct jobs *jobs, const struct cx_object *pod, struct cx_error *err) CX_CHECK;
