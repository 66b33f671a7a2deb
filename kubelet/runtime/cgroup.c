// SPDX-License-Identifier: Apache-2.0
// Control groups as folders: one for each v1 hierarchy that is there, or a single one of v2.
#include "kubelet/runtime/cgroup.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/flags.h"
#include "libcommon/base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define CGROUP2_MAGIC 0x63677270

// Set once, before threads.
static const char *root = "/sys/fs/cgroup";
static bool pretend_v2;

void cgroup_use(const char *folder, bool v2)
{
        root = folder;
        pretend_v2 = v2;
}

bool cgroup_is_v2(void)
{
        struct statfs fs;
        return pretend_v2 || (statfs(root, &fs) == 0 && fs.f_type == CGROUP2_MAGIC);
}

char *cgroup_folder(const char *controller, const char *path)
{
        return cgroup_is_v2() ? cx_sprintf("%s%s", root, path) : cx_sprintf("%s/%s%s", root, controller, path);
}

int64_t cgroup_shares(int64_t milli_cpu)
{
        int64_t shares = milli_cpu > 0 ? milli_cpu * 1024 / 1000 : 0;
        return shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
}

int64_t cgroup_quota(int64_t milli_cpu)
{
        int64_t quota = milli_cpu * 100;
        return quota < 1000 ? 1000 : quota;
}

uint64_t cgroup_v2_weight(int64_t shares)
{
        return 1 + (uint64_t)((shares - 2) * 9999) / 262142;
}

static int write_value(const char *folder, const char *file, const char *value, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, file);
        CX_CLEANUP(cx_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, value, strlen(value)) < 0)
                return cx_error_set(err, -errno, "cannot write %s to %s: %s", value, path, strerror(errno));
        return 0;
}

static int write_number(const char *folder, const char *file, int64_t value, struct cx_error *err)
{
        return write_value(folder, file, CX_INT(value), err);
}

static int apply_v1(const char *path, const struct cgroup_limits *limits, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cpu = cx_sprintf("%s/cpu%s", root, path);
        CX_CLEANUP(cx_freep) char *memory = cx_sprintf("%s/memory%s", root, path);
        CX_CLEANUP(cx_freep) char *pids = cx_sprintf("%s/pids%s", root, path);
        int r = cx_mkdir_all(cpu, 0755, err);
        if (r == 0)
                r = cx_mkdir_all(memory, 0755, err);
        if (r == 0 && limits->cpu_shares)
                r = write_number(cpu, "cpu.shares", limits->cpu_shares, err);
        if (r == 0 && limits->cpu_quota_us > 0)
                r = write_number(cpu, "cpu.cfs_period_us", 100000, err);
        if (r == 0 && limits->cpu_quota_us)
                r = write_number(cpu, "cpu.cfs_quota_us", limits->cpu_quota_us, err);
        if (r == 0 && limits->memory)
                r = write_number(memory, "memory.limit_in_bytes", limits->memory, err);
        if (r == 0 && limits->pids) {
                r = cx_mkdir_all(pids, 0755, err);
                if (r == 0)
                        r = write_number(pids, "pids.max", limits->pids, err);
        }
        return r;
}

// In v2 a controller works in a group only when every group above passes it down.
static void pass_down(const char *folder)
{
        static const char *const names[] = {"cpu", "memory", "pids", "cpuset", "io"};
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/cgroup.subtree_control", folder);
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        CX_STRINGS have = CX_STRINGS_INIT;
        if (cx_buf_read_file(&text, path) == 0) {
                text.data[strcspn(text.data, "\n")] = '\0';
                cx_strings_split(&have, text.data, ' ');
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                CX_CLEANUP(cx_freep) char *value = cx_sprintf("+%s", names[i]);
                if (!cx_strings_has(&have, names[i]))
                        (void)write_value(folder, "cgroup.subtree_control", value, NULL); // may not exist here
        }
}

static int enable_controllers(const char *path, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *part = cx_sprintf("%s%s", root, path);
        for (char *p = part + strlen(root); *p; p++) {
                if (*p != '/')
                        continue;
                *p = '\0';
                if (mkdir(part, 0755) < 0 && errno != EEXIST)
                        return cx_error_set(err, -errno, "cannot make %s: %s", part, strerror(errno));
                pass_down(part);
                *p = '/';
        }
        return mkdir(part, 0755) < 0 && errno != EEXIST
                       ? cx_error_set(err, -errno, "cannot make %s: %s", part, strerror(errno))
                       : 0;
}

