// SPDX-License-Identifier: Apache-2.0
// What the schema's tables cannot say about a kind: small sets of functions, looked up by group and resource. Each may be
// NULL. They run on workers and may block (allocations).
#pragma once

#include "apiserver/apiserver.h"

struct strategy {
        const char *group, *resource;
        // Before defaults and validation of a new object: fills and clears what clients may not choose.
        int (*prepare_create)(struct call *call, json_t *object, struct cx_error *err);
        // The same for a change; `old` is what is stored. subresource NULL: the object itself.
        int (*prepare_update)(struct call *call, json_t *object, const json_t *old, const char *subresource,
                              struct cx_error *err);
        // Rules across fields and between old and new; adds causes, returns 0 (the caller collects) .
        void (*validate)(struct call *call, const json_t *object, const json_t *old, const char *subresource,
                         struct cx_error *causes);
        // Takes what must be unique in the cluster (addresses, ports) just before the write, and gives it back when the
        // write failed or the object has gone.
        int (*allocate)(struct call *call, json_t *object, const json_t *old, struct cx_error *err);
        void (*release)(struct apiserver *api, const json_t *object, const json_t *kept);
        // Seconds of grace for a deletion; 0: at once. `options` as asked for (-1: not given). Sets *ret_seconds.
        void (*grace)(const json_t *object, int64_t asked, int64_t *ret_seconds);
        // Begins a deletion that ends only through a subresource (namespaces): true when the object must stay.
        bool (*begin_delete)(json_t *object);
        bool create_on_update;             // PUT makes an absent object
        bool keeps_status_on_create;       // status of a new object is the client's (nodes)
        int64_t (*ttl)(struct call *call); // seconds to live (events)
};

const struct strategy *strategy_of(const struct cx_resource *resource); // never NULL

extern const struct strategy strategy_pods, strategy_services, strategy_namespaces, strategy_nodes, strategy_configmaps,
        strategy_secrets, strategy_events, strategy_events_v1, strategy_leases, strategy_endpoints, strategy_csrs,
        strategy_priority_classes, strategy_claims, strategy_volumes, strategy_clusterroles, strategy_roles,
        strategy_clusterrolebindings, strategy_rolebindings, strategy_jobs;
