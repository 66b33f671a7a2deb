// SPDX-License-Identifier: Apache-2.0
// A gRPC client over HTTP/2 (nghttp2), on TLS, cleartext or a Unix socket (dial.h): every call and stream of a channel
// shares one connection to one of the endpoints at a time. Whoever calls also sends; one I/O thread receives and runs all
// callbacks. When a connection is lost or its server is unavailable, the next endpoint gets the next tries.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/net/dial.h"

#define CX_GRPC_STREAM_HEADERS 4 // at most

struct cx_grpc;
struct cx_grpc_options {
        const char *peer;                       // what errors call the server: "etcd"
        const char *user_agent;                 // NULL: "coxswain/<version>"
        const char *const *endpoints;           // NULL-ended; copied; see cx_dial
        struct cx_dialer_options dial;          // http2 is set
        const char *const (*stream_headers)[2]; // names and values that streams begin with; must outlive the channel
        size_t n_stream_headers;
        size_t max_message; // bytes of a message that comes in; longer ones end their call
};
int cx_grpc_new(const struct cx_grpc_options *options, struct cx_grpc **ret_grpc, struct cx_error *err) CX_CHECK;
void cx_grpc_free(struct cx_grpc *grpc); // streams must be freed before; calls under way end without an answer
CX_DEFINE_CLEANUP(struct cx_grpc, cx_grpc_freep, cx_grpc_free)

enum {
        CX_GRPC_OK = 0,
        CX_GRPC_INVALID_ARGUMENT = 3,
        CX_GRPC_DEADLINE = 4,
        CX_GRPC_EXHAUSTED = 8,
        CX_GRPC_OUT_OF_RANGE = 11,
        CX_GRPC_UNAVAILABLE = 14
};

struct cx_grpc_result {
        struct cx_buf message; // of the reply, when status is 0
        int status;            // gRPC status; -1: no answer
        char *text;            // grpc-message or the transport's complaint; owned
        bool unsent;           // no answer, and the request certainly did not reach a server
};
#define CX_GRPC_RESULT_INIT                                                                                            \
        {                                                                                                              \
                .message = CX_BUF_INIT, .status = -1                                                                   \
        }
void cx_grpc_result_release(struct cx_grpc_result *result);

// One call. `done` runs on the I/O thread, exactly once, and must not block; it takes what it wants out of the result.
typedef void (*cx_grpc_done)(void *context, struct cx_grpc_result *result);
void cx_grpc_call(struct cx_grpc *grpc, const char *method, const void *message, size_t length, int64_t timeout,
                  cx_grpc_done done, void *context);
// The same, waiting for the result, which is always filled: a caller looks at its status. Not from a callback.
void cx_grpc_unary(struct cx_grpc *grpc, const char *method, const void *message, size_t length, int64_t timeout,
                   struct cx_grpc_result *ret_result);

// Calls under way and calls to come get no answer after `deadline` (monotonic ns), whatever their timeouts: for ending.
void cx_grpc_limit(struct cx_grpc *grpc, int64_t deadline);

struct cx_grpc_stream;
struct cx_grpc_stream_callbacks {
        void (*on_start)(void *context, struct cx_buf *first_message); // at each start: the message to send first
        void (*on_message)(void *context, const void *data, size_t length);
        int64_t (*on_end)(void *context, int status, const char *text); // ns until the restart; negative: stop
        void *context;
};
struct cx_grpc_stream *cx_grpc_stream_new(struct cx_grpc *grpc, const char *method,
                                          const struct cx_grpc_stream_callbacks *callbacks);
void cx_grpc_stream_send(struct cx_grpc_stream *stream, const void *data, size_t length); // any thread
void cx_grpc_stream_free(struct cx_grpc_stream *stream); // no callback runs after it; not from a callback
