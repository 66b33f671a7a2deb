// SPDX-License-Identifier: Apache-2.0
// The table of strategies.
#include "apiserver/strategy/strategy.h"

static const struct strategy *const strategies[] = {
        &strategy_pods,
        &strategy_services,
        &strategy_namespaces,
        &strategy_nodes,
        &strategy_configmaps,
        &strategy_secrets,
        &strategy_events,
        &strategy_events_v1,
        &strategy_leases,
        &strategy_endpoints,
        &strategy_endpoint_slices,
        &strategy_deployments,
        &strategy_daemon_sets,
        &strategy_crds,
        &strategy_flow_schemas,
        &strategy_priority_levels,
        &strategy_attachments,
        &strategy_resource_claims,
        &strategy_api_services,
        &strategy_csrs,
        &strategy_claims,
        &strategy_volumes,
        &strategy_clusterroles,
        &strategy_roles,
        &strategy_clusterrolebindings,
        &strategy_rolebindings,
        &strategy_priority_classes,
        &strategy_jobs,
        &strategy_cronjobs,
};

const struct strategy *strategy_of(const struct cx_resource *resource)
{
        static const struct strategy none = {0};
        for (size_t i = 0; i < CX_ARRAY_SIZE(strategies); i++)
                if (strcmp(strategies[i]->resource, resource->resource) == 0 &&
                    strcmp(strategies[i]->group, resource->group) == 0)
                        return strategies[i];
        return &none;
}
