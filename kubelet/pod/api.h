// SPDX-License-Identifier: Apache-2.0
// The kubelet's writes to pods of the apiserver. Any thread; blocks.
#pragma once

#include "kubelet/base/kubelet.h"

// Patches the status of the pod that has this uid, from what `object` shows now. That the pod is gone is not an error.
int pod_patch_status(const struct kubelet *kubelet, const json_t *object, const char *uid, const json_t *status,
                     struct cx_error *err) CX_CHECK;
// Deletes "namespace/name" at once if it (still) has that uid.
int pod_delete_object(const struct kubelet *kubelet, const char *key, const char *uid, struct cx_error *err) CX_CHECK;
