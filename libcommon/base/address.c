// SPDX-License-Identifier: Apache-2.0
// Addresses as bytes in network order, so that both families share every computation.
#include "libcommon/base/address.h"

#include "libcommon/base/strings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int family_number(enum cx_family family)
{
        return family == CX_IPV4 ? AF_INET : AF_INET6;
}

int cx_address_bits(enum cx_family family)
{
        return family == CX_IPV4 ? 32 : 128;
}

int cx_address_parse(const char *text, struct cx_address *ret_address)
{
        struct cx_address address = {.family = strchr(text, ':') ? CX_IPV6 : CX_IPV4};
        if (inet_pton(family_number(address.family), text, address.bytes) != 1)
                return -EINVAL;
        *ret_address = address;
        return 0;
}

const char *cx_address_format(const struct cx_address *address, char to[CX_ADDRESS_TEXT])
{
        if (address->family == CX_FAMILY_NONE ||
            !inet_ntop(family_number(address->family), address->bytes, to, CX_ADDRESS_TEXT))
                *to = '\0';
        return to;
}

const char *cx_address_format_port(const struct cx_address *address, int port, char to[CX_ENDPOINT_TEXT])
{
        char text[CX_ADDRESS_TEXT];
        cx_address_format(address, text);
        (void)snprintf(to, CX_ENDPOINT_TEXT, address->family == CX_IPV6 ? "[%s]:%d" : "%s:%d", text, port & 0xffff);
        return to;
}

