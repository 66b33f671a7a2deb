// SPDX-License-Identifier: Apache-2.0
// The gRPC probe: one call of grpc.health.v1.Health/Check in plain HTTP/2, on a connection of its own. Any thread.
#pragma once

#include "libcommon/base/buf.h"

// 0: the service (NULL or "": the server as a whole) is SERVING; 1: it is not, and ret_output says why.
int grpc_probe(const char *host, int port, const char *service, int64_t timeout_ns, struct cx_buf *ret_output);
