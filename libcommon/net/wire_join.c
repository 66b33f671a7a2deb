// SPDX-License-Identifier: Apache-2.0
// Two wires as one. Both directions go on whatever the other one waits for, each with one block in hand.
#include "libcommon/net/wire.h"

#include "libcommon/base/alloc.h"

#include <poll.h>

#define BLOCK 32768

struct lane {
        struct cx_wire *from, *to;
        bool ended;  // nothing more comes
        bool broken; // nothing more is taken
        size_t start, end;
        char block[BLOCK];
};

static bool is_empty(const struct lane *lane)
{
        return lane->start == lane->end;
}

static bool wants_read(const struct lane *lane)
{
        return is_empty(lane) && !lane->ended && !lane->broken;
}

static bool wants_write(const struct lane *lane)
{
        return !is_empty(lane) && !lane->broken;
}

static bool is_through(const struct lane *lane)
{
        return lane->ended && !wants_write(lane);
}

// What can be moved without waiting; false when that is nothing.
static bool move(struct lane *lane)
{
        bool moved = false;
        if (wants_read(lane)) {
                ssize_t n = cx_wire_read(lane->from, lane->block, sizeof lane->block);
                lane->start = 0;
                lane->end = n > 0 ? (size_t)n : 0;
                lane->ended = n <= 0 && n != -EAGAIN;
                moved = n != -EAGAIN;
        }
        if (wants_write(lane)) {
                ssize_t n = cx_wire_write(lane->to, lane->block + lane->start, lane->end - lane->start);
                lane->start += n > 0 ? (size_t)n : 0;
                lane->broken = n <= 0 && n != -EAGAIN;
                moved |= n != -EAGAIN;
        }
        return moved;
}

static short events(const struct lane *from, const struct lane *to)
{
        return (short)((wants_read(from) ? POLLIN : 0) | (wants_write(to) ? POLLOUT : 0));
}

void cx_wire_join(struct cx_wire *client, struct cx_wire *backend)
{
        struct lane *up = cx_alloc(sizeof *up), *down = cx_alloc(sizeof *down);
        *up = (struct lane){.from = client, .to = backend};
        *down = (struct lane){.from = backend, .to = client};
        // The client has what the backend said last, or has left.
        while (!is_through(down) && !is_through(up) && !down->broken) {
                // What TLS has decrypted already does not show in poll: read first, then wait.
                bool moved = move(up);
                moved |= move(down);
                if (moved)
                        continue;
                short at_backend = events(down, up);
                struct pollfd fds[2] = {{client->fd, events(up, down), 0},
                                        {at_backend ? backend->fd : -1, at_backend, 0}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        break;
                if ((fds[0].revents & (POLLHUP | POLLERR)) && !(fds[0].events & POLLIN))
                        break;
        }
        free(up);
        free(down);
}
