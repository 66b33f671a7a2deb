// SPDX-License-Identifier: Apache-2.0
// /containerLogs: reads CRI logs ("time stream F|P text") straight into the response. With follow, a thread waits for the
// file to grow or the container to end, and only wakes the stream; the reading stays in one place.
#include "kubelet/server/server_internal.h"

#include "kubelet/base/log_line.h"
#include "kubelet/pod/container_status.h"
#include "kubelet/pod/pods.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 65536
#define SINCE_MAX (INT64_C(1000) * 365 * 86400) // seconds

struct log_reader {
        struct runtime *runtime;
        struct container *container;
        int fd;
        bool follow, timestamps, done, at_line_start;
        char only[8];  // "stdout" or "stderr"; "" for both
        int64_t since; // µs
        int64_t left;  // bytes that may still go out; -1: any
        struct cx_buf in, out;
        // follower
        struct cx_http_stream *stream;
        int stop_fd;   // -1: nobody follows
        unsigned refs; // the response's and the follower's
};

// Copies one line of the log, without its newline, to the output.
static void take_line(struct log_reader *r, const char *line, size_t length)
{
        struct log_line l;
        char stamp[64];
        int64_t when = 0;
        if (!log_line_parse(line, length, &l) || l.stamp_length >= sizeof stamp)
                return;
        if (*r->only && (strlen(r->only) != l.stream_length || memcmp(r->only, l.stream, l.stream_length) != 0))
                return;
        memcpy(stamp, l.stamp, l.stamp_length);
        stamp[l.stamp_length] = '\0';
        if (r->since && (cx_time_parse(stamp, &when) < 0 || when < r->since))
                return;
        if (r->timestamps && r->at_line_start)
                cx_buf_printf(&r->out, "%s ", stamp);
        cx_buf_append(&r->out, l.text, l.text_length);
        r->at_line_start = l.full;
        if (r->at_line_start)
                cx_buf_add_char(&r->out, '\n');
}

// After a rotation the log goes on in a new file of the same name.
static bool reopen(struct log_reader *r)
{
        struct stat mine, newest;
        if (!r->follow || fstat(r->fd, &mine) < 0 || stat(r->container->log_path, &newest) < 0 ||
            (mine.st_ino == newest.st_ino && mine.st_dev == newest.st_dev))
                return false;
        int fd = open(r->container->log_path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        close(r->fd);
        r->fd = fd;
        return true;
}

static bool fill(struct log_reader *r)
{
        char block[32768];
        ssize_t n = read(r->fd, block, sizeof block);
        if (n <= 0)
                return n == 0 && reopen(r);
        cx_buf_append(&r->in, block, (size_t)n);
        size_t used = 0;
        for (;;) {
                char *line = r->in.data + used, *end = memchr(line, '\n', r->in.length - used);
                if (!end)
                        break;
                take_line(r, line, (size_t)(end - line));
                used += (size_t)(end - line) + 1;
        }
        cx_buf_consume(&r->in, used);
        if (r->in.length > LINE_MAX_BYTES * 4) // no line of conmon's is that long
                cx_buf_clear(&r->in);
        return true;
}

static bool still_runs(struct log_reader *r)
{
        struct container_state state;
        container_state(r->runtime, r->container, &state);
        return state.status != CONTAINER_EXITED;
}

static ssize_t read_log(void *context, uint64_t offset CX_UNUSED, char *to, size_t max)
{
        struct log_reader *r = context;
        if (r->done || r->left == 0)
                return CX_HTTP_STREAM_END;
        bool ended = r->follow && !still_runs(r); // asked before the last read, so that nothing written is missed
        while (!r->out.length && fill(r))
                ;
        if (!r->out.length) {
                if (r->follow && !ended)
                        return CX_HTTP_STREAM_WAIT;
                r->done = true;
                return CX_HTTP_STREAM_END;
        }
        size_t n = r->out.length < max ? r->out.length : max;
        if (r->left > 0 && (int64_t)n > r->left)
                n = (size_t)r->left;
        memcpy(to, r->out.data, n);
        cx_buf_consume(&r->out, n);
        if (r->left > 0)
                r->left -= (int64_t)n;
        return (ssize_t)n;
}

static void reader_unref(struct log_reader *r)
{
        if (__atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL))
                return;
        if (r->stop_fd >= 0)
                close(r->stop_fd);
        if (r->fd >= 0)
                close(r->fd);
        container_unref(r->container);
        cx_buf_release(&r->in);
        cx_buf_release(&r->out);
        free(r);
}

static void *follow(void *context)
{
        struct log_reader *r = context;
        CX_CLEANUP(cx_closep) int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch >= 0)
                (void)!inotify_add_watch(watch, r->container->log_path, IN_MODIFY);
        for (;;) {
                cx_http_stream_wake(r->stream);
                struct pollfd fds[2] = {{watch, POLLIN, 0}, {r->stop_fd, POLLIN, 0}};
                int n = poll(fds, 2, 500); // the end of the container makes no event here
                if (n > 0 && fds[1].revents)
                        break;
                char block[4096];
                if (n > 0)
                        (void)!read(watch, block, sizeof block);
        }
        cx_http_stream_unref(r->stream);
        reader_unref(r);
        return NULL;
}

