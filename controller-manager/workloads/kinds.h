// SPDX-License-Identifier: Apache-2.0
// The kinds of workloads that own others.
#pragma once

#include "controller-manager/core/owner.h"

static const struct owner_kind deployment_kind = {"apps", "v1", "deployments", "Deployment"};
static const struct owner_kind replicaset_kind = {"apps", "v1", "replicasets", "ReplicaSet"};
