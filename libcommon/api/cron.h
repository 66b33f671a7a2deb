// SPDX-License-Identifier: Apache-2.0
// Cron expressions as CronJobs have them: "minute hour day-of-month month day-of-week" with names, ranges, steps and
// lists, "@daily" and its like, "@every 1h30m". They mean what they mean to robfig/cron, also where clocks change.
// Pure.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/timezone.h"

struct cx_cron {
        uint64_t minutes, hours, days, months, weekdays; // a bit for each value that fits
        int64_t every;                                   // seconds; 0: the fields say when
};
int cx_cron_parse(const char *text, struct cx_cron *ret_cron, struct cx_error *err) CX_CHECK;
// The first time after `after` (seconds since the epoch). False when there is none within five years, or the moment is
// thousands of years away.
bool cx_cron_next(const struct cx_cron *cron, const struct cx_timezone *zone, int64_t after, int64_t *ret_next);
