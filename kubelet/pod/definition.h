// SPDX-License-Identifier: Apache-2.0
// Whether a container that was made still is what its pod says.
#pragma once

#include "kubelet/base/kubelet.h"

struct container;

// The hash of a container's definition: of all of it but its resources, which change in place. Owned by the caller.
char *definition_hash(const json_t *container);
// Whether the definition has changed since the container was made. A difference that the pod's generation knows nothing of
// is none: another version of Kubernetes fills in another default, or the record is of an earlier kubelet. The record is
// brought up to date then. Called by the pod's worker.
bool definition_changed(const struct kubelet *kubelet, const json_t *object, const json_t *container,
                        struct container *made);
