// SPDX-License-Identifier: Apache-2.0
// The network of a profile: a bridge on the host, a network namespace per node joined to it by a veth pair, a route to
// the load balancers' addresses over the bridge (a node answers for each), and masquerading to the outside.
#pragma once

#include "minikube/profile.h"

int network_up(const struct profile *profile, struct cx_error *err) CX_CHECK; // does nothing where all is there
void network_down(const struct profile *profile);                             // removes what there is
void network_node_down(const struct profile *profile, int node);
// Runs `run` on a thread inside a node's network namespace; returns what it returns.
int network_in_node(const struct profile *profile, int node, int (*run)(void *context), void *context,
                    struct cx_error *err) CX_CHECK;
char *network_namespace(const struct profile *profile, int node); // /run/netns/<node>
