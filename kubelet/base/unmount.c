// SPDX-License-Identifier: Apache-2.0
#include "kubelet/base/unmount.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/flags.h"

#include <limits.h>
#include <sys/mount.h>

// mountinfo writes blanks, tabs, newlines and backslashes as three octal digits.
static void unescape(char *text)
{
        char *to = text;
        for (const char *p = text; *p; p++) {
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
                    p[3] <= '7') {
                        *to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
                        p += 3;
                } else {
                        *to++ = *p;
                }
        }
        *to = '\0';
}

void unmount_below(const char *folder)
{
        CX_BUF text = CX_BUF_INIT_MAX(64 << 20);
        if (cx_buf_read_file(&text, "/proc/self/mountinfo") < 0)
                return;
        CX_STRINGS found = CX_STRINGS_INIT;
        size_t n = strlen(folder);
        for (char *line = text.data; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                char target[PATH_MAX];
                if (sscanf(line, "%*d %*s %*s %*s %4095s", target) != 1)
                        continue;
                unescape(target);
                if (strncmp(target, folder, n) == 0 && (target[n] == '/' || !target[n]))
                        cx_strings_add(&found, target);
        }
        for (size_t i = found.count; i-- > 0;)
                (void)umount2(found.items[i], MNT_DETACH | UMOUNT_NOFOLLOW);
}
