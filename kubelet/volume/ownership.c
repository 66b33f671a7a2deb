// SPDX-License-Identifier: Apache-2.0
// Modes are changed through the descriptor that a file was looked at by, so that no name is trusted twice.
#include "kubelet/volume/ownership.h"

#include "kubelet/volume/walk.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <fcntl.h>

#define FILE_BITS(read_only) ((read_only) ? 0440 : 0660)
#define FOLDER_BITS (S_ISGID | 0110)

struct group_owner {
        gid_t gid;
        bool read_only;
        dev_t device;
        ino_t root; // is done last
};

static int give(const struct group_owner *o, int fd, const struct stat *st)
{
        char path[40];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (st->st_gid != o->gid && fchownat(fd, "", (uid_t)-1, o->gid, AT_EMPTY_PATH) < 0)
                return -errno;
        if (S_ISLNK(st->st_mode))
                return 0;
        mode_t mode = (st->st_mode & 07777) | (mode_t)FILE_BITS(o->read_only);
        if (S_ISDIR(st->st_mode))
                mode |= FOLDER_BITS;
        // A change of owner may have taken set-id bits away, which were not the group's to have.
        return (st->st_mode & 07777) != mode && chmod(path, mode) < 0 ? -errno : 0;
}

static int visit(void *context, int fd, const struct stat *st)
{
        const struct group_owner *o = context;
        return st->st_ino == o->root && st->st_dev == o->device ? 0 : give(o, fd, st);
}

static bool root_matches(const struct group_owner *o, const struct stat *st)
{
        mode_t wanted = (mode_t)FILE_BITS(o->read_only) | FOLDER_BITS;
        return st->st_gid == o->gid && (st->st_mode & wanted) == wanted;
}

int ownership_apply(const struct volume_job *job, const char *folder, bool read_only, struct cx_error *err)
{
        struct stat st;
        if (job->gid < 0)
                return 0;
        CX_CLEANUP(cx_closep) int fd = open(folder, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at %s: %s", folder, strerror(errno));
        struct group_owner o = {(gid_t)job->gid, read_only, st.st_dev, st.st_ino};
        const char *policy = cx_json_string(job->pod, "spec.securityContext.fsGroupChangePolicy");
        if (cx_streq(policy, "OnRootMismatch") && root_matches(&o, &st))
                return 0;
        int r = S_ISDIR(st.st_mode) ? walk_folder(folder, &(struct folder_walk){.visit = visit, .context = &o}) : 0;
        if (r == 0)
                r = give(&o, fd, &st);
        return r < 0 ? cx_error_set(err, r, "applyFSGroup failed for vol %s: %s", job->name, strerror(-r)) : 0;
}
