// SPDX-License-Identifier: Apache-2.0
// Lifecycle hooks. Called by the pod's worker.
#pragma once

#include "kubelet/pod/model.h"

// Runs the postStart or (stopping) preStop hook of a run on the pool, for at most `timeout` ns. Its end is told to the
// container's slot and enqueues the pod.
void pod_start_hook(struct pod *pod, const json_t *object, const json_t *container, struct container *running,
                    bool stopping, int64_t timeout);
