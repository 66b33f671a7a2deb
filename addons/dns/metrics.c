// SPDX-License-Identifier: Apache-2.0
// Everything is read off the answer: its question and its code. The zone is always ".", as with CoreDNS' usual Corefile, which
// serves the cluster's domain and the rest of the world in one block.
#include "addons/dns/metrics.h"

#include "libcommon/base/time.h"

#include <strings.h>

#define HEADER 12
#define ZONE "."

static const double bounds[] = {.00025, .0005, .001, .002, .004,  .008,  .016,  .032,
                                .064,   .128,  .256, .512, 1.024, 2.048, 4.096, 8.192};

// "cluster.local" becomes 7cluster5local0.
static size_t encode(const char *domain, uint8_t to[256])
{
        size_t n = 0;
        while (*domain) {
                size_t length = strcspn(domain, ".");
                if (length > 63 || n + length + 2 > 256)
                        break;
                to[n++] = (uint8_t)length;
                memcpy(to + n, domain, length);
                n += length;
                domain += length + (domain[length] == '.');
        }
        to[n++] = 0;
        return n;
}

void dns_metrics_init(struct dns_metrics *self, struct cx_metrics *metrics, const char *domain, int port)
{
        static const char *const of_requests[] = {"server", "zone", "view", "proto", "family", "type", NULL};
        static const char *const of_durations[] = {"server", "zone", "view", NULL};
        static const char *const of_responses[] = {"server", "zone", "view", "rcode", "plugin", NULL};
        static const char *const of_hits[] = {"server", "type", "zones", "view", NULL};
        static const char *const of_misses[] = {"server", "zones", "view", NULL};
        self->n_domain = encode(domain, self->domain);
        self->server = cx_sprintf("dns://:%d", port);
        self->requests = cx_metrics_counter(metrics, "coredns_dns_requests_total",
                                            "Questions, by zone, protocol and type.", of_requests);
        self->durations =
                cx_metrics_histogram(metrics, "coredns_dns_request_duration_seconds", "From a question to its answer.",
                                     of_durations, bounds, CX_ARRAY_SIZE(bounds));
        self->responses =
                cx_metrics_counter(metrics, "coredns_dns_responses_total", "Answers, by zone and code.", of_responses);
        self->hits = cx_metrics_counter(metrics, "coredns_cache_hits_total",
                                        "Answers of other name servers that were still known.", of_hits);
        self->misses = cx_metrics_counter(metrics, "coredns_cache_misses_total",
                                          "Questions for which other name servers were asked.", of_misses);
}

void dns_metrics_release(struct dns_metrics *self)
{
        free(self->server);
}

// The end of the first question's name, with the byte of its root; 0 when there is none.
static size_t end_of_name(const uint8_t *answer, size_t length)
{
        size_t at = HEADER;
        while (at < length && answer[at] && answer[at] < 64) // labels
                at += (size_t)answer[at] + 1;
        return at < length && !answer[at] ? at + 1 : 0;
}

// "other" for what nobody draws, so that clients cannot make series.
static const char *type_of(const uint8_t *answer, size_t length, size_t end)
{
        static const struct {
                int type;
                const char *name;
        } names[] = {{1, "A"},      {2, "NS"},      {5, "CNAME"}, {6, "SOA"},    {12, "PTR"},
                     {15, "MX"},    {16, "TXT"},    {28, "AAAA"}, {33, "SRV"},   {43, "DS"},
                     {46, "RRSIG"}, {48, "DNSKEY"}, {64, "SVCB"}, {65, "HTTPS"}, {255, "ANY"}};
        if (end && end + 1 < length)
                for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                        if (names[i].type == (answer[end] << 8 | answer[end + 1]))
                                return names[i].name;
        return "other";
}

static bool is_ours(const struct dns_metrics *self, const uint8_t *answer, size_t end)
{
        if (end < HEADER + self->n_domain)
                return false;
        return strncasecmp((const char *)answer + end - self->n_domain, (const char *)self->domain, self->n_domain) ==
               0;
}

static const char *code_of(int code)
{
        static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
        return code < (int)CX_ARRAY_SIZE(names) ? names[code] : "other";
}

void dns_metrics_count(const struct dns_metrics *self, const struct dns_counted *counted)
{
        if (counted->length < HEADER)
                return;
        size_t end = end_of_name(counted->answer, counted->length);
        bool ours = is_ours(self, counted->answer, end);
        int code = counted->answer[3] & 15;
        cx_metric_add(self->requests, 1, self->server, ZONE, "", counted->udp ? "udp" : "tcp",
                      counted->family == AF_INET6 ? "2" : "1", type_of(counted->answer, counted->length, end));
        cx_metric_add(self->responses, 1, self->server, ZONE, "", code_of(code), ours ? "kubernetes" : "forward");
        cx_metric_observe(self->durations, (double)(cx_time_monotonic() - counted->begun) / CX_NS_PER_S, self->server,
                          ZONE, "");
        if (counted->source == DNS_FORWARDED)
                cx_metric_add(self->misses, 1, self->server, ZONE, "");
        else if (!ours)
                cx_metric_add(self->hits, 1, self->server, code == 3 ? "denial" : "success", ZONE, "");
}
