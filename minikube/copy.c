// SPDX-License-Identifier: Apache-2.0
// Copies files in large blocks.
#include "minikube/copy.h"

#include "libcommon/base/alloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BLOCK ((size_t)1 << 20)

int copy_all(int in, int out, const char *from, const char *name, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *block = cx_alloc_array(1, COPY_BLOCK);
        ssize_t n;
        int r = 0;
        while (r == 0 && (n = read(in, block, COPY_BLOCK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        r = cx_error_set(err, -EIO, "%s: cannot read %s: %s", name, from, strerror(errno));
                for (ssize_t done = 0; r == 0 && done < n;) {
                        ssize_t written = write(out, block + done, (size_t)(n - done));
                        if (written < 0 && errno != EINTR)
                                r = cx_error_set(err, -EIO, "%s: cannot copy %s to the node: %s", name, from,
                                                 strerror(errno));
                        done += written > 0 ? written : 0;
                }
        }
        return r;
}

int copy_file(int in, const char *from, const char *to, mode_t mode, const char *name, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *temporary = cx_sprintf("%s.part", to);
        CX_CLEANUP(cx_closep) int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = out < 0 ? cx_error_set(err, -EIO, "%s: cannot make %s: %s", name, temporary, strerror(errno)) : 0;
        if (r == 0 && lseek(in, 0, SEEK_SET) < 0)
                r = cx_error_set(err, -EIO, "%s: cannot read %s again: %s", name, from, strerror(errno));
        if (r == 0)
                r = copy_all(in, out, from, name, err);
        if (r == 0 && (fchmod(out, mode) < 0 || rename(temporary, to) < 0))
                r = cx_error_set(err, -EIO, "%s: cannot make %s: %s", name, to, strerror(errno));
        if (r < 0 && out >= 0)
                (void)unlink(temporary);
        return r;
}
