// SPDX-License-Identifier: Apache-2.0
// Which NoExecute taints a pod tolerates, and for how long. Pure.
#pragma once

#include "libcommon/api/taints.h"

// How long a pod may stay on a node with these taints (Node.spec.taints): ns from `now` (µs); 0: it must go; -1: for
// ever.
int64_t taints_until_eviction(const json_t *taints, const struct cx_tolerations *tolerations, int64_t now);
