// SPDX-License-Identifier: Apache-2.0
// See grpc.h. The I/O thread owns all easy handles; other threads only put commands into a queue and wake it. libcurl
// 7.88 fails on the second request of a cleartext HTTP/2 connection, so endpoints are always https.
#include "etcd/grpc.h"

#include "base/log.h"
#include "base/time.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#define MAX_MESSAGE ((size_t)512 << 20)
#define IDLE_HANDLES 64
#define PREFIX 5 // a flag byte and the length, big-endian (gRPC over HTTP/2, "Length-Prefixed-Message")

enum kind { UNARY, STREAM };

struct transfer {
        enum kind kind;
        struct transfer *next; // in the command queue or in the list of sleeping streams
        CURL *easy;
        const char *method;
        struct cx_buf out; // what is to be sent
        size_t sent;
        struct cx_buf in;
        int status; // from the trailers; -1 while unknown
        char *text;
        int endpoint;
};

struct unary {
        struct transfer t;
        int64_t timeout;
        struct cx_grpc_result *result;
        pthread_mutex_t lock;
        pthread_cond_t done_cond;
        bool done;
};

struct cx_grpc_stream {
        struct transfer t;
        struct cx_grpc *grpc;
        struct cx_grpc_stream_callbacks callbacks;
        pthread_mutex_t lock;  // guards pending
        struct cx_buf pending; // framed messages of other threads
        bool paused, running, ending, ended;
        int64_t restart_at; // monotonic ns; 0: not sleeping
        pthread_cond_t ended_cond;
};

struct cx_grpc {
        char **endpoints;
        int n_endpoints;
        atomic_int current;
        char *ca, *cert, *key;
        CURLM *multi;
        struct curl_slist *headers;
        pthread_t thread;
        bool started;
        pthread_mutex_t lock; // guards queue, kicked, stopping
        struct transfer *queue, **queue_end;
        bool stopping;
        struct transfer *sleeping; // streams waiting for their restart; I/O thread only
        CURL *idle[IDLE_HANDLES];  // I/O thread only
        int n_idle;
};

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

// --- libcurl's callbacks, on the I/O thread ---

static void take_pending(struct cx_grpc_stream *stream)
{
        pthread_mutex_lock(&stream->lock);
        if (stream->pending.length) {
                cx_buf_append(&stream->t.out, stream->pending.data, stream->pending.length);
                cx_buf_clear(&stream->pending);
        }
        pthread_mutex_unlock(&stream->lock);
}

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
        struct transfer *t = context;
        if (t->kind == STREAM && t->sent == t->out.length) {
                cx_buf_clear(&t->out);
                t->sent = 0;
                take_pending((struct cx_grpc_stream *)t);
        }
        size_t left = t->out.length - t->sent, n = size * count < left ? size * count : left;
        if (!n && t->kind == STREAM) {
                ((struct cx_grpc_stream *)t)->paused = true;
                return CURL_READFUNC_PAUSE;
        }
        memcpy(to, t->out.data + t->sent, n);
        t->sent += n;
        return n;
}

static size_t on_write(char *data, size_t size, size_t count, void *context)
{
        struct transfer *t = context;
        cx_buf_append(&t->in, data, size * count);
        if (t->in.overflow)
                return 0;
        if (t->kind == UNARY)
                return size * count;
        struct cx_grpc_stream *stream = (struct cx_grpc_stream *)t;
        size_t length, done = 0;
        for (;;) {
                struct cx_buf rest = {.data = t->in.data + done, .length = t->in.length - done};
                int r = first_message(&rest, &length);
                if (r == -EPROTO)
                        return 0;
                if (r < 0)
                        break;
                stream->callbacks.on_message(stream->callbacks.context, rest.data + PREFIX, length);
                done += PREFIX + length;
        }
        cx_buf_consume(&t->in, done);
        return size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
        struct transfer *t = context;
        size_t length = size * count;
        static const char status[] = "grpc-status:", message[] = "grpc-message:";
        CX_CLEANUP(cx_freep) char *line = cx_strndup(data, length);
        line[strcspn(line, "\r\n")] = '\0';
        if (strncasecmp(line, status, sizeof status - 1) == 0) {
                int64_t value;
                const char *p = line + sizeof status - 1;
                p += strspn(p, " ");
                t->status = cx_parse_int(p, 0, 16, &value) == 0 ? (int)value : 2;
        } else if (strncasecmp(line, message, sizeof message - 1) == 0) {
                const char *p = line + sizeof message - 1;
                free(t->text);
                t->text = cx_strdup(p + strspn(p, " "));
        }
        return length;
}

