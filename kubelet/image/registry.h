// SPDX-License-Identifier: Apache-2.0
// Client of the OCI distribution API: manifests and blobs of one repository at one endpoint. Answers 401 challenges by
// itself (Bearer tokens, Basic). A session belongs to one pull; its calls may come from several threads.
#pragma once

#include "kubelet/image/registries.h"

struct registry_session;

struct registry_credentials {
        const char *username, *password; // NULL: anonymous, or the endpoint's own
        const char *identity_token;
};

int registry_session_new(const struct registry_endpoint *endpoint, const struct registry_credentials *credentials,
                         struct registry_session **ret_session, struct cx_error *err) CX_CHECK;
void registry_session_free(struct registry_session *session);
CX_DEFINE_CLEANUP(struct registry_session, registry_session_freep, registry_session_free)

// Fetches a manifest by tag or digest and resolves lists to this machine's platform. What was asked by digest is
// verified against it. ret_digest: of the manifest or index that the reference named (for repoDigests).
int registry_manifest(struct registry_session *session, const char *reference, json_t **ret_manifest, char **ret_digest,
                      struct cx_error *err) CX_CHECK;
// Fetches a blob into memory (at most `max` bytes), verified.
int registry_blob(struct registry_session *session, const char *digest, size_t max, struct cx_buf *ret_data,
                  struct cx_error *err) CX_CHECK;
// Fetches a blob into a file descriptor, verified while it streams, resuming a broken transfer. -EBADMSG when the
// content does not have the digest.
int registry_blob_to_fd(struct registry_session *session, const char *digest, int64_t size, int fd,
                        struct cx_error *err) CX_CHECK;

// Parts of a WWW-Authenticate header, for tests and the fuzzer: scheme ("bearer"/"basic", lower case) and parameters.
int registry_parse_challenge(const char *header, char scheme[16], json_t **ret_parameters) CX_CHECK;
// Whether the token server that a challenge names may see the credentials for the registry at `base`: over TLS when it does.
bool registry_realm_good(const char *base, const char *realm);
// Picks the manifest of this machine's architecture from an index; NULL when there is none.
const json_t *registry_pick_platform(const json_t *index, const char *os, const char *architecture);
const char *registry_architecture(void); // Go's name: "amd64"
