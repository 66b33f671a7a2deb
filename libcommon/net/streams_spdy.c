// SPDX-License-Identifier: Apache-2.0
// Channels over SPDY. A header of each stream tells what it is: one of the streams of exec and attach, or the data or the
// errors of a forwarded connection, the two of which have the port and the number of a request in common. The client opens
// all of them, and sends no data before the server has taken a stream.
#include "libcommon/net/spdy.h"
#include "libcommon/net/streams_internal.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/net/websocket.h"

#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#define STREAMS_MAX (2 * CX_FORWARDS_MAX)
#define REQUEST_MAX 32
#define CREATION_PATIENCE (30 * CX_NS_PER_S) // for a client that has yet to open the stream that we send on
#define FORWARD "portforward.k8s.io"
#define VERSIONS "X-Stream-Protocol-Version"

struct spdy_stream {
        uint32_t id;
        int channel;
        bool in_over, out_over; // the peer sends no more; we send no more, or it takes no more
        bool paired;            // of a forwarded connection
        int port;
        char request[REQUEST_MAX];
};

struct spdy_carrier {
        struct cx_spdy *spdy;
        struct cx_wire *wire; // owned by a client
        bool server, forwards;
        pthread_mutex_t lock; // guards the rest
        pthread_cond_t changed;
        struct spdy_stream *streams;
        size_t n_streams, capacity;
        int next_forward;
        bool over;       // nothing is received any more
        int64_t patient; // until then a missing stream is waited for; monotonic
        int ended;       // the channel whose end is to be told next, or -1
};

// --- the table of streams; called with the lock ----------------------------------------------------------------------

static struct spdy_stream *find_id(struct spdy_carrier *c, uint32_t id)
{
        for (size_t i = 0; i < c->n_streams; i++)
                if (c->streams[i].id == id)
                        return &c->streams[i];
        return NULL;
}

static struct spdy_stream *find_channel(struct spdy_carrier *c, int channel)
{
        for (size_t i = 0; i < c->n_streams; i++)
                if (c->streams[i].channel == channel)
                        return &c->streams[i];
        return NULL;
}

// NULL when there are too many.
static struct spdy_stream *add_stream(struct spdy_carrier *c, uint32_t id, int channel)
{
        if (c->n_streams == STREAMS_MAX)
                return NULL;
        if (c->n_streams == c->capacity) {
                c->capacity = c->capacity ? 2 * c->capacity : 8;
                c->streams = cx_realloc_array(c->streams, c->capacity, sizeof *c->streams);
        }
        struct spdy_stream *stream = &c->streams[c->n_streams++];
        *stream = (struct spdy_stream){.id = id, .channel = channel};
        return stream;
}

// Forgets a stream that is over in both directions. Those of exec stay: what is sent on them later must not wait for them.
static void settle(struct spdy_carrier *c, struct spdy_stream *stream)
{
        if (c->forwards && stream->in_over && stream->out_over)
                *stream = c->streams[--c->n_streams];
}

// The stream to send on, which the client may have yet to open. NULL when there is none, or nothing is taken on it.
static struct spdy_stream *wait_for(struct spdy_carrier *c, int channel)
{
        struct spdy_stream *stream = find_channel(c, channel);
        bool late = false;
        while (!stream && c->server && !c->forwards && !c->over && !late) {
                late = cx_cond_wait_until(&c->changed, &c->lock, c->patient);
                stream = find_channel(c, channel);
        }
        return stream && !stream->out_over ? stream : NULL;
}

// --- sending ---------------------------------------------------------------------------------------------------------

static int send_on(void *carrier, int channel, const void *data, size_t length)
{
        struct spdy_carrier *c = carrier;
        pthread_mutex_lock(&c->lock);
        const struct spdy_stream *stream = wait_for(c, channel);
        uint32_t id = stream ? stream->id : 0;
        pthread_mutex_unlock(&c->lock);
        return id ? cx_spdy_send(c->spdy, id, data, length, false) : -EPIPE;
}

static bool end_channel(void *carrier, int channel)
{
        struct spdy_carrier *c = carrier;
        uint32_t id = 0;
        pthread_mutex_lock(&c->lock);
        struct spdy_stream *stream = find_channel(c, channel);
        if (stream && !stream->out_over) {
                id = stream->id;
                stream->out_over = true;
                settle(c, stream);
        }
        pthread_mutex_unlock(&c->lock);
        return id && cx_spdy_send(c->spdy, id, NULL, 0, true) == 0;
}

static void cut_channel(void *carrier, int channel)
{
        struct spdy_carrier *c = carrier;
        uint32_t id = 0;
        pthread_mutex_lock(&c->lock);
        struct spdy_stream *stream = find_channel(c, channel);
        if (stream) {
                id = stream->id;
                stream->in_over = stream->out_over = true;
                settle(c, stream);
        }
        pthread_mutex_unlock(&c->lock);
        if (id)
                (void)!cx_spdy_reset(c->spdy, id, CX_SPDY_CANCEL);
}

