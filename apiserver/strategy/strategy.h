// SPDX-License-Identifier: Apache-2.0
// What the schema's tables cannot say about a kind: small sets of functions, looked up by group and resource. Each may
// be NULL. They run on workers and may block (allocations).
#pragma once

#include "apiserver/request/scope.h"

struct strategy {
        const char *group, *resource;
        // What clients may not choose is filled and cleared, after mutating admission and before validation.
        int (*prepare_create)(const struct scope *scope, json_t *object, struct cx_error *err);
        // The same for a change; `old` is what is stored.
        int (*prepare_update)(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err);
        // Adds one cause per violated rule: across fields, and between old (NULL for a new object) and new.
        void (*validate)(const struct scope *scope, const json_t *object, const json_t *old, struct cx_error *causes);
        // Takes what must be unique in the cluster (addresses, ports) just before the write, and gives it back when the
        // write failed or the object has gone. `kept` (NULL: nothing) goes on holding what it holds. A dry run shows what
        // it would get, and takes nothing.
        int (*allocate)(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err);
        void (*release)(struct apiserver *api, const json_t *object, const json_t *kept);
        // Seconds of grace for a deletion; 0: at once. `asked`: -1 when the client did not say.
        int64_t (*grace)(const json_t *object, int64_t asked);
        // Begins a deletion that ends only through a subresource (namespaces): true when the object must stay.
        bool (*begin_delete)(json_t *object);
        bool status_keeps_labels, status_keeps_annotations; // a write of the status leaves them
        bool status_takes_finalizers;                       // a write of the status may change them
        bool create_on_update;                              // PUT makes an absent object
        bool orphans_dependents;                            // when a deletion does not say what becomes of them
        bool keeps_status_on_create;                        // status of a new object is the client's (nodes)
        int64_t (*ttl)(const struct apiserver *api);        // seconds to live (events)
};

const struct strategy *strategy_of(const struct cx_resource *resource); // never NULL

extern const struct strategy strategy_pods, strategy_services, strategy_namespaces, strategy_nodes, strategy_configmaps,
        strategy_secrets, strategy_events, strategy_events_v1, strategy_leases, strategy_endpoints, strategy_csrs,
        strategy_priority_classes, strategy_claims, strategy_volumes, strategy_clusterroles, strategy_roles,
        strategy_clusterrolebindings, strategy_rolebindings, strategy_jobs, strategy_cronjobs, strategy_endpoint_slices,
        strategy_deployments, strategy_daemon_sets, strategy_crds, strategy_flow_schemas, strategy_priority_levels,
        strategy_attachments, strategy_resource_claims, strategy_api_services;
