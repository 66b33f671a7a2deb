// SPDX-License-Identifier: Apache-2.0
// wslay does the framing over callbacks that read and write without blocking; waiting happens here, outside the lock, so
// that a sender that waits for room never keeps the reader from reading (two peers that only write would stop for ever).
#include "libcommon/net/websocket.h"

#include "libcommon/base/random.h"
#include "libcommon/base/time.h"

#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <strings.h>
#include <wslay/wslay.h>

#define CLOSE_PATIENCE (10 * CX_NS_PER_S)
#define LOOK_PERIOD CX_NS_PER_S

struct websocket_message {
        struct websocket_message *next;
        int opcode;
        size_t length;
        char data[];
};

struct cx_websocket {
        wslay_event_context_ptr context; // guarded by lock, as is all that follows but the wire
        pthread_mutex_t lock;
        struct cx_wire *wire;
        bool owns_wire;
        char out[65536]; // handed over by wslay, and not written yet from out_from to out_to
        size_t out_from, out_to;
        char in[32768]; // read, and not given to wslay yet, which asks for little at a time
        size_t in_from, in_to;
        struct websocket_message *first, **last;
        bool ended;            // the stream is over
        int broken;            // negative errno
        bool closing;          // we sent a close frame
        int64_t closing_since; // monotonic ns
        bool got_close;
        int close_code;
};

