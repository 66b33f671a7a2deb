// SPDX-License-Identifier: Apache-2.0
// Containers: an overlay mount, a configuration, conmon, which forks runc create and stays with the container, and then the
// start, for which runc's own start command would be a whole process for writing one byte: runc's init waits for someone
// to open its fifo, so we do that.
#include "kubelet/runtime/runtime_internal.h"

#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/strays.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define INIT_PATIENCE (120 * CX_NS_PER_S) // for runc's init to begin

struct container *container_ref(struct container *c)
{
        __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
        return c;
}

void container_unref(struct container *c)
{
        if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
                return;
        char *owned[] = {c->id,       c->folder, c->data,        c->sandbox_id, c->pod_uid,   c->pod_namespace,
                         c->pod_name, c->name,   c->image,       c->image_id,   c->image_ref, c->definition.hash,
                         c->log_path, c->cgroup, c->message_path};
        for (size_t i = 0; i < CX_ARRAY_SIZE(owned); i++)
                free(owned[i]);
        json_decref(c->user);
        json_decref(c->resources);
        free(c);
}

json_t *container_resources(struct runtime *rt, const struct container *c)
{
        pthread_mutex_lock(&rt->lock);
        json_t *resources = json_incref(c->resources);
        pthread_mutex_unlock(&rt->lock);
        return resources;
}

int container_update(struct runtime *rt, struct container *c, const json_t *container, struct cx_error *err)
{
        json_auto_t *update = spec_resources(container);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(update);
        CX_BUF complaint = CX_BUF_INIT;
        int status;
        int r = cx_run(&(struct cx_run_options){.argv = (const char *[]){rt->runc, "--root", rt->runc_root, "update",
                                                                         "--resources", "-", c->id, NULL},
                                                .input = text,
                                                .input_length = strlen(text),
                                                .timeout = 30 * CX_NS_PER_S},
                       NULL, &complaint, &status, err);
        if (r == 0 && status != 0)
                r = cx_error_set(err, -EIO, "runc update: %.*s", (int)strcspn(complaint.data, "\n"), complaint.data);
        if (r < 0)
                return r;
        json_t *resources = json_object_get(container, "resources");
        pthread_mutex_lock(&rt->lock);
        json_decref(c->resources);
        c->resources = resources ? json_incref(resources) : json_object();
        pthread_mutex_unlock(&rt->lock);
        return container_save(rt, c, true, err);
}

int container_pid_namespace(struct runtime *rt, const struct container *c)
{
        struct container_state state;
        container_state(rt, c, &state);
        if (state.status != CONTAINER_RUNNING || state.pid <= 0)
                return -ESRCH;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/%d/ns/pid", (int)state.pid);
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        // What was opened is the container's when its process is still there.
        if (fd < 0 || pid_start(state.pid) != state.pid_start)
                return -ESRCH;
        return cx_steal_fd(&fd);
}

void container_state(struct runtime *rt, const struct container *c, struct container_state *ret_state)
{
        pthread_mutex_lock(&rt->lock);
        *ret_state = c->state;
        pthread_mutex_unlock(&rt->lock);
}

void container_definition(struct runtime *rt, const struct container *c, struct container_definition *ret_definition)
{
        pthread_mutex_lock(&rt->lock);
        *ret_definition = (struct container_definition){cx_strdup(c->definition.hash), c->definition.generation};
        pthread_mutex_unlock(&rt->lock);
}

int container_define(struct runtime *rt, struct container *c, const struct container_definition *definition,
                     struct cx_error *err)
{
        pthread_mutex_lock(&rt->lock);
        free(c->definition.hash);
        c->definition = (struct container_definition){cx_strdup(definition->hash), definition->generation};
        pthread_mutex_unlock(&rt->lock);
        return container_save(rt, c, true, err);
}

void container_definition_release(struct container_definition *definition)
{
        free(definition->hash);
        *definition = (struct container_definition){0};
}

