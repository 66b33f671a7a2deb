// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/batch/schedule.h"

#include "libcommon/base/strings.h"

#define MANY 100

int schedule_read(const char *expression, const char *zone, struct schedule *ret_schedule, struct cx_error *err)
{
        if (cx_timezone_load(cx_str(zone), &ret_schedule->zone) < 0)
                return cx_error_set(err, -ENOENT, "unknown time zone %s", zone);
        return cx_cron_parse(expression, &ret_schedule->cron, err);
}

void schedule_release(struct schedule *schedule)
{
        cx_timezone_free(schedule->zone);
        *schedule = (struct schedule)SCHEDULE_INIT;
}

// The last time that is not after `now`: one at `some` is known.
static int64_t last_time(const struct schedule *schedule, int64_t some, int64_t now)
{
        int64_t before = some - 1, after = now, next; // the time that follows `before` has come, that after `after` not
        while (after - before > 1) {
                int64_t middle = before + (after - before) / 2;
                if (cx_cron_next(&schedule->cron, schedule->zone, middle, &next) && next <= now)
                        before = middle;
                else
                        after = middle;
        }
        return cx_cron_next(&schedule->cron, schedule->zone, before, &next) && next <= now ? next : some;
}

int schedule_times(const struct schedule *schedule, int64_t since, int64_t now, struct schedule_times *ret_times)
{
        int64_t first, every = schedule->cron.every;
        *ret_times = (struct schedule_times){0};
        if (!cx_cron_next(&schedule->cron, schedule->zone, since, &first))
                return -ERANGE;
        if (first > now) {
                ret_times->next = first;
                return 0;
        }
        if (every) { // counted from the last run, not from midnight
                int64_t missed = (now - first) / every;
                ret_times->many = missed >= MANY;
                ret_times->due = first + missed * every;
                ret_times->next = ret_times->due + every;
                return 0;
        }
        int64_t time = first, next = 0;
        for (int count = 1; cx_cron_next(&schedule->cron, schedule->zone, time, &next) && next <= now; time = next) {
                if (++count > MANY) {
                        ret_times->many = true;
                        time = last_time(schedule, next, now);
                        break;
                }
        }
        ret_times->due = time;
        if (!cx_cron_next(&schedule->cron, schedule->zone, time, &ret_times->next))
                ret_times->next = 0;
        return 0;
}