// --- starting and ending transfers ---

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
        if (!pem)
                return;
        struct curl_blob blob = {.data = (void *)pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(easy, option, &blob);
}

static void configure(struct cx_grpc *grpc, struct transfer *t)
{
        CURL *easy = t->easy = grpc->n_idle ? grpc->idle[--grpc->n_idle] : curl_easy_init();
        t->endpoint = atomic_load(&grpc->current);
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("%s%s", grpc->endpoints[t->endpoint], t->method);
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, grpc->headers);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        if (t->kind == UNARY)
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->out.length);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, t);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 10L);
        set_blob(easy, CURLOPT_CAINFO_BLOB, grpc->ca);
        set_blob(easy, CURLOPT_SSLCERT_BLOB, grpc->cert);
        set_blob(easy, CURLOPT_SSLKEY_BLOB, grpc->key);
}

static void start_unary(struct cx_grpc *grpc, struct unary *call)
{
        configure(grpc, &call->t);
        curl_easy_setopt(call->t.easy, CURLOPT_TIMEOUT_MS, (long)(call->timeout / CX_NS_PER_MS));
        curl_multi_add_handle(grpc->multi, call->t.easy);
}

static void start_stream(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        struct transfer *t = &stream->t;
        cx_buf_clear(&t->out);
        cx_buf_clear(&t->in);
        t->sent = 0;
        t->status = -1;
        free(cx_steal(&t->text));
        pthread_mutex_lock(&stream->lock);
        cx_buf_clear(&stream->pending);
        pthread_mutex_unlock(&stream->lock);
        CX_BUF first = CX_BUF_INIT;
        stream->callbacks.on_start(stream->callbacks.context, &first);
        frame(&t->out, first.data, first.length);
        stream->paused = false;
        stream->running = true;
        stream->restart_at = 0;
        configure(grpc, t);
        curl_multi_add_handle(grpc->multi, t->easy);
}

static void recycle(struct cx_grpc *grpc, struct transfer *t)
{
        if (!t->easy)
                return;
        curl_multi_remove_handle(grpc->multi, t->easy);
        if (grpc->n_idle < IDLE_HANDLES && t->kind == UNARY) {
                curl_easy_reset(t->easy);
                grpc->idle[grpc->n_idle++] = t->easy;
        } else {
                curl_easy_cleanup(t->easy);
        }
        t->easy = NULL;
}

// The next endpoint gets the next try, unless another transfer has switched already.
static void fail_over(struct cx_grpc *grpc, const struct transfer *t)
{
        int failed = t->endpoint;
        atomic_compare_exchange_strong(&grpc->current, &failed, (t->endpoint + 1) % grpc->n_endpoints);
}

static bool never_sent(CURLcode code, const struct transfer *t)
{
        return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_SSL_CONNECT_ERROR ||
               code == CURLE_PEER_FAILED_VERIFICATION || (code == CURLE_OPERATION_TIMEDOUT && t->sent == 0);
}

