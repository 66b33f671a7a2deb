// SPDX-License-Identifier: Apache-2.0
// Offsets and lengths as the RFCs draw them; no structs are laid over bytes of others.
#include "addons/loadbalancer/frame.h"

#include <string.h>

#define ETHERNET 14
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd
#define ARP_LENGTH 28
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define IPV6_HEADER 40
#define NEIGHBOR_LENGTH 24 // type, code, checksum, flags, target
#define OPTION_LENGTH 8    // of a link-layer address
#define ICMPV6 58
#define SOLICITATION 135
#define ADVERTISEMENT 136
#define OPTION_SOURCE 1
#define OPTION_TARGET 2
#define FLAG_SOLICITED 0x40
#define FLAG_OVERRIDE 0x20

static const unsigned char everybody[MAC_LENGTH] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const unsigned char all_nodes[16] = {0xff, 0x02, [15] = 1};

static unsigned get16(const unsigned char *at)
{
        return (unsigned)at[0] << 8 | at[1];
}

static void put16(unsigned char *at, unsigned value)
{
        at[0] = (unsigned char)(value >> 8);
        at[1] = (unsigned char)value;
}

static struct cx_address address_at(enum cx_family family, const unsigned char *at)
{
        struct cx_address address = {.family = family};
        memcpy(address.bytes, at, family == CX_IPV4 ? 4 : 16);
        return address;
}

// Whether it can be one machine's.
static bool is_station(const unsigned char *mac)
{
        static const unsigned char none[MAC_LENGTH];
        return !(mac[0] & 1) && memcmp(mac, none, MAC_LENGTH) != 0;
}

static bool parse_arp(const unsigned char *arp, size_t length, struct neighbor_message *to)
{
        static const unsigned char kind[] = {0, 1, 8, 0, MAC_LENGTH, 4};
        if (length < ARP_LENGTH || memcmp(arp, kind, sizeof kind) != 0 || !is_station(arp + 8))
                return false;
        struct cx_address sender = address_at(CX_IPV4, arp + 14), target = address_at(CX_IPV4, arp + 24);
        unsigned operation = get16(arp + 6);
        if (operation != ARP_REQUEST && operation != ARP_REPLY)
                return false;
        bool claims = operation == ARP_REPLY || cx_address_compare(&sender, &target) == 0;
        *to = (struct neighbor_message){.kind = claims ? NEIGHBOR_CLAIMED : NEIGHBOR_ASKED,
                                        .address = claims ? sender : target};
        if (!claims && !cx_address_is_unspecified(&sender))
                to->asker = sender;
        memcpy(to->sender, arp + 8, MAC_LENGTH);
        return true;
}

// The checksum over the pseudo-header and the message: 0 when the message holds a right one.
static unsigned checksum(const unsigned char *ipv6, const unsigned char *message, size_t length)
{
        unsigned long sum = (unsigned long)length + ICMPV6;
        for (size_t i = 8; i < IPV6_HEADER; i += 2)
                sum += get16(ipv6 + i);
        for (size_t i = 0; i + 1 < length; i += 2)
                sum += get16(message + i);
        if (length % 2)
                sum += (unsigned long)message[length - 1] << 8;
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (unsigned)(~sum & 0xffff);
}

// The link-layer address of an option; NULL: there is none. False: the options are malformed.
static bool find_option(const unsigned char *options, size_t length, unsigned type, const unsigned char **ret_mac)
{
        for (size_t at = 0; at < length;) {
                size_t size = length - at < 2 ? 0 : (size_t)options[at + 1] * 8;
                if (size == 0 || size > length - at)
                        return false;
                if (options[at] == type && size == OPTION_LENGTH)
                        *ret_mac = options + at + 2;
                at += size;
        }
        return true;
}

static bool parse_neighbor(const unsigned char *frame, size_t length, struct neighbor_message *to)
{
        const unsigned char *ipv6 = frame + ETHERNET, *message = ipv6 + IPV6_HEADER, *mac = NULL;
        if (length < ETHERNET + IPV6_HEADER + NEIGHBOR_LENGTH || ipv6[0] >> 4 != 6 || ipv6[6] != ICMPV6 ||
            ipv6[7] != 255)
                return false;
        size_t size = get16(ipv6 + 4);
        if (size < NEIGHBOR_LENGTH || size > length - ETHERNET - IPV6_HEADER || message[1] != 0 ||
            checksum(ipv6, message, size) != 0)
                return false;
        bool asks = message[0] == SOLICITATION;
        struct cx_address source = address_at(CX_IPV6, ipv6 + 8), target = address_at(CX_IPV6, message + 8);
        if ((!asks && message[0] != ADVERTISEMENT) || cx_address_is_multicast(&target) ||
            cx_address_is_unspecified(&target) || cx_address_is_multicast(&source) ||
            !find_option(message + NEIGHBOR_LENGTH, size - NEIGHBOR_LENGTH, asks ? OPTION_SOURCE : OPTION_TARGET, &mac))
                return false;
        *to = (struct neighbor_message){.kind = asks ? NEIGHBOR_ASKED : NEIGHBOR_CLAIMED, .address = target};
        if (asks && !cx_address_is_unspecified(&source))
                to->asker = source;
        memcpy(to->sender, mac ? mac : frame + MAC_LENGTH, MAC_LENGTH);
        return is_station(to->sender);
}

