// SPDX-License-Identifier: Apache-2.0
// The bind mounts and block devices of containers.
#pragma once

#include "kubelet/runtime/spec.h"
#include "kubelet/volume/volumes.h"

struct volume_mounts {
        struct spec_mount *items;
        size_t count;
        struct spec_device *devices;
        size_t n_devices;
};
void volume_mounts_release(struct volume_mounts *mounts);
#define VOLUME_MOUNTS CX_CLEANUP(volume_mounts_release) struct volume_mounts

// The mounts and devices of a container of the pod, whose volumes are set up. `env` expands subPathExpr. Adds to an empty list.
int volume_mounts_make(struct volumes *volumes, const json_t *pod, const json_t *container,
                       const struct cx_strings *env, struct volume_mounts *ret_mounts, struct cx_error *err) CX_CHECK;
