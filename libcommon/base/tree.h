// SPDX-License-Identifier: Apache-2.0
// Removal of folders with everything in them, and of nothing else.
#pragma once

#include "libcommon/base/error.h"

// Removes a file or a folder with all that is below it, however deep; absent is success. What is mounted is never removed:
// with a mount at or below the folder nothing is touched and the call fails (-EBUSY), and one that appears meanwhile ends
// it (-EBUSY, -EXDEV). No symbolic link is followed, and whoever moves folders about meanwhile leads it nowhere else
// (-ESTALE). Any thread.
int cx_remove_tree(const char *path, struct cx_error *err) CX_CHECK;
