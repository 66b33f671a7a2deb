// SPDX-License-Identifier: Apache-2.0
// See grpc.h. All state is guarded by one lock, which is held only for what does not block: packing frames, writing to
// and reading from a non-blocking socket. Outcomes and messages are handed on by the I/O thread, without the lock.
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/net/grpc_internal.h"

#include <assert.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/eventfd.h>

#define PREFIX 5 // a flag byte and the length, big-endian (gRPC over HTTP/2, "Length-Prefixed-Message")
#define DIAL_TIMEOUT (3 * CX_NS_PER_S)
#define MAX_SLEEP (10 * CX_NS_PER_S)

struct grpc_call {
        struct cx_transfer t;
        int64_t deadline;
        cx_grpc_done done;
        void *context;
};

// --- messages ---

static void frame(struct cx_buf *to, const void *data, size_t length)
{
        unsigned char prefix[PREFIX] = {0, (unsigned char)(length >> 24), (unsigned char)(length >> 16),
                                        (unsigned char)(length >> 8), (unsigned char)length};
        cx_buf_append(to, prefix, PREFIX);
        cx_buf_append(to, data, length);
}

// Length of the first message in `in`, -EAGAIN when it is not complete, -EPROTO when it is malformed.
static int first_message(const struct cx_buf *in, size_t max, size_t *ret_length)
{
        if (in->length < PREFIX)
                return -EAGAIN;
        const unsigned char *p = (const unsigned char *)in->data;
        size_t length = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (p[0] != 0 || length > max)
                return -EPROTO;
        if (in->length - PREFIX < length)
                return -EAGAIN;
        *ret_length = length;
        return 0;
}

// --- the channel's connection, on the I/O thread ---

static void drain(struct cx_grpc *grpc)
{
        eventfd_t count;
        if (!grpc->stopping)
                (void)eventfd_read(grpc->wake_fd, &count);
}

static void next_endpoint(struct cx_grpc *grpc, int failed)
{
        if (grpc->endpoint == failed)
                grpc->endpoint = (failed + 1) % grpc->n_endpoints;
}

// What is new goes to the next endpoint; calls under way may still end here, streams start over there.
static void leave(struct cx_grpc *grpc)
{
        struct cx_connection *c = cx_steal(&grpc->connection);
        next_endpoint(grpc, c->endpoint);
        cx_connection_drop(cx_steal(&grpc->leaving));
        for (struct cx_transfer *t = c->open.first, *next; t; t = next) {
                next = t->next;
                if (t->is_stream) {
                        cx_transfer_cancel(t);
                        cx_transfer_finish(grpc, t, CX_GRPC_UNAVAILABLE, "moving to the next endpoint");
                }
        }
        grpc->leaving = c;
}

static void drop_broken(struct cx_grpc *grpc)
{
        struct cx_connection *c = grpc->connection;
        if (c && c->broken) {
                next_endpoint(grpc, c->endpoint);
                cx_connection_drop(cx_steal(&grpc->connection));
        }
        if (grpc->leaving && (grpc->leaving->broken || !grpc->leaving->open.first))
                cx_connection_drop(cx_steal(&grpc->leaving));
}

// Dials without the lock. When it fails, all that waits ends: its owners know whether to try again.
static void connect_locked(struct cx_grpc *grpc)
{
        struct cx_connection *c = cx_alloc(sizeof *c);
        CX_ERROR err = CX_ERROR_INIT;
        c->grpc = grpc;
        c->endpoint = grpc->endpoint;
        c->out = (struct cx_buf)CX_BUF_INIT;
        drain(grpc); // what is left would end the dial; from here on only cx_grpc_free wakes
        pthread_mutex_unlock(&grpc->lock);
        int r = cx_dial(grpc->dialer, grpc->endpoints[c->endpoint].url, DIAL_TIMEOUT, grpc->wake_fd, &c->link, &err);
        pthread_mutex_lock(&grpc->lock);
        if (r == 0 && cx_connection_open(c) == 0) {
                grpc->connection = c;
                return;
        }
        if (r == 0)
                cx_link_close(&c->link);
        free(c);
        if (r == -ECANCELED)
                return; // it ends
        next_endpoint(grpc, grpc->endpoint);
        for (struct cx_transfer *t; (t = grpc->waiting.first);) {
                t->unsent = true;
                cx_transfer_finish(grpc, t, -1, cx_error_text(&err));
        }
}

