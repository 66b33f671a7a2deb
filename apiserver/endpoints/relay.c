// SPDX-License-Identifier: Apache-2.0
// Plain answers of backends, passed on block by block through a bounded buffer, each by a thread of its own. Logs may
// be asked for over a WebSocket: then each block is a message.
#include "apiserver/endpoints/backend.h"
#include "apiserver/endpoints/relays.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/websocket.h"

#include <poll.h>
#include <strings.h>
#include <sys/eventfd.h>

#define RELAY_BUFFER ((size_t)1 << 20)
#define MAX_REFUSAL ((size_t)50000)
#define MAX_HEADERS 100 // of an answer, and their bytes: what the connection to the client can hold
#define MAX_HEADER_BYTES ((size_t)24 << 10)

struct relay {
        struct relay *next, *previous; // in the server's list
        struct relays *all;
        bool is_log;
        const char *protocol; // of a WebSocket: "" when none was asked for; NULL: no WebSocket
        char accept_key[29];
        int wake; // eventfd of the WebSocket's thread, or -1
        struct backend_client *client;
        struct cx_http_request *request; // until the answer has begun
        struct backend backend;
        char *method, *content_type, *accept;
        struct cx_strings headers; // "Name: value", passed on
        bool too_large;            // the headers of the answer
        struct cx_buf body;
        pthread_mutex_t lock; // guards the rest
        pthread_cond_t drained;
        struct cx_buf buffer;
        size_t taken; // of the buffer, from its beginning
        bool finished, failed;
        bool gone; // the client has left
        struct cx_http_stream *stream;
        int references; // the thread's and the stream's
};

struct relays {
        pthread_mutex_t lock; // guards first, canceled; taken before a relay's own
        bool canceled;
        pthread_cond_t emptied;
        struct relay *first;
};

struct relays *relays_new(void)
{
        struct relays *all = cx_alloc(sizeof *all);
        pthread_mutex_init(&all->lock, NULL);
        pthread_cond_init(&all->emptied, NULL);
        return all;
}

void relays_cancel(struct relays *all)
{
        pthread_mutex_lock(&all->lock);
        all->canceled = true;
        for (struct relay *relay = all->first; relay; relay = relay->next) {
                pthread_mutex_lock(&relay->lock);
                __atomic_store_n(&relay->gone, true, __ATOMIC_RELEASE);
                pthread_cond_signal(&relay->drained);
                if (relay->wake >= 0)
                        (void)!eventfd_write(relay->wake, 1);
                pthread_mutex_unlock(&relay->lock);
        }
        pthread_mutex_unlock(&all->lock);
}

void relays_free(struct relays *all)
{
        if (!all)
                return;
        pthread_mutex_lock(&all->lock);
        while (all->first)
                pthread_cond_wait(&all->emptied, &all->lock);
        pthread_mutex_unlock(&all->lock);
        pthread_cond_destroy(&all->emptied);
        pthread_mutex_destroy(&all->lock);
        free(all);
}

// There is news for the one that sends to the client.
static void wake(struct relay *relay)
{
        if (relay->wake >= 0)
                (void)!eventfd_write(relay->wake, 1);
        else
                cx_http_stream_wake(relay->stream);
}

static void list(struct relay *relay, struct relays *all)
{
        relay->all = all;
        pthread_mutex_lock(&all->lock);
        relay->gone = all->canceled;
        relay->next = all->first;
        if (relay->next)
                relay->next->previous = relay;
        all->first = relay;
        pthread_mutex_unlock(&all->lock);
}

static void unlist(struct relay *relay)
{
        pthread_mutex_lock(&relay->all->lock);
        *(relay->previous ? &relay->previous->next : &relay->all->first) = relay->next;
        if (relay->next)
                relay->next->previous = relay->previous;
        if (!relay->all->first)
                pthread_cond_broadcast(&relay->all->emptied);
        pthread_mutex_unlock(&relay->all->lock);
}

static void unref_relay(struct relay *relay)
{
        pthread_mutex_lock(&relay->lock);
        bool last = --relay->references == 0;
        pthread_mutex_unlock(&relay->lock);
        if (!last)
                return;
        unlist(relay);
        backend_client_unref(relay->client);
        backend_release(&relay->backend);
        cx_http_stream_unref(relay->stream);
        cx_buf_release(&relay->buffer);
        cx_buf_release(&relay->body);
        free(relay->method);
        free(relay->content_type);
        cx_strings_release(&relay->headers);
        free(relay->accept);
        if (relay->wake >= 0)
                close(relay->wake);
        pthread_mutex_destroy(&relay->lock);
        pthread_cond_destroy(&relay->drained);
        free(relay);
}

// --- the buffer; called with the lock ---

static size_t waiting(const struct relay *relay)
{
        return relay->buffer.length - relay->taken;
}

