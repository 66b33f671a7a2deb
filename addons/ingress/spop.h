// SPDX-License-Identifier: Apache-2.0
// The agent's side of SPOP, by which the proxy asks for decisions (version 2.0): frames as values and as bytes. Pure.
#pragma once

#include "libcommon/base/buf.h"

#include <errno.h>

#define SPOP_MAX_FRAME 16380

enum spop_type {
        SPOP_HAPROXY_HELLO = 1,
        SPOP_HAPROXY_DISCONNECT = 2,
        SPOP_NOTIFY = 3,
        SPOP_AGENT_HELLO = 101,
        SPOP_AGENT_DISCONNECT = 102,
        SPOP_ACK = 103,
};
struct spop_frame { // what is of interest here; texts are owned
        enum spop_type type;
        uint64_t stream, frame;
        bool healthcheck;       // of a hello
        uint64_t max_size;      // of a hello; 0: not said
        char *id, *credentials; // of a notify: its arguments of these names, NULL when absent or no texts
};
// A frame without the length before it. -EPROTO when it is not one, or is a piece of one.
int spop_parse(const void *data, size_t length, struct spop_frame *ret_frame) CX_CHECK;
void spop_frame_release(struct spop_frame *frame);
// With the length before it.
void spop_write_hello(uint64_t max_size, struct cx_buf *to);
void spop_write_verdict(const struct spop_frame *question, bool accepted,
                        struct cx_buf *to); // sets "user" to a boolean
void spop_write_disconnect(struct cx_buf *to);