// Opens runc's exec fifo, for which its init waits, as `runc start` does, and removes it, which is runc's mark of a
// running container.
static int release_init(struct runtime *rt, const struct container *c, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *fifo = cx_sprintf("%s/%s/exec.fifo", rt->runc_root, c->id);
        CX_CLEANUP(cx_closep) int fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
                // Another OCI runtime than runc (or a later one) may start otherwise.
                return cx_run_ok((const char *[]){rt->runc, "--root", rt->runc_root, "start", c->id, NULL}, NULL, err);
        }
        int64_t deadline = cx_time_monotonic() + INIT_PATIENCE;
        char byte;
        for (;;) {
                struct pollfd p = {fd, POLLIN, 0};
                int n = poll(&p, 1, 100);
                ssize_t got = n > 0 && p.revents & POLLIN ? read(fd, &byte, 1) : 0;
                if (got == 1)
                        break;
                if (!container_has_process(&c->state))
                        return cx_error_set(err, -ENOEXEC,
                                            "OCI runtime start failed: container process is already dead");
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, -ENOEXEC, "OCI runtime start failed: runc's init does not begin");
                if (n > 0) // hung up: the writer is not there yet
                        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
        }
        (void)unlink(fifo);
        return 0;
}

// --- life cycle ------------------------------------------------------------------------------------------------------

