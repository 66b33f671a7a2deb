// SPDX-License-Identifier: Apache-2.0
// See grpc.h. All state is guarded by one lock, which is held only for what does not block: packing frames, writing to
// and reading from a non-blocking socket. What nghttp2 tells while the lock is held is only gathered (bytes into `in`,
// ended transfers into `finished`); the I/O thread hands it on afterwards, without the lock.
#include "etcd/grpc.h"

#include "base/log.h"
#include "base/time.h"
#include "etcd/dial.h"

#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>

#define MAX_MESSAGE ((size_t)512 << 20)
#define PREFIX 5 // a flag byte and the length, big-endian (gRPC over HTTP/2, "Length-Prefixed-Message")
#define DIAL_TIMEOUT (3 * CX_NS_PER_S)
#define WINDOW (8 << 20)
#define OUT_BLOCK ((size_t)64 << 10)
#define IN_BLOCK ((size_t)16 << 10) // a TLS record
#define MAX_SLEEP (10 * CX_NS_PER_S)

struct list {
        struct transfer *first, *last;
};

// A call or a stream as HTTP/2 sees it.
struct transfer {
        bool is_stream;
        struct list *list; // the one it is in: a channel's `waiting` or `finished`, a connection's `open`, or none
        struct transfer *next, *previous;
        struct connection *connection; // NULL: not sent
        int32_t id;
        const char *method;
        struct cx_buf out; // framed messages
        size_t sent;
        struct cx_buf in;
        int status; // gRPC's; -1: no answer
        char *text;
        bool unsent; // certainly has not reached a server
};

struct call {
        struct transfer t;
        int64_t deadline;
        cx_grpc_done done;
        void *context;
};

struct cx_grpc_stream {
        struct transfer t;
        struct cx_grpc *grpc;
        struct cx_grpc_stream_callbacks callbacks;
        struct cx_grpc_stream *next;
        bool running, ending, over, ended; // over: on_end wanted no restart
        int64_t start_at;                  // monotonic ns
        pthread_cond_t ended_cond;
};

struct connection {
        struct cx_grpc *grpc;
        int endpoint;
        SSL *ssl;
        nghttp2_session *session;
        struct cx_buf out; // frames that TLS has not taken yet
        size_t out_sent;
        bool want_write, broken;
        struct list open;
};

struct cx_grpc {
        char **endpoints;
        int n_endpoints;
        struct cx_dialer *dialer;
        pthread_t thread;
        bool started;
        int wake_fd;
        pthread_mutex_t lock; // guards all below, transfers included; a stream's `in` belongs to the I/O thread
        bool stopping, polling;
        int64_t sleep_until; // while polling
        int endpoint;        // the next connection's
        struct connection *connection, *leaving;
        struct list waiting, finished;
        int64_t limit; // no call waits longer; 0: none
        struct cx_grpc_stream *streams;
};

// --- lists ---

static void list_move(struct transfer *t, struct list *to)
{
        struct list *from = t->list;
        if (from) {
                *(t->previous ? &t->previous->next : &from->first) = t->next;
                *(t->next ? &t->next->previous : &from->last) = t->previous;
        }
        t->list = to;
        t->next = t->previous = NULL;
        if (!to)
                return;
        t->previous = to->last;
        *(to->last ? &to->last->next : &to->first) = t;
        to->last = t;
}

static void wake_locked(struct cx_grpc *grpc)
{
        if (!grpc->polling)
                return;
        grpc->polling = false;
        (void)eventfd_write(grpc->wake_fd, 1);
}

static void drain(struct cx_grpc *grpc)
{
        eventfd_t count;
        if (!grpc->stopping)
                (void)eventfd_read(grpc->wake_fd, &count);
}

// The transfer has its outcome: the I/O thread tells it to its owner.
static void finish(struct cx_grpc *grpc, struct transfer *t, int status, const char *text)
{
        if (t->status < 0)
                t->status = status;
        if (text && !t->text)
                t->text = cx_strdup(text);
        t->connection = NULL;
        list_move(t, &grpc->finished);
        wake_locked(grpc);
}

// --- messages ---

