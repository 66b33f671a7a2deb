// SPDX-License-Identifier: Apache-2.0
// SPDY/3.1 over a wire, at either end: frames and their compressed headers. What streams mean is the caller's
// (streams_spdy.c). There are no windows: who sends waits for the connection, as Go's clients and servers do, which neither
// send updates of windows nor heed them.
//
// Threads: one thread receives; any thread may send. Sending data waits until the wire has taken all of it. All else waits in
// a small buffer, so that who receives never waits for a peer that does not read; a peer that makes it run over is cut off.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/net/wire.h"

struct cx_spdy;

enum cx_spdy_kind {
        CX_SPDY_OPENED,  // by the peer, with headers
        CX_SPDY_REPLIED, // the peer has taken a stream of ours
        CX_SPDY_DATA,
        CX_SPDY_RESET, // the peer neither sends nor takes any more
};
struct cx_spdy_event {
        enum cx_spdy_kind kind;
        uint32_t stream;
        bool ended; // the peer sends no more on this stream
};
// Why a stream is reset.
enum { CX_SPDY_PROTOCOL_ERROR = 1, CX_SPDY_REFUSED_STREAM = 3, CX_SPDY_CANCEL = 5 };

// The wire stays the caller's and has to outlive it.
struct cx_spdy *cx_spdy_new(struct cx_wire *wire, bool server);
void cx_spdy_free(struct cx_spdy *spdy);

// Waits for the next event. Its data (a piece of a frame at a time), or its headers for cx_spdy_header, come in ret_data. 1;
// 0 when the peer has closed the connection; a negative errno: it broke, sent what is no SPDY, or did not answer our close
// in time.
int cx_spdy_receive(struct cx_spdy *spdy, struct cx_spdy_event *ret_event, struct cx_buf *ret_data) CX_CHECK;
// A header of the event; NULL when it has none by that name (lower case). Borrowed from `headers`.
const char *cx_spdy_header(const struct cx_buf *headers, const char *name);

// Opens a stream; `headers` are names (lower case) and values by turns, NULL-ended. With `ended` nothing is sent on it.
int cx_spdy_open(struct cx_spdy *spdy, const char *const *headers, bool ended, uint32_t *ret_stream) CX_CHECK;
int cx_spdy_reply(struct cx_spdy *spdy, uint32_t stream) CX_CHECK; // takes a stream that the peer opened
// With `ended` it is the last of the stream.
int cx_spdy_send(struct cx_spdy *spdy, uint32_t stream, const void *data, size_t length, bool ended) CX_CHECK;
int cx_spdy_reset(struct cx_spdy *spdy, uint32_t stream, int status) CX_CHECK;
int cx_spdy_ping(struct cx_spdy *spdy) CX_CHECK;
// Says that no stream is taken any more, once. Who receives waits ten seconds at most for the peer to close.
void cx_spdy_close(struct cx_spdy *spdy);

// spdy_headers.c: the header block of a frame, compressed in the state of one direction of a connection.
struct cx_spdy_codec;
struct cx_spdy_codec *cx_spdy_codec_new(void);
void cx_spdy_codec_free(struct cx_spdy_codec *codec);
void cx_spdy_headers_write(struct cx_spdy_codec *codec, const char *const *headers, struct cx_buf *to);
// Into the form that cx_spdy_header reads. -EPROTO when the block is malformed or too large.
int cx_spdy_headers_read(struct cx_spdy_codec *codec, const void *block, size_t length, struct cx_buf *ret_headers)
        CX_CHECK;
