// SPDX-License-Identifier: Apache-2.0
// /proc/self/mountinfo, read whole each time: it is short, and changes at any time.
#include "libcommon/base/mounts.h"

#include "libcommon/base/buf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define TABLE_MAX ((size_t)64 << 20)
#define POINT_FIELD 4 // of a line's fields, counted from 0

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

// Cuts the mount point out of a line; NULL when the line has none.
static char *point_of(char *line)
{
        for (int field = 0; field < POINT_FIELD && line; field++) {
                line = strchr(line, ' ');
                line += line != NULL;
        }
        if (!line)
                return NULL;
        line[strcspn(line, " ")] = '\0';
        unescape(line);
        return line;
}

static int read_table(struct cx_buf *text, struct cx_error *err)
{
        int r = cx_buf_read_file(text, "/proc/self/mountinfo");
        return r < 0 ? cx_error_set(err, r, "cannot read the mount table: %s", strerror(-r)) : 0;
}

int cx_mounts_below(const char *folder, struct cx_strings *ret_points, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = realpath(folder, NULL); // the table has no links in it
        if (!path)
                return errno == ENOENT ? 0
                                       : cx_error_set(err, -errno, "cannot resolve %s: %s", folder, strerror(errno));
        CX_BUF text = CX_BUF_INIT_MAX(TABLE_MAX);
        int r = read_table(&text, err);
        if (r < 0)
                return r;
        size_t n = strcmp(path, "/") == 0 ? 0 : strlen(path);
        for (char *line = text.data, *next; line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                const char *point = point_of(line);
                if (point && strncmp(point, path, n) == 0 && (point[n] == '/' || !point[n]))
                        cx_strings_add(ret_points, point);
        }
        return 0;
}

int cx_unmount_below(const char *folder, bool lazy, struct cx_error *err)
{
        CX_STRINGS points = CX_STRINGS_INIT;
        int r = cx_mounts_below(folder, &points, err);
        for (size_t i = points.count; i-- > 0;) { // the newest first: they may lie on older ones
                if (umount2(points.items[i], UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0 || r < 0)
                        continue;
                r = cx_error_set(err, -errno, "cannot unmount %s: %s", points.items[i], strerror(errno));
        }
        return r;
}

void cx_mount_sharing_release(struct cx_mount_sharing *sharing)
{
        free(sharing->point);
        *sharing = (struct cx_mount_sharing){0};
}

// "… shared:1 master:2 - ext4 …": what stands before the dash may be missing.
static void parse_sharing(char *line, struct cx_mount_sharing *to)
{
        char *end = strstr(line, " - ");
        if (end)
                end[1] = '\0';
        to->shared = strstr(line, " shared:") != NULL;
        to->slave = strstr(line, " master:") != NULL;
        to->point = cx_strdup(cx_str(point_of(line)));
}

int cx_mount_sharing_of(const char *path, struct cx_mount_sharing *ret, struct cx_error *err)
{
        struct statx st;
        CX_BUF text = CX_BUF_INIT_MAX(TABLE_MAX);
        if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
        int r = read_table(&text, err);
        if (r < 0)
                return r;
        for (char *line = text.data, *next; line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (strtoull(line, NULL, 10) != st.stx_mnt_id)
                        continue;
                parse_sharing(line, ret);
                return 0;
        }
        return cx_error_set(err, -ENOENT, "the mount of %s is not in the mount table", path);
}