static void frame(struct cx_buf *to, const void *data, size_t length)
{
        unsigned char prefix[PREFIX] = {0, (unsigned char)(length >> 24), (unsigned char)(length >> 16),
                                        (unsigned char)(length >> 8), (unsigned char)length};
        cx_buf_append(to, prefix, PREFIX);
        cx_buf_append(to, data, length);
}

// Length of the first message in `in`, -EAGAIN when it is not complete, -EPROTO when it is malformed.
static int first_message(const struct cx_buf *in, size_t *ret_length)
{
        if (in->length < PREFIX)
                return -EAGAIN;
        const unsigned char *p = (const unsigned char *)in->data;
        size_t length = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (p[0] != 0 || length > MAX_MESSAGE)
                return -EPROTO;
        if (in->length - PREFIX < length)
                return -EAGAIN;
        *ret_length = length;
        return 0;
}

// --- nghttp2's callbacks, under the lock ---

static ssize_t on_send_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                            nghttp2_data_source *source CX_UNUSED, void *context CX_UNUSED)
{
        struct transfer *t = nghttp2_session_get_stream_user_data(session, id);
        if (!t)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        size_t left = t->out.length - t->sent, n = max < left ? max : left;
        if (!n && t->is_stream)
                return NGHTTP2_ERR_DEFERRED;
        memcpy(to, t->out.data + t->sent, n);
        t->sent += n;
        if (t->sent == t->out.length && t->is_stream) {
                cx_buf_clear(&t->out);
                t->sent = 0;
        } else if (t->sent == t->out.length) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        }
        return (ssize_t)n;
}

static int on_data(nghttp2_session *session, uint8_t flags CX_UNUSED, int32_t id, const uint8_t *data, size_t length,
                   void *context CX_UNUSED)
{
        struct transfer *t = nghttp2_session_get_stream_user_data(session, id);
        if (!t)
                return 0;
        cx_buf_append(&t->in, data, length);
        return t->in.overflow ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static bool is_named(const uint8_t *name, size_t length, const char *wanted)
{
        return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags CX_UNUSED, void *context CX_UNUSED)
{
        struct transfer *t = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (!t)
                return 0;
        CX_CLEANUP(cx_freep) char *text = cx_strndup((const char *)value, value_length);
        int64_t number;
        if (is_named(name, name_length, "grpc-status")) {
                t->status = cx_parse_int(text, 0, 16, &number) == 0 ? (int)number : 2;
        } else if (is_named(name, name_length, "grpc-message")) {
                free(t->text);
                t->text = cx_steal(&text);
        } else if (is_named(name, name_length, ":status") && strcmp(text, "200") != 0) {
                free(t->text);
                t->text = cx_sprintf("HTTP status %.16s", text);
        }
        return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *context)
{
        struct connection *c = context;
        struct transfer *t = nghttp2_session_get_stream_user_data(session, id);
        if (!t)
                return 0;
        // RFC 9113 section 8.7: a refused stream was not processed.
        t->unsent = error == NGHTTP2_REFUSED_STREAM;
        finish(c->grpc, t, -1, error == NGHTTP2_NO_ERROR ? "the answer has no status" : nghttp2_http2_strerror(error));
        return 0;
}

// --- a connection ---

static int open_session(struct connection *c)
{
        nghttp2_session_callbacks *callbacks;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        int r = nghttp2_session_client_new(&c->session, callbacks, c);
        nghttp2_session_callbacks_del(callbacks);
        if (r)
                return -ENOMEM;
        nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, CX_ARRAY_SIZE(settings));
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
        return 0;
}

// Everything that is open on it ends without an answer.
static void drop(struct connection *c)
{
        if (!c)
                return;
        while (c->open.first)
                finish(c->grpc, c->open.first, -1, "the connection to etcd was lost");
        nghttp2_session_del(c->session);
        cx_dial_close(c->ssl);
        cx_buf_release(&c->out);
        free(c);
}

