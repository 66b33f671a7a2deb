// SPDX-License-Identifier: Apache-2.0
// What the files of the StatefulSet controller share: a set and its members as one reconcile sees them, the plan of what
// to do next, and the members' pods and claims.
#pragma once

#include "controller-manager/pods/pod_control.h"
#include "controller-manager/workloads/kinds.h"

#define MEMBER_REVISION "controller-revision-hash" // labels of a pod: the name of its revision,
#define MEMBER_NAME "statefulset.kubernetes.io/pod-name"
#define MEMBER_INDEX "apps.kubernetes.io/pod-index"

#define ONE_BY_ONE 0 // of max_unavailable: the spec does not say, and each update waits for the one before
struct stateful_set {
        json_t *json; // owned
        int64_t start, replicas, min_ready;
        bool parallel, rolling, deleted;
        int64_t partition;       // of a rolling update: members before this one, counted from the start, are left alone
        int64_t max_unavailable; // of a rolling update, resolved; or ONE_BY_ONE
        bool delete_with_set, delete_when_scaled; // what becomes of claims
        const char *current, *update;             // names of revisions
};
void stateful_set_read(const struct cx_object *object, struct stateful_set *ret_set); // but for the revisions
void stateful_set_release(struct stateful_set *set);

struct member {
        int64_t ordinal;
        const struct cx_object *pod; // borrowed
        bool over;                   // Succeeded or Failed
        bool going;                  // is being deleted
        bool pending;
        bool ready;     // and running
        bool available; // for min_ready seconds
        bool current, updated;
};
struct members {
        struct member *items; // by ordinal
        size_t count;
};
// The ordinal in the name of a member; -1 when the set would not give that name.
int64_t member_ordinal(const char *set, const char *pod);
void members_read(const struct stateful_set *set, const struct cx_objects *pods, int64_t now,
                  struct members *ret_members);
void members_release(struct members *members);
bool member_in_range(const struct stateful_set *set, int64_t ordinal);
// Whether a member that is missing is made from the current revision, not from the update's.
bool member_is_held_back(const struct stateful_set *set, int64_t ordinal);

// --- stateful_set_plan.c: pure ---------------------------------------------------------------------------------------
// What to do now, in this order. Indices into the members, but for `create`, which are ordinals.
struct stateful_plan {
        size_t *settle, *end, *replace; // made what they should be; ended; ended for the sake of the update
        int64_t *create;
        size_t n_settle, n_end, n_create, n_replace;
};
void stateful_plan_make(const struct stateful_set *set, const struct members *members, struct stateful_plan *ret_plan);
void stateful_plan_release(struct stateful_plan *plan);
// The numbers of the status: members as they are; with `ret_names` which revision counts as the current one.
struct stateful_counts {
        int64_t replicas, ready, available, current, updated;
        bool complete; // the update has reached every member
};
struct stateful_counts stateful_count(const struct stateful_set *set, const struct members *members);

// --- stateful_set_claims.c -------------------------------------------------------------------------------------------
struct stateful_sets {
        struct pod_control control;
        struct cx_informer *revisions, *claims;
};
// One reconcile.
struct stateful {
        struct stateful_sets *self;
        const struct owner *owner;
        struct stateful_set *set;
};
struct cx_informer *claims_informer(struct manager *manager);
// Makes the claims of a member that are not there.
int claims_create(const struct stateful *s, int64_t ordinal, const char *pod, struct cx_error *err) CX_CHECK;
// Gives the claims of a member the owners that the retention policy asks for.
int claims_settle(const struct stateful *s, const struct member *member, struct cx_error *err) CX_CHECK;
// Whether a claim of a member to be made still belongs to a pod that has gone, and goes with it.
bool claims_are_stale(const struct stateful *s, int64_t ordinal);
// Gives the spec of a pod the volumes of its claims, in place of others that have their names.
void claims_mount(const struct stateful_set *set, const char *name, int64_t ordinal, json_t *spec);

// Who is to own a claim. Pure.
enum claim_owner { CLAIM_NOBODY, CLAIM_SET, CLAIM_POD };
struct claim_owners {
        const struct owner *set, *pod; // the pod's uid may be "": it is not there yet
        bool with_set, when_scaled;    // the policy
        bool in_range;
};
bool claim_is_stale(const struct cx_object *claim, const struct owner *owner); // names it with another uid
bool claim_is_foreign(const struct cx_object *claim, const struct claim_owners *owners);
// False when the references have to be changed, to those of claim_references.
bool claim_is_settled(const struct cx_object *claim, const struct claim_owners *owners);
json_t *claim_references(const struct cx_object *claim, const json_t *references, const struct claim_owners *owners);
