// SPDX-License-Identifier: Apache-2.0
// Parts of the runtime configuration that are mostly tables.
#pragma once

#include "kubelet/runtime/spec.h"

json_t *spec_capabilities(const struct spec_input *input, bool non_root);
json_t *spec_host_devices(void);
json_t *spec_masked_paths(void);
json_t *spec_readonly_paths(void);
// *ret_profile: NULL for unconfined, else a new reference.
int spec_seccomp(const struct spec_input *input, const json_t *capabilities, json_t **ret_profile, struct cx_error *err)
        CX_CHECK;
