// SPDX-License-Identifier: Apache-2.0
// Files as a tar archive, for kubectl cp. Whoever made an archive may be hostile: nothing is written outside the place that
// it is unpacked at, and no link leads there.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

// Writes what is at `path`, a folder with all below it, under the name `name`. Closes the descriptor.
int archive_pack(const char *path, const char *name, int fd, struct cx_error *err) CX_CHECK;

struct archive_place {
        const char *prefix;      // of all names in the archive, taken off; "" for none
        const char *destination; // a file or folder; what is missing on the way to it is made
        const char *hint;        // added to the first warning about a link; may be NULL
};
// Reads an archive and writes its files and folders. What must not be written is left out with a warning on standard error.
int archive_unpack(int fd, const struct archive_place *place, struct cx_error *err) CX_CHECK;

// The path without "." and empty parts, ".." in it taken as far as the beginning allows: for names in an archive. Owned.
char *archive_clean(const char *path);
