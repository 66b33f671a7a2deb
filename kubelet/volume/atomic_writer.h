// SPDX-License-Identifier: Apache-2.0
// Writes the files of a projected volume so that a reader sees all of one version or all of the next: files live in a
// timestamped folder, "..data" links to it and is replaced by rename, and each visible name links into "..data".
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"

#include <sys/types.h>

struct cx_payload_file {
        char *data;
        size_t length;
        unsigned mode;
        int64_t uid; // of its owner; -1: root
};
// A map of relative paths ("dir/file") to files; free with cx_payload_free_file as free_value.
void cx_payload_free_file(void *file);
// Adds a file; the path must be relative, without "..", and must not begin with "..". -EINVAL otherwise.
int cx_payload_add(struct cx_map *payload, const char *path, const void *data, size_t length, unsigned mode,
                   struct cx_error *err) CX_CHECK;
// Makes `folder` (which exists) show exactly the payload. ret_changed (may be NULL): whether anything was written.
// Files are owned by root (or their uid) and group `gid`, when it is not -1 (fsGroup), and readable by that group; so are
// the folders, whose group new files get.
int cx_atomic_write(const char *folder, const struct cx_map *payload, int64_t gid, bool *ret_changed,
                    struct cx_error *err) CX_CHECK;
