// SPDX-License-Identifier: Apache-2.0
// What is mounted where, as this process's mount table has it. Any thread.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

// The mount points at or below a folder, oldest first; none when there is no such folder.
int cx_mounts_below(const char *folder, struct cx_strings *ret_points, struct cx_error *err) CX_CHECK;
// Unmounts everything at or below a folder, the newest first. Without `lazy` what is in use stays: the error says what
// (-EBUSY), and the rest is unmounted all the same.
int cx_unmount_below(const char *folder, bool lazy, struct cx_error *err) CX_CHECK;
// How the mount that a path is on shares what is mounted on it later: with others (shared), and from others (slave).
struct cx_mount_sharing {
        char *point;
        bool shared, slave;
};
void cx_mount_sharing_release(struct cx_mount_sharing *sharing);
int cx_mount_sharing_of(const char *path, struct cx_mount_sharing *ret_sharing, struct cx_error *err) CX_CHECK;