static void submit_waiting(struct cx_grpc *grpc)
{
        struct cx_transfer *t;
        while (grpc->connection && (t = grpc->waiting.first)) {
                if (!cx_connection_submit(grpc->connection, t)) {
                        leave(grpc);
                        return;
                }
        }
        if (grpc->connection)
                cx_connection_flush(grpc->connection);
}

// --- outcomes, handed on without the lock ---

static void end_call(struct grpc_call *call)
{
        struct cx_transfer *t = &call->t;
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        size_t length;
        result.status = t->status;
        result.unsent = t->unsent;
        result.text = cx_steal(&t->text);
        if (t->status == 0 && first_message(&t->in, t->in.max - PREFIX, &length) == 0) {
                cx_buf_consume(&t->in, PREFIX);
                result.message = t->in;
                t->in = (struct cx_buf)CX_BUF_INIT;
        } else if (t->status == 0) {
                result.status = -1;
                free(result.text);
                result.text = cx_strdup("the answer is not a gRPC message");
        }
        call->done(call->context, &result);
        cx_grpc_result_release(&result);
        cx_buf_release(&t->out);
        cx_buf_release(&t->in);
        free(call);
}

static void end_stream(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        struct cx_transfer *t = &stream->t;
        int64_t delay = stream->callbacks.on_end(stream->callbacks.context, t->status, cx_str(t->text));
        cx_buf_clear(&t->in);
        pthread_mutex_lock(&grpc->lock);
        stream->running = false;
        stream->over = delay < 0;
        stream->start_at = cx_time_monotonic() + delay;
        pthread_mutex_unlock(&grpc->lock);
}

// 0, or -EPROTO when what came is not a message.
static int take_messages(struct cx_grpc_stream *stream)
{
        struct cx_buf *in = &stream->t.in;
        size_t length, done = 0;
        int r;
        for (;;) {
                struct cx_buf rest = {.data = in->data + done, .length = in->length - done};
                r = first_message(&rest, in->max - PREFIX, &length);
                if (r < 0)
                        break;
                stream->callbacks.on_message(stream->callbacks.context, rest.data + PREFIX, length);
                done += PREFIX + length;
        }
        cx_buf_consume(in, done);
        return r == -EPROTO ? r : 0;
}

// Streams first: who waits for a call's outcome then finds what the streams told before it.
static void deliver_locked(struct cx_grpc *grpc)
{
        for (struct cx_grpc_stream *s = grpc->streams; s; s = s->next) {
                if (!s->t.in.length)
                        continue;
                pthread_mutex_unlock(&grpc->lock);
                int r = take_messages(s);
                pthread_mutex_lock(&grpc->lock);
                if (r < 0 && s->t.connection) {
                        cx_transfer_cancel(&s->t);
                        cx_transfer_finish(grpc, &s->t, -1, "the answer is not a gRPC message");
                }
        }
        for (struct cx_transfer *t; (t = grpc->finished.first);) {
                cx_transfer_move(t, NULL);
                if (t->status == CX_GRPC_UNAVAILABLE && grpc->n_endpoints > 1 && grpc->connection)
                        leave(grpc);
                pthread_mutex_unlock(&grpc->lock);
                if (t->is_stream)
                        end_stream(grpc, (struct cx_grpc_stream *)t);
                else
                        end_call((struct grpc_call *)t);
                pthread_mutex_lock(&grpc->lock);
        }
}

// --- the I/O thread ---

static void start_stream_locked(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        struct cx_transfer *t = &stream->t;
        CX_BUF first = CX_BUF_INIT;
        stream->running = true;
        t->sent = 0;
        t->status = -1;
        free(cx_steal(&t->text));
        cx_buf_clear(&t->out);
        cx_buf_clear(&t->in);
        pthread_mutex_unlock(&grpc->lock);
        stream->callbacks.on_start(stream->callbacks.context, &first);
        pthread_mutex_lock(&grpc->lock);
        frame(&t->out, first.data, first.length);
        cx_transfer_move(t, &grpc->waiting);
}