static int ping_peer(void *carrier)
{
        return cx_spdy_ping(((struct spdy_carrier *)carrier)->spdy);
}

// A client reads each stream to its end.
static void close_session(void *carrier)
{
        struct spdy_carrier *c = carrier;
        for (int channel = CX_STREAM_STDIN; !c->forwards && channel <= CX_STREAM_RESIZE; channel++)
                (void)end_channel(c, channel);
        cx_spdy_close(c->spdy);
        // A client's forwarded connections are over with it: there is nothing to wait for.
        if (c->forwards && !c->server)
                (void)shutdown(c->wire->fd, SHUT_RDWR);
}

static int open_stream(struct spdy_carrier *c, const char *type, int port, int n, int channel)
{
        CX_CLEANUP(cx_freep) char *request = cx_strdup(CX_INT(n));
        const char *const headers[] = {"streamtype", type, "port", CX_INT(port), "requestid", request, NULL};
        bool data = channel == CX_FORWARD_DATA(n);
        uint32_t id = 0;
        int r = cx_spdy_open(c->spdy, headers, !data, &id);
        if (r < 0)
                return r;
        struct spdy_stream *stream = add_stream(c, id, channel);
        if (!stream)
                return -ENOSPC;
        stream->out_over = !data;
        return 0;
}

// With the lock: an answer finds the stream in the table.
static int open_forward(void *carrier, int port, int *ret_n)
{
        struct spdy_carrier *c = carrier;
        int r = -ENOSPC;
        pthread_mutex_lock(&c->lock);
        if (c->n_streams + 2 <= STREAMS_MAX && c->next_forward < INT32_MAX / 2) {
                int n = *ret_n = c->next_forward++;
                r = open_stream(c, "error", port, n, CX_FORWARD_ERROR(n));
                if (r == 0)
                        r = open_stream(c, "data", port, n, CX_FORWARD_DATA(n));
        }
        pthread_mutex_unlock(&c->lock);
        return r;
}

// --- receiving; called with the lock ---------------------------------------------------------------------------------

static int channel_of(const char *type)
{
        static const char *const types[] = {
                [CX_STREAM_STDIN] = "stdin", [CX_STREAM_STDOUT] = "stdout", [CX_STREAM_STDERR] = "stderr",
                [CX_STREAM_ERROR] = "error", [CX_STREAM_RESIZE] = "resize",
        };
        for (int i = 0; i < (int)CX_ARRAY_SIZE(types); i++)
                if (strcmp(types[i], type) == 0)
                        return i;
        return -1;
}

// The other stream of a forwarded connection, when it is there and has none yet.
static struct spdy_stream *find_pair(struct spdy_carrier *c, const char *request, int parity)
{
        for (size_t i = 0; i < c->n_streams; i++) {
                struct spdy_stream *stream = &c->streams[i];
                if (!stream->paired && stream->channel % 2 != parity && strcmp(stream->request, request) == 0)
                        return stream;
        }
        return NULL;
}

// A stream of a forwarded connection. Its number is that of the first of the two. NULL when it is refused.
static struct spdy_stream *add_forward(struct spdy_carrier *c, uint32_t id, const struct cx_buf *headers)
{
        const char *type = cx_str(cx_spdy_header(headers, "streamtype"));
        bool data = strcmp(type, "data") == 0;
        int64_t port;
        if ((!data && strcmp(type, "error") != 0) ||
            cx_parse_int(cx_str(cx_spdy_header(headers, "port")), 1, 65535, &port) < 0)
                return NULL;
        // The oldest clients number nothing: there the data follows its errors.
        char request[REQUEST_MAX];
        const char *asked = cx_spdy_header(headers, "requestid");
        int n = snprintf(request, sizeof request, "%s", asked ? asked : CX_INT(data ? (int64_t)id - 2 : id));
        struct spdy_stream *pair = find_pair(c, request, data ? 0 : 1);
        if (n >= REQUEST_MAX || (!pair && c->next_forward == INT32_MAX / 2))
                return NULL;
        int number = pair ? CX_FORWARD_OF(pair->channel) : c->next_forward;
        if (pair)
                pair->paired = true;
        struct spdy_stream *stream = add_stream(c, id, data ? CX_FORWARD_DATA(number) : CX_FORWARD_ERROR(number));
        if (!stream)
                return NULL;
        c->next_forward += !pair;
        stream->paired = pair != NULL;
        stream->port = (int)port;
        memcpy(stream->request, request, sizeof request);
        return stream;
}

