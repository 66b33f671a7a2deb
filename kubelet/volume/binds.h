// SPDX-License-Identifier: Apache-2.0
// Mounting for volumes: mount options as upstream takes them, and bind mounts that appear whole, with all their options, or
// not at all. Any thread.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>
#include <stdint.h>

// A PersistentVolume's mountOptions: what is a flag of a mount, and what goes to the file system as text.
struct mount_options {
        uint64_t attributes; // MOUNT_ATTR_* that are set
        unsigned long flags; // MS_*
        char *data;          // the others, joined by commas; owned; NULL: none
};
void mount_options_release(struct mount_options *options);
#define MOUNT_OPTIONS CX_CLEANUP(mount_options_release) struct mount_options
// The list may be NULL. -EINVAL for what is no text, or has a comma, or would bind, move or remount.
int mount_options_parse(const json_t *list, bool read_only, struct mount_options *ret_options, struct cx_error *err)
        CX_CHECK;
// Whether a mount's root is at the path.
bool is_mount_point(const char *path);
// Shows `source`, a file or a folder, at `target`, one of the same kind that exists. What is mounted below it is not shown.
int mount_bind(const char *source, const char *target, const struct mount_options *options, struct cx_error *err)
        CX_CHECK;
