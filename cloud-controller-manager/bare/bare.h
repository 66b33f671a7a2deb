// SPDX-License-Identifier: Apache-2.0
// The provider for bare machines, "bare": load balancers are addresses of pools, which nodes announce to their network
// (addons/loadbalancer); machines are what its ConfigMap says of them.
#pragma once

#include "cloud-controller-manager/cloud/provider.h"

extern const struct cloud_provider bare_provider;
