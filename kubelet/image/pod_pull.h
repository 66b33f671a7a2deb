// SPDX-License-Identifier: Apache-2.0
// Pulling what a pod names, with its pull secrets and the node's registries. Blocks; any thread.
#pragma once

#include "kubelet/base/kubelet.h"
#include "kubelet/image/pull.h"

// ret_bytes: of the compressed layers. Tells of pull secrets that cannot be had.
int pod_pull_image(const struct kubelet *kubelet, const json_t *pod, const char *image, json_t **ret_record,
                   int64_t *ret_bytes, struct cx_error *err) CX_CHECK;
// The event of a pull that took `took` ns.
void pod_tell_pulled(const struct kubelet *kubelet, const json_t *pod, const char *container, const char *image,
                     int64_t took, int64_t bytes);
