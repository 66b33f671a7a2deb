// SPDX-License-Identifier: Apache-2.0
// The kubelet's port: logs, exec, attach, port-forward, pods, stats, metrics, health.
#pragma once

#include "kubelet/config.h"
#include "kubelet/kubelet.h"

struct cx_kubelet_server;
int cx_kubelet_server_start(const struct cx_kubelet *kubelet, const struct cx_kubelet_settings *settings,
                            struct cx_kubelet_server **ret_server, struct cx_error *err) CX_CHECK;
void cx_kubelet_server_free(struct cx_kubelet_server *server);
