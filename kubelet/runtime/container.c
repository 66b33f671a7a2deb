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
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

// How long conmon may take to report (s) when runc is no longer at work, and runc's init to begin (ns).
#define REPORT_PATIENCE 10
#define RUNC_PATIENCE 60
#define INIT_PATIENCE (120 * CX_NS_PER_S)

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

// --- records ---------------------------------------------------------------------------------------------------------

int container_save(struct runtime *rt, const struct container *c, bool durable, struct cx_error *err)
{
        struct container_state s;
        container_state(rt, c, &s);
        CX_CLEANUP(container_definition_release) struct container_definition definition = {0};
        container_definition(rt, c, &definition);
        json_auto_t *record = json_pack(
                "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:b, s:b, s:I}", "id",
                c->id, "sandbox", c->sandbox_id, "podUID", c->pod_uid, "namespace", c->pod_namespace, "pod",
                c->pod_name, "name", c->name, "image", c->image, "imageID", c->image_id, "imageRef", c->image_ref,
                "hash", definition.hash, "log", c->log_path, "cgroup", c->cgroup, "attempt", c->attempt, "stopSignal",
                c->stop_signal, "tty", c->tty, "stdin", c->stdin, "stdinOnce", c->stdin_once, "ownPidNs", c->own_pid_ns,
                "created", (json_int_t)c->created);
        json_object_set_new(record, "messagePath", json_string(c->message_path));
        json_object_set_new(record, "generation", json_integer(definition.generation));
        json_t *resources = container_resources(rt, c);
        if (resources)
                json_object_set_new(record, "resources", resources);
        if (c->user)
                json_object_set(record, "user", c->user);
        json_object_set_new(record, "state",
                            json_pack("{s:i, s:I, s:I, s:i, s:b, s:i, s:I, s:s, s:s}", "status", (int)s.status,
                                      "started", (json_int_t)s.started, "finished", (json_int_t)s.finished, "exitCode",
                                      s.exit_code, "oom", s.oom, "pid", (int)s.pid, "pidStart", (json_int_t)s.pid_start,
                                      "reason", s.reason, "message", s.message));
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/container.json", c->folder);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/container.json", c->data);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(record);
        int r = cx_write_file(path, text, strlen(text), 0600, false, err);
        return r == 0 && durable ? cx_write_file(kept, text, strlen(text), 0600, false, err) : r;
}

