// SPDX-License-Identifier: Apache-2.0
// Sessions of several channels over one connection: exec and attach (standard input, output and error, the terminal's size,
// the status at the end) and port-forward (for each forwarded connection a channel of data and one of errors). Who runs a
// session works on channels and events; what carries them is a transport, chosen from the upgrade request: WebSocket with
// Kubernetes' channel protocols (streams_websocket.c), or SPDY/3.1 (streams_spdy.c). Another one is a table of functions
// (streams_internal.h).
//
// Threads: one thread receives, and one sends at a time; both may go on at once. Nothing is kept for a peer that does not
// read: sending waits until it does, and so does what feeds it.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/net/http_client.h"
#include "libcommon/net/http_server.h"

enum cx_stream_channel { CX_STREAM_STDIN, CX_STREAM_STDOUT, CX_STREAM_STDERR, CX_STREAM_ERROR, CX_STREAM_RESIZE };
// Of a port-forward: the channels of its n-th connection. A number is not used again in its session.
#define CX_FORWARD_DATA(n) (2 * (n))
#define CX_FORWARD_ERROR(n) (2 * (n) + 1)
#define CX_FORWARD_OF(channel) ((channel) / 2)
#define CX_FORWARDS_MAX 1024 // at once
// Of one event, and of one message that is sent.
#define CX_STREAM_DATA_MAX ((size_t)4 << 20)

enum cx_stream_event_kind {
        // At a server: a forwarded connection is wanted; at a client: the peer has taken it. `channel` is that of its data.
        CX_STREAM_OPENED,
        CX_STREAM_DATA,
        CX_STREAM_ENDED, // the peer sends no more on this channel
        CX_STREAM_CUT,   // nor does it take any more
};
struct cx_stream_event {
        enum cx_stream_event_kind kind;
        int channel;
        int port; // of OPENED at a server
};

struct cx_streams;
struct cx_streams_session {
        bool forwards; // a port-forward; else exec or attach
        // Of a port-forward: those that the request names, for transports that do not name them later.
        const int *ports;
        size_t n_ports;
        void (*run)(struct cx_streams *streams, void *context); // on a thread of its own; the session ends with it
        void (*release)(void *context);
        void *context;
};
// Answers a request for a session: with the upgrade, or with a refusal. The context is released in either case.
void cx_streams_upgrade(struct cx_http_request *request, const struct cx_streams_session *session);

// Asks a server for a session. When it answers anything but 101, fails and fills ret_refusal (may be NULL).
int cx_streams_connect(struct cx_http_client *client, const struct cx_http_call *call, struct cx_streams **ret_streams,
                       struct cx_http_reply *ret_refusal, struct cx_error *err) CX_CHECK;

// Asks for a session of forwarded connections, which are opened later.
int cx_streams_connect_forward(struct cx_http_client *client, const struct cx_http_call *call,
                               struct cx_streams **ret_streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
        CX_CHECK;
// Asks for a connection to a port. Nothing may be sent on its channels before OPENED comes for it.
int cx_streams_open(struct cx_streams *streams, int port, int *ret_n) CX_CHECK;

// Waits for the next event; DATA comes in ret_data. 1; 0 when the peer has closed the session; a negative errno when the
// connection broke, or when the peer did not answer our close in time.
int cx_streams_receive(struct cx_streams *streams, struct cx_stream_event *ret_event, struct cx_buf *ret_data) CX_CHECK;
// Returns once the connection has taken all of it.
int cx_streams_send(struct cx_streams *streams, int channel, const void *data, size_t length) CX_CHECK;
// Says that no more comes on a channel. True when the peer gets to know that: older protocols have no word for it.
bool cx_streams_end(struct cx_streams *streams, int channel);
// Says that what comes on a channel is not taken either.
void cx_streams_cut(struct cx_streams *streams, int channel);
// Whether forwarded connections may still come, or only those that the request named.
bool cx_streams_may_grow(const struct cx_streams *streams);
// Sends a little that means nothing. A peer that was killed while it sent what we do not take cannot say that it has gone:
// its end waits behind the rest. Its kernel answers this with a reset.
int cx_streams_ping(struct cx_streams *streams) CX_CHECK;
// Ends the session in good order, once; receiving goes on until the peer answers, ten seconds at most. A client's forwarded
// connections are over at once.
void cx_streams_close(struct cx_streams *streams);
// At a server: the descriptor that poll() says POLLHUP of when the peer has left, whatever it has sent before. Not to be read.
// -1 at a client.
int cx_streams_fd(const struct cx_streams *streams);
void cx_streams_free(struct cx_streams *streams);
CX_DEFINE_CLEANUP(struct cx_streams, cx_streams_freep, cx_streams_free)

// --- what channels carry ---------------------------------------------------------------------------------------------
// On the error channel: how a session ended. `failure` NULL: the command's exit code tells.
int cx_streams_send_status(struct cx_streams *streams, int exit_code, const char *failure) CX_CHECK;
// 0 with the exit code, or the failure as the error.
int cx_stream_status_parse(const struct cx_buf *data, int *ret_exit_code, struct cx_error *err) CX_CHECK;
// On the resize channel: columns and rows.
int cx_streams_send_size(struct cx_streams *streams, int width, int height) CX_CHECK;
// False when the text is none, or out of range.
bool cx_stream_size_parse(const struct cx_buf *data, int *ret_width, int *ret_height);
