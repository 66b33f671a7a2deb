// SPDX-License-Identifier: Apache-2.0
// WebSocket connections (RFC 6455, frames by wslay) over a wire, at either end. Of what the peer sends, one message is kept at a time (and what came in the same few
// kilobytes); sending waits for a peer that does not read.
//
// Threads: one thread reads; any thread may send or close.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/net/http_client.h"

#define CX_WS_TEXT 1
#define CX_WS_BINARY 2
#define CX_WS_MAX_MESSAGE ((size_t)4 << 20)

// Sec-WebSocket-Accept for a Sec-WebSocket-Key; `to` takes 29 bytes.
void cx_websocket_accept(const char *key, char to[29]);
// The first of `offered` ("a, b": Sec-WebSocket-Protocol) that is in `supported` (NULL-ended); NULL when none is.
const char *cx_websocket_protocol(const char *offered, const char *const *supported);
// Checks an upgrade request's headers (get returns a header or NULL). NULL when it is a good WebSocket upgrade, else why
// not. *ret_key is borrowed.
const char *cx_websocket_check(const char *(*get)(void *context, const char *name), void *context,
                               const char **ret_key);

struct cx_websocket;
// The server's end. The wire stays the caller's and has to outlive it.
struct cx_websocket *cx_websocket_server(struct cx_wire *wire);
void cx_websocket_free(struct cx_websocket *ws);
CX_DEFINE_CLEANUP(struct cx_websocket, cx_websocket_freep, cx_websocket_free)

// A stream of bytes in binary messages. The websocket stays the caller's and has to outlive the wire, which sends and receives
// all there is; freeing the wire closes it in good order.
struct cx_wire *cx_websocket_wire(struct cx_websocket *ws);

// Connects as a client: does the handshake for call->path with the protocols offered (NULL-ended), checks the answer.
// ret_protocol (may be NULL) is the one that the server chose, owned. The wire belongs to the websocket.
int cx_websocket_connect(struct cx_http_client *client, const struct cx_http_call *call, const char *const *protocols,
                         struct cx_websocket **ret_ws, char **ret_protocol, struct cx_http_reply *ret_refusal,
                         struct cx_error *err) CX_CHECK;

// Waits for the next message and puts its payload into ret_message (cleared first). 1 with *ret_opcode; 0 when the peer
// has closed; -ETIMEDOUT after timeout (ns; negative: none); another negative errno when the connection broke.
// Pings are answered meanwhile.
int cx_websocket_recv(struct cx_websocket *ws, int64_t timeout, int *ret_opcode, struct cx_buf *ret_message) CX_CHECK;
// Sends a whole message and returns once the wire has taken it. 0 or a negative errno.
int cx_websocket_send(struct cx_websocket *ws, int opcode, const void *data, size_t length) CX_CHECK;
int cx_websocket_ping(struct cx_websocket *ws) CX_CHECK;
// Sends a close frame (1000 is normal) if none went before. Does not wait for the peer's; who reads does so for ten seconds
// at most, and then gets -ETIMEDOUT.
void cx_websocket_close(struct cx_websocket *ws, int code, const char *reason);
int cx_websocket_close_code(const struct cx_websocket *ws); // the peer's code; 1006 when there was none