struct container *container_load(struct runtime *rt, const char *id)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/containers/%s/container.json", rt->state, id);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/containers/%s/container.json", rt->root, id);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *r = NULL;
        bool rebooted = access(path, F_OK) < 0;
        if (cx_buf_read_file(&text, rebooted ? kept : path) < 0 ||
            cx_json_parse(text.data, text.length, false, &r, NULL) < 0 || !cx_streq(cx_json_string(r, "id"), id) ||
            !cx_json_string(r, "podUID") || !cx_json_string(r, "cgroup"))
                return NULL;
        const json_t *s = json_object_get(r, "state");
        struct container *c = cx_alloc(sizeof *c);
        c->refs = 1;
        c->id = cx_strdup(id);
        c->folder = cx_sprintf("%s/containers/%s", rt->state, id);
        c->data = cx_sprintf("%s/containers/%s", rt->root, id);
        struct {
                char **to;
                const char *key;
        } const texts[] = {{&c->sandbox_id, "sandbox"}, {&c->pod_uid, "podUID"},     {&c->pod_namespace, "namespace"},
                           {&c->pod_name, "pod"},       {&c->name, "name"},          {&c->image, "image"},
                           {&c->image_id, "imageID"},   {&c->image_ref, "imageRef"}, {&c->definition.hash, "hash"},
                           {&c->log_path, "log"},       {&c->cgroup, "cgroup"},      {&c->message_path, "messagePath"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                *texts[i].to = cx_strdup(cx_json_string_or(r, texts[i].key, ""));
        c->definition.generation = cx_json_int(r, "generation", DEFINITION_IS_IMAGE);
        c->attempt = (int)cx_json_int(r, "attempt", 0);
        c->stop_signal = (int)cx_json_int(r, "stopSignal", SIGTERM);
        c->tty = cx_json_bool(r, "tty", false);
        c->stdin = cx_json_bool(r, "stdin", false);
        c->stdin_once = cx_json_bool(r, "stdinOnce", false);
        c->own_pid_ns = cx_json_bool(r, "ownPidNs", true);
        c->created = cx_json_int(r, "created", 0);
        c->user = json_incref(json_object_get(r, "user"));
        c->resources = json_incref(json_object_get(r, "resources"));
        c->state = (struct container_state){.status = (enum container_status)cx_json_int(s, "status", 0),
                                            .started = cx_json_int(s, "started", 0),
                                            .finished = cx_json_int(s, "finished", 0),
                                            .exit_code = (int)cx_json_int(s, "exitCode", 0),
                                            .oom = cx_json_bool(s, "oom", false),
                                            .pid = (pid_t)cx_json_int(s, "pid", 0),
                                            .pid_start = (uint64_t)cx_json_int(s, "pidStart", 0)};
        if (rebooted && c->state.status != CONTAINER_EXITED) // it ran: that is all that is known
                c->state = (struct container_state){.status = CONTAINER_RUNNING, .started = c->created};
        (void)cx_copy_string(c->state.reason, sizeof c->state.reason, cx_json_string_or(s, "reason", ""));
        (void)cx_copy_string(c->state.message, sizeof c->state.message, cx_json_string_or(s, "message", ""));
        return c;
}

bool container_adopt(struct runtime *rt, struct container *c)
{
        CX_CLEANUP(cx_freep) char *fifo = cx_sprintf("%s/%s/exec.fifo", rt->runc_root, c->id);
        CX_CLEANUP(cx_freep) char *pidfile = cx_sprintf("%s/pidfile", c->folder);
        CX_BUF text = CX_BUF_INIT_MAX(32);
        struct stat st;
        int64_t pid = 0;
        if (access(fifo, F_OK) == 0 || stat(pidfile, &st) < 0 || cx_buf_read_file(&text, pidfile) < 0 ||
            cx_parse_int(text.data, 2, INT32_MAX, &pid) < 0)
                return false;
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
        CX_BUF groups = CX_BUF_INIT_MAX(65536);
        bool alive = cx_buf_read_file(&groups, path) == 0 && strstr(groups.data, c->id);
        c->state.status = CONTAINER_RUNNING;
        c->state.started = st.st_mtim.tv_sec * CX_US_PER_S + st.st_mtim.tv_nsec / 1000;
        c->state.pid = (pid_t)pid;
        c->state.pid_start = alive ? pid_start((pid_t)pid) : 0;
        // Over already, it did run all the same, and is not to run twice: how it ended, its monitor tells, or nobody.
        CX_ERROR err = CX_ERROR_INIT;
        if (container_save(rt, c, false, &err) < 0)
                cx_err(&err, "Cannot keep a container's record", "id", c->id);
        return true;
}

bool container_has_process(const struct container_state *state)
{
        // Of one that had ended when its pid was told, the start is not known; after a reboot neither is the pid.
        return state->pid_start && pid_start(state->pid) == state->pid_start;
}

// What conmon wrote at the container's end; false when it has not (yet).
static bool read_exit(const struct runtime *rt, const struct container *c, int *ret_code, int64_t *ret_when)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/exits/%s", rt->state, c->id);
        CX_BUF text = CX_BUF_INIT_MAX(64);
        struct stat st = {0};
        int64_t code = 0;
        if (cx_buf_read_file(&text, path) < 0 || !text.length || stat(path, &st) < 0)
                return false;
        text.data[strcspn(text.data, "\n")] = '\0';
        *ret_code = cx_parse_int(text.data, -1, 255, &code) < 0 ? 255 : (int)code;
        *ret_when = st.st_mtim.tv_sec * CX_US_PER_S + st.st_mtim.tv_nsec / 1000;
        return true;
}

static pid_t monitor_of(const struct container *c) // 0: not known
{
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/conmon.pid", c->folder);
        CX_BUF text = CX_BUF_INIT_MAX(32);
        int64_t pid = 0;
        if (cx_buf_read_file(&text, file) < 0)
                return 0;
        text.data[strcspn(text.data, "\n")] = '\0';
        return cx_parse_int(text.data, 2, INT32_MAX, &pid) < 0 ? 0 : (pid_t)pid;
}