static void release_log(void *context)
{
        struct log_reader *r = context;
        uint64_t one = 1;
        if (r->stop_fd >= 0)
                (void)!write(r->stop_fd, &one, sizeof one);
        reader_unref(r);
}

// Moves to where the last `lines` lines begin.
static void seek_tail(int fd, int64_t lines)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return;
        off_t at = st.st_size;
        char block[16384];
        int64_t seen = 0;
        while (at > 0) {
                size_t n = at > (off_t)sizeof block ? sizeof block : (size_t)at;
                if (pread(fd, block, n, at - (off_t)n) != (ssize_t)n)
                        break;
                for (size_t i = n; i-- > 0;) {
                        // The newline at the very end closes the last line.
                        if (block[i] == '\n' && at - (off_t)n + (off_t)i != st.st_size - 1 && ++seen == lines) {
                                lseek(fd, at - (off_t)n + (off_t)i + 1, SEEK_SET);
                                return;
                        }
                }
                at -= (off_t)n;
        }
        lseek(fd, lines == 0 ? st.st_size : 0, SEEK_SET);
}

static bool number(struct cx_http_request *request, const char *name, int64_t min, int64_t max, int64_t *ret_value,
                   bool *ret_bad)
{
        const char *text = cx_http_query(request, name);
        if (!text || !*text)
                return false;
        if (cx_parse_int(text, min, max, ret_value) == 0)
                return true;
        *ret_bad = true;
        return false;
}

static bool options(struct cx_http_request *request, struct log_reader *r, int64_t *ret_tail)
{
        bool bad = false;
        int64_t value;
        *ret_tail = -1;
        r->left = -1;
        r->follow = server_flag(request, "follow", NULL);
        r->timestamps = server_flag(request, "timestamps", NULL);
        if (number(request, "tailLines", 0, INT64_MAX, &value, &bad))
                *ret_tail = value;
        if (number(request, "limitBytes", 1, INT64_MAX, &value, &bad))
                r->left = value;
        if (number(request, "sinceSeconds", 1, SINCE_MAX, &value, &bad))
                r->since = cx_time_now() - value * CX_US_PER_S;
        const char *since = cx_http_query(request, "sinceTime"), *stream = cx_http_query(request, "stream");
        if (since && *since && cx_time_parse(since, &r->since) < 0)
                bad = true;
        if (stream && strcmp(stream, "Stdout") == 0)
                (void)cx_copy_string(r->only, sizeof r->only, "stdout");
        else if (stream && strcmp(stream, "Stderr") == 0)
                (void)cx_copy_string(r->only, sizeof r->only, "stderr");
        return !bad;
}

void server_logs(struct kubelet_server *s, struct cx_http_request *request, const char *namespace, const char *pod,
                 const char *container)
{
        json_auto_t *object = pods_find(s->pods, namespace, pod);
        CX_CLEANUP(cx_freep) char *text = NULL;
        if (!object || !cx_pod_container(json_object_get(object, "spec"), container, CX_POD_ALL, NULL)) {
                text = object ? cx_sprintf("container %s not found in pod %s_%s", container, pod, namespace)
                              : cx_sprintf("pod \"%s/%s\" not found\n", namespace, pod);
                cx_http_respond_text(request, 404, text);
                return;
        }
        bool previous = server_flag(request, "previous", NULL);
        struct container *found =
                runtime_container(s->kubelet->runtime, cx_json_string(object, "metadata.uid"), container, previous);
        if (!found) {
                text = why_no_logs(object, container, previous);
                cx_http_respond_text(request, 400, text);
                return;
        }
        struct log_reader *r = cx_alloc(sizeof *r);
        int64_t tail;
        *r = (struct log_reader){.runtime = s->kubelet->runtime,
                                 .container = found,
                                 .in = CX_BUF_INIT,
                                 .out = CX_BUF_INIT,
                                 .stop_fd = -1,
                                 .refs = 1,
                                 .at_line_start = true};
        bool good = options(request, r, &tail);
        r->fd = open(found->log_path, O_RDONLY | O_CLOEXEC);
        if (!good || r->fd < 0) {
                if (!good)
                        cx_http_respond_text(request, 400, "invalid log options");
                else
                        cx_http_respond_text(request, 500, "failed to open the container's log");
                reader_unref(r);
                return;
        }
        if (tail >= 0)
                seek_tail(r->fd, tail);
        bool follows = r->follow;
        if (follows) {
                r->stop_fd = eventfd(0, EFD_CLOEXEC);
                r->refs = 2;
        }
        struct cx_http_stream *stream =
                cx_http_respond_stream(request, 200, "text/plain", -1,
                                       &(struct cx_http_stream_source){
                                               .read = read_log, .release = release_log, .context = r, .block = 65536});
        if (!follows) {
                cx_http_stream_unref(stream);
                return;
        }
        r->stream = stream;
        pthread_t thread;
        if (pthread_create(&thread, NULL, follow, r) == 0) {
                pthread_detach(thread);
                return;
        }
        cx_http_stream_unref(stream);
        reader_unref(r);
}
