// SPDX-License-Identifier: Apache-2.0
// The downward API: what a pod may learn about itself through variables and files. Pure; any thread.
#pragma once

#include "kubelet/base/kubelet.h"

// A field of a pod as the downward API names it ("metadata.labels['a']", "status.podIP"); owned, NULL when unknown.
// `pod` carries the status to be read.
char *downward_field(const json_t *pod, const char *path);
// The value of a resourceFieldRef, in its divisor, rounded up; owned by the caller. default_container: of a variable, its
// own; may be NULL. A limit that is not set is what the node has.
int downward_resource(const struct kubelet *kubelet, const json_t *pod, const json_t *ref,
                      const char *default_container, char **ret_text, struct cx_error *err) CX_CHECK;
