// SPDX-License-Identifier: Apache-2.0
// What grpc.c (calls and streams) and grpc_connection.c (HTTP/2) share. Everything here is for holders of the channel's
// lock, which is held only for what does not block.
#pragma once

#include "libcommon/net/dial.h"
#include "libcommon/net/grpc.h"

#include <nghttp2/nghttp2.h>
#include <pthread.h>

struct cx_transfers {
        struct cx_transfer *first, *last;
};

// A call or a stream as HTTP/2 sees it.
struct cx_transfer {
        bool is_stream;
        struct cx_transfers *list; // `waiting`, `finished`, a connection's `open`, or none
        struct cx_transfer *next, *previous;
        struct cx_connection *connection; // NULL: not sent
        int32_t id;
        const char *method;
        struct cx_buf out; // framed messages
        size_t sent;
        struct cx_buf in;
        int status; // gRPC's; -1: no answer
        char *text;
        bool unsent; // certainly has not reached a server
};

struct cx_grpc_stream {
        struct cx_transfer t;
        struct cx_grpc *grpc;
        struct cx_grpc_stream_callbacks callbacks;
        struct cx_grpc_stream *next;
        bool running, ending, over, ended; // over: on_end wanted no restart
        int64_t start_at;                  // monotonic ns
        pthread_cond_t ended_cond;
};

struct cx_connection {
        struct cx_grpc *grpc;
        int endpoint;
        struct cx_link link;
        nghttp2_session *session;
        struct cx_buf out; // frames that the link has not taken yet
        size_t out_sent;
        bool want_write, broken;
        struct cx_transfers open;
};

struct cx_grpc_endpoint {
        char *url, *authority;
        bool tls;
};

struct cx_grpc {
        char *peer; // what errors call the server
        char *user_agent;
        struct cx_grpc_endpoint *endpoints;
        const char *const (*stream_headers)[2]; // the caller's
        size_t n_stream_headers;
        size_t max_message;
        int n_endpoints;
        struct cx_dialer *dialer;
        pthread_t thread;
        bool started;
        int wake_fd;
        pthread_mutex_t lock; // guards all below, transfers included; a stream's `in` belongs to the I/O thread
        bool stopping, polling;
        int64_t sleep_until; // while polling
        int endpoint;        // the next connection's
        struct cx_connection *connection, *leaving;
        struct cx_transfers waiting, finished;
        int64_t limit; // no call waits longer; 0: none
        struct cx_grpc_stream *streams;
};

void cx_transfer_move(struct cx_transfer *t, struct cx_transfers *to); // to the end of a list, NULL: into none
// The transfer has its outcome: the I/O thread tells it to its owner. A status that is known already stays.
void cx_transfer_finish(struct cx_grpc *grpc, struct cx_transfer *t, int status, const char *text);
void cx_transfer_cancel(struct cx_transfer *t); // an open one; nghttp2 forgets whose it was
void cx_grpc_wake_locked(struct cx_grpc *grpc); // the I/O thread, when it polls

int cx_connection_open(struct cx_connection *c) CX_CHECK; // the HTTP/2 session over a link that stands
void cx_connection_drop(struct cx_connection *c);         // everything that is open on it ends without an answer
// Packs what the session wants to send and gives it to the link, as far as it is taken.
void cx_connection_flush(struct cx_connection *c);
void cx_connection_receive(struct cx_connection *c);
bool cx_connection_submit(struct cx_connection *c, struct cx_transfer *t); // false: the next connection has to take it