// conmon's command line has the container's id.
bool container_monitored(const struct container *c)
{
        pid_t pid = monitor_of(c);
        char path[64];
        if (!pid)
                return false;
        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
        CX_BUF line = CX_BUF_INIT_MAX(65536);
        return cx_buf_read_file(&line, path) == 0 && memmem(line.data, line.length, c->id, strlen(c->id)) != NULL;
}

bool container_take_exit(struct runtime *rt, struct container *c)
{
        CX_CLEANUP(cx_freep) char *oom = cx_sprintf("%s/oom", c->folder);
        struct container_state now;
        int code = 0;
        int64_t when = 0;
        bool told = read_exit(rt, c, &code, &when), lost = false;
        container_state(rt, c, &now);
        // Between a process's end and conmon's word lies a moment; only without conmon nobody will tell any more.
        if (!told && now.status == CONTAINER_RUNNING && !container_has_process(&now) && !container_monitored(c)) {
                told = read_exit(rt, c, &code, &when);
                lost = !told;
        }
        bool oom_killed = access(oom, F_OK) == 0;
        pthread_mutex_lock(&rt->lock);
        struct container_state *s = &c->state;
        bool changed = s->status != CONTAINER_EXITED && (told || lost);
        if (changed) {
                s->status = CONTAINER_EXITED;
                s->finished = told ? when : cx_time_now();
                s->exit_code = told ? code : 137;
                s->oom = oom_killed;
                if (lost) {
                        (void)cx_copy_string(s->reason, sizeof s->reason, "ContainerStatusUnknown");
                        (void)cx_copy_string(s->message, sizeof s->message,
                                             "The container could not be located when the pod was terminated");
                }
        }
        pthread_mutex_unlock(&rt->lock);
        CX_ERROR err = CX_ERROR_INIT;
        if (changed && container_save(rt, c, true, &err) < 0)
                cx_err(&err, "Cannot keep a container's record", "id", c->id);
        return changed;
}

// --- conmon ----------------------------------------------------------------------------------------------------------

// What conmon says of a runc that was killed: nothing, for it first reads runc's standard error to its end, and runc's
// init, which waits for a start that never comes, has that open. So look whether runc is still at work; when it is not,
// the container's processes are ended, which lets conmon go on. True when there is no more hope. One that has written the pid
// has done its work: a slow machine's conmon needs a while to say so.
static bool runc_was_killed(const struct container *c, int seconds_gone)
{
        CX_CLEANUP(cx_freep) char *pidfile = cx_sprintf("%s/pidfile", c->folder);
        int patience = access(pidfile, F_OK) == 0 ? REPORT_PATIENCE : 2;
        if (seconds_gone < patience)
                return false;
        cgroup_kill(c->cgroup, SIGKILL);
        return seconds_gone > RUNC_PATIENCE;
}

// conmon's report on its sync pipe: {"pid":N} or {"data":N,"message":"why not"}.
static int read_report(const struct runtime *rt, const struct container *c, int fd, struct cx_buf *to)
{
        for (int idle = 0, gone = 0;;) {
                struct pollfd p = {fd, POLLIN, 0};
                int n = poll(&p, 1, 1000);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0) // seconds without a word, and since runc was last seen
                        gone = strays_exist((const char *const[]){rt->runc, NULL}, c->id) ? 0 : gone + 1;
                if (n == 0 && (++idle > 120 || runc_was_killed(c, gone)))
                        return -ETIMEDOUT;
                if (n <= 0)
                        continue;
                char block[4096];
                ssize_t got = read(fd, block, sizeof block);
                if (got < 0 && errno != EINTR)
                        return -errno;
                if (got == 0)
                        return 0;
                if (got > 0)
                        cx_buf_append(to, block, (size_t)got);
                if (to->length && memchr(to->data, '\n', to->length))
                        return 0;
        }
}

static void reap(pid_t pid)
{
        int status;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
}

// Out of the kubelet's control group: who stops that one as a whole, or limits its memory, means the kubelet.
static void move_monitor(const struct runtime *rt, const struct container *c)
{
        CX_CLEANUP(cx_freep) char *group = cx_sprintf("%s/conmon", rt->cgroup_root);
        pid_t pid = monitor_of(c);
        if (pid)
                cgroup_take_in(group, pid);
}