static int apply_v2(const char *path, const struct cgroup_limits *limits, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s%s", root, path);
        int r = enable_controllers(path, err);
        if (r == 0 && limits->cpu_shares)
                r = write_number(folder, "cpu.weight", (int64_t)cgroup_v2_weight(limits->cpu_shares), err);
        if (r == 0 && limits->cpu_quota_us) {
                CX_CLEANUP(cx_freep)
                char *text = limits->cpu_quota_us < 0 ? cx_strdup("max 100000")
                                                      : cx_sprintf("%lld 100000", (long long)limits->cpu_quota_us);
                r = write_value(folder, "cpu.max", text, err);
        }
        if (r == 0 && limits->memory)
                r = limits->memory < 0 ? write_value(folder, "memory.max", "max", err)
                                       : write_number(folder, "memory.max", limits->memory, err);
        return r == 0 && limits->pids ? write_number(folder, "pids.max", limits->pids, err) : r;
}

int cgroup_apply(const char *path, const struct cgroup_limits *limits, struct cx_error *err)
{
        return cgroup_is_v2() ? apply_v2(path, limits, err) : apply_v1(path, limits, err);
}

static void signal_tree(const char *folder, int number, int depth)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/cgroup.procs", folder);
        FILE *file = fopen(path, "re");
        long pid;
        while (file && fscanf(file, "%ld", &pid) == 1)
                if (pid > 1)
                        kill((pid_t)pid, number);
        if (file)
                fclose(file);
        DIR *dir = depth < 8 ? opendir(folder) : NULL;
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                        CX_CLEANUP(cx_freep) char *child = cx_sprintf("%s/%s", folder, entry->d_name);
                        signal_tree(child, number, depth + 1);
                }
        if (dir)
                closedir(dir);
}

// Removes folders bottom up; the files inside are the kernel's.
static int remove_tree(const char *folder, int depth)
{
        DIR *dir = opendir(folder);
        if (!dir)
                return errno == ENOENT ? 0 : -errno;
        struct dirent *entry;
        while (depth < 8 && (entry = readdir(dir)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                        CX_CLEANUP(cx_freep) char *child = cx_sprintf("%s/%s", folder, entry->d_name);
                        (void)remove_tree(child, depth + 1);
                }
        closedir(dir);
        for (int i = 0; i < 200; i++) { // a killed process leaves its group a moment later
                if (rmdir(folder) == 0 || errno == ENOENT)
                        return 0;
                if (errno != EBUSY)
                        return -errno;
                signal_tree(folder, SIGKILL, 0);
                nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
        return -EBUSY;
}

// Calls `each` with the group's folder in every hierarchy.
static int in_hierarchies(const char *path, int (*each)(void *context, const char *folder), void *context)
{
        if (cgroup_is_v2()) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s%s", root, path);
                return each(context, folder);
        }
        int result = 0;
        DIR *dir = opendir(root);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                if (entry->d_name[0] == '.' || entry->d_type == DT_LNK)
                        continue;
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s%s", root, entry->d_name, path);
                int r = each(context, folder);
                if (r < 0)
                        result = r;
        }
        if (dir)
                closedir(dir);
        return result;
}

static int remove_each(void *context CX_UNUSED, const char *folder)
{
        return remove_tree(folder, 0);
}

int cgroup_remove(const char *path, struct cx_error *err)
{
        if (path[0] != '/' || !path[1])
                return cx_error_set(err, -EINVAL, "\"%s\" is not a control group to remove", path);
        int r = in_hierarchies(path, remove_each, NULL);
        return r < 0 ? cx_error_set(err, r, "cannot remove control group %s: %s", path, strerror(-r)) : 0;
}

static int take_in_each(void *context, const char *folder)
{
        CX_ERROR err = CX_ERROR_INIT;
        const pid_t *pid = context;
        if (cx_mkdir_all(folder, 0755, &err) == 0) // a new group of cpuset has no processors, and takes nobody
                (void)write_number(folder, "cgroup.procs", *pid, NULL);
        return 0;
}