// What is left moves to the front once it is the lesser part: each byte moves once at most.
static void take(struct relay *relay, size_t length)
{
        relay->taken += length;
        if (relay->taken > relay->buffer.length / 2) {
                cx_buf_consume(&relay->buffer, relay->taken);
                relay->taken = 0;
        }
        pthread_cond_signal(&relay->drained);
}

static ssize_t read_relay(void *context, uint64_t offset CX_UNUSED, char *to, size_t max)
{
        struct relay *relay = context;
        pthread_mutex_lock(&relay->lock);
        ssize_t n = relay->finished ? relay->failed ? CX_HTTP_STREAM_ABORT : CX_HTTP_STREAM_END : CX_HTTP_STREAM_WAIT;
        if (waiting(relay)) {
                n = (ssize_t)(waiting(relay) < max ? waiting(relay) : max);
                memcpy(to, relay->buffer.data + relay->taken, (size_t)n);
                take(relay, (size_t)n);
        }
        pthread_mutex_unlock(&relay->lock);
        return n;
}

static void release_relay(void *context)
{
        struct relay *relay = context;
        pthread_mutex_lock(&relay->lock);
        __atomic_store_n(&relay->gone, true, __ATOMIC_RELEASE);
        pthread_cond_signal(&relay->drained);
        pthread_mutex_unlock(&relay->lock);
        unref_relay(relay);
}

// --- logs over a WebSocket ---

#define BASE64 "base64.binary.k8s.io"

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

// Text only for those who asked for it; base64 makes a third more of a block.
static int send_block(struct relay *relay, struct cx_websocket *ws, const struct cx_buf *block)
{
        if (strcmp(relay->protocol, BASE64) != 0)
                return cx_websocket_send(ws, CX_WS_BINARY, block->data, block->length);
        CX_BUF text = CX_BUF_INIT;
        cx_base64_encode(block->data, block->length, &text);
        return cx_websocket_send(ws, CX_WS_TEXT, text.data, text.length);
}

// Waits for a block of the log. 1 with it, 0 at its end, negative when the client has left or sends what it should not.
static int next_block(struct relay *relay, struct cx_websocket *ws, int fd, struct cx_buf *block)
{
        CX_BUF message = CX_BUF_INIT_MAX(CX_WS_MAX_MESSAGE);
        for (;;) {
                pthread_mutex_lock(&relay->lock);
                bool finished = relay->finished, gone = relay->gone;
                cx_buf_truncate(block, 0);
                cx_buf_append(block, relay->buffer.data + relay->taken, waiting(relay));
                take(relay, waiting(relay));
                pthread_mutex_unlock(&relay->lock);
                if (block->length || finished || gone)
                        return block->length ? 1 : gone ? -EPIPE : 0;
                struct pollfd fds[2] = {{fd, POLLIN, 0}, {relay->wake, POLLIN, 0}};
                eventfd_t count;
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return -errno;
                if (fds[1].revents)
                        (void)!eventfd_read(relay->wake, &count);
                int opcode, r = fds[0].revents ? cx_websocket_recv(ws, 0, &opcode, &message) : 1;
                if (r <= 0 && r != -ETIMEDOUT)
                        return -EPIPE;
        }
}

static void run_log_socket(struct cx_wire *wire, void *context)
{
        struct relay *relay = context;
        struct cx_websocket *ws = cx_websocket_server(wire);
        CX_BUF block = CX_BUF_INIT;
        int r;
        while ((r = next_block(relay, ws, wire->fd, &block)) > 0)
                if (send_block(relay, ws, &block) < 0)
                        break;
        cx_websocket_close(ws, r == 0 && relay->failed ? 1011 : 1000, "");
        cx_websocket_free(ws);
}

static int prepare_socket(struct relay *relay, struct call *call, struct cx_error *err)
{
        static const char *const protocols[] = {"binary.k8s.io", BASE64, NULL};
        const char *key = NULL, *offered = cx_http_header(call->request, "Sec-WebSocket-Protocol");
        const char *why = cx_websocket_check(get_header, call->request, &key);
        relay->protocol = offered ? cx_websocket_protocol(offered, protocols) : "";
        if (!why && !relay->protocol)
                why = "no supported subprotocol was offered: binary.k8s.io, " BASE64;
        if (why)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "%s", why);
        cx_websocket_accept(key, relay->accept_key);
        relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return relay->wake < 0 ? cx_error_set(err, -errno, "cannot make an eventfd: %s", strerror(errno)) : 0;
}

