// SPDX-License-Identifier: Apache-2.0
// Channels over WebSocket: a binary message is a byte that names the channel, and its data. The channels of exec and attach
// have streams.h's numbers. Those of a port-forward are fixed by the ports that the request names, two for each, and the
// server begins both with the port's number. v5 has a word for a channel's end, message 255 with the channel's number;
// before it there is none.
#include "libcommon/net/streams_internal.h"
#include "libcommon/net/websocket.h"

#include <assert.h>
#include <stdlib.h>

#define V1 "channel.k8s.io"
#define V4 "v4.channel.k8s.io"
#define V5 "v5.channel.k8s.io"
#define END_CHANNEL 255
#define PORTS_MAX 127 // a channel is a byte

struct ws_carrier {
        int fd; // -1 at a client
        struct cx_websocket *ws;
        bool tells_ends;
        int ports[PORTS_MAX];
        size_t n_ports, opened; // opened: of the ports, those that were told
};

static int send_message(struct ws_carrier *c, int channel, const void *data, size_t length)
{
        CX_BUF message = CX_BUF_INIT;
        cx_buf_add_char(&message, (char)channel);
        cx_buf_append(&message, data, length);
        return cx_websocket_send(c->ws, CX_WS_BINARY, message.data, message.length);
}

static int send_data(void *carrier, int channel, const void *data, size_t length)
{
        return send_message(carrier, channel, data, length);
}

// 1 when the message is an event, 0 when it says nothing.
static int take_message(const struct ws_carrier *c, struct cx_stream_event *ret_event, struct cx_buf *data)
{
        if (!data->length)
                return 0;
        int channel = (unsigned char)data->data[0];
        cx_buf_consume(data, 1);
        if (channel == END_CHANNEL && c->tells_ends) {
                if (data->length != 1)
                        return 0;
                *ret_event = (struct cx_stream_event){CX_STREAM_ENDED, (unsigned char)data->data[0], 0};
                cx_buf_clear(data);
                return 1;
        }
        *ret_event = (struct cx_stream_event){CX_STREAM_DATA, channel, 0};
        return 1;
}

static int receive(void *carrier, struct cx_stream_event *ret_event, struct cx_buf *ret_data)
{
        struct ws_carrier *c = carrier;
        if (c->opened < c->n_ports) {
                int n = (int)c->opened++;
                *ret_event = (struct cx_stream_event){CX_STREAM_OPENED, CX_FORWARD_DATA(n), c->ports[n]};
                return 1;
        }
        for (;;) {
                int opcode = 0;
                int r = cx_websocket_recv(c->ws, -1, &opcode, ret_data);
                if (r <= 0)
                        return r;
                if (take_message(c, ret_event, ret_data))
                        return 1;
        }
}

static bool end_channel(void *carrier, int channel)
{
        struct ws_carrier *c = carrier;
        const char number = (char)channel;
        return c->tells_ends && send_message(c, END_CHANNEL, &number, 1) == 0;
}

static int ping(void *carrier)
{
        return cx_websocket_ping(((struct ws_carrier *)carrier)->ws);
}

static void close_carrier(void *carrier)
{
        cx_websocket_close(((struct ws_carrier *)carrier)->ws, 1000, "");
}

static int carrier_fd(void *carrier)
{
        return ((struct ws_carrier *)carrier)->fd;
}

static void free_carrier(void *carrier)
{
        struct ws_carrier *c = carrier;
        cx_websocket_free(c->ws);
        free(c);
}

static const struct cx_streams_transport websocket = {.receive = receive,
                                                      .send = send_data,
                                                      .end = end_channel,
                                                      .ping = ping,
                                                      .close = close_carrier,
                                                      .fd = carrier_fd,
                                                      .free = free_carrier};

static struct cx_streams streams_over(struct ws_carrier *carrier, const char *protocol)
{
        carrier->tells_ends = cx_streq(protocol, V5);
        return (struct cx_streams){.transport = &websocket, .carrier = carrier, .plain_status = cx_streq(protocol, V1)};
}

// --- the server's side -----------------------------------------------------------------------------------------------

static int tell_ports(struct ws_carrier *c)
{
        int r = 0;
        for (int i = 0; r == 0 && i < (int)c->n_ports; i++) {
                const char port[2] = {(char)(c->ports[i] & 0xff), (char)(c->ports[i] >> 8)};
                r = send_message(c, CX_FORWARD_DATA(i), port, sizeof port);
                if (r == 0)
                        r = send_message(c, CX_FORWARD_ERROR(i), port, sizeof port);
        }
        return r;
}

struct cx_streams *cx_streams_websocket_server(struct cx_wire *wire, const char *protocol, const int *ports,
                                               size_t n_ports)
{
        struct ws_carrier *carrier = cx_alloc(sizeof *carrier);
        assert(n_ports <= PORTS_MAX);
        carrier->ws = cx_websocket_server(wire);
        carrier->fd = wire->fd;
        for (size_t i = 0; i < n_ports; i++)
                carrier->ports[carrier->n_ports++] = ports[i];
        struct cx_streams *streams = cx_alloc(sizeof *streams);
        *streams = streams_over(carrier, protocol);
        return streams;
}

static void run_upgrade(struct cx_wire *wire, void *context)
{
        struct cx_streams_upgrade *u = context;
        CX_CLEANUP(cx_streams_freep)
        struct cx_streams *streams =
                cx_streams_websocket_server(wire, u->protocol, u->session.ports, u->session.n_ports);
        if (tell_ports(streams->carrier) == 0)
                u->session.run(streams, u->session.context);
        cx_streams_close(streams);
}

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

const char *cx_streams_websocket_upgrade(struct cx_http_request *request, const struct cx_streams_session *session)
{
        static const char *const protocols[] = {V5, V4, V1, NULL};
        const char *key = NULL, *offered = cx_http_header(request, "Sec-WebSocket-Protocol");
        const char *why = cx_websocket_check(get_header, request, &key);
        const char *chosen = offered ? cx_websocket_protocol(offered, protocols) : V1;
        if (!why && !chosen)
                why = "no supported subprotocol was offered";
        if (!why && session->forwards && !session->n_ports)
                why = "query parameter \"port\" is required";
        if (!why && session->n_ports > PORTS_MAX)
                why = "too many ports";
        if (why)
                return why;
        char accept[29];
        cx_websocket_accept(key, accept);
        cx_http_add_header(request, "Upgrade", "websocket");
        cx_http_add_header(request, "Sec-WebSocket-Accept", accept);
        if (offered)
                cx_http_add_header(request, "Sec-WebSocket-Protocol", chosen);
        cx_streams_upgrade_to(request, session, chosen, run_upgrade);
        return NULL;
}

// --- the client's side -----------------------------------------------------------------------------------------------

int cx_streams_websocket_connect(struct cx_http_client *client, const struct cx_http_call *call,
                                 struct cx_streams *streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
{
        static const char *const protocols[] = {V5, V4, NULL};
        CX_CLEANUP(cx_freep) char *protocol = NULL;
        struct cx_websocket *ws = NULL;
        int r = cx_websocket_connect(client, call, protocols, &ws, &protocol, ret_refusal, err);
        if (r < 0)
                return r;
        struct ws_carrier *carrier = cx_alloc(sizeof *carrier);
        carrier->fd = -1;
        carrier->ws = ws;
        *streams = streams_over(carrier, protocol);
        return 0;
}
