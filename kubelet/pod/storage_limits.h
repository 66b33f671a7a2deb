// SPDX-License-Identifier: Apache-2.0
// Limits of local storage: of emptyDir volumes, of containers, of the pod.
#pragma once

#include "kubelet/pod/model.h"

// Whether the pod uses more than it may: upstream's message, owned by the caller; else NULL. Looks every ten seconds, and sees
// to it that the pod is looked at again; costs nothing for pods without limits. The worker's.
char *pod_storage_excess(struct pod *pod, const json_t *object);
