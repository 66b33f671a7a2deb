// SPDX-License-Identifier: Apache-2.0
// Queries and answers with ldns; what is forwarded is kept for a while.
#include "addons/dns/resolver.h"

#include "addons/dns/cache.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/random.h"

#define MAX_CACHED ((size_t)4 << 20) // bytes of forwarded answers
#define MAX_TTL 30                   // seconds that a forwarded answer is kept at most
#define NEGATIVE_TTL 5

struct resolver {
        const struct zone *zone;
        struct upstreams *upstreams;
        struct answer_cache *cache; // see cache_key
};

struct resolver *resolver_new(const struct zone *zone, struct upstreams *upstreams)
{
        struct resolver *resolver = cx_alloc(sizeof *resolver);
        *resolver = (struct resolver){zone, upstreams, answer_cache_new(MAX_CACHED)};
        return resolver;
}

void resolver_free(struct resolver *resolver)
{
        if (resolver)
                answer_cache_free(resolver->cache);
        free(resolver);
}

// --- messages ---

// Lower-case presentation form without the final dot; NULL when too odd to be a host name.
static char *name_of(const ldns_rr *question)
{
        char *text = ldns_rdf2str(ldns_rr_owner(question));
        size_t length = text ? strlen(text) : 0;
        if (length && text[length - 1] == '.')
                text[length - 1] = '\0';
        for (char *p = text; p && *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p - 'A' + 'a');
        return text;
}

static ldns_pkt *parse_query(const uint8_t *query, size_t length)
{
        ldns_pkt *packet = NULL;
        if (length < LDNS_HEADER_SIZE || ldns_wire2pkt(&packet, query, length) != LDNS_STATUS_OK)
                return NULL;
        if (ldns_pkt_qr(packet) || ldns_pkt_qdcount(packet) != 1) {
                ldns_pkt_free(packet);
                return NULL;
        }
        return packet;
}

static size_t room(const ldns_pkt *query, bool udp)
{
        if (!udp)
                return DNS_MAX;
        size_t offered = ldns_pkt_edns_udp_size(query);
        return offered > DNS_UDP_MAX ? DNS_UDP_MAX : offered > DNS_UDP ? offered : DNS_UDP;
}

static ldns_pkt *new_answer(const ldns_pkt *query, ldns_pkt_rcode code)
{
        ldns_pkt *answer = ldns_pkt_new();
        ldns_pkt_set_id(answer, ldns_pkt_id(query));
        ldns_pkt_set_qr(answer, true);
        ldns_pkt_set_rd(answer, ldns_pkt_rd(query));
        ldns_pkt_set_ra(answer, true);
        ldns_pkt_set_opcode(answer, ldns_pkt_get_opcode(query));
        ldns_pkt_set_rcode(answer, code);
        ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
        ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
        return answer;
}

static void push_all(ldns_pkt *packet, ldns_pkt_section section, ldns_rr_list *list)
{
        for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++)
                ldns_pkt_push_rr(packet, section, ldns_rr_clone(ldns_rr_list_rr(list, i)));
}

// Encodes; what does not fit is left out and marked as truncated. Frees the packet.
static int encode(ldns_pkt *packet, const ldns_pkt *query, bool udp, uint8_t **ret_wire, size_t *ret_length)
{
        uint8_t *wire = NULL;
        size_t length = 0;
        if (ldns_pkt_edns(query)) {
                ldns_pkt_set_edns_udp_size(packet, DNS_UDP_MAX);
        }
        ldns_status status = ldns_pkt2wire(&wire, packet, &length);
        if (status == LDNS_STATUS_OK && length > room(query, udp)) {
                free(wire);
                wire = NULL;
                ldns_rr_list_deep_free(ldns_pkt_answer(packet));
                ldns_pkt_set_answer(packet, ldns_rr_list_new());
                ldns_rr_list_deep_free(ldns_pkt_additional(packet));
                ldns_pkt_set_additional(packet, ldns_rr_list_new());
                ldns_pkt_set_ancount(packet, 0);
                ldns_pkt_set_arcount(packet, 0);
                ldns_pkt_set_tc(packet, true);
                status = ldns_pkt2wire(&wire, packet, &length);
        }
        ldns_pkt_free(packet);
        if (status != LDNS_STATUS_OK)
                return -EIO;
        *ret_wire = wire;
        *ret_length = length;
        return 1;
}

