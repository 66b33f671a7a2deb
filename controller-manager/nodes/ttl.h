// SPDX-License-Identifier: Apache-2.0
// How long kubelets may keep what they have read, by the number of nodes. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The step that a cluster of so many nodes is on, coming from `step` (0 at first).
size_t ttl_step(size_t step, int64_t nodes);
int64_t ttl_seconds(size_t step);