static void finish_unary(struct unary *call, CURLcode code)
{
        struct cx_grpc_result *result = call->result;
        struct transfer *t = &call->t;
        size_t length;
        // With many streams on a connection libcurl 7.88 loses the trailers of some. A server sends the message of a
        // unary call only when the call has succeeded, so a stream that ended well after one whole message was good.
        if (code == CURLE_OK && t->status < 0 && first_message(&t->in, &length) == 0 && t->in.length == PREFIX + length)
                t->status = 0;
        result->status = t->status;
        result->text = cx_steal(&t->text);
        if (code != CURLE_OK && t->status < 0) {
                result->status = code == CURLE_OPERATION_TIMEDOUT ? CX_GRPC_DEADLINE : -1;
                result->unsent = never_sent(code, t);
                result->text = cx_strdup(curl_easy_strerror(code));
        } else if (t->status == 0 && first_message(&t->in, &length) == 0) {
                cx_buf_consume(&t->in, PREFIX);
                result->message = t->in;
                t->in = (struct cx_buf)CX_BUF_INIT;
        } else if (t->status <= 0) {
                result->status = -1;
                free(result->text);
                result->text = cx_strdup("the answer is not a gRPC message");
        }
        pthread_mutex_lock(&call->lock);
        call->done = true;
        pthread_cond_signal(&call->done_cond);
        pthread_mutex_unlock(&call->lock);
}

static void mark_ended(struct cx_grpc_stream *stream)
{
        pthread_mutex_lock(&stream->lock);
        stream->ended = true;
        pthread_cond_broadcast(&stream->ended_cond);
        pthread_mutex_unlock(&stream->lock);
}

static void finish_stream(struct cx_grpc *grpc, struct cx_grpc_stream *stream, CURLcode code)
{
        stream->running = false;
        const char *text = stream->t.text ? stream->t.text : curl_easy_strerror(code);
        int64_t delay = stream->callbacks.on_end(stream->callbacks.context, stream->t.status, text);
        if (delay < 0)
                return;
        stream->restart_at = cx_time_monotonic() + delay + 1;
        stream->t.next = grpc->sleeping;
        grpc->sleeping = &stream->t;
}

static void collect_finished(struct cx_grpc *grpc)
{
        int left;
        for (CURLMsg *message; (message = curl_multi_info_read(grpc->multi, &left));) {
                if (message->msg != CURLMSG_DONE)
                        continue;
                struct transfer *t = NULL;
                CURLcode code = message->data.result;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
                recycle(grpc, t);
                if (code != CURLE_OK || t->status == CX_GRPC_UNAVAILABLE)
                        fail_over(grpc, t);
                if (t->kind == UNARY)
                        finish_unary((struct unary *)t, code);
                else
                        finish_stream(grpc, (struct cx_grpc_stream *)t, code);
        }
}

static void remove_sleeping(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        for (struct transfer **p = &grpc->sleeping; *p; p = &(*p)->next)
                if (*p == &stream->t) {
                        *p = stream->t.next;
                        return;
                }
}

// A stream's command: start it, end it, or send what other threads have put into it.
static void serve_stream(struct cx_grpc *grpc, struct cx_grpc_stream *stream)
{
        pthread_mutex_lock(&stream->lock);
        bool ending = stream->ending, filled = stream->pending.length > 0;
        pthread_mutex_unlock(&stream->lock);
        if (ending) {
                remove_sleeping(grpc, stream);
                recycle(grpc, &stream->t);
                mark_ended(stream);
        } else if (!stream->running && !stream->restart_at) {
                start_stream(grpc, stream);
        } else if (filled && stream->paused && stream->t.easy) {
                stream->paused = false;
                curl_easy_pause(stream->t.easy, CURLPAUSE_CONT);
        }
}

// A command is a transfer (unary) or a token that points to a stream, so that one stream can be queued many times.
struct stream_token {
        struct transfer t; // kind STREAM, method NULL
        struct cx_grpc_stream *stream;
};

