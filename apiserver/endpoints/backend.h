// SPDX-License-Identifier: Apache-2.0
// A kubelet, pod, service, node or aggregated API server that a request goes on to.
#pragma once

#include "apiserver/request/call.h"
#include "libcommon/net/http_client.h"

#include <stdatomic.h>

struct backend_client;

struct backend {
        char *base_url, *path;         // path with query; owned
        bool kubelet;                  // with our client certificate
        struct backend_client *client; // reference to whom it is asked by; NULL: as kubelets, or pods, are
        struct cx_strings headers;     // "Name: value", beside those of the client
};
void backend_release(struct backend *backend);
// Parts of a backend's path: a path that was decoded, encoded again, and the query of the call as it came.
void add_url_path(struct cx_buf *to, const char *path);
void add_raw_query(const struct call *call, struct cx_buf *to);
char *backend_url(const struct backend *backend); // the whole URL; owned by the caller

// How a backend is asked: kubelets by one client that keeps connections, each aggregated server by another, pods and
// services by one for each request, since what may be asked of them need not bear to be asked twice.
struct backend_client {
        struct cx_http_client *http; // calls give whole URLs
        atomic_int references;
};
int backend_client(struct call *call, const struct backend *backend, struct backend_client **ret_client,
                   struct cx_error *err) CX_CHECK;
void backend_client_unref(struct backend_client *client);

// Who asks, and whom it trusts. Borrowed.
struct client_identity {
        const char *ca_file, *cert_file, *key_file; // NULL: none
        const char *ca_pem;                         // where there is no ca_file; NULL: the system's authorities
        const char *server_name;                    // as in cx_http_client_options
        bool insecure;
};
// A client that is kept, and made anew when one of the identity's files changes. Always got with the same identity.
struct kept_client;
struct kept_client *kept_client_new(void);
void kept_client_free(struct kept_client *kept);
void kept_client_trim(struct kept_client *kept); // closes connections that nobody has used for a while
int kept_client_get(struct kept_client *kept, const struct apiserver_options *options,
                    const struct client_identity *identity, struct backend_client **ret_client, struct cx_error *err)
        CX_CHECK;

// One of the ready endpoints of a Service.
struct service_ref {
        const char *namespace, *name;
        const char *port; // by name or number; "": the first
};
enum service_state {
        SERVICE_FOUND,
        SERVICE_ABSENT,
        SERVICE_WITHOUT_PORT,
        SERVICE_WITHOUT_ENDPOINTS, // no such object
        SERVICE_WITHOUT_ADDRESSES  // that are ready and have the port
};
struct service_found {
        char *host; // owned by the caller; NULL unless found
        int64_t port;
        char port_name[64]; // of the Service's port; "" when it has none
};
enum service_state service_endpoint(struct apiserver *api, const struct service_ref *ref, struct service_found *ret);

int start_thread(void *(*run)(void *), void *context); // detached; 0 or a negative errno

// relay.c: passes a plain request on and its answer back. The call is answered by it; takes the backend's content.
int relay(struct call *call, struct backend *backend, struct cx_error *err) CX_CHECK;
// join.c: passes an upgrade on and joins the two connections.
int join_upgraded(struct call *call, const struct backend *backend, struct cx_error *err) CX_CHECK;
