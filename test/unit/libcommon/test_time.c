// SPDX-License-Identifier: Apache-2.0
#include "libcommon/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_moments(void **state)
{
        static const struct {
                const char *text;
                int64_t us; // INT64_MIN: not valid
        } cases[] = {
                {"1970-01-01T00:00:00Z", 0},
                {"2026-11-21T04:29:00Z", INT64_C(1795235340000000)},
                {"2026-11-21T06:29:00+02:00", INT64_C(1795235340000000)},
                {"2026-11-21T04:29:00.5Z", INT64_C(1795235340500000)},
                {"2026-11-21T04:29:00.000001Z", INT64_C(1795235340000001)},
                {"2026-11-21 04:29:00Z", INT64_MIN},
                {"2026-13-21T04:29:00Z", INT64_MIN},
                {"2026-11-21T04:29:00", INT64_MIN},
                {"2026-11-21T04:29:00.Z", INT64_MIN},
                {"", INT64_MIN},
        };
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                int64_t us = INT64_MIN;
                int r = cx_time_parse(cases[i].text, &us);
                assert_int_equal(r, cases[i].us == INT64_MIN ? -22 : 0);
                assert_true(us == cases[i].us);
        }
        char text[CX_TIME_TEXT];
        cx_time_format(INT64_C(1795235340500000), text);
        assert_string_equal(text, "2026-11-21T04:29:00Z");
        cx_time_format_micro(-1, text);
        assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

static void test_durations(void **state)
{
        static const struct {
                const char *text;
                int64_t ns;
                const char *back;
        } cases[] = {
                {"0", 0, "0s"},
                {"1h30m", INT64_C(5400000000000), "1h30m0s"},
                {"300ms", 300000000, "300ms"},
                {"1.5s", 1500000000, "1.5s"},
                {"-2m", INT64_C(-120000000000), "-2m0s"},
                {"100us", 100000, "100µs"},
        };
        static const char *const bad[] = {"", "5", "s", "1x", "1h-", "99999999999h"};
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                int64_t ns = 1;
                char back[CX_TIME_TEXT];
                assert_int_equal(cx_duration_parse(cases[i].text, &ns), 0);
                assert_true(ns == cases[i].ns);
                cx_duration_format(ns, back);
                assert_string_equal(back, cases[i].back);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                int64_t ns;
                assert_int_not_equal(cx_duration_parse(bad[i], &ns), 0);
        }
}

static void test_ages(void **state)
{
        static const struct {
                int64_t seconds;
                const char *text;
        } cases[] = {{0, "0s"},        {119, "119s"},    {120, "2m"},         {190, "3m10s"},
                     {700, "11m"},     {26100, "7h15m"}, {90000, "25h"},      {259200, "3d"},
                     {176400, "2d1h"}, {63072000, "2y"}, {66960000, "2y45d"}, {-5, "<invalid>"}};
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char text[CX_TIME_TEXT];
                cx_duration_human(cases[i].seconds * CX_NS_PER_S, text);
                assert_string_equal(text, cases[i].text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_moments), cmocka_unit_test(test_durations),
                                           cmocka_unit_test(test_ages)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
