// SPDX-License-Identifier: Apache-2.0
// Plain scalars as sigs.k8s.io/yaml reads them, and what a writer must quote.
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/format/yaml_scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
        const char *scalar, *json; // NULL: an error
} scalars[] = {
        // text
        {"abc", "\"abc\""},
        {"_1", "\"_1\""},
        {"1_000x", "\"1_000x\""},
        {"1.2.3", "\"1.2.3\""},
        {"0x", "\"0x\""},
        {"0xg", "\"0xg\""},
        {"0o8", "\"0o8\""},
        {"0b2", "\"0b2\""},
        {"0o", "\"0o\""},
        {"+", "\"+\""},
        {"-_", "\"-_\""},
        {".", "\".\""},
        {"..5", "\"..5\""},
        {"._5", "\"._5\""},
        {".e5", "\".e5\""},
        {"1e", "\"1e\""},
        {"1e+", "\"1e+\""},
        {"e3", "\"e3\""},
        {"0x1p4", "\"0x1p4\""},
        {"1e999", "\"1e999\""},
        {"1:30", "\"1:30\""},
        {"190:20:30", "\"190:20:30\""},
        {"2001-12-14", "\"2001-12-14\""},
        {"2001-12-14T21:59:43Z", "\"2001-12-14T21:59:43Z\""},
        {"2001-12-14 21:59:43", "\"2001-12-14 21:59:43\""},
        {"inf", "\"inf\""},
        {"nan", "\"nan\""},
        {"tRUE", "\"tRUE\""},
        {"oN", "\"oN\""},
        {"nULL", "\"nULL\""},
        {"'1'", "\"1\""},
        {"\"0o17\"", "\"0o17\""},
        {"!!str 1_000", "\"1_000\""},
        {"!!str yes", "\"yes\""},
        {"!mine 5", "\"5\""},
        {"!!binary aGVsbG8=", "\"hello\""},
        // whole numbers
        {"0", "0"},
        {"-0", "0"},
        {"+5", "5"},
        {"-17", "-17"},
        {"1_000", "1000"},
        {"1__0_", "10"},
        {"017", "15"},
        {"00", "0"},
        {"0_7", "7"},
        {"-017", "-15"},
        {"0o17", "15"},
        {"0O17", "15"},
        {"-0o17", "-15"},
        {"0x1F", "31"},
        {"0X1f", "31"},
        {"-0x1f", "-31"},
        {"0x_ff", "255"},
        {"0b101", "5"},
        {"-0b101", "-5"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"!!int '5'", "5"},
        // floats, which JSON writes without a point when they are whole
        {"08", "8"},
        {"09.5", "9.5"},
        {"1.5", "1.5"},
        {"5.", "5"},
        {".5", "0.5"},
        {"+.5", "0.5"},
        {"-.5", "-0.5"},
        {".5_0", "0.5"},
        {"1_000.2_5", "1000.25"},
        {"1e3", "1000"},
        {"1E+3", "1000"},
        {"12e03", "12000"},
        {"25e-2", "0.25"},
        {"1.e3", "1000"},
        {"1.0", "1"},
        {"18446744073709551615", "1.8446744073709552e19"},
        {"100000000000000000000", "1e20"},
        {"!!float 5", "5"},
        // what JSON cannot hold
        {".inf", NULL},
        {"-.Inf", NULL},
        {"+.INF", NULL},
        {".nan", NULL},
        {".NaN", NULL},
        {"!!int abc", NULL},
        {"!!bool 5", NULL},
        {"!!binary '*'", NULL},
        // words
        {"yes", "true"},
        {"Y", "true"},
        {"ON", "true"},
        {"True", "true"},
        {"n", "false"},
        {"No", "false"},
        {"off", "false"},
        {"FALSE", "false"},
        {"~", "null"},
        {"Null", "null"},
        {"", "null"},
};

static void test_scalars(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(scalars); i++) {
                CX_CLEANUP(cx_freep) char *yaml = cx_sprintf("[a, b]\n---\nk: %s\n", scalars[i].scalar);
                json_auto_t *documents = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                int r = cx_yaml_parse(yaml, strlen(yaml), &documents, &err);
                if (!scalars[i].json && r == 0)
                        fail_msg("%s is read", scalars[i].scalar);
                if (!scalars[i].json)
                        continue;
                if (r < 0)
                        fail_msg("%s: %s", scalars[i].scalar, err.message);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(json_array_get(documents, 1));
                CX_CLEANUP(cx_freep) char *want = cx_sprintf("{\"k\":%s}", scalars[i].json);
                assert_string_equal(text, want);
        }
}

static void test_keys(void **state)
{
        static const struct {
                const char *key, *text; // NULL: an error
        } keys[] = {{"1_000", "1000"}, {"0o17", "15"}, {"0x10", "16"},        {"1.50", "1.5"},
                    {"1e3", "1000"},   {"on", "true"}, {".inf", ".inf"},      {"'0x10'", "0x10"},
                    {"a_b", "a_b"},    {"~", NULL},    {"!!str 0x10", "0x10"}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++) {
                CX_CLEANUP(cx_freep) char *yaml = cx_sprintf("%s: x\n", keys[i].key);
                json_auto_t *documents = NULL;
                int r = cx_yaml_parse(yaml, strlen(yaml), &documents, NULL);
                assert_int_equal(r < 0, !keys[i].text);
                if (keys[i].text)
                        assert_non_null(json_object_get(json_array_get(documents, 0), keys[i].text));
        }
}

// What is written is read again as what it was, and nothing is quoted without need.
static void test_quotes(void **state)
{
        static const struct {
                const char *text;
                bool quoted;
        } texts[] = {{"abc", false},
                     {"1.2.3", false},
                     {"v1", false},
                     {"1_000", true},
                     {"0o17", true},
                     {".5", true},
                     {"yes", true},
                     {"y", true},
                     {"<<", true},
                     {"", true},
                     {"~", true},
                     {".inf", true},
                     {"1e3", true},
                     {"1:30", true},
                     {"1:60", false},
                     {"+1:2:3.5", true},
                     {"10:20:", false},
                     {"2024-06-01", true},
                     {"2024-6-1", true},
                     {"2024-06-01x", false},
                     {"2024-13-01", false},
                     {"2024-06-01T10:00:00Z", true},
                     {"2024-06-01T10:00:00.5+02:00", true},
                     {"2024-06-01 10:00:00", true},
                     {"2024-06-01T10:00", false},
                     {"2024-06-01 10:00:00Z", false}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++) {
                json_auto_t *json = json_pack("{s:s}", "k", texts[i].text), *back = NULL;
                CX_BUF yaml = CX_BUF_INIT;
                assert_int_equal(cx_yaml_dump(json, &yaml, NULL), 0);
                if ((strchr(yaml.data, '"') != NULL) != texts[i].quoted)
                        fail_msg("%s", yaml.data);
                assert_int_equal(cx_yaml_parse(yaml.data, yaml.length, &back, NULL), 0);
                assert_true(json_equal(json_array_get(back, 0), json));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_scalars), cmocka_unit_test(test_keys),
                                           cmocka_unit_test(test_quotes)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
