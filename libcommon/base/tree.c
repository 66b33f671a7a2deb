// SPDX-License-Identifier: Apache-2.0
// A walk by file descriptors, without recursion: a folder is swept of everything but folders that are not empty; the walk
// goes down into the first such, and back up by ".." when one is empty, where the next sweep removes it. So it holds one
// descriptor and a number for each level, whatever the depth, and no path is ever longer than a name. Every folder must be
// on the mount that the walk began on, and ".." must be the folder that it came down from.
#include "libcommon/base/tree.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/mounts.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct place {
        uint32_t major, minor;
        uint64_t mount, number; // mount: 0 where the kernel does not tell; number: the inode's
};
struct tree_walk {
        DIR *dir;
        struct place here;
        uint64_t *above; // the inodes of the folders that lead here
        size_t depth;
        uint64_t left; // the folder that the walk came up from: empty then
};

static int place_of(int fd, struct place *ret_place)
{
        struct statx st;
        if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &st) < 0)
                return -errno;
        *ret_place = (struct place){.major = st.stx_dev_major,
                                    .minor = st.stx_dev_minor,
                                    .mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0,
                                    .number = st.stx_ino};
        return 0;
}

static bool same_mount(const struct place *a, const struct place *b)
{
        return a->major == b->major && a->minor == b->minor && a->mount == b->mount;
}

// Makes the folder `name` of `at` the one that is looked at.
static int enter(struct tree_walk *w, int at, const char *name)
{
        CX_CLEANUP(cx_closep) int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct place place = {0};
        int r = fd < 0 ? -errno : place_of(fd, &place);
        if (r < 0)
                return r;
        if (w->dir && !same_mount(&place, &w->here))
                return -EXDEV;
        DIR *dir = fdopendir(fd);
        if (!dir)
                return -errno;
        (void)cx_steal_fd(&fd);
        if (w->dir)
                closedir(w->dir);
        w->dir = dir;
        w->here = place;
        return 0;
}

static int go_down(struct tree_walk *w, const char *name)
{
        uint64_t number = w->here.number;
        int r = enter(w, dirfd(w->dir), name);
        if (r < 0)
                return r;
        if (w->here.number == w->left) // somebody fills it again: it would never end
                return -ENOTEMPTY;
        if (w->depth % 64 == 0)
                w->above = cx_realloc_array(w->above, w->depth + 64, sizeof *w->above);
        w->above[w->depth++] = number;
        return 0;
}

static int go_up(struct tree_walk *w)
{
        w->left = w->here.number;
        int r = enter(w, dirfd(w->dir), "..");
        if (r < 0)
                return r;
        return w->here.number == w->above[--w->depth] ? 0 : -ESTALE;
}

// Removes what can be removed at once: 0, or -ENOTEMPTY for a folder that has to be swept first.
static int remove_entry(int at, const char *name, bool maybe_folder)
{
        if (maybe_folder && unlinkat(at, name, AT_REMOVEDIR) == 0)
                return 0;
        if (maybe_folder && errno != ENOTDIR)
                return errno == ENOENT ? 0 : errno == EEXIST ? -ENOTEMPTY : -errno;
        return unlinkat(at, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

// Removes the folder's entries up to the first folder that is not empty, whose name is in `to` then (-ENOTEMPTY).
static int sweep(struct tree_walk *w, char to[NAME_MAX + 1])
{
        struct dirent *entry;
        assert(w->dir);
        while ((entry = readdir(w->dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                bool folder = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
                int r = remove_entry(dirfd(w->dir), entry->d_name, folder);
                if (r < 0) {
                        (void)cx_copy_string(to, NAME_MAX + 1, entry->d_name);
                        return r;
                }
        }
        return 0;
}

static int empty_folder(const char *path)
{
        struct tree_walk w = {0};
        char name[NAME_MAX + 1];
        int r = enter(&w, AT_FDCWD, path);
        while (r == 0) {
                r = sweep(&w, name);
                if (r == 0 && !w.depth)
                        break;
                if (r == 0)
                        r = go_up(&w);
                else if (r == -ENOTEMPTY)
                        r = go_down(&w, name);
        }
        if (w.dir)
                closedir(w.dir);
        free(w.above);
        return r;
}

int cx_remove_tree(const char *path, struct cx_error *err)
{
        struct stat st;
        CX_STRINGS mounts = CX_STRINGS_INIT;
        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : cx_error_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
        int r = 0;
        if (S_ISDIR(st.st_mode)) {
                r = cx_mounts_below(path, &mounts, err);
                if (r < 0)
                        return r;
                if (mounts.count)
                        return cx_error_set(err, -EBUSY, "cannot remove %s: %s is mounted", path, mounts.items[0]);
                r = empty_folder(path);
        }
        if (r == 0)
                r = remove_entry(AT_FDCWD, path, S_ISDIR(st.st_mode));
        return r < 0 ? cx_error_set(err, r, "cannot remove %s: %s", path, strerror(-r)) : 0;
}

int cx_open_beneath(int at, const char *path, int flags, mode_t mode)
{
        struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                               .mode = mode,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof how);
        return fd < 0 ? -errno : fd;
}
