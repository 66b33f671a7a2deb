// SPDX-License-Identifier: Apache-2.0
// Enforce or refuse: whether what a pod asks for its containers' security can be given on this node. Pure; any thread.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

// -EINVAL (CreateContainerConfigError) for what cannot be enforced, what is not understood, and values out of range.
int confine_check(const json_t *pod, const json_t *container, struct cx_error *err) CX_CHECK;
// ret_name: of the profile that the container is to run under, NULL for none; borrowed from `profile` or constant. loaded:
// what the kernel lists as loaded, NULL where AppArmor is off. Who asks for nothing gets the default where that is loaded.
int confine_apparmor(const json_t *profile, const char *loaded, const char **ret_name, struct cx_error *err) CX_CHECK;
