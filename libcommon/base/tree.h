// SPDX-License-Identifier: Apache-2.0
// Folders as borders: removal of one with everything in it and of nothing else, and files below one and nowhere else.
#pragma once

#include "libcommon/base/error.h"

#include <sys/types.h>

// Removes a file or a folder with all that is below it, however deep; absent is success. What is mounted is never removed:
// with a mount at or below the folder nothing is touched and the call fails (-EBUSY), and one that appears meanwhile ends
// it (-EBUSY, -EXDEV). No symbolic link is followed, and whoever moves folders about meanwhile leads it nowhere else
// (-ESTALE). Any thread.
int cx_remove_tree(const char *path, struct cx_error *err) CX_CHECK;

// Opens a path (relative to the folder `at`) that must not lead out of it: neither by "..", nor by a link. A descriptor or a
// negative errno, -EXDEV or -ELOOP when it leads out. Any thread.
int cx_open_beneath(int at, const char *path, int flags, mode_t mode) CX_CHECK;
