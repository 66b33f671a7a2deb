// SPDX-License-Identifier: Apache-2.0
// Folders of this machine as volumes: their owner, their end, and how much is in them.
#include "kubelet/volume/local.h"

#include "kubelet/volume/binds.h"
#include "kubelet/volume/walk.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

// What is counted at most: a pod can make more files and folders than is worth knowing.
#define MAX_COUNTED 1000000

bool local_in_memory(const json_t *source CX_UNUSED)
{
        return true;
}

int local_own_folder(const struct volume_job *job, struct cx_error *err)
{
        bool grouped = job->gid >= 0;
        if ((grouped && chown(job->folder, 0, (gid_t)job->gid) < 0) || chmod(job->folder, grouped ? 02777 : 0777) < 0)
                return cx_error_set(err, -errno, "cannot set the mode of %s: %s", job->folder, strerror(errno));
        return 0;
}

int local_tear_down(const struct volume_place *place, struct cx_error *err)
{
        int r = cx_unmount_below(place->folder, false, err);
        return r < 0 ? r : cx_remove_tree(place->folder, err);
}

int local_end_mount(const struct volume_place *place, struct cx_error *err)
{
        int r = cx_unmount_below(place->folder, false, err);
        if (r == 0 && rmdir(place->folder) < 0 && errno != ENOENT)
                return cx_error_set(err, -errno, "cannot remove %s: %s", place->folder, strerror(errno));
        return r;
}

static int count(void *context, int fd CX_UNUSED, const struct stat *st)
{
        struct volume_usage *to = context;
        to->used += st->st_blocks * 512;
        to->inodes_used++;
        return 0;
}

int local_usage(const char *folder, struct volume_usage *ret_usage, struct cx_error *err)
{
        struct volume_usage u = {0};
        int r = walk_folder(folder, &(struct folder_walk){.visit = count, .context = &u, .most = MAX_COUNTED});
        if (r < 0)
                return cx_error_set(err, r, "cannot look at %s: %s", folder, strerror(-r));
        *ret_usage = u;
        return 0;
}

int local_stats(const struct volume_place *place, struct volume_usage *ret_usage, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct statvfs fs;
        if (fd < 0 || fstatvfs(fd, &fs) < 0)
                return cx_error_set(err, -errno, "cannot look at %s: %s", place->folder, strerror(errno));
        struct volume_usage u = {.capacity = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize,
                                 .available = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize,
                                 .inodes = (int64_t)fs.f_files,
                                 .inodes_free = (int64_t)fs.f_ffree};
        if (is_mount_point(place->folder)) {
                u.used = (int64_t)(fs.f_blocks - fs.f_bfree) * (int64_t)fs.f_frsize;
                u.inodes_used = u.inodes - u.inodes_free;
        } else {
                struct volume_usage counted = {0};
                int r = local_usage(place->folder, &counted, err);
                if (r < 0)
                        return r;
                u.used = counted.used;
                u.inodes_used = counted.inodes_used;
        }
        *ret_usage = u;
        return 0;
}
