// SPDX-License-Identifier: Apache-2.0
// registries.yaml in k3s's format: where images of a registry are fetched from, and with which credentials and TLS.
//
//     mirrors:                         configs:
//       docker.io:                       "mirror.example:5000":
//         endpoint: ["http://…"]           auth: {username: …, password: …}
//         rewrite: {"^(.*)": "hub/$1"}     tls: {ca_file: …, cert_file: …, key_file: …, insecure_skip_verify: true}
//
// Immutable once loaded; any thread may read.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

struct cx_registries;

struct cx_registry_endpoint {
        char *base;                                 // "https://host:port/v2", no slash at the end
        char *host;                                 // "host:port"
        char *repository;                           // after the mirror's rewrite
        char *username, *password, *identity_token; // NULL: none
        char *ca_pem, *cert_pem, *key_pem;          // contents; NULL: the system's or none
        bool insecure;
        bool mirror;
};
struct cx_registry_endpoints {
        struct cx_registry_endpoint *items;
        size_t count;
};
void cx_registry_endpoints_release(struct cx_registry_endpoints *list);
#define CX_REGISTRY_ENDPOINTS CX_CLEANUP(cx_registry_endpoints_release) struct cx_registry_endpoints

// From YAML text ("" for an empty configuration). The error names the line.
int cx_registries_parse(const char *text, size_t length, struct cx_registries **ret_registries, struct cx_error *err)
        CX_CHECK;
void cx_registries_free(struct cx_registries *registries);
// The endpoints to try, in order: mirrors (or those of "*"), then the registry itself unless one of them is that. Files
// that `tls` names are read at each call, so that rotated certificates count.
int cx_registries_endpoints(const struct cx_registries *registries, const char *registry, const char *repository,
                            struct cx_registry_endpoints *ret_list, struct cx_error *err) CX_CHECK;