static void remove_stream(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        struct cx_grpc_stream **p = &grpc->streams;
        while (*p != stream)
                p = &(*p)->next;
        *p = stream->next;
        if (stream->t.connection)
                cx_transfer_cancel(&stream->t);
        cx_transfer_move(&stream->t, NULL);
        stream->ended = true;
        pthread_cond_broadcast(&stream->ended_cond);
}

// Starts the streams whose time has come and ends those that are to end. Returns when the next one starts.
static int64_t serve_streams_locked(struct cx_grpc *grpc, int64_t now)
{
        int64_t wake_at = now + MAX_SLEEP;
        for (struct cx_grpc_stream *s = grpc->streams, *next; s; s = next) {
                next = s->next;
                if (s->ending)
                        remove_stream(grpc, s);
                else if (!s->running && !s->over && s->start_at <= now)
                        start_stream_locked(grpc, s);
                else if (!s->running && !s->over && s->start_at < wake_at)
                        wake_at = s->start_at;
        }
        return wake_at;
}

// Ends the calls whose time is over. Returns when the next one's is.
static int64_t expire(struct cx_grpc *grpc, struct cx_transfers *list, int64_t now, int64_t wake_at)
{
        for (struct cx_transfer *t = list->first, *next; t; t = next) {
                next = t->next;
                if (t->is_stream)
                        continue;
                int64_t deadline = ((struct grpc_call *)t)->deadline;
                if (grpc->limit && grpc->limit < deadline)
                        deadline = grpc->limit;
                if (deadline <= now) {
                        if (t->connection)
                                cx_transfer_cancel(t);
                        cx_transfer_finish(grpc, t, CX_GRPC_DEADLINE, "no answer in time");
                } else if (deadline < wake_at) {
                        wake_at = deadline;
                }
        }
        return wake_at;
}

static void poll_locked(struct cx_grpc *grpc, int64_t wake_at)
{
        struct cx_connection *both[] = {grpc->connection, grpc->leaving};
        struct pollfd fds[3] = {{.fd = grpc->wake_fd, .events = POLLIN}};
        for (size_t i = 0; i < 2; i++) {
                fds[i + 1].fd = both[i] ? both[i]->link.fd : -1;
                fds[i + 1].events = (short)(POLLIN | (both[i] && both[i]->want_write ? POLLOUT : 0));
        }
        int64_t wait = wake_at - cx_time_monotonic();
        grpc->polling = true;
        grpc->sleep_until = wake_at;
        pthread_mutex_unlock(&grpc->lock);
        int n = poll(fds, 3, wait > 0 ? (int)(wait / CX_NS_PER_MS) + 1 : 0);
        pthread_mutex_lock(&grpc->lock);
        grpc->polling = false;
        if (n <= 0)
                return;
        if (fds[0].revents)
                drain(grpc);
        for (size_t i = 0; i < 2; i++)
                if (both[i] && fds[i + 1].revents)
                        cx_connection_receive(both[i]);
}

static void *io_main(void *context)
{
        struct cx_grpc *grpc = context;
        pthread_mutex_lock(&grpc->lock);
        while (!grpc->stopping) {
                int64_t now = cx_time_monotonic(), wake_at = serve_streams_locked(grpc, now);
                drop_broken(grpc);
                if (!grpc->connection && grpc->waiting.first)
                        connect_locked(grpc);
                submit_waiting(grpc);
                wake_at = expire(grpc, &grpc->waiting, now, wake_at);
                if (grpc->connection)
                        wake_at = expire(grpc, &grpc->connection->open, now, wake_at);
                if (grpc->leaving)
                        wake_at = expire(grpc, &grpc->leaving->open, now, wake_at);
                bool again =
                        grpc->finished.first || grpc->waiting.first || (grpc->connection && grpc->connection->broken);
                deliver_locked(grpc);
                if (!grpc->stopping && !again)
                        poll_locked(grpc, wake_at);
                deliver_locked(grpc);
        }
        cx_connection_drop(cx_steal(&grpc->connection));
        cx_connection_drop(cx_steal(&grpc->leaving));
        for (struct cx_transfer *t; (t = grpc->waiting.first);)
                cx_transfer_finish(grpc, t, -1, "the client ends");
        deliver_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
        return NULL;
}

