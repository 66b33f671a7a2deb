// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/strategy.h"

static const struct cx_strategy *const strategies[] = {
        &cx_strategy_pods,         &cx_strategy_services,
        &cx_strategy_namespaces,   &cx_strategy_nodes,
        &cx_strategy_configmaps,   &cx_strategy_secrets,
        &cx_strategy_events,       &cx_strategy_events_v1,
        &cx_strategy_leases,       &cx_strategy_endpoints,
        &cx_strategy_csrs,         &cx_strategy_claims,
        &cx_strategy_volumes,      &cx_strategy_clusterroles,
        &cx_strategy_roles,        &cx_strategy_clusterrolebindings,
        &cx_strategy_rolebindings, &cx_strategy_priority_classes,
        &cx_strategy_jobs,
};

const struct cx_strategy *cx_strategy_of(const struct cx_resource *resource)
{
        static const struct cx_strategy none = {0};
        for (size_t i = 0; i < CX_ARRAY_SIZE(strategies); i++)
                if (strcmp(strategies[i]->resource, resource->resource) == 0 &&
                    strcmp(strategies[i]->group, resource->group) == 0)
                        return strategies[i];
        return &none;
}
