// SPDX-License-Identifier: Apache-2.0
// Pod sandboxes without a pause process: a thread unshares network, IPC and UTS namespaces and bind-mounts them, which
// keeps them when the thread ends. Only a shared PID namespace needs a process: its init, this same executable as
// started with PAUSE_ARGUMENT, which outlives the kubelet.
#include "kubelet/runtime/runtime_internal.h"

#include "kubelet/runtime/strays.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/address.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

void sandbox_unref(struct sandbox *s)
{
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
                return;
        char *owned[] = {s->id,     s->folder, s->own,    s->pod_uid, s->pod_namespace, s->pod_name, s->ns_net,
                         s->ns_ipc, s->ns_uts, s->ns_pid, s->shm,     s->resolv_conf,   s->hosts,    s->hostname_file};
        for (size_t i = 0; i < CX_ARRAY_SIZE(owned); i++)
                free(owned[i]);
        cx_strings_release(&s->ips);
        json_decref(s->port_mappings);
        json_decref(s->attachment);
        free(s);
}

// --- records ---------------------------------------------------------------------------------------------------------

static int save(struct runtime *rt, const struct sandbox *s, struct cx_error *err)
{
        json_t *ips = json_array();
        for (size_t i = 0; i < s->ips.count; i++)
                json_array_append_new(ips, json_string(s->ips.items[i]));
        json_auto_t *record =
                json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:b, s:b, s:b, s:b, s:b, s:o, s:O?, s:O?}", "id", s->id,
                          "podUID", s->pod_uid, "namespace", s->pod_namespace, "name", s->pod_name, "attempt",
                          s->attempt, "created", (json_int_t)s->created, "hostNetwork", s->host_network, "hostIPC",
                          s->host_ipc, "hostPID", s->host_pid, "sharedPID", s->ns_pid != NULL, "complete", s->complete,
                          "ips", ips, "portMappings", s->port_mappings, "attachment", s->attachment);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/sandbox.json", s->folder);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/sandboxes/%s.json", rt->root, s->id);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(record);
        int r = cx_write_file(path, text, strlen(text), 0600, false, err);
        // After a reboot the record is only good for giving back what a network plugin keeps on disk.
        bool keep = s->complete && s->attachment && !cni_is_own(s->attachment);
        return r == 0 && keep ? cx_write_file(kept, text, strlen(text), 0600, false, err) : r;
}

static void set_paths(struct sandbox *s, bool shared_pid)
{
        if (!s->host_network) {
                s->ns_net = cx_sprintf("%s/ns/net", s->folder);
                s->ns_uts = cx_sprintf("%s/ns/uts", s->folder);
        }
        if (!s->host_ipc)
                s->ns_ipc = cx_sprintf("%s/ns/ipc", s->folder);
        if (shared_pid)
                s->ns_pid = cx_sprintf("%s/ns/pid", s->folder);
        s->own = cx_sprintf("%s/own", s->folder);
        s->shm = s->host_ipc ? cx_strdup("/dev/shm") : cx_sprintf("%s/shm", s->own);
        s->resolv_conf = cx_sprintf("%s/resolv.conf", s->own);
        s->hosts = cx_sprintf("%s/hosts", s->own);
        s->hostname_file = cx_sprintf("%s/hostname", s->own);
}

// The pause process keeps its own record, "pid start", so that it is found also when the kubelet died before it had heard
// of it.
static void read_pause(struct sandbox *s)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/pause.pid", s->folder);
        CX_BUF text = CX_BUF_INIT_MAX(64);
        unsigned long long start = 0;
        int pid = 0;
        if (s->ns_pid && cx_buf_read_file(&text, path) == 0 && sscanf(text.data, "%d %llu", &pid, &start) == 2 &&
            pid > 1) {
                s->pause_pid = pid;
                s->pause_start = start;
        }
}

