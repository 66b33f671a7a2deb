// SPDX-License-Identifier: Apache-2.0
// Which claims a pod uses, by name or through its ephemeral volumes.
#pragma once

#include "controller-manager/pods/pods.h"

// The shared informer of pods with this part, and an index by "namespace/claim".
struct cx_informer *pods_by_claim(struct manager *manager);
#define POD_INDEX_CLAIM "claim"
const struct cx_strings *pod_claims(const struct cx_object *pod); // names, in the pod's namespace
