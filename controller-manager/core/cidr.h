// SPDX-License-Identifier: Apache-2.0
// Sets of equal subnets of a network, and pools of addresses. Pure; not for sharing between threads.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

struct cidr_set {
        int family; // AF_INET or AF_INET6
        unsigned char base[16];
        int prefix, node_prefix;
        size_t count, next;  // subnets; where the search goes on
        unsigned char *used; // a bit each
};
// At most 2^16 subnets, as upstream.
int cidr_set_init(struct cidr_set *set, const char *network, int node_prefix, struct cx_error *err) CX_CHECK;
void cidr_set_release(struct cidr_set *set);
bool cidr_set_take(struct cidr_set *set, char to[64]);                   // the next free one; false when full
bool cidr_set_mark(struct cidr_set *set, const char *subnet, bool used); // false when it is not of this set

// "10.0.0.10-10.0.0.20" or "10.0.0.0/28" (IPv4; network and broadcast addresses of a CIDR are left out).
struct address_pool {
        uint32_t first, last;
};
int address_pool_parse(const char *text, struct address_pool *ret_pool, struct cx_error *err) CX_CHECK;
bool address_pool_has(const struct address_pool *pool, const char *address);
// The first address that `used` (a map of addresses) lacks; false when there is none.
bool address_pool_take(const struct address_pool *pool, const struct cx_map *used, char to[16]);
