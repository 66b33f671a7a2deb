// SPDX-License-Identifier: Apache-2.0
// The handlers that probes and lifecycle hooks share. Any thread; blocks for at most the timeout.
#pragma once

#include "kubelet/base/kubelet.h"

struct container;

// Runs a handler ({"exec"|"httpGet"|"tcpSocket"|"grpc"|"sleep"}) once: 0 when it succeeded, 1 when it failed (ret_output says
// why), negative when it could not be tried.
int handler_run(const struct kubelet *kubelet, const json_t *handler, const json_t *container,
                const struct container *running, const char *ip, int64_t timeout, struct cx_buf *ret_output,
                struct cx_error *err) CX_CHECK;
