// SPDX-License-Identifier: Apache-2.0
// System call filters, in the form of the OCI runtime specification (linux.seccomp). Any thread may call.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

// RuntimeDefault for a container with these capabilities ("CAP_…"). A new reference.
json_t *seccomp_default(const json_t *capabilities);
// A profile of the node by its path below `folder`, out of which no link leads. Never -EINVAL: the pod need not change.
int seccomp_load(const char *folder, const char *path, json_t **ret_profile, struct cx_error *err) CX_CHECK;
int seccomp_parse(const char *text, size_t length, json_t **ret_profile, struct cx_error *err) CX_CHECK;
