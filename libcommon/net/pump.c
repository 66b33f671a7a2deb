// SPDX-License-Identifier: Apache-2.0
// Two event descriptors: one that the receiving thread sets when the peer has gone, one that the session's thread sets when
// it is through.
#include "libcommon/net/pump.h"

#include <assert.h>
#include <poll.h>
#include <sys/eventfd.h>

#define PIECE 16384      // what a packet socket's reader (conmon) takes at once
#define PING_PERIOD 5000 // ms
#define FDS_MAX (CX_PUMP_FDS_MAX + 1)

static void set(int fd)
{
        const uint64_t one = 1;
        (void)!write(fd, &one, sizeof one);
}

static bool is_set(int fd)
{
        struct pollfd p = {fd, POLLIN, 0};
        return poll(&p, 1, 0) > 0;
}

static void *receive(void *context)
{
        struct cx_pump *pump = context;
        CX_BUF data = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        struct cx_stream_event event;
        while (cx_streams_receive(pump->streams, &event, &data) == 1)
                if (!is_set(pump->over_fd)) // else the peer only finishes what it was saying
                        pump->on_event(pump, &event, &data);
        set(pump->gone_fd);
        pump->on_event(pump, NULL, NULL);
        return NULL;
}

int cx_pump_start(struct cx_pump *pump)
{
        pump->gone_fd = eventfd(0, EFD_CLOEXEC);
        pump->over_fd = eventfd(0, EFD_CLOEXEC);
        if (pump->gone_fd < 0 || pump->over_fd < 0)
                return -errno;
        int r = -pthread_create(&pump->thread, NULL, receive, pump);
        pump->started = r == 0;
        return r;
}

bool cx_pump_peer_gone(const struct cx_pump *pump)
{
        return is_set(pump->gone_fd);
}

bool cx_pump_wait(const struct cx_pump *pump, struct pollfd *fds, size_t count)
{
        struct pollfd all[FDS_MAX];
        assert(count < FDS_MAX);
        for (size_t i = 0; i < count; i++)
                all[i] = (struct pollfd){fds[i].fd, fds[i].events, 0};
        all[count] = (struct pollfd){pump->gone_fd, POLLIN, 0};
        int n;
        do {
                n = poll(all, count + 1, PING_PERIOD);
                if (n == 0 && cx_streams_ping(pump->streams) < 0)
                        return false;
        } while (n == 0 || (n < 0 && errno == EINTR));
        for (size_t i = 0; i < count; i++)
                fds[i].revents = all[i].revents;
        return n > 0 && !all[count].revents;
}

int cx_pump_write(const struct cx_pump *pump, int fd, const void *data, size_t length)
{
        const char *from = data;
        while (length) {
                ssize_t n = write(fd, from, length < PIECE ? length : PIECE);
                if (n > 0) {
                        from += n;
                        length -= (size_t)n;
                        continue;
                }
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                // A peer that has left is not waited for, even when what it sent before is not taken.
                struct pollfd p[3] = {
                        {fd, POLLOUT, 0}, {pump->over_fd, POLLIN, 0}, {cx_streams_fd(pump->streams), 0, 0}};
                if (poll(p, 3, -1) > 0 && (p[1].revents || p[2].revents))
                        return -ECANCELED;
        }
        return 0;
}

void cx_pump_end(struct cx_pump *pump)
{
        if (pump->over_fd >= 0)
                set(pump->over_fd);
        cx_streams_close(pump->streams);
        if (pump->started)
                pthread_join(pump->thread, NULL);
        if (pump->gone_fd >= 0)
                close(pump->gone_fd);
        if (pump->over_fd >= 0)
                close(pump->over_fd);
}
