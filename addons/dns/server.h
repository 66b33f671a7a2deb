// SPDX-License-Identifier: Apache-2.0
// UDP and TCP on port 53. One thread receives and answers what is known at once; what must be forwarded goes to a small
// pool, so that a slow upstream never holds up the cluster's own names.
#pragma once

#include "addons/dns/metrics.h"
#include "addons/dns/resolver.h"

struct dns_server;
// Listens on the port of each address (IPv4 or IPv6 text) and starts to answer. Resolver and metrics are borrowed.
int dns_server_new(struct resolver *resolver, const struct dns_metrics *metrics, const struct cx_strings *addresses,
                   int port, struct dns_server **ret_server, struct cx_error *err) CX_CHECK;
// Whether no turn of the receiving thread has taken more than `limit` ns.
bool dns_server_alive(const struct dns_server *server, int64_t limit);
// Ends the threads: waits for what is being forwarded, drops what waits for that.
void dns_server_free(struct dns_server *server);
