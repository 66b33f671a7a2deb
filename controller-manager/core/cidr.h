// SPDX-License-Identifier: Apache-2.0
// Sets of equal subnets of a network, of both families. Pure; not for sharing between threads.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/base/error.h"

struct cidr_set {
        struct cx_network network;
        int node_prefix;
        size_t count, next;  // subnets; where the search goes on
        unsigned char *used; // a bit each
};
// At most 2^16 subnets, as upstream.
int cidr_set_init(struct cidr_set *set, const char *network, int node_prefix, struct cx_error *err) CX_CHECK;
void cidr_set_release(struct cidr_set *set);
bool cidr_set_take(struct cidr_set *set, char to[CX_NETWORK_TEXT]);      // the next free one; false when full
bool cidr_set_mark(struct cidr_set *set, const char *subnet, bool used); // false when it is not of this set
// No subnet that has an address of `network` in it is given out. -EINVAL when that is not a network.
int cidr_set_exclude(struct cidr_set *set, const char *network, struct cx_error *err) CX_CHECK;
