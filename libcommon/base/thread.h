// SPDX-License-Identifier: Apache-2.0
// Threads that nobody joins; condition variables with deadlines of the monotonic clock (base/time.h): setting the wall clock
// disturbs no wait. And whether a thread's loop goes on turning.
#pragma once

#include "libcommon/base/macro.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// Runs it on a thread that nobody joins, with a stack of so many bytes. False: there is no thread to be had now.
bool cx_thread_detach(void *(*run)(void *context), void *context, size_t stack) CX_CHECK;

// Ended by pthread_cond_destroy.
void cx_cond_init(pthread_cond_t *cond);
// Waits, with the lock held, for a signal or for the deadline (INT64_MAX: none); true: the deadline has come. Like every
// wait on a condition it may return for no reason, so the caller looks at its condition again.
bool cx_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);

// A loop's sign of life: since when it is busy with one turn; 0: it waits. Zeroed at first. One thread begins and ends turns,
// any may ask.
struct cx_pulse {
        _Atomic int64_t busy_since;
};
void cx_pulse_begin(struct cx_pulse *pulse);
void cx_pulse_end(struct cx_pulse *pulse);
bool cx_pulse_alive(const struct cx_pulse *pulse, int64_t limit); // no turn takes longer than `limit` ns so far
