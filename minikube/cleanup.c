// SPDX-License-Identifier: Apache-2.0
// Finds and removes what a cluster has on this machine, by where it is: processes, mounts, control groups, files.
#include "minikube/cleanup.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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
                                               "dashboard",
                                               "haproxy",
                                               "ingress-controller",
                                               "metrics-server",
                                               "storage-provisioner",
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
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_unmount_below(profile->folder, true, &err) < 0) // what is still mounted is not removed either
                cx_err(&err, "A mount of the cluster stays");
        if (all)
                remove_groups(profile);
}

int cleanup_files(const struct profile *profile, struct cx_error *err)
{
        return cx_remove_tree(profile->folder, err);
}
