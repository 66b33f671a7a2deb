// SPDX-License-Identifier: Apache-2.0
// Routes to the pods of other nodes. A node whose address is on a link of ours is reached directly; one behind a router, which
// knows nothing of pods, by VXLAN: one device, whose hardware address follows from the node's address, so that nodes have
// nothing to tell each other. What is in the kernel stays when the kubelet ends, and is brought in line when it is back: the
// routes carry a protocol number of their own, by which those of nodes that are gone are found. One thread.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/base/error.h"

#define NODE_ROUTES_DEVICE "cx-vxlan"
#define NODE_ROUTES_PORT 4789   // UDP (RFC 7348)
#define NODE_ROUTES_OVERHEAD 50 // bytes of each packet: outer Ethernet, IPv4 and UDP, and VXLAN

struct node_routes; // with VXLAN; without it there is none: all nodes are taken for neighbours
// `address`: of this node; IPv4 only, as the overlay is.
int node_routes_new(const char *address, struct node_routes **ret_routes, struct cx_error *err) CX_CHECK;
void node_routes_free(struct node_routes *routes);     // leaves the routes where they are
int node_routes_mtu(const struct node_routes *routes); // for pods
// Makes the device, whose address is the first of the node's podCIDR; again when that changes.
int node_routes_set_own(struct node_routes *routes, const char *pod_cidr, struct cx_error *err) CX_CHECK;

struct other_node {
        struct cx_network pods;
        struct cx_address address;
};
// Brings the kernel's state to just these. What cannot be done for one node is said, and does not stop the others.
int node_routes_apply(struct node_routes *routes, const struct other_node *nodes, size_t count, struct cx_error *err)
        CX_CHECK;
