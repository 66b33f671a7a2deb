// SPDX-License-Identifier: Apache-2.0
// JSON, YAML and the scanner.
#include "libcommon/format/json.h"
#include "libcommon/format/scan.h"
#include "libcommon/format/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_json_errors(void **state)
{
        json_t *json = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        (void)state;
        assert_int_not_equal(cx_json_parse("{\n \"a\": }", 9, true, &json, &err), 0);
        assert_non_null(strstr(err.message, "line 2"));
        assert_int_equal(err.reason, CX_REASON_BAD_REQUEST);
        assert_int_not_equal(cx_json_parse("{\"a\":1,\"a\":2}", 13, true, &json, NULL), 0);
        char deep[600];
        memset(deep, '[', 300);
        memset(deep + 300, ']', 300);
        assert_int_not_equal(cx_json_parse(deep, 600, true, &json, NULL), 0);
}

static void test_json_paths(void **state)
{
        json_auto_t *json = json_object();
        (void)state;
        assert_int_equal(cx_json_set(json, "a.b.c", json_integer(5)), 0);
        assert_int_equal(cx_json_int(json, "a.b.c", 0), 5);
        assert_int_not_equal(cx_json_set(json, "a.b.c.d", json_integer(5)), 0);
        assert_null(cx_json_get(json, "a.x.c"));
        cx_json_remove(json, "a.b.c");
        assert_int_equal(cx_json_count(json, "a.b"), 0);
}

static void test_yaml(void **state)
{
        static const struct {
                const char *yaml, *json; // NULL: an error
        } cases[] = {
                {"a: 1\nb: [x, 'y', \"z\"]\nc: {d: true}\n",
                 "[{\"a\":1,\"b\":[\"x\",\"y\",\"z\"],\"c\":{\"d\":true}}]"},
                {"a: 1\n---\n---\nb: 2\n", "[{\"a\":1},{\"b\":2}]"},
                {"on: 1\nn: 2\n'y': 3\n", "[{\"true\":1,\"false\":2,\"y\":3}]"},
                {"x: &a {k: v}\nw: *a\nz: {<<: *a, m: o}\n",
                 "[{\"x\":{\"k\":\"v\"},\"w\":{\"k\":\"v\"},\"z\":{\"k\":\"v\",\"m\":\"o\"}}]"},
                {"a: yes\nb: no\nc: null\nd: ~\ne: '1'\nf: 0x10\ng: 1.5\nh: 1e3\ni: y\n",
                 "[{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":\"1\",\"f\":16,\"g\":1.5,\"h\":1000,\"i\":"
                 "true}]"},
                {"a: |\n  one\n  two\nb: >\n  one\n  two\n", "[{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\\n\"}]"},
                {"a: 1\na: 2\n", NULL},
                {"a: [1\n", NULL},
                {"a: *none\n", NULL},
                {"{\"a\": \"\\ud83d\\ude00\"}", "[{\"a\":\"😀\"}]"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *json = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                int r = cx_yaml_parse(cases[i].yaml, strlen(cases[i].yaml), &json, &err);
                if (!cases[i].json) {
                        assert_int_not_equal(r, 0);
                        assert_non_null(strstr(err.message, "line"));
                        continue;
                }
                assert_int_equal(r, 0);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(json);
                assert_string_equal(text, cases[i].json);
        }
}

static void test_laughs(void **state)
{
        static const char text[] = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                                   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
                                   "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        json_t *json = NULL;
        (void)state;
        assert_int_not_equal(cx_yaml_parse(text, sizeof text - 1, &json, NULL), 0);
}

static void test_yaml_round_trip(void **state)
{
        static const char *const texts[] = {"{\"a\":\"true\",\"b\":\"1\",\"c\":\"\",\"d\":\"x: y\",\"e\":\"null\"}",
                                            "{\"a\":{},\"b\":[],\"c\":[[1],{\"x\":null}],\"d\":\"2020-01-01\"}",
                                            "{\"text\":\"one\\ntwo\\n\",\"tab\":\"\\t\",\"y\":\"y\",\"n\":1.5}"};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++) {
                json_auto_t *json = NULL;
                json_auto_t *back = NULL;
                CX_BUF yaml = CX_BUF_INIT;
                assert_int_equal(cx_json_parse(texts[i], strlen(texts[i]), true, &json, NULL), 0);
                assert_int_equal(cx_yaml_dump(json, &yaml, NULL), 0);
                assert_int_equal(cx_yaml_parse(yaml.data, yaml.length, &back, NULL), 0);
                assert_true(json_equal(json_array_get(back, 0), json));
        }
}

static void test_scan(void **state)
{
        static const char text[] = "{\"kind\":\"Pod\", \"metadata\" : "
                                   "{\"name\":\"a\\\"b\",\"labels\":{\"k\":\"v\"}},\"n\":[1,{\"x\":\"]\"}],"
                                   "\"t\":true}";
        struct cx_slice json = {text, sizeof text - 1};
        (void)state;
        assert_true(cx_slice_equals(cx_scan_path(json, "metadata.labels.k"), "\"v\""));
        CX_CLEANUP(cx_freep) char *name = cx_scan_string(cx_scan_path(json, "metadata.name"));
        assert_string_equal(name, "a\"b");
        assert_true(cx_slice_equals(cx_scan_path(json, "n"), "[1,{\"x\":\"]\"}]"));
        CX_CLEANUP(cx_freep) char *scalar = cx_scan_scalar(cx_scan_path(json, "t"));
        assert_string_equal(scalar, "true");
        assert_null(cx_scan_path(json, "metadata.none").data);
        assert_null(cx_scan_path((struct cx_slice){"{\"a\":", 5}, "a").data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json_errors), cmocka_unit_test(test_json_paths),      cmocka_unit_test(test_yaml),
                cmocka_unit_test(test_laughs),      cmocka_unit_test(test_yaml_round_trip), cmocka_unit_test(test_scan),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