void cgroup_take_in(const char *path, pid_t pid)
{
        (void)in_hierarchies(path, take_in_each, &pid);
}

void cgroup_kill(const char *path, int number)
{
        CX_CLEANUP(cx_freep) char *folder = cgroup_folder("pids", path);
        signal_tree(folder, number, 0);
}

static int children_each(void *context, const char *folder)
{
        json_t *set = context;
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                        json_object_set_new(set, entry->d_name, json_true());
        if (dir)
                closedir(dir);
        return 0;
}

json_t *cgroup_children(const char *path)
{
        json_auto_t *set = json_object();
        (void)in_hierarchies(path, children_each, set);
        json_t *list = json_array();
        const char *name;
        json_t *unused;
        json_object_foreach (set, name, unused)
                json_array_append_new(list, json_string(name));
        return list;
}

// The number behind the key at the beginning of a line; of the text itself when there is no key.
static uint64_t number_in(const char *text, const char *key)
{
        size_t length = key ? strlen(key) : 0;
        const char *p = text;
        while (key && p && (strncmp(p, key, length) != 0 || p[length] != ' ')) {
                p = strchr(p, '\n');
                p = p ? p + 1 : NULL;
        }
        return p ? strtoull(p + length + (key ? 1 : 0), NULL, 10) : 0;
}

static const char *read_file(const char *folder, const char *file, struct cx_buf *to)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, file);
        cx_buf_truncate(to, 0);
        return cx_buf_read_file(to, path) < 0 ? "" : to->data;
}

static void read_memory(const char *folder, bool v2, struct cgroup_usage *u)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        u->memory_usage = number_in(read_file(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &text), NULL);
        const char *stat = read_file(folder, "memory.stat", &text);
        uint64_t inactive = number_in(stat, v2 ? "inactive_file" : "total_inactive_file");
        u->memory_working_set = u->memory_usage > inactive ? u->memory_usage - inactive : 0;
        u->memory_rss = number_in(stat, v2 ? "anon" : "total_rss");
        u->memory_cache = number_in(stat, v2 ? "file" : "total_cache");
        u->page_faults = number_in(stat, v2 ? "pgfault" : "total_pgfault");
        u->major_page_faults = number_in(stat, v2 ? "pgmajfault" : "total_pgmajfault");
}

// `quota`: the folder with what the limit of CPU has led to.
static void read_cpu(const char *folder, const char *quota, bool v2, struct cgroup_usage *u)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        const char *stat = read_file(quota, "cpu.stat", &text);
        u->periods = number_in(stat, "nr_periods");
        u->throttled_periods = number_in(stat, "nr_throttled");
        u->throttled_ns = v2 ? number_in(stat, "throttled_usec") * 1000 : number_in(stat, "throttled_time");
        if (v2) {
                u->cpu_ns = number_in(stat, "usage_usec") * 1000;
                u->cpu_user_ns = number_in(stat, "user_usec") * 1000;
                u->cpu_system_ns = number_in(stat, "system_usec") * 1000;
                return;
        }
        u->cpu_ns = number_in(read_file(folder, "cpuacct.usage", &text), NULL);
        u->cpu_user_ns = number_in(read_file(folder, "cpuacct.usage_user", &text), NULL);
        u->cpu_system_ns = number_in(read_file(folder, "cpuacct.usage_sys", &text), NULL);
}

int cgroup_usage(const char *path, struct cgroup_usage *ret_usage)
{
        bool v2 = cgroup_is_v2();
        CX_CLEANUP(cx_freep) char *memory = cgroup_folder("memory", path);
        CX_CLEANUP(cx_freep) char *account = cgroup_folder("cpuacct", path);
        CX_CLEANUP(cx_freep) char *quota = cgroup_folder("cpu", path);
        CX_CLEANUP(cx_freep) char *pids = cgroup_folder("pids", path);
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        if (access(memory, F_OK) < 0)
                return -ENOENT;
        *ret_usage = (struct cgroup_usage){0};
        read_memory(memory, v2, ret_usage);
        read_cpu(account, quota, v2, ret_usage);
        ret_usage->pids = number_in(read_file(pids, "pids.current", &text), NULL);
        return 0;
}
