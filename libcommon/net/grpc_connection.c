// SPDX-License-Identifier: Apache-2.0
// An HTTP/2 connection (RFC 9113, nghttp2): packs and sends the frames of transfers, takes apart what comes. What
// nghttp2 tells is only gathered: bytes into `in`, ended transfers into the channel's `finished`.
#include "libcommon/net/grpc_internal.h"

#include <sys/eventfd.h>

#define WINDOW (8 << 20)
#define OUT_BLOCK ((size_t)64 << 10)
#define IN_BLOCK ((size_t)16 << 10) // a TLS record

// --- lists ---

void cx_transfer_move(struct cx_transfer *t, struct cx_transfers *to)
{
        struct cx_transfers *from = t->list;
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

void cx_grpc_wake_locked(struct cx_grpc *grpc)
{
        if (!grpc->polling)
                return;
        grpc->polling = false;
        (void)eventfd_write(grpc->wake_fd, 1);
}

// The transfer has its outcome: the I/O thread tells it to its owner.
void cx_transfer_finish(struct cx_grpc *grpc, struct cx_transfer *t, int status, const char *text)
{
        if (t->status < 0)
                t->status = status;
        if (text && !t->text)
                t->text = cx_strdup(text);
        t->connection = NULL;
        cx_transfer_move(t, &grpc->finished);
        cx_grpc_wake_locked(grpc);
}

// --- nghttp2's callbacks, under the lock ---

static ssize_t on_send_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                            nghttp2_data_source *source CX_UNUSED, void *context CX_UNUSED)
{
        struct cx_transfer *t = nghttp2_session_get_stream_user_data(session, id);
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
        struct cx_transfer *t = nghttp2_session_get_stream_user_data(session, id);
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
        struct cx_transfer *t = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
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
        struct cx_connection *c = context;
        struct cx_transfer *t = nghttp2_session_get_stream_user_data(session, id);
        if (!t)
                return 0;
        // RFC 9113 section 8.7: a refused stream was not processed.
        t->unsent = error == NGHTTP2_REFUSED_STREAM;
        cx_transfer_finish(c->grpc, t, -1,
                           error == NGHTTP2_NO_ERROR ? "the answer has no status" : nghttp2_http2_strerror(error));
        return 0;
}

// --- a connection ---

int cx_connection_open(struct cx_connection *c)
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
void cx_connection_drop(struct cx_connection *c)
{
        if (!c)
                return;
        CX_CLEANUP(cx_freep) char *why = cx_sprintf("the connection to %s was lost", c->grpc->peer);
        while (c->open.first)
                cx_transfer_finish(c->grpc, c->open.first, -1, why);
        nghttp2_session_del(c->session);
        cx_link_close(&c->link);
        cx_buf_release(&c->out);
        free(c);
}

// Packs what the session wants to send and gives it to TLS, as far as it is taken.
void cx_connection_flush(struct cx_connection *c)
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
                ssize_t n =
                        cx_link_write(&c->link, c->out.data + c->out_sent, c->out.length - c->out_sent, &c->want_write);
                if (n <= 0) {
                        c->broken = n != -EAGAIN;
                        return;
                }
                c->out_sent += (size_t)n;
        }
}

void cx_connection_receive(struct cx_connection *c)
{
        uint8_t block[IN_BLOCK];
        while (!c->broken) {
                bool wants_write;
                ssize_t n = cx_link_read(&c->link, block, sizeof block, &wants_write);
                if (n <= 0) {
                        c->broken = n != -EAGAIN;
                        break;
                }
                c->broken = nghttp2_session_mem_recv(c->session, block, (size_t)n) != n;
        }
        cx_connection_flush(c);
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

bool cx_connection_submit(struct cx_connection *c, struct cx_transfer *t)
{
        enum { OWN_HEADERS = 7 };
        const struct cx_grpc *grpc = c->grpc;
        nghttp2_nv headers[OWN_HEADERS + CX_GRPC_STREAM_HEADERS] = {
                header(":method", "POST"),
                header(":scheme", grpc->endpoints[c->endpoint].tls ? "https" : "http"),
                header(":path", t->method),
                header(":authority", grpc->endpoints[c->endpoint].authority),
                header("content-type", "application/grpc"),
                header("te", "trailers"),
                header("user-agent", grpc->user_agent),
        };
        size_t count = OWN_HEADERS;
        for (size_t i = 0; t->is_stream && i < grpc->n_stream_headers; i++)
                headers[count++] = header(grpc->stream_headers[i][0], grpc->stream_headers[i][1]);
        nghttp2_data_provider body = {.read_callback = on_send_data};
        int32_t id = nghttp2_submit_request(c->session, NULL, headers, count, &body, t);
        if (id < 0)
                return false; // GOAWAY, or out of stream numbers: the next connection takes it
        t->id = id;
        t->connection = c;
        cx_transfer_move(t, &c->open);
        return true;
}

// Cancels an open transfer; nghttp2 forgets whose it was.
void cx_transfer_cancel(struct cx_transfer *t)
{
        struct cx_connection *c = t->connection;
        nghttp2_session_set_stream_user_data(c->session, t->id, NULL);
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_CANCEL);
        cx_connection_flush(c);
}
