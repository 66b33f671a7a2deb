// SPDX-License-Identifier: Apache-2.0
#include "addons/dns/resolver.h"

#include "base/map.h"
#include "base/random.h"
#include "base/time.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>

#define UPSTREAM_TIMEOUT_MS 2000
#define MAX_CACHED 10000
#define MAX_TTL 30 // seconds that a forwarded answer is kept at most
#define NEGATIVE_TTL 5

struct cached {
        uint8_t *wire;
        size_t length;
        int64_t until;
};

struct cx_resolver {
        const struct cx_zone *zone;
        struct sockaddr_in upstreams[8];
        size_t n_upstreams;
        pthread_mutex_t lock; // guards cache
        struct cx_map cache;  // "name type" → struct cached
};

static void free_cached(void *value)
{
        struct cached *cached = value;
        free(cached->wire);
        free(cached);
}

int cx_resolver_new(const struct cx_zone *zone, const struct cx_strings *upstreams, struct cx_resolver **ret_resolver,
                    struct cx_error *err)
{
        struct cx_resolver *resolver = cx_alloc(sizeof *resolver);
        resolver->zone = zone;
        resolver->cache = (struct cx_map)CX_MAP_INIT_FREE(free_cached);
        pthread_mutex_init(&resolver->lock, NULL);
        for (size_t i = 0; i < upstreams->count && resolver->n_upstreams < CX_ARRAY_SIZE(resolver->upstreams); i++) {
                struct sockaddr_in *server = &resolver->upstreams[resolver->n_upstreams];
                CX_CLEANUP(cx_freep) char *host = cx_strdup(upstreams->items[i]);
                char *colon = strchr(host, ':');
                int64_t port = 53;
                if (colon)
                        *colon = '\0';
                if ((colon && cx_parse_int(colon + 1, 1, 65535, &port) < 0) ||
                    inet_pton(AF_INET, host, &server->sin_addr) != 1) {
                        int r = cx_error_set(err, -EINVAL, "name server \"%s\" is no IPv4 address",
                                             upstreams->items[i]);
                        cx_resolver_free(resolver);
                        return r;
                }
                server->sin_family = AF_INET;
                server->sin_port = htons((uint16_t)port);
                resolver->n_upstreams++;
        }
        *ret_resolver = resolver;
        return 0;
}

