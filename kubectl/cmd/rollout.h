// SPDX-License-Identifier: Apache-2.0
// Where a rollout of a workload stands, as words.
#pragma once

#include "kubectl/cmd/commands.h"

// Writes upstream's line about a Deployment, DaemonSet or StatefulSet. 1: done; 0: not yet; negative: failed.
int rollout_words(const json_t *object, int64_t revision, struct cx_buf *to, struct cx_error *err) CX_CHECK;
