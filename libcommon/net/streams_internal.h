// SPDX-License-Identifier: Apache-2.0
// What carries channels: see streams.h for what each function has to keep.
#pragma once

#include "libcommon/net/streams.h"

struct cx_streams_transport {
        int (*receive)(void *carrier, struct cx_stream_event *ret_event, struct cx_buf *ret_data);
        int (*send)(void *carrier, int channel, const void *data, size_t length);
        bool (*end)(void *carrier, int channel);
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

// WebSocket. `cx_streams_websocket_upgrade` returns why the request is not a good one, with nothing answered and the context
// still the caller's; NULL when it has taken over.
const char *cx_streams_websocket_upgrade(struct cx_http_request *request, const struct cx_streams_session *session);
// The server's end over a wire, which stays the caller's. The protocol is one of those that an upgrade chooses from.
struct cx_streams *cx_streams_websocket_server(struct cx_wire *wire, const char *protocol, const int *ports,
                                               size_t n_ports);
int cx_streams_websocket_connect(struct cx_http_client *client, const struct cx_http_call *call,
                                 struct cx_streams *streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
        CX_CHECK;
