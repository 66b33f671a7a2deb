// SPDX-License-Identifier: Apache-2.0
// A CertificateSigningRequest from its making to the certificate: as upstream's kubelet asks.
#pragma once

#include "libcommon/client/rest.h"

struct certificate_want {
        const char *node_name; // CN=system:node:<name>, O=system:nodes
        bool server; // a serving certificate (kubernetes.io/kubelet-serving), or else the node's client certificate
        const struct cx_strings *dns_names, *ip_addresses; // of a serving certificate
};
// Asks, and waits until it is signed, a quarter of an hour at most (-ETIMEDOUT); -ECANCELED as soon as `stopped` (may be NULL)
// says so, -EACCES when the request was denied. `name`: of the request, so that one who was interrupted finds it again; NULL:
// the server makes one up.
int certificate_request(struct cx_rest *rest, const struct certificate_want *want, const char *key_pem,
                        const char *name, bool (*stopped)(void *context), void *context, char **ret_cert_pem,
                        struct cx_error *err) CX_CHECK;
// A name that follows from the key and what is asked for.
char *certificate_request_name(const struct certificate_want *want, const char *key_pem);
