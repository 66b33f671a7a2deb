// SPDX-License-Identifier: Apache-2.0
// What was asked and answered, under the names that CoreDNS' dashboards read.
#pragma once

#include "libcommon/base/metrics.h"

#include <sys/socket.h>

enum dns_source { DNS_AT_ONCE, DNS_FORWARDED };

struct dns_metrics {
        char *server;        // "dns://:53"
        uint8_t domain[256]; // of the cluster, as messages have it
        size_t n_domain;
        struct cx_metric *requests, *durations, *responses, *hits, *misses;
};
// The registry is borrowed. `domain` is the cluster's ("cluster.local").
void dns_metrics_init(struct dns_metrics *self, struct cx_metrics *metrics, const char *domain, int port);
void dns_metrics_release(struct dns_metrics *self);

struct dns_counted {
        const uint8_t *answer; // a message
        size_t length;
        bool udp;
        sa_family_t family;
        enum dns_source source;
        int64_t begun; // monotonic ns
};
// Counts a question by its answer. Any thread.
void dns_metrics_count(const struct dns_metrics *self, const struct dns_counted *counted);
