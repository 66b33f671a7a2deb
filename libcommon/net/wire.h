// SPDX-License-Identifier: Apache-2.0
// A connection after an upgrade: bytes both ways, with TLS underneath or without. Nothing here blocks; who has to wait
// polls the descriptor.
//
// Threads: one reads and one writes at a time; both may go on at once.
#pragma once

#include "libcommon/base/error.h"

#include <sys/types.h>

struct cx_wire;
struct cx_wire_type {
        ssize_t (*read)(struct cx_wire *wire, void *to, size_t max);
        ssize_t (*write)(struct cx_wire *wire, const void *data, size_t length);
        void (*free)(struct cx_wire *wire);
};
// The head of every kind of wire.
struct cx_wire {
        const struct cx_wire_type *type;
        int fd; // for poll(): readable may still mean -EAGAIN, and what TLS has decrypted already does not show
};

// How many bytes came, 0 at the end, -EAGAIN when there are none yet, or another negative errno.
ssize_t cx_wire_read(struct cx_wire *wire, void *to, size_t max);
// How many bytes were taken, -EAGAIN when there is no room, or another negative errno. After -EAGAIN the same bytes have to
// be offered next, at the same place: TLS has begun with them.
ssize_t cx_wire_write(struct cx_wire *wire, const void *data, size_t length);
// Writes all of it, waiting `timeout` (ns) for room. 0, -ETIMEDOUT or another negative errno.
int cx_wire_write_all(struct cx_wire *wire, const void *data, size_t length, int64_t timeout) CX_CHECK;
void cx_wire_free(struct cx_wire *wire);
CX_DEFINE_CLEANUP(struct cx_wire, cx_wire_freep, cx_wire_free)

// Over a connected stream socket, which it makes non-blocking; with `owned` it closes it when it is freed.
struct cx_wire *cx_wire_socket(int fd, bool owned);

// Joins a client's wire to the one of whom it speaks to, until one side has ended and the other has what it said last.
void cx_wire_join(struct cx_wire *client, struct cx_wire *backend);
