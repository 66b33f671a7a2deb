// SPDX-License-Identifier: Apache-2.0
// Preemption: a pod that fits nowhere may take the place of less important ones. Every node where that might help is
// tried in the cache: all pods of lower priority leave, and come back one by one, the most important first, as long as
// the new one fits beside them. Of the nodes, the one is taken whose losses weigh least. Under the scheduler's lock;
// nothing blocks.
#pragma once

#include "scheduler/core/cycle.h"

struct preemption {
        struct node *node;         // NULL: it would not help
        struct cx_strings victims; // keys of pods; may be empty, when those that must go are going
        char *message;             // why not; NULL with a node
        bool waits;                // for the victims of an earlier preemption
};
struct preemption_search {
        struct node_cache *cache;
        struct template *template;
        struct node *const *hopeful; // nodes that rejected the pod for a reason that another pod's end can remove
        size_t n_hopeful;
        const char *nominated; // what an earlier preemption chose for this pod; NULL: nothing
};
void preemption_find(const struct preemption_search *search, struct preemption *ret_preemption);
void preemption_release(struct preemption *preemption);
