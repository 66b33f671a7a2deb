// SPDX-License-Identifier: Apache-2.0
// When a CronJob is due.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/batch/schedule.h"
#include "libcommon/base/time.h"

static int64_t moment(const char *text)
{
        int64_t us = 0;
        if (*text && cx_time_parse(text, &us) < 0)
                fail_msg("%s is no moment", text);
        return us / CX_US_PER_S;
}

static void test_times(void **state)
{
        (void)state;
        static const struct {
                const char *expression, *zone, *since, *now, *due, *next; // due "": none has come
                bool many;
        } cases[] = {
                {"0 * * * *", NULL, "2026-01-01T10:00:00Z", "2026-01-01T10:59:59Z", "", "2026-01-01T11:00:00Z", false},
                {"0 * * * *", NULL, "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T11:00:00Z",
                 "2026-01-01T12:00:00Z", false},
                {"0 * * * *", NULL, "2026-01-01T10:00:00Z", "2026-01-01T15:30:00Z", "2026-01-01T15:00:00Z",
                 "2026-01-01T16:00:00Z", false},
                {"0 * * * *", NULL, "2026-01-01T00:00:00Z", "2026-01-05T04:30:00Z", "2026-01-05T04:00:00Z",
                 "2026-01-05T05:00:00Z", false}, // a hundred
                {"0 * * * *", NULL, "2026-01-01T00:00:00Z", "2026-01-05T05:30:00Z", "2026-01-05T05:00:00Z",
                 "2026-01-05T06:00:00Z", true}, // and one
                {"* * * * *", NULL, "2001-01-01T00:00:00Z", "2026-01-05T05:30:10Z", "2026-01-05T05:30:00Z",
                 "2026-01-05T05:31:00Z", true},
                // Times at no even distance.
                {"30 6-16/4 * * 1-5", NULL, "2026-01-02T14:30:00Z", "2026-01-05T06:00:00Z", "", "2026-01-05T06:30:00Z",
                 false},
                {"30 6-16/4 * * 1-5", NULL, "2026-01-02T06:30:00Z", "2026-01-04T06:00:00Z", "2026-01-02T14:30:00Z",
                 "2026-01-05T06:30:00Z", false},
                {"0,1 0 * * *", NULL, "2025-12-31T23:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T00:01:00Z",
                 "2026-01-02T00:00:00Z", false},
                {"0 0 1 1 *", NULL, "1990-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-01-01T00:00:00Z",
                 "2027-01-01T00:00:00Z", false},
                {"0 0 29 2 *", NULL, "2024-03-01T00:00:00Z", "2026-06-01T00:00:00Z", "", "2028-02-29T00:00:00Z", false},
                // Counted from the last run.
                {"@every 5m", NULL, "2026-01-01T10:01:30Z", "2026-01-01T10:06:29Z", "", "2026-01-01T10:06:30Z", false},
                {"@every 5m", NULL, "2026-01-01T10:01:30Z", "2026-01-01T10:17:00Z", "2026-01-01T10:16:30Z",
                 "2026-01-01T10:21:30Z", false},
                {"@every 1s", NULL, "1970-01-01T00:00:00Z", "2026-01-01T10:17:00Z", "2026-01-01T10:17:00Z",
                 "2026-01-01T10:17:01Z", true},
                {"0 9 * * *", "Europe/Berlin", "2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z", "2026-03-29T07:00:00Z",
                 "2026-03-30T07:00:00Z", false}, // clocks went forward
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                SCHEDULE schedule = SCHEDULE_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(schedule_read(cases[i].expression, cases[i].zone, &schedule, &err), 0);
                struct schedule_times times;
                assert_int_equal(schedule_times(&schedule, moment(cases[i].since), moment(cases[i].now), &times), 0);
                if (times.due != moment(cases[i].due) || times.next != moment(cases[i].next) ||
                    times.many != cases[i].many)
                        fail_msg("%s since %s at %s: %lld, %lld, %d", cases[i].expression, cases[i].since, cases[i].now,
                                 (long long)times.due, (long long)times.next, times.many);
        }
}

static void test_senseless(void **state)
{
        (void)state;
        SCHEDULE never = SCHEDULE_INIT, broken = SCHEDULE_INIT, nowhere = SCHEDULE_INIT;
        struct schedule_times times;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(schedule_read("59 23 31 2 *", NULL, &never, &err), 0);
        assert_int_equal(schedule_times(&never, 0, moment("2026-01-01T00:00:00Z"), &times), -ERANGE);
        assert_int_equal(schedule_read("never", NULL, &broken, &err), -EINVAL);
        cx_error_release(&err);
        assert_int_equal(schedule_read("* * * * *", "Mars/Base", &nowhere, &err), -ENOENT);
        assert_string_equal(cx_error_text(&err), "unknown time zone Mars/Base");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_times), cmocka_unit_test(test_senseless)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
