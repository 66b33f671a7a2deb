// SPDX-License-Identifier: Apache-2.0
// Which NoExecute taints a pod tolerates, and for how long. Pure.
#pragma once

#include "controller-manager/pods/pods.h"

// How long a pod may stay on a node with these taints: ns from `now` (µs); 0: it must go; -1: for ever.
int64_t taints_until_eviction(const json_t *taints, const struct pod_info *pod, int64_t now);
