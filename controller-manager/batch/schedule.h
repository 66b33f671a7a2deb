// SPDX-License-Identifier: Apache-2.0
// When a CronJob is to run: its expression in its time zone. Pure but for reading the zone.
#pragma once

#include "libcommon/api/cron.h"

struct schedule {
        struct cx_cron cron;
        struct cx_timezone *zone; // owned
};
#define SCHEDULE_INIT                                                                                                  \
        {                                                                                                              \
                0                                                                                                      \
        }
#define SCHEDULE CX_CLEANUP(schedule_release) struct schedule
// -EINVAL: the expression is none; -ENOENT: the zone is none. `zone` NULL: UTC.
int schedule_read(const char *expression, const char *zone, struct schedule *ret_schedule, struct cx_error *err)
        CX_CHECK;
void schedule_release(struct schedule *schedule);

// Where one stands `now`, all in seconds since the epoch, when the last run was at `since`.
struct schedule_times {
        int64_t due;  // the latest time that has come after `since`; 0: none has
        int64_t next; // the first one after now; 0: there is none
        bool many;    // more than a hundred have come
};
// -ERANGE: no time ever comes after `since`.
int schedule_times(const struct schedule *schedule, int64_t since, int64_t now, struct schedule_times *ret_times);
