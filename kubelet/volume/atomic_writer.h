// SPDX-License-Identifier: Apache-2.0
// Writes the files of a projected volume so that a reader sees all of one version or all of the next: files live in a
// timestamped folder, "..data" links to it and is replaced by rename, and each visible name links into "..data".
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

#include <sys/types.h>

struct payload_file {
        char *data;
        size_t length;
        unsigned mode;
        int64_t uid; // of its owner; -1: root
};
// A map of relative paths ("dir/file") to files; free with payload_free_file as free_value.
void payload_free_file(void *file);
// Adds a file; the path must be relative, without "..", and must not begin with "..". -EINVAL otherwise.
int payload_add(struct cx_map *payload, const char *path, const void *data, size_t length, unsigned mode,
                struct cx_error *err) CX_CHECK;
// Makes `folder` (which exists) show exactly the payload. ret_changed (may be NULL): whether anything was written.
// Files are owned by root (or their uid) and group `gid`, when it is not -1 (fsGroup), and readable by that group; so are
// the folders, whose group new files get.
int atomic_write(const char *folder, const struct cx_map *payload, int64_t gid, bool *ret_changed, struct cx_error *err)
        CX_CHECK;
