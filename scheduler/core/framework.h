// SPDX-License-Identifier: Apache-2.0
// The scheduling framework: decides which node a pod gets, or says for every node why not, and which pods would have to
// leave. Pods that wait for others to leave a node are nominated for it. Under the scheduler's lock; nothing blocks.
#pragma once

#include "libcommon/client/informer.h"
#include "scheduler/core/reservation.h"

enum extension_point {
        POINT_PRE_FILTER,
        POINT_FILTER,
        POINT_POST_FILTER,
        POINT_SCORE,
        POINT_RESERVE,
        POINT_PRE_BIND, // those of binding: not the framework's
        POINT_BIND,
        EXTENSION_POINTS
};

// What became of a pod.
struct decision {
        struct node *node;              // NULL: none
        struct reservation reservation; // with a node: undone by decision_release, unless it was moved out
        char *message;                  // without one: why
        // And the node that will have room when these pods (keys) have ended; NULL when there is none.
        struct node *nominated;
        struct cx_strings victims;
        bool waits;                      // for those of an earlier decision
        unsigned failed;                 // and the plugins that said so
        int64_t times[EXTENSION_POINTS]; // ns that each took; 0: it was not come to
};

struct framework {
        struct node_cache *cache;
        struct cx_informer *budgets; // projections: struct preemption_budget; NULL: there are none
        size_t next_start;           // where the search goes on, so that every node is looked at in turn
        uint64_t random;
        // Pods that wait for others to leave a node (key -> struct nomination): less important ones must not take the
        // room away.
        struct cx_map nominations;
};
void framework_init(struct framework *framework, struct node_cache *cache);
void framework_release(struct framework *framework); // before the cache
// `verdicts` (may be NULL) are heeded; with them all nodes are looked at.
void framework_schedule(struct framework *framework, const char *key, struct template *template,
                        const struct verdicts *verdicts, struct decision *ret_decision);
// The nodes that the plugins find feasible, for asking others: as many as would be chosen from.
void framework_candidates(struct framework *framework, const char *key, struct template *template,
                          struct cx_strings *ret_nodes);
void decision_release(struct decision *decision);
// `node` NULL: it waits for none (any more).
void framework_nominate(struct framework *framework, const char *key, struct template *template, const char *node);
const char *framework_nominated(const struct framework *framework, const char *key);
