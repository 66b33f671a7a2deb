// SPDX-License-Identifier: Apache-2.0
// The scheduling framework: plugins are rows of a table (framework.c); a cycle runs one pod through them and names the
// node, or says for every node why not. Under the scheduler's lock; nothing blocks.
//
// To add a plugin: write a `struct plugin` in plugins/, declare it here, put it into the table at its place.
#pragma once

#include "scheduler/cache.h"

// What can make a pod schedulable that was not: a plugin names those that matter to what it rejects.
enum cluster_event {
        EVENT_NODE = 1, // a node came, or has more to give
        EVENT_NODE_LABELS = 2,
        EVENT_NODE_TAINTS = 4,
        EVENT_POD_GONE = 8,    // a pod left its node
        EVENT_POD_ADDED = 16,  // a pod got a node
        EVENT_POD_LABELS = 32, // a pod on a node changed
        EVENT_NAMESPACE = 64,
        EVENT_ALL = 127,
        // What can make one node acceptable. A filter that looks at nothing but the node names them all: a node says only
        // what is first in its way, so a later event may remove what was second.
        EVENT_ON_NODE = EVENT_NODE | EVENT_NODE_LABELS | EVENT_NODE_TAINTS | EVENT_POD_GONE,
};

#define MAX_PLUGINS 16
struct cycle;
struct plugin {
        const char *name;
        unsigned events;
        bool node_local; // the filter looks at nothing but the node
        // False: the plugin has nothing to filter for this pod.
        bool (*pre_filter)(struct cycle *cycle);
        // True when the pod may go there; otherwise has called cycle_reject with every reason.
        bool (*filter)(struct cycle *cycle, const struct node *node);
        bool (*pre_score)(struct cycle *cycle); // false: no opinion on this pod
        int64_t (*score)(struct cycle *cycle, const struct node *node);
        // Brings the scores of cycle.feasible into [0, 100]; NULL: they are.
        void (*normalize)(struct cycle *cycle, int64_t *scores);
        int64_t weight;
        void (*release)(struct cycle *cycle); // frees what pre_filter and pre_score made; may be NULL
};
#define MAX_SCORE 100

struct reasons { // and how many nodes gave each
        struct reason {
                char *text;
                int count;
        } * items;
        size_t count;
};
void reasons_add(struct reasons *reasons, const char *text);
char *reasons_explain(const struct reasons *reasons,
                      size_t nodes); // "0/3 nodes are available: …."; owned by the caller
void reasons_release(struct reasons *reasons);
struct topology_count { // a number for every value of a node label
        const struct column *column;
        int64_t *counts;
};
struct spread_state {
        const struct spread_constraint *constraint;
        const struct column *column;
        uint8_t *match; // by group
        int64_t *counts;
        int64_t minimum;
        double weight;
};

struct cycle {
        struct cache *cache;
        struct template *template;
        unsigned failed; // plugins (bits of the table) that rejected a node
        bool quiet;      // reasons are not wanted
        bool for_good;   // the node was rejected for what no other pod's end can change
        struct reasons reasons;
        struct node **hopeful; // nodes that were rejected, but not for good
        size_t n_hopeful;
        struct node **feasible;
        size_t n_feasible;
        // The plugins' own.
        LIST(struct spread_state, spread);       // of the filter
        LIST(struct spread_state, spread_score); // of scoring
        LIST(struct topology_count, forbidden);  // by existing pods' anti-affinity, then by the pod's own
        size_t n_existing;
        LIST(struct topology_count, wanted); // by the pod's affinity
        bool first_of_kind;                  // nothing matches yet but the pod itself
        LIST(struct topology_count, preferred);
};

// What became of a pod.
struct decision {
        struct node *node; // NULL: none
        char *message;     // then why
        // And the node that will have room when these pods (keys) have ended; NULL when there is none.
        struct node *nominated;
        struct cx_strings victims;
        bool waits;      // for those of an earlier decision
        unsigned failed; // and the plugins that said so
};

struct framework {
        struct cache *cache;
        size_t next_start; // where the search goes on, so that every node is looked at in turn
        uint64_t random;
        // Pods that wait for others to leave a node (key -> struct nomination): less important ones must not take the
        // room away.
        struct cx_map nominations;
};
void framework_init(struct framework *framework, struct cache *cache);
void framework_release(struct framework *framework); // before the cache
void framework_schedule(struct framework *framework, const char *key, struct template *template,
                        struct decision *ret_decision);
void decision_release(struct decision *decision);
// NULL: it waits for none (any more).
void framework_nominate(struct framework *framework, const char *key, struct template *template, const char *node);
const char *framework_nominated(const struct framework *framework, const char *key);
// Whether the pod could run on the node as things are; the reasons against are added to `reasons` (may be NULL).
bool framework_fits(struct framework *framework, struct template *template, const struct node *node,
                    struct reasons *reasons);
// Whether one of these events may help a pod that these plugins rejected; `node`, when the event was about one.
bool framework_helps(struct framework *framework, struct template *template, unsigned failed, unsigned events,
                     const struct node *node);

// --- for plugins ---
void cycle_reject(struct cycle *cycle, const char *reason);
void cycle_reject_for_good(struct cycle *cycle, const char *reason); // another pod's end will not help
// Marks the groups in whose pods a selector is interested: as many bytes as groups; the caller frees.
uint8_t *cycle_match_groups(const struct cycle *cycle, const char *namespace, const struct cx_selector *selector);
bool term_matches(const struct cache *cache, const struct pod_term *term, const struct template *template);
bool node_matches_affinity(const struct template *template, const struct node *node);
const struct taint *untolerated_taint(const struct template *template, const struct node *node);
void normalize_by_maximum(struct cycle *cycle, int64_t *scores, bool reverse);

extern const struct plugin node_unschedulable_plugin, taint_toleration_plugin, node_affinity_plugin, node_ports_plugin,
        node_resources_fit_plugin, balanced_allocation_plugin, pod_topology_spread_plugin, inter_pod_affinity_plugin;
