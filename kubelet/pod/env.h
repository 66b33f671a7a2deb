// SPDX-License-Identifier: Apache-2.0
// The environment, command and arguments of a container.
#pragma once

#include "kubelet/base/kubelet.h"

struct refs;

// What the pod sets for a container: service variables, envFrom, env. `pod` carries the status for field references.
// -EINVAL and -ENOENT: CreateContainerConfigError.
int env_build(const struct kubelet *kubelet, struct refs *refs, const json_t *pod, const json_t *container,
              struct cx_strings *ret_env, struct cx_error *err) CX_CHECK;
// The image's variables under the pod's.
void env_merge_image(const json_t *image_config, const struct cx_strings *env, struct cx_strings *ret_all);
// command and args against the image's Entrypoint and Cmd, expanded.
void args_build(const json_t *container, const json_t *image_config, const struct cx_strings *env,
                struct cx_strings *ret_args);
