// SPDX-License-Identifier: Apache-2.0
// exec, attach and port-forward over channels (libcommon/net/streams.h). The session's thread moves output to the peer and
// is the only one that sends; the pump's (pump.h) moves what the peer sends to the process. An exec or attach ends with a
// status on the error channel.
#include "kubelet/server/server_internal.h"
#include "libcommon/base/log.h"
#include "libcommon/net/forwards.h"
#include "libcommon/net/pump.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BLOCK 32768
#define HANGUP_PATIENCE 1000 // ms, for a command whose peer has gone

struct stream_session {
        const struct kubelet *kubelet;
        struct container *container;
        struct sandbox *sandbox;
        struct cx_strings command;
        char *pod_uid; // of a port-forward, as is the next
        int ports[CX_FORWARDS_MAX];
        size_t n_ports;
        bool tty, use_stdin, use_stdout, use_stderr;
        // while it runs
        struct cx_pump pump;
        int fds[3]; // of the process, see container_exec_start; or [0]: conmon's socket
};

static void session_free(void *context)
{
        struct stream_session *s = context;
        container_unref(s->container);
        sandbox_unref(s->sandbox);
        cx_strings_release(&s->command);
        free(s->pod_uid);
        free(s);
}

static void unblock(int fd)
{
        if (fd >= 0)
                fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void send_status(struct stream_session *s, int exit_code, const char *failure)
{
        if (cx_streams_send_status(s->pump.streams, exit_code, failure) < 0)
                cx_debug(3, "The peer of a stream left before its end");
}

static void close_all(int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

// --- exec ------------------------------------------------------------------------------------------------------------

// The pipe to standard input is this thread's alone. A terminal has no end that could be passed on.
static void close_stdin(struct stream_session *s)
{
        if (s->tty || s->fds[0] < 0)
                return;
        close(s->fds[0]);
        s->fds[0] = -1;
}

static void on_exec_event(struct cx_pump *pump, const struct cx_stream_event *event, const struct cx_buf *data)
{
        struct stream_session *s = pump->context;
        struct winsize size = {0};
        int width, height;
        if (!event || (event->kind == CX_STREAM_ENDED && event->channel == CX_STREAM_STDIN)) {
                close_stdin(s);
        } else if (event->kind != CX_STREAM_DATA) {
                return;
        } else if (event->channel == CX_STREAM_STDIN && s->use_stdin && s->fds[0] >= 0) {
                if (cx_pump_write(pump, s->fds[0], data->data, data->length) < 0)
                        close_stdin(s);
        } else if (event->channel == CX_STREAM_RESIZE && s->tty && cx_stream_size_parse(data, &width, &height)) {
                size.ws_col = (unsigned short)width;
                size.ws_row = (unsigned short)height;
                (void)ioctl(s->fds[0], TIOCSWINSZ, &size);
        }
}

// Moves output until all outputs have ended or the peer has gone.
static void pump_output(struct stream_session *s)
{
        struct pollfd p[2] = {{s->tty ? s->fds[0] : s->fds[1], POLLIN, 0}, {s->tty ? -1 : s->fds[2], POLLIN, 0}};
        static const int channels[2] = {CX_STREAM_STDOUT, CX_STREAM_STDERR};
        const bool wanted[2] = {s->use_stdout, s->use_stderr};
        char block[BLOCK];
        while ((p[0].fd >= 0 || p[1].fd >= 0) && cx_pump_wait(&s->pump, p, 2)) {
                for (int i = 0; i < 2; i++) {
                        if (p[i].fd < 0 || !p[i].revents)
                                continue;
                        ssize_t n = read(p[i].fd, block, sizeof block);
                        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                                continue;
                        if (n <= 0) // a terminal says EIO at its end
                                p[i].fd = -1;
                        else if (wanted[i] && cx_streams_send(s->pump.streams, channels[i], block, (size_t)n) < 0)
                                return;
                }
        }
}

// Waits for the command. With the peer gone nobody is left to read: what was started for it ends.
static int end_command(struct stream_session *s, pid_t pid)
{
        CX_CLEANUP(cx_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p = {fd, POLLIN, 0};
        if (!cx_pump_wait(&s->pump, &p, 1)) {
                kill(s->tty ? pid : -pid, s->tty ? SIGHUP : SIGTERM);
                if (poll(&p, 1, HANGUP_PATIENCE) <= 0)
                        kill(pid, SIGKILL);
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_exec(struct cx_streams *streams, void *context)
{
        struct stream_session *s = context;
        s->pump = (struct cx_pump){.streams = streams, .on_event = on_exec_event, .context = s};
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) const char **argv = cx_alloc_array(s->command.count + 1, sizeof *argv);
        for (size_t i = 0; i < s->command.count; i++)
                argv[i] = s->command.items[i];
        pid_t pid = -1;
        if (container_exec_start(s->kubelet->runtime, s->container,
                                 &(struct exec_options){.argv = argv, .tty = s->tty, .use_stdin = s->use_stdin}, s->fds,
                                 &pid, &err) < 0) {
                send_status(s, 0, cx_error_text(&err));
                return;
        }
        unblock(s->fds[0]);
        if (cx_pump_start(&s->pump) == 0)
                pump_output(s);
        else
                kill(-pid, SIGKILL);
        int code = end_command(s, pid);
        if (!cx_pump_peer_gone(&s->pump))
                send_status(s, code, NULL);
        cx_pump_end(&s->pump);
        close_all(s->fds, CX_ARRAY_SIZE(s->fds));
}

// --- attach ----------------------------------------------------------------------------------------------------------

static void on_attach_event(struct cx_pump *pump, const struct cx_stream_event *event, const struct cx_buf *data)
{
        struct stream_session *s = pump->context;
        int width, height;
        if (!event || (event->kind == CX_STREAM_ENDED && event->channel == CX_STREAM_STDIN))
                shutdown(s->fds[0], SHUT_WR);
        else if (event->kind != CX_STREAM_DATA)
                return;
        else if (event->channel == CX_STREAM_STDIN && s->use_stdin) {
                if (cx_pump_write(pump, s->fds[0], data->data, data->length) < 0)
                        shutdown(s->fds[0], SHUT_WR);
        } else if (event->channel == CX_STREAM_RESIZE && s->tty && cx_stream_size_parse(data, &width, &height))
                (void)container_resize(s->container, width, height);
}

static void run_attach(struct cx_streams *streams, void *context)
{
        struct stream_session *s = context;
        s->pump = (struct cx_pump){.streams = streams, .on_event = on_attach_event, .context = s};
        CX_CLEANUP(cx_closep) int fd = container_attach(s->container);
        if (fd < 0) {
                send_status(s, 0, "cannot attach to the container");
                return;
        }
        s->fds[0] = fd;
        unblock(fd);
        char block[BLOCK + 1];
        struct pollfd p = {fd, POLLIN, 0};
        bool more = cx_pump_start(&s->pump) == 0;
        while (more && cx_pump_wait(&s->pump, &p, 1)) {
                ssize_t n = recv(fd, block, sizeof block, 0); // a packet: a byte that names the stream, then data
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                int channel = block[0] == 3 ? CX_STREAM_STDERR : CX_STREAM_STDOUT;
                bool wanted = channel == CX_STREAM_STDERR ? s->use_stderr : s->use_stdout;
                more = n > 0 && (n == 1 || !wanted || cx_streams_send(streams, channel, block + 1, (size_t)n - 1) == 0);
        }
        if (!cx_pump_peer_gone(&s->pump))
                send_status(s, 0, NULL);
        cx_pump_end(&s->pump);
}

// --- port-forward ----------------------------------------------------------------------------------------------------

static int dial_sandbox(void *context, int port, struct cx_buf *why)
{
        const struct stream_session *s = context;
        int fd = sandbox_dial(s->sandbox, port);
        if (fd < 0)
                cx_buf_printf(why,
                              "error forwarding port %d to pod %s, uid %s: failed to connect to localhost:%d inside "
                              "namespace \"%s\": %s",
                              port, s->sandbox->id, s->pod_uid, port, s->sandbox->id, strerror(-fd));
        return fd;
}

static void run_forward(struct cx_streams *streams, void *context)
{
        struct stream_session *s = context;
        cx_forwards_run(&(struct cx_forwards_options){
                .streams = streams, .wanted = s->n_ports, .dial = dial_sandbox, .context = s});
}

// --- requests --------------------------------------------------------------------------------------------------------

static struct stream_session *new_session(struct kubelet_server *server, struct cx_http_request *request)
{
        struct stream_session *s = cx_alloc(sizeof *s);
        s->kubelet = server->kubelet;
        s->tty = server_flag(request, "tty", NULL);
        s->use_stdin = server_flag(request, "stdin", "input");
        s->use_stdout = server_flag(request, "stdout", "output");
        s->use_stderr = server_flag(request, "stderr", "error");
        s->fds[0] = s->fds[1] = s->fds[2] = -1;
        return s;
}

static void upgrade(struct cx_http_request *request, struct stream_session *s, bool forwards,
                    void (*run)(struct cx_streams *streams, void *context))
{
        cx_streams_upgrade(request, &(struct cx_streams_session){.forwards = forwards,
                                                                 .ports = s->ports,
                                                                 .n_ports = s->n_ports,
                                                                 .run = run,
                                                                 .release = session_free,
                                                                 .context = s});
}

// Why there is nothing to do for a session; NULL when there is.
static const char *why_idle(const struct stream_session *s)
{
        return s->use_stdin || s->use_stdout || s->use_stderr ? NULL
                                                              : "you must specify at least 1 of stdin, stdout, stderr";
}

void server_exec(struct kubelet_server *server, struct cx_http_request *request, struct container *container_steal)
{
        struct stream_session *s = new_session(server, request);
        s->container = container_steal;
        cx_http_query_all(request, "command", &s->command);
        const char *why = s->command.count ? why_idle(s) : "you must specify at least 1 command";
        if (!why) {
                upgrade(request, s, false, run_exec);
                return;
        }
        cx_http_respond_text(request, 400, why);
        session_free(s);
}

void server_attach(struct kubelet_server *server, struct cx_http_request *request, struct container *container_steal)
{
        struct stream_session *s = new_session(server, request);
        s->container = container_steal;
        s->tty = container_steal->tty;
        const char *why = why_idle(s);
        if (!why) {
                upgrade(request, s, false, run_attach);
                return;
        }
        cx_http_respond_text(request, 400, why);
        session_free(s);
}

void server_port_forward(struct kubelet_server *server, struct cx_http_request *request, const char *pod_uid)
{
        struct stream_session *s = new_session(server, request);
        CX_STRINGS lists = CX_STRINGS_INIT;
        CX_STRINGS ports = CX_STRINGS_INIT;
        s->sandbox = runtime_sandbox(server->kubelet->runtime, pod_uid);
        cx_http_query_all(request, "port", &lists);
        cx_http_query_all(request, "ports", &lists);
        for (size_t i = 0; i < lists.count; i++)
                cx_strings_split(&ports, lists.items[i], ',');
        s->pod_uid = cx_strdup(pod_uid);
        bool bad = ports.count > CX_ARRAY_SIZE(s->ports) || !s->sandbox;
        for (size_t i = 0; i < ports.count && !bad; i++) {
                int64_t port;
                bad = cx_parse_int(ports.items[i], 1, 65535, &port) < 0;
                if (!bad)
                        s->ports[s->n_ports++] = (int)port;
        }
        if (bad) {
                cx_http_respond_text(request, 400,
                                     s->sandbox ? "query parameter \"port\" is invalid" : "pod is not running");
                session_free(s);
                return;
        }
        upgrade(request, s, true, run_forward);
}
