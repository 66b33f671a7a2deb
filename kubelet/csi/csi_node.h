// SPDX-License-Identifier: Apache-2.0
// The CSINode object of this node: which drivers there are, by what id they know the node, where it is, how many volumes it
// takes. Blocks.
#pragma once

#include "kubelet/base/kubelet.h"
#include "kubelet/csi/driver.h"

// Makes an empty one when there is none. 1: the Node itself is not there yet.
int csi_node_ensure(const struct kubelet *kubelet, struct cx_error *err) CX_CHECK;
// Adds or replaces a driver, and puts where the node is on its labels, and its id into the node's annotation.
int csi_node_add(const struct kubelet *kubelet, const char *driver, const Csi__NodeInfo *info, struct cx_error *err)
        CX_CHECK;
int csi_node_remove(const struct kubelet *kubelet, const char *driver, struct cx_error *err) CX_CHECK;
