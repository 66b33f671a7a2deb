// SPDX-License-Identifier: Apache-2.0
// kubectl exec and attach: a session of channels (libcommon/net/streams.h). The main thread receives; a thread sends what
// comes from standard input; another sends the terminal's size when it changes.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"
#include "libcommon/net/streams.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

struct session {
        struct cx_streams *streams;
        pthread_mutex_t lock; // held by the thread that sends
        bool in, tty, quiet;
};
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
                ssize_t n = read(STDIN_FILENO, block, sizeof block);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                pthread_mutex_lock(&session->lock);
                int r = cx_streams_send(session->streams, CX_STREAM_STDIN, block, (size_t)n);
                pthread_mutex_unlock(&session->lock);
                if (r < 0)
                        return NULL;
        }
        pthread_mutex_lock(&session->lock);
        (void)cx_streams_end(session->streams, CX_STREAM_STDIN);
        pthread_mutex_unlock(&session->lock);
        return NULL;
}

static void write_all(int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                data += n;
                length -= (size_t)n;
        }
}

// The status that ends a session: the command's exit code goes to ctl->status.
static int take_status(struct ctl *ctl, const struct cx_buf *text, struct cx_error *err)
{
        int r = cx_stream_status_parse(text, &ctl->status, err);
        if (r < 0 || ctl->status == 0)
                return r;
        restore_terminal();
        fflush(stdout);
        fprintf(stderr, "command terminated with exit code %d\n", ctl->status);
        return 0;
}

static int receive(struct ctl *ctl, struct session *session, struct cx_error *err)
{
        CX_BUF data = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        for (;;) {
                struct cx_stream_event event;
                int r = cx_streams_receive(session->streams, &event, &data);
                if (r == 0)
                        return 0;
                if (r < 0)
                        return cx_error_set(err, r, "error reading from the server: %s", strerror(-r));
                if (event.kind != CX_STREAM_DATA)
                        continue;
                if (event.channel == CX_STREAM_STDOUT)
                        write_all(STDOUT_FILENO, data.data, data.length);
                else if (event.channel == CX_STREAM_STDERR)
                        write_all(STDERR_FILENO, data.data, data.length);
                else if (event.channel == CX_STREAM_ERROR)
                        return take_status(ctl, &data, err);
        }
}

static int stream(struct ctl *ctl, const char *path, struct session *session, struct cx_error *err)
{
        CX_HTTP_REPLY refusal = CX_HTTP_REPLY_INIT;
        const char *headers[32];
        CX_BUF storage = CX_BUF_INIT;
        ctl_impersonation(ctl, headers, &storage);
        int r = cx_streams_connect(cx_rest_http(ctl->rest),
                                   &(struct cx_http_call){.path = path, .headers = headers, .timeout = -1},
                                   &session->streams, &refusal, err);
        if (r < 0 && refusal.code >= 400 && refusal.body.length) { // the server said why
                cx_error_release(err);
                if (*refusal.body.data != '{')
                        return cx_error_set(err, r, "unable to upgrade connection: %s", refusal.body.data);
                return cx_error_from_status(err, refusal.code, refusal.body.data, refusal.body.length);
        }
        if (r < 0)
                return r;
        pthread_mutex_init(&session->lock, NULL);
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
        if (session->in && pthread_create(&thread, NULL, send_input, session) == 0)
                pthread_detach(thread);
        r = receive(ctl, session, err);
        restore_terminal();
        cx_streams_close(session->streams);
        // the detached threads may still be in a send: the process ends with the command, the socket with it
        return r;
}

static void check_tty(struct session *session)
{
        if (session->tty && session->in && !isatty(STDIN_FILENO)) {
                fprintf(stderr, "Unable to use a TTY - input is not a terminal or the right kind of file\n");
                session->tty = false;
        }
}

