// SPDX-License-Identifier: Apache-2.0
// The status of a pod. Called by its worker.
#pragma once

#include "kubelet/pod/model.h"

// A new status, from the object and from what runs. sandbox: NULL when there is none.
json_t *pod_make_status(struct pod *pod, const json_t *object, const struct sandbox *sandbox);
