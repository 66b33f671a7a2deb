// SPDX-License-Identifier: Apache-2.0
// IP addresses and networks of both families as plain values: parsed, compared, counted through, printed. Any thread.
#pragma once

#include "libcommon/base/macro.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CX_ADDRESS_TEXT 46 // "ffff:…:255.255.255.255" and its end
#define CX_NETWORK_TEXT 50
#define CX_ENDPOINT_TEXT 56 // "[address]:65535"

enum cx_family { CX_FAMILY_NONE, CX_IPV4, CX_IPV6 };
struct cx_address {
        enum cx_family family;
        unsigned char bytes[16]; // network order; four of them for IPv4, the others are 0
};
struct cx_network {
        struct cx_address base; // bits behind the prefix are 0
        int prefix;
};

// "10.0.0.1", "fd00::1". No leading zeros, no zone, no blanks. 0 or -EINVAL.
int cx_address_parse(const char *text, struct cx_address *ret_address) CX_CHECK;
// The canonical text (RFC 5952); returns `to`.
const char *cx_address_format(const struct cx_address *address, char to[CX_ADDRESS_TEXT]);
// "10.0.0.1:80", "[fd00::1]:80"; returns `to`.
const char *cx_address_format_port(const struct cx_address *address, int port, char to[CX_ENDPOINT_TEXT]);
// Orders IPv4 before IPv6, then by number.
int cx_address_compare(const struct cx_address *a, const struct cx_address *b);
// The next address; after the last of all comes the first.
struct cx_address cx_address_next(struct cx_address address);
int cx_address_bits(enum cx_family family); // 32, 128
bool cx_is_ipv4(const char *text);          // whether it is such an address; NULL is not
bool cx_is_ipv6(const char *text);
bool cx_is_address(const char *text);

bool cx_address_is_unspecified(const struct cx_address *address); // 0.0.0.0, ::
bool cx_address_is_loopback(const struct cx_address *address);    // 127.0.0.0/8, ::1
bool cx_address_is_link_local(const struct cx_address *address);  // 169.254.0.0/16, fe80::/10; unicast
bool cx_address_is_multicast(const struct cx_address *address);   // 224.0.0.0/4, ff00::/8
// An IPv6 address that stands for an IPv4 one (::ffff:0:0/96) becomes that; others stay.
void cx_address_unmap(struct cx_address *address);

// Why it is no address of an endpoint: "may not be in the loopback range …"; NULL when it can be one. What stands for an
// IPv4 address is looked at as that.
const char *cx_address_why_special(const struct cx_address *address);

// For sockets: the length of what was written, and back. -EAFNOSUPPORT for other families.
socklen_t cx_address_to_socket(const struct cx_address *address, int port, struct sockaddr_storage *ret_address);
int cx_address_from_socket(const struct sockaddr *from, struct cx_address *ret_address, int *ret_port) CX_CHECK;

// An address of this network namespace.
struct cx_interface {
        const char *name; // "eth0"
        unsigned flags;   // IFF_UP and so on
        struct cx_address address;
};
// Calls `each` with every address of every interface; with none when the kernel cannot be asked.
void cx_interfaces_each(void (*each)(void *context, const struct cx_interface *interface), void *context);

// "10.0.0.0/8". Bits behind the prefix are dropped. 0 or -EINVAL.
int cx_network_parse(const char *text, struct cx_network *ret_network) CX_CHECK;
const char *cx_network_format(const struct cx_network *network, char to[CX_NETWORK_TEXT]);
bool cx_is_network(const char *text, enum cx_family family); // CX_FAMILY_NONE: of either
bool cx_network_has(const struct cx_network *network, const struct cx_address *address);
bool cx_network_overlaps(const struct cx_network *a, const struct cx_network *b);
// How many addresses it has, or subnets of a longer prefix; UINT64_MAX when that many or more.
uint64_t cx_network_size(const struct cx_network *network);
uint64_t cx_network_subnets(const struct cx_network *network, int prefix);
// The address at `index`, and the index of an address of the network (UINT64_MAX: beyond counting, or not of it).
struct cx_address cx_network_at(const struct cx_network *network, uint64_t index);
uint64_t cx_network_index(const struct cx_network *network, const struct cx_address *address);
struct cx_network cx_network_subnet(const struct cx_network *network, int prefix, uint64_t index);
uint64_t cx_network_subnet_index(const struct cx_network *network, const struct cx_network *subnet);
