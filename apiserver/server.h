// SPDX-License-Identifier: Apache-2.0
// The chain that every request goes through: request info, authentication, impersonation, authorization, dispatch.
#pragma once

#include "apiserver/request/call.h"

bool serve_inline(struct cx_http_request *request, void *api); // on an I/O thread; false: for a worker
void serve(struct cx_http_request *request, void *api);        // on a worker
void server_counters(struct apiserver *api);                   // makes its counters
