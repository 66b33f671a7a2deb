// SPDX-License-Identifier: Apache-2.0
// Forwarded connections of one session: sockets here, channels to the peer. The same at both ends: a server makes a socket
// for every connection that is wanted, a client wants one for every socket that it accepts. Each direction ends by itself.
#pragma once

#include "libcommon/net/streams.h"

#define CX_FORWARD_LISTENERS_MAX 250

struct cx_forward_listener {
        int fd;          // does not block; stays the caller's
        int local, port; // that it listens on; that is wanted of the peer
};
struct cx_forwards_options {
        struct cx_streams *streams;
        // At a server: a socket to a port, or a negative errno with the reason in `why`. On a thread of its own.
        int (*dial)(void *context, int port, struct cx_buf *why);
        size_t wanted; // how many connections the request names, when no more can come
        // At a client, with what is told of its connections: on either thread.
        const struct cx_forward_listener *listeners;
        size_t n_listeners;                    // at most CX_FORWARD_LISTENERS_MAX
        bool (*admits)(void *context, int fd); // whether who has connected may stay; NULL: everybody
        void (*accepted)(void *context, const struct cx_forward_listener *listener); // may be NULL
        bool (*failed)(void *context, const struct cx_forward_listener *listener,
                       const char *why); // true ends the session
        const int *end_fd;               // readable: the session ends; NULL: there is no such descriptor
        void *context;
};
// Runs until the peer has gone, or end_fd is readable; or, where the request names the connections, until all of them have ended.
void cx_forwards_run(const struct cx_forwards_options *options);
