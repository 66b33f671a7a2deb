// SPDX-License-Identifier: Apache-2.0
// The proxy: informers of services, endpoint slices and the own node set a flag; one thread builds all rules and applies
// what changed, at once after a quiet time, and at most every min_sync_period in a storm.
#pragma once

#include "libcommon/client/component.h"

struct proxy_options {
        const char *node_name, *cluster_cidr, *healthz_address, *metrics_address;
        const struct cx_strings *node_port_addresses; // networks, or "primary"
        bool masquerade_all, localhost_node_ports;
        int64_t min_sync_period, sync_period; // ns
};
struct proxy;
int proxy_start(struct cx_component *component, const struct proxy_options *options, struct proxy **ret_proxy,
                struct cx_error *err) CX_CHECK;
bool proxy_synced(const struct proxy *proxy);
// Whether the thread that writes the rules, and the ports of health and metrics, have answered within the last `limit` ns.
bool proxy_alive(const struct proxy *proxy, int64_t limit);
void proxy_stop(struct proxy *proxy); // leaves the rules where they are
void proxy_free(struct proxy *proxy); // after the informers
