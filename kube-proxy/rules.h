// SPDX-License-Identifier: Apache-2.0
// The rules for a set of services and endpoints: pure text, by table and chain, under upstream's chain names. Nothing here
// touches the kernel.
#pragma once

#include "kube-proxy/model.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/map.h"

enum { TABLE_NAT, TABLE_FILTER, TABLE_COUNT };

struct rules_config {
        const char *cluster_cidr; // NULL: unknown; then nothing is masqueraded for coming from outside of it
        bool masquerade_all;
        bool localhost_node_ports;
        const char *node_name, *zone;                 // of the own node, for hints; NULL: unknown
        const struct cx_strings *node_port_addresses; // own addresses that serve node ports; NULL: all
};
struct health_check {
        char *namespace, *name;
        int port, local_endpoints;
};
struct ruleset {
        struct cx_map chains[TABLE_COUNT]; // name -> char *, the chain's rules as lines "-A NAME …"
        struct cx_map udp_endpoints;       // "address endpoint-ip" (or ":node-port endpoint-ip") -> nothing
        struct cx_map udp_served;          // "address" (or ":node-port") with endpoints -> nothing
        struct cx_map tcp_endpoints;       // "endpoint-ip" -> nothing
        struct health_check *health_checks;
        size_t n_health_checks;
        bool has_node_ports;
        size_t services, endpoints;
};
void rules_build(const struct rules_config *config, const struct cx_objects *services, const struct cx_objects *slices,
                 struct ruleset *ret_rules);
void ruleset_release(struct ruleset *rules);

// KUBE-SVC-… and its like: `prefix` and 16 characters of a digest. `to` takes 32 bytes.
void chain_name(const char *prefix, const char *service_port, const char *protocol, const char *endpoint, char to[32]);
// Jumps from the kernel's own chains, in the order in which they are inserted at the front.
struct jump {
        int table;
        const char *from, *to, *match; // the whole match, "" for none
};
extern const struct jump rule_jumps[];
extern const size_t n_rule_jumps;
bool is_service_chain(const char *name); // one that belongs to a service
