// SPDX-License-Identifier: Apache-2.0
// Folders of this machine as volumes: their owner, their end, and how much is in them.
#include "kubelet/volume/local.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

// What is counted at most: a pod can make more files and folders than is worth knowing.
#define MAX_COUNTED 1000000
#define MAX_DEPTH 64

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

bool local_is_mount(const char *path)
{
        CX_CLEANUP(cx_freep) char *parent = cx_sprintf("%s/..", path);
        struct stat a, b;
        return stat(path, &a) == 0 && stat(parent, &b) == 0 && a.st_dev != b.st_dev;
}

int local_tear_down(const struct volume_place *place, struct cx_error *err)
{
        int r = cx_unmount_below(place->folder, false, err);
        return r < 0 ? r : cx_remove_tree(place->folder, err);
}

// Adds up the files below an open folder, within its file system. Takes over the descriptor.
static void count(int fd, dev_t device, int depth, struct volume_usage *to)
{
        DIR *dir = fdopendir(fd);
        struct dirent *entry;
        if (!dir)
                close(fd);
        while (dir && to->inodes_used < MAX_COUNTED && (entry = readdir(dir))) {
                struct stat st;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
                        continue;
                to->used += st.st_blocks * 512;
                to->inodes_used++;
                int below = S_ISDIR(st.st_mode) && depth < MAX_DEPTH
                                    ? openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                    : -1;
                if (below >= 0)
                        count(below, device, depth + 1, to);
        }
        if (dir)
                closedir(dir);
}

int local_stats(const struct volume_place *place, struct volume_usage *ret_usage, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct statvfs fs;
        struct stat st;
        if (fd < 0 || fstatvfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at %s: %s", place->folder, strerror(errno));
        struct volume_usage u = {.capacity = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize,
                                 .available = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize,
                                 .inodes = (int64_t)fs.f_files,
                                 .inodes_free = (int64_t)fs.f_ffree};
        if (local_is_mount(place->folder)) {
                u.used = (int64_t)(fs.f_blocks - fs.f_bfree) * (int64_t)fs.f_frsize;
                u.inodes_used = u.inodes - u.inodes_free;
        } else {
                u.used = st.st_blocks * 512;
                u.inodes_used = 1;
                count(cx_steal_fd(&fd), st.st_dev, 0, &u);
        }
        *ret_usage = u;
        return 0;
}
