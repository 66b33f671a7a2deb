// SPDX-License-Identifier: Apache-2.0
// The controllers, for the table in main.c. No other component file includes this.
#pragma once

#include "libcontroller/manager.h"

// workloads/
extern const struct controller deployment_controller, replicaset_controller, replication_controller,
        stateful_set_controller, daemon_set_controller;
// batch/
extern const struct controller job_controller, job_ttl_controller, cronjob_controller;
// endpoints/
extern const struct controller endpoints_controller, endpointslice_controller, endpointslice_mirroring_controller;
// nodes/
extern const struct controller node_ipam_controller, node_lifecycle_controller, taint_eviction_controller,
        pod_gc_controller, ttl_controller;
// autoscaling/
extern const struct controller horizontal_pod_autoscaler_controller;
// quota/
extern const struct controller resourcequota_controller, disruption_controller;
// storage/
extern const struct controller persistentvolume_binder_controller, pvc_protection_controller, pv_protection_controller,
        ephemeral_volume_controller, volume_expander_controller, attach_detach_controller;
// cluster/
extern const struct controller namespace_controller, serviceaccount_controller, root_ca_controller,
        garbage_collector_controller, csr_approving_controller, csr_signing_controller, csr_cleaner_controller,
        clusterrole_aggregation_controller, token_secret_controller, token_cleaner_controller,
        bootstrap_signer_controller, serving_approver_controller;
