// SPDX-License-Identifier: Apache-2.0
// Encryption at rest: what --encryption-provider-config says (apiserver.config.k8s.io/v1 EncryptionConfiguration),
// applied to the values of etcd. A value that a provider wrote begins with "k8s:enc:<provider>:v1:<key name>:"; other
// values are plain. The formats are upstream's, so that either server reads what the other wrote with the same keys.
//
// Immutable once loaded; any thread may seal and open.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

struct encryption;

// Reads a configuration: aescbc, aesgcm, secretbox and identity. Anything else (kms) is refused, and so are keys of a wrong
// length, names that are there twice and resources that are not said.
int encryption_parse(const char *text, size_t length, struct encryption **ret_encryption, struct cx_error *err)
        CX_CHECK;
int encryption_load(const char *path, struct encryption **ret_encryption, struct cx_error *err) CX_CHECK;
void encryption_free(struct encryption *encryption);
CX_DEFINE_CLEANUP(struct encryption, encryption_freep, encryption_free)

// Who writes the values of a resource now: a number that is 0 for plain text and differs between providers and keys.
// Compared with what encryption_open says of a value it tells whether a write would store that value anew.
uint32_t encryption_writer(const struct encryption *encryption, const char *group, const char *resource);

// The value as it is to be stored under `key` of etcd, appended. `encryption` NULL: as it is.
int encryption_seal(const struct encryption *encryption, const char *group, const char *resource, const char *key,
                    const void *value, size_t length, struct cx_buf *to, struct cx_error *err) CX_CHECK;
// The plain text of what is stored under `key`, appended. INTERNAL when it is sealed with a key that is not there, was
// changed, or belongs to another key of etcd. `ret_writer` may be NULL.
int encryption_open(const struct encryption *encryption, const char *group, const char *resource, const char *key,
                    const void *value, size_t length, struct cx_buf *to, uint32_t *ret_writer, struct cx_error *err)
        CX_CHECK;
bool encryption_is_sealed(const void *value, size_t length);