static int signal_number(const char *name)
{
        static const struct {
                const char *name;
                int number;
        } names[] = {{"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
                     {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"ABRT", SIGABRT}, {"PWR", SIGPWR}};
        int64_t number;
        if (!name || !*name)
                return SIGTERM;
        if (cx_parse_int(name, 1, 64, &number) == 0)
                return (int)number;
        if (cx_has_prefix(name, "SIGRTMIN+") && cx_parse_int(name + 9, 0, 30, &number) == 0)
                return SIGRTMIN + (int)number;
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (strcmp(names[i].name, cx_has_prefix(name, "SIG") ? name + 3 : name) == 0)
                        return names[i].number;
        return SIGTERM;
}

static struct container *new_container(struct runtime *rt, const struct container_config *config)
{
        struct container *c = cx_alloc(sizeof *c);
        char id[65];
        runtime_new_id(id);
        c->refs = 1;
        c->id = cx_strdup(id);
        c->folder = cx_sprintf("%s/containers/%s", rt->state, id);
        c->data = cx_sprintf("%s/containers/%s", rt->root, id);
        c->sandbox_id = cx_strdup(config->sandbox->id);
        c->pod_uid = cx_strdup(config->sandbox->pod_uid);
        c->pod_namespace = cx_strdup(config->sandbox->pod_namespace);
        c->pod_name = cx_strdup(config->sandbox->pod_name);
        c->name = cx_strdup(cx_json_string_or(config->container, "name", ""));
        c->image = cx_strdup(cx_json_string_or(config->container, "image", ""));
        c->image_id = cx_strdup(cx_json_string_or(config->image, "id", ""));
        c->image_ref = cx_strdup(image_record_digest(config->image, c->image));
        c->definition.hash = cx_strdup(config->definition.hash);
        c->definition.generation = config->definition.generation;
        c->log_path = cx_strdup(config->log_path);
        c->cgroup = cx_sprintf("%s/%s", config->pod_cgroup, id);
        c->message_path = cx_sprintf("%s/termination-log", c->data);
        c->attempt = config->attempt;
        const char *stop = cx_json_string(config->container, "lifecycle.stopSignal");
        c->stop_signal = signal_number(stop ? stop : cx_json_string(config->image, "config.StopSignal"));
        c->tty = cx_json_bool(config->container, "tty", false);
        c->stdin = cx_json_bool(config->container, "stdin", false);
        c->stdin_once = cx_json_bool(config->container, "stdinOnce", false);
        c->own_pid_ns = !config->ns_pid && !config->sandbox->ns_pid && !config->sandbox->host_pid;
        c->created = cx_time_now();
        json_t *resources = json_object_get(config->container, "resources");
        c->resources = resources ? json_incref(resources) : json_object();
        return c;
}

static int write_config(struct runtime *rt, struct container *c, const struct container_config *config,
                        const char *rootfs, struct cx_error *err)
{
        const struct sandbox *s = config->sandbox;
        int score = oom_score_adj(config->pod, config->container, config->node_memory);
        if (!rt->may_lower_oom && score < rt->own_oom_score)
                score = rt->own_oom_score;
        size_t n = config->n_mounts;
        CX_CLEANUP(cx_freep) struct spec_mount *mounts = cx_alloc_array(n + 1, sizeof *mounts);
        if (n)
                memcpy(mounts, config->mounts, n * sizeof *mounts);
        mounts[n++] = (struct spec_mount){.source = c->message_path,
                                          .target = (char *)cx_json_string_or(
                                                  config->container, "terminationMessagePath", "/dev/termination-log")};
        CX_CLEANUP(cx_freep) char *seccomp = cx_sprintf("%s/seccomp", rt->root);
        struct spec_input in = {.pod = config->pod,
                                .container = config->container,
                                .image_config = json_object_get(config->image, "config"),
                                .rootfs = rootfs,
                                .ns_net = s->ns_net,
                                .ns_ipc = s->ns_ipc,
                                .ns_uts = s->ns_uts,
                                .ns_pid = config->ns_pid && !s->host_pid ? config->ns_pid : s->ns_pid,
                                .shm = s->shm,
                                .resolv_conf = s->resolv_conf,
                                .hosts = s->hosts,
                                .hostname_file = s->host_network ? NULL : s->hostname_file,
                                .args = config->args,
                                .env = config->env,
                                .mounts = mounts,
                                .n_mounts = n,
                                .devices = config->devices,
                                .n_devices = config->n_devices,
                                .cgroups_path = c->cgroup,
                                .oom_score_adj = score,
                                .pids_limit = rt->pids_limit,
                                .cgroup_v2 = rt->cgroup_v2,
                                .seccomp_folder = seccomp,
                                .seccomp_by_default = rt->seccomp_by_default};
        json_auto_t *spec = NULL;
        int r = spec_build(&in, &spec, err);
        if (r < 0)
                return r;
        const json_t *user = cx_json_get(spec, "process.user");
        c->user = json_pack("{s:O, s:O, s:O}", "uid", json_object_get(user, "uid"), "gid", json_object_get(user, "gid"),
                            "supplementalGroups", json_object_get(user, "additionalGids"));
        CX_CLEANUP(cx_closep) int log = open(c->message_path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
        if (log < 0 || fchmod(log, 0666) < 0)
                return cx_error_set(err, -errno, "cannot make %s: %s", c->message_path, strerror(errno));
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/config.json", c->folder);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(spec);
        return cx_write_file(path, text, strlen(text), 0600, false, err);
}

static bool mounts_token(const struct container_config *config)
{
        for (size_t i = 0; i < config->n_mounts; i++)
                if (strcmp(config->mounts[i].target, "/var/run/secrets/kubernetes.io/serviceaccount") == 0)
                        return true;
        return false;
}

static int prepare(struct runtime *rt, struct container *c, const struct container_config *config, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *upper = cx_sprintf("%s/upper", c->data);
        CX_CLEANUP(cx_freep) char *work = cx_sprintf("%s/work", c->data);
        CX_CLEANUP(cx_freep) char *rootfs = cx_sprintf("%s/rootfs", c->folder);
        CX_CLEANUP(cx_freep)
        char *log_folder = cx_strndup(c->log_path, (size_t)(strrchr(c->log_path, '/') - c->log_path));
        if (mkdir(c->folder, 0711) < 0 || mkdir(c->data, 0711) < 0 || mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0 ||
            mkdir(rootfs, 0755) < 0)
                return cx_error_set(err, -errno, "cannot make the folders of container %s: %s", c->id, strerror(errno));
        int r = cx_mkdir_all(log_folder, 0755, err);
        if (r == 0)
                r = container_save(rt, c, true, err);
        if (r == 0)
                r = image_store_mount(
                        rt->images, config->image,
                        &(struct image_mount){
                                .upper = upper, .work = work, .target = rootfs, .token = mounts_token(config)},
                        err);
        return r == 0 ? write_config(rt, c, config, rootfs, err) : r;
}

static void publish(struct runtime *rt, struct container *c)
{
        pthread_mutex_lock(&rt->lock);
        if (!cx_map_has(&rt->containers, c->id)) {
                cx_map_set(&rt->containers, c->id, container_ref(c));
        }
        pthread_mutex_unlock(&rt->lock);
}

static void withdraw(struct runtime *rt, const struct container *c)
{
        pthread_mutex_lock(&rt->lock);
        struct container *held = cx_map_take(&rt->containers, c->id);
        pthread_mutex_unlock(&rt->lock);
        container_unref(held);
}

static void end_makers(const struct runtime *rt, const char *id)
{
        strays_kill((const char *const[]){rt->conmon, rt->runc, NULL}, id);
}

// The container exists and has ended: what a user sees of a command that cannot be run.
static void mark_start_error(struct runtime *rt, struct container *c, const struct cx_error *err)
{
        end_makers(rt, c->id);
        cgroup_kill(c->cgroup, SIGKILL); // an init that nobody will start
        pthread_mutex_lock(&rt->lock);
        c->state.status = CONTAINER_EXITED;
        c->state.exit_code = 128;
        c->state.finished = cx_time_now();
        (void)cx_copy_string(c->state.reason, sizeof c->state.reason, "StartError");
        (void)cx_copy_string(c->state.message, sizeof c->state.message, cx_error_text(err));
        pthread_mutex_unlock(&rt->lock);
        CX_ERROR saving = CX_ERROR_INIT;
        if (container_save(rt, c, true, &saving) < 0)
                cx_err(&saving, "Cannot keep a container's record", "id", c->id);
}

int container_run(struct runtime *rt, const struct container_config *config, struct container **ret_container,
                  struct cx_error *err)
{
        struct container *c = new_container(rt, config);
        int r = prepare(rt, c, config, err);
        if (r == 0) {
                publish(rt, c); // before it runs, so that no exit is missed
                CX_ERROR failure = CX_ERROR_INIT;
                r = conmon_run(rt, c, &failure);
                if (r == 0)
                        r = release_init(rt, c, &failure);
                if (r == -ENOEXEC)
                        mark_start_error(rt, c, &failure);
                if (r < 0)
                        (void)cx_error_move(err, &failure);
        }
        if (r == 0) {
                pthread_mutex_lock(&rt->lock);
                if (c->state.status == CONTAINER_CREATED) // it may have ended by now
                        c->state.status = CONTAINER_RUNNING;
                c->state.started = cx_time_now();
                pthread_mutex_unlock(&rt->lock);
                r = container_save(rt, c, false, err);
                (void)container_take_exit(rt, c);
        }
        if (r < 0 && r != -ENOEXEC) {
                CX_ERROR failure = CX_ERROR_INIT;
                if (container_remove_files(rt, c->id, c->cgroup, true, &failure) == 0) {
                        withdraw(rt, c);
                        container_unref(c);
                        return r;
                }
                cx_err(&failure, "Cannot remove a half-made container", "id", c->id);
                publish(rt, c); // so that it is removed with its pod
                mark_start_error(rt, c, err);
                r = -ENOEXEC;
        }
        *ret_container = c;
        return r;
}

int container_signal(struct runtime *rt, struct container *c, int number)
{
        struct container_state s;
        container_state(rt, c, &s);
        if (s.status == CONTAINER_EXITED || s.pid <= 0)
                return -ESRCH;
        if (number == SIGKILL && !c->own_pid_ns) // its other processes do not die with it
                cgroup_kill(c->cgroup, SIGKILL);
        CX_CLEANUP(cx_closep) int fd = (int)syscall(SYS_pidfd_open, s.pid, 0);
        if (fd < 0 || !container_has_process(&s)) {
                (void)container_take_exit(rt, c); // without its monitor nothing else would tell that soon
                return -ESRCH;
        }
        return syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) < 0 ? -errno : 0;
}

int container_remove_files(struct runtime *rt, const char *id, const char *cgroup, bool makers, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/containers/%s", rt->state, id);
        CX_CLEANUP(cx_freep) char *data = cx_sprintf("%s/containers/%s", rt->root, id);
        CX_CLEANUP(cx_freep) char *state = cx_sprintf("%s/%s", rt->runc_root, id);
        CX_CLEANUP(cx_freep) char *exit_file = cx_sprintf("%s/exits/%s", rt->state, id);
        CX_CLEANUP(cx_freep) char *rootfs = cx_sprintf("%s/rootfs", folder);
        if (makers) // first: they would go on making what is removed here
                end_makers(rt, id);
        int r = 0;
        if (access(state, F_OK) == 0 && !cgroup) // kills it too; it knows the cgroup
                r = cx_run_ok((const char *[]){rt->runc, "--root", rt->runc_root, "delete", "--force", id, NULL}, NULL,
                              err);
        if (r == 0 && cgroup)
                r = cgroup_remove(cgroup, err);
        if (r == 0)
                r = cx_remove_tree(state, err);
        if (r < 0)
                return r;
        r = cx_unmount_below(rootfs, true, err);
        if (r == 0)
                r = cx_remove_tree(data, err);
        if (r == 0)
                r = cx_remove_tree(folder, err);
        (void)unlink(exit_file);
        return r;
}

int container_remove(struct runtime *rt, struct container *c, struct cx_error *err)
{
        (void)container_signal(rt, c, SIGKILL);
        struct container_state s;
        container_state(rt, c, &s);
        // conmon has gone by itself when it wrote the exit file; else it may be about to.
        int r = container_remove_files(rt, c->id, c->cgroup, s.status != CONTAINER_EXITED || *s.reason, err);
        if (r == 0)
                withdraw(rt, c);
        return r;
}