// An alias is followed while its target is ours. Returns the target that is not, for which others must be asked, or NULL;
// owned by the caller.
static char *follow_alias(const struct zone *zone, ldns_rr_type type, ldns_rr_list *answers, ldns_rr_list *extra)
{
        for (int hop = 0; hop < 8; hop++) {
                size_t n = ldns_rr_list_rr_count(answers);
                ldns_rr *last = n ? ldns_rr_list_rr(answers, n - 1) : NULL;
                if (!last || ldns_rr_get_type(last) != LDNS_RR_TYPE_CNAME || type == LDNS_RR_TYPE_CNAME)
                        return NULL;
                CX_CLEANUP(cx_freep) char *target = ldns_rdf2str(ldns_rr_rdf(last, 0));
                size_t length = target ? strlen(target) : 0;
                if (!length)
                        return NULL;
                target[length - 1] = '\0';
                if (zone_lookup(zone, target, type, answers, extra) == ZONE_NOT_OURS)
                        return cx_steal(&target);
                if (ldns_rr_list_rr_count(answers) == n)
                        return NULL;
        }
        return NULL;
}

// --- cache ---

// What an answer depends on: the question (as it was written: resolvers may check the letters' case) and whether there is
// EDNS, and with DNSSEC records.
static char *cache_key(const ldns_pkt *query)
{
        const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
        CX_CLEANUP(cx_freep) char *name = ldns_rdf2str(ldns_rr_owner(question));
        return cx_sprintf("%s %d %d %d%d%d", cx_str(name), (int)ldns_rr_get_type(question),
                          (int)ldns_rr_get_class(question), ldns_pkt_edns(query), ldns_pkt_edns_do(query),
                          ldns_pkt_cd(query));
}

static void age(ldns_rr_list *list, int64_t seconds)
{
        for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
                ldns_rr *record = ldns_rr_list_rr(list, i);
                int64_t left = (int64_t)ldns_rr_ttl(record) - seconds;
                ldns_rr_set_ttl(record, left > 0 ? (uint32_t)left : 0);
        }
}

static bool from_cache(struct resolver *resolver, const ldns_pkt *query, bool udp, uint8_t **ret_wire,
                       size_t *ret_length)
{
        CX_CLEANUP(cx_freep) char *key = cache_key(query);
        CX_CLEANUP(cx_freep) uint8_t *wire = NULL;
        ldns_pkt *packet = NULL;
        size_t length;
        int64_t seconds;
        if (!answer_cache_get(resolver->cache, key, room(query, udp), &wire, &length, &seconds) ||
            ldns_wire2pkt(&packet, wire, length) != LDNS_STATUS_OK)
                return false;
        age(ldns_pkt_answer(packet), seconds);
        age(ldns_pkt_authority(packet), seconds);
        age(ldns_pkt_additional(packet), seconds);
        ldns_pkt_set_id(packet, ldns_pkt_id(query));
        return encode(packet, query, udp, ret_wire, ret_length) > 0;
}

static void into_cache(struct resolver *resolver, const ldns_pkt *query, uint64_t client, const uint8_t *wire,
                       size_t length)
{
        ldns_pkt *packet = NULL;
        if (ldns_wire2pkt(&packet, wire, length) != LDNS_STATUS_OK)
                return;
        ldns_pkt_rcode code = ldns_pkt_get_rcode(packet);
        uint32_t ttl = ldns_pkt_ancount(packet) ? MAX_TTL : NEGATIVE_TTL;
        for (size_t i = 0; i < ldns_pkt_ancount(packet); i++) {
                uint32_t own = ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(packet), i));
                ttl = own < ttl ? own : ttl;
        }
        bool keep = (code == LDNS_RCODE_NOERROR || code == LDNS_RCODE_NXDOMAIN) && !ldns_pkt_tc(packet) && ttl;
        ldns_pkt_free(packet);
        CX_CLEANUP(cx_freep) char *key = cache_key(query);
        if (keep)
                answer_cache_put(resolver->cache, key, client, wire, length, ttl);
}

