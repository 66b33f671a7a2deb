// SPDX-License-Identifier: Apache-2.0
// What a bootstrap token says, and what is signed with it. Pure.
#pragma once

#include <jansson.h>
#include <stdint.h>

// µs since the epoch, of a Secret; INT64_MAX: never, 0: it cannot be read and counts as over.
int64_t bootstrap_token_expires(const json_t *secret);
// The detached JSON Web Signature (RFC 7515, appendix F) of a text: HS256 by the whole token. Owned.
char *bootstrap_token_sign(const char *content, const char *id, const char *secret);
