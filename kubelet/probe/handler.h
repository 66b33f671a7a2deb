// SPDX-License-Identifier: Apache-2.0
// The handlers that probes and lifecycle hooks share. Any thread; blocks for at most the timeout.
#pragma once

#include "kubelet/base/kubelet.h"

struct container;

struct handler_call {
        const json_t *handler;   // {"exec"|"httpGet"|"tcpSocket"|"grpc"|"sleep"}
        const json_t *container; // whose ports may be named
        const struct container *running;
        const char *ip;  // where it listens
        int64_t timeout; // ns
};
// Runs a handler once: 0 when it succeeded, 1 when it failed (ret_output says why), negative when it could not be tried.
int handler_run(const struct kubelet *kubelet, const struct handler_call *call, struct cx_buf *ret_output,
                struct cx_error *err) CX_CHECK;
