// SPDX-License-Identifier: Apache-2.0
// Two threads (pump.h): the session's waits for all sockets, reads them and sends; the pump's takes what the peer sends and
// writes it. At a server each connection is made by a thread of its own, so that one that takes long holds up no other; what
// comes for it meanwhile is kept, up to a limit. A connection is freed by the session's thread alone, once both directions are
// over and nobody is at work on it.
#include "libcommon/net/forwards.h"

#include "libcommon/base/thread.h"
#include "libcommon/net/pump.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK 32768
#define MESSAGE_MAX 4096 // of an error channel
#define EARLY_MAX 65536  // of data for a connection that is being made
#define MAKING_MAX 32    // at once
#define STACK_SIZE ((size_t)256 << 10)

struct forward {
        int n, fd;                                  // -1: there is no socket
        const struct cx_forward_listener *listener; // of a client
        bool pending;                               // of a client: the peer has yet to take it; of a server: being made
        bool ended_early;                           // what comes from the peer, while it was being made
        bool in_over, out_over;                     // what comes from the peer; what goes to it
        bool told;                                  // of a client: the error channel has ended
        bool busy;                                  // the pump's thread writes to it
        struct cx_buf message;                      // of the error channel: to be sent, or received
        struct cx_buf early;
};

struct forwards {
        const struct cx_forwards_options *options;
        struct cx_pump pump;
        int wake_fd;          // readable: something has changed
        pthread_mutex_t lock; // guards the rest
        struct forward **all;
        size_t count, capacity;
        size_t seen; // ever
        size_t making;
        pthread_cond_t made;
        bool over;
};

static void wake(struct forwards *f)
{
        (void)!eventfd_write(f->wake_fd, 1);
}

// --- the table; called with the lock ---------------------------------------------------------------------------------

static struct forward *find(struct forwards *f, int n)
{
        for (size_t i = 0; i < f->count; i++)
                if (f->all[i]->n == n)
                        return f->all[i];
        return NULL;
}

static struct forward *add(struct forwards *f, int n, int fd)
{
        if (f->count == f->capacity) {
                f->capacity = f->capacity ? 2 * f->capacity : 8;
                f->all = cx_realloc_array(f->all, f->capacity, sizeof(struct forward *));
        }
        struct forward *forward = cx_alloc(sizeof *forward);
        *forward = (struct forward){
                .n = n, .fd = fd, .message = CX_BUF_INIT_MAX(MESSAGE_MAX), .early = CX_BUF_INIT_MAX(EARLY_MAX)};
        f->all[f->count++] = forward;
        f->seen++;
        return forward;
}

static void free_forward(struct forward *forward)
{
        if (forward->fd >= 0)
                close(forward->fd);
        cx_buf_release(&forward->message);
        cx_buf_release(&forward->early);
        free(forward);
}

// --- what the peer sends, on the pump's thread -----------------------------------------------------------------------

struct making {
        struct forwards *f;
        struct forward *forward;
        int port;
};

// With the lock: what came while it was made goes first. Whoever writes lets the lock go.
static void write_early(struct forwards *f, struct forward *forward)
{
        int r = 0;
        while (r == 0 && forward->early.length) {
                CX_BUF data = forward->early;
                forward->early = (struct cx_buf)CX_BUF_INIT_MAX(EARLY_MAX);
                pthread_mutex_unlock(&f->lock);
                r = cx_pump_write(&f->pump, forward->fd, data.data, data.length);
                pthread_mutex_lock(&f->lock);
        }
        if (r < 0) {
                cx_streams_cut(f->options->streams, CX_FORWARD_DATA(forward->n));
                forward->in_over = forward->out_over = true;
        } else if (forward->ended_early) {
                (void)shutdown(forward->fd, SHUT_WR);
                forward->in_over = true;
        }
}