void cx_websocket_accept(const char *key, char to[29])
{
        char text[128];
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        int n = snprintf(text, sizeof text, "%.60s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
        EVP_Digest(text, (size_t)n, digest, &length, EVP_sha1(), NULL);
        EVP_EncodeBlock((unsigned char *)to, digest, 20);
}

const char *cx_websocket_protocol(const char *offered, const char *const *supported)
{
        const char *p = cx_str(offered);
        while (*p) {
                size_t length = strcspn(p, ",");
                const char *from = p;
                size_t n = length;
                while (n && (*from == ' ' || *from == '\t'))
                        from++, n--;
                while (n && (from[n - 1] == ' ' || from[n - 1] == '\t'))
                        n--;
                for (const char *const *candidate = supported; *candidate; candidate++)
                        if (strlen(*candidate) == n && strncmp(*candidate, from, n) == 0)
                                return *candidate;
                p += length + (p[length] == ',');
        }
        return NULL;
}

static bool has_token(const char *list, const char *token)
{
        size_t length = strlen(token);
        for (const char *p = cx_str(list); *p;) {
                p += strspn(p, " \t,");
                size_t n = strcspn(p, " \t,");
                if (n == length && strncasecmp(p, token, n) == 0)
                        return true;
                p += n;
        }
        return false;
}

const char *cx_websocket_check(const char *(*get)(void *context, const char *name), void *context, const char **ret_key)
{
        if (!has_token(get(context, "Connection"), "upgrade") || !has_token(get(context, "Upgrade"), "websocket"))
                return "the request does not ask for a WebSocket";
        if (!cx_streq(get(context, "Sec-WebSocket-Version"), "13"))
                return "unsupported WebSocket version";
        const char *key = get(context, "Sec-WebSocket-Key");
        if (!key || strlen(key) != 24)
                return "missing or malformed Sec-WebSocket-Key";
        *ret_key = key;
        return NULL;
}

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *to, size_t max, int flags CX_UNUSED, void *user)
{
        struct cx_websocket *ws = user;
        // With a message at hand no more is read: a peer that sends faster than it is listened to has to wait.
        ssize_t n = ws->first ? -EAGAIN : (ssize_t)(ws->in_to - ws->in_from);
        if (n == 0) {
                n = cx_wire_read(ws->wire, ws->in, sizeof ws->in);
                ws->in_from = 0;
                ws->in_to = n > 0 ? (size_t)n : 0;
        }
        if (n > 0) {
                if ((size_t)n > max)
                        n = (ssize_t)max;
                memcpy(to, ws->in + ws->in_from, (size_t)n);
                ws->in_from += (size_t)n;
                return n;
        }
        if (n == -EAGAIN) {
                wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
                return -1;
        }
        ws->ended = true;
        ws->broken = n < 0 ? (int)n : 0;
        wslay_event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

// Writes what wslay has handed over; -EAGAIN when the connection has no room for all of it.
static int drain(struct cx_websocket *ws)
{
        while (ws->out_from < ws->out_to) {
                ssize_t n = cx_wire_write(ws->wire, ws->out + ws->out_from, ws->out_to - ws->out_from);
                if (n < 0 && n != -EAGAIN)
                        ws->broken = (int)n;
                if (n <= 0)
                        return n < 0 ? (int)n : -EAGAIN;
                ws->out_from += (size_t)n;
        }
        ws->out_from = ws->out_to = 0;
        return 0;
}

// wslay masks into its stack, and hands over the head of a frame by itself. All is gathered, so that it makes few records;
// and TLS wants a write that it could not finish again with the same bytes at the same place, from whichever thread that is.
static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *data, size_t length, int flags CX_UNUSED,
                       void *user)
{
        struct cx_websocket *ws = user;
        int r = ws->out_to == sizeof ws->out ? drain(ws) : 0;
        if (r == 0) {
                size_t room = sizeof ws->out - ws->out_to;
                if (length > room)
                        length = room;
                memcpy(ws->out + ws->out_to, data, length);
                ws->out_to += length;
                return (ssize_t)length;
        }
        wslay_event_set_error(context, r == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static bool wants_write(const struct cx_websocket *ws)
{
        return ws->out_from < ws->out_to || wslay_event_want_write(ws->context);
}

// Sends what there is room for.
static int send_some(struct cx_websocket *ws)
{
        if (wslay_event_send(ws->context) && !ws->broken)
                ws->broken = -EPROTO;
        (void)drain(ws);
        return ws->broken;
}

static int on_mask(wslay_event_context_ptr context CX_UNUSED, uint8_t *to, size_t length, void *user CX_UNUSED)
{
        cx_random_bytes(to, length);
        return 0;
}

static void on_message(wslay_event_context_ptr context CX_UNUSED, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
        struct cx_websocket *ws = user;
        if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
                ws->got_close = true;
                ws->close_code = arg->status_code ? arg->status_code : 1005;
                return;
        }
        if (arg->opcode != WSLAY_TEXT_FRAME && arg->opcode != WSLAY_BINARY_FRAME)
                return;
        struct websocket_message *message = cx_alloc(sizeof *message + arg->msg_length + 1);
        message->opcode = arg->opcode;
        message->length = arg->msg_length;
        if (arg->msg_length)
                memcpy(message->data, arg->msg, arg->msg_length);
        *ws->last = message;
        ws->last = &message->next;
}

static struct cx_websocket *make(struct cx_wire *wire, bool server)
{
        struct cx_websocket *ws = cx_alloc(sizeof *ws);
        static const struct wslay_event_callbacks callbacks = {
                .recv_callback = on_recv,
                .send_callback = on_send,
                .genmask_callback = on_mask,
                .on_msg_recv_callback = on_message,
        };
        ws->wire = wire;
        ws->last = &ws->first;
        ws->close_code = 1006;
        pthread_mutex_init(&ws->lock, NULL);
        int r = server ? wslay_event_context_server_init(&ws->context, &callbacks, ws)
                       : wslay_event_context_client_init(&ws->context, &callbacks, ws);
        if (r)
                abort();
        wslay_event_config_set_max_recv_msg_length(ws->context, CX_WS_MAX_MESSAGE);
        return ws;
}

struct cx_websocket *cx_websocket_server(struct cx_wire *wire)
{
        return make(wire, true);
}

void cx_websocket_free(struct cx_websocket *ws)
{
        if (!ws)
                return;
        wslay_event_context_free(ws->context);
        while (ws->first) {
                struct websocket_message *message = ws->first;
                ws->first = message->next;
                free(message);
        }
        pthread_mutex_destroy(&ws->lock);
        if (ws->owns_wire)
                cx_wire_free(ws->wire);
        free(ws);
}

int cx_websocket_connect(struct cx_http_client *client, const struct cx_http_call *call, const char *const *protocols,
                         struct cx_websocket **ret_ws, char **ret_protocol, struct cx_http_reply *ret_refusal,
                         struct cx_error *err)
{
        unsigned char nonce[16];
        char key[32], expected[29];
        cx_random_bytes(nonce, sizeof nonce);
        EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
        cx_websocket_accept(key, expected);
        CX_STRINGS headers = CX_STRINGS_INIT;
        cx_strings_add(&headers, "Connection: Upgrade");
        cx_strings_add(&headers, "Upgrade: websocket");
        cx_strings_add(&headers, "Sec-WebSocket-Version: 13");
        CX_CLEANUP(cx_freep) char *key_line = cx_sprintf("Sec-WebSocket-Key: %s", key);
        cx_strings_add(&headers, key_line);
        CX_BUF offer = CX_BUF_INIT;
        cx_buf_add(&offer, "Sec-WebSocket-Protocol: ");
        for (size_t i = 0; protocols && protocols[i]; i++)
                cx_buf_printf(&offer, "%s%s", i ? ", " : "", protocols[i]);
        if (protocols && protocols[0])
                cx_strings_add(&headers, offer.data);
        for (const char *const *header = call->headers; header && *header; header++)
                cx_strings_add(&headers, *header);
        headers.items = cx_realloc_array(headers.items, headers.count + 1, sizeof *headers.items);
        headers.items[headers.count] = NULL;
        struct cx_http_call upgrade = *call;
        upgrade.headers = (const char *const *)headers.items;

        CX_HTTP_REPLY answer = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_wire_freep) struct cx_wire *wire = NULL;
        int r = cx_http_upgrade(client, &upgrade, &wire, &answer, ret_refusal, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *accept = cx_http_reply_header(&answer, "Sec-WebSocket-Accept");
        if (!cx_streq(accept, expected))
                return cx_error_set(err, -EPROTO, "the server's Sec-WebSocket-Accept is wrong");
        CX_CLEANUP(cx_freep) char *chosen = cx_http_reply_header(&answer, "Sec-WebSocket-Protocol");
        if (protocols && protocols[0] && !cx_websocket_protocol(chosen, protocols))
                return cx_error_set(err, -EPROTO, "the server chose a protocol that was not offered: %s",
                                    chosen ? chosen : "none");
        struct cx_websocket *ws = make(cx_steal(&wire), false);
        ws->owns_wire = true;
        if (ret_protocol)
                *ret_protocol = cx_steal(&chosen);
        *ret_ws = ws;
        return 0;
}

// Sends what is queued. The lock is held on entry and on return, and let go while waiting for room.
static int flush(struct cx_websocket *ws)
{
        for (;;) {
                if (ws->broken)
                        return ws->broken;
                int r = send_some(ws);
                if (r < 0 || !wants_write(ws))
                        return r;
                if (ws->closing && cx_time_monotonic() - ws->closing_since > CLOSE_PATIENCE)
                        return -ETIMEDOUT;
                pthread_mutex_unlock(&ws->lock);
                struct pollfd entry = {.fd = ws->wire->fd, .events = POLLOUT};
                int n = poll(&entry, 1, 1000);
                int failed = n < 0 && errno != EINTR ? -errno : 0;
                pthread_mutex_lock(&ws->lock);
                if (failed)
                        return failed;
        }
}

static int queue_and_flush(struct cx_websocket *ws, int opcode, const void *data, size_t length)
{
        pthread_mutex_lock(&ws->lock);
        int r = -EPIPE;
        struct wslay_event_msg message = {(uint8_t)opcode, data, length};
        if (!ws->closing && wslay_event_queue_msg(ws->context, &message) == 0)
                r = flush(ws);
        pthread_mutex_unlock(&ws->lock);
        return r;
}

int cx_websocket_send(struct cx_websocket *ws, int opcode, const void *data, size_t length)
{
        return queue_and_flush(ws, opcode, data, length);
}

int cx_websocket_ping(struct cx_websocket *ws)
{
        return queue_and_flush(ws, WSLAY_PING, NULL, 0);
}

void cx_websocket_close(struct cx_websocket *ws, int code, const char *reason)
{
        pthread_mutex_lock(&ws->lock);
        if (!ws->closing) {
                ws->closing = true;
                ws->closing_since = cx_time_monotonic();
                size_t length = strlen(cx_str(reason));
                if (wslay_event_queue_close(ws->context, (uint16_t)code, (const uint8_t *)cx_str(reason),
                                            length > 120 ? 120 : length) == 0)
                        (void)!flush(ws);
        }
        pthread_mutex_unlock(&ws->lock);
}

int cx_websocket_close_code(const struct cx_websocket *ws)
{
        return ws->close_code;
}

// 1 when a message was taken, 0 at the end, -EAGAIN when there is nothing yet. Called with the lock.
static int take_message(struct cx_websocket *ws, int *ret_opcode, struct cx_buf *ret_message)
{
        if (!ws->first && !ws->ended && !ws->got_close && !ws->broken) {
                int r = wslay_event_recv(ws->context);
                if (r && !ws->ended && !ws->broken)
                        ws->broken = -EPROTO;
                // Pongs, and the echo of a close frame; a full socket is left to the next call.
                if (wants_write(ws))
                        (void)send_some(ws);
        }
        struct websocket_message *message = ws->first;
        if (message) {
                ws->first = message->next;
                if (!ws->first)
                        ws->last = &ws->first;
                cx_buf_clear(ret_message);
                cx_buf_append(ret_message, message->data, message->length);
                *ret_opcode = message->opcode;
                free(message);
                return ret_message->overflow ? -EMSGSIZE : 1;
        }
        if (ws->got_close)
                return 0;
        if (ws->broken)
                return ws->broken;
        if (ws->ended || !wslay_event_want_read(ws->context)) // cut off, or too large a message: wslay has closed
                return ws->ended ? 0 : -EPROTO;
        return -EAGAIN;
}

int cx_websocket_recv(struct cx_websocket *ws, int64_t timeout, int *ret_opcode, struct cx_buf *ret_message)
{
        int64_t deadline = timeout < 0 ? INT64_MAX : cx_time_monotonic() + timeout;
        for (;;) {
                pthread_mutex_lock(&ws->lock);
                int r = take_message(ws, ret_opcode, ret_message);
                bool want_write = r == -EAGAIN && wants_write(ws);
                int64_t patience = ws->closing ? ws->closing_since + CLOSE_PATIENCE : INT64_MAX;
                pthread_mutex_unlock(&ws->lock);
                if (r != -EAGAIN)
                        return r;
                int64_t until = patience < deadline ? patience : deadline, left = until - cx_time_monotonic();
                if (left <= 0)
                        return -ETIMEDOUT;
                // Now and then it looks whether the connection is being closed: another thread may have begun that.
                int ms = left > LOOK_PERIOD ? (int)(LOOK_PERIOD / CX_NS_PER_MS) : (int)(left / CX_NS_PER_MS) + 1;
                struct pollfd entry = {.fd = ws->wire->fd, .events = (short)(POLLIN | (want_write ? POLLOUT : 0))};
                if (poll(&entry, 1, ms) < 0 && errno != EINTR)
                        return -errno;
        }
}

// --- as a wire -------------------------------------------------------------------------------------------------------

struct websocket_wire {
        struct cx_wire wire;
        struct cx_websocket *ws;
        struct cx_buf message;
        size_t taken; // of it
        size_t begun; // bytes of a write whose message is not all sent
};

static ssize_t read_message(struct cx_wire *wire, void *to, size_t max)
{
        struct websocket_wire *w = (struct websocket_wire *)wire;
        while (w->taken == w->message.length) {
                w->taken = 0;
                cx_buf_clear(&w->message);
                int opcode, r = cx_websocket_recv(w->ws, 0, &opcode, &w->message);
                if (r <= 0)
                        return r == -ETIMEDOUT ? -EAGAIN : r;
        }
        size_t left = w->message.length - w->taken, n = left < max ? left : max;
        memcpy(to, w->message.data + w->taken, n);
        w->taken += n;
        return (ssize_t)n;
}

// A write is done when its message is sent: who gets -EAGAIN comes again with the same bytes when there is room.
static ssize_t write_message(struct cx_wire *wire, const void *data, size_t length)
{
        struct websocket_wire *w = (struct websocket_wire *)wire;
        struct cx_websocket *ws = w->ws;
        const struct wslay_event_msg message = {WSLAY_BINARY_FRAME, data, length};
        pthread_mutex_lock(&ws->lock);
        ssize_t r = ws->closing || ws->got_close ? -EPIPE : ws->broken;
        if (r == 0 && !w->begun) {
                r = wslay_event_queue_msg(ws->context, &message) ? -EPIPE : 0;
                w->begun = length;
        }
        if (r == 0)
                r = send_some(ws);
        if (r == 0)
                r = wants_write(ws) ? -EAGAIN : (ssize_t)w->begun;
        if (r > 0)
                w->begun = 0;
        pthread_mutex_unlock(&ws->lock);
        return r;
}

static void free_websocket_wire(struct cx_wire *wire)
{
        struct websocket_wire *w = (struct websocket_wire *)wire;
        cx_websocket_close(w->ws, 1000, "");
        cx_buf_release(&w->message);
        free(w);
}

struct cx_wire *cx_websocket_wire(struct cx_websocket *ws)
{
        static const struct cx_wire_type type = {read_message, write_message, free_websocket_wire};
        struct websocket_wire *w = cx_alloc(sizeof *w);
        *w = (struct websocket_wire){{&type, ws->wire->fd}, ws, CX_BUF_INIT_MAX(CX_WS_MAX_MESSAGE), 0, 0};
        return &w->wire;
}