// 1 when the stream is an event.
static int on_opened(struct spdy_carrier *c, const struct cx_spdy_event *e, const struct cx_buf *headers,
                     struct cx_stream_event *ret_event)
{
        struct spdy_stream *stream = NULL;
        int channel = channel_of(cx_str(cx_spdy_header(headers, "streamtype")));
        if (c->server && c->forwards)
                stream = add_forward(c, e->stream, headers);
        else if (c->server && channel >= 0 && !find_channel(c, channel))
                stream = add_stream(c, e->stream, channel);
        if (!stream)
                return cx_spdy_reset(c->spdy, e->stream, CX_SPDY_REFUSED_STREAM);
        int r = cx_spdy_reply(c->spdy, e->stream);
        if (r < 0)
                return r;
        stream->in_over = e->ended;
        pthread_cond_broadcast(&c->changed);
        if (c->forwards && stream->paired) {
                int number = CX_FORWARD_OF(stream->channel);
                const struct spdy_stream *data = find_channel(c, CX_FORWARD_DATA(number));
                if (data && data->in_over)
                        c->ended = data->channel;
                *ret_event = (struct cx_stream_event){CX_STREAM_OPENED, CX_FORWARD_DATA(number), stream->port};
                return 1;
        }
        *ret_event = (struct cx_stream_event){CX_STREAM_ENDED, stream->channel, 0};
        return e->ended && !c->forwards;
}

static int on_data(struct spdy_carrier *c, const struct cx_spdy_event *e, const struct cx_buf *data,
                   struct cx_stream_event *ret_event)
{
        struct spdy_stream *stream = find_id(c, e->stream);
        if (!stream || stream->in_over)
                return 0; // it may have been on its way when we cut it
        int channel = stream->channel;
        bool known = c->server && c->forwards ? stream->paired : true;
        if (data->length && !known)
                return -EPROTO;
        if (e->ended) {
                stream->in_over = true;
                settle(c, stream);
        }
        if (!known)
                return 0;
        if (e->ended && data->length)
                c->ended = channel;
        *ret_event = (struct cx_stream_event){data->length ? CX_STREAM_DATA : CX_STREAM_ENDED, channel, 0};
        return data->length || e->ended;
}

static int on_reset(struct spdy_carrier *c, const struct cx_spdy_event *e, struct cx_stream_event *ret_event)
{
        struct spdy_stream *stream = find_id(c, e->stream);
        if (!stream)
                return 0;
        *ret_event = (struct cx_stream_event){CX_STREAM_CUT, stream->channel, 0};
        stream->in_over = stream->out_over = true;
        settle(c, stream);
        return 1;
}

static int on_replied(struct spdy_carrier *c, const struct cx_spdy_event *e, struct cx_stream_event *ret_event)
{
        const struct spdy_stream *stream = find_id(c, e->stream);
        if (!stream || c->server)
                return 0;
        *ret_event = (struct cx_stream_event){CX_STREAM_OPENED, stream->channel, 0};
        return stream->channel % 2 == 0; // of its data
}

static int translate(struct spdy_carrier *c, const struct cx_spdy_event *e, const struct cx_buf *data,
                     struct cx_stream_event *ret_event)
{
        switch (e->kind) {
        case CX_SPDY_OPENED:
                return on_opened(c, e, data, ret_event);
        case CX_SPDY_REPLIED:
                return on_replied(c, e, ret_event);
        case CX_SPDY_DATA:
                return on_data(c, e, data, ret_event);
        case CX_SPDY_RESET:
                return on_reset(c, e, ret_event);
        }
        return -EPROTO;
}

static int receive(void *carrier, struct cx_stream_event *ret_event, struct cx_buf *ret_data)
{
        struct spdy_carrier *c = carrier;
        if (c->ended >= 0) {
                *ret_event = (struct cx_stream_event){CX_STREAM_ENDED, c->ended, 0};
                c->ended = -1;
                return 1;
        }
        int r;
        do {
                struct cx_spdy_event event;
                r = cx_spdy_receive(c->spdy, &event, ret_data);
                pthread_mutex_lock(&c->lock);
                if (r == 1) {
                        r = translate(c, &event, ret_data, ret_event);
                        if (r == 0)
                                r = -EAGAIN;
                }
                if (r <= 0 && r != -EAGAIN) {
                        c->over = true;
                        pthread_cond_broadcast(&c->changed);
                }
                pthread_mutex_unlock(&c->lock);
        } while (r == -EAGAIN);
        return r;
}

// --- its life --------------------------------------------------------------------------------------------------------

static int carrier_fd(void *carrier)
{
        const struct spdy_carrier *c = carrier;
        return c->server ? c->wire->fd : -1;
}

static void free_carrier(void *carrier)
{
        struct spdy_carrier *c = carrier;
        cx_spdy_free(c->spdy);
        if (!c->server)
                cx_wire_free(c->wire);
        pthread_mutex_destroy(&c->lock);
        pthread_cond_destroy(&c->changed);
        free(c->streams);
        free(c);
}

