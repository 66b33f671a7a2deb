// SPDX-License-Identifier: Apache-2.0
// Ethernet frames by which neighbours find each other: ARP (RFC 826) for IPv4, neighbour discovery (RFC 4861) for IPv6.
// Pure. What comes in is anybody's: every byte is checked before it is believed.
#pragma once

#include "libcommon/base/address.h"

#define MAC_LENGTH 6
#define FRAME_MAX 86 // of those that are made here: a neighbour advertisement with its option

struct neighbor_message {
        enum neighbor_kind {
                NEIGHBOR_ASKED,  // who has this address?
                NEIGHBOR_CLAIMED // the sender has it
        } kind;
        struct cx_address address;        // asked for, or claimed
        struct cx_address asker;          // family NONE: it has no address yet, and looks whether one is free
        unsigned char sender[MAC_LENGTH]; // of the asker, or of who claims
};
// False: it is none of these, or is malformed.
bool frame_parse(const unsigned char *data, size_t length, struct neighbor_message *ret_message);
// The answer to a question: `own` has the address. Returns the frame's length.
size_t frame_answer(const struct neighbor_message *question, const unsigned char own[MAC_LENGTH],
                    unsigned char to[FRAME_MAX]);
// To everybody: `own` has the address. IPv4 has two ways to say so, and hosts that heed only one of them.
size_t frame_announce(const struct cx_address *address, const unsigned char own[MAC_LENGTH], bool as_answer,
                      unsigned char to[FRAME_MAX]);
// The multicast group of those who ask for an IPv6 address.
struct cx_address solicited_group(const struct cx_address *address);
