// SPDX-License-Identifier: Apache-2.0
// Which addresses a Service gets: those that it asks for, else those that it has, else the first that may be had of the
// first pool that serves it. An address has one Service, or several that name the same sharing key, have different ports,
// and send outside traffic to any node (externalTrafficPolicy: Cluster) or to the same pods. Annotations are MetalLB's.
// Pure.
//
// A use is what is written down of a Service that has an address:
//     {"service": "namespace/name", "uid": …, "sharing": key, "ports": ["TCP/80"], "local": selector}
// `sharing` and `local` are left out where they are empty; `local` is there with the policy Local.
#pragma once

#include "cloud-controller-manager/bare/pool.h"
#include "libcommon/base/map.h"

#include <jansson.h>

#define ANNOTATION_ADDRESSES "metallb.io/loadBalancerIPs"
#define ANNOTATION_SHARING "metallb.io/allow-shared-ip"
#define ANNOTATION_POOL "metallb.io/address-pool"

struct address_claim {
        const json_t *service;       // borrowed
        json_t *use;                 // as it will be written down
        struct cx_address wanted[2]; // asked for; family NONE: not
        enum cx_family families[2];
        size_t n_families;
        bool all;         // an address of each family, or none
        const char *pool; // asked for; NULL: not
};
// What a Service asks for. -EINVAL: it contradicts itself.
int address_claim_parse(const json_t *service, struct address_claim *ret_claim, struct cx_error *err) CX_CHECK;
void address_claim_release(struct address_claim *claim);
#define ADDRESS_CLAIM CX_CLEANUP(address_claim_release) struct address_claim

// `uses` is a map of addresses to arrays of uses. ret_addresses: one or two, in the order of the families.
// -ENOSPC: there is none; the message says why.
int addresses_choose(const struct bare_config *config, const struct cx_map *uses, const struct address_claim *claim,
                     struct cx_strings *ret_addresses, struct cx_error *err) CX_CHECK;
// Whether Services of the class (NULL: none is named) find a pool.
bool address_pools_serve(const struct bare_config *config, const char *class);
