// SPDX-License-Identifier: Apache-2.0
// The HTTP ports of the proxy: its own health and metrics, and the health-check node port of every Service that wants only
// local endpoints to get traffic, by which balancers find the nodes that have some.
#pragma once

#include "kube-proxy/rules.h"
#include "libcommon/base/metrics.h"

struct health;
struct health *health_new(struct cx_metrics *metrics, int64_t sync_period);
void health_free(struct health *health);
bool health_alive(const struct health *health, int64_t limit); // the ports answer within `limit` ns each
// `address` is "host:port"; "" serves nothing.
int health_serve(struct health *health, const char *address, bool metrics, struct cx_error *err) CX_CHECK;
void health_queued(struct health *health);                      // something waits to be written
void health_updated(struct health *health);                     // all was written
void health_set_eligible(struct health *health, bool eligible); // false: the node is going away
// Opens and closes ports as needed. One thread.
void health_set_checks(struct health *health, const struct health_check *checks, size_t count);