int cx_address_compare(const struct cx_address *a, const struct cx_address *b)
{
        return a->family != b->family ? (int)a->family - (int)b->family : memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

struct cx_address cx_address_next(struct cx_address address)
{
        for (int i = cx_address_bits(address.family) / 8 - 1; i >= 0 && ++address.bytes[i] == 0; i--)
                ;
        return address;
}

static bool is_of_family(const char *text, enum cx_family family)
{
        struct cx_address address;
        return text && cx_address_parse(text, &address) == 0 && (!family || address.family == family);
}

bool cx_is_ipv4(const char *text)
{
        return is_of_family(text, CX_IPV4);
}

bool cx_is_ipv6(const char *text)
{
        return is_of_family(text, CX_IPV6);
}

bool cx_is_address(const char *text)
{
        return is_of_family(text, CX_FAMILY_NONE);
}

// --- kinds of addresses ----------------------------------------------------------------------------------------------

static bool is_in(const struct cx_address *address, const struct cx_network *table, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (cx_network_has(&table[i], address))
                        return true;
        return false;
}

bool cx_address_is_unspecified(const struct cx_address *address)
{
        static const unsigned char zeros[16];
        return address->family && memcmp(address->bytes, zeros, sizeof zeros) == 0;
}

bool cx_address_is_loopback(const struct cx_address *address)
{
        static const struct cx_network table[] = {{{CX_IPV4, {127}}, 8}, {{CX_IPV6, {[15] = 1}}, 128}};
        return is_in(address, table, CX_ARRAY_SIZE(table));
}

bool cx_address_is_link_local(const struct cx_address *address)
{
        static const struct cx_network table[] = {{{CX_IPV4, {169, 254}}, 16}, {{CX_IPV6, {0xfe, 0x80}}, 10}};
        return is_in(address, table, CX_ARRAY_SIZE(table));
}

bool cx_address_is_multicast(const struct cx_address *address)
{
        static const struct cx_network table[] = {{{CX_IPV4, {224}}, 4}, {{CX_IPV6, {0xff}}, 8}};
        return is_in(address, table, CX_ARRAY_SIZE(table));
}

void cx_address_unmap(struct cx_address *address)
{
        static const struct cx_network mapped = {{CX_IPV6, {[10] = 0xff, [11] = 0xff}}, 96};
        if (!cx_network_has(&mapped, address))
                return;
        struct cx_address four = {.family = CX_IPV4};
        memcpy(four.bytes, address->bytes + 12, 4);
        *address = four;
}

const char *cx_address_why_special(const struct cx_address *given)
{
        static const struct cx_network local_multicast[] = {{{CX_IPV4, {224}}, 24}, {{CX_IPV6, {0xff, 0x02}}, 16}};
        static const struct cx_network metadata = {{CX_IPV6, {0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54}}, 128};
        struct cx_address address = *given;
        cx_address_unmap(&address);
        return cx_address_is_unspecified(&address)  ? "may not be unspecified (0.0.0.0 or ::)"
               : cx_address_is_loopback(&address)   ? "may not be in the loopback range (127.0.0.0/8, ::1/128)"
               : cx_address_is_link_local(&address) ? "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
               : cx_network_has(&local_multicast[0], &address) || cx_network_has(&local_multicast[1], &address)
                       ? "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
               : cx_network_has(&metadata, &address) ? "may not be that of a metadata service (fd00:ec2::254)"
                                                     : NULL;
}

// --- sockets ---------------------------------------------------------------------------------------------------------

socklen_t cx_address_to_socket(const struct cx_address *address, int port, struct sockaddr_storage *ret_address)
{
        memset(ret_address, 0, sizeof *ret_address);
        if (address->family == CX_IPV4) {
                struct sockaddr_in *four = (struct sockaddr_in *)ret_address;
                four->sin_family = AF_INET;
                four->sin_port = htons((uint16_t)port);
                memcpy(&four->sin_addr, address->bytes, 4);
                return sizeof *four;
        }
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret_address;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        memcpy(&six->sin6_addr, address->bytes, 16);
        return sizeof *six;
}

int cx_address_from_socket(const struct sockaddr *from, struct cx_address *ret_address, int *ret_port)
{
        struct cx_address address = {0};
        int port;
        if (from->sa_family == AF_INET) {
                struct sockaddr_in four;
                memcpy(&four, from, sizeof four);
                address.family = CX_IPV4;
                memcpy(address.bytes, &four.sin_addr, 4);
                port = ntohs(four.sin_port);
        } else if (from->sa_family == AF_INET6) {
                struct sockaddr_in6 six;
                memcpy(&six, from, sizeof six);
                address.family = CX_IPV6;
                memcpy(address.bytes, &six.sin6_addr, 16);
                port = ntohs(six.sin6_port);
        } else {
                return -EAFNOSUPPORT;
        }
        *ret_address = address;
        if (ret_port)
                *ret_port = port;
        return 0;
}

void cx_interfaces_each(void (*each)(void *context, const struct cx_interface *interface), void *context)
{
        struct ifaddrs *list = NULL;
        if (getifaddrs(&list) < 0)
                return;
        for (const struct ifaddrs *at = list; at; at = at->ifa_next) {
                struct cx_interface interface = {.name = at->ifa_name, .flags = at->ifa_flags};
                if (at->ifa_addr && cx_address_from_socket(at->ifa_addr, &interface.address, NULL) == 0)
                        each(context, &interface);
        }
        freeifaddrs(list);
}

// --- networks --------------------------------------------------------------------------------------------------------

// Sets the bits behind the prefix to 0.
static void mask(struct cx_address *address, int prefix)
{
        for (int i = 0; i < 16; i++) {
                int kept = prefix - 8 * i;
                if (kept < 8)
                        address->bytes[i] &= kept <= 0 ? 0 : (unsigned char)(0xff << (8 - kept));
        }
}

int cx_network_parse(const char *text, struct cx_network *ret_network)
{
        char address[CX_ADDRESS_TEXT];
        struct cx_network network;
        int64_t prefix;
        const char *slash = strchr(text, '/');
        size_t length = slash ? (size_t)(slash - text) : sizeof address;
        if (length >= sizeof address)
                return -EINVAL;
        memcpy(address, text, length);
        address[length] = '\0';
        if (cx_address_parse(address, &network.base) < 0 || strspn(slash + 1, "0123456789") != strlen(slash + 1) ||
            (slash[1] == '0' && slash[2]) ||
            cx_parse_int(slash + 1, 0, cx_address_bits(network.base.family), &prefix) < 0)
                return -EINVAL;
        network.prefix = (int)prefix;
        mask(&network.base, network.prefix);
        *ret_network = network;
        return 0;
}

const char *cx_network_format(const struct cx_network *network, char to[CX_NETWORK_TEXT])
{
        char base[CX_ADDRESS_TEXT];
        (void)snprintf(to, CX_NETWORK_TEXT, "%s/%d", cx_address_format(&network->base, base), network->prefix);
        return to;
}

bool cx_is_network(const char *text, enum cx_family family)
{
        struct cx_network network;
        return text && cx_network_parse(text, &network) == 0 && (!family || network.base.family == family);
}

bool cx_network_has(const struct cx_network *network, const struct cx_address *address)
{
        if (network->base.family != address->family)
                return false;
        struct cx_address base = *address;
        mask(&base, network->prefix);
        return cx_address_compare(&base, &network->base) == 0;
}

bool cx_network_overlaps(const struct cx_network *a, const struct cx_network *b)
{
        return a->prefix <= b->prefix ? cx_network_has(a, &b->base) : cx_network_has(b, &a->base);
}

uint64_t cx_network_subnets(const struct cx_network *network, int prefix)
{
        int spare = prefix - network->prefix;
        return spare < 0 ? 0 : spare >= 64 ? UINT64_MAX : (uint64_t)1 << spare;
}

uint64_t cx_network_size(const struct cx_network *network)
{
        return cx_network_subnets(network, cx_address_bits(network->base.family));
}

struct cx_network cx_network_subnet(const struct cx_network *network, int prefix, uint64_t index)
{
        struct cx_network subnet = {.base = network->base, .prefix = prefix};
        for (int bit = prefix - 1; bit >= network->prefix && index; bit--, index >>= 1)
                if (index & 1)
                        subnet.base.bytes[bit / 8] |= (unsigned char)(0x80 >> (bit % 8));
        return subnet;
}

struct cx_address cx_network_at(const struct cx_network *network, uint64_t index)
{
        return cx_network_subnet(network, cx_address_bits(network->base.family), index).base;
}

// The bits of an address from one position to another as a number.
static uint64_t bits_between(const struct cx_address *address, int from, int to)
{
        uint64_t value = 0;
        for (int bit = from; bit < to; bit++) {
                if (value >> 63)
                        return UINT64_MAX;
                value = value << 1 | (address->bytes[bit / 8] >> (7 - bit % 8) & 1);
        }
        return value;
}

uint64_t cx_network_index(const struct cx_network *network, const struct cx_address *address)
{
        return cx_network_has(network, address)
                       ? bits_between(address, network->prefix, cx_address_bits(address->family))
                       : UINT64_MAX;
}

uint64_t cx_network_subnet_index(const struct cx_network *network, const struct cx_network *subnet)
{
        return cx_network_has(network, &subnet->base) ? bits_between(&subnet->base, network->prefix, subnet->prefix)
                                                      : UINT64_MAX;
}