static bool take_commands(struct cx_grpc *grpc)
{
        pthread_mutex_lock(&grpc->lock);
        struct transfer *t = grpc->queue;
        grpc->queue = NULL;
        grpc->queue_end = &grpc->queue;
        bool stopping = grpc->stopping;
        pthread_mutex_unlock(&grpc->lock);
        while (t) {
                struct transfer *next = t->next;
                if (t->kind == UNARY) {
                        start_unary(grpc, (struct unary *)t);
                } else {
                        serve_stream(grpc, ((struct stream_token *)t)->stream);
                        free(t);
                }
                t = next;
        }
        return !stopping;
}

// Restarts the streams whose time has come; returns the milliseconds until the next one.
static int wake_sleeping(struct cx_grpc *grpc)
{
        int64_t now = cx_time_monotonic(), wait = 10000;
        for (struct transfer **p = &grpc->sleeping; *p;) {
                struct cx_grpc_stream *stream = (struct cx_grpc_stream *)*p;
                if (stream->restart_at <= now) {
                        *p = stream->t.next;
                        start_stream(grpc, stream);
                        continue;
                }
                int64_t left = (stream->restart_at - now) / CX_NS_PER_MS + 1;
                wait = left < wait ? left : wait;
                p = &(*p)->next;
        }
        return (int)wait;
}

static void *io_main(void *context)
{
        struct cx_grpc *grpc = context;
        while (take_commands(grpc)) {
                int running, wait = wake_sleeping(grpc);
                curl_multi_perform(grpc->multi, &running);
                collect_finished(grpc);
                curl_multi_poll(grpc->multi, NULL, 0, wait, NULL);
        }
        return NULL;
}

static void enqueue(struct cx_grpc *grpc, struct transfer *t)
{
        pthread_mutex_lock(&grpc->lock);
        t->next = NULL;
        bool was_empty = !grpc->queue;
        *grpc->queue_end = t;
        grpc->queue_end = &t->next;
        pthread_mutex_unlock(&grpc->lock);
        if (was_empty)
                curl_multi_wakeup(grpc->multi);
}

// --- public ---

