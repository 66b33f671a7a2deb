// SPDX-License-Identifier: Apache-2.0
// Which plugins run, and in which order.
#include "scheduler/plugins/plugins.h"

const struct plugin *const scheduler_plugins[] = {
        &node_unschedulable_plugin,  &taint_toleration_plugin,    &node_affinity_plugin,
        &node_ports_plugin,          &node_resources_fit_plugin,  &balanced_allocation_plugin,
        &volume_restrictions_plugin, &node_volume_limits_plugin,  &volume_binding_plugin,
        &volume_zone_plugin,         &pod_topology_spread_plugin, &inter_pod_affinity_plugin,
        &image_locality_plugin,
};
const size_t n_scheduler_plugins = CX_ARRAY_SIZE(scheduler_plugins);