struct sandbox *sandbox_load(struct runtime *rt, const char *id)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/sandboxes/%s/sandbox.json", rt->state, id);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/sandboxes/%s.json", rt->root, id);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *record = NULL;
        if ((cx_buf_read_file(&text, path) < 0 && cx_buf_read_file(&text, kept) < 0) ||
            cx_json_parse(text.data, text.length, false, &record, NULL) < 0 ||
            !cx_streq(cx_json_string(record, "id"), id) || !cx_json_string(record, "podUID"))
                return NULL;
        struct sandbox *s = cx_alloc(sizeof *s);
        s->refs = 1;
        s->id = cx_strdup(id);
        s->folder = cx_sprintf("%s/sandboxes/%s", rt->state, id);
        s->pod_uid = cx_strdup(cx_json_string(record, "podUID"));
        s->pod_namespace = cx_strdup(cx_json_string_or(record, "namespace", ""));
        s->pod_name = cx_strdup(cx_json_string_or(record, "name", ""));
        s->attempt = (int)cx_json_int(record, "attempt", 0);
        s->created = cx_json_int(record, "created", 0);
        s->host_network = cx_json_bool(record, "hostNetwork", false);
        s->host_ipc = cx_json_bool(record, "hostIPC", false);
        s->host_pid = cx_json_bool(record, "hostPID", false);
        s->complete = cx_json_bool(record, "complete", false);
        json_t *part = json_object_get(record, "portMappings");
        s->port_mappings = json_is_array(part) ? json_incref(part) : NULL;
        part = json_object_get(record, "attachment");
        s->attachment = json_is_object(part) ? json_incref(part) : NULL;
        size_t i;
        json_array_foreach (json_object_get(record, "ips"), i, part) {
                cx_strings_add(&s->ips, cx_str(json_string_value(part)));
        }
        set_paths(s, cx_json_bool(record, "sharedPID", false));
        read_pause(s);
        return s;
}

// --- namespaces ------------------------------------------------------------------------------------------------------

struct ns_job {
        const struct sandbox *sandbox;
        const char *hostname;
        const json_t *sysctls;
        char failed[256];
        int result;
};

