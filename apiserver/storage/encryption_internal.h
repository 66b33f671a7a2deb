// SPDX-License-Identifier: Apache-2.0
// What reading the configuration (encryption_config.c) makes, and sealing and opening (encryption.c) use.
#pragma once

#include "apiserver/storage/encryption.h"

#define KEY_MAX 32 // bytes

struct cipher; // encryption.c

struct sealing_key {
        char *prefix; // "k8s:enc:aescbc:v1:key1:"; NULL: identity
        unsigned char bytes[KEY_MAX];
        size_t length;
        const struct cipher *cipher; // NULL: identity
};
struct encryption_rule {
        char **resources; // "secrets", "deployments.apps", "*.apps", "*.", "*.*"
        size_t n_resources;
        struct sealing_key *keys; // the first writes, all read
        size_t n_keys;
};
struct encryption {
        struct encryption_rule *rules; // the first that names a resource counts
        size_t n_rules;
};

// A provider that has keys; NULL when it is not known. `ret_lengths`: a set of 1 << bytes that its keys may have.
const struct cipher *cipher_named(const char *provider, uint64_t *ret_lengths);