static void *make(void *context)
{
        struct making *making = context;
        struct forwards *f = making->f;
        struct forward *forward = making->forward;
        CX_BUF why = CX_BUF_INIT_MAX(MESSAGE_MAX);
        int fd = f->options->dial(f->options->context, making->port, &why);
        if (fd >= 0)
                fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        free(making);
        pthread_mutex_lock(&f->lock);
        forward->fd = fd < 0 ? -1 : fd;
        forward->in_over = fd < 0;
        cx_buf_append(&forward->message, why.data, why.length);
        if (fd >= 0)
                write_early(f, forward);
        forward->pending = false;
        f->making--;
        wake(f);
        pthread_cond_broadcast(&f->made);
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

static void start_making(struct forwards *f, int n, int port)
{
        struct making *making = cx_alloc(sizeof *making);
        pthread_mutex_lock(&f->lock);
        while (f->making == MAKING_MAX)
                pthread_cond_wait(&f->made, &f->lock);
        struct forward *forward = add(f, n, -1);
        forward->pending = true;
        f->making++;
        pthread_mutex_unlock(&f->lock);
        *making = (struct making){f, forward, port};
        if (!cx_thread_detach(make, making, STACK_SIZE))
                (void)make(making);
}

static void on_opened(struct forwards *f, const struct cx_stream_event *event)
{
        int n = CX_FORWARD_OF(event->channel);
        pthread_mutex_lock(&f->lock);
        bool full = f->count >= CX_FORWARDS_MAX;
        struct forward *forward = find(f, n);
        if (forward) // of a client
                forward->pending = false;
        pthread_mutex_unlock(&f->lock);
        if (!f->options->dial)
                return;
        if (!full) {
                start_making(f, n, event->port);
                return;
        }
        // Some have ended, and are still held up by a peer that does not read.
        cx_streams_cut(f->options->streams, CX_FORWARD_DATA(n));
        cx_streams_cut(f->options->streams, CX_FORWARD_ERROR(n));
}

static void on_message(struct forwards *f, const struct cx_stream_event *event, const struct cx_buf *data)
{
        pthread_mutex_lock(&f->lock);
        struct forward *forward = f->options->dial ? NULL : find(f, CX_FORWARD_OF(event->channel));
        if (forward && event->kind == CX_STREAM_DATA)
                cx_buf_append(&forward->message, data->data, data->length);
        if (forward && event->kind != CX_STREAM_DATA) {
                forward->told = true;
                if (forward->message.length &&
                    f->options->failed(f->options->context, forward->listener, forward->message.data))
                        f->over = true;
        }
        pthread_mutex_unlock(&f->lock);
}

// With the lock: for a connection that is being made. False when that is over.
static bool keep_early(struct forwards *f, int n, const struct cx_stream_event *event, const struct cx_buf *data)
{
        for (struct forward *forward; (forward = find(f, n)) && forward->pending && f->options->dial;) {
                if (event->kind != CX_STREAM_DATA) {
                        forward->ended_early = true;
                        forward->out_over = event->kind == CX_STREAM_CUT;
                        return true;
                }
                if (forward->early.length + data->length <= EARLY_MAX) {
                        cx_buf_append(&forward->early, data->data, data->length);
                        return true;
                }
                pthread_cond_wait(&f->made, &f->lock);
        }
        return false;
}

static void take_data(struct forwards *f, struct forward *forward, const struct cx_stream_event *event,
                      const struct cx_buf *data)
{
        int r = 0;
        if (event->kind == CX_STREAM_DATA) {
                forward->busy = true;
                pthread_mutex_unlock(&f->lock);
                r = cx_pump_write(&f->pump, forward->fd, data->data, data->length);
                pthread_mutex_lock(&f->lock);
                forward->busy = false;
        } else if (event->kind == CX_STREAM_ENDED) {
                (void)shutdown(forward->fd, SHUT_WR);
                forward->in_over = true;
        }
        if (r == 0 && event->kind != CX_STREAM_CUT)
                return;
        // The socket does not take it, or the peer takes nothing: then nothing has to be read of the other one either.
        cx_streams_cut(f->options->streams, event->channel);
        (void)shutdown(forward->fd, SHUT_RDWR);
        forward->in_over = forward->out_over = true;
        forward->told |= forward->pending; // refused
}

static void on_data(struct forwards *f, const struct cx_stream_event *event, const struct cx_buf *data)
{
        int n = CX_FORWARD_OF(event->channel);
        pthread_mutex_lock(&f->lock);
        struct forward *forward = keep_early(f, n, event, data) ? NULL : find(f, n);
        if (forward && !forward->in_over)
                take_data(f, forward, event, data);
        pthread_mutex_unlock(&f->lock);
}

static void on_event(struct cx_pump *pump, const struct cx_stream_event *event, const struct cx_buf *data)
{
        struct forwards *f = pump->context;
        if (!event)
                return;
        if (event->kind == CX_STREAM_OPENED)
                on_opened(f, event);
        else if (event->channel % 2 != 0)
                on_message(f, event, data);
        else
                on_data(f, event, data);
        if (event->kind != CX_STREAM_DATA)
                wake(f);
}

// --- what the sockets have, on the session's thread ------------------------------------------------------------------

// Moves what there is to read.
static void move(struct forwards *f, struct forward *forward)
{
        char block[BLOCK];
        int channel = CX_FORWARD_DATA(forward->n);
        ssize_t n = read(forward->fd, block, sizeof block);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n > 0 && cx_streams_send(f->options->streams, channel, block, (size_t)n) == 0)
                return;
        bool ended = n == 0 && cx_streams_end(f->options->streams, channel);
        pthread_mutex_lock(&f->lock);
        forward->out_over = true;
        if (!ended) { // the socket broke, or the peer cannot be told that it has ended
                cx_streams_cut(f->options->streams, channel);
                forward->in_over = true;
        }
        pthread_mutex_unlock(&f->lock);
}