static int pin(const char *kind, const char *target)
{
        char source[64];
        snprintf(source, sizeof source, "/proc/thread-self/ns/%s", kind);
        CX_CLEANUP(cx_closep) int fd = open(target, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
        return fd < 0 || mount(source, target, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int loopback_up(void)
{
        CX_CLEANUP(cx_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK};
        return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

// Dots for slashes and slashes for dots, in place.
static void swap_separators(char *name)
{
        for (char *p = name; *p; p++)
                *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
}

char *sandbox_sysctl_name(const char *name)
{
        char *copy = cx_strdup(name);
        if (name[strcspn(name, "./")] == '/')
                swap_separators(copy);
        return copy;
}

// `name` with dots between its parts.
static int write_sysctl(const char *name, const char *value)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/sys/%s", name);
        swap_separators(path + strlen("/proc/sys/"));
        if (strstr(path, ".."))
                return -EINVAL;
        CX_CLEANUP(cx_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static int set_up_namespaces(struct ns_job *job)
{
        const struct sandbox *s = job->sandbox;
        int flags = (s->ns_net ? CLONE_NEWNET | CLONE_NEWUTS : 0) | (s->ns_ipc ? CLONE_NEWIPC : 0);
        if (flags && unshare(flags) < 0)
                return -errno;
        if (s->ns_uts && sethostname(job->hostname, strlen(job->hostname)) < 0)
                return -errno;
        if (s->ns_net) {
                int r = loopback_up();
                if (r < 0)
                        return r;
                (void)write_sysctl("net.ipv4.ip_unprivileged_port_start", "0"); // as containerd's default
        }
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)job->sysctls, i, item) {
                CX_CLEANUP(cx_freep) char *name = sandbox_sysctl_name(cx_json_string_or(item, "name", ""));
                // Only what is private to the namespaces just made; anything else would change the machine.
                bool net = cx_has_prefix(name, "net.") && s->ns_net;
                bool ipc = (cx_has_prefix(name, "kernel.shm") || cx_has_prefix(name, "kernel.msg") ||
                            cx_has_prefix(name, "kernel.sem") || cx_has_prefix(name, "fs.mqueue.")) &&
                           s->ns_ipc;
                int r = net || ipc ? write_sysctl(name, cx_json_string_or(item, "value", "")) : -EPERM;
                if (r < 0) {
                        snprintf(job->failed, sizeof job->failed, "sysctl %.200s", name);
                        return r;
                }
        }
        int r = s->ns_net ? pin("net", s->ns_net) : 0;
        if (r == 0 && s->ns_uts)
                r = pin("uts", s->ns_uts);
        return r == 0 && s->ns_ipc ? pin("ipc", s->ns_ipc) : r;
}

static void *ns_thread(void *context)
{
        struct ns_job *job = context;
        job->result = set_up_namespaces(job);
        return NULL;
}

static int on_thread(void *(*run)(void *), void *job)
{
        pthread_t thread;
        int r = -pthread_create(&thread, NULL, run, job);
        if (r == 0)
                pthread_join(thread, NULL);
        return r;
}

void pause_main(const char *pid_file)
{
        // Make the PID namespace, write down its init, and leave it. Without a record nobody would ever end it.
        if (unshare(CLONE_NEWPID) < 0)
                _exit(1);
        pid_t child = fork();
        if (child < 0)
                _exit(1);
        if (child > 0) {
                char text[64];
                int length = snprintf(text, sizeof text, "%d %llu\n", child, (unsigned long long)pid_start(child));
                if (cx_write_file(pid_file, text, (size_t)length, 0600, false, NULL) == 0)
                        _exit(0);
                kill(child, SIGKILL);
                _exit(1);
        }
        prctl(PR_SET_NAME, "pause");
        setsid();
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3 && null >= 0; fd++)
                dup2(null, fd);
        close_range(3, ~0U, 0);
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (;;) {
                int number = 0;
                sigwait(&set, &number);
                if (number == SIGTERM || number == SIGINT)
                        _exit(0);
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
        }
}

static int start_pause(struct sandbox *s, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *record = cx_sprintf("%s/pause.pid", s->folder);
        int r = cx_run_ok((const char *[]){"/proc/self/exe", PAUSE_ARGUMENT, record, NULL}, NULL, err);
        if (r < 0)
                return cx_error_wrap(err, "cannot make a shared PID namespace");
        read_pause(s);
        CX_CLEANUP(cx_freep) char *source = cx_sprintf("/proc/%d/ns/pid", (int)s->pause_pid);
        CX_CLEANUP(cx_closep) int fd = open(s->ns_pid, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
        if (fd < 0 || mount(source, s->ns_pid, NULL, MS_BIND, NULL) < 0)
                return cx_error_set(err, -errno, "cannot keep the PID namespace: %s", strerror(errno));
        return 0;
}

// --- files -----------------------------------------------------------------------------------------------------------

static int write_hosts(const struct sandbox *s, const struct sandbox_config *config, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (s->host_network) {
                cx_buf_add(&text, "# Kubernetes-managed hosts file (host network).\n");
                cx_buf_add(&text, cx_str(config->host_hosts));
        } else {
                cx_buf_add(&text, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
                                  "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
                                  "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
                for (size_t i = 0; i < s->ips.count; i++) {
                        if (config->fqdn)
                                cx_buf_printf(&text, "%s\t%s\t%s\n", s->ips.items[i], config->fqdn, config->hostname);
                        else
                                cx_buf_printf(&text, "%s\t%s\n", s->ips.items[i], config->hostname);
                }
        }
        const json_t *aliases = cx_json_get(config->pod, "spec.hostAliases");
        if (json_array_size(aliases))
                cx_buf_add(&text, "\n# Entries added by HostAliases.\n");
        size_t i, k;
        json_t *alias, *name;
        json_array_foreach ((json_t *)aliases, i, alias) {
                cx_buf_add(&text, cx_json_string_or(alias, "ip", ""));
                json_array_foreach (json_object_get(alias, "hostnames"), k, name)
                        cx_buf_printf(&text, "\t%s", cx_str(json_string_value(name)));
                cx_buf_add_char(&text, '\n');
        }
        return cx_write_file(s->hosts, text.data, text.length, 0644, false, err);
}

static void add_port_mapping(json_t *list, const json_t *port)
{
        int64_t host = cx_json_int(port, "hostPort", 0);
        if (host <= 0)
                return;
        CX_CLEANUP(cx_freep) char *protocol = cx_strdup(cx_json_string_or(port, "protocol", ""));
        for (char *c = protocol; *c; c++)
                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
        json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:s}", "hostPort", (json_int_t)host, "containerPort",
                                              (json_int_t)cx_json_int(port, "containerPort", 0), "protocol", protocol,
                                              "hostIP", cx_json_string_or(port, "hostIP", "")));
}

static json_t *port_mappings(const json_t *pod)
{
        json_t *list = json_array(), *port;
        size_t i;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                json_array_foreach (json_object_get(walk.container, "ports"), i, port)
                        add_port_mapping(list, port);
        }
        return list;
}

