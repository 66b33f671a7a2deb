// SPDX-License-Identifier: Apache-2.0
// TLS connections for HTTP/2 (RFC 9113 section 3.2: ALPN "h2"), by OpenSSL.
#pragma once

#include "libcommon/base/error.h"

#include <openssl/ssl.h>

struct cx_dialer;
// All PEM texts may be NULL: ca_pem: the system's authorities; cert_pem and key_pem: no client certificate.
int cx_dialer_new(const char *ca_pem, const char *cert_pem, const char *key_pem, struct cx_dialer **ret_dialer,
                  struct cx_error *err) CX_CHECK;
void cx_dialer_free(struct cx_dialer *dialer);
CX_DEFINE_CLEANUP(struct cx_dialer, cx_dialer_freep, cx_dialer_free)

// Splits "https://host[:port]"; an IPv6 host stands in brackets. Outputs are owned by the caller.
int cx_endpoint_parse(const char *url, char **ret_host, char **ret_port, struct cx_error *err) CX_CHECK;

// Connects and shakes hands within `timeout` ns; gives up with -ECANCELED as soon as cancel_fd is readable. The server's
// certificate must be good for the host. The socket of ret_ssl is non-blocking; cx_dial_close ends both.
int cx_dial(struct cx_dialer *dialer, const char *url, int64_t timeout, int cancel_fd, SSL **ret_ssl,
            struct cx_error *err) CX_CHECK;
void cx_dial_close(SSL *ssl);
