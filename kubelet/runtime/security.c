// SPDX-License-Identifier: Apache-2.0
// Capabilities, devices, hidden paths, which system call filter, and users of a container.
#include "kubelet/runtime/seccomp.h"
#include "kubelet/runtime/spec_internal.h"

#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

const json_t *security_value(const json_t *pod, const json_t *container, const char *key)
{
        const json_t *own = json_object_get(json_object_get(container, "securityContext"), key);
        return own && !json_is_null(own) ? own : json_object_get(cx_json_get(pod, "spec.securityContext"), key);
}

static const char *const all_capabilities[] = {"CAP_CHOWN",
                                               "CAP_DAC_OVERRIDE",
                                               "CAP_DAC_READ_SEARCH",
                                               "CAP_FOWNER",
                                               "CAP_FSETID",
                                               "CAP_KILL",
                                               "CAP_SETGID",
                                               "CAP_SETUID",
                                               "CAP_SETPCAP",
                                               "CAP_LINUX_IMMUTABLE",
                                               "CAP_NET_BIND_SERVICE",
                                               "CAP_NET_BROADCAST",
                                               "CAP_NET_ADMIN",
                                               "CAP_NET_RAW",
                                               "CAP_IPC_LOCK",
                                               "CAP_IPC_OWNER",
                                               "CAP_SYS_MODULE",
                                               "CAP_SYS_RAWIO",
                                               "CAP_SYS_CHROOT",
                                               "CAP_SYS_PTRACE",
                                               "CAP_SYS_PACCT",
                                               "CAP_SYS_ADMIN",
                                               "CAP_SYS_BOOT",
                                               "CAP_SYS_NICE",
                                               "CAP_SYS_RESOURCE",
                                               "CAP_SYS_TIME",
                                               "CAP_SYS_TTY_CONFIG",
                                               "CAP_MKNOD",
                                               "CAP_LEASE",
                                               "CAP_AUDIT_WRITE",
                                               "CAP_AUDIT_CONTROL",
                                               "CAP_SETFCAP",
                                               "CAP_MAC_OVERRIDE",
                                               "CAP_MAC_ADMIN",
                                               "CAP_SYSLOG",
                                               "CAP_WAKE_ALARM",
                                               "CAP_BLOCK_SUSPEND",
                                               "CAP_AUDIT_READ",
                                               "CAP_PERFMON",
                                               "CAP_BPF",
                                               "CAP_CHECKPOINT_RESTORE"};
static const char *const default_capabilities[] = {
        "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
        "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
        "CAP_KILL",    "CAP_AUDIT_WRITE"};

// The capabilities that this process itself may hand out, by number.
static uint64_t bounding_set(void)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        const char *line = cx_buf_read_file(&text, "/proc/self/status") == 0 ? strstr(text.data, "CapBnd:") : NULL;
        return line ? strtoull(line + 7, NULL, 16) : UINT64_MAX;
}

static bool named(const json_t *list, const char *capability)
{
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)list, i, item) {
                const char *name = cx_str(json_string_value(item));
                if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, capability) == 0 ||
                    strcasecmp(name, capability + 4) == 0)
                        return true;
        }
        return false;
}

bool capability_known(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(all_capabilities); i++)
                if (strcasecmp(name, all_capabilities[i]) == 0 || strcasecmp(name, all_capabilities[i] + 4) == 0)
                        return true;
        return strcasecmp(name, "ALL") == 0;
}

json_t *spec_capabilities(const struct spec_input *in, bool non_root)
{
        const json_t *context = json_object_get(in->container, "securityContext");
        const json_t *add = cx_json_get(context, "capabilities.add"), *drop = cx_json_get(context, "capabilities.drop");
        bool privileged = json_is_true(json_object_get(context, "privileged"));
        uint64_t allowed = bounding_set();
        json_auto_t *set = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(all_capabilities); i++) {
                const char *name = all_capabilities[i];
                bool on = privileged;
                for (size_t d = 0; d < CX_ARRAY_SIZE(default_capabilities) && !on; d++)
                        on = strcmp(default_capabilities[d], name) == 0;
                if (!privileged) {
                        if (named(drop, name))
                                on = false;
                        if (named(add, name)) // an addition wins: "drop: [ALL], add: [X]" leaves X
                                on = true;
                }
                if (on && (allowed >> i & 1))
                        json_array_append_new(set, json_string(name));
        }
        json_t *none = json_array();
        json_t *out = json_pack("{s:O, s:O, s:O}", "bounding", set, "permitted", non_root ? none : set, "effective",
                                non_root ? none : set);
        json_decref(none);
        return out;
}

