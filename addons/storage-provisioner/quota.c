// SPDX-License-Identifier: Apache-2.0
// The project of a folder is its inode's number, which nobody else on the file system has, so that nothing has to be kept;
// where that number is taken by a project of somebody else, or does not fit, the next one that holds nothing.
#include "addons/storage-provisioner/quota.h"

#include "libcommon/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 1024 // QIF_DQBLKSIZE: limits are counted so
#define MAX_TRIES 1000

static long quota_control(int folder, unsigned command, uint32_t project, void *data)
{
        return syscall(SYS_quotactl_fd, folder, QCMD(command, PRJQUOTA), project, data) < 0 ? -errno : 0;
}

bool quota_works(int folder)
{
        struct if_dqinfo info;
        return quota_control(folder, Q_GETINFO, 0, &info) == 0;
}

static int attributes_of(int folder, struct fsxattr *ret_attributes)
{
        return ioctl(folder, FS_IOC_FSGETXATTR, ret_attributes) < 0 ? -errno : 0;
}

// Whether something belongs to the project.
static bool is_in_use(int folder, uint32_t project)
{
        struct if_dqblk usage = {0};
        return quota_control(folder, Q_GETQUOTA, project, &usage) == 0 && usage.dqb_curinodes;
}

uint32_t quota_project(int folder)
{
        struct fsxattr own, above;
        CX_CLEANUP(cx_closep) int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        // One that it has from the folder above is not its own.
        bool known = parent >= 0 && attributes_of(folder, &own) == 0 && attributes_of(parent, &above) == 0;
        return known && own.fsx_projid != above.fsx_projid ? own.fsx_projid : 0;
}

int64_t quota_used(int folder)
{
        struct if_dqblk usage = {0};
        uint32_t project = quota_project(folder);
        bool known = project && quota_control(folder, Q_GETQUOTA, project, &usage) == 0;
        return !known ? 0 : usage.dqb_curspace > INT64_MAX ? INT64_MAX : (int64_t)usage.dqb_curspace;
}

static int choose_project(int folder, uint32_t *ret_project, struct cx_error *err)
{
        struct stat st;
        if (fstat(folder, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at the folder: %s", strerror(errno));
        uint32_t project = (uint32_t)st.st_ino;
        for (int i = 0; i < MAX_TRIES; i++, project++)
                if (project && project != UINT32_MAX && !is_in_use(folder, project)) {
                        *ret_project = project;
                        return 0;
                }
        return cx_error_set(err, -EBUSY, "no project is free for a quota");
}

static int assign(int folder, uint32_t project, struct cx_error *err)
{
        struct fsxattr attributes;
        int r = attributes_of(folder, &attributes);
        if (r == 0) {
                attributes.fsx_projid = project;
                attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
                r = ioctl(folder, FS_IOC_FSSETXATTR, &attributes) < 0 ? -errno : 0;
        }
        return r < 0 ? cx_error_set(err, r, "cannot give the folder a project: %s", strerror(-r)) : 0;
}

static int limit(int folder, uint32_t project, int64_t bytes, struct cx_error *err)
{
        struct if_dqblk quota = {.dqb_bhardlimit = ((uint64_t)bytes + BLOCK - 1) / BLOCK, .dqb_valid = QIF_BLIMITS};
        int r = (int)quota_control(folder, Q_SETQUOTA, project, &quota);
        return r < 0 ? cx_error_set(err, r, "cannot set a quota: %s", strerror(-r)) : 0;
}

int quota_set(int folder, int64_t bytes, struct cx_error *err)
{
        if (!quota_works(folder))
                return cx_error_set(err, -EOPNOTSUPP, "the file system has no project quotas");
        uint32_t project = quota_project(folder);
        int r = project ? 0 : choose_project(folder, &project, err);
        // The limit first: nothing comes into a project without one.
        if (r == 0)
                r = limit(folder, project, bytes, err);
        return r < 0 ? r : assign(folder, project, err);
}

void quota_forget(int parent, uint32_t project)
{
        struct if_dqblk none = {.dqb_valid = QIF_BLIMITS};
        if (project)
                (void)quota_control(parent, Q_SETQUOTA, project, &none);
}
