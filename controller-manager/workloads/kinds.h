// SPDX-License-Identifier: Apache-2.0
// The kinds of workloads that own others.
#pragma once

#include "controller-manager/core/owner.h"

static CX_UNUSED const struct owner_kind deployment_kind = {"apps", "v1", "deployments", "Deployment"};
static CX_UNUSED const struct owner_kind replicaset_kind = {"apps", "v1", "replicasets", "ReplicaSet"};
static CX_UNUSED const struct owner_kind replication_controller_kind = {
        "", "v1", "replicationcontrollers", "ReplicationController", .plain_selector = true};
static CX_UNUSED const struct owner_kind stateful_set_kind = {"apps", "v1", "statefulsets", "StatefulSet"};
static CX_UNUSED const struct owner_kind daemon_set_kind = {"apps", "v1", "daemonsets", "DaemonSet"};
