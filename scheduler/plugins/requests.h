// SPDX-License-Identifier: Apache-2.0
// What pods request and what is requested of nodes, as the plugins about resources count it; and the resources that a
// profile has them score.
#pragma once

#include "scheduler/plugins/plugins.h"

struct wanted_resource {
        struct resource_amount amount;
        char *name;
};
struct pod_requests {
        int64_t base[RESOURCE_BASE];
        LIST(struct wanted_resource, extended);
        int64_t nonzero[2]; // cpu and memory as scoring sees them: with something for containers that ask for nothing
};
struct node_requests {
        int64_t base[RESOURCE_BASE], nonzero[2];
        LIST(struct resource_amount, extended); // in no order: there are few
};

extern const char *const requests_fields[];
void requests_parse(void *pod_requests, const json_t *pod);
void requests_release(void *pod_requests);
void requests_count(void *node_requests, const void *pod_requests, int sign);
void requests_release_node(void *node_requests);
// Of an extended resource: what the node has, and what is taken of it.
void requests_extended(const struct cycle *cycle, const struct node *node, uint64_t id, int64_t *ret_allocatable,
                       int64_t *ret_requested);

struct scored_resource {
        int base; // -1: an extended one
        uint64_t id;
        int64_t weight;
};
struct scored_resources {
        LIST(struct scored_resource, list);
};
int scored_parse(struct scored_resources *to, const json_t *resources, struct cx_error *err) CX_CHECK;
void scored_release(struct scored_resources *resources);
// What there is of a resource on the node, and what would be requested with the pod there; false when it does not count:
// the node has none of it, or the pod does not ask for an extended one. `nonzero`: as scoring sees pods that do not say what
// they need.
bool scored_amounts(const struct cycle *cycle, const struct node *node, const struct scored_resource *resource,
                    bool nonzero, int64_t *ret_allocatable, int64_t *ret_requested);
