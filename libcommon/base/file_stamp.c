// SPDX-License-Identifier: Apache-2.0
// A stamp is what stat says: the inode tells a file that was replaced within one tick of the clock.
#include "libcommon/base/file_stamp.h"

#include <sys/stat.h>

struct cx_file_stamp cx_file_stamp_of(const char *path)
{
        struct stat st;
        if (!path || stat(path, &st) < 0)
                return (struct cx_file_stamp){0};
        return (struct cx_file_stamp){
                .modified = st.st_mtim, .device = st.st_dev, .inode = st.st_ino, .size = st.st_size, .there = true};
}

bool cx_file_stamp_equal(const struct cx_file_stamp *a, const struct cx_file_stamp *b)
{
        return a->there == b->there && a->device == b->device && a->inode == b->inode && a->size == b->size &&
               a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}
