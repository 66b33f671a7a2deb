// SPDX-License-Identifier: Apache-2.0
// The OCI configuration: process, root, mounts, and what Linux adds, each from its own function.
#include "kubelet/runtime/spec.h"

#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/confine.h"
#include "kubelet/runtime/spec_internal.h"
#include "libcommon/api/resources.h"
#include "libcommon/format/json.h"

int oom_score_adj(const json_t *pod, const json_t *container, int64_t node_memory)
{
        const char *qos = cx_pod_qos(json_object_get(pod, "spec")),
                   *priority = cx_json_string_or(pod, "spec.priorityClassName", "");
        if (strcmp(qos, "Guaranteed") == 0 || strcmp(priority, "system-node-critical") == 0)
                return -997;
        if (strcmp(qos, "BestEffort") == 0)
                return 1000;
        int64_t request = cx_quantity_value_of(cx_json_get(container, "resources.requests.memory"));
        int64_t score = node_memory > 0 ? 1000 - 1000 * (request / 1024) / (node_memory / 1024 + 1) : 999;
        return score < 3 ? 3 : score > 999 ? 999 : (int)score;
}

static bool security_true(const struct spec_input *in, const char *key)
{
        return json_is_true(json_object_get(json_object_get(in->container, "securityContext"), key));
}

static json_t *strings_to_json(const struct cx_strings *list)
{
        json_t *array = json_array();
        for (size_t i = 0; list && i < list->count; i++)
                json_array_append_new(array, json_stringn_nocheck(list->items[i], strlen(list->items[i])));
        return array;
}

static bool has_env(const struct cx_strings *env, const char *prefix)
{
        for (size_t i = 0; env && i < env->count; i++)
                if (cx_has_prefix(env->items[i], prefix))
                        return true;
        return false;
}

static json_t *process(const struct spec_input *in, const struct spec_user *user)
{
        json_t *env = strings_to_json(in->env), *groups = json_array();
        if (!has_env(in->env, "PATH="))
                json_array_append_new(env,
                                      json_string("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        if (!has_env(in->env, "HOME="))
                json_array_append_new(env, json_sprintf("HOME=%s", user->home));
        if (json_is_true(json_object_get(in->container, "tty")) && !has_env(in->env, "TERM="))
                json_array_append_new(env, json_string("TERM=xterm"));
        for (size_t i = 0; i < user->n_groups; i++)
                json_array_append_new(groups, json_integer(user->groups[i]));
        const char *cwd = cx_json_string(in->container, "workingDir");
        if (!cwd || !*cwd)
                cwd = cx_json_string(in->image_config, "WorkingDir");
        bool privileged = security_true(in, "privileged");
        const json_t *escalate = security_value(NULL, in->container, "allowPrivilegeEscalation");
        json_t *capabilities = spec_capabilities(in, user->uid != 0);
        bool no_new = json_is_false(escalate) && !privileged;
        return json_pack("{s:b, s:{s:I, s:I, s:o}, s:o, s:o, s:s, s:o, s:b, s:i}", "terminal",
                         json_is_true(json_object_get(in->container, "tty")), "user", "uid", (json_int_t)user->uid,
                         "gid", (json_int_t)user->gid, "additionalGids", groups, "args", strings_to_json(in->args),
                         "env", env, "cwd", cwd && *cwd ? cwd : "/", "capabilities", capabilities, "noNewPrivileges",
                         no_new, "oomScoreAdj", in->oom_score_adj);
}

static void add_mount(json_t *mounts, const char *target, const char *type, const char *source, const char *options)
{
        CX_STRINGS list = CX_STRINGS_INIT;
        cx_strings_split(&list, options, ',');
        json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type", type, "source",
                                                source, "options", strings_to_json(&list)));
}

static bool has_target(const struct spec_input *in, const char *target)
{
        for (size_t i = 0; i < in->n_mounts; i++)
                if (cx_streq(in->mounts[i].target, target))
                        return true;
        return false;
}

static void add_file(json_t *mounts, const struct spec_input *in, const char *target, const char *source)
{
        bool read_only = security_true(in, "readOnlyRootFilesystem");
        if (source && !has_target(in, target))
                add_mount(mounts, target, "bind", source, read_only ? "rbind,rprivate,ro" : "rbind,rprivate,rw");
}