void cx_resolver_free(struct cx_resolver *resolver)
{
        if (!resolver)
                return;
        cx_map_release(&resolver->cache);
        pthread_mutex_destroy(&resolver->lock);
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
                return CX_DNS_MAX;
        size_t offered = ldns_pkt_edns_udp_size(query);
        return offered > CX_DNS_UDP_MAX ? CX_DNS_UDP_MAX : offered > CX_DNS_UDP ? offered : CX_DNS_UDP;
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
                ldns_pkt_set_edns_udp_size(packet, CX_DNS_UDP_MAX);
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

// An alias is followed while its target is ours; what lies outside is the client's to ask (or the forwarder's).
static void follow_alias(const struct cx_zone *zone, ldns_rr_type type, ldns_rr_list *answers, ldns_rr_list *extra)
{
        for (int hop = 0; hop < 8; hop++) {
                size_t n = ldns_rr_list_rr_count(answers);
                ldns_rr *last = n ? ldns_rr_list_rr(answers, n - 1) : NULL;
                if (!last || ldns_rr_get_type(last) != LDNS_RR_TYPE_CNAME || type == LDNS_RR_TYPE_CNAME)
                        return;
                CX_CLEANUP(cx_freep) char *target = ldns_rdf2str(ldns_rr_rdf(last, 0));
                size_t length = target ? strlen(target) : 0;
                if (!length)
                        return;
                target[length - 1] = '\0';
                if (cx_zone_lookup(zone, target, type, answers, extra) != CX_ZONE_ANSWER ||
                    ldns_rr_list_rr_count(answers) == n)
                        return;
        }
}

// --- cache ---

static char *cache_key(const char *name, ldns_rr_type type)
{
        return cx_sprintf("%s %d", name, (int)type);
}

static bool from_cache(struct cx_resolver *resolver, const char *name, ldns_rr_type type, const ldns_pkt *query,
                       bool udp, uint8_t **ret_wire, size_t *ret_length)
{
        CX_CLEANUP(cx_freep) char *key = cache_key(name, type);
        bool found = false;
        pthread_mutex_lock(&resolver->lock);
        const struct cached *cached = cx_map_get(&resolver->cache, key);
        if (cached && cached->until > cx_time_monotonic() && cached->length <= room(query, udp)) {
                *ret_wire = cx_alloc(cached->length);
                memcpy(*ret_wire, cached->wire, cached->length);
                *ret_length = cached->length;
                (*ret_wire)[0] = (uint8_t)(ldns_pkt_id(query) >> 8);
                (*ret_wire)[1] = (uint8_t)ldns_pkt_id(query);
                found = true;
        }
        pthread_mutex_unlock(&resolver->lock);
        return found;
}

static void into_cache(struct cx_resolver *resolver, const char *name, ldns_rr_type type, const uint8_t *wire,
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
        if (!keep)
                return;
        struct cached *cached = cx_alloc(sizeof *cached);
        cached->wire = cx_alloc(length);
        memcpy(cached->wire, wire, length);
        cached->length = length;
        cached->until = cx_time_monotonic() + ttl * CX_NS_PER_S;
        CX_CLEANUP(cx_freep) char *key = cache_key(name, type);
        pthread_mutex_lock(&resolver->lock);
        if (resolver->cache.count >= MAX_CACHED)
                cx_map_clear(&resolver->cache);
        cx_map_set(&resolver->cache, key, cached);
        pthread_mutex_unlock(&resolver->lock);
}

// --- answering ---

static int answer_query(struct cx_resolver *resolver, const ldns_pkt *query, bool udp, uint8_t **ret_answer,
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
        enum cx_zone_result result = cx_zone_lookup(resolver->zone, name, type, answers, extra);
        int r = 0;
        if (result == CX_ZONE_NOT_OURS) {
                r = from_cache(resolver, name, type, query, udp, ret_answer, ret_length);
        } else {
                follow_alias(resolver->zone, type, answers, extra);
                ldns_pkt *answer = new_answer(query, result == CX_ZONE_NO_NAME     ? LDNS_RCODE_NXDOMAIN
                                                     : result == CX_ZONE_NOT_READY ? LDNS_RCODE_SERVFAIL
                                                                                   : LDNS_RCODE_NOERROR);
                ldns_pkt_set_aa(answer, true);
                push_all(answer, LDNS_SECTION_ANSWER, answers);
                push_all(answer, LDNS_SECTION_ADDITIONAL, extra);
                ldns_rr *soa = ldns_rr_list_rr_count(answers) ? NULL : cx_zone_soa(resolver->zone);
                if (soa)
                        ldns_pkt_push_rr(answer, LDNS_SECTION_AUTHORITY, soa);
                r = encode(answer, query, udp, ret_answer, ret_length);
        }
        ldns_rr_list_deep_free(answers);
        ldns_rr_list_deep_free(extra);
        return r;
}

int cx_resolver_answer(struct cx_resolver *resolver, const uint8_t *bytes, size_t length, bool udp,
                       uint8_t **ret_answer, size_t *ret_length)
{
        ldns_pkt *query = parse_query(bytes, length);
        if (!query)
                return -EPROTO;
        int r = answer_query(resolver, query, udp, ret_answer, ret_length);
        ldns_pkt_free(query);
        return r;
}

// One question to one server, under a fresh random id from a fresh random port. Bytes of the answer or negative.
static ssize_t ask(const struct sockaddr_in *server, const uint8_t *query, size_t length, bool udp, uint8_t *to,
                   size_t max)
{
        CX_CLEANUP(cx_closep) int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        CX_CLEANUP(cx_freep) uint8_t *sent = cx_alloc(length + 2);
        struct timeval timeout = {.tv_sec = UPSTREAM_TIMEOUT_MS / 1000};
        uint16_t id;
        cx_random_bytes(&id, sizeof id);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0 ||
            connect(fd, (const struct sockaddr *)server, sizeof *server) < 0)
                return -errno;
        sent[0] = (uint8_t)(length >> 8);
        sent[1] = (uint8_t)length;
        memcpy(sent + 2, query, length);
        memcpy(sent + 2, &id, 2);
        size_t skip = udp ? 2 : 0;
        if (write(fd, sent + skip, length + 2 - skip) < 0)
                return -errno;
        for (;;) {
                ssize_t n;
                if (udp) {
                        n = read(fd, to, max);
                } else {
                        uint8_t prefix[2];
                        if (recv(fd, prefix, 2, MSG_WAITALL) != 2)
                                return -EIO;
                        size_t size = (size_t)prefix[0] << 8 | prefix[1];
                        n = size <= max ? recv(fd, to, size, MSG_WAITALL) : -1;
                }
                if (n < LDNS_HEADER_SIZE)
                        return n < 0 ? -errno : -EPROTO;
                if (memcmp(to, &id, 2) == 0)
                        return n;
                // a stray or forged datagram: the right one may still come
        }
}

static int servfail(const ldns_pkt *query, bool udp, uint8_t **ret_answer, size_t *ret_length)
{
        return encode(new_answer(query, LDNS_RCODE_SERVFAIL), query, udp, ret_answer, ret_length);
}

int cx_resolver_forward(struct cx_resolver *resolver, const uint8_t *bytes, size_t length, bool udp,
                        uint8_t **ret_answer, size_t *ret_length)
{
        ldns_pkt *query = parse_query(bytes, length);
        if (!query)
                return -EPROTO;
        CX_CLEANUP(cx_freep) uint8_t *buffer = cx_alloc(CX_DNS_MAX);
        ssize_t n = -ENETUNREACH;
        for (size_t i = 0; i < resolver->n_upstreams && n < 0; i++)
                n = ask(&resolver->upstreams[i], bytes, length, udp, buffer, CX_DNS_MAX);
        int r = 1;
        if (n < 0) {
                r = servfail(query, udp, ret_answer, ret_length);
        } else {
                ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
                CX_CLEANUP(cx_freep) char *name = name_of(question);
                memcpy(buffer, bytes, 2); // the client's id
                into_cache(resolver, name, ldns_rr_get_type(question), buffer, (size_t)n);
                *ret_answer = cx_alloc((size_t)n);
                memcpy(*ret_answer, buffer, (size_t)n);
                *ret_length = (size_t)n;
        }
        ldns_pkt_free(query);
        return r;
}
