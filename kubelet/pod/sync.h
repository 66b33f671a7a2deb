// SPDX-License-Identifier: Apache-2.0
// One look at a pod. Called by its worker.
#pragma once

#include "kubelet/pod/model.h"

// Does what is missing between what the object says and what is there, and publishes the status.
int pod_sync(struct pod *pod, const json_t *object, struct cx_error *err) CX_CHECK;
