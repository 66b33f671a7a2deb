// SPDX-License-Identifier: Apache-2.0
// Connections for protocols of our own, by the endpoint's scheme: "https://host:port" (TLS by OpenSSL), "http://host:port"
// and "unix:///path". How a socket comes to be connected can be replaced: a pod's network namespace, say.
#pragma once

#include "libcommon/base/error.h"

#include <openssl/ssl.h>

// A connected, non-blocking stream of bytes.
struct cx_link {
        int fd;
        SSL *ssl; // NULL: without TLS
};
// Bytes moved, 0 at the end of what comes in, -EAGAIN when it would block, another negative errno when it is broken.
// `ret_wants_write` is told what to wait for after -EAGAIN. One thread at a time.
ssize_t cx_link_read(struct cx_link *link, void *to, size_t size, bool *ret_wants_write) CX_CHECK;
ssize_t cx_link_write(struct cx_link *link, const void *data, size_t length, bool *ret_wants_write) CX_CHECK;
void cx_link_close(struct cx_link *link);

// Connects a non-blocking socket to an address until `deadline` (monotonic ns): an fd or a negative errno; -ECANCELED as
// soon as cancel_fd is readable.
typedef int (*cx_connect)(void *context, const char *host, const char *port, int64_t deadline, int cancel_fd);

struct cx_dialer;
struct cx_dialer_options {
        const char *ca_pem;             // of https; NULL: the system's authorities
        const char *cert_pem, *key_pem; // client certificate; NULL: none
        // The same from files, which are read again when they changed since the last connection; NULL: none
        const char *ca_file, *cert_file, *key_file;
        const char *default_port; // of an endpoint without one; NULL: it has to have one
        bool http2;               // TLS negotiates "h2" (RFC 9113 section 3.2) or fails
        cx_connect connect;       // NULL: resolves the host and connects by TCP
        void *context;            // of connect
};
int cx_dialer_new(const struct cx_dialer_options *options, struct cx_dialer **ret_dialer, struct cx_error *err)
        CX_CHECK;
void cx_dialer_free(struct cx_dialer *dialer);
CX_DEFINE_CLEANUP(struct cx_dialer, cx_dialer_freep, cx_dialer_free)

// An endpoint taken apart; texts are owned. An IPv6 host stands in brackets in the URL, and without them here.
struct cx_endpoint {
        bool tls;
        char *host, *port; // NULL: a Unix socket
        char *path;        // of a Unix socket; else NULL
        char *authority;   // as a request names the server
};
int cx_endpoint_parse(const char *url, const char *default_port, struct cx_endpoint *ret_endpoint, struct cx_error *err)
        CX_CHECK;
void cx_endpoint_release(struct cx_endpoint *endpoint);
#define CX_ENDPOINT CX_CLEANUP(cx_endpoint_release) struct cx_endpoint

// Connects, and shakes hands where there is TLS, within `timeout` ns; -ECANCELED as soon as cancel_fd (-1: none) is
// readable. The server's certificate must be good for the host. cx_link_close ends it.
int cx_dial(struct cx_dialer *dialer, const char *url, int64_t timeout, int cancel_fd, struct cx_link *ret_link,
            struct cx_error *err) CX_CHECK;
