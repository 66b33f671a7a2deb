// SPDX-License-Identifier: Apache-2.0
// What the ConfigMap of the provider says: pools of addresses for load balancers, and what is known of the machines.
// Pure; not for sharing between threads without a lock.
//
//     pools: |
//       - name: web
//         addresses: [192.168.1.200-192.168.1.220, "fd00::100/120"]
//         namespaces: [shop]                       # only Services of these; absent: of all
//         classes: [example.com/fast]              # only Services of these classes; absent: those that name none
//         selector: {matchLabels: {tier: front}}   # only Services with such labels
//         autoAssign: false                        # only for Services that ask for the pool or for an address of it
//     machines: |                                  # absent: every node has a machine, of which nothing more is known
//       - name: node-1
//         providerID: bare://rack1/7               # default: bare://<name>
//         addresses: {internal: [10.0.0.7], external: [198.51.100.7]}
//         zone: rack1
//         region: cellar
//         type: small
//         shutdown: true
#pragma once

#include "libcommon/api/selector.h"
#include "libcommon/base/address.h"

#define CONFIG_NAMESPACE "loadbalancer-system"
#define CONFIG_NAME "cloud-provider-bare"

// "10.0.0.10-10.0.0.20", one address, or "10.0.0.0/28". Of an IPv4 network the first and the last address (its own and
// broadcast) are left out, of an IPv6 network the first (the routers').
struct address_range {
        struct cx_address first, last;
};
int address_range_parse(const char *text, struct address_range *ret_range, struct cx_error *err) CX_CHECK;
bool address_range_has(const struct address_range *range, const struct cx_address *address);

struct address_pool {
        char *name;
        struct address_range *ranges;
        size_t n_ranges;
        struct cx_strings namespaces, classes; // empty: see above
        struct cx_selector selector;
        bool only_when_asked;
};
struct bare_machine {
        char *name, *provider_id, *zone, *region, *type; // the last three may be NULL
        struct cx_strings internal, external;
        bool shut_down;
};
struct bare_config {
        struct address_pool *pools;
        size_t n_pools;
        struct bare_machine *machines;
        size_t n_machines;
        bool lists_machines;
};
// From a ConfigMap. -EINVAL names the place and the remedy.
int bare_config_parse(const json_t *config_map, struct bare_config *ret_config, struct cx_error *err) CX_CHECK;
void bare_config_release(struct bare_config *config);
const struct bare_machine *bare_config_machine(const struct bare_config *config, const char *name); // NULL: not listed
bool address_pool_has(const struct address_pool *pool, const struct cx_address *address);
