// SPDX-License-Identifier: Apache-2.0
// What both node controllers keep of a node. Whole nodes are large and rarely needed: they are fetched then.
#pragma once

#include "cloud-controller-manager/cloud/provider.h"

#define TAINT_UNINITIALIZED "node.cloudprovider.kubernetes.io/uninitialized"
#define TAINT_SHUTDOWN "node.cloudprovider.kubernetes.io/shutdown"

struct node_glance {
        bool uninitialized, shut_down; // its taints
        bool ready;
};
extern const struct object_part node_glance_part;
static inline const struct node_glance *node_glance(const struct cx_object *node)
{
        return object_part(node, &node_glance_part);
}
// The node as it is now. 1: it has gone.
int node_fetch(struct cx_rest *rest, const struct cx_object *object, json_t **ret_node, struct cx_error *err) CX_CHECK;
// Writes spec and metadata for the version that was fetched. A conflict or an end of the node is not an error: its event
// brings it back.
int node_patch(struct cx_rest *rest, const json_t *node, const char *subresource, json_t *patch, struct cx_error *err)
        CX_CHECK;
// The taints without those of a key; with one of this key and effect where effect is not NULL. null when
// none is left.
json_t *taints_with(const json_t *node, const char *key, const char *effect);
// All nodes into the queue.
void nodes_enqueue(struct cx_informer *nodes, struct cx_workqueue *queue);
