// SPDX-License-Identifier: Apache-2.0
// Time zones of the tz database (Debian's tzdata), read from their TZif files (RFC 9636) and never from TZ: a process
// has many at once. A zone is immutable: any thread may read it.
#pragma once

#include "libcommon/base/alloc.h"

struct cx_timezone;
// "Europe/Berlin"; "" and "UTC" are always there. -ENOENT when there is no such zone, or the name is not one.
int cx_timezone_load(const char *name, struct cx_timezone **ret_zone) CX_CHECK;
// The same from the bytes of a TZif file. -EINVAL when they are not one.
int cx_timezone_parse(const void *data, size_t length, struct cx_timezone **ret_zone) CX_CHECK;
void cx_timezone_free(struct cx_timezone *zone);
CX_DEFINE_CLEANUP(struct cx_timezone, cx_timezone_freep, cx_timezone_free)

struct cx_zone_span {
        int64_t offset;     // seconds east of UTC
        int64_t start, end; // seconds since the epoch from which on, and before which, it holds
};
struct cx_zone_span cx_timezone_at(const struct cx_timezone *zone, int64_t seconds);

// A date and a time of day, as a clock on the wall shows it.
struct cx_wall_clock {
        int64_t year;
        int month, day;           // from 1
        int hour, minute, second; //
        int weekday;              // 0: Sunday
};
struct cx_wall_clock cx_wall_clock_at(const struct cx_timezone *zone, int64_t seconds);
// The moment at which the clock shows it. Fields may be out of range and carry over; the weekday is ignored. A time
// that a change of the clock leaves out, or shows twice, is taken as Go's time.Date takes it.
int64_t cx_wall_clock_moment(const struct cx_timezone *zone, const struct cx_wall_clock *clock);
