// SPDX-License-Identifier: Apache-2.0
// Whether a file is another than it was: for those that are read again when they change (certificates, keys, tokens).
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct cx_file_stamp { // zeroed: no file was seen
        struct timespec modified;
        dev_t device;
        ino_t inode;
        off_t size;
        bool there;
};
// As the file is now; links are followed. A file that cannot be looked at is as one that is not there.
struct cx_file_stamp cx_file_stamp_of(const char *path);
bool cx_file_stamp_equal(const struct cx_file_stamp *a, const struct cx_file_stamp *b);