static void accept_one(struct forwards *f, const struct cx_forward_listener *listener)
{
        int n, fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return;
        if (f->options->admits && !f->options->admits(f->options->context, fd)) {
                close(fd);
                return;
        }
        if (f->options->accepted)
                f->options->accepted(f->options->context, listener);
        pthread_mutex_lock(&f->lock); // the peer's answer finds it in the table
        if (f->count < CX_FORWARDS_MAX && cx_streams_open(f->options->streams, listener->port, &n) == 0) {
                struct forward *forward = add(f, n, fd);
                forward->pending = true;
                forward->listener = listener;
        } else {
                close(fd);
        }
        pthread_mutex_unlock(&f->lock);
}

// Those that have ended go. A server says on the error channel what was wrong, and that nothing more comes.
static void settle(struct forwards *f)
{
        pthread_mutex_lock(&f->lock);
        for (size_t i = 0; i < f->count;) {
                struct forward *forward = f->all[i];
                bool gone = forward->fd < 0 || (forward->in_over && forward->out_over);
                if (f->options->dial)
                        gone = gone && !forward->pending;
                else
                        gone = gone && forward->told;
                if (!gone || forward->busy) {
                        i++;
                        continue;
                }
                f->all[i] = f->all[--f->count];
                pthread_mutex_unlock(&f->lock);
                int error = CX_FORWARD_ERROR(forward->n);
                if (f->options->dial) {
                        if (forward->message.length)
                                (void)!cx_streams_send(f->options->streams, error, forward->message.data,
                                                       forward->message.length);
                        if (forward->fd < 0)
                                (void)cx_streams_end(f->options->streams, CX_FORWARD_DATA(forward->n));
                        (void)cx_streams_end(f->options->streams, error);
                }
                free_forward(forward);
                pthread_mutex_lock(&f->lock);
        }
        pthread_mutex_unlock(&f->lock);
}

// Fills in what is waited for: first the wake-up and the end, then the listeners, then sockets with something to read, in `of`.
static size_t fill(struct forwards *f, struct pollfd *polls, struct forward **of)
{
        const struct cx_forwards_options *o = f->options;
        size_t count = 0;
        polls[count++] = (struct pollfd){f->wake_fd, POLLIN, 0};
        polls[count++] = (struct pollfd){o->end_fd ? *o->end_fd : -1, POLLIN, 0};
        pthread_mutex_lock(&f->lock);
        bool full = f->count >= CX_FORWARDS_MAX;
        for (size_t i = 0; i < o->n_listeners; i++)
                polls[count++] = (struct pollfd){full ? -1 : o->listeners[i].fd, POLLIN, 0};
        for (size_t i = 0; i < f->count; i++) {
                if (f->all[i]->out_over || f->all[i]->pending)
                        continue;
                of[count] = f->all[i];
                polls[count++] = (struct pollfd){f->all[i]->fd, POLLIN, 0};
        }
        pthread_mutex_unlock(&f->lock);
        return count;
}

static bool is_over(struct forwards *f)
{
        pthread_mutex_lock(&f->lock);
        bool over = f->over;
        if (!cx_streams_may_grow(f->options->streams))
                over |= f->seen >= f->options->wanted && !f->count;
        pthread_mutex_unlock(&f->lock);
        return over;
}

static void loop(struct forwards *f)
{
        struct pollfd polls[CX_PUMP_FDS_MAX];
        struct forward *of[CX_PUMP_FDS_MAX];
        size_t n_listeners = f->options->n_listeners;
        for (; !is_over(f); settle(f)) {
                size_t count = fill(f, polls, of);
                if (!cx_pump_wait(&f->pump, polls, count))
                        return;
                eventfd_t ignored;
                if (polls[0].revents)
                        (void)!eventfd_read(f->wake_fd, &ignored);
                if (polls[1].revents)
                        return;
                for (size_t i = 2; i < count; i++) {
                        if (!polls[i].revents)
                                continue;
                        if (i < 2 + n_listeners)
                                accept_one(f, &f->options->listeners[i - 2]);
                        else
                                move(f, of[i]);
                }
        }
}

void cx_forwards_run(const struct cx_forwards_options *options)
{
        struct forwards f = {.options = options};
        assert(options->n_listeners <= CX_FORWARD_LISTENERS_MAX);
        f.pump = (struct cx_pump){.streams = options->streams, .on_event = on_event, .context = &f};
        f.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_mutex_init(&f.lock, NULL);
        pthread_cond_init(&f.made, NULL);
        if (f.wake_fd >= 0 && cx_pump_start(&f.pump) == 0)
                loop(&f);
        pthread_mutex_lock(&f.lock);
        while (f.making)
                pthread_cond_wait(&f.made, &f.lock);
        pthread_mutex_unlock(&f.lock);
        cx_pump_end(&f.pump);
        for (size_t i = 0; i < f.count; i++)
                free_forward(f.all[i]);
        free(f.all);
        if (f.wake_fd >= 0)
                close(f.wake_fd);
        pthread_cond_destroy(&f.made);
        pthread_mutex_destroy(&f.lock);
}
