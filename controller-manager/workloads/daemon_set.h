// SPDX-License-Identifier: Apache-2.0
// What the files of the DaemonSet controller share: a set, the nodes and its pods on them as one reconcile sees them, the
// plan of what to do next, and the template of its pods.
#pragma once

#include "controller-manager/pods/pod_control.h"
#include "controller-manager/workloads/kinds.h"
#include "libcommon/api/node_affinity.h"
#include "libcommon/api/taints.h"

#define DAEMON_HASH "controller-revision-hash" // label of pods and revisions
#define DAEMON_GENERATION "pod-template-generation"
#define DAEMON_GENERATION_ANNOTATION "deprecated.daemonset.template.generation"

// --- nodes, pods and the set -----------------------------------------------------------------------------------------
extern const struct object_part daemon_node_part; // struct cx_taints
extern const struct object_part daemon_pod_part;  // char *: the node that a pod without one is meant for; NULL: none

// Where the pods of a template may run.
struct daemon_placement {
        const char *node; // the only one; NULL: any
        struct cx_node_affinity affinity;
        struct cx_tolerations tolerations;
};
void daemon_placement_parse(const json_t *template, struct daemon_placement *ret_placement);
void daemon_placement_release(struct daemon_placement *placement);
// Whether a pod is to be started on the node; and whether one that runs there may go on.
void daemon_placement_check(const struct daemon_placement *placement, const struct cx_object *node, bool *ret_start,
                            bool *ret_continue);

// The spec of a pod that is meant for a node: with what all daemons tolerate; bound by the scheduler.
void daemon_add_tolerations(json_t *spec);
void daemon_aim(json_t *spec, const char *node);

struct daemon_pod {
        const struct cx_object *pod; // borrowed
        bool going, bound, failed, succeeded, ready, available, updated;
};
struct daemon_node {
        const char *name;         // borrowed
        bool exists, start, stay; // stay: what runs there may go on
        size_t from, to;          // its pods
};
// The nodes in the order of their names, and the pods in the order of the nodes; on a node, those with a node first, then the
// older ones.
struct daemon_view {
        struct daemon_node *nodes;
        struct daemon_pod *pods;
        size_t n_nodes, n_pods;
};
struct daemon_pods { // which of the set's pods are up to date, and what is available
        const struct cx_objects *pods;
        const struct cx_strings *hashes; // of the current template
        int64_t min_ready, now;
};
void daemon_view_make(const struct daemon_placement *placement, const struct cx_objects *nodes,
                      const struct daemon_pods *pods, struct daemon_view *ret_view);
void daemon_view_release(struct daemon_view *view);

// --- daemon_set_plan.c: pure -----------------------------------------------------------------------------------------
struct daemon_strategy {
        bool rolling, surges;
        int64_t max_surge, max_unavailable; // resolved
};
void daemon_strategy_read(const json_t *set, const struct daemon_view *view, struct daemon_strategy *ret_strategy);

// Indices into the view. `failed` and `succeeded` are those to be ended because they are over; failed ones with a delay.
struct daemon_plan {
        size_t *create, *end, *failed, *succeeded;
        size_t n_create, n_end, n_failed, n_succeeded;
};
// One pod on each node that is to have one, and none elsewhere.
void daemon_plan_nodes(const struct daemon_view *view, const struct daemon_strategy *strategy,
                       struct daemon_plan *ret_plan);
// The next step of a rolling update; for when there is nothing to be done otherwise.
void daemon_plan_update(const struct daemon_view *view, const struct daemon_strategy *strategy,
                        struct daemon_plan *ret_plan);
void daemon_plan_release(struct daemon_plan *plan);

struct daemon_counts {
        int64_t desired, current, misscheduled, ready, updated, available;
};
struct daemon_counts daemon_count(const struct daemon_view *view);
