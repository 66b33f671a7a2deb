// SPDX-License-Identifier: Apache-2.0
// What the storage-provisioner's folders are worth on a file system with project quotas: its own code, on the kernel that
// quota.sh boots. Prints TAP.
//   quota TYPE FOLDER     TYPE is for the text; FOLDER is on a file system mounted with prjquota
#include "addons/storage-provisioner/folders.h"

#include "addons/storage-provisioner/quota.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define NOBODY 65534 // limits do not concern root

struct proof {
        const char *type;
        struct folders folders;
        int count, failed;
};

static void check(struct proof *p, bool good, const char *what)
{
        p->failed += !good;
        printf("%sok %d - %s: %s\n", good ? "" : "not ", ++p->count, p->type, what);
}

static int succeed(struct proof *p, int r, const struct cx_error *err)
{
        if (r < 0)
                printf("# %s\n", cx_error_text(err));
        p->failed += r < 0;
        return r;
}

// Writes until the volume is full or has so many MiB more; how many it took.
static int write_as_nobody(int folder, int64_t most)
{
        int64_t done = 0;
        CX_CLEANUP(cx_freep) char *block = cx_alloc(MIB);
        memset(block, 'x', MIB);
        if (setuid(NOBODY) < 0)
                _exit(255);
        CX_CLEANUP(cx_closep) int fd = openat(folder, "data", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        while (fd >= 0 && done < most && write(fd, block, MIB) == MIB && fsync(fd) == 0)
                done++;
        return (int)done;
}

static int fill(const struct proof *p, const char *name, int64_t most)
{
        int status;
        CX_CLEANUP(cx_closep) int folder = openat(p->folders.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pid_t pid = fork();
        if (pid == 0)
                _exit(write_as_nobody(folder, most));
        return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// As df shows it to a pod.
static int64_t size_of(const struct proof *p, const char *name)
{
        struct statvfs st;
        CX_CLEANUP(cx_closep) int fd = openat(p->folders.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fstatvfs(fd, &st) < 0 ? -1 : (int64_t)(st.f_blocks * st.f_frsize);
}

static int64_t used_by_volumes(struct proof *p)
{
        struct room room;
        CX_ERROR err = CX_ERROR_INIT;
        return succeed(p, folders_room(&p->folders, &room, &err), &err) < 0 ? -1 : room.used;
}

static void check_neighbours(struct proof *p)
{
        CX_ERROR err = CX_ERROR_INIT;
        succeed(p, folders_make(&p->folders, "pvc-1", 16 * MIB, &err), &err);
        succeed(p, folders_make(&p->folders, "pvc-2", 16 * MIB, &err), &err);
        check(p, size_of(p, "pvc-1") == 16 * MIB, "a pod sees the size of its claim");
        int took = fill(p, "pvc-1", 100);
        check(p, took >= 14 && took <= 16, "a volume takes what was asked for, and no more");
        check(p, fill(p, "pvc-1", 1) == 0, "it is full");
        check(p, fill(p, "pvc-2", 14) == 14, "and harms nobody: its neighbour has all of its own");
        int64_t used = used_by_volumes(p);
        check(p, used >= 28 * MIB && used <= 32 * MIB, "what volumes have is known");
}

static void check_growth(struct proof *p, const char *root)
{
        CX_ERROR err = CX_ERROR_INIT;
        succeed(p, folders_grow(&p->folders, "pvc-1", 32 * MIB, &err), &err);
        int took = fill(p, "pvc-1", 100);
        check(p, took >= 15 && took <= 17,
              "a claim that is expanded while it is full gets what was added, and no more");
        check(p, size_of(p, "pvc-1") == 32 * MIB, "as its pod sees");
        folders_close(&p->folders); // as one who was killed starts again
        succeed(p, folders_open(&p->folders, root, &err), &err);
        succeed(p, folders_make(&p->folders, "pvc-2", 16 * MIB, &err), &err);
        check(p, fill(p, "pvc-1", 1) == 0 && size_of(p, "pvc-2") == 16 * MIB,
              "limits hold when the provisioner starts again");
}

static void check_end(struct proof *p)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_closep) int fd = openat(p->folders.fd, "pvc-1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(p, quota_project(fd) != 0, "a volume has a project of its own");
        succeed(p, folders_remove(&p->folders, "pvc-1", &err), &err);
        succeed(p, folders_remove(&p->folders, "pvc-2", &err), &err);
        check(p, used_by_volumes(p) == 0, "what is removed is free again");
        succeed(p, folders_make(&p->folders, "pvc-3", 48 * MIB, &err), &err);
        check(p, fill(p, "pvc-3", 40) == 40, "and a new volume has a limit of its own, not of one before it");
        succeed(p, folders_remove(&p->folders, "pvc-3", &err), &err);
}

int main(int argc, char **argv)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (argc != 3) {
                fputs("quota TYPE FOLDER\n", stderr);
                return 2;
        }
        cx_process_init();
        setvbuf(stdout, NULL, _IOLBF, 0);
        struct proof proof = {.type = argv[1]};
        if (succeed(&proof, folders_open(&proof.folders, argv[2], &err), &err) == 0) {
                check(&proof, proof.folders.quota, "the file system has project quotas");
                check_neighbours(&proof);
                check_growth(&proof, argv[2]);
                check_end(&proof);
        }
        folders_close(&proof.folders);
        return proof.failed != 0;
}
