// SPDX-License-Identifier: Apache-2.0
// Subnets as bits of a map; addresses as 32-bit numbers.
#include "controller-manager/core/cidr.h"

#include <arpa/inet.h>

#define MAX_SUBNETS 65536

static int parse_network(const char *text, int *ret_family, unsigned char to[16], int *ret_prefix)
{
        char address[64];
        const char *slash = strchr(text, '/');
        int64_t prefix;
        if (!slash || (size_t)(slash - text) >= sizeof address)
                return -EINVAL;
        snprintf(address, sizeof address, "%.*s", (int)(slash - text), text);
        int family = strchr(address, ':') ? AF_INET6 : AF_INET;
        memset(to, 0, 16);
        if (inet_pton(family, address, to) != 1 ||
            cx_parse_int(slash + 1, 0, family == AF_INET ? 32 : 128, &prefix) < 0)
                return -EINVAL;
        *ret_family = family;
        *ret_prefix = (int)prefix;
        return 0;
}

int cidr_set_init(struct cidr_set *set, const char *network, int node_prefix, struct cx_error *err)
{
        *set = (struct cidr_set){.node_prefix = node_prefix};
        if (parse_network(network, &set->family, set->base, &set->prefix) < 0)
                return cx_error_set(err, -EINVAL, "invalid CIDR address: %s", network);
        int bits = set->family == AF_INET ? 32 : 128;
        if (node_prefix < set->prefix || node_prefix > bits)
                return cx_error_set(err, -EINVAL, "the node mask size /%d does not fit %s", node_prefix, network);
        int spare = node_prefix - set->prefix;
        set->count = spare >= 16 ? MAX_SUBNETS : (size_t)1 << spare;
        for (int i = set->prefix; i < bits; i++)
                set->base[i / 8] &= (unsigned char)~(0x80 >> (i % 8));
        set->used = cx_alloc((set->count + 7) / 8);
        return 0;
}

void cidr_set_release(struct cidr_set *set)
{
        free(set->used);
        set->used = NULL;
}

static void format_subnet(const struct cidr_set *set, size_t index, char to[64])
{
        unsigned char address[16];
        memcpy(address, set->base, sizeof address);
        for (int i = 0; i < 17; i++) {
                int bit = set->node_prefix - 1 - i;
                if (bit >= 0 && (index >> i & 1))
                        address[bit / 8] |= (unsigned char)(0x80 >> (bit % 8));
        }
        char text[INET6_ADDRSTRLEN];
        inet_ntop(set->family, address, text, sizeof text);
        snprintf(to, 64, "%s/%d", text, set->node_prefix);
}

bool cidr_set_take(struct cidr_set *set, char to[64])
{
        for (size_t i = 0; i < set->count; i++) {
                size_t index = (set->next + i) % set->count;
                if (set->used[index / 8] >> (index % 8) & 1)
                        continue;
                set->used[index / 8] |= (unsigned char)(1 << (index % 8));
                set->next = (index + 1) % set->count;
                format_subnet(set, index, to);
                return true;
        }
        return false;
}

bool cidr_set_mark(struct cidr_set *set, const char *subnet, bool used)
{
        int family, prefix;
        unsigned char address[16];
        if (parse_network(subnet, &family, address, &prefix) < 0 || family != set->family || prefix != set->node_prefix)
                return false;
        for (int i = 0; i < set->prefix; i++)
                if ((address[i / 8] ^ set->base[i / 8]) & (0x80 >> (i % 8)))
                        return false;
        size_t index = 0;
        for (int i = set->prefix; i < set->node_prefix; i++)
                index = index << 1 | (address[i / 8] >> (7 - i % 8) & 1);
        if (index >= set->count)
                return false;
        unsigned char bit = (unsigned char)(1 << (index % 8));
        if (used)
                set->used[index / 8] |= bit;
        else
                set->used[index / 8] &= (unsigned char)~bit;
        return true;
}

int address_pool_parse(const char *text, struct address_pool *ret_pool, struct cx_error *err)
{
        struct in_addr first, last;
        char from[32];
        const char *dash = strchr(text, '-');
        if (dash && (size_t)(dash - text) < sizeof from) {
                snprintf(from, sizeof from, "%.*s", (int)(dash - text), text);
                if (inet_pton(AF_INET, from, &first) == 1 && inet_pton(AF_INET, dash + 1, &last) == 1 &&
                    ntohl(first.s_addr) <= ntohl(last.s_addr)) {
                        *ret_pool = (struct address_pool){ntohl(first.s_addr), ntohl(last.s_addr)};
                        return 0;
                }
        }
        int family, prefix;
        unsigned char address[16];
        if (!dash && parse_network(text, &family, address, &prefix) == 0 && family == AF_INET) {
                uint32_t base = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 |
                                address[3];
                uint32_t mask = prefix ? ~UINT32_C(0) << (32 - prefix) : 0;
                *ret_pool = (struct address_pool){base & mask, (base & mask) | ~mask};
                if (prefix < 31) {
                        ret_pool->first++;
                        ret_pool->last--;
                }
                return 0;
        }
        return cx_error_set(err, -EINVAL, "not a range of IPv4 addresses: %s", text);
}

bool address_pool_has(const struct address_pool *pool, const char *address)
{
        struct in_addr parsed;
        if (inet_pton(AF_INET, address, &parsed) != 1)
                return false;
        uint32_t value = ntohl(parsed.s_addr);
        return value >= pool->first && value <= pool->last;
}

bool address_pool_take(const struct address_pool *pool, const struct cx_map *used, char to[16])
{
        for (uint64_t value = pool->first; value <= pool->last; value++) {
                struct in_addr address = {htonl((uint32_t)value)};
                inet_ntop(AF_INET, &address, to, 16);
                if (!cx_map_has(used, to))
                        return true;
        }
        return false;
}
