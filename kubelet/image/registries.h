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

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>

struct registries;

struct registry_endpoint {
        char *base;                                 // "https://host:port/v2", no slash at the end
        char *host;                                 // "host:port"
        char *repository;                           // after the mirror's rewrite
        char *username, *password, *identity_token; // NULL: none
        char *ca_pem, *cert_pem, *key_pem;          // contents; NULL: the system's or none
        bool insecure;
        bool mirror;
};
struct registry_endpoints {
        struct registry_endpoint *items;
        size_t count;
};
void registry_endpoints_release(struct registry_endpoints *list);
#define REGISTRY_ENDPOINTS CX_CLEANUP(registry_endpoints_release) struct registry_endpoints

// From YAML text ("" for an empty configuration). The error names the line.
int registries_parse(const char *text, size_t length, struct registries **ret_registries, struct cx_error *err)
        CX_CHECK;
// The same from a file; NULL, "" and a file that is not there are an empty configuration.
int registries_load(const char *path, struct registries **ret_registries, struct cx_error *err) CX_CHECK;
void registries_free(struct registries *registries);
// The endpoints to try, in order: mirrors (or those of "*"), then the registry itself unless one of them is that. Files
// that `tls` names are read at each call, so that rotated certificates count.
int registries_endpoints(const struct registries *registries, const char *registry, const char *repository,
                         struct registry_endpoints *ret_list, struct cx_error *err) CX_CHECK;
