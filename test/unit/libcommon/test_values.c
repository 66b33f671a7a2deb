// SPDX-License-Identifier: Apache-2.0
// Quantities, selectors, names and numbers-or-percentages.
#include "libcommon/api/intstr.h"
#include "libcommon/api/names.h"
#include "libcommon/api/quantity.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_quantities(void **state)
{
        static const struct {
                const char *text, *canonical; // NULL: not valid
                int64_t value, milli;
        } cases[] = {
                {"0", "0", 0, 0},
                {"100m", "100m", 1, 100},
                {"0.5", "500m", 1, 500},
                {"1", "1", 1, 1000},
                {"1.5Gi", "1536Mi", INT64_C(1610612736), INT64_C(1610612736000)},
                {"1024", "1024", 1024, 1024000},
                {"1Ki", "1Ki", 1024, 1024000},
                {"1e3", "1e3", 1000, 1000000},
                {"1000", "1k", 1000, 1000000},
                {"12E", "12E", INT64_MAX, INT64_MAX},
                {"-1", "-1", -1, -1000},
                {"+5M", "5M", 5000000, INT64_C(5000000000)},
                {"1n", "1n", 1, 1},
                {"", NULL, 0, 0},
                {"abc", NULL, 0, 0},
                {"1 Gi", NULL, 0, 0},
                {"1.2.3", NULL, 0, 0},
                {"1Gii", NULL, 0, 0},
                {"1e99", NULL, 0, 0},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_quantity quantity;
                int r = cx_quantity_parse(cases[i].text, &quantity);
                if (!cases[i].canonical) {
                        assert_int_not_equal(r, 0);
                        continue;
                }
                assert_int_equal(r, 0);
                if (cases[i].value == INT64_MAX)
                        continue; // saturates: only that it parses matters
                char text[CX_QUANTITY_TEXT];
                cx_quantity_format(&quantity, text);
                assert_string_equal(text, cases[i].canonical);
                assert_true(cx_quantity_value(&quantity) == cases[i].value);
                assert_true(cx_quantity_milli(&quantity) == cases[i].milli);
        }
}

static void test_label_selectors(void **state)
{
        json_auto_t *labels = json_pack("{s:s,s:s,s:s}", "app", "web", "tier", "front", "n", "7");
        static const struct {
                const char *text;
                int matches; // -1: does not parse
        } cases[] = {
                {"", 1},
                {"app=web", 1},
                {"app==web,tier=front", 1},
                {"app!=web", 0},
                {"app=db", 0},
                {"app in (db, web)", 1},
                {"app notin (db,web)", 0},
                {"none notin (x)", 1},
                {"app", 1},
                {"!app", 0},
                {"!none", 1},
                {"n>5", 1},
                {"n<5", 0},
                {"app=", 0},
                {"app in (", -1},
                {"app web", -1},
                {"=web", -1},
                {"a b=c", -1},
                {"app=web,", -1},
                {"n>x", -1},
                {"-bad=x", -1},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                int r = cx_selector_parse_labels(cases[i].text, &selector, NULL);
                if ((r == 0) != (cases[i].matches >= 0))
                        fail_msg("%s: %d", cases[i].text, r);
                if (r == 0 && cx_selector_matches(&selector, labels) != cases[i].matches)
                        fail_msg("%s", cases[i].text);
        }
}

static void test_selector_objects(void **state)
{
        json_auto_t *labels = json_pack("{s:s}", "app", "web");
        json_auto_t *given = json_pack("{s:{s:s},s:[{s:s,s:s,s:[s,s]}]}", "matchLabels", "app", "web",
                                       "matchExpressions", "key", "app", "operator", "In", "values", "web", "db");
        json_auto_t *empty = json_object();
        CX_SELECTOR a = CX_SELECTOR_INIT, b = CX_SELECTOR_INIT, c = CX_SELECTOR_INIT, d = CX_SELECTOR_INIT;
        CX_BUF text = CX_BUF_INIT;
        (void)state;
        assert_int_equal(cx_selector_from_json(given, &a, NULL), 0);
        assert_true(cx_selector_matches(&a, labels));
        cx_selector_format(&a, &text);
        assert_string_equal(text.data, "app=web,app in (web,db)");
        assert_int_equal(cx_selector_from_json(empty, &b, NULL), 0);
        assert_true(cx_selector_matches(&b, labels)); // {} selects everything
        assert_int_equal(cx_selector_from_json(NULL, &c, NULL), 0);
        assert_false(cx_selector_matches(&c, labels)); // nothing selects nothing
        cx_selector_from_map(empty, &d);
        assert_false(cx_selector_matches(&d, labels)); // a service without selector
}

static void test_names(void **state)
{
        static const struct {
                const char *(*check)(const char *);
                const char *text;
                bool good;
        } cases[] = {
                {cx_check_dns1123_label, "web-1", true},
                {cx_check_dns1123_label, "Web", false},
                {cx_check_dns1123_label, "-web", false},
                {cx_check_dns1123_label, "a.b", false},
                {cx_check_dns1123_subdomain, "a.b-c.d", true},
                {cx_check_dns1123_subdomain, "a..b", false},
                {cx_check_dns1035_label, "1web", false},
                {cx_check_dns1035_label, "web", true},
                {cx_check_qualified_name, "example.com/a_b", true},
                {cx_check_qualified_name, "/a", false},
                {cx_check_qualified_name, "a b", false},
                {cx_check_label_value, "", true},
                {cx_check_label_value, "a b", false},
                {cx_check_config_key, "a.txt", true},
                {cx_check_config_key, "..", false},
                {cx_check_config_key, "a/b", false},
                {cx_check_port_name, "http", true},
                {cx_check_port_name, "80", false},
                {cx_check_env_name, "A=B", false},
                {cx_check_path_segment, "a/b", false},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++)
                if ((cases[i].check(cases[i].text) == NULL) != cases[i].good)
                        fail_msg("%s", cases[i].text);
}

static void test_percentages(void **state)
{
        json_auto_t *quarter = json_string("25%"), *number = json_integer(2), *bad = json_string("x%");
        int64_t value;
        (void)state;
        assert_int_equal(cx_int_or_percent(quarter, 3, true, &value), 0);
        assert_int_equal(value, 1);
        assert_int_equal(cx_int_or_percent(quarter, 3, false, &value), 0);
        assert_int_equal(value, 0);
        assert_int_equal(cx_int_or_percent(number, 10, false, &value), 0);
        assert_int_equal(value, 2);
        assert_int_not_equal(cx_int_or_percent(bad, 10, false, &value), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quantities),       cmocka_unit_test(test_label_selectors),
                cmocka_unit_test(test_selector_objects), cmocka_unit_test(test_names),
                cmocka_unit_test(test_percentages),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