// --- public ---

static int add_endpoint(struct cx_grpc *grpc, const char *url, const char *default_port, struct cx_error *err)
{
        CX_ENDPOINT endpoint = {0};
        int r = cx_endpoint_parse(url, default_port, &endpoint, err);
        if (r < 0)
                return r;
        grpc->endpoints = cx_realloc_array(grpc->endpoints, (size_t)grpc->n_endpoints + 1, sizeof *grpc->endpoints);
        struct cx_grpc_endpoint *added = &grpc->endpoints[grpc->n_endpoints++];
        added->url = cx_strdup(url);
        added->authority = cx_steal(&endpoint.authority);
        added->tls = endpoint.tls;
        return 0;
}

int cx_grpc_new(const struct cx_grpc_options *options, struct cx_grpc **ret_grpc, struct cx_error *err)
{
        CX_CLEANUP(cx_grpc_freep) struct cx_grpc *grpc = cx_alloc(sizeof *grpc);
        pthread_mutex_init(&grpc->lock, NULL);
        grpc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        grpc->peer = cx_strdup(options->peer);
        grpc->user_agent = cx_strdup(options->user_agent ? options->user_agent : "coxswain/" CX_VERSION);
        grpc->stream_headers = options->stream_headers;
        grpc->n_stream_headers = options->n_stream_headers;
        grpc->max_message = options->max_message;
        assert(grpc->n_stream_headers <= CX_GRPC_STREAM_HEADERS);
        for (const char *const *p = options->endpoints; *p; p++) {
                int r = add_endpoint(grpc, *p, options->dial.default_port, err);
                if (r < 0)
                        return r;
        }
        if (!grpc->n_endpoints)
                return cx_error_set(err, -EINVAL, "no endpoint of %s is given", grpc->peer);
        struct cx_dialer_options dial = options->dial;
        dial.http2 = true;
        int r = cx_dialer_new(&dial, &grpc->dialer, err);
        if (r < 0)
                return r;
        if (grpc->wake_fd < 0 || pthread_create(&grpc->thread, NULL, io_main, grpc) != 0)
                return cx_error_set(err, -EAGAIN, "cannot start the thread of the connection to %s", grpc->peer);
        grpc->started = true;
        char name[16];
        (void)snprintf(name, sizeof name, "%.12s-io", grpc->peer);
        (void)pthread_setname_np(grpc->thread, name);
        *ret_grpc = cx_steal(&grpc);
        return 0;
}

void cx_grpc_free(struct cx_grpc *grpc)
{
        if (!grpc)
                return;
        if (grpc->started) {
                pthread_mutex_lock(&grpc->lock);
                grpc->stopping = true;
                (void)eventfd_write(grpc->wake_fd, 1); // also ends a dial
                pthread_mutex_unlock(&grpc->lock);
                pthread_join(grpc->thread, NULL);
        }
        for (int i = 0; i < grpc->n_endpoints; i++) {
                free(grpc->endpoints[i].url);
                free(grpc->endpoints[i].authority);
        }
        free(grpc->endpoints);
        free(grpc->peer);
        free(grpc->user_agent);
        cx_dialer_free(grpc->dialer);
        cx_closep(&grpc->wake_fd);
        pthread_mutex_destroy(&grpc->lock);
        free(grpc);
}

void cx_grpc_result_release(struct cx_grpc_result *result)
{
        cx_buf_release(&result->message);
        free(result->text);
        *result = (struct cx_grpc_result)CX_GRPC_RESULT_INIT;
}

// Sends it on the caller's thread when there is a connection.
static void send_locked(struct cx_grpc *grpc, struct cx_transfer *t)
{
        struct cx_connection *c = grpc->connection;
        cx_transfer_move(t, &grpc->waiting);
        if (c && !c->broken && grpc->waiting.first == t && cx_connection_submit(c, t)) {
                cx_connection_flush(c);
                if (c->want_write || c->broken)
                        cx_grpc_wake_locked(grpc);
        } else {
                cx_grpc_wake_locked(grpc);
        }
}

