// SPDX-License-Identifier: Apache-2.0
// The plugins, and their table.
//
// To add one: write a `struct plugin` in this folder, declare it here, put it into the table at its place.
#pragma once

#include "scheduler/core/cycle.h"

extern const struct plugin node_unschedulable_plugin, taint_toleration_plugin, node_affinity_plugin, node_ports_plugin,
        node_resources_fit_plugin, balanced_allocation_plugin, pod_topology_spread_plugin, inter_pod_affinity_plugin,
        image_locality_plugin, volume_restrictions_plugin, node_volume_limits_plugin, volume_binding_plugin,
        volume_zone_plugin;

// In the order in which filters run: the cheap ones and those that reject most go first.
extern const struct plugin *const scheduler_plugins[];
extern const size_t n_scheduler_plugins;
