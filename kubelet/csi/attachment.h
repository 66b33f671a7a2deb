// SPDX-License-Identifier: Apache-2.0
// Whether a volume that a controller attaches is there: the node says that it uses it, the controller that it attached it, and
// the attachment that it is done. Each of the two sides says what it does before it looks at what the other said, so no volume
// is detached under a pod. Blocks.
#pragma once

#include "kubelet/csi/request.h"
#include "kubelet/volume/in_use.h"

// "kubernetes.io/csi/<driver>^<handle>"; owned by the caller.
char *csi_unique_name(const char *driver, const char *handle);
// -EAGAIN: not yet, with what is missing. Adds what the attacher has to tell the driver to `context`.
int csi_attachment_wait(const struct kubelet *kubelet, struct in_use *in_use, const char *driver, const char *handle,
                        struct csi_pairs *context, struct cx_error *err) CX_CHECK;