static json_t *mounts_of(const struct spec_input *in)
{
        json_t *mounts = json_array();
        bool privileged = security_true(in, "privileged");
        add_mount(mounts, "/proc", "proc", "proc", "nosuid,noexec,nodev");
        add_mount(mounts, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
        add_mount(mounts, "/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
        add_mount(mounts, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
        // Mounted afresh, also in the host's network: read-only counts for one mount, and below the host's are more.
        add_mount(mounts, "/sys", "sysfs", "sysfs", privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro");
        add_mount(mounts, "/sys/fs/cgroup", "cgroup", "cgroup",
                  privileged ? "nosuid,noexec,nodev,relatime,rw" : "nosuid,noexec,nodev,relatime,ro");
        if (in->shm && !has_target(in, "/dev/shm"))
                add_mount(mounts, "/dev/shm", "bind", in->shm, "rbind,rprivate,nosuid,noexec,nodev,rw");
        add_file(mounts, in, "/etc/hosts", in->hosts);
        add_file(mounts, in, "/etc/hostname", in->hostname_file);
        add_file(mounts, in, "/etc/resolv.conf", in->resolv_conf);
        for (size_t i = 0; i < in->n_mounts; i++) {
                const struct spec_mount *m = &in->mounts[i];
                CX_CLEANUP(cx_freep)
                char *options = cx_sprintf("rbind,%s,%s%s", m->propagation ? m->propagation : "rprivate",
                                           m->recursive   ? "rro"
                                           : m->read_only ? "ro"
                                                          : "rw",
                                           m->no_exec ? ",noexec,nosuid,nodev" : "");
                add_mount(mounts, m->target, "bind", m->source, options);
        }
        return mounts;
}

static json_t *namespaces(const struct spec_input *in)
{
        json_t *list = json_pack("[{s:s}]", "type", "mount");
        const char *const paths[][2] = {{"network", in->ns_net}, {"ipc", in->ns_ipc}, {"uts", in->ns_uts}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++)
                if (paths[i][1])
                        json_array_append_new(list, json_pack("{s:s, s:s}", "type", paths[i][0], "path", paths[i][1]));
        if (in->ns_pid)
                json_array_append_new(list, json_pack("{s:s, s:s}", "type", "pid", "path", in->ns_pid));
        else if (!cx_json_bool(in->pod, "spec.hostPID", false))
                json_array_append_new(list, json_pack("{s:s}", "type", "pid"));
        if (in->cgroup_v2)
                json_array_append_new(list, json_pack("{s:s}", "type", "cgroup"));
        return list;
}

// Nothing is allowed that is not said; runc makes the same of it for both versions of control groups.
static json_t *device_rules(const struct spec_input *in)
{
        json_t *rules = json_pack("[{s:b, s:s}]", "allow", security_true(in, "privileged"), "access", "rwm");
        for (size_t i = 0; i < in->n_devices; i++)
                json_array_append_new(rules, json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type", "b", "major",
                                                       (int)in->devices[i].major, "minor", (int)in->devices[i].minor,
                                                       "access", in->devices[i].read_only ? "r" : "rw"));
        return rules;
}

static void add_devices(const struct spec_input *in, json_t *list)
{
        for (size_t i = 0; i < in->n_devices; i++) {
                const struct spec_device *d = &in->devices[i];
                json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "path", d->path, "type",
                                                      "b", "major", (int)d->major, "minor", (int)d->minor, "fileMode",
                                                      d->read_only ? 0440 : 0660, "uid", 0, "gid", 0));
        }
}

static json_t *resources(const struct spec_input *in)
{
        const json_t *limits = cx_json_get(in->container, "resources.limits");
        const json_t *requests = cx_json_get(in->container, "resources.requests");
        const json_t *cpu_asked = json_object_get(requests, "cpu");
        int64_t cpu_limit = cx_quantity_milli_of(json_object_get(limits, "cpu"));
        int64_t cpu = cpu_asked ? cx_quantity_milli_of(cpu_asked) : cpu_limit;
        int64_t memory = cx_quantity_value_of(json_object_get(limits, "memory"));
        json_t *cpus = json_pack("{s:I}", "shares", (json_int_t)cgroup_shares(cpu));
        if (cpu_limit > 0) {
                json_object_set_new(cpus, "quota", json_integer(cgroup_quota(cpu_limit)));
                json_object_set_new(cpus, "period", json_integer(100000));
        }
        json_t *out = json_pack("{s:o, s:o}", "cpu", cpus, "devices", device_rules(in));
        if (memory > 0)
                json_object_set_new(out, "memory", json_pack("{s:I}", "limit", (json_int_t)memory));
        if (in->cgroup_v2) // out of memory ends the container, not one process of it
                json_object_set_new(out, "unified", json_pack("{s:s}", "memory.oom.group", "1"));
        if (in->pids_limit > 0)
                json_object_set_new(out, "pids", json_pack("{s:I}", "limit", (json_int_t)in->pids_limit));
        return out;
}

json_t *spec_resources(const json_t *container)
{
        const struct spec_input in = {.container = container};
        json_t *out = resources(&in);
        json_object_del(out, "devices"); // they stay as they are
        return out;
}

static json_t *linux_part(const struct spec_input *in)
{
        json_t *out = json_pack("{s:s, s:o, s:o}", "cgroupsPath", in->cgroups_path, "namespaces", namespaces(in),
                                "resources", resources(in));
        bool privileged = security_true(in, "privileged");
        if (privileged) {
                json_object_set_new(out, "devices", spec_host_devices());
                json_object_set_new(out, "rootfsPropagation", json_string("rslave"));
        } else {
                json_object_set_new(out, "maskedPaths", spec_masked_paths());
                json_object_set_new(out, "readonlyPaths", spec_readonly_paths());
        }
        if (in->n_devices)
                add_devices(in, cx_json_array_at(out, "devices"));
        for (size_t i = 0; i < in->n_mounts; i++)
                if (cx_streq(in->mounts[i].propagation, "rshared"))
                        json_object_set_new(out, "rootfsPropagation", json_string("rshared"));
                else if (cx_streq(in->mounts[i].propagation, "rslave") && !privileged)
                        json_object_set_new(out, "rootfsPropagation", json_string("rslave"));
        return out;
}

// System call filter and AppArmor profile; of privileged containers neither, as upstream, unless AppArmor's is named.
static int add_profiles(const struct spec_input *in, json_t *spec, struct cx_error *err)
{
        json_t *process = json_object_get(spec, "process"), *filter = NULL;
        const json_t *profile = security_value(in->pod, in->container, "appArmorProfile");
        bool privileged = security_true(in, "privileged");
        CX_BUF loaded = CX_BUF_INIT_MAX(4 << 20);
        bool armor = cx_buf_read_file(&loaded, "/sys/kernel/security/apparmor/profiles") == 0;
        const char *name = NULL;
        int r = privileged && cx_streq(cx_json_string_or(profile, "type", "RuntimeDefault"), "RuntimeDefault")
                        ? 0
                        : confine_apparmor(profile, armor ? loaded.data : NULL, &name, err);
        if (r == 0 && name)
                json_object_set_new(process, "apparmorProfile", json_string(name));
        if (r == 0 && !privileged)
                r = spec_seccomp(in, cx_json_get(process, "capabilities.bounding"), &filter, err);
        if (r == 0 && filter)
                json_object_set_new(json_object_get(spec, "linux"), "seccomp", filter);
        return r;
}

int spec_build(const struct spec_input *in, json_t **ret_spec, struct cx_error *err)
{
        struct spec_user user = {0};
        int r = confine_check(in->pod, in->container, err);
        if (r == 0)
                r = spec_user(in, &user, err);
        if (r < 0)
                return r;
        if (!in->args->count)
                return cx_error_set(err, -EINVAL, "no command specified");
        json_auto_t *spec = json_pack("{s:s, s:o, s:{s:s, s:b}, s:o, s:o, s:{s:s, s:s, s:s, s:s}}", "ociVersion",
                                      "1.0.2", "process", process(in, &user), "root", "path", in->rootfs, "readonly",
                                      security_true(in, "readOnlyRootFilesystem"), "mounts", mounts_of(in), "linux",
                                      linux_part(in), "annotations", "io.kubernetes.pod.namespace",
                                      cx_json_string_or(in->pod, "metadata.namespace", ""), "io.kubernetes.pod.name",
                                      cx_json_string_or(in->pod, "metadata.name", ""), "io.kubernetes.pod.uid",
                                      cx_json_string_or(in->pod, "metadata.uid", ""), "io.kubernetes.container.name",
                                      cx_json_string_or(in->container, "name", ""));
        if (!spec)
                return cx_error_set(err, -EINVAL, "the container's texts are not valid UTF-8");
        r = add_profiles(in, spec, err);
        if (r < 0)
                return r;
        *ret_spec = cx_steal(&spec);
        return 0;
}
