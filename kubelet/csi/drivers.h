// SPDX-License-Identifier: Apache-2.0
// The CSI drivers that have registered with this kubelet: a driver's registrar opens a socket in <root>/plugins_registry, says
// through it who it is, and is told what became of it. What is registered is in the node's CSINode object. Any thread.
#pragma once

#include "kubelet/base/kubelet.h"
#include "kubelet/csi/driver.h"

struct csi_drivers;
// Watches the folder from csi_drivers_start on.
struct csi_drivers *csi_drivers_new(const struct kubelet *kubelet);
int csi_drivers_start(struct csi_drivers *drivers, struct cx_error *err) CX_CHECK;
void csi_drivers_stop(struct csi_drivers *drivers);
// The Node was made (again): it knows of no driver. A callback whose context is the drivers.
void csi_drivers_node_made(void *drivers);
// A new reference. -ENOENT; -EAGAIN while this kubelet has only just started, and drivers may still come.
int csi_drivers_find(struct csi_drivers *drivers, const char *name, struct csi_driver **ret_driver,
                     struct cx_error *err) CX_CHECK;
