// SPDX-License-Identifier: Apache-2.0
// Condition variables with deadlines of the monotonic clock (base/time.h): setting the wall clock disturbs no wait.
#pragma once

#include "libcommon/base/macro.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// Ended by pthread_cond_destroy.
void cx_cond_init(pthread_cond_t *cond);
// Waits, with the lock held, for a signal or for the deadline (INT64_MAX: none); true: the deadline has come. Like every
// wait on a condition it may return for no reason, so the caller looks at its condition again.
bool cx_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);
