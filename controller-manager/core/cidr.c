// SPDX-License-Identifier: Apache-2.0
// Subnets as bits of a map; addresses counted one by one.
#include "controller-manager/core/cidr.h"

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

static struct address_pool pool_of_network(const struct cx_network *network)
{
        struct address_pool pool = {network->base, network->base};
        int bits = cx_address_bits(network->base.family);
        for (int bit = network->prefix; bit < bits; bit++)
                pool.last.bytes[bit / 8] |= (unsigned char)(0x80 >> (bit % 8));
        if (network->prefix >= bits - 1)
                return pool;
        pool.first = cx_address_next(pool.first);
        if (network->base.family == CX_IPV4)
                pool.last.bytes[3]--; // it ends in a 1
        return pool;
}

int address_pool_parse(const char *text, struct address_pool *ret_pool, struct cx_error *err)
{
        struct cx_network network;
        const char *dash = strchr(text, '-');
        if (!dash && cx_network_parse(text, &network) == 0) {
                *ret_pool = pool_of_network(&network);
                return 0;
        }
        struct address_pool pool;
        CX_CLEANUP(cx_freep) char *first = cx_strndup(text, dash ? (size_t)(dash - text) : 0);
        if (!dash || cx_address_parse(first, &pool.first) < 0 || cx_address_parse(dash + 1, &pool.last) < 0 ||
            pool.first.family != pool.last.family || cx_address_compare(&pool.first, &pool.last) > 0)
                return cx_error_set(err, -EINVAL, "not a range of addresses: %s", text);
        *ret_pool = pool;
        return 0;
}

bool address_pool_has(const struct address_pool *pool, const char *address)
{
        struct cx_address parsed;
        return cx_address_parse(address, &parsed) == 0 && parsed.family == pool->first.family &&
               cx_address_compare(&parsed, &pool->first) >= 0 && cx_address_compare(&parsed, &pool->last) <= 0;
}

bool address_pool_take(const struct address_pool *pool, const struct cx_map *used, char to[CX_ADDRESS_TEXT])
{
        for (struct cx_address at = pool->first;; at = cx_address_next(at)) {
                cx_address_format(&at, to);
                if (!cx_map_has(used, to))
                        return true;
                if (cx_address_compare(&at, &pool->last) == 0)
                        return false;
        }
}