// Packs what the session wants to send and gives it to TLS, as far as it is taken.
static void flush(struct connection *c)
{
        c->want_write = false;
        while (!c->broken) {
                if (c->out_sent == c->out.length) {
                        cx_buf_clear(&c->out);
                        c->out_sent = 0;
                }
                while (c->out.length < OUT_BLOCK) {
                        const uint8_t *data;
                        ssize_t n = nghttp2_session_mem_send(c->session, &data);
                        if (n < 0)
                                c->broken = true;
                        if (n <= 0)
                                break;
                        cx_buf_append(&c->out, data, (size_t)n);
                }
                if (c->out_sent == c->out.length)
                        return;
                ERR_clear_error();
                int n = SSL_write(c->ssl, c->out.data + c->out_sent, (int)(c->out.length - c->out_sent));
                if (n > 0) {
                        c->out_sent += (size_t)n;
                        continue;
                }
                int why = SSL_get_error(c->ssl, n);
                c->want_write = why == SSL_ERROR_WANT_WRITE;
                c->broken = why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ;
                return;
        }
}

static void receive(struct connection *c)
{
        uint8_t block[IN_BLOCK];
        while (!c->broken) {
                ERR_clear_error();
                int n = SSL_read(c->ssl, block, sizeof block);
                if (n > 0) {
                        c->broken = nghttp2_session_mem_recv(c->session, block, (size_t)n) != n;
                        continue;
                }
                int why = SSL_get_error(c->ssl, n);
                c->broken = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
                break;
        }
        flush(c);
        if (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session))
                c->broken = true; // the server has said goodbye and nothing is left
}

static nghttp2_nv header(const char *name, const char *value)
{
        return (nghttp2_nv){.name = (uint8_t *)name,
                            .namelen = strlen(name),
                            .value = (uint8_t *)value,
                            .valuelen = strlen(value),
                            .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

static bool submit(struct connection *c, struct transfer *t)
{
        const char *authority = c->grpc->endpoints[c->endpoint] + strlen("https://");
        const nghttp2_nv headers[] = {
                header(":method", "POST"),
                header(":scheme", "https"),
                header(":path", t->method),
                header(":authority", authority),
                header("content-type", "application/grpc"),
                header("te", "trailers"),
                header("hasleader",
                       "true"), // a member that has lost its cluster ends the stream instead of being silent
        };
        nghttp2_data_provider body = {.read_callback = on_send_data};
        size_t count = CX_ARRAY_SIZE(headers) - (t->is_stream ? 0 : 1);
        int32_t id = nghttp2_submit_request(c->session, NULL, headers, count, &body, t);
        if (id < 0)
                return false; // GOAWAY, or out of stream numbers: the next connection takes it
        t->id = id;
        t->connection = c;
        list_move(t, &c->open);
        return true;
}

// Cancels an open transfer; nghttp2 forgets whose it was.
static void cancel(struct transfer *t)
{
        struct connection *c = t->connection;
        nghttp2_session_set_stream_user_data(c->session, t->id, NULL);
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_CANCEL);
        flush(c);
}

// --- the channel's connection, on the I/O thread ---

static void next_endpoint(struct cx_grpc *grpc, int failed)
{
        if (grpc->endpoint == failed)
                grpc->endpoint = (failed + 1) % grpc->n_endpoints;
}

// What is new goes to the next endpoint; calls under way may still end here, streams start over there.
static void leave(struct cx_grpc *grpc)
{
        struct connection *c = cx_steal(&grpc->connection);
        next_endpoint(grpc, c->endpoint);
        drop(cx_steal(&grpc->leaving));
        for (struct transfer *t = c->open.first, *next; t; t = next) {
                next = t->next;
                if (t->is_stream) {
                        cancel(t);
                        finish(grpc, t, CX_GRPC_UNAVAILABLE, "moving to the next endpoint");
                }
        }
        grpc->leaving = c;
}

static void drop_broken(struct cx_grpc *grpc)
{
        struct connection *c = grpc->connection;
        if (c && c->broken) {
                next_endpoint(grpc, c->endpoint);
                drop(cx_steal(&grpc->connection));
        }
        if (grpc->leaving && (grpc->leaving->broken || !grpc->leaving->open.first))
                drop(cx_steal(&grpc->leaving));
}

// Dials without the lock. When it fails, all that waits ends: its owners know whether to try again.
static void connect_locked(struct cx_grpc *grpc)
{
        struct connection *c = cx_alloc(sizeof *c);
        CX_ERROR err = CX_ERROR_INIT;
        c->grpc = grpc;
        c->endpoint = grpc->endpoint;
        c->out = (struct cx_buf)CX_BUF_INIT;
        drain(grpc); // what is left would end the dial; from here on only cx_grpc_free wakes
        pthread_mutex_unlock(&grpc->lock);
        int r = cx_dial(grpc->dialer, grpc->endpoints[c->endpoint], DIAL_TIMEOUT, grpc->wake_fd, &c->ssl, &err);
        pthread_mutex_lock(&grpc->lock);
        if (r == 0 && open_session(c) == 0) {
                grpc->connection = c;
                return;
        }
        if (r == 0)
                cx_dial_close(c->ssl);
        free(c);
        if (r == -ECANCELED)
                return; // it ends
        next_endpoint(grpc, grpc->endpoint);
        for (struct transfer *t; (t = grpc->waiting.first);) {
                t->unsent = true;
                finish(grpc, t, -1, cx_error_text(&err));
        }
}

static void submit_waiting(struct cx_grpc *grpc)
{
        struct transfer *t;
        while (grpc->connection && (t = grpc->waiting.first)) {
                if (!submit(grpc->connection, t)) {
                        leave(grpc);
                        return;
                }
        }
        if (grpc->connection)
                flush(grpc->connection);
}

// --- outcomes, handed on without the lock ---

static void end_call(struct call *call)
{
        struct transfer *t = &call->t;
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        size_t length;
        result.status = t->status;
        result.unsent = t->unsent;
        result.text = cx_steal(&t->text);
        if (t->status == 0 && first_message(&t->in, &length) == 0) {
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
        struct transfer *t = &stream->t;
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
                r = first_message(&rest, &length);
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
                        cancel(&s->t);
                        finish(grpc, &s->t, -1, "the answer is not a gRPC message");
                }
        }
        for (struct transfer *t; (t = grpc->finished.first);) {
                list_move(t, NULL);
                if (t->status == CX_GRPC_UNAVAILABLE && grpc->n_endpoints > 1 && grpc->connection)
                        leave(grpc);
                pthread_mutex_unlock(&grpc->lock);
                if (t->is_stream)
                        end_stream(grpc, (struct cx_grpc_stream *)t);
                else
                        end_call((struct call *)t);
                pthread_mutex_lock(&grpc->lock);
        }
}

