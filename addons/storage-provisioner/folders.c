// SPDX-License-Identifier: Apache-2.0
// A folder that no volume speaks of was made by one who was killed before he could say so. It is empty then: no pod can have
// known of it. One that holds something stays, whoever it belongs to.
#include "addons/storage-provisioner/folders.h"

#include "addons/storage-provisioner/quota.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FOLDER_MODE 0777 // whoever the pod's processes run as; as minikube has it

static bool is_single(const char *name)
{
        return *name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

static int bad_name(const char *name, struct cx_error *err)
{
        return cx_error_set(err, -EINVAL, "\"%s\" is no name of a folder", name);
}

int folders_open(struct folders *self, const char *root, struct cx_error *err)
{
        *self = (struct folders){.fd = -1};
        int r = cx_mkdir_all(root, 0755, err);
        if (r < 0)
                return r;
        self->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (self->fd < 0)
                return cx_error_set(err, -errno, "cannot open %s: %s", root, strerror(errno));
        self->root = realpath(root, NULL);
        if (!self->root)
                return cx_error_set(err, -errno, "cannot resolve %s: %s", root, strerror(errno));
        self->quota = quota_works(self->fd);
        return 0;
}

void folders_close(struct folders *self)
{
        cx_closep(&self->fd);
        free(self->root);
        *self = (struct folders){.fd = -1};
}

char *folders_path(const struct folders *self, const char *name)
{
        return cx_sprintf("%s/%s", self->root, name);
}

static int64_t bytes_of(uint64_t blocks, uint64_t size)
{
        uint64_t bytes;
        return __builtin_mul_overflow(blocks, size, &bytes) || bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

static int open_folder(const struct folders *self, const char *name, struct cx_error *err)
{
        int fd = openat(self->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? cx_error_set(err, -errno, "cannot open %s/%s: %s", self->root, name, strerror(errno)) : fd;
}

// What volumes have, as the file system counts it. A folder that goes meanwhile has nothing.
static int64_t used_by_volumes(const struct folders *self)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int64_t sum = 0;
        if (cx_list_folder(self->root, &names, &err) < 0)
                return 0;
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_closep)
                int fd = openat(self->fd, names.items[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd >= 0)
                        sum = room_add(sum, quota_used(fd));
        }
        return sum;
}

int folders_room(const struct folders *self, struct room *ret_room, struct cx_error *err)
{
        struct statvfs st;
        if (fstatvfs(self->fd, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at the file system of %s: %s", self->root,
                                    strerror(errno));
        // What is kept for root is nobody's.
        uint64_t blocks = st.f_blocks - (st.f_bfree - st.f_bavail);
        *ret_room = (struct room){.size = bytes_of(blocks, st.f_frsize),
                                  .free = bytes_of(st.f_bavail, st.f_frsize),
                                  .used = self->quota ? used_by_volumes(self) : 0,
                                  .enforced = self->quota};
        return 0;
}

int folders_make(const struct folders *self, const char *name, int64_t bytes, struct cx_error *err)
{
        if (!is_single(name))
                return bad_name(name, err);
        if (mkdirat(self->fd, name, FOLDER_MODE) < 0 && errno != EEXIST)
                return cx_error_set(err, -errno, "cannot make %s/%s: %s", self->root, name, strerror(errno));
        CX_CLEANUP(cx_closep) int fd = open_folder(self, name, err);
        if (fd < 0)
                return fd;
        if (fchmod(fd, FOLDER_MODE) < 0)
                return cx_error_set(err, -errno, "cannot open %s/%s to everybody: %s", self->root, name,
                                    strerror(errno));
        return self->quota ? quota_set(fd, bytes, err) : 0;
}

int folders_grow(const struct folders *self, const char *name, int64_t bytes, struct cx_error *err)
{
        if (!is_single(name))
                return bad_name(name, err);
        CX_CLEANUP(cx_closep) int fd = open_folder(self, name, err);
        if (fd < 0)
                return fd;
        return self->quota ? quota_set(fd, bytes, err) : 0;
}

int folders_remove(const struct folders *self, const char *name, struct cx_error *err)
{
        if (!is_single(name))
                return bad_name(name, err);
        CX_CLEANUP(cx_freep) char *path = folders_path(self, name);
        CX_CLEANUP(cx_closep) int fd = openat(self->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        uint32_t project = self->quota && fd >= 0 ? quota_project(fd) : 0;
        int r = cx_remove_tree(path, err);
        if (r == 0)
                quota_forget(self->fd, project);
        return r;
}

void folders_sweep(const struct folders *self, bool (*wanted)(void *context, const char *name), void *context)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_list_folder(self->root, &names, &err) < 0)
                return;
        for (size_t i = 0; i < names.count; i++)
                if (!wanted(context, names.items[i]))
                        (void)unlinkat(self->fd, names.items[i], AT_REMOVEDIR); // only when it is empty
}
