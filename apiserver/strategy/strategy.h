// SPDX-License-Identifier: Apache-2.0
// What the schema's tables cannot say about a kind: small sets of functions, looked up by group and resource. Each may be
// NULL. They run on workers and may block (allocations).
#pragma once

#include "apiserver/apiserver.h"

struct cx_strategy {
        const char *group, *resource;
        // Before defaults and validation of a new object: fills and clears what clients may not choose.
        int (*prepare_create)(struct cx_call *call, json_t *object, struct cx_error *err);
        // The same for a change; `old` is what is stored. subresource NULL: the object itself.
        int (*prepare_update)(struct cx_call *call, json_t *object, const json_t *old, const char *subresource,
                              struct cx_error *err);
        // Rules across fields and between old and new; adds causes, returns 0 (the caller collects) .
        void (*validate)(struct cx_call *call, const json_t *object, const json_t *old, const char *subresource,
                         struct cx_error *causes);
        // Takes what must be unique in the cluster (addresses, ports) just before the write, and gives it back when the
        // write failed or the object has gone.
        int (*allocate)(struct cx_call *call, json_t *object, const json_t *old, struct cx_error *err);
        void (*release)(struct cx_apiserver *api, const json_t *object, const json_t *kept);
        // Seconds of grace for a deletion; 0: at once. `options` as asked for (-1: not given). Sets *ret_seconds.
        void (*grace)(const json_t *object, int64_t asked, int64_t *ret_seconds);
        // Begins a deletion that ends only through a subresource (namespaces): true when the object must stay.
        bool (*begin_delete)(json_t *object);
        bool create_on_update;                // PUT makes an absent object
        bool keeps_status_on_create;          // status of a new object is the client's (nodes)
        int64_t (*ttl)(struct cx_call *call); // seconds to live (events)
};

const struct cx_strategy *cx_strategy_of(const struct cx_resource *resource); // never NULL

extern const struct cx_strategy cx_strategy_pods, cx_strategy_services, cx_strategy_namespaces, cx_strategy_nodes,
        cx_strategy_configmaps, cx_strategy_secrets, cx_strategy_events, cx_strategy_events_v1, cx_strategy_leases,
        cx_strategy_endpoints, cx_strategy_csrs, cx_strategy_priority_classes, cx_strategy_claims, cx_strategy_volumes,
        cx_strategy_clusterroles, cx_strategy_roles, cx_strategy_clusterrolebindings, cx_strategy_rolebindings,
        cx_strategy_jobs;