// --- answering ---

// What the zone says. Steals both lists.
static ldns_pkt *zone_answer(const struct zone *zone, const ldns_pkt *query, enum zone_result result,
                             ldns_rr_list *answers, ldns_rr_list *extra)
{
        ldns_pkt *answer = new_answer(query, result == ZONE_NO_NAME     ? LDNS_RCODE_NXDOMAIN
                                             : result == ZONE_NOT_READY ? LDNS_RCODE_SERVFAIL
                                                                        : LDNS_RCODE_NOERROR);
        ldns_pkt_set_aa(answer, true);
        push_all(answer, LDNS_SECTION_ANSWER, answers);
        push_all(answer, LDNS_SECTION_ADDITIONAL, extra);
        ldns_rr *soa = ldns_rr_list_rr_count(answers) ? NULL : zone_soa(zone);
        if (soa)
                ldns_pkt_push_rr(answer, LDNS_SECTION_AUTHORITY, soa);
        ldns_rr_list_deep_free(answers);
        ldns_rr_list_deep_free(extra);
        return answer;
}

static int answer_query(struct resolver *resolver, const ldns_pkt *query, bool udp, uint8_t **ret_answer,
                        size_t *ret_length)
{
        ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
        ldns_rr_type type = ldns_rr_get_type(question);
        if (ldns_pkt_get_opcode(query) != LDNS_PACKET_QUERY)
                return encode(new_answer(query, LDNS_RCODE_NOTIMPL), query, udp, ret_answer, ret_length);
        CX_CLEANUP(cx_freep) char *name = name_of(question);
        if (!name)
                return encode(new_answer(query, LDNS_RCODE_FORMERR), query, udp, ret_answer, ret_length);
        ldns_rr_list *answers = ldns_rr_list_new(), *extra = ldns_rr_list_new();
        enum zone_result result = zone_lookup(resolver->zone, name, type, answers, extra);
        CX_CLEANUP(cx_freep) char *outside = NULL;
        if (result == ZONE_ANSWER)
                outside = follow_alias(resolver->zone, type, answers, extra);
        if (result != ZONE_NOT_OURS && !outside)
                return encode(zone_answer(resolver->zone, query, result, answers, extra), query, udp, ret_answer,
                              ret_length);
        ldns_rr_list_deep_free(answers);
        ldns_rr_list_deep_free(extra);
        return outside ? 0 : from_cache(resolver, query, udp, ret_answer, ret_length);
}

int resolver_answer(struct resolver *resolver, const struct dns_query *query, uint8_t **ret_answer, size_t *ret_length)
{
        ldns_pkt *packet = parse_query(query->bytes, query->length);
        if (!packet)
                return -EPROTO;
        int r = answer_query(resolver, packet, query->udp, ret_answer, ret_length);
        ldns_pkt_free(packet);
        return r;
}

// --- forwarding ---

// From the cache or the upstream servers; negative when nobody answers.
static int ask_others(struct resolver *resolver, const ldns_pkt *packet, const struct dns_query *query,
                      uint8_t **ret_answer, size_t *ret_length)
{
        if (from_cache(resolver, packet, query->udp, ret_answer, ret_length))
                return 1;
        CX_CLEANUP(cx_freep) uint8_t *buffer = cx_alloc(DNS_MAX);
        ssize_t n = upstreams_ask(resolver->upstreams, query->bytes, query->length, query->udp, buffer, DNS_MAX);
        if (n < 0)
                return (int)n;
        into_cache(resolver, packet, query->client, buffer, (size_t)n);
        *ret_answer = cx_alloc((size_t)n);
        memcpy(*ret_answer, buffer, (size_t)n);
        *ret_length = (size_t)n;
        return 1;
}

