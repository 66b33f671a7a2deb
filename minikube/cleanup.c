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
                                               "cloud-controller-manager",
                                               "kube-scheduler",
                                               "kubelet",
                                               "kube-proxy",
                                               "cluster-dns",
                                               "dashboard",
                                               "haproxy",
                                               "docker-registry",
                                               "ingress-controller",
                                               "loadbalancer-announcer",
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

// What is looked for: processes in control groups below one, and those of ours whose command line names a folder.
struct search_scope {
        char *group; // "/coxswain/minikube/"; NULL: none
        char *folder;
};

static void scope_release(struct search_scope *scope)
{
        free(scope->group);
        free(scope->folder);
}

static bool is_ours(const struct search_scope *scope, pid_t pid)
{
        CX_CLEANUP(cx_freep) char *cgroups = cx_sprintf("/proc/%d/cgroup", (int)pid);
        CX_CLEANUP(cx_freep) char *command = cx_sprintf("/proc/%d/cmdline", (int)pid);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (scope->group && cx_buf_read_file(&text, cgroups) == 0 && strstr(text.data, scope->group))
                return true;
        cx_buf_clear(&text);
        return cx_buf_read_file(&text, command) == 0 &&
               memmem(text.data, text.length, scope->folder, strlen(scope->folder)) && is_part(pid);
}

static int kill_ours(const struct search_scope *scope)
{
        DIR *dir = opendir("/proc");
        int found = 0;
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                int64_t pid;
                if (cx_parse_int(entry->d_name, 2, INT32_MAX, &pid) < 0 || pid == getpid() || pid == getppid())
                        continue;
                // The pidfd is taken first: between look and kill the pid cannot come to mean another process.
                CX_CLEANUP(cx_closep) int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
                if (fd < 0 || !is_ours(scope, (pid_t)pid))
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

// Of each hierarchy of control groups, and of the one without controllers' names, the folder of what is ours.
static void each_hierarchy(const char *below, void (*each)(const char *group))
{
        DIR *dir = opendir("/sys/fs/cgroup");
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                CX_CLEANUP(cx_freep) char *own = cx_sprintf("/sys/fs/cgroup/%s/coxswain/%s", entry->d_name, below);
                if (entry->d_name[0] != '.' && access(own, F_OK) == 0)
                        each(own);
        }
        if (dir)
                closedir(dir);
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("/sys/fs/cgroup/coxswain/%s", below);
        if (access(own, F_OK) == 0)
                each(own);
}

static void remove_groups(const char *group)
{
        (void)nftw(group, remove_group, 32, FTW_DEPTH | FTW_PHYS);
}

static void remove_folder(const char *group)
{
        (void)rmdir(group);
}

int cleanup_freeze(const struct profile *profile, bool frozen, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *old = cx_sprintf("/sys/fs/cgroup/freezer/coxswain/%s/freezer.state", profile->name);
        CX_CLEANUP(cx_freep) char *new = cx_sprintf("/sys/fs/cgroup/coxswain/%s/cgroup.freeze", profile->name);
        bool is_old = access(old, F_OK) == 0;
        const char *path = is_old ? old : new, *word = is_old ? frozen ? "FROZEN" : "THAWED" : frozen ? "1" : "0";
        CX_CLEANUP(cx_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) // there has been no pod
                return 0;
        if (fd < 0 || write(fd, word, strlen(word)) < 0)
                return cx_error_set(err, -errno, "cannot write \"%s\" to %s: %s", word, path, strerror(errno));
        return 0;
}

static void end_all(const struct search_scope *scope, const char *folder)
{
        int64_t deadline = cx_time_monotonic() + PATIENCE;
        while (kill_ours(scope) > 0 && cx_time_monotonic() < deadline)
                pause_ms(20);
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_unmount_below(folder, true, &err) < 0) // what is still mounted is not removed either
                cx_err(&err, "A mount of the cluster stays");
}

void cleanup_containers(const struct profile *profile, bool all)
{
        CX_CLEANUP(scope_release)
        struct search_scope scope = {all ? cx_sprintf("/coxswain/%s/", profile->name) : NULL,
                                     cx_sprintf("%s/", profile->folder)};
        if (all)
                (void)!cleanup_freeze(profile, false, NULL); // what is frozen cannot end
        end_all(&scope, profile->folder);
        if (all) {
                each_hierarchy(profile->name, remove_groups);
                each_hierarchy("", remove_folder); // goes with the last profile
        }
}

void cleanup_node(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *group = cx_sprintf("%s/%s", profile->name, name);
        CX_CLEANUP(cx_freep) char *folder = profile_path(profile, "nodes/%s", name);
        CX_CLEANUP(scope_release)
        struct search_scope scope = {cx_sprintf("/coxswain/%s/", group), cx_sprintf("%s/", folder)};
        end_all(&scope, folder);
        each_hierarchy(group, remove_groups);
}

int cleanup_files(const struct profile *profile, struct cx_error *err)
{
        return cx_remove_tree(profile->folder, err);
}
