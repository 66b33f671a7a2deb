// SPDX-License-Identifier: Apache-2.0
// The Node object of this machine: registration, status, lease; routes to the other nodes' pods; image garbage collection.
// A thread of its own; everything else only asks it.
#pragma once

#include "kubelet/base/config.h"
#include "kubelet/base/kubelet.h"

struct node_agent;
struct pods;
struct in_use;
// What it reports of; in_use: the volumes that are not to be detached.
struct node_parts {
        struct pods *pods;
        struct in_use *in_use;
        void (*made)(void *context); // the Node was made, maybe not for the first time
        void *context;
};
int node_start(const struct kubelet *kubelet, const struct kubelet_settings *settings, const struct node_parts *parts,
               struct node_agent **ret_node, struct cx_error *err) CX_CHECK;
// Whether no turn of the thread has taken more than `limit` ns, or more than what calls that nobody answers may take.
bool node_alive(const struct node_agent *node, int64_t limit);
void node_free(struct node_agent *node);
// Addresses of this machine when --node-ip gives none.
void node_detect_ips(struct cx_strings *ret_ips);
json_t *node_status(const struct kubelet *kubelet, const struct kubelet_settings *settings, const json_t *old);