void cx_grpc_call(struct cx_grpc *grpc, const char *method, const void *message, size_t length, int64_t timeout,
                  cx_grpc_done done, void *context)
{
        struct grpc_call *call = cx_alloc(sizeof *call);
        call->t = (struct cx_transfer){
                .method = method, .status = -1, .out = CX_BUF_INIT, .in = CX_BUF_INIT_MAX(grpc->max_message + PREFIX)};
        call->deadline = cx_time_monotonic() + timeout;
        call->done = done;
        call->context = context;
        frame(&call->t.out, message, length);
        pthread_mutex_lock(&grpc->lock);
        if (grpc->limit && grpc->limit < call->deadline)
                call->deadline = grpc->limit;
        int64_t deadline = call->deadline; // the call may be over as soon as the lock is free
        send_locked(grpc, &call->t);
        if (deadline < grpc->sleep_until)
                cx_grpc_wake_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
}

void cx_grpc_limit(struct cx_grpc *grpc, int64_t deadline)
{
        pthread_mutex_lock(&grpc->lock);
        grpc->limit = deadline;
        cx_grpc_wake_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
}

struct unary {
        sem_t done;
        struct cx_grpc_result *result;
};

static void on_unary_done(void *context, struct cx_grpc_result *result)
{
        struct unary *unary = context;
        *unary->result = *result;
        *result = (struct cx_grpc_result)CX_GRPC_RESULT_INIT;
        sem_post(&unary->done);
}

void cx_grpc_unary(struct cx_grpc *grpc, const char *method, const void *message, size_t length, int64_t timeout,
                   struct cx_grpc_result *ret_result)
{
        struct unary unary = {.result = ret_result};
        sem_init(&unary.done, 0, 0);
        cx_grpc_call(grpc, method, message, length, timeout, on_unary_done, &unary);
        while (sem_wait(&unary.done) < 0)
                ;
        sem_destroy(&unary.done);
}

struct cx_grpc_stream *cx_grpc_stream_new(struct cx_grpc *grpc, const char *method,
                                          const struct cx_grpc_stream_callbacks *callbacks)
{
        struct cx_grpc_stream *stream = cx_alloc(sizeof *stream);
        stream->t = (struct cx_transfer){.is_stream = true,
                                         .method = method,
                                         .status = -1,
                                         .out = CX_BUF_INIT,
                                         .in = CX_BUF_INIT_MAX(grpc->max_message + PREFIX)};
        stream->grpc = grpc;
        stream->callbacks = *callbacks;
        pthread_cond_init(&stream->ended_cond, NULL);
        pthread_mutex_lock(&grpc->lock);
        stream->next = grpc->streams;
        grpc->streams = stream;
        cx_grpc_wake_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
        return stream;
}

void cx_grpc_stream_send(struct cx_grpc_stream *stream, const void *data, size_t length)
{
        struct cx_grpc *grpc = stream->grpc;
        pthread_mutex_lock(&grpc->lock);
        struct cx_connection *c = stream->t.connection;
        // What is said to a stream that is not open is lost with it: on_start says what matters.
        if (c) {
                frame(&stream->t.out, data, length);
                nghttp2_session_resume_data(c->session, stream->t.id);
                cx_connection_flush(c);
                if (c->want_write || c->broken)
                        cx_grpc_wake_locked(grpc);
        }
        pthread_mutex_unlock(&grpc->lock);
}

void cx_grpc_stream_free(struct cx_grpc_stream *stream)
{
        if (!stream)
                return;
        struct cx_grpc *grpc = stream->grpc;
        pthread_mutex_lock(&grpc->lock);
        stream->ending = true;
        cx_grpc_wake_locked(grpc);
        while (!stream->ended)
                pthread_cond_wait(&stream->ended_cond, &grpc->lock);
        pthread_mutex_unlock(&grpc->lock);
        cx_buf_release(&stream->t.out);
        cx_buf_release(&stream->t.in);
        free(stream->t.text);
        pthread_cond_destroy(&stream->ended_cond);
        free(stream);
}
