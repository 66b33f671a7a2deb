// SPDX-License-Identifier: Apache-2.0
// A look at everything in a folder, whatever containers made of it: however deep, on its own mount alone, and along no
// symbolic link. Any thread.
#pragma once

#include "libcommon/base/error.h"

#include <sys/stat.h>

struct folder_walk {
        // Called for the folder itself and for all that is in it, folders before their contents. `fd` has it open (O_PATH,
        // and not followed). Negative ends the walk.
        int (*visit)(void *context, int fd, const struct stat *st);
        void *context;
        size_t most; // entries; 0: all. Beyond that the walk ends without an error.
};
// 0 or what visit returned, or why the folder cannot be read. What disappears meanwhile is passed over.
int walk_folder(const char *folder, const struct folder_walk *walk) CX_CHECK;