static void begin_socket(struct relay *relay)
{
        struct cx_http_request *request = cx_steal(&relay->request);
        relay->references++;
        cx_http_notice_leaving(request, NULL);
        cx_http_add_header(request, "Upgrade", "websocket");
        cx_http_add_header(request, "Sec-WebSocket-Accept", relay->accept_key);
        if (*relay->protocol)
                cx_http_add_header(request, "Sec-WebSocket-Protocol", relay->protocol);
        cx_http_respond_upgrade(request, &(struct cx_http_upgrade_plan){
                                                 .run = run_log_socket, .release = release_relay, .context = relay});
}

// --- headers ---

// What belongs to one connection, or is made anew for the other one.
static bool passes(const char *name)
{
        static const char *const own[] = {"Connection", "Keep-Alive",     "Proxy-Authenticate", "Proxy-Authorization",
                                          "TE",         "Trailer",        "Trailers",           "Transfer-Encoding",
                                          "Upgrade",    "Content-Length", "Content-Type",       "Date"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(own); i++)
                if (strcasecmp(name, own[i]) == 0)
                        return false;
        return true;
}

// The headers of a request, but for those that make it ours: the backend must not see who may do what here.
static void take_header(void *context, const char *name, const char *value)
{
        static const char *const kept[] = {"Authorization", "Host", "Accept", "Expect"};
        struct relay *relay = context;
        bool pass = passes(name) && strncasecmp(name, "Impersonate-", 12) != 0 &&
                    strncasecmp(name, "X-Remote-", 9) != 0 && strncasecmp(name, "X-Forwarded-", 12) != 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++)
                pass = pass && strcasecmp(name, kept[i]) != 0;
        if (!pass)
                return;
        CX_CLEANUP(cx_freep) char *line = *value ? cx_sprintf("%s: %s", name, value) : cx_sprintf("%s;", name);
        cx_strings_add(&relay->headers, line);
}

static void take_headers(struct relay *relay, struct call *call)
{
        cx_http_headers(call->request, take_header, relay);
        CX_CLEANUP(cx_freep)
        char *source = cx_sprintf("X-Forwarded-For: %s", cx_http_remote_address(call->request));
        CX_CLEANUP(cx_freep)
        char *host = cx_sprintf("X-Forwarded-Host: %s", cx_str(cx_http_header(call->request, "Host")));
        CX_BUF uri = CX_BUF_INIT; // encoded again: what was escaped may be the end of a line
        cx_buf_add(&uri, "X-Forwarded-Uri: ");
        add_url_path(&uri, cx_http_path(call->request));
        add_raw_query(call, &uri);
        cx_strings_add(&relay->headers, source);
        cx_strings_add(&relay->headers, host);
        cx_strings_add(&relay->headers, uri.data);
        cx_strings_add(&relay->headers, "X-Forwarded-Proto: https");
        for (size_t i = 0; i < relay->backend.headers.count; i++)
                cx_strings_add(&relay->headers, relay->backend.headers.items[i]);
}

struct passing {
        struct cx_http_request *request; // NULL: only count
        size_t count, bytes;
};

static void pass_header(void *context, const char *name, const char *value)
{
        struct passing *passing = context;
        if (!passes(name))
                return;
        passing->count++;
        passing->bytes += strlen(name) + strlen(value);
        if (passing->request)
                cx_http_add_header(passing->request, name, value);
}

// Begins the answer once the status and headers of the other side are known. Of logs only a success is passed on as it
// is: what else a kubelet says becomes a Status, when all of it is there.
static void begin_answer(void *context, const struct cx_http_reply *reply)
{
        struct relay *relay = context;
        if (relay->is_log && reply->code >= 300)
                return;
        if (relay->protocol) {
                begin_socket(relay);
                return;
        }
        struct passing passing = {0};
        cx_http_reply_headers(reply, pass_header, &passing);
        relay->too_large = passing.count > MAX_HEADERS || passing.bytes > MAX_HEADER_BYTES;
        if (relay->too_large)
                return;
        CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(reply, "Content-Type");
        struct cx_http_stream_source source = {
                .read = read_relay, .release = release_relay, .context = relay, .patient = relay->is_log};
        struct cx_http_request *request = cx_steal(&relay->request);
        passing.request = request;
        cx_http_reply_headers(reply, pass_header, &passing);
        relay->references++;
        cx_http_notice_leaving(request, NULL);
        cx_http_respond_stream_into(request, reply->code, type ? type : "text/plain", -1, &source, &relay->stream);
}

static int on_relay_data(void *context, const struct cx_http_reply *reply CX_UNUSED, const char *data, size_t length)
{
        struct relay *relay = context;
        if (relay->too_large)
                return -EMSGSIZE;
        pthread_mutex_lock(&relay->lock);
        if (relay->request) { // a refusal, gathered for refuse()
                size_t room = MAX_REFUSAL - relay->buffer.length;
                cx_buf_append(&relay->buffer, data, length < room ? length : room);
                pthread_mutex_unlock(&relay->lock);
                return 0;
        }
        while (waiting(relay) > RELAY_BUFFER && !relay->gone)
                pthread_cond_wait(&relay->drained, &relay->lock);
        bool gone = relay->gone;
        if (!gone)
                cx_buf_append(&relay->buffer, data, length);
        pthread_mutex_unlock(&relay->lock);
        if (!gone)
                wake(relay);
        return gone ? -EPIPE : 0;
}

