// SPDX-License-Identifier: Apache-2.0
// Condition variables on the monotonic clock.
#include "libcommon/base/thread.h"

#include "libcommon/base/time.h"

#include <errno.h>
#include <time.h>

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
