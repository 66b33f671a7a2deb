// SPDX-License-Identifier: Apache-2.0
// From a query's bytes to an answer's: checks, the zone, the cache of forwarded answers, and forwarding itself.
#pragma once

#include "addons/dns/upstreams.h"
#include "addons/dns/zone.h"

#define DNS_UDP 512      // bytes of a message without EDNS (RFC 1035)
#define DNS_UDP_MAX 1232 // what we offer with EDNS (RFC 6891; DNS flag day 2020)
#define DNS_MAX 65535

struct resolver;
struct resolver *resolver_new(const struct zone *zone, struct upstreams *upstreams); // borrows both
void resolver_free(struct resolver *resolver);

struct dns_query {
        const uint8_t *bytes;
        size_t length;
        bool udp;        // the answer must fit a datagram, or is marked as truncated
        uint64_t client; // who asks: what is kept is on its account
};
// Answers at once what the zone or the cache knows: 1 with *ret_answer (malloc'd), 0 when it must be forwarded, negative
// when the query deserves no answer. Any thread.
int resolver_answer(struct resolver *resolver, const struct dns_query *query, uint8_t **ret_answer, size_t *ret_length);
// Asks the upstream servers; blocks for some seconds at most. Always gives an answer (SERVFAIL at worst) or negative.
int resolver_forward(struct resolver *resolver, const struct dns_query *query, uint8_t **ret_answer,
                     size_t *ret_length);
