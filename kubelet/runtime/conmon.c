// SPDX-License-Identifier: Apache-2.0
// conmon, the monitor of a container: it has runc make the container, stays with it, keeps its log and writes down how it ends.
#include "kubelet/runtime/runtime_internal.h"

#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/strays.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

// How long conmon may take to report (s) when runc is no longer at work.
#define REPORT_PATIENCE 10
#define RUNC_PATIENCE 60

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

int conmon_run(struct runtime *rt, struct container *c, struct cx_error *err)
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

// --- its control files -----------------------------------------------------------------------------------------------

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
