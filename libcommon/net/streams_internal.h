// SPDX-License-Identifier: Apache-2.0
// What carries channels: see streams.h for what each function has to keep.
#pragma once

#include "libcommon/net/streams.h"

struct cx_streams_transport {
        int (*receive)(void *carrier, struct cx_stream_event *ret_event, struct cx_buf *ret_data);
        int (*send)(void *carrier, int channel, const void *data, size_t length);
        bool (*end)(void *carrier, int channel);
        void (*cut)(void *carrier, int channel);          // NULL: there is no word for it
        int (*open)(void *carrier, int port, int *ret_n); // NULL: the request names all forwarded connections
        int (*ping)(void *carrier);
        void (*close)(void *carrier);
        int (*fd)(void *carrier);
        void (*free)(void *carrier);
};
struct cx_streams {
        const struct cx_streams_transport *transport;
        void *carrier;
        bool plain_status; // the first protocols: success is not told, and a failure in words
};

// An upgrade on its way: the session, and the protocol that its transport has chosen.
struct cx_streams_upgrade {
        struct cx_streams_session session;
        const char *protocol;
};
// Upgrades the request, with the headers added so far. `run` gets an upgrade as its context.
void cx_streams_upgrade_to(struct cx_http_request *request, const struct cx_streams_session *session,
                           const char *protocol, void (*run)(struct cx_wire *wire, void *context));

// WebSocket, at a server. Returns why the request is not a good one, with nothing answered and the context still the
// caller's; NULL when it has taken over.
const char *cx_streams_websocket_upgrade(struct cx_http_request *request, const struct cx_streams_session *session);
// The server's end over a wire, which stays the caller's. The protocol is one of those that an upgrade chooses from.
struct cx_streams *cx_streams_websocket_server(struct cx_wire *wire, const char *protocol, const int *ports,
                                               size_t n_ports);
int cx_streams_websocket_connect(struct cx_http_client *client, const struct cx_http_call *call,
                                 struct cx_streams *streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
        CX_CHECK;

// SPDY, at a server: false when the request does not ask for it; else it is answered.
bool cx_streams_spdy_upgrade(struct cx_http_request *request, const struct cx_streams_session *session);
// One end over a wire, which stays the caller's. The protocol is one of those that an upgrade chooses from.
struct cx_streams *cx_streams_spdy(struct cx_wire *wire, bool server, const char *protocol);
int cx_streams_spdy_connect(struct cx_http_client *client, const struct cx_http_call *call,
                            struct cx_streams **ret_streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
        CX_CHECK;
