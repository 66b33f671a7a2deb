// SPDX-License-Identifier: Apache-2.0
// The controllers, for the table in main.c. No other component file includes this.
#pragma once

#include "controller-manager/core/manager.h"

extern const struct controller deployment_controller, replicaset_controller, endpoints_controller,
        endpointslice_controller, endpointslice_mirroring_controller, namespace_controller, serviceaccount_controller,
        root_ca_controller, node_ipam_controller, node_lifecycle_controller, taint_eviction_controller,
        garbage_collector_controller, pod_gc_controller, service_lb_controller, csr_approving_controller,
        csr_signing_controller, clusterrole_aggregation_controller, job_controller, job_ttl_controller,
        cronjob_controller;
