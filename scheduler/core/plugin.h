// SPDX-License-Identifier: Apache-2.0
// A scheduling plugin, as a row of a table: what it reads of a pod, what it counts on a node, what it keeps for a
// cycle, and its hooks. Each state is a struct that only the plugin knows; the framework keeps the blocks and passes
// them around.
//
// But for pre_bind, hooks run under the scheduler's lock and must not block.
#pragma once

#include "libcommon/client/rest.h"

struct cycle;
struct node;
struct template;

// What can make a pod schedulable that was not: a plugin names those that matter to what it rejects.
enum cluster_event {
        EVENT_NODE = 1, // a node came, or has more to give
        EVENT_NODE_LABELS = 2,
        EVENT_NODE_TAINTS = 4,
        EVENT_POD_GONE = 8,    // a pod left its node
        EVENT_POD_ADDED = 16,  // a pod got a node
        EVENT_POD_LABELS = 32, // a pod on a node changed
        EVENT_NAMESPACE = 64,
        // a claim came or changed; so for volumes, classes, and what CSI drivers say
        EVENT_CLAIM = 128,
        EVENT_VOLUME = 256,
        EVENT_CLASS = 512,
        EVENT_CSI_NODE = 1024,
        EVENT_CSI_DRIVER = 2048,
        EVENT_CSI_CAPACITY = 4096,
        EVENT_ATTACHMENT = 8192, // one went
        EVENT_BITS = 14,
        EVENT_ALL = (1 << EVENT_BITS) - 1,
        // What can make one node acceptable. A filter that looks at nothing but the node names them all: a node says
        // only what is first in its way, so a later event may remove what was second.
        EVENT_ON_NODE = EVENT_NODE | EVENT_NODE_LABELS | EVENT_NODE_TAINTS | EVENT_POD_GONE,
};

// A pod on its way to the node that it was given.
struct placement {
        struct cx_rest *rest;
        const struct cx_object *pod;
        const char *node;
};

struct plugin {
        const char *name;
        unsigned events;
        bool node_local; // the filter looks at nothing but the node
        int64_t weight;  // of the score, unless a profile says otherwise

        // Its arguments in a profile (core/profile.h): from its <name>Args, checked and complete. The state is zeroed before.
        size_t args_size; // 0: it takes none
        int (*parse_args)(void *args, const json_t *json, struct cx_error *err);
        void (*release_args)(void *args);

        // What it needs of a pod, parsed once and shared by all pods that are alike (template.h). `fields` are the
        // paths (fields.h) that `parse` reads: it is given a pod that has nothing else, so that pods which differ in
        // something that a plugin reads can never be taken for alike. The state is zeroed before.
        const char *const *fields;
        size_t pod_size;
        void (*parse)(void *pod_state, const json_t *pod);
        void (*release_pod)(void *pod_state);
        // The pod matters to where other pods may go: cycle_has_outreach says whether any on a node does.
        bool (*reaches_out)(const void *pod_state);

        // Whether a change of this claim ("namespace/name") matters to the pod. NULL: all do.
        bool (*concerns)(const struct template *template, const void *pod_state, const char *claim);

        // What it counts on every node: a pod comes (sign 1) or goes (-1).
        size_t node_size;
        void (*count)(void *node_state, const void *pod_state, int sign);
        void (*release_node)(void *node_state);

        size_t cycle_size;
        void (*release_cycle)(void *cycle_state); // frees what pre_filter and pre_score made

        // False: it has nothing to filter for this pod. May call cycle_refuse when the pod can go nowhere.
        bool (*pre_filter)(struct cycle *cycle);
        // True when the pod may go there; otherwise has called cycle_reject with every reason.
        bool (*filter)(struct cycle *cycle, const struct node *node);
        bool (*pre_score)(struct cycle *cycle); // false: no opinion on this pod
        int64_t (*score)(struct cycle *cycle, const struct node *node);
        // Brings the scores of cycle.feasible into [0, MAX_SCORE]; NULL: they are.
        void (*normalize)(struct cycle *cycle, int64_t *scores);

        // Takes what the pod will need on the node that was chosen. What it returns 0 for is followed by unreserve or
        // by post_bind, exactly one of them, which frees the reservation; unless it left NULL, as nothing has to be done. When it fails the pod waits, as one that fits
        // nowhere, for the plugin's events.
        int (*reserve)(struct cycle *cycle, const struct node *node, void **ret_reservation, struct cx_error *err);
        // On a thread of the binder, without the lock: may block, and write. When it fails the pod is scheduled anew.
        int (*pre_bind)(const struct placement *placement, void *reservation, struct cx_error *err);
        void (*unreserve)(void *reservation);
        void (*post_bind)(void *reservation);
};
#define MAX_SCORE 100
#define MAX_PLUGINS 31                         // one bit each
#define REJECTED_BY_OTHERS (1U << MAX_PLUGINS) // beside those bits: nobody knows what may help

// The table, and where each plugin's states are in the blocks. Immutable, and outlives everything that is made with it.
struct plugins {
        const struct plugin *const *items;
        size_t count;
        size_t pod_at[MAX_PLUGINS], node_at[MAX_PLUGINS], cycle_at[MAX_PLUGINS];
        size_t pod_size, node_size, cycle_size; // of the blocks
};
void plugins_init(struct plugins *self, const struct plugin *const *items, size_t count);
