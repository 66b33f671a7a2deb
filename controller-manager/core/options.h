// SPDX-License-Identifier: Apache-2.0
// What the flags of kube-controller-manager say.
#pragma once

#include "libcontroller/manager.h"

// How fast silent nodes are given up (nodes/node_zones.h).
struct node_zones_options {
        double rate, secondary_rate; // nodes a second
        double unhealthy_threshold;  // the part of a zone's nodes from which on the secondary rate holds
        int64_t large;               // a zone of fewer nodes than this one or as many is small
};

struct manager_options {
        struct cx_strings controllers, cluster_cidrs, service_cidrs;
        const char *root_ca_file, *signing_cert_file, *signing_key_file, *account_key_file;
        bool allocate_node_cidrs, use_service_accounts;
        int64_t node_mask_v4, node_mask_v6;
        int64_t monitor_grace, monitor_period, startup_grace;
        int64_t terminated_pod_threshold, signing_duration, quota_sync_period;
        struct node_zones_options zones;
        struct autoscaler_options {
                int64_t sync_period, downscale_stabilization, cpu_initialization, initial_readiness; // ns
                double tolerance;
        } autoscaler;
};

// Those of the process, for its controllers.
static inline const struct manager_options *options_of(const struct manager *manager)
{
        return manager->options;
}
