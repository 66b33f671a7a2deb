// SPDX-License-Identifier: Apache-2.0
// JSON Web Tokens (RFC 7519) as Kubernetes issues them: signed with ES256 or RS256 by the key's kind. Any thread.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>
#include <openssl/evp.h>

#define CX_JWT_MAX ((size_t)16 << 10)

// Key id as upstream derives it: base64url of SHA-256 over the DER public key.
char *cx_jwt_key_id(EVP_PKEY *key);
int cx_jwt_sign(const json_t *claims, EVP_PKEY *key, char **ret_token, struct cx_error *err) CX_CHECK;
// Checks the signature with any of the keys (and that the algorithm is the key's own) and exp and nbf at `now` (seconds);
// audience and issuer are the caller's. New reference.
int cx_jwt_verify(const char *token, EVP_PKEY *const *keys, size_t n_keys, int64_t now, json_t **ret_claims,
                  struct cx_error *err) CX_CHECK;
