// SPDX-License-Identifier: Apache-2.0
// Preemption: a pod that fits nowhere may take the place of less important ones. Every node where that might help is tried
// in the cache: all pods of lower priority leave, and come back one by one, the most important first, as long as the new
// one fits beside them. Of the nodes, the one is taken whose losses weigh least. Under the scheduler's lock; nothing blocks.
#pragma once

#include "scheduler/framework.h"

struct preemption {
        struct node *node;         // NULL: it would not help
        struct cx_strings victims; // keys of pods; may be empty, when those that must go are going
        char *message;             // why not; NULL with a node
        bool waits;                // for the victims of an earlier preemption
};
// `hopeful`: the nodes that rejected the pod for a reason that another pod's end can remove. `nominated` (may be NULL): what
// an earlier preemption chose for this pod.
void preemption_find(struct framework *framework, struct template *template, struct node *const *hopeful,
                     size_t n_hopeful, const char *nominated, struct preemption *ret_preemption);
void preemption_release(struct preemption *preemption);
