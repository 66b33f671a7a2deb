// SPDX-License-Identifier: Apache-2.0
// The node's side of the pod network: forwarding on, routes to the other nodes' podCIDRs through their addresses, and
// masquerading of what leaves the cluster. All in the kubelet's own network namespace.
#pragma once

#include "libcommon/base/error.h"

// Turns on what pods need from this network namespace (forwarding, bridge traffic through iptables). Best effort.
void network_prepare(void);
// Adds or replaces the route to `cidr` via `gateway`, both of one family; gateway NULL removes it.
int network_route(const char *cidr, const char *gateway, struct cx_error *err) CX_CHECK;
// Masquerades what pods of `pod_cidr` send to outside of `cluster_cidr`. Idempotent.
int network_masquerade(const char *pod_cidr, const char *cluster_cidr, struct cx_error *err) CX_CHECK;
