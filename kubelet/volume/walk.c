// SPDX-License-Identifier: Apache-2.0
// One descriptor at a time: the walk goes into a folder by its name and back by "..", which must be the folder that it came
// from. What it still has to go into is a list of names for each level.
#include "kubelet/volume/walk.h"

#include "libcommon/base/strings.h"

#include <dirent.h>
#include <fcntl.h>

struct level {
        struct cx_strings below; // folders that are left to go into
        struct stat st;
};
struct path {
        struct level *levels;
        size_t depth;
        uint64_t mount;
        size_t seen;
};

static uint64_t mount_of(int fd)
{
        struct statx st;
        return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 && (st.stx_mask & STATX_MNT_ID) ? st.stx_mnt_id : 0;
}

static bool same(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int visit_entry(struct path *p, const struct folder_walk *w, int at, const char *name)
{
        struct stat st;
        CX_CLEANUP(cx_closep) int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != p->levels[0].st.st_dev || mount_of(fd) != p->mount)
                return 0;
        p->seen++;
        if (S_ISDIR(st.st_mode))
                cx_strings_add(&p->levels[p->depth - 1].below, name);
        return w->visit(w->context, fd, &st);
}

static int visit_all(struct path *p, const struct folder_walk *w, int fd)
{
        int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = again < 0 ? NULL : fdopendir(again);
        struct dirent *entry;
        int r = 0;
        if (!dir) {
                if (again >= 0)
                        close(again);
                return 0;
        }
        while (r == 0 && (!w->most || p->seen < w->most) && (entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = visit_entry(p, w, dirfd(dir), entry->d_name);
        closedir(dir);
        return r;
}

static void push(struct path *p, const struct stat *st)
{
        if (p->depth % 32 == 0)
                p->levels = cx_realloc_array(p->levels, p->depth + 32, sizeof *p->levels);
        p->levels[p->depth++] = (struct level){.st = *st};
}

// Goes into the next folder of this level. 0, or 1 when it is none of ours (any more).
static int go_down(struct path *p, int *fd)
{
        struct level *here = &p->levels[p->depth - 1];
        CX_CLEANUP(cx_freep) char *name = here->below.items[--here->below.count];
        struct stat st;
        CX_CLEANUP(cx_closep) int next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 || fstat(next, &st) < 0 || mount_of(next) != p->mount)
                return 1;
        push(p, &st);
        close(*fd);
        *fd = cx_steal_fd(&next);
        return 0;
}

static int go_up(struct path *p, int *fd)
{
        cx_strings_release(&p->levels[--p->depth].below);
        if (!p->depth)
                return 0;
        struct stat st;
        CX_CLEANUP(cx_closep) int above = openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (above < 0 || fstat(above, &st) < 0 || !same(&st, &p->levels[p->depth - 1].st))
                return -ESTALE; // somebody moves folders about
        close(*fd);
        *fd = cx_steal_fd(&above);
        return 0;
}

int walk_folder(const char *folder, const struct folder_walk *w)
{
        struct path p = {0};
        struct stat st;
        CX_CLEANUP(cx_closep) int fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        p.mount = mount_of(fd);
        p.seen = 1;
        push(&p, &st);
        int r = w->visit(w->context, fd, &st);
        if (r == 0)
                r = visit_all(&p, w, fd);
        while (r == 0 && p.depth && (!w->most || p.seen < w->most)) {
                if (!p.levels[p.depth - 1].below.count)
                        r = go_up(&p, &fd);
                else if (go_down(&p, &fd) == 0)
                        r = visit_all(&p, w, fd);
        }
        while (p.depth)
                cx_strings_release(&p.levels[--p.depth].below);
        free(p.levels);
        return r;
}
