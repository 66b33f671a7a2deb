// SPDX-License-Identifier: Apache-2.0
// Parts of the runtime configuration that are mostly tables.
#pragma once

#include "kubelet/runtime/spec.h"

json_t *spec_capabilities(const struct spec_input *input, bool non_root);
json_t *spec_host_devices(void);
json_t *spec_masked_paths(void);
json_t *spec_readonly_paths(void);
// Whether all can be enforced that the pod asks for; then what it asks of seccomp and AppArmor, added to the configuration.
int spec_check(const struct spec_input *input, struct cx_error *err) CX_CHECK;
int spec_profiles(const struct spec_input *input, json_t *spec, struct cx_error *err) CX_CHECK;
