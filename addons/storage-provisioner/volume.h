// SPDX-License-Identifier: Apache-2.0
// What is asked of a provisioner and what comes of it, without I/O.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

#define PROVISIONER_FINALIZER "external-provisioner.volume.kubernetes.io/finalizer"
#define QUOTA_ANNOTATION "coxswain.dev/quota" // of a volume: "project" when its size is enforced, or "none"

struct new_volume {
        const char *name, *path, *provisioner, *hostname;
        bool quota;
};
// The volume for a claim of a class. -EINVAL: the claim or the class asks for what folders cannot give.
int volume_make(const struct new_volume *wanted, const json_t *claim, const json_t *class, json_t **ret_volume,
                struct cx_error *err) CX_CHECK;