int cx_grpc_new(const struct cx_grpc_options *options, struct cx_grpc **ret_grpc, struct cx_error *err)
{
        curl_global_init(CURL_GLOBAL_DEFAULT);
        struct cx_grpc *grpc = cx_alloc(sizeof *grpc);
        for (const char *const *p = options->endpoints; *p; p++) {
                if (!cx_has_prefix(*p, "https://")) {
                        int r = cx_error_set(err, -EINVAL, "etcd endpoint \"%s\" must start with https://", *p);
                        cx_grpc_free(grpc);
                        return r;
                }
                grpc->endpoints =
                        cx_realloc_array(grpc->endpoints, (size_t)grpc->n_endpoints + 1, sizeof *grpc->endpoints);
                grpc->endpoints[grpc->n_endpoints++] = cx_strdup(*p);
        }
        if (!grpc->n_endpoints) {
                cx_grpc_free(grpc);
                return cx_error_set(err, -EINVAL, "no etcd endpoint is given");
        }
        grpc->ca = cx_strdup(options->ca_pem);
        grpc->cert = cx_strdup(options->cert_pem);
        grpc->key = cx_strdup(options->key_pem);
        grpc->queue_end = &grpc->queue;
        pthread_mutex_init(&grpc->lock, NULL);
        grpc->headers = curl_slist_append(NULL, "content-type: application/grpc");
        grpc->headers = curl_slist_append(grpc->headers, "te: trailers");
        grpc->headers = curl_slist_append(grpc->headers, "expect:");
        grpc->multi = curl_multi_init();
        curl_multi_setopt(grpc->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
        curl_multi_setopt(grpc->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 1000L);
        if (pthread_create(&grpc->thread, NULL, io_main, grpc) != 0) {
                cx_grpc_free(grpc);
                return cx_error_set(err, -EAGAIN, "cannot start the etcd client's thread");
        }
        grpc->started = true;
        *ret_grpc = grpc;
        return 0;
}

void cx_grpc_free(struct cx_grpc *grpc)
{
        if (!grpc)
                return;
        if (grpc->started) {
                pthread_mutex_lock(&grpc->lock);
                grpc->stopping = true;
                pthread_mutex_unlock(&grpc->lock);
                curl_multi_wakeup(grpc->multi);
                pthread_join(grpc->thread, NULL);
        }
        for (int i = 0; i < grpc->n_idle; i++)
                curl_easy_cleanup(grpc->idle[i]);
        if (grpc->multi)
                curl_multi_cleanup(grpc->multi);
        curl_slist_free_all(grpc->headers);
        for (int i = 0; i < grpc->n_endpoints; i++)
                free(grpc->endpoints[i]);
        free(grpc->endpoints);
        free(grpc->ca);
        free(grpc->cert);
        free(grpc->key);
        free(grpc);
}

void cx_grpc_result_release(struct cx_grpc_result *result)
{
        cx_buf_release(&result->message);
        free(result->text);
        *result = (struct cx_grpc_result)CX_GRPC_RESULT_INIT;
}

void cx_grpc_unary(struct cx_grpc *grpc, const char *method, const void *message, size_t length, int64_t timeout,
                   struct cx_grpc_result *ret_result)
{
        struct unary call = {
                .t = {.kind = UNARY, .method = method, .status = -1, .out = CX_BUF_INIT, .in = CX_BUF_INIT},
                .timeout = timeout,
                .result = ret_result,
        };
        pthread_mutex_init(&call.lock, NULL);
        pthread_cond_init(&call.done_cond, NULL);
        frame(&call.t.out, message, length);
        enqueue(grpc, &call.t);
        pthread_mutex_lock(&call.lock);
        while (!call.done)
                pthread_cond_wait(&call.done_cond, &call.lock);
        pthread_mutex_unlock(&call.lock);
        pthread_mutex_destroy(&call.lock);
        pthread_cond_destroy(&call.done_cond);
        cx_buf_release(&call.t.out);
        cx_buf_release(&call.t.in);
        free(call.t.text);
}

static void kick_stream(struct cx_grpc_stream *stream)
{
        struct stream_token *token = cx_alloc(sizeof *token);
        token->t.kind = STREAM;
        token->stream = stream;
        enqueue(stream->grpc, &token->t);
}

struct cx_grpc_stream *cx_grpc_stream_new(struct cx_grpc *grpc, const char *method,
                                          const struct cx_grpc_stream_callbacks *callbacks)
{
        struct cx_grpc_stream *stream = cx_alloc(sizeof *stream);
        stream->t = (struct transfer){
                .kind = STREAM, .method = method, .status = -1, .out = CX_BUF_INIT, .in = CX_BUF_INIT};
        stream->grpc = grpc;
        stream->callbacks = *callbacks;
        stream->pending = (struct cx_buf)CX_BUF_INIT_MAX((size_t)1 << 20);
        pthread_mutex_init(&stream->lock, NULL);
        pthread_cond_init(&stream->ended_cond, NULL);
        kick_stream(stream);
        return stream;
}

void cx_grpc_stream_send(struct cx_grpc_stream *stream, const void *data, size_t length)
{
        pthread_mutex_lock(&stream->lock);
        frame(&stream->pending, data, length);
        pthread_mutex_unlock(&stream->lock);
        kick_stream(stream);
}

void cx_grpc_stream_free(struct cx_grpc_stream *stream)
{
        if (!stream)
                return;
        pthread_mutex_lock(&stream->lock);
        stream->ending = true;
        pthread_mutex_unlock(&stream->lock);
        kick_stream(stream);
        pthread_mutex_lock(&stream->lock);
        while (!stream->ended)
                pthread_cond_wait(&stream->ended_cond, &stream->lock);
        pthread_mutex_unlock(&stream->lock);
        cx_buf_release(&stream->t.out);
        cx_buf_release(&stream->t.in);
        cx_buf_release(&stream->pending);
        free(stream->t.text);
        pthread_mutex_destroy(&stream->lock);
        pthread_cond_destroy(&stream->ended_cond);
        free(stream);
}
