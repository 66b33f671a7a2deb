// SPDX-License-Identifier: Apache-2.0
// util-linux and the file systems' own tools do the work, as they do for upstream's kubelet.
#include "kubelet/volume/filesystem.h"

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#define TOOL_TIMEOUT (600 * CX_NS_PER_S)

static int run(const char *const *argv, struct cx_buf *ret_out, int *ret_status, struct cx_error *err)
{
        CX_BUF complaint = CX_BUF_INIT_MAX(65536);
        int r = cx_run(&(struct cx_run_options){.argv = argv, .timeout = TOOL_TIMEOUT}, ret_out, &complaint, ret_status,
                       err);
        if (r < 0)
                return r == -ENOENT ? cx_error_wrap(err, "%s is needed on the node and not there", argv[0]) : r;
        while (complaint.length && complaint.data[complaint.length - 1] == '\n')
                cx_buf_truncate(&complaint, complaint.length - 1);
        const char *last = strrchr(complaint.data, '\n'); // what comes first is a greeting, often
        if (*ret_status && complaint.length)
                (void)cx_error_set(err, -EIO, "%s failed: exit status %d: %.300s", argv[0], *ret_status,
                                   last ? last + 1 : complaint.data);
        else if (*ret_status)
                (void)cx_error_set(err, -EIO, "%s failed: exit status %d", argv[0], *ret_status);
        return 0;
}

// What blkid says of a device; "" when there is nothing on it. What it cannot tell apart is not nothing.
static int what_is_on(const char *device, char **ret_type, struct cx_error *err)
{
        CX_BUF out = CX_BUF_INIT_MAX(65536);
        CX_ERROR failure = CX_ERROR_INIT;
        int status = 0;
        int r = run((const char *const[]){"blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", device, NULL},
                    &out, &status, &failure);
        if (r == 0 && status == 2) {
                *ret_type = cx_strdup("");
                return 0;
        }
        if (r < 0 || status)
                return cx_error_move(err, &failure);
        const char *type = NULL;
        for (char *line = out.data, *next; line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (cx_has_prefix(line, "TYPE="))
                        type = line + 5;
                else if (!type && cx_has_prefix(line, "PTTYPE="))
                        type = "a partition table";
        }
        *ret_type = cx_strdup(type ? type : "unknown data");
        return 0;
}

static int format(const char *device, const char *type, struct cx_error *err)
{
        static const char *const types[] = {"ext2", "ext3", "ext4", "xfs", "btrfs"};
        bool known = false;
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++)
                known = known || strcmp(type, types[i]) == 0;
        if (!known)
                return cx_error_set(err, -EINVAL, "fsType \"%s\" is not one of ext2, ext3, ext4, xfs and btrfs", type);
        CX_CLEANUP(cx_freep) char *tool = cx_sprintf("mkfs.%s", type);
        const char *const ext[] = {tool, "-F", "-m0", device, NULL}, *const others[] = {tool, "-f", device, NULL};
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        int status = 0;
        int r = run(cx_has_prefix(type, "ext") ? ext : others, &out, &status, err);
        return r == 0 && status ? -EIO : r;
}

// fsck mends what it can without asking (1); what it cannot (4) is for a person.
static int check(const char *device, struct cx_error *err)
{
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        CX_ERROR failure = CX_ERROR_INIT;
        int status = 0;
        int r = run((const char *const[]){"fsck", "-a", device, NULL}, &out, &status, &failure);
        if (r == 0 && status >= 4 && status < 8)
                return cx_error_set(err, -EIO, "'fsck' found errors on device %s but could not correct them: %.300s",
                                    device, out.data);
        return 0;
}

int filesystem_mount(const struct filesystem_mount *m, struct cx_error *err)
{
        const char *wanted = m->type && *m->type ? m->type : "ext4";
        bool read_only = m->options->flags & MS_RDONLY;
        CX_CLEANUP(cx_freep) char *there = NULL;
        int r = what_is_on(m->device, &there, err);
        if (r < 0)
                return r;
        if (!*there && read_only)
                return cx_error_set(err, -EINVAL, "cannot mount unformatted disk %s as it is in read-only mode",
                                    m->device);
        if (!*there)
                r = format(m->device, wanted, err);
        else if (!read_only)
                r = check(m->device, err);
        if (r < 0)
                return r;
        const char *type = *there ? there : wanted;
        if (m->type && *m->type && strcmp(type, m->type) != 0)
                return cx_error_set(err, -EINVAL, "%s holds %s, and fsType is \"%s\"", m->device, type, m->type);
        if (mount(m->device, m->target, type, m->options->flags, m->options->data) < 0)
                return cx_error_set(err, -errno, "cannot mount %s (%s) at %s: %s", m->device, type, m->target,
                                    strerror(errno));
        return 0;
}

// The line of the mount table: "... - type source options".
static int mounted_there(const char *mount_point, char **ret_device, char **ret_type, struct cx_error *err)
{
        struct stat st;
        if (stat(mount_point, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at %s: %s", mount_point, strerror(errno));
        CX_BUF text = CX_BUF_INIT_MAX((size_t)64 << 20);
        int r = cx_buf_read_file(&text, "/proc/self/mountinfo");
        char device[40];
        snprintf(device, sizeof device, " %u:%u ", gnu_dev_major(st.st_dev), gnu_dev_minor(st.st_dev));
        for (char *line = text.data, *next; r == 0 && line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                char *tail = strstr(line, " - "), type[64], source[512];
                if (strstr(line, device) && tail && sscanf(tail, " - %63s %511s", type, source) == 2) {
                        *ret_device = cx_strdup(source);
                        *ret_type = cx_strdup(type);
                        return 0;
                }
        }
        return cx_error_set(err, -ENOENT, "no file system is mounted at %s", mount_point);
}

int filesystem_device(const char *mount_point, char **ret_device, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *type = NULL;
        return mounted_there(mount_point, ret_device, &type, err);
}

static uint64_t size_of(const char *mount_point)
{
        struct statvfs fs;
        return statvfs(mount_point, &fs) == 0 ? (uint64_t)fs.f_blocks * fs.f_frsize : 0;
}

int filesystem_grow(const char *mount_point, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *device = NULL, *type = NULL;
        int r = mounted_there(mount_point, &device, &type, err);
        if (r < 0)
                return r;
        const char *const ext[] = {"resize2fs", device, NULL}, *const xfs[] = {"xfs_growfs", "-d", mount_point, NULL},
                          *const btrfs[] = {"btrfs", "filesystem", "resize", "max", mount_point, NULL};
        const char *const *tool = cx_has_prefix(type, "ext")   ? ext
                                  : strcmp(type, "xfs") == 0   ? xfs
                                  : strcmp(type, "btrfs") == 0 ? btrfs
                                                               : NULL;
        if (!tool)
                return cx_error_set(err, -ENOTSUP, "a file system of type %s cannot be grown", type);
        uint64_t before = size_of(mount_point);
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        int status = 0;
        r = run(tool, &out, &status, err);
        return r < 0 ? r : status ? -EIO : size_of(mount_point) > before ? 0 : 1;
}

int filesystem_device_size(const char *device, int64_t *ret_bytes, struct cx_error *err)
{
        uint64_t bytes = 0;
        CX_CLEANUP(cx_closep) int fd = open(device, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
                return cx_error_set(err, -errno, "cannot learn the size of %s: %s", device, strerror(errno));
        *ret_bytes = (int64_t)bytes;
        return 0;
}
