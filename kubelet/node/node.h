// SPDX-License-Identifier: Apache-2.0
// The Node object of this machine: registration, status, lease; routes to the other nodes' pods; image garbage collection.
// A thread of its own; everything else only asks it.
#pragma once

#include "kubelet/config.h"
#include "kubelet/kubelet.h"

struct cx_node;
int cx_node_start(struct cx_kubelet *kubelet, const struct cx_kubelet_settings *settings, struct cx_node **ret_node,
                  struct cx_error *err) CX_CHECK;
void cx_node_free(struct cx_node *node);
// Addresses of this machine when --node-ip gives none.
void cx_node_detect_ips(struct cx_strings *ret_ips);
json_t *cx_node_status(const struct cx_kubelet *kubelet, const struct cx_kubelet_settings *settings, const json_t *old);
