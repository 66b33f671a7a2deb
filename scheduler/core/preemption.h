// SPDX-License-Identifier: Apache-2.0
// Preemption: a pod that fits nowhere may take the place of less important ones. Every node where that might help is
// tried in the cache: all pods of lower priority leave, and come back one by one, the most important first, as long as
// the new one fits beside them. Those whose disruption budget would be overdrawn come back first. Of the nodes, the one is
// taken where fewest budgets are overdrawn, and then the one whose losses weigh least. Under the scheduler's lock; nothing
// blocks.
#pragma once

#include "scheduler/core/cycle.h"

struct preemption {
        struct node *node;         // NULL: it would not help
        struct cx_strings victims; // keys of pods; may be empty, when those that must go are going
        char *message;             // why not; NULL with a node
        bool waits;                // for the victims of an earlier preemption
};
// What a PodDisruptionBudget allows: the projection of an informer of budgets.
struct preemption_budget {
        struct cx_selector selector;
        int64_t allowed;
        struct cx_strings disrupted; // names of pods that were charged already
};
void *preemption_budget_project(void *context, const json_t *budget);
void preemption_budget_free(void *projection);

struct preemption_search {
        struct node_cache *cache;
        const struct cx_objects *budgets; // with their projections; may be NULL
        struct template *template;
        struct node *const *hopeful; // nodes that rejected the pod for a reason that another pod's end can remove
        size_t n_hopeful;
        const char *nominated; // what an earlier preemption chose for this pod; NULL: nothing
};
void preemption_find(const struct preemption_search *search, struct preemption *ret_preemption);
void preemption_release(struct preemption *preemption);
