// SPDX-License-Identifier: Apache-2.0
// File systems on block devices: what is on one, making one where there is nothing, mounting and growing. Any thread; blocks.
#pragma once

#include "kubelet/volume/binds.h"
#include "kubelet/volume/plugin.h"

// Mounts the device at `target`, a folder that exists. A device with nothing on it gets a file system of the type first
// (NULL or "": ext4), unless it is to be read only; what holds anything else is never formatted.
struct filesystem_mount {
        const char *device, *target, *type;
        const struct mount_options *options;
};
int filesystem_mount(const struct filesystem_mount *mount, struct cx_error *err) CX_CHECK;
// Makes a mounted file system as large as its device. 1 when it was already, 0 when it grew.
int filesystem_grow(const char *mount_point, struct cx_error *err) CX_CHECK;
// The device that is mounted there ("/dev/loop0"); owned by the caller. -ENOENT: none.
int filesystem_device(const char *mount_point, char **ret_device, struct cx_error *err) CX_CHECK;
// The bytes of a block device.
int filesystem_device_size(const char *device, int64_t *ret_bytes, struct cx_error *err) CX_CHECK;
