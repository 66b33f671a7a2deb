// SPDX-License-Identifier: Apache-2.0
// Pods as controllers see them: the part of a pod that says where it stands, the questions that all controllers ask of
// it, and in which order pods are given up.
#pragma once

#include "controller-manager/core/owner.h"

enum pod_phase { POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED, POD_UNKNOWN };
struct pod_state {
        enum pod_phase phase;
        bool ready;
        int64_t ready_since; // µs; 0: not known
        char *node;          // NULL: it has none yet
        int64_t restarts;    // the most of any container
        int64_t deletion_cost;
};
extern const struct object_part pod_state_part;
#define POD_STATE(pod) ((const struct pod_state *)object_part(pod, &pod_state_part))

#define POD_INDEX_NODE "node"
// The shared informer of pods, with pod_state_part, this index, the one by namespace, and those for claims.
struct cx_informer *pods_informer(struct manager *manager);

bool pod_is_terminal(const struct cx_object *pod); // Succeeded or Failed
bool pod_is_active(const struct cx_object *pod);   // neither terminal nor being deleted
bool pod_is_available(const struct cx_object *pod, int64_t min_ready_seconds, int64_t now);
// ns until the next of the pods that are ready but not available will be, and a bit; 0 when there is none.
int64_t pods_wait(const struct cx_objects *pods, int64_t min_ready_seconds, int64_t now);
void pods_filter(const struct cx_objects *pods, bool (*keep)(const struct cx_object *pod), struct cx_objects *ret_kept);

// Which of two pods goes first when a controller scales down: negative when a. `rank_*` is how many pods of the same
// owner run on its node.
int pod_compare_for_deletion(const struct cx_object *a, int rank_a, const struct cx_object *b, int rank_b, int64_t now);
// Sorts pods so that those that go first come first. `siblings` are the pods that count for the ranks of nodes (may be
// the same list).
void pods_rank_for_deletion(struct cx_objects *pods, const struct cx_objects *siblings);
