// SPDX-License-Identifier: Apache-2.0
// Detached threads; condition variables on the monotonic clock; signs of life.
#include "libcommon/base/thread.h"

#include "libcommon/base/time.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

bool cx_thread_detach(void *(*run)(void *context), void *context, size_t stack)
{
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, stack);
        bool started = pthread_create(&thread, &attributes, run, context) == 0;
        pthread_attr_destroy(&attributes);
        return started;
}

void cx_cond_init(pthread_cond_t *cond)
{
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attributes);
        pthread_condattr_destroy(&attributes);
}

bool cx_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
        if (deadline == INT64_MAX) {
                pthread_cond_wait(cond, lock);
                return false;
        }
        const struct timespec moment = {.tv_sec = deadline / CX_NS_PER_S, .tv_nsec = deadline % CX_NS_PER_S};
        return pthread_cond_timedwait(cond, lock, &moment) == ETIMEDOUT;
}

void cx_pulse_begin(struct cx_pulse *pulse)
{
        atomic_store_explicit(&pulse->busy_since, cx_time_monotonic(), memory_order_relaxed);
}

void cx_pulse_end(struct cx_pulse *pulse)
{
        atomic_store_explicit(&pulse->busy_since, 0, memory_order_relaxed);
}

bool cx_pulse_alive(const struct cx_pulse *pulse, int64_t limit)
{
        int64_t since = atomic_load_explicit(&pulse->busy_since, memory_order_relaxed);
        return !since || cx_time_monotonic() - since <= limit;
}
