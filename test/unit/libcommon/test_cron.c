// SPDX-License-Identifier: Apache-2.0
// Cron expressions, time zones, and sets of indexes.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/api/cron.h"
#include "libcommon/api/indexes.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"

static int64_t moment(const char *text)
{
        int64_t us = 0;
        if (cx_time_parse(text, &us) < 0)
                fail_msg("%s is no moment", text);
        return us / CX_US_PER_S;
}

static struct cx_timezone *zone_of(const char *name)
{
        struct cx_timezone *zone = NULL;
        if (cx_timezone_load(name, &zone) < 0)
                fail_msg("no time zone %s: is tzdata there?", name);
        return zone;
}

static void test_next(void **state CX_UNUSED)
{
        static const struct {
                const char *schedule, *zone, *after, *next; // next NULL: never
        } cases[] = {
                {"*/15 * * * *", "UTC", "2026-07-09T14:45:00Z", "2026-07-09T15:00:00Z"},
                {"*/15 * * * *", "UTC", "2026-07-09T14:59:59Z", "2026-07-09T15:00:00Z"},
                {"*/15 * * * *", "UTC", "2026-07-09T23:46:00Z", "2026-07-10T00:00:00Z"},
                {"20-35/15 * * * *", "UTC", "2026-07-09T15:45:00Z", "2026-07-09T16:20:00Z"},
                {"5/15 * * * *", "UTC", "2026-07-09T15:06:00Z", "2026-07-09T15:20:00Z"},
                {"20-35/15 1/2 * * *", "UTC", "2026-07-09T23:35:51Z", "2026-07-10T01:20:00Z"},
                {"20-35/15 1/2 */2 * *", "UTC", "2026-07-09T23:35:51Z", "2026-07-11T01:20:00Z"},
                {"0 0 9 Apr-Oct ?", "UTC", "2026-07-09T23:35:00Z", "2026-08-09T00:00:00Z"},
                {"0 0 */5 apr,AUG,oct mon", "UTC", "2026-07-09T23:35:00Z", "2026-08-01T00:00:00Z"},
                {"0 0 * Feb Mon", "UTC", "2026-07-09T23:35:00Z", "2027-02-01T00:00:00Z"},
                {"* * * * *", "UTC", "2026-12-31T23:59:45Z", "2027-01-01T00:00:00Z"},
                {"0 0 29 2 *", "UTC", "2026-07-09T00:00:00Z", "2028-02-29T00:00:00Z"},
                {"0 0 30 2 *", "UTC", "2026-07-09T00:00:00Z", NULL},
                {"0 0 31 4 ?", "UTC", "2026-07-09T00:00:00Z", NULL},
                {", * * * *", "UTC", "2026-07-09T00:00:00Z", NULL}, // a list of nothing never fits
                // Of the two days either is enough, unless one is "*".
                {"0 0 1,15 * Sun", "UTC", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00Z"},
                {"0 0 1,15 * Sun", "UTC", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z"},
                {"0 0 * * Mon", "UTC", "2026-11-26T00:00:00Z", "2026-11-30T00:00:00Z"},
                {"0 0 15 * *", "UTC", "2026-11-26T00:00:00Z", "2026-12-15T00:00:00Z"},
                {"0 0 */10 * Sun", "UTC", "2026-11-26T00:00:00Z", "2026-11-29T00:00:00Z"}, // */10 is a list, not "*"
                {"0 0 */1 * Sun", "UTC", "2026-11-26T00:00:00Z", "2026-11-29T00:00:00Z"},
                // Macros.
                {"@yearly", "UTC", "2026-07-09T14:45:00Z", "2027-01-01T00:00:00Z"},
                {"@annually", "UTC", "2026-07-09T14:45:00Z", "2027-01-01T00:00:00Z"},
                {"@monthly", "UTC", "2026-07-09T14:45:00Z", "2026-08-01T00:00:00Z"},
                {"@weekly", "UTC", "2026-07-09T14:45:00Z", "2026-07-12T00:00:00Z"},
                {"@daily", "UTC", "2026-07-09T14:45:00Z", "2026-07-10T00:00:00Z"},
                {"@midnight", "UTC", "2026-07-09T14:45:00Z", "2026-07-10T00:00:00Z"},
                {"@hourly", "UTC", "2026-07-09T14:45:00Z", "2026-07-09T15:00:00Z"},
                {"@every 1h30m", "UTC", "2026-07-09T14:45:10Z", "2026-07-09T16:15:10Z"},
                {"@every 1500ms", "UTC", "2026-07-09T14:45:10Z", "2026-07-09T14:45:11Z"},
                {"@every -5m", "UTC", "2026-07-09T14:45:10Z", "2026-07-09T14:45:11Z"},
                // Zones.
                {"0 9 * * *", "Asia/Kolkata", "2026-07-09T00:00:00Z", "2026-07-09T03:30:00Z"},
                {"0 0 * * *", "Pacific/Kiritimati", "2026-07-09T00:00:00Z", "2026-07-09T10:00:00Z"},
                // Clocks go forward: 02:00 to 03:00.
                {"30 2 11 3 ?", "America/New_York", "2012-03-11T05:00:00Z", "2013-03-11T06:30:00Z"},
                {"0 * * * *", "America/New_York", "2012-03-11T05:00:00Z", "2012-03-11T06:00:00Z"},
                {"0 * * * *", "America/New_York", "2012-03-11T06:00:00Z", "2012-03-11T07:00:00Z"},
                {"0 1 * * *", "America/New_York", "2012-03-11T06:00:00Z", "2012-03-12T05:00:00Z"},
                {"0 2 * * *", "America/New_York", "2012-03-11T05:00:00Z", "2012-03-12T06:00:00Z"}, // left out
                {"0 3 * * *", "Europe/Berlin", "2027-03-27T23:00:00Z", "2027-03-28T01:00:00Z"},
                // Clocks go back: 02:00 to 01:00.
                {"30 2 4 11 ?", "America/New_York", "2012-11-04T04:00:00Z", "2012-11-04T07:30:00Z"},
                {"30 1 4 11 ?", "America/New_York", "2012-11-04T05:45:00Z", "2012-11-04T06:30:00Z"},
                {"0 * * * *", "America/New_York", "2012-11-04T05:00:00Z", "2012-11-04T06:00:00Z"},
                {"0 1 * * *", "America/New_York", "2012-11-04T04:00:00Z", "2012-11-04T05:00:00Z"}, // twice
                {"0 1 * * *", "America/New_York", "2012-11-04T05:00:00Z", "2012-11-04T06:00:00Z"},
                {"0 1 * * *", "America/New_York", "2012-11-04T06:00:00Z", "2012-11-05T06:00:00Z"},
                {"0 2 * * *", "America/New_York", "2012-11-04T04:00:00Z", "2012-11-04T07:00:00Z"},
                {"0 2 * * *", "America/New_York", "2012-11-04T07:00:00Z", "2012-11-05T07:00:00Z"},
                {"0 3 3 * *", "America/New_York", "2012-11-04T04:00:00Z", "2012-12-03T08:00:00Z"},
                // A day without midnight lies on the way.
                {"0 9 10 * *", "America/Sao_Paulo", "2018-10-17T09:00:00Z", "2018-11-10T11:00:00Z"},
                {"0 9 22 * *", "America/Sao_Paulo", "2018-02-14T10:00:00Z", "2018-02-22T12:00:00Z"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_cron cron;
                CX_ERROR err = CX_ERROR_INIT;
                if (cx_cron_parse(cases[i].schedule, &cron, &err) < 0)
                        fail_msg("%s: %s", cases[i].schedule, cx_error_text(&err));
                CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = zone_of(cases[i].zone);
                int64_t next = 0;
                bool found = cx_cron_next(&cron, zone, moment(cases[i].after), &next);
                char text[CX_TIME_TEXT];
                cx_time_format(next * CX_US_PER_S, text);
                if (found != (cases[i].next != NULL) || (found && strcmp(text, cases[i].next) != 0))
                        fail_msg("%s in %s after %s: %s, not %s", cases[i].schedule, cases[i].zone, cases[i].after,
                                 found ? text : "never", cx_str(cases[i].next));
        }
}

static void test_errors(void **state CX_UNUSED)
{
        static const struct {
                const char *schedule, *message;
        } cases[] = {
                {"", "empty spec string"},
                {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
                {"0 0 0 1 1 *", "expected exactly 5 fields, found 6: [0 0 0 1 1 *]"},
                {"bad", "expected exactly 5 fields, found 1: [bad]"},
                {"60 * * * *", "end of range (60) above maximum (59): 60"},
                {"* 24 * * *", "end of range (24) above maximum (23): 24"},
                {"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
                {"* * * 13 *", "end of range (13) above maximum (12): 13"},
                {"* * * * 7", "end of range (7) above maximum (6): 7"},
                {"5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"},
                {"1-2-3 * * * *", "too many hyphens: 1-2-3"},
                {"1/2/3 * * * *", "too many slashes: 1/2/3"},
                {"*/0 * * * *", "step of range should be a positive number: */0"},
                {"*/x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
                {"99999999999999999999 * * * *",
                 "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value "
                 "out of range"},
                {"*/-5 * * * *", "negative number (-5) not allowed: -5"},
                {"* * * * fun", "failed to parse int from fun: strconv.Atoi: parsing \"fun\": invalid syntax"},
                {"@often", "unrecognized descriptor: @often"},
                {"@every x", "failed to parse duration @every x: time: invalid duration \"x\""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_cron cron;
                CX_ERROR err = CX_ERROR_INIT;
                assert_true(cx_cron_parse(cases[i].schedule, &cron, &err) < 0);
                assert_string_equal(cx_error_text(&err), cases[i].message);
        }
        // Steps beyond the field, and numbers that hardly fit, do no harm.
        struct cx_cron cron;
        assert_int_equal(cx_cron_parse("*/9223372036854775807 * * * *", &cron, NULL), 0);
        assert_true(cron.minutes == 1);
        assert_int_equal(cx_cron_parse(" 1,,2\t* * * *\n", &cron, NULL), 0);
        assert_true(cron.minutes == 6);
}

static void test_zones(void **state CX_UNUSED)
{
        static const struct {
                const char *zone, *at;
                int64_t offset;
        } cases[] = {
                {"UTC", "2026-01-01T00:00:00Z", 0},
                {"", "2026-01-01T00:00:00Z", 0},
                {"Etc/GMT+5", "2026-01-01T00:00:00Z", -18000},
                {"Europe/Berlin", "1900-01-01T00:00:00Z", 3600},
                {"Europe/Berlin", "2026-07-01T00:00:00Z", 7200},
                {"America/New_York", "2026-03-08T06:59:59Z", -18000},
                {"America/New_York", "2026-03-08T07:00:00Z", -14400},
                // Beyond what the file lists: by its rule.
                {"America/New_York", "2090-03-12T06:59:59Z", -18000},
                {"America/New_York", "2090-03-12T07:00:00Z", -14400},
                {"America/New_York", "2090-11-05T05:59:59Z", -14400},
                {"America/New_York", "2090-11-05T06:00:00Z", -18000},
                {"Australia/Sydney", "2090-01-01T00:00:00Z", 39600}, // summer over the new year
                {"Australia/Sydney", "2090-07-01T00:00:00Z", 36000},
                {"Asia/Kolkata", "2090-07-01T00:00:00Z", 19800},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = zone_of(cases[i].zone);
                struct cx_zone_span span = cx_timezone_at(zone, moment(cases[i].at));
                if (span.offset != cases[i].offset)
                        fail_msg("%s at %s: %lld", cases[i].zone, cases[i].at, (long long)span.offset);
                assert_true(span.start <= moment(cases[i].at) && moment(cases[i].at) < span.end);
        }
        static const char *const none[] = {"Mars/Base", "../passwd", "/etc/passwd", "America", "zone.tab", "Local"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(none); i++) {
                struct cx_timezone *zone = NULL;
                assert_int_equal(cx_timezone_load(none[i], &zone), -ENOENT);
        }
}

// What the clock shows and the moment that it shows it at, all along two centuries.
static void test_wall_clocks(void **state CX_UNUSED)
{
        static const char *const zones[] = {"UTC", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(zones); i++) {
                CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = zone_of(zones[i]);
                for (int64_t at = -INT64_C(3000000000); at < INT64_C(4000000000); at += 3599 * 977) {
                        struct cx_wall_clock clock = cx_wall_clock_at(zone, at);
                        int64_t back = cx_wall_clock_moment(zone, &clock);
                        struct cx_wall_clock again = cx_wall_clock_at(zone, back);
                        assert_true(back == at || clock.hour == again.hour); // shown twice when it goes back
                }
        }
        CX_CLEANUP(cx_timezone_freep) struct cx_timezone *utc = zone_of("UTC");
        struct cx_wall_clock clock = {.year = 2026, .month = 14, .day = 31, .hour = 25};
        assert_int_equal(cx_wall_clock_moment(utc, &clock), moment("2027-03-04T01:00:00Z"));
        clock = cx_wall_clock_at(utc, moment("2024-02-29T12:34:56Z"));
        assert_int_equal(clock.day, 29);
        assert_int_equal(clock.weekday, 4);
        cx_wall_clock_at(utc, INT64_MAX); // far away is as good as anything
        cx_wall_clock_at(utc, INT64_MIN);
}

// Every prefix of a good file, and every byte of it changed, is refused or read, and nothing else happens.
static void test_broken_zones(void **state CX_UNUSED)
{
        CX_BUF file = CX_BUF_INIT;
        assert_int_equal(cx_buf_read_file(&file, "/usr/share/zoneinfo/America/New_York"), 0);
        for (size_t length = 0; length < file.length; length++) {
                struct cx_timezone *zone = NULL;
                CX_CLEANUP(cx_freep) char *part = cx_strndup("", 0);
                part = cx_realloc_array(part, length + 1, 1);
                memcpy(part, file.data, length);
                assert_int_equal(cx_timezone_parse(part, length, &zone), -EINVAL);
        }
        for (size_t i = 0; i < file.length; i++) {
                char before = file.data[i];
                file.data[i] ^= 0x55;
                CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = NULL;
                if (cx_timezone_parse(file.data, file.length, &zone) == 0)
                        cx_timezone_at(zone, INT64_C(1795235340));
                file.data[i] = before;
        }
}

static void test_indexes(void **state CX_UNUSED)
{
        static const struct {
                const char *text;
                int64_t limit;
                const char *kept;
                int64_t total;
        } cases[] = {
                {"", 10, "", 0},
                {"0", 10, "0", 1},
                {"1,3-5,7", 10, "1,3-5,7", 5},
                {"3,4", 10, "3,4", 2},
                {"3-4", 10, "3,4", 2},
                {"5-7,1-3,2-6", 10, "1-7", 7},     // in no order
                {"1-9,20-30", 5, "1-4", 4},        // beyond the end
                {"x,1,-3,4-,5-2,8-x", 10, "1", 1}, // nonsense
                {"0-2147483646", 2147483647, "0-2147483646", 2147483647},
                {"99999999999999999999", 10, "", 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_INDEXES indexes = CX_INDEXES_INIT;
                cx_indexes_parse(&indexes, cases[i].text, cases[i].limit);
                CX_CLEANUP(cx_freep) char *text = cx_indexes_text(&indexes);
                assert_string_equal(text, cases[i].kept);
                assert_true(cx_indexes_total(&indexes) == cases[i].total);
        }
        CX_INDEXES a = CX_INDEXES_INIT, b = CX_INDEXES_INIT;
        cx_indexes_add(&a, (const int64_t[]){7, 0, 1, 3, 0}, 5);
        cx_indexes_parse(&b, "1-3,8", 10);
        assert_true(cx_indexes_common(&a, &b) == 2);
        assert_true(cx_indexes_has(&a, 3) && !cx_indexes_has(&a, 2) && !cx_indexes_has(&a, 8));
        cx_indexes_unite(&a, &b);
        CX_CLEANUP(cx_freep) char *text = cx_indexes_text(&a);
        assert_string_equal(text, "0-3,7,8");
        int64_t missing[4];
        assert_int_equal(cx_indexes_missing(&a, 10, 4, missing), 4);
        assert_true(missing[0] == 4 && missing[1] == 5 && missing[2] == 6 && missing[3] == 9);
        assert_int_equal(cx_indexes_missing(&a, 10, 2, missing), 2);
        assert_int_equal(cx_indexes_missing(&a, 4, 4, missing), 0);
}

static void test_strict_indexes(void **state CX_UNUSED)
{
        static const struct {
                const char *text, *why;
                int64_t total;
        } cases[] = {
                {"", NULL, 0},
                {"1,3-5,7", NULL, 5},
                {"1-2-3",
                 "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two "
                 "parts separated by '-'",
                 0},
                {"x", "cannot convert string to integer for index: \"x\"", 0},
                {"1,", "cannot convert string to integer for index: \"\"", 0},
                {"10", "too large index: \"10\"", 0},
                {"1-10", "too large index: \"10\"", 0},
                {"5-3", "non-increasing order, previous: 5, current: 3", 0},
                {"5-5", "non-increasing order, previous: 5, current: 5", 0},
                {"1,1", "non-increasing order, previous: 1, current: 1", 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int64_t total = 0;
                CX_CLEANUP(cx_freep) char *why = cx_indexes_check(cases[i].text, 10, &total);
                if (!cx_streq(why, cases[i].why))
                        fail_msg("%s: %s", cases[i].text, cx_str(why));
                assert_true(why || total == cases[i].total);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_next),           cmocka_unit_test(test_errors),
                cmocka_unit_test(test_zones),          cmocka_unit_test(test_wall_clocks),
                cmocka_unit_test(test_broken_zones),   cmocka_unit_test(test_indexes),
                cmocka_unit_test(test_strict_indexes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
