// SPDX-License-Identifier: Apache-2.0
// exec, attach and port-forward over WebSocket channels. One thread (the upgraded connection's) moves output to the peer,
// another the peer's input to the process; the connection ends with a Status on the error channel.
#include "kubelet/server/server_internal.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/net/websocket.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum stream_kind { STREAM_EXEC, STREAM_ATTACH, STREAM_FORWARD };

struct stream_session {
        enum stream_kind kind;
        const struct kubelet *kubelet;
        struct container *container;
        struct sandbox *sandbox;
        struct cx_strings command;
        int ports[16];
        size_t n_ports;
        bool tty, use_stdin;
        bool unversioned; // channel.k8s.io: success is not told, failure in words
        // while it runs
        struct cx_websocket *ws;
        int fds[3];           // of the process; see container_exec_start
        int sockets[16];      // of forwarded ports
        pthread_mutex_t lock; // guards fds[0] being closed
        bool peer_gone;
};

bool server_flag(struct cx_http_request *request, const char *name, const char *other)
{
        const char *value = cx_http_query(request, name);
        if (!value && other)
                value = cx_http_query(request, other);
        return value && *value && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}

static void session_free(void *context)
{
        struct stream_session *s = context;
        container_unref(s->container);
        sandbox_unref(s->sandbox);
        cx_strings_release(&s->command);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

static int write_fully(int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EAGAIN) {
                        struct pollfd p = {fd, POLLOUT, 0};
                        (void)poll(&p, 1, 1000);
                        continue;
                }
                if (n < 0 && errno != EINTR)
                        return -errno;
                data += n > 0 ? n : 0;
                length -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static void resize(struct stream_session *s, const struct cx_buf *data)
{
        json_auto_t *size = NULL;
        if (cx_json_parse(data->data, data->length, false, &size, NULL) < 0)
                return;
        int64_t width = cx_json_int(size, "Width", 0), height = cx_json_int(size, "Height", 0);
        if (width <= 0 || height <= 0 || width > 65535 || height > 65535)
                return;
        if (s->kind == STREAM_ATTACH) {
                (void)container_resize(s->container, (int)width, (int)height);
                return;
        }
        struct winsize w = {.ws_row = (unsigned short)height, .ws_col = (unsigned short)width};
        (void)ioctl(s->fds[0], TIOCSWINSZ, &w);
}

static void close_stdin(struct stream_session *s)
{
        pthread_mutex_lock(&s->lock);
        if (s->kind == STREAM_EXEC && !s->tty && s->fds[0] >= 0) {
                close(s->fds[0]);
                s->fds[0] = -1;
        } else if (s->kind == STREAM_ATTACH) {
                shutdown(s->fds[0], SHUT_WR);
        }
        pthread_mutex_unlock(&s->lock);
}

static void *read_peer(void *context)
{
        struct stream_session *s = context;
        CX_BUF data = CX_BUF_INIT_MAX(CX_WS_MAX_MESSAGE);
        int channel;
        while (cx_channel_recv(s->ws, -1, &channel, &data) == 1) {
                if (channel == CX_CHANNEL_STDIN && s->use_stdin && s->fds[0] >= 0) {
                        if (data.length && write_fully(s->fds[0], data.data, data.length) < 0)
                                close_stdin(s);
                } else if (channel == CX_CHANNEL_RESIZE && s->tty) {
                        resize(s, &data);
                } else if (channel == CX_CHANNEL_CLOSE && data.length == 1 && data.data[0] == CX_CHANNEL_STDIN) {
                        close_stdin(s);
                }
        }
        __atomic_store_n(&s->peer_gone, true, __ATOMIC_RELEASE);
        close_stdin(s);
        return NULL;
}

static void send_status(struct stream_session *s, int exit_code, const char *failure)
{
        json_auto_t *status = NULL;
        if (failure) {
                status = json_pack("{s:{}, s:s, s:s, s:s, s:i}", "metadata", "status", "Failure", "message", failure,
                                   "reason", "InternalError", "code", 500);
        } else if (exit_code) {
                status = json_pack("{s:{}, s:s, s:s, s:s, s:{s:[{s:s, s:s}]}}", "metadata", "status", "Failure",
                                   "reason", "NonZeroExitCode", "message", "command terminated with non-zero exit code",
                                   "details", "causes", "reason", "ExitCode", "message", CX_INT(exit_code));
        } else {
                status = json_pack("{s:{}, s:s}", "metadata", "status", "Success");
        }
        CX_CLEANUP(cx_freep)
        char *text = s->unversioned ? cx_strdup(cx_json_string(status, "message")) : cx_json_text(status);
        if (text && cx_channel_send(s->ws, CX_CHANNEL_ERROR, text, strlen(text)) < 0)
                cx_debug(3, "The peer of a stream left before its end");
}

// Moves output until all outputs have ended or the peer has gone.
static void pump_output(struct stream_session *s)
{
        int fds[2] = {s->tty ? s->fds[0] : s->fds[1], s->tty ? -1 : s->fds[2]};
        static const int channels[2] = {CX_CHANNEL_STDOUT, CX_CHANNEL_STDERR};
        char block[32768];
        while ((fds[0] >= 0 || fds[1] >= 0) && !__atomic_load_n(&s->peer_gone, __ATOMIC_ACQUIRE)) {
                struct pollfd p[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
                if (poll(p, 2, 500) <= 0)
                        continue;
                for (int i = 0; i < 2; i++) {
                        if (fds[i] < 0 || !p[i].revents)
                                continue;
                        ssize_t n = read(fds[i], block, sizeof block);
                        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                                continue;
                        if (n <= 0) // a terminal says EIO at its end
                                fds[i] = -1;
                        else if (cx_channel_send(s->ws, channels[i], block, (size_t)n) < 0)
                                return;
                }
        }
}

static void run_exec(struct stream_session *s)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) const char **argv = cx_alloc_array(s->command.count + 1, sizeof *argv);
        for (size_t i = 0; i < s->command.count; i++)
                argv[i] = s->command.items[i];
        pid_t pid = -1;
        if (container_exec_start(s->kubelet->runtime, s->container, argv, s->tty, s->use_stdin, s->fds, &pid, &err) <
            0) {
                send_status(s, 0, cx_error_text(&err));
                return;
        }
        pthread_t reader;
        bool reading = pthread_create(&reader, NULL, read_peer, s) == 0;
        pump_output(s);
        if (s->peer_gone) { // nobody is left to read: what was started for them ends
                kill(s->tty ? pid : -pid, s->tty ? SIGHUP : SIGTERM);
        }
        int status = 0;
        for (int i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
                if (s->peer_gone && i == 500)
                        kill(pid, SIGKILL);
                nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (!s->peer_gone)
                send_status(s, code, NULL);
        cx_websocket_close(s->ws, 1000, "");
        if (reading) {
                // The peer answers the close; one that does not is cut off.
                pthread_join(reader, NULL);
        }
        for (int i = 0; i < 3; i++)
                if (s->fds[i] >= 0)
                        close(s->fds[i]);
}

static void run_attach(struct stream_session *s)
{
        int fd = container_attach(s->container);
        if (fd < 0) {
                send_status(s, 0, "cannot attach to the container");
                return;
        }
        s->fds[0] = fd;
        s->fds[1] = s->fds[2] = -1;
        pthread_t reader;
        bool reading = pthread_create(&reader, NULL, read_peer, s) == 0;
        char block[32769];
        while (!__atomic_load_n(&s->peer_gone, __ATOMIC_ACQUIRE)) {
                struct pollfd p = {fd, POLLIN, 0};
                if (poll(&p, 1, 500) <= 0)
                        continue;
                ssize_t n = recv(fd, block, sizeof block, 0); // a packet: a byte that names the stream, then data
                if (n <= 0)
                        break;
                int channel = block[0] == 3 ? CX_CHANNEL_STDERR : CX_CHANNEL_STDOUT;
                if (n > 1 && cx_channel_send(s->ws, channel, block + 1, (size_t)n - 1) < 0)
                        break;
        }
        if (!s->peer_gone)
                send_status(s, 0, NULL);
        cx_websocket_close(s->ws, 1000, "");
        if (reading)
                pthread_join(reader, NULL);
        close(fd);
}

// --- port-forward: two channels a port, data and error, each begun by the port number ---------------------------------

static void *read_ports(void *context)
{
        struct stream_session *s = context;
        CX_BUF data = CX_BUF_INIT_MAX(CX_WS_MAX_MESSAGE);
        int channel;
        while (cx_channel_recv(s->ws, -1, &channel, &data) == 1) {
                size_t i = (size_t)channel / 2;
                if (channel % 2 == 0 && i < s->n_ports && s->sockets[i] >= 0 && data.length)
                        (void)write_fully(s->sockets[i], data.data, data.length);
        }
        __atomic_store_n(&s->peer_gone, true, __ATOMIC_RELEASE);
        for (size_t i = 0; i < s->n_ports; i++)
                if (s->sockets[i] >= 0)
                        shutdown(s->sockets[i], SHUT_RDWR);
        return NULL;
}

static void run_forward(struct stream_session *s)
{
        struct pollfd polls[16] = {0};
        for (size_t i = 0; i < s->n_ports; i++) {
                unsigned char port[2] = {(unsigned char)(s->ports[i] & 0xff), (unsigned char)(s->ports[i] >> 8)};
                if (cx_channel_send(s->ws, (int)i * 2, port, 2) < 0 ||
                    cx_channel_send(s->ws, (int)i * 2 + 1, port, 2) < 0)
                        return;
                s->sockets[i] = sandbox_dial(s->sandbox, s->ports[i]);
                if (s->sockets[i] < 0) {
                        CX_CLEANUP(cx_freep)
                        char *text = cx_sprintf("failed to connect to localhost:%d inside namespace \"%s\": %s",
                                                s->ports[i], s->sandbox->id, strerror(-s->sockets[i]));
                        (void)!cx_channel_send(s->ws, (int)i * 2 + 1, text, strlen(text));
                }
                polls[i] = (struct pollfd){s->sockets[i] >= 0 ? s->sockets[i] : -1, POLLIN, 0};
        }
        pthread_t reader;
        bool reading = pthread_create(&reader, NULL, read_ports, s) == 0;
        char block[32768];
        size_t open_ports = 0;
        for (size_t i = 0; i < s->n_ports; i++)
                open_ports += polls[i].fd >= 0;
        while (open_ports && !__atomic_load_n(&s->peer_gone, __ATOMIC_ACQUIRE)) {
                if (poll(polls, s->n_ports, 500) <= 0)
                        continue;
                for (size_t i = 0; i < s->n_ports; i++) {
                        if (polls[i].fd < 0 || !polls[i].revents)
                                continue;
                        ssize_t n = read(polls[i].fd, block, sizeof block);
                        if (n > 0 && cx_channel_send(s->ws, (int)i * 2, block, (size_t)n) == 0)
                                continue;
                        polls[i].fd = -1;
                        open_ports--;
                }
        }
        cx_websocket_close(s->ws, 1000, "");
        if (reading)
                pthread_join(reader, NULL);
        for (size_t i = 0; i < s->n_ports; i++)
                if (s->sockets[i] >= 0)
                        close(s->sockets[i]);
}

static void run_session(int fd, const char *extra, size_t extra_length, void *context)
{
        struct stream_session *s = context;
        s->ws = cx_websocket_server(fd, extra, extra_length);
        s->fds[0] = s->fds[1] = s->fds[2] = -1;
        if (s->kind == STREAM_EXEC)
                run_exec(s);
        else if (s->kind == STREAM_ATTACH)
                run_attach(s);
        else
                run_forward(s);
        cx_websocket_close(s->ws, 1000, "");
        cx_websocket_free(s->ws);
}

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

static void upgrade(struct cx_http_request *request, struct stream_session *s)
{
        static const char *const protocols[] = {CX_WS_V5, CX_WS_V4, CX_WS_V1, NULL};
        const char *key = NULL, *offered = cx_http_header(request, "Sec-WebSocket-Protocol");
        const char *why = cx_websocket_check(get_header, request, &key);
        const char *chosen = offered ? cx_websocket_protocol(offered, protocols) : CX_WS_V1;
        if (!why && !chosen)
                why = "no supported subprotocol was offered";
        if (why) {
                cx_http_respond_text(request, 400, why);
                session_free(s);
                return;
        }
        char accept[29];
        cx_websocket_accept(key, accept);
        s->unversioned = strcmp(chosen, CX_WS_V1) == 0;
        cx_http_add_header(request, "Upgrade", "websocket");
        cx_http_add_header(request, "Sec-WebSocket-Accept", accept);
        if (offered)
                cx_http_add_header(request, "Sec-WebSocket-Protocol", chosen);
        cx_http_respond_upgrade(request, run_session, s, session_free);
}

static struct stream_session *new_session(struct kubelet_server *server, struct cx_http_request *request,
                                          enum stream_kind kind)
{
        struct stream_session *s = cx_alloc(sizeof *s);
        s->kind = kind;
        s->kubelet = server->kubelet;
        s->tty = server_flag(request, "tty", NULL);
        s->use_stdin = server_flag(request, "stdin", "input");
        pthread_mutex_init(&s->lock, NULL);
        for (size_t i = 0; i < CX_ARRAY_SIZE(s->sockets); i++)
                s->sockets[i] = -1;
        return s;
}

void server_exec(struct kubelet_server *server, struct cx_http_request *request, struct container *container_steal)
{
        struct stream_session *s = new_session(server, request, STREAM_EXEC);
        s->container = container_steal;
        cx_http_query_all(request, "command", &s->command);
        if (!s->command.count) {
                cx_http_respond_text(request, 400, "you must specify at least 1 command");
                session_free(s);
                return;
        }
        upgrade(request, s);
}

void server_attach(struct kubelet_server *server, struct cx_http_request *request, struct container *container_steal)
{
        struct stream_session *s = new_session(server, request, STREAM_ATTACH);
        s->container = container_steal;
        s->tty = container_steal->tty;
        upgrade(request, s);
}

void server_port_forward(struct kubelet_server *server, struct cx_http_request *request, const char *pod_uid)
{
        struct stream_session *s = new_session(server, request, STREAM_FORWARD);
        CX_STRINGS lists = CX_STRINGS_INIT;
        CX_STRINGS ports = CX_STRINGS_INIT;
        s->sandbox = runtime_sandbox(server->kubelet->runtime, pod_uid);
        cx_http_query_all(request, "port", &lists);
        cx_http_query_all(request, "ports", &lists);
        for (size_t i = 0; i < lists.count; i++)
                cx_strings_split(&ports, lists.items[i], ',');
        bool bad = !ports.count || ports.count > CX_ARRAY_SIZE(s->ports) || !s->sandbox;
        for (size_t i = 0; i < ports.count && !bad; i++) {
                int64_t port;
                bad = cx_parse_int(ports.items[i], 1, 65535, &port) < 0;
                if (!bad)
                        s->ports[s->n_ports++] = (int)port;
        }
        if (bad) {
                cx_http_respond_text(request, 400,
                                     s->sandbox ? "query parameter \"port\" is required" : "pod is not running");
                session_free(s);
                return;
        }
        upgrade(request, s);
}