static void stream_path(const json_t *pod, const char *verb, const char *container, const struct session *session,
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

// A name is looked for here when it is to be attached to; for a command the server does that.
static int find_container(const json_t *pod, const char *wanted, bool quiet, bool checks, const char **ret_name,
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

COMMAND(exec)
{
        static struct session session; // outlives the threads that use it
        const char *container = NULL, *file = NULL;
        int64_t timeout = 60 * CX_NS_PER_S;
        int dash;
        const struct cx_flag flags[] = {
                {"container", 'c', CX_FLAG_STRING, &container, "The container; default: the pod's first."},
                {"stdin", 'i', CX_FLAG_BOOL, &session.in, "Pass standard input on."},
                {"tty", 't', CX_FLAG_BOOL, &session.tty, "Standard input is a terminal."},
                {"quiet", 'q', CX_FLAG_BOOL, &session.quiet, "Only show what the command writes."},
                {"filename", 'f', CX_FLAG_STRING, &file, "File that names the resource."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait for a pod."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        if (dash < 0 && args.count > 1)
                return ctl_usage_error(
                        ctl, err, "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead");
        size_t names = dash < 0 ? args.count : (size_t)dash;
        if (names == 0 && !file)
                return cx_error_set(err, -EINVAL, "pod, type/name or --filename must be specified");
        if (args.count == names)
                return cx_error_set(err, -EINVAL, "you must specify at least one command for the container");
        json_auto_t *pod = NULL;
        if (file) {
                BUILDER builder = {0};
                INFOS infos = INFOS_INIT;
                CX_STRINGS none = CX_STRINGS_INIT;
                cx_strings_add(&builder.files, file);
                r = builder_targets(ctl, &builder, &none, &infos, err);
                if (r == 0 && !infos.count)
                        r = cx_error_set(err, -ENOENT, "no objects in %s", file);
                if (r < 0)
                        return r;
                CX_CLEANUP(cx_freep)
                char *word = cx_sprintf("%s/%s", infos.items[0]->mapping->resource, infos.items[0]->name);
                r = pod_of(ctl, word, timeout, &pod, err);
        } else {
                r = pod_of(ctl, args.items[0], timeout, &pod, err);
        }
        const char *name = NULL;
        if (r == 0)
                r = find_container(pod, container, session.quiet, false, &name, err);
        if (r < 0)
                return r;
        check_tty(&session);
        CX_BUF path = CX_BUF_INIT;
        stream_path(pod, "exec", name, &session, &path);
        for (size_t i = names; i < args.count; i++)
                cx_rest_query(&path, "command", args.items[i]);
        return stream(ctl, path.data, &session, err);
}

int attach_pod(struct ctl *ctl, const json_t *pod, const char *container, bool in, bool tty, bool quiet,
               struct cx_error *err)
{
        static struct session session; // outlives the threads that use it
        session = (struct session){.in = in, .tty = tty, .quiet = quiet};
        check_tty(&session);
        if (!quiet)
                fprintf(stderr,
                        "All commands and output from this session will be recorded in container logs, including "
                        "credentials and sensitive information passed through the command prompt.\n"
                        "If you don't see a command prompt, try pressing enter.\n");
        CX_BUF path = CX_BUF_INIT;
        stream_path(pod, "attach", container, &session, &path);
        return stream(ctl, path.data, &session, err);
}

COMMAND(attach)
{
        struct session session = {0};
        const char *container = NULL;
        int64_t timeout = 60 * CX_NS_PER_S;
        const struct cx_flag flags[] = {
                {"container", 'c', CX_FLAG_STRING, &container, "The container; default: the pod's first."},
                {"stdin", 'i', CX_FLAG_BOOL, &session.in, "Pass standard input on."},
                {"tty", 't', CX_FLAG_BOOL, &session.tty, "Standard input is a terminal."},
                {"quiet", 'q', CX_FLAG_BOOL, &session.quiet, "Only show what the container writes."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait for a pod."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count == 0)
                return cx_error_set(err, -EINVAL, "at least 1 argument is required for attach");
        if (args.count > 2)
                return cx_error_set(err, -EINVAL,
                                    "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw %zu: %s",
                                    args.count, args.items[0]);
        json_auto_t *pod = NULL;
        const char *name = NULL;
        CX_CLEANUP(cx_freep)
        char *word = args.count == 2 ? cx_sprintf("%s/%s", args.items[0], args.items[1]) : cx_strdup(args.items[0]);
        r = pod_of(ctl, word, timeout, &pod, err);
        if (r == 0)
                r = find_container(pod, container, session.quiet, true, &name, err);
        if (r < 0)
                return r;
        return attach_pod(ctl, pod, name, session.in, session.tty, session.quiet, err);
}