// The kubelet's complaint as a Status.
static void refuse(struct relay *relay, int code)
{
        static const struct {
                int code;
                enum cx_reason reason;
        } reasons[] = {{400, CX_REASON_BAD_REQUEST}, {401, CX_REASON_UNAUTHORIZED}, {403, CX_REASON_FORBIDDEN},
                       {404, CX_REASON_NOT_FOUND},   {503, CX_REASON_UNAVAILABLE},  {504, CX_REASON_TIMEOUT}};
        enum cx_reason reason = CX_REASON_INTERNAL;
        CX_ERROR err = CX_ERROR_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(reasons); i++)
                if (reasons[i].code == code)
                        reason = reasons[i].reason;
        size_t length = relay->buffer.length;
        while (length && relay->buffer.data[length - 1] == '\n')
                length--;
        (void)cx_error_reason(&err, reason, "%.*s", (int)length, relay->buffer.data);
        cx_http_respond_error(relay->request, &err);
}

static void *relay_main(void *context)
{
        struct relay *relay = context;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        const char **lines = cx_alloc_array(relay->headers.count + 1, sizeof *lines);
        for (size_t i = 0; i < relay->headers.count; i++)
                lines[i] = relay->headers.items[i];
        CX_CLEANUP(cx_freep) char *url = backend_url(&relay->backend);
        struct cx_http_call http = {.method = relay->method,
                                    .headers = lines,
                                    .path = url,
                                    .body = relay->body.length ? relay->body.data : NULL,
                                    .body_length = relay->body.length,
                                    .content_type = relay->content_type,
                                    .accept = relay->accept ? relay->accept : "*/*",
                                    .timeout = -1,
                                    .on_data = on_relay_data,
                                    .on_headers = begin_answer,
                                    .context = relay,
                                    .cancel = &relay->gone};
        int r = cx_http_do(relay->client->http, &http, &reply, &err);
        free(lines);
        if (relay->request)
                cx_http_notice_leaving(relay->request, NULL);
        const char *why = relay->too_large ? "the headers of its answer are too large"
                          : r < 0          ? cx_error_text(&err)
                                           : NULL;
        if (relay->request && why) {
                CX_ERROR answer = CX_ERROR_INIT;
                (void)cx_error_reason(&answer, CX_REASON_UNAVAILABLE, "error trying to reach %s: %s",
                                      relay->backend.base_url, why);
                cx_http_respond_error(relay->request, &answer);
        } else if (relay->request) {
                refuse(relay, reply.code);
        } else {
                pthread_mutex_lock(&relay->lock);
                relay->finished = true;
                relay->failed = r < 0;
                pthread_mutex_unlock(&relay->lock);
                wake(relay);
        }
        unref_relay(relay);
        return NULL;
}

int relay(struct call *call, struct backend *backend, struct cx_error *err)
{
        struct backend_client *client = NULL;
        int r = backend_client(call, backend, &client, err);
        if (r < 0)
                return r;
        struct relay *relay = cx_alloc(sizeof *relay);
        relay->client = client;
        relay->request = call->request;
        relay->backend = *backend;
        *backend = (struct backend){0};
        relay->method = cx_strdup(cx_http_method(call->request));
        relay->content_type = cx_strdup(cx_http_header(call->request, "Content-Type"));
        relay->accept = cx_strdup(cx_http_header(call->request, "Accept"));
        relay->body = (struct cx_buf)CX_BUF_INIT;
        relay->buffer = (struct cx_buf)CX_BUF_INIT;
        relay->references = 1;
        relay->is_log = cx_streq(call->info.subresource, "log");
        relay->wake = -1;
        size_t length;
        const char *body = cx_http_body(call->request, &length);
        cx_buf_append(&relay->body, body, length);
        pthread_mutex_init(&relay->lock, NULL);
        pthread_cond_init(&relay->drained, NULL);
        if (!relay->is_log)
                take_headers(relay, call);
        list(relay, call->api->relays);
        if (relay->is_log && cx_http_header(call->request, "Upgrade") && (r = prepare_socket(relay, call, err)) < 0) {
                unref_relay(relay);
                return r;
        }
        cx_http_notice_leaving(call->request, &relay->gone);
        r = start_thread(relay_main, relay);
        if (r < 0) {
                cx_http_notice_leaving(call->request, NULL);
                unref_relay(relay);
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        }
        return 0;
}
