// SPDX-License-Identifier: Apache-2.0
// Subnets as bits of a map.
#include "controller-manager/core/cidr.h"

#include "libcommon/base/alloc.h"

#define MAX_SUBNETS 65536

int cidr_set_init(struct cidr_set *set, const char *network, int node_prefix, struct cx_error *err)
{
        *set = (struct cidr_set){.node_prefix = node_prefix};
        if (cx_network_parse(network, &set->network) < 0)
                return cx_error_set(err, -EINVAL, "invalid CIDR address: %s", network);
        if (node_prefix < set->network.prefix || node_prefix > cx_address_bits(set->network.base.family))
                return cx_error_set(err, -EINVAL, "the node mask size /%d does not fit %s", node_prefix, network);
        uint64_t subnets = cx_network_subnets(&set->network, node_prefix);
        set->count = subnets > MAX_SUBNETS ? MAX_SUBNETS : (size_t)subnets;
        set->used = cx_alloc((set->count + 7) / 8);
        return 0;
}

void cidr_set_release(struct cidr_set *set)
{
        free(set->used);
        set->used = NULL;
}

bool cidr_set_take(struct cidr_set *set, char to[CX_NETWORK_TEXT])
{
        for (size_t i = 0; i < set->count; i++) {
                size_t index = (set->next + i) % set->count;
                if (set->used[index / 8] >> (index % 8) & 1)
                        continue;
                set->used[index / 8] |= (unsigned char)(1 << (index % 8));
                set->next = (index + 1) % set->count;
                struct cx_network subnet = cx_network_subnet(&set->network, set->node_prefix, index);
                cx_network_format(&subnet, to);
                return true;
        }
        return false;
}

bool cidr_set_mark(struct cidr_set *set, const char *subnet, bool used)
{
        struct cx_network parsed;
        if (cx_network_parse(subnet, &parsed) < 0 || parsed.prefix != set->node_prefix)
                return false;
        uint64_t index = cx_network_subnet_index(&set->network, &parsed);
        if (index >= set->count)
                return false;
        unsigned char mask = (unsigned char)(1 << (index % 8));
        if (used)
                set->used[index / 8] |= mask;
        else
                set->used[index / 8] &= (unsigned char)~mask;
        return true;
}

int cidr_set_exclude(struct cidr_set *set, const char *network, struct cx_error *err)
{
        struct cx_network other;
        if (cx_network_parse(network, &other) < 0)
                return cx_error_set(err, -EINVAL, "invalid CIDR address: %s", network);
        for (size_t i = 0; i < set->count && cx_network_overlaps(&set->network, &other); i++) {
                struct cx_network subnet = cx_network_subnet(&set->network, set->node_prefix, i);
                if (cx_network_overlaps(&subnet, &other))
                        set->used[i / 8] |= (unsigned char)(1 << (i % 8));
        }
        return 0;
}
