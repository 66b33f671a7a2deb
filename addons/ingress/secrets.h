// SPDX-License-Identifier: Apache-2.0
// The Secrets that Ingresses refer to. The informer of Secrets asks for metadata only; what is inside is fetched for those that are
// referred to, and for no others, each time their version changes. A certificate is checked as the proxy will, and lies, newly
// encoded, in a file of the folder; in memory stays what is wrong with it, whom it is for, and its fingerprint. One thread.
#pragma once

#include "addons/ingress/plan.h"
#include "libcommon/client/informer.h"

struct secrets;
struct secrets *secrets_new(struct cx_rest *rest, struct cx_informer *metadata, const char *folder);
void secrets_free(struct secrets *secrets);
// `wanted`: "namespace/name" -> nothing. Returns what is known of them now (plan_input.secrets), until the next call. When one
// cannot be fetched, what was known of it before counts, and ret_again is set.
const struct cx_map *secrets_update(struct secrets *secrets, const struct cx_map *wanted, bool *ret_again);
// Of a certificate without problems: a digest of it, and the text of it with its key, owned by the caller.
const char *secrets_fingerprint(const struct secrets *secrets, const char *key);
int secrets_read_pem(const struct secrets *secrets, const char *key, char **ret_pem, struct cx_error *err) CX_CHECK;
// The users of a Secret, as lines "user:hash"; NULL: it has none. Borrowed until the next update.
const char *secrets_users(const struct secrets *secrets, const char *key, bool map);

// certificate.c: takes a certificate with its chain, and its key, apart, and writes them newly. What is wrong, or NULL.
const char *certificate_check(const char *cert_pem, size_t cert_length, const char *key_pem, size_t key_length,
                              struct cx_strings *ret_names, struct cx_buf *ret_pem);
