// SPDX-License-Identifier: Apache-2.0
// The two threads of a session and how they end each other. The session's own thread moves output to the peer; a second
// one takes what the peer sends. Whatever either of them waits for, it learns at once that the other side is over.
#pragma once

#include "libcommon/net/streams.h"

#include <poll.h>
#include <pthread.h>

#define CX_PUMP_FDS_MAX (CX_FORWARDS_MAX + 256)

struct cx_pump {
        struct cx_streams *streams;
        // Called on the second thread for every event of the peer; and once, with `event` NULL, when it has gone.
        void (*on_event)(struct cx_pump *pump, const struct cx_stream_event *event, const struct cx_buf *data);
        void *context;
        // the pump's own
        pthread_t thread;
        int gone_fd, over_fd; // readable: the peer has gone; the session is over
        bool started;
};
int cx_pump_start(struct cx_pump *pump) CX_CHECK; // 0 or a negative errno
// Whether the peer has gone.
bool cx_pump_peer_gone(const struct cx_pump *pump);
// Waits until one of the descriptors (-1: none) is readable or has ended; false when the peer has gone. A peer that
// is quiet for long is pinged meanwhile. At most CX_PUMP_FDS_MAX.
bool cx_pump_wait(const struct cx_pump *pump, struct pollfd *fds, size_t count);
// On the second thread: writes all of it to a descriptor that does not block. Gives up when the session is over or the peer
// has left.
int cx_pump_write(const struct cx_pump *pump, int fd, const void *data, size_t length) CX_CHECK;
// Ends the session with the peer and the second thread.
void cx_pump_end(struct cx_pump *pump);
