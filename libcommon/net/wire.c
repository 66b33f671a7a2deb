// SPDX-License-Identifier: Apache-2.0
// What all wires share, and the one without TLS.
#include "libcommon/net/wire.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t cx_wire_read(struct cx_wire *wire, void *to, size_t max)
{
        return wire->type->read(wire, to, max);
}

ssize_t cx_wire_write(struct cx_wire *wire, const void *data, size_t length)
{
        return wire->type->write(wire, data, length);
}

int cx_wire_write_all(struct cx_wire *wire, const void *data, size_t length, int64_t timeout)
{
        const char *from = data;
        int64_t deadline = cx_time_monotonic() + timeout;
        while (length) {
                ssize_t n = cx_wire_write(wire, from, length);
                if (n > 0) {
                        from += n;
                        length -= (size_t)n;
                        continue;
                }
                int64_t left = deadline - cx_time_monotonic();
                struct pollfd p = {wire->fd, POLLOUT, 0};
                if (n != -EAGAIN)
                        return n < 0 ? (int)n : -EPIPE;
                if (left <= 0)
                        return -ETIMEDOUT;
                if (poll(&p, 1, (int)(left / CX_NS_PER_MS) + 1) < 0 && errno != EINTR)
                        return -errno;
        }
        return 0;
}

void cx_wire_free(struct cx_wire *wire)
{
        if (wire)
                wire->type->free(wire);
}

// --- a socket --------------------------------------------------------------------------------------------------------

static ssize_t result(ssize_t n)
{
        return n < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : n;
}

static ssize_t read_socket(struct cx_wire *wire, void *to, size_t max)
{
        ssize_t n;
        do
                n = recv(wire->fd, to, max, 0);
        while (n < 0 && errno == EINTR);
        return result(n);
}

static ssize_t write_socket(struct cx_wire *wire, const void *data, size_t length)
{
        ssize_t n;
        do
                n = send(wire->fd, data, length, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return result(n);
}

static void free_owned(struct cx_wire *wire)
{
        close(wire->fd);
        free(wire);
}

static void free_lent(struct cx_wire *wire)
{
        free(wire);
}

struct cx_wire *cx_wire_socket(int fd, bool owned)
{
        static const struct cx_wire_type own = {read_socket, write_socket, free_owned},
                                         lent = {read_socket, write_socket, free_lent};
        struct cx_wire *wire = cx_alloc(sizeof *wire);
        *wire = (struct cx_wire){owned ? &own : &lent, fd};
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return wire;
}