static int run_conmon(struct runtime *rt, struct container *c, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *pidfile = cx_sprintf("%s/pidfile", c->folder);
        CX_CLEANUP(cx_freep) char *conmon_pid = cx_sprintf("%s/conmon.pid", c->folder);
        CX_CLEANUP(cx_freep) char *log = cx_sprintf("k8s-file:%s", c->log_path);
        CX_CLEANUP(cx_freep) char *exits = cx_sprintf("%s/exits", rt->state);
        const char *argv[40] = {rt->conmon,
                                "--api-version",
                                "1",
                                "-c",
                                c->id,
                                "-u",
                                c->id,
                                "-n",
                                c->name,
                                "-r",
                                rt->runc,
                                "-b",
                                c->folder,
                                "-p",
                                pidfile,
                                "--conmon-pidfile",
                                conmon_pid,
                                "-l",
                                log,
                                "--exit-dir",
                                exits,
                                "--persist-dir",
                                c->folder,
                                "--full-attach",
                                "--log-level",
                                "error",
                                "--runtime-arg",
                                "--root",
                                "--runtime-arg",
                                rt->runc_root};
        size_t n = 0;
        while (argv[n])
                n++;
        if (c->tty)
                argv[n++] = "-t";
        if (c->stdin) {
                argv[n++] = "-i";
                if (!c->stdin_once)
                        argv[n++] = "--leave-stdin-open";
        }
        int pipe_fds[2];
        pid_t pid;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return cx_error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
        static const char *const env[] = {"_OCI_SYNCPIPE=3",
                                          // For runc, which lives for milliseconds: threads and the collection of
                                          // garbage cost more than they give.
                                          "GOMAXPROCS=1", "GOGC=off", "GOMEMLIMIT=128MiB",
                                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        // A session of its own: a signal to the kubelet's process group must not reach containers' monitors.
        int r = cx_spawn(
                &(struct cx_spawn_options){.argv = argv, .env = env, .fds = {0, 0, 0, pipe_fds[1]}, .session = true},
                &pid);
        close(pipe_fds[1]);
        if (r < 0) {
                close(pipe_fds[0]);
                return cx_error_set(err, r, "cannot run %s: %s", rt->conmon, strerror(-r));
        }
        CX_BUF report = CX_BUF_INIT_MAX(65536);
        r = read_report(rt, c, pipe_fds[0], &report);
        close(pipe_fds[0]);
        if (r < 0)
                kill(pid, SIGKILL);
        reap(pid);
        if (r < 0)
                return cx_error_set(err, r, "no report from conmon: %s", strerror(-r));
        json_auto_t *answer = NULL;
        if (cx_json_parse(report.data, report.length, false, &answer, NULL) < 0)
                return cx_error_set(err, -EIO, "conmon ended without a report");
        int64_t container_pid = cx_json_int(answer, "pid", cx_json_int(answer, "data", -1));
        if (container_pid <= 0) {
                const char *message = cx_json_string_or(answer, "message", "container create failed");
                CX_CLEANUP(cx_freep) char *one_line = cx_strdup(message);
                for (size_t i = strlen(one_line); i-- > 0 && one_line[i] == '\n';)
                        one_line[i] = '\0';
                return cx_error_set(err, -ENOEXEC, "OCI runtime create failed: %.900s", one_line);
        }
        move_monitor(rt, c);
        pthread_mutex_lock(&rt->lock);
        c->state.pid = (pid_t)container_pid;
        c->state.pid_start = pid_start((pid_t)container_pid);
        pthread_mutex_unlock(&rt->lock);
        return 0;
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
                r = run_conmon(rt, c, &failure);
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

// --- conmon's control files ------------------------------------------------------------------------------------------

static int write_control(const struct container *c, const char *text)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/ctl", c->folder);
        CX_CLEANUP(cx_closep) int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int container_reopen_log(const struct container *c)
{
        return write_control(c, "2 0 0\n");
}

int container_resize(const struct container *c, int width, int height)
{
        char text[64];
        snprintf(text, sizeof text, "1 %d %d\n", height, width);
        return write_control(c, text);
}

int container_attach(const struct container *c)
{
        // The path may be longer than a socket address holds: it is reached through the folder's descriptor.
        CX_CLEANUP(cx_closep) int folder = open(c->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/attach", folder);
        if (folder < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return -errno;
        return cx_steal_fd(&fd);
}
