// SPDX-License-Identifier: Apache-2.0
// Moments and durations. A moment is `int64_t` microseconds since the epoch (wall clock); a duration is `int64_t`
// nanoseconds, as Go's; deadlines are nanoseconds of the monotonic clock. Any thread may call.
#pragma once

#include "libcommon/base/macro.h"

#include <stdbool.h>
#include <stdint.h>

#define CX_NS_PER_MS INT64_C(1000000)
#define CX_NS_PER_S INT64_C(1000000000)
#define CX_US_PER_S INT64_C(1000000)
#define CX_TIME_TEXT 40

int64_t cx_time_now(void);                                    // wall clock, µs
int64_t cx_time_monotonic(void);                              // ns
void cx_time_format(int64_t us, char to[CX_TIME_TEXT]);       // RFC 3339 in UTC, whole seconds: metav1.Time
void cx_time_format_micro(int64_t us, char to[CX_TIME_TEXT]); // with six decimals: metav1.MicroTime
// RFC 3339 with optional fraction and any offset. 0 or -EINVAL.
int cx_time_parse(const char *text, int64_t *ret_us) CX_CHECK;
// Go's duration syntax: "1h30m", "300ms", "1.5s", "-2m", "0". 0 or -EINVAL.
int cx_duration_parse(const char *text, int64_t *ret_ns) CX_CHECK;
// "1m30s", "5ms", "0s", as Go prints. `to` takes CX_TIME_TEXT bytes.
void cx_duration_format(int64_t ns, char to[CX_TIME_TEXT]);
// kubectl's ages: "5s", "3m10s", "7h15m", "3d", "2y45d" (duration.HumanDuration).
void cx_duration_human(int64_t ns, char to[CX_TIME_TEXT]);