struct cx_streams *cx_streams_spdy(struct cx_wire *wire, bool server, const char *protocol)
{
        static const struct cx_streams_transport spdy = {.receive = receive,
                                                         .send = send_on,
                                                         .end = end_channel,
                                                         .cut = cut_channel,
                                                         .open = open_forward,
                                                         .ping = ping_peer,
                                                         .close = close_session,
                                                         .fd = carrier_fd,
                                                         .free = free_carrier};
        struct spdy_carrier *c = cx_alloc(sizeof *c);
        c->spdy = cx_spdy_new(wire, server);
        c->wire = wire;
        c->server = server;
        c->forwards = strcmp(protocol, FORWARD) == 0;
        c->patient = cx_time_monotonic() + CREATION_PATIENCE;
        c->ended = -1;
        pthread_mutex_init(&c->lock, NULL);
        cx_cond_init(&c->changed);
        struct cx_streams *streams = cx_alloc(sizeof *streams);
        *streams =
                (struct cx_streams){.transport = &spdy, .carrier = c, .plain_status = strncmp(protocol, "v4.", 3) != 0};
        return streams;
}

// --- requests --------------------------------------------------------------------------------------------------------

static const char *const forward_protocols[] = {FORWARD, NULL};
static const char *const exec_protocols[] = {"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io",
                                             "channel.k8s.io", NULL};

static void run_upgrade(struct cx_wire *wire, void *context)
{
        struct cx_streams_upgrade *u = context;
        CX_CLEANUP(cx_streams_freep) struct cx_streams *streams = cx_streams_spdy(wire, true, u->protocol);
        u->session.run(streams, u->session.context);
        cx_streams_close(streams);
}

// The versions that a client offers come in one line or in several.
static void gather_versions(void *context, const char *name, const char *value)
{
        if (strcasecmp(name, VERSIONS) == 0)
                cx_buf_printf(context, "%s%s", ((struct cx_buf *)context)->length ? ", " : "", value);
}

bool cx_streams_spdy_upgrade(struct cx_http_request *request, const struct cx_streams_session *session)
{
        const char *upgrade = cx_http_header(request, "Upgrade");
        if (!upgrade || strcasecmp(upgrade, "SPDY/3.1") != 0)
                return false;
        const char *const *protocols = session->forwards ? forward_protocols : exec_protocols;
        CX_BUF offered = CX_BUF_INIT_MAX(4096);
        cx_http_headers(request, gather_versions, &offered);
        const char *chosen = cx_websocket_protocol(offered.data, protocols);
        if (!chosen && session->forwards && !offered.length)
                chosen = FORWARD; // the oldest clients
        if (!chosen) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text,
                              "unable to upgrade: unable to negotiate protocol: client supports [%s], server accepts [",
                              offered.data);
                for (size_t i = 0; protocols[i]; i++) {
                        cx_buf_printf(&text, "%s%s", i ? " " : "", protocols[i]);
                        cx_http_add_header(request, "X-Accepted-Stream-Protocol-Versions", protocols[i]);
                }
                cx_buf_add(&text, "]");
                cx_http_respond_text(request, 403, text.data);
                session->release(session->context);
                return true;
        }
        cx_http_add_header(request, "Upgrade", "SPDY/3.1");
        cx_http_add_header(request, VERSIONS, chosen);
        cx_streams_upgrade_to(request, session, chosen, run_upgrade);
        return true;
}

int cx_streams_spdy_connect(struct cx_http_client *client, const struct cx_http_call *call,
                            struct cx_streams **ret_streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
{
        CX_HTTP_REPLY answer = CX_HTTP_REPLY_INIT;
        struct cx_wire *wire = NULL;
        size_t count = 0;
        while (call->headers && call->headers[count])
                count++;
        CX_CLEANUP(cx_freep) const char **headers = cx_alloc_array(count + 4, sizeof *headers);
        for (size_t i = 0; i < count; i++)
                headers[i] = call->headers[i];
        headers[count] = "Connection: Upgrade";
        headers[count + 1] = "Upgrade: SPDY/3.1";
        headers[count + 2] = VERSIONS ": " FORWARD;
        struct cx_http_call upgrade = *call;
        upgrade.method = "POST";
        upgrade.headers = headers;
        int r = cx_http_upgrade(client, &upgrade, &wire, &answer, ret_refusal, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *chosen = cx_http_reply_header(&answer, VERSIONS);
        if (!cx_streq(chosen, FORWARD)) {
                cx_wire_free(wire);
                return cx_error_set(err, -EPROTO,
                                    "unable to negotiate protocol: client supports \"" FORWARD
                                    "\", server returned \"%s\"",
                                    cx_str(chosen));
        }
        *ret_streams = cx_streams_spdy(wire, false, FORWARD);
        return 0;
}
