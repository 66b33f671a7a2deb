// SPDX-License-Identifier: Apache-2.0
#include "minikube/cleanup.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PATIENCE (10 * CX_NS_PER_S)

static void pause_ms(int ms)
{
        (void)poll(NULL, 0, ms);
}

// --- processes ---

// A program that a cluster is made of, and not one that somebody looks at its files with.
static bool is_part(pid_t pid)
{
        static const char *const programs[] = {"etcd",
                                               "kube-apiserver",
                                               "kube-controller-manager",
                                               "kube-scheduler",
                                               "kubelet",
                                               "kube-proxy",
                                               "cluster-dns",
                                               "minikube",
                                               "nsenter",
                                               "conmon",
                                               "runc"};
        CX_CLEANUP(cx_freep) char *link = cx_sprintf("/proc/%d/exe", (int)pid);
        char path[PATH_MAX];
        ssize_t n = readlink(link, path, sizeof path - 1);
        path[n > 0 ? n : 0] = '\0';
        char *deleted = strstr(path, " (deleted)"); // built anew meanwhile
        if (deleted)
                *deleted = '\0';
        const char *name = strrchr(path, '/');
        for (size_t i = 0; name && i < CX_ARRAY_SIZE(programs); i++)
                if (strcmp(name + 1, programs[i]) == 0)
                        return true;
        return false;
}

// Is the process in a control group of the profile (`groups`), or one of ours whose command line names its folder?
static bool is_ours(const struct profile *profile, bool groups, pid_t pid)
{
        CX_CLEANUP(cx_freep) char *cgroups = cx_sprintf("/proc/%d/cgroup", (int)pid);
        CX_CLEANUP(cx_freep) char *command = cx_sprintf("/proc/%d/cmdline", (int)pid);
        CX_CLEANUP(cx_freep) char *below = cx_sprintf("/coxswain/%s/", profile->name);
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/", profile->folder);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (groups && cx_buf_read_file(&text, cgroups) == 0 && strstr(text.data, below))
                return true;
        cx_buf_clear(&text);
        return cx_buf_read_file(&text, command) == 0 && memmem(text.data, text.length, folder, strlen(folder)) &&
               is_part(pid);
}

static int kill_ours(const struct profile *profile, bool groups)
{
        DIR *dir = opendir("/proc");
        int found = 0;
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                int64_t pid;
                if (cx_parse_int(entry->d_name, 2, INT32_MAX, &pid) < 0 || pid == getpid() || pid == getppid())
                        continue;
                // The pidfd is taken first: between look and kill the pid cannot come to mean another process.
                CX_CLEANUP(cx_closep) int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
                if (fd < 0 || !is_ours(profile, groups, (pid_t)pid))
                        continue;
                found++;
                (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
        }
        if (dir)
                closedir(dir);
        return found;
}

// --- mounts ---

static void unescape(char *path)
{
        char *to = path;
        for (const char *p = path; *p;) {
                unsigned code;
                if (p[0] == '\\' && sscanf(p + 1, "%3o", &code) == 1 && code) {
                        *to++ = (char)code;
                        p += 4;
                } else {
                        *to++ = *p++;
                }
        }
        *to = '\0';
}

static void unmount_below(const char *folder)
{
        CX_BUF text = CX_BUF_INIT_MAX((size_t)64 << 20);
        CX_STRINGS mounts = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%s/", folder);
        if (cx_buf_read_file(&text, "/proc/self/mountinfo") < 0)
                return;
        CX_STRINGS lines = CX_STRINGS_INIT;
        cx_strings_split(&lines, text.data, '\n');
        for (size_t i = 0; i < lines.count; i++) {
                char path[PATH_MAX];
                if (sscanf(lines.items[i], "%*s %*s %*s %*s %4095s", path) != 1)
                        continue;
                unescape(path);
                if (cx_has_prefix(path, prefix))
                        cx_strings_add(&mounts, path);
        }
        for (size_t i = mounts.count; i-- > 0;) // the newest first: they may lie on older ones
                (void)umount2(mounts.items[i], MNT_DETACH | UMOUNT_NOFOLLOW);
}

// --- control groups ---

static int remove_group(const char *path, const struct stat *st CX_UNUSED, int flag, struct FTW *ftw CX_UNUSED)
{
        if (flag == FTW_DP || flag == FTW_D)
                (void)rmdir(path);
        return 0;
}

static void remove_groups(const struct profile *profile)
{
        DIR *dir = opendir("/sys/fs/cgroup");
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                if (entry->d_name[0] == '.')
                        continue;
                CX_CLEANUP(cx_freep)
                char *own = cx_sprintf("/sys/fs/cgroup/%s/coxswain/%s", entry->d_name, profile->name);
                CX_CLEANUP(cx_freep) char *parent = cx_sprintf("/sys/fs/cgroup/%s/coxswain", entry->d_name);
                if (access(own, F_OK) == 0)
                        (void)nftw(own, remove_group, 32, FTW_DEPTH | FTW_PHYS);
                (void)rmdir(parent); // goes with the last profile
        }
        if (dir)
                closedir(dir);
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("/sys/fs/cgroup/coxswain/%s", profile->name);
        if (access(own, F_OK) == 0)
                (void)nftw(own, remove_group, 32, FTW_DEPTH | FTW_PHYS);
        (void)rmdir("/sys/fs/cgroup/coxswain");
}

void cleanup_containers(const struct profile *profile, bool all)
{
        int64_t deadline = cx_time_monotonic() + PATIENCE;
        while (kill_ours(profile, all) > 0 && cx_time_monotonic() < deadline)
                pause_ms(20);
        unmount_below(profile->folder);
        if (all)
                remove_groups(profile);
}

int cleanup_files(const struct profile *profile, struct cx_error *err)
{
        return cx_remove_tree(profile->folder, err);
}
