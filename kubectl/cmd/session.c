// SPDX-License-Identifier: Apache-2.0
// A session with a container (libcommon/net/streams.h): the calling thread receives; a thread sends what comes from the
// input; another sends the terminal's size when it changes.
#include "kubectl/cmd/session.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/status.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct termios saved_terminal;
static bool terminal_is_raw;

static void restore_terminal(void)
{
        if (terminal_is_raw)
                tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
        terminal_is_raw = false;
}

// tcsetattr may be called from a signal handler.
static void end_by_signal(int number)
{
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
        signal(number, SIG_DFL);
        raise(number);
}

static void make_raw(void)
{
        struct termios raw;
        if (tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
                return;
        raw = saved_terminal;
        cfmakeraw(&raw);
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0) {
                terminal_is_raw = true;
                atexit(restore_terminal);
                // Also when it is ended from outside (Ctrl-C is the other side's while the terminal is raw).
                static const int ends[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
                for (size_t i = 0; i < CX_ARRAY_SIZE(ends); i++)
                        sigaction(ends[i], &(struct sigaction){.sa_handler = end_by_signal}, NULL);
        }
}

static void send_size(struct session *session)
{
        struct winsize size;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
                return;
        pthread_mutex_lock(&session->lock);
        (void)!cx_streams_send_size(session->streams, size.ws_col, size.ws_row);
        pthread_mutex_unlock(&session->lock);
}

static void *watch_size(void *context)
{
        struct session *session = context;
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGWINCH);
        for (int signal; sigwait(&signals, &signal) == 0;)
                send_size(session);
        return NULL;
}

static void *send_input(void *context)
{
        struct session *session = context;
        char block[16384];
        for (;;) {
                ssize_t n = read(session->fds[0], block, sizeof block);
                if (n < 0 && errno == EINTR)
                        continue;
                pthread_mutex_lock(&session->lock);
                bool more = n > 0 && cx_streams_send(session->streams, CX_STREAM_STDIN, block, (size_t)n) == 0;
                if (n <= 0)
                        (void)cx_streams_end(session->streams, CX_STREAM_STDIN);
                pthread_mutex_unlock(&session->lock);
                if (!more)
                        break;
        }
        if (session->fds[0] != STDIN_FILENO) // who writes to it learns that nobody reads any more
                close(session->fds[0]);
        return NULL;
}

// False when nobody takes it.
static bool write_all(int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return false;
                data += n;
                length -= (size_t)n;
        }
        return true;
}

// Until the status comes that ends a session. Without one it was cut off.
static int receive(struct session *session, int *ret_code, struct cx_error *err)
{
        CX_BUF data = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        for (;;) {
                struct cx_stream_event event;
                int r = cx_streams_receive(session->streams, &event, &data);
                if (r <= 0)
                        return cx_error_set(err, r < 0 ? r : -ECONNRESET, "error reading from error stream: %s",
                                            r < 0 ? strerror(-r) : "unexpected EOF");
                if (event.kind != CX_STREAM_DATA)
                        continue;
                int fd = event.channel == CX_STREAM_STDOUT   ? session->fds[1]
                         : event.channel == CX_STREAM_STDERR ? session->fds[2]
                                                             : -1;
                if (fd >= 0 && !write_all(fd, data.data, data.length))
                        return cx_error_set(err, -EPIPE, "cannot write the output: %s", strerror(errno));
                if (event.channel == CX_STREAM_STDOUT)
                        session->written += data.length;
                if (event.channel == CX_STREAM_ERROR)
                        return cx_stream_status_parse(&data, ret_code, err);
        }
}

int session_connect(struct ctl *ctl, const char *path, session_connect_fn connect, struct cx_streams **ret_streams,
                    struct cx_error *err)
{
        CX_HTTP_REPLY refusal = CX_HTTP_REPLY_INIT;
        const char *headers[32];
        CX_BUF storage = CX_BUF_INIT;
        ctl_impersonation(ctl, true, headers, &storage);
        int r = connect(cx_rest_http(ctl->rest),
                        &(struct cx_http_call){.path = path, .headers = headers, .timeout = -1}, ret_streams, &refusal,
                        err);
        if (r == 0 || refusal.code < 400 || !refusal.body.length)
                return r;
        cx_error_release(err); // the server said why
        if (*refusal.body.data != '{')
                return cx_error_set(err, r, "unable to upgrade connection: %s", refusal.body.data);
        return cx_error_from_status(err, refusal.code, refusal.body.data, refusal.body.length);
}

// Threads may still be in a send, or wait for the user, when the session is over: then the session stays.
static void start_threads(struct session *session, pthread_t *ret_input, bool *ret_joins)
{
        pthread_t thread;
        if (session->tty) {
                sigset_t signals;
                sigemptyset(&signals);
                sigaddset(&signals, SIGWINCH);
                pthread_sigmask(SIG_BLOCK, &signals, NULL);
                make_raw();
                send_size(session);
                if (pthread_create(&thread, NULL, watch_size, session) == 0)
                        pthread_detach(thread);
        }
        if (!session->in)
                return;
        bool started = pthread_create(ret_input, NULL, send_input, session) == 0, own = session->fds[0] != STDIN_FILENO;
        *ret_joins = started && own;
        if (started && !own)
                pthread_detach(*ret_input);
        else if (!started && own)
                close(session->fds[0]);
}

int session_run(struct ctl *ctl, const char *path, struct session *session, int *ret_code, struct cx_error *err)
{
        int r = session_connect(ctl, path, cx_streams_connect, &session->streams, err);
        if (r < 0)
                return r;
        pthread_mutex_init(&session->lock, NULL);
        pthread_t input;
        bool joins = false;
        start_threads(session, &input, &joins);
        r = receive(session, ret_code, err);
        restore_terminal();
        cx_streams_close(session->streams);
        if (joins)
                pthread_join(input, NULL);
        if (!session->tty && (joins || !session->in))
                cx_streams_free(session->streams);
        return r;
}

void session_path(const json_t *pod, const char *verb, const char *container, const struct session *session,
                  struct cx_buf *path)
{
        cx_rest_path(path,
                     CX_REF(.group = "", .version = "v1", .resource = "pods",
                            .namespace = cx_json_string(pod, "metadata.namespace"),
                            .name = cx_json_string(pod, "metadata.name")),
                     verb);
        cx_rest_query(path, "container", container);
        cx_rest_query(path, "stdin", session->in ? "true" : NULL);
        cx_rest_query(path, "stdout", "true");
        cx_rest_query(path, "stderr", session->tty ? NULL : "true");
        cx_rest_query(path, "tty", session->tty ? "true" : NULL);
}

int session_container(const json_t *pod, const char *wanted, bool quiet, bool checks, const char **ret_name,
                      struct cx_error *err)
{
        if (cx_pod_is_terminal(pod))
                return cx_error_set(err, -EINVAL,
                                    "cannot exec into a container in a completed pod; current phase is %s",
                                    cx_pod_phase(pod));
        if (!wanted || !*wanted) {
                *ret_name = default_container(pod, quiet);
                return 0;
        }
        if (!checks) {
                *ret_name = wanted;
                return 0;
        }
        if (cx_pod_container(json_object_get(pod, "spec"), wanted, CX_POD_ALL, NULL)) {
                *ret_name = wanted;
                return 0;
        }
        return cx_error_set(err, -ENOENT, "container %s not found in pod %s", wanted,
                            cx_json_string_or(pod, "metadata.name", ""));
}
