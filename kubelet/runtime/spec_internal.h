// SPDX-License-Identifier: Apache-2.0
// Parts of the runtime configuration that are mostly tables.
#pragma once

#include "kubelet/runtime/spec.h"

json_t *cx_spec_capabilities(const struct cx_spec_input *input, bool non_root);
json_t *cx_spec_host_devices(void);
json_t *cx_spec_masked_paths(void);
json_t *cx_spec_readonly_paths(void);
json_t *cx_spec_seccomp(const struct cx_spec_input *input); // NULL: unconfined