static void add_devices(json_t *list, const char *folder, int depth)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                if (entry->d_name[0] == '.' ||
                    (depth == 0 && (strcmp(entry->d_name, "pts") == 0 || strcmp(entry->d_name, "shm") == 0 ||
                                    strcmp(entry->d_name, "fd") == 0 || strcmp(entry->d_name, "mqueue") == 0 ||
                                    strcmp(entry->d_name, "console") == 0 || strcmp(entry->d_name, "ptmx") == 0)))
                        continue;
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, entry->d_name);
                struct stat st;
                if (lstat(path, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode) && depth < 4)
                        add_devices(list, path, depth + 1);
                else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
                        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:i, s:I, s:I}", "path", path,
                                                              "type", S_ISCHR(st.st_mode) ? "c" : "b", "major",
                                                              (json_int_t)major(st.st_rdev), "minor",
                                                              (json_int_t)minor(st.st_rdev), "fileMode",
                                                              (int)(st.st_mode & 07777), "uid", (json_int_t)st.st_uid,
                                                              "gid", (json_int_t)st.st_gid));
        }
        if (dir)
                closedir(dir);
}

json_t *spec_host_devices(void)
{
        json_t *list = json_array();
        add_devices(list, "/dev", 0);
        return list;
}

json_t *spec_masked_paths(void)
{
        return json_pack("[s,s,s,s,s,s,s,s,s,s,s,s]", "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
                         "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                         "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap");
}

json_t *spec_readonly_paths(void)
{
        return json_pack("[s,s,s,s,s]", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");
}

int spec_seccomp(const struct spec_input *in, const json_t *capabilities, json_t **ret_profile, struct cx_error *err)
{
        const json_t *profile = security_value(in->pod, in->container, "seccompProfile");
        const char *type = cx_json_string_or(profile, "type", in->seccomp_by_default ? "RuntimeDefault" : "Unconfined");
        *ret_profile = NULL;
        if (strcmp(type, "Localhost") == 0)
                return seccomp_load(in->seccomp_folder, cx_json_string_or(profile, "localhostProfile", ""), ret_profile,
                                    err);
        if (strcmp(type, "RuntimeDefault") == 0)
                *ret_profile = seccomp_default(capabilities);
        return 0;
}

int open_in_root(const char *root, const char *path, int flags)
{
        CX_CLEANUP(cx_closep) int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (at < 0)
                return -errno;
        struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof how);
        return fd < 0 ? -errno : fd;
}

static void read_in_root(const char *root, const char *path, struct cx_buf *to)
{
        CX_CLEANUP(cx_closep) int fd = open_in_root(root, path, O_RDONLY | O_NONBLOCK);
        struct stat st;
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && cx_buf_read_fd(to, fd) < 0)
                cx_buf_clear(to);
}

// Calls `each` with the fields of every line of a passwd-like file until it returns true.
static bool scan(const char *text, bool (*each)(void *context, char *const *fields, size_t n), void *context)
{
        for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                CX_CLEANUP(cx_freep) char *copy = cx_strndup(line, strcspn(line, "\n"));
                char *fields[7] = {0}, *rest = copy;
                size_t n = 0;
                while (n < 7 && (fields[n] = strsep(&rest, ":")))
                        n++;
                if (n >= 3 && each(context, fields, n))
                        return true;
        }
        return false;
}

struct lookup {
        const char *name; // user or group name
        int64_t number;   // or its number; -1
        int64_t uid, gid;
        struct spec_user *groups_to;
        char user[256];
};

static bool match_user(void *context, char *const *f, size_t n)
{
        struct lookup *l = context;
        int64_t uid, gid;
        if (n < 4 || cx_parse_int(f[2], 0, UINT32_MAX - 1, &uid) < 0 || cx_parse_int(f[3], 0, UINT32_MAX - 1, &gid) < 0)
                return false;
        if (l->name ? strcmp(l->name, f[0]) != 0 : l->number != uid)
                return false;
        l->uid = uid;
        l->gid = gid;
        (void)cx_copy_string(l->user, sizeof l->user, f[0]);
        return true;
}

static bool match_group(void *context, char *const *f, size_t n CX_UNUSED)
{
        struct lookup *l = context;
        return strcmp(l->name, f[0]) == 0 && cx_parse_int(f[2], 0, UINT32_MAX - 1, &l->gid) == 0;
}

static void add_group(struct spec_user *user, int64_t gid)
{
        for (size_t i = 0; i < user->n_groups; i++)
                if (user->groups[i] == gid)
                        return;
        if (user->n_groups < CX_ARRAY_SIZE(user->groups))
                user->groups[user->n_groups++] = (uint32_t)gid;
        else
                user->too_many = true;
}

static bool collect_member(void *context, char *const *f, size_t n)
{
        struct lookup *l = context;
        int64_t gid;
        if (n < 4 || !f[3] || cx_parse_int(f[2], 0, UINT32_MAX - 1, &gid) < 0)
                return false;
        for (const char *p = f[3]; *p; p += strcspn(p, ","), p += *p == ',')
                if (strcspn(p, ",") == strlen(l->user) && strncmp(p, l->user, strlen(l->user)) == 0)
                        add_group(l->groups_to, gid);
        return false;
}

