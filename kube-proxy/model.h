// SPDX-License-Identifier: Apache-2.0
// What the proxy needs of Services and EndpointSlices: the informers' projections. Addresses are checked here: what is not
// an IPv4 address (or network) never gets further, and neither does a name with characters that a rule could not carry.
#pragma once

#include "libcommon/client/informer.h"

struct proxy_port {
        char *name;           // "" when it has none
        const char *protocol; // "tcp", "udp", "sctp"
        int port, node_port;
};
struct service {
        char *cluster_ip; // NULL: headless, or not IPv4
        struct proxy_port *ports;
        size_t n_ports;
        struct cx_strings external_ips, balancer_ips, source_ranges;
        bool external_local, internal_local; // traffic policies
        bool balancer;                       // type LoadBalancer
        int affinity_seconds;                // 0: none
        int health_port;                     // 0: none
};
#define SERVICE(object) ((const struct service *)(object)->projection)

struct endpoint {
        char *ip;
        bool ready, serving, terminating, local;
        struct cx_strings zones, nodes; // hints: whom it is meant for; empty: none
};
struct slice {
        struct proxy_port *ports; // node_port unused
        size_t n_ports;
        struct endpoint *endpoints;
        size_t n_endpoints;
};
#define SLICE(object) ((const struct slice *)(object)->projection)

void *service_project(void *context, const json_t *service);
void service_free(void *projection);
void *slice_project(void *node_name, const json_t *slice); // context: the name of the own node
void slice_free(void *projection);