// Asks for a name of ours' target. NULL when nobody answers.
static ldns_pkt *ask_target(struct resolver *resolver, uint64_t client, const char *target, ldns_rr_type type)
{
        ldns_rdf *name = ldns_dname_new_frm_str(target);
        ldns_pkt *query = name ? ldns_pkt_query_new(name, type, LDNS_RR_CLASS_IN, LDNS_RD) : NULL, *reply = NULL;
        uint8_t *wire = NULL;
        size_t length = 0;
        if (query)
                ldns_pkt_set_edns_udp_size(query, DNS_UDP_MAX);
        else
                ldns_rdf_deep_free(name);
        if (query && ldns_pkt2wire(&wire, query, &length) == LDNS_STATUS_OK)
                for (int udp = 1; udp >= 0 && (!reply || ldns_pkt_tc(reply)); udp--) {
                        CX_CLEANUP(cx_freep) uint8_t *answer = NULL;
                        size_t n = 0;
                        ldns_pkt_free(reply);
                        reply = NULL;
                        const struct dns_query own = {wire, length, udp, client};
                        if (ask_others(resolver, query, &own, &answer, &n) < 0 ||
                            ldns_wire2pkt(&reply, answer, n) != LDNS_STATUS_OK)
                                break;
                }
        free(wire);
        ldns_pkt_free(query); // with the name
        return reply;
}

static int servfail(const ldns_pkt *query, bool udp, uint8_t **ret_answer, size_t *ret_length)
{
        return encode(new_answer(query, LDNS_RCODE_SERVFAIL), query, udp, ret_answer, ret_length);
}

// An alias of ours (ExternalName) with what the others know of its target: stub resolvers do not ask a second time.
struct alias {
        ldns_rr_list *answers, *extra; // owned by what answers
        const char *target;
};

static int forward_alias(struct resolver *resolver, const ldns_pkt *packet, const struct dns_query *query,
                         const struct alias *alias, uint8_t **ret_answer, size_t *ret_length)
{
        ldns_rr_type type = ldns_rr_get_type(ldns_rr_list_rr(ldns_pkt_question(packet), 0));
        ldns_pkt *reply = ask_target(resolver, query->client, alias->target, type);
        ldns_pkt *answer = zone_answer(resolver->zone, packet, ZONE_ANSWER, alias->answers, alias->extra);
        if (reply) {
                push_all(answer, LDNS_SECTION_ANSWER, ldns_pkt_answer(reply));
                ldns_pkt_set_rcode(answer, ldns_pkt_get_rcode(reply));
        } else {
                ldns_pkt_set_rcode(answer, LDNS_RCODE_SERVFAIL);
        }
        ldns_pkt_free(reply);
        return encode(answer, packet, query->udp, ret_answer, ret_length);
}

int resolver_forward(struct resolver *resolver, const struct dns_query *query, uint8_t **ret_answer, size_t *ret_length)
{
        ldns_pkt *packet = parse_query(query->bytes, query->length);
        if (!packet)
                return -EPROTO;
        ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
        CX_CLEANUP(cx_freep) char *name = name_of(question);
        CX_CLEANUP(cx_freep) char *outside = NULL;
        ldns_rr_list *answers = ldns_rr_list_new(), *extra = ldns_rr_list_new();
        if (name && zone_lookup(resolver->zone, name, ldns_rr_get_type(question), answers, extra) == ZONE_ANSWER)
                outside = follow_alias(resolver->zone, ldns_rr_get_type(question), answers, extra);
        int r;
        if (outside) {
                r = forward_alias(resolver, packet, query, &(struct alias){answers, extra, outside}, ret_answer,
                                  ret_length);
        } else {
                ldns_rr_list_deep_free(answers);
                ldns_rr_list_deep_free(extra);
                r = ask_others(resolver, packet, query, ret_answer, ret_length);
        }
        if (r < 0)
                r = servfail(packet, query->udp, ret_answer, ret_length);
        ldns_pkt_free(packet);
        return r;
}