// "user", "user:group", each a name or a number, as an image says it.
static int image_user(const char *text, const char *passwd, const char *group, struct lookup *found,
                      struct cx_error *err)
{
        size_t n = strcspn(text, ":");
        CX_CLEANUP(cx_freep) char *user = cx_strndup(text, n);
        const char *want_group = text[n] ? text + n + 1 : "";
        struct lookup l = {.number = -1, .gid = 0};
        if (cx_parse_int(user, 0, UINT32_MAX - 1, &l.number) == 0) {
                l.uid = l.number;
                (void)scan(passwd, match_user, &l);
        } else {
                l.name = user;
                if (!scan(passwd, match_user, &l))
                        return cx_error_set(err, -EINVAL, "unable to find user %s: no matching entries in passwd file",
                                            user);
        }
        struct lookup g = {.name = want_group};
        if (*want_group && cx_parse_int(want_group, 0, UINT32_MAX - 1, &l.gid) < 0) {
                if (!scan(group, match_group, &g))
                        return cx_error_set(err, -EINVAL, "unable to find group %s: no matching entries in group file",
                                            want_group);
                l.gid = g.gid;
        }
        l.name = NULL;
        *found = l;
        return 0;
}

static int check_non_root(const struct spec_input *in, const char *image, const struct spec_user *user,
                          const json_t *as_user, struct cx_error *err)
{
        if (!json_is_true(security_value(in->pod, in->container, "runAsNonRoot")))
                return 0;
        CX_CLEANUP(cx_freep)
        char *who = cx_sprintf("(pod: \"%s_%s(%s)\", container: %s)", cx_json_string_or(in->pod, "metadata.name", ""),
                               cx_json_string_or(in->pod, "metadata.namespace", ""),
                               cx_json_string_or(in->pod, "metadata.uid", ""),
                               cx_json_string_or(in->container, "name", ""));
        if (as_user)
                return user->uid ? 0
                                 : cx_error_set(err, -EINVAL, "container's runAsUser breaks non-root policy %s", who);
        if (*image && (*image < '0' || *image > '9'))
                return cx_error_set(
                        err, -EINVAL,
                        "container has runAsNonRoot and image has non-numeric user (%s), cannot verify user "
                        "is non-root %s",
                        image, who);
        return user->uid ? 0
                         : cx_error_set(err, -EINVAL, "container has runAsNonRoot and image will run as root %s", who);
}

int spec_user(const struct spec_input *in, struct spec_user *ret_user, struct cx_error *err)
{
        CX_BUF passwd = CX_BUF_INIT_MAX(4 << 20);
        CX_BUF group = CX_BUF_INIT_MAX(4 << 20);
        read_in_root(in->rootfs, "/etc/passwd", &passwd);
        read_in_root(in->rootfs, "/etc/group", &group);
        const char *image = cx_json_string_or(in->image_config, "User", "");
        const json_t *as_user = security_value(in->pod, in->container, "runAsUser");
        const json_t *as_group = security_value(in->pod, in->container, "runAsGroup");
        struct spec_user user = {0};
        struct lookup found = {0};
        CX_CLEANUP(cx_freep)
        char *wanted = json_is_integer(as_user) ? cx_sprintf("%lld", (long long)json_integer_value(as_user))
                                                : cx_strdup(image);
        int r = image_user(*wanted ? wanted : "0", passwd.data, group.data, &found, err);
        if (r < 0)
                return r;
        user.uid = (uint32_t)found.uid;
        user.gid = (uint32_t)(json_is_integer(as_group) ? json_integer_value(as_group) : found.gid);
        user.home = user.uid == 0 ? "/root" : "/";
        r = check_non_root(in, image, &user, as_user, err);
        if (r < 0)
                return r;
        add_group(&user, user.gid);
        const json_t *pod_context = cx_json_get(in->pod, "spec.securityContext");
        found.groups_to = &user;
        if (*found.user && !cx_streq(cx_json_string(pod_context, "supplementalGroupsPolicy"), "Strict"))
                (void)scan(group.data, collect_member, &found);
        const json_t *fs_group = json_object_get(pod_context, "fsGroup");
        if (json_is_integer(fs_group))
                add_group(&user, json_integer_value(fs_group));
        size_t i;
        json_t *gid;
        json_array_foreach (json_object_get(pod_context, "supplementalGroups"), i, gid) {
                add_group(&user, json_integer_value(gid));
        }
        if (user.too_many)
                return cx_error_set(err, -EINVAL, "container has more than %zu groups", CX_ARRAY_SIZE(user.groups));
        *ret_user = user;
        return 0;
}
