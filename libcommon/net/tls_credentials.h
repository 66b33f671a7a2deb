// SPDX-License-Identifier: Apache-2.0
// What a TLS client proves and whom it trusts, decoded once for all its connections: OpenSSL 3 takes a millisecond to decode a
// key, longer than a handshake takes to use it.
//
// Immutable once it is made; any thread may use it.
#pragma once

#include "libcommon/base/macro.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct cx_tls_credentials;
// From PEM texts, each of which may be NULL; a certificate counts with its key only. NULL when one cannot be decoded: then
// whoever is asked to use the texts says why.
struct cx_tls_credentials *cx_tls_credentials_new(const char *cert_pem, const char *key_pem, const char *ca_pem);
void cx_tls_credentials_free(struct cx_tls_credentials *credentials); // NULL is fine
// Gives them to a context that has none yet. False when certificate and key do not belong together.
bool cx_tls_credentials_use(const struct cx_tls_credentials *credentials, SSL_CTX *context) CX_CHECK;
