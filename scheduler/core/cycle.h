// SPDX-License-Identifier: Apache-2.0
// One look at the nodes for one pod: runs the plugins' filters and scores, and collects why nodes were rejected. Also
// what plugins are given to work with. Under the scheduler's lock; nothing blocks.
#pragma once

#include "scheduler/core/cache.h"

struct reasons { // and how many nodes gave each
        struct reason {
                char *text;
                int count;
        } * items;
        size_t count;
};
void reasons_add(struct reasons *reasons, const char *text);
// "0/3 nodes are available: …."; owned by the caller
char *reasons_explain(const struct reasons *reasons, size_t nodes);
void reasons_release(struct reasons *reasons);

// What others than plugins say of nodes (scheduler/extender.h), by name; a second look at the pod heeds it.
struct node_verdict {
        bool candidate; // they were asked about it
        char *reason;   // why it is refused; NULL: it is not
        bool for_good;  // and no other pod's end would help
        bool spared;    // it is not to be freed by preemption
        int64_t score;  // comes to the plugins'
};
struct verdicts {
        struct cx_map by_node; // values: struct node_verdict
};
void verdicts_init(struct verdicts *verdicts);
void verdicts_release(struct verdicts *verdicts);
struct node_verdict *verdicts_of(struct verdicts *verdicts, const char *node); // made when it is not there

struct cycle {
        struct node_cache *cache;
        const struct plugins *plugins;
        const struct scheduler_profile *profile; // the template's
        const struct verdicts *verdicts;         // NULL: nobody else is asked
        struct template *template;
        const char *key;              // the pod's; NULL: only tried
        size_t at;                    // the plugin that is being called
        const void *pod_state;        // its state of the pod
        uint8_t filters[MAX_PLUGINS]; // plugins that have something to filter for the pod
        size_t n_filters;
        char *states;    // the plugins'
        unsigned failed; // plugins (bits of the table) that rejected a node
        bool quiet;      // reasons are not wanted
        bool for_good;   // the node was rejected for what no other pod's end can change
        char *refusal;   // why no node will do at all; NULL: the nodes are to be asked
        struct reasons reasons;
        struct node **hopeful; // nodes that were rejected, but not for good
        size_t n_hopeful;
        struct node **feasible;
        size_t n_feasible;
};
void cycle_init(struct cycle *cycle, struct node_cache *cache, struct template *template);
void cycle_release(struct cycle *cycle);
void cycle_pre_filter(struct cycle *cycle); // once, before cycle_passes
bool cycle_passes(struct cycle *cycle, const struct node *node);
// Whether what filters the pod looks at nothing but the node: then pods may be hidden and shown between cycle_passes.
bool cycle_is_local(const struct cycle *cycle);
// Adds to `totals` what all plugins together give each feasible node, by their weights.
void cycle_score(struct cycle *cycle, int64_t *totals);
// The best of the feasible nodes; one of the best at random when there are several.
struct node *cycle_choose(struct cycle *cycle, uint64_t *random);

// Whether the pod could run on the node as things are; the reasons against are added to `reasons` (may be NULL).
bool cycle_fits(struct node_cache *cache, struct template *template, const struct node *node, struct reasons *reasons);
// Whether one of these events may help a pod that these plugins rejected; `node` or `claim` (a key), when the event was
// about one.
bool cycle_helps(struct node_cache *cache, struct template *template, unsigned failed, unsigned events,
                 const struct node *node, const char *claim);

// Makes the i-th plugin of the table the one that is called, and gives it.
static inline const struct plugin *cycle_call(struct cycle *cycle, size_t i)
{
        cycle->at = i;
        cycle->pod_state = cycle->template->states + cycle->plugins->pod_at[i];
        return cycle->plugins->items[i];
}

// --- for plugins: their own states and arguments ---------------------------------------------------------------------
static inline const void *state_of_pod(const struct cycle *cycle)
{
        return cycle->pod_state;
}
static inline const void *args_of_plugin(const struct cycle *cycle)
{
        return cycle->profile->plugins[cycle->at].args;
}
static inline const void *state_of_template(const struct cycle *cycle, const struct template *template)
{
        return template->states + cycle->plugins->pod_at[cycle->at];
}
static inline const void *state_of_node(const struct cycle *cycle, const struct node *node)
{
        return node->states + cycle->plugins->node_at[cycle->at];
}
static inline void *state_of_cycle(const struct cycle *cycle)
{
        return cycle->states + cycle->plugins->cycle_at[cycle->at];
}
// Whether any pod on a node is one for which the plugin's reaches_out said so.
static inline bool cycle_has_outreach(const struct cycle *cycle)
{
        return cycle->cache->reaching_out[cycle->at];
}
void cycle_reject(struct cycle *cycle, const char *reason);
// From pre_filter: no node will do, and no other pod's end would help.
void cycle_refuse(struct cycle *cycle, const char *format, ...) CX_PRINTF(2, 3);
void cycle_reject_for_good(struct cycle *cycle, const char *reason); // another pod's end will not help
void normalize_by_maximum(struct cycle *cycle, int64_t *scores, bool reverse);
