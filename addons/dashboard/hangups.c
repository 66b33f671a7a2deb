// SPDX-License-Identifier: Apache-2.0
// A table of places, and epoll. What an event is about is known by its place and the place's round, so that one that comes
// late for somebody who has left is nobody's.
#include "addons/dashboard/hangups.h"

#include "libcommon/base/alloc.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define STOP UINT64_MAX
#define NONE HANGUPS_MAX

struct hangups {
        int epoll, stop;
        pthread_t thread;
        pthread_mutex_t lock; // guards the rest
        struct hangup_place {
                bool *hung_up; // NULL: free
                uint32_t round;
        } places[HANGUPS_MAX];
};

static void note(struct hangups *hangups, uint64_t what)
{
        struct hangup_place *place = &hangups->places[(uint32_t)what % HANGUPS_MAX];
        pthread_mutex_lock(&hangups->lock);
        if (place->hung_up && place->round == (uint32_t)(what >> 32))
                __atomic_store_n(place->hung_up, true, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&hangups->lock);
}

static void *hangups_main(void *context)
{
        struct hangups *hangups = context;
        struct epoll_event events[16];
        for (;;) {
                int n = epoll_wait(hangups->epoll, events, CX_ARRAY_SIZE(events), -1);
                for (int i = 0; i < n; i++) {
                        if (events[i].data.u64 == STOP)
                                return NULL;
                        note(hangups, events[i].data.u64);
                }
                if (n < 0 && errno != EINTR)
                        return NULL;
        }
}

int hangups_new(struct hangups **ret_hangups, struct cx_error *err)
{
        struct hangups *hangups = cx_alloc(sizeof *hangups);
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP};
        pthread_mutex_init(&hangups->lock, NULL);
        hangups->epoll = epoll_create1(EPOLL_CLOEXEC);
        hangups->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (hangups->epoll >= 0 && hangups->stop >= 0 &&
            epoll_ctl(hangups->epoll, EPOLL_CTL_ADD, hangups->stop, &event) == 0 &&
            pthread_create(&hangups->thread, NULL, hangups_main, hangups) == 0) {
                *ret_hangups = hangups;
                return 0;
        }
        CX_CLEANUP(cx_closep) int epoll = hangups->epoll;
        CX_CLEANUP(cx_closep) int stop = hangups->stop;
        free(hangups);
        return cx_error_set(err, -EAGAIN, "cannot watch for clients that hang up");
}

void hangups_free(struct hangups *hangups)
{
        if (!hangups)
                return;
        (void)!eventfd_write(hangups->stop, 1);
        pthread_join(hangups->thread, NULL);
        close(hangups->epoll);
        close(hangups->stop);
        pthread_mutex_destroy(&hangups->lock);
        free(hangups);
}

unsigned hangups_watch(struct hangups *hangups, int fd, bool *hung_up)
{
        unsigned at = 0;
        uint32_t round = 0;
        pthread_mutex_lock(&hangups->lock);
        while (at < NONE && hangups->places[at].hung_up)
                at++;
        if (at < NONE) {
                hangups->places[at].hung_up = hung_up;
                round = ++hangups->places[at].round;
        }
        pthread_mutex_unlock(&hangups->lock);
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                    .data.u64 = (uint64_t)round << 32 | at};
        if (at < NONE && epoll_ctl(hangups->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
                hangups_leave(hangups, at, -1);
                return NONE;
        }
        return at;
}

void hangups_leave(struct hangups *hangups, unsigned watch, int fd)
{
        if (watch >= NONE)
                return;
        if (fd >= 0)
                (void)epoll_ctl(hangups->epoll, EPOLL_CTL_DEL, fd, NULL);
        pthread_mutex_lock(&hangups->lock);
        hangups->places[watch].hung_up = NULL;
        pthread_mutex_unlock(&hangups->lock);
}
