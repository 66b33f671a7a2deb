// SPDX-License-Identifier: Apache-2.0
// Images of a pod's containers. Called by the pod's worker.
#pragma once

#include "kubelet/pod/model.h"

// The image's record (a new reference), or NULL: then it is being pulled, which enqueues the pod at its end, or the slot
// says why there is none.
json_t *pod_image(struct pod *pod, const json_t *object, const json_t *container);
