// SPDX-License-Identifier: Apache-2.0
// A kubelet, pod, service or node that a request goes on to.
#pragma once

#include "apiserver/request/call.h"
#include "libcommon/net/http_client.h"

#include <stdatomic.h>

struct backend {
        char *base_url, *path; // path with query; owned
        bool kubelet;          // with our client certificate
};
void backend_release(struct backend *backend);
char *backend_url(const struct backend *backend); // the whole URL; owned by the caller

// How a backend is asked: kubelets by one client that keeps connections and has read its certificates once (and again when
// the files change), others by one of their own, since what may be asked of them need not bear to be asked twice.
struct backend_client {
        struct cx_http_client *http; // calls give whole URLs
        atomic_int references;
};
int backend_client(struct call *call, const struct backend *backend, struct backend_client **ret_client,
                   struct cx_error *err) CX_CHECK;
void backend_client_unref(struct backend_client *client);
int start_thread(void *(*run)(void *), void *context); // detached; 0 or a negative errno

// relay.c: passes a plain request on and its answer back. The call is answered by it; takes the backend's content.
int relay(struct call *call, struct backend *backend, struct cx_error *err) CX_CHECK;
// join.c: passes an upgrade on and joins the two connections.
int join_upgraded(struct call *call, const struct backend *backend, struct cx_error *err) CX_CHECK;