// --- the I/O thread ---

static void start_stream_locked(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        struct transfer *t = &stream->t;
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
        list_move(t, &grpc->waiting);
}

static void remove_stream(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        struct cx_grpc_stream **p = &grpc->streams;
        while (*p != stream)
                p = &(*p)->next;
        *p = stream->next;
        if (stream->t.connection)
                cancel(&stream->t);
        list_move(&stream->t, NULL);
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
static int64_t expire(struct cx_grpc *grpc, struct list *list, int64_t now, int64_t wake_at)
{
        for (struct transfer *t = list->first, *next; t; t = next) {
                next = t->next;
                if (t->is_stream)
                        continue;
                int64_t deadline = ((struct call *)t)->deadline;
                if (grpc->limit && grpc->limit < deadline)
                        deadline = grpc->limit;
                if (deadline <= now) {
                        if (t->connection)
                                cancel(t);
                        finish(grpc, t, CX_GRPC_DEADLINE, "no answer in time");
                } else if (deadline < wake_at) {
                        wake_at = deadline;
                }
        }
        return wake_at;
}

static void poll_locked(struct cx_grpc *grpc, int64_t wake_at)
{
        struct connection *both[] = {grpc->connection, grpc->leaving};
        struct pollfd fds[3] = {{.fd = grpc->wake_fd, .events = POLLIN}};
        for (size_t i = 0; i < 2; i++) {
                fds[i + 1].fd = both[i] ? SSL_get_fd(both[i]->ssl) : -1;
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
                        receive(both[i]);
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
        drop(cx_steal(&grpc->connection));
        drop(cx_steal(&grpc->leaving));
        for (struct transfer *t; (t = grpc->waiting.first);)
                finish(grpc, t, -1, "the etcd client ends");
        deliver_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
        return NULL;
}

// --- public ---

int cx_grpc_new(const struct cx_grpc_options *options, struct cx_grpc **ret_grpc, struct cx_error *err)
{
        CX_CLEANUP(cx_grpc_freep) struct cx_grpc *grpc = cx_alloc(sizeof *grpc);
        pthread_mutex_init(&grpc->lock, NULL);
        grpc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        for (const char *const *p = options->endpoints; *p; p++) {
                CX_CLEANUP(cx_freep) char *host = NULL;
                CX_CLEANUP(cx_freep) char *port = NULL;
                int r = cx_endpoint_parse(*p, &host, &port, err);
                if (r < 0)
                        return r;
                grpc->endpoints =
                        cx_realloc_array(grpc->endpoints, (size_t)grpc->n_endpoints + 1, sizeof *grpc->endpoints);
                grpc->endpoints[grpc->n_endpoints++] = cx_strdup(*p);
        }
        if (!grpc->n_endpoints)
                return cx_error_set(err, -EINVAL, "no etcd endpoint is given");
        int r = cx_dialer_new(options->ca_pem, options->cert_pem, options->key_pem, &grpc->dialer, err);
        if (r < 0)
                return r;
        if (grpc->wake_fd < 0 || pthread_create(&grpc->thread, NULL, io_main, grpc) != 0)
                return cx_error_set(err, -EAGAIN, "cannot start the etcd client's thread");
        grpc->started = true;
        (void)pthread_setname_np(grpc->thread, "etcd-io");
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
        for (int i = 0; i < grpc->n_endpoints; i++)
                free(grpc->endpoints[i]);
        free(grpc->endpoints);
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
static void send_locked(struct cx_grpc *grpc, struct transfer *t)
{
        struct connection *c = grpc->connection;
        list_move(t, &grpc->waiting);
        if (c && !c->broken && grpc->waiting.first == t && submit(c, t)) {
                flush(c);
                if (c->want_write || c->broken)
                        wake_locked(grpc);
        } else {
                wake_locked(grpc);
        }
}

void cx_grpc_call(struct cx_grpc *grpc, const char *method, const void *message, size_t length, int64_t timeout,
                  cx_grpc_done done, void *context)
{
        struct call *call = cx_alloc(sizeof *call);
        call->t = (struct transfer){.method = method, .status = -1, .out = CX_BUF_INIT, .in = CX_BUF_INIT};
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
                wake_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
}

void cx_grpc_limit(struct cx_grpc *grpc, int64_t deadline)
{
        pthread_mutex_lock(&grpc->lock);
        grpc->limit = deadline;
        wake_locked(grpc);
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
        stream->t = (struct transfer){
                .is_stream = true, .method = method, .status = -1, .out = CX_BUF_INIT, .in = CX_BUF_INIT};
        stream->grpc = grpc;
        stream->callbacks = *callbacks;
        pthread_cond_init(&stream->ended_cond, NULL);
        pthread_mutex_lock(&grpc->lock);
        stream->next = grpc->streams;
        grpc->streams = stream;
        wake_locked(grpc);
        pthread_mutex_unlock(&grpc->lock);
        return stream;
}

void cx_grpc_stream_send(struct cx_grpc_stream *stream, const void *data, size_t length)
{
        struct cx_grpc *grpc = stream->grpc;
        pthread_mutex_lock(&grpc->lock);
        struct connection *c = stream->t.connection;
        // What is said to a stream that is not open is lost with it: on_start says what matters.
        if (c) {
                frame(&stream->t.out, data, length);
                nghttp2_session_resume_data(c->session, stream->t.id);
                flush(c);
                if (c->want_write || c->broken)
                        wake_locked(grpc);
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
        wake_locked(grpc);
        while (!stream->ended)
                pthread_cond_wait(&stream->ended_cond, &grpc->lock);
        pthread_mutex_unlock(&grpc->lock);
        cx_buf_release(&stream->t.out);
        cx_buf_release(&stream->t.in);
        free(stream->t.text);
        pthread_cond_destroy(&stream->ended_cond);
        free(stream);
}
