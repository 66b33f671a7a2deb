// SPDX-License-Identifier: Apache-2.0
// Starting runs of containers. Called by the pod's worker.
#pragma once

#include "kubelet/pod/model.h"

// Starts a run of a container after `run`; when it cannot (yet), the slot says why.
void pod_start_container(struct pod *pod, const json_t *object, const json_t *container, struct sandbox *sandbox,
                         const struct pod_run *run);