bool frame_parse(const unsigned char *data, size_t length, struct neighbor_message *ret_message)
{
        if (length < ETHERNET)
                return false;
        switch (get16(data + 12)) {
        case TYPE_ARP:
                return parse_arp(data + ETHERNET, length - ETHERNET, ret_message);
        case TYPE_IPV6:
                return parse_neighbor(data, length, ret_message);
        default:
                return false;
        }
}

// --- making ---

static void put_ethernet(unsigned char *to, const unsigned char *destination, const unsigned char *own, unsigned type)
{
        memcpy(to, destination, MAC_LENGTH);
        memcpy(to + MAC_LENGTH, own, MAC_LENGTH);
        put16(to + 12, type);
}

// `target` is who is told; NULL: everybody.
static size_t make_arp(const struct cx_address *address, const unsigned char *own, unsigned operation,
                       const struct neighbor_message *target, unsigned char *to)
{
        unsigned char *arp = to + ETHERNET;
        put_ethernet(to, target ? target->sender : everybody, own, TYPE_ARP);
        put16(arp, 1);
        put16(arp + 2, 0x0800);
        arp[4] = MAC_LENGTH;
        arp[5] = 4;
        put16(arp + 6, operation);
        memcpy(arp + 8, own, MAC_LENGTH);
        memcpy(arp + 14, address->bytes, 4);
        memcpy(arp + 18, target ? target->sender : everybody, MAC_LENGTH);
        memcpy(arp + 24, target ? target->asker.bytes : address->bytes, 4);
        return ETHERNET + ARP_LENGTH;
}

static size_t make_advertisement(const struct cx_address *address, const unsigned char *own,
                                 const struct neighbor_message *target, unsigned char *to)
{
        static const unsigned char all_nodes_mac[MAC_LENGTH] = {0x33, 0x33, 0, 0, 0, 1};
        bool alone = target && target->asker.family == CX_IPV6; // who has no address hears what goes to everybody
        unsigned char *ipv6 = to + ETHERNET, *message = ipv6 + IPV6_HEADER, *option = message + NEIGHBOR_LENGTH;
        memset(to, 0, FRAME_MAX);
        put_ethernet(to, alone ? target->sender : all_nodes_mac, own, TYPE_IPV6);
        ipv6[0] = 6 << 4;
        put16(ipv6 + 4, NEIGHBOR_LENGTH + OPTION_LENGTH);
        ipv6[6] = ICMPV6;
        ipv6[7] = 255;
        memcpy(ipv6 + 8, address->bytes, 16);
        memcpy(ipv6 + 24, alone ? target->asker.bytes : all_nodes, 16);
        message[0] = ADVERTISEMENT;
        message[4] = FLAG_OVERRIDE | (alone ? FLAG_SOLICITED : 0);
        memcpy(message + 8, address->bytes, 16);
        option[0] = OPTION_TARGET;
        option[1] = 1;
        memcpy(option + 2, own, MAC_LENGTH);
        put16(message + 2, checksum(ipv6, message, NEIGHBOR_LENGTH + OPTION_LENGTH));
        return ETHERNET + IPV6_HEADER + NEIGHBOR_LENGTH + OPTION_LENGTH;
}

size_t frame_answer(const struct neighbor_message *question, const unsigned char own[MAC_LENGTH],
                    unsigned char to[FRAME_MAX])
{
        return question->address.family == CX_IPV4 ? make_arp(&question->address, own, ARP_REPLY, question, to)
                                                   : make_advertisement(&question->address, own, question, to);
}

size_t frame_announce(const struct cx_address *address, const unsigned char own[MAC_LENGTH], bool as_answer,
                      unsigned char to[FRAME_MAX])
{
        return address->family == CX_IPV4 ? make_arp(address, own, as_answer ? ARP_REPLY : ARP_REQUEST, NULL, to)
                                          : make_advertisement(address, own, NULL, to);
}

struct cx_address solicited_group(const struct cx_address *address)
{
        struct cx_address group = {CX_IPV6, {0xff, 0x02, [11] = 1, [12] = 0xff}};
        memcpy(group.bytes + 13, address->bytes + 13, 3);
        return group;
}