static struct cni_pod cni_pod(const struct sandbox *s)
{
        return (struct cni_pod){.id = s->id,
                                .netns = s->ns_net,
                                .namespace = s->pod_namespace,
                                .name = s->pod_name,
                                .uid = s->pod_uid,
                                .port_mappings = s->port_mappings};
}

static int set_up(struct runtime *rt, struct sandbox *s, const struct sandbox_config *config, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *ns = cx_sprintf("%s/ns", s->folder);
        int r = cx_mkdir_all(ns, 0711, err);
        if (r == 0)
                r = save(rt, s, err); // from here on a crash leaves something that can be found
        if (r < 0)
                return r;
        struct ns_job job = {.sandbox = s,
                             .hostname = config->hostname,
                             .sysctls = cx_json_get(config->pod, "spec.securityContext.sysctls")};
        r = on_thread(ns_thread, &job);
        if (r == 0)
                r = job.result;
        if (r < 0)
                return cx_error_set(err, r, "cannot set up namespaces: %s%s%s", job.failed, *job.failed ? ": " : "",
                                    strerror(-r));
        // What a container may write is kept apart: filling it is the pod's own trouble.
        if (mkdir(s->own, 0711) < 0 ||
            mount("shm", s->own, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0711,size=65536k") < 0)
                return cx_error_set(err, -errno, "cannot mount %s: %s", s->own, strerror(errno));
        if (!s->host_ipc && (mkdir(s->shm, 0700) < 0 || chmod(s->shm, 01777) < 0))
                return cx_error_set(err, -errno, "cannot make %s: %s", s->shm, strerror(errno));
        if (s->ns_pid) {
                r = start_pause(s, err);
                if (r < 0)
                        return r;
        }
        CX_CLEANUP(cx_freep) char *hostname = cx_sprintf("%s\n", config->hostname);
        r = cx_write_file(s->hostname_file, hostname, strlen(hostname), 0644, false, err);
        if (r == 0)
                r = cx_write_file(s->resolv_conf, config->resolv_conf, strlen(config->resolv_conf), 0644, false, err);
        if (r == 0 && s->ns_net) {
                struct cni_pod pod = cni_pod(s);
                r = cni_add(rt->cni, &pod, &s->attachment, &s->ips, err);
        }
        if (r == 0)
                r = write_hosts(s, config, err);
        s->complete = r == 0;
        return r == 0 ? save(rt, s, err) : r;
}

int sandbox_create(struct runtime *rt, const struct sandbox_config *config, struct sandbox **ret_sandbox,
                   struct cx_error *err)
{
        struct sandbox *s = cx_alloc(sizeof *s);
        char id[65];
        runtime_new_id(id);
        s->refs = 1;
        s->id = cx_strdup(id);
        s->folder = cx_sprintf("%s/sandboxes/%s", rt->state, id);
        s->pod_uid = cx_strdup(cx_json_string_or(config->pod, "metadata.uid", ""));
        s->pod_namespace = cx_strdup(cx_json_string_or(config->pod, "metadata.namespace", ""));
        s->pod_name = cx_strdup(cx_json_string_or(config->pod, "metadata.name", ""));
        s->attempt = config->attempt;
        s->created = cx_time_now();
        s->host_network = cx_json_bool(config->pod, "spec.hostNetwork", false);
        s->host_ipc = cx_json_bool(config->pod, "spec.hostIPC", false);
        s->host_pid = cx_json_bool(config->pod, "spec.hostPID", false);
        s->port_mappings = s->host_network ? NULL : port_mappings(config->pod);
        set_paths(s, cx_json_bool(config->pod, "spec.shareProcessNamespace", false) && !s->host_pid);
        int r = set_up(rt, s, config, err);
        CX_ERROR failure = CX_ERROR_INIT;
        if (r < 0 && sandbox_remove(rt, s, &failure) == 0) {
                sandbox_unref(s);
                return r;
        }
        pthread_mutex_lock(&rt->lock);
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        cx_map_set(&rt->sandboxes, s->id, s);
        pthread_mutex_unlock(&rt->lock);
        if (r < 0) { // kept in the books, incomplete: the pod's next sync or its end tries again
                cx_err(&failure, "Cannot remove a half-made sandbox", "id", s->id);
                sandbox_unref(s);
                return r;
        }
        *ret_sandbox = s;
        return 0;
}

static bool is_nsfs(const char *path)
{
        struct statfs fs;
        return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

bool sandbox_intact(const struct sandbox *s)
{
        if (!s->complete || (s->ns_net && !is_nsfs(s->ns_net)) || (s->ns_ipc && !is_nsfs(s->ns_ipc)))
                return false;
        return !s->ns_pid || (s->pause_pid > 0 && pid_start(s->pause_pid) == s->pause_start);
}

void sandbox_remove_files(struct runtime *rt, const char *id)
{
        static const char *const mounts[] = {"ns/net", "ns/uts", "ns/ipc", "ns/pid", "own"};
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/sandboxes/%s", rt->state, id);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/sandboxes/%s.json", rt->root, id);
        for (size_t i = 0; i < CX_ARRAY_SIZE(mounts); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, mounts[i]);
                (void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
        }
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_remove_tree(folder, &err) < 0)
                cx_err(&err, "Cannot remove a sandbox's files");
        else
                (void)unlink(kept);
}

// A kubelet that died while it made the sandbox may have left a network plugin and the pause process' maker at work: they
// would finish what is removed here.
static void end_makers(struct sandbox *s)
{
        CX_CLEANUP(cx_freep) char *variable = cx_sprintf("CNI_CONTAINERID=%s", s->id);
        CX_CLEANUP(cx_freep) char *record = cx_sprintf("%s/pause.pid", s->folder);
        if (s->ns_net)
                strays_kill_by_variable(variable);
        if (s->ns_pid)
                strays_kill((const char *const[]){PAUSE_ARGUMENT, NULL}, record);
}

int sandbox_remove(struct runtime *rt, struct sandbox *s, struct cx_error *err)
{
        if (!s->complete)
                end_makers(s);
        if (s->ns_net) {
                struct cni_pod pod = cni_pod(s);
                if (!is_nsfs(s->ns_net))
                        pod.netns = "";
                int r = cni_del(rt->cni, &pod, s->attachment, err);
                if (r < 0)
                        return r;
        }
        if (s->pause_pid > 0 && pid_start(s->pause_pid) == s->pause_start)
                kill(s->pause_pid, SIGKILL);
        sandbox_remove_files(rt, s->id);
        pthread_mutex_lock(&rt->lock);
        struct sandbox *held = cx_map_take(&rt->sandboxes, s->id);
        pthread_mutex_unlock(&rt->lock);
        sandbox_unref(held);
        return 0;
}

// --- dialing in ------------------------------------------------------------------------------------------------------

#define DIAL_PATIENCE 5 // seconds

struct dial_job {
        const char *netns;
        int port, result;
};

static void *dial_thread(void *context)
{
        struct dial_job *job = context;
        CX_CLEANUP(cx_closep) int ns = job->netns ? open(job->netns, O_RDONLY | O_CLOEXEC) : -1;
        if (job->netns && (ns < 0 || setns(ns, CLONE_NEWNET) < 0)) {
                job->result = -errno;
                return NULL;
        }
        const struct timeval patience = {.tv_sec = DIAL_PATIENCE}, none = {0};
        static const struct cx_address loopbacks[] = {{CX_IPV4, {127, 0, 0, 1}}, {CX_IPV6, {[15] = 1}}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(loopbacks); i++) {
                struct sockaddr_storage target;
                socklen_t length = cx_address_to_socket(&loopbacks[i], job->port, &target);
                int fd = socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                // Who listens may have more waiting than it takes: others of the session are not held up for minutes.
                if (fd >= 0)
                        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
                if (fd >= 0 && connect(fd, (struct sockaddr *)&target, length) == 0) {
                        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
                        job->result = fd;
                        return NULL;
                }
                if (i == 0)
                        job->result = -errno;
                if (fd >= 0)
                        close(fd);
        }
        return NULL;
}

int sandbox_dial(const struct sandbox *s, int port)
{
        struct dial_job job = {.netns = s->ns_net, .port = port};
        int r = on_thread(dial_thread, &job);
        return r < 0 ? r : job.result;
}
