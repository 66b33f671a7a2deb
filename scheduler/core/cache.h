// SPDX-License-Identifier: Apache-2.0
// The scheduler's picture of the nodes: what they have, what their pods ask for, how many pods of which template they
// run, as integers that events add to and take from. Pods that were given a node but are not bound yet count as well
// (assumed).
//
// Guarded by the scheduler's lock; nothing here blocks.
#pragma once

#include "libcommon/api/taints.h"
#include "libcommon/base/map.h"
#include "scheduler/core/list.h"
#include "scheduler/core/template.h"
#include "scheduler/core/volumes.h"

enum { RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_EPHEMERAL, RESOURCE_BASE }; // cpu in thousandths, the others in units
// The place of one of these; -1 for other resources, which are known by a keyed hash of their names.
int resource_base(const char *name);
uint64_t resource_id(const char *name);
uint64_t image_id(const char *name); // "x" is "x:latest"

struct resource_amount {
        uint64_t id;
        int64_t amount;
};
struct node_group { // pods of one template on the node
        int group, count, terminating;
};
// The projection of nodes.
struct node_info {
        bool unschedulable;
        int64_t allocatable[RESOURCE_BASE];
        int64_t max_pods;
        LIST(struct resource_amount, extended); // allocatable as well
        LIST(struct resource_amount, images);   // those that it has, by image_id, with their sizes in bytes
        struct cx_taints taints;
};
#define NODE_INFO(object) ((const struct node_info *)(object)->projection)
void *node_project(void *context, const json_t *node);
void node_free_projection(void *projection);

struct node {
        char *name;
        const struct cx_object *object; // a reference; NULL while only pods speak of the node
        const struct node_info *info;   // the object's
        int index;                      // in cache.nodes; -1 when absent
        int pods;
        LIST(struct node_group, groups);
        LIST(struct cached_pod *, running); // the cache's pods that are there, in no order
        char *states;                       // the plugins'
};

struct group {                     // a template that has pods on nodes
        struct template *template; // NULL: free
        int pods;
};

// The values of one node label over all nodes, as small numbers: what topologies are made of.
struct column {
        char *key;
        uint64_t used; // the cycle that used it last
        bool valid;
        int *values; // by node index; -1 where the node lacks the label
        int n_values;
};

struct image_count { // how many nodes have an image
        uint64_t id;
        int nodes;
};

struct cached_pod {
        struct template *template;
        struct node *node;
        bool assumed, terminating;
        int64_t created; // µs
        char *key;       // of one of the cache's, as are those below
        size_t place;    // in node->running
};

struct node_cache {
        struct templates *templates;
        const struct plugins *plugins;
        struct cx_map by_name; // node name -> struct node
        struct node **nodes;   // those that exist
        size_t n_nodes;
        struct cx_map pods; // key -> struct cached_pod
        size_t n_assumed;
        LIST(struct group, groups);
        int reaching_out[MAX_PLUGINS]; // by plugin: groups whose pods matter to where others may go
        LIST(struct column *, columns);
        LIST(struct image_count, images); // by id
        uint64_t cycle;
        struct volume_cache volumes; // with a lock of its own
        struct cx_map namespaces;    // name -> const struct cx_object *, for namespace selectors
};

void cache_init(struct node_cache *cache, struct templates *templates);
void cache_release(struct node_cache *cache);

// What changed about a node, for those who wait.
enum node_change { NODE_ADDED = 1, NODE_ALLOCATABLE = 2, NODE_LABELS = 4, NODE_TAINTS = 8 };
unsigned cache_set_node(struct node_cache *cache, const struct cx_object *object);
void cache_remove_node(struct node_cache *cache, const char *name);
struct node *cache_node(struct node_cache *cache, const char *name); // NULL when there is none

// A pod that runs on a node, from the informer: confirms an assumed one, moves one that is elsewhere.
void cache_set_pod(struct node_cache *cache, const char *key, struct template *template, const char *node,
                   bool terminating, int64_t created);
void cache_assume(struct node_cache *cache, const char *key, struct template *template, struct node *node);
bool cache_forget(struct node_cache *cache,
                  const char *key); // only while assumed; false when it was confirmed or is gone
bool cache_remove_pod(struct node_cache *cache, const char *key);
void cache_set_namespace(struct node_cache *cache, const char *name, const struct cx_object *object); // NULL removes

// For trying things out: as if the pod were not there, and back. The pod need not be one of the cache's: shown first
// and hidden afterwards it is counted in between (a nominated pod).
void cache_hide(struct node_cache *cache, const struct cached_pod *pod);
void cache_show(struct node_cache *cache, const struct cached_pod *pod);

int cache_image_nodes(const struct node_cache *cache, uint64_t id);
const struct column *cache_column(struct node_cache *cache, const char *key);
const char *node_label(const struct node *node, const char *key);
static inline int column_value(const struct column *column, const struct node *node)
{
        return column->values[node->index];
}
