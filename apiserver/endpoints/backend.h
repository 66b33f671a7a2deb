// SPDX-License-Identifier: Apache-2.0
// A kubelet, pod, service or node that a request goes on to.
#pragma once

#include "apiserver/apiserver.h"
#include "net/http_client.h"

struct cx_backend {
        char *base_url, *path; // path with query; owned
        bool kubelet;          // with our client certificate
};
void cx_backend_release(struct cx_backend *backend);
int cx_backend_client(struct cx_call *call, const struct cx_backend *backend, struct cx_http_client **ret_client,
                      struct cx_error *err) CX_CHECK;
int cx_start_thread(void *(*run)(void *), void *context); // detached; 0 or a negative errno

// relay.c: passes a plain request on and its answer back. The call is answered by it; takes the backend's content.
int cx_relay(struct cx_call *call, struct cx_backend *backend, struct cx_error *err) CX_CHECK;
// join.c: passes an upgrade on and joins the two connections.
int cx_join_upgraded(struct cx_call *call, const struct cx_backend *backend, struct cx_error *err) CX_CHECK;
