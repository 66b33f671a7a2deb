// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kubectl/printer/jsonpath.h"
#include "libcommon/format/json.h"

static const char data_text[] = "{\"kind\":\"List\",\"items\":[{\"metadata\":{\"name\":\"a\",\"labels\":{\"app.io/"
                                "x\":\"1\"}},\"spec\":{\"n\":3,\"on\":true}},"
                                "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"n\":5,\"on\":false,\"list\":[1,2,3,4]}}]}";

static const struct {
        const char *template, *text; // text NULL: an error
} cases[] = {
        {"{.kind}", "List"},
        {"plain text", "plain text"},
        {"{.items[0].metadata.name}", "a"},
        {"{.items[-1].metadata.name}", "b"},
        {"{.items[*].metadata.name}", "a b"},
        {"{.items[*]['metadata.name','spec.n']}", ""},
        {"{.items[*].metadata['name']}", "a b"},
        {"{range .items[*]}{.metadata.name}{\"\\t\"}{.spec.n}{\"\\n\"}{end}", "a\t3\nb\t5\n"},
        {"{.items[?(@.spec.n>3)].metadata.name}", "b"},
        {"{.items[?(@.spec.n==3)].metadata.name}", "a"},
        {"{.items[?(@.metadata.name!='a')].metadata.name}", "b"},
        {"{.items[?(@.metadata.name==\"a\")].spec.n}", "3"},
        {"{.items[?(@.spec.list)].metadata.name}", "b"},
        {"{.items[?(@.spec.on==true)].metadata.name}", "a"},
        {"{.items[1].spec.list[1:3]}", "2 3"},
        {"{.items[1].spec.list[0:4:2]}", "1 3"},
        {"{.items[1].spec.list[-2:]}", "3 4"},
        {"{.items[1].spec.list[0,2]}", "1 3"},
        {"{..name}", "a b"},
        {"{.items[0].metadata.labels.app\\.io/x}", "1"},
        {"{.items[0].metadata.labels['app.io/x']}", "1"},
        {"{.items[0].spec}", "{\"n\":3,\"on\":true}"},
        {"{.nosuch}", ""},
        {"{.items[9].x}", NULL},
        {"{@.kind} and {$.kind}", "List and List"},
        {"{'quoted'}", "quoted"},
        {"{.kind", NULL},
        {"{end}", NULL},
        {"{range .items[*]}x", NULL},
        {"{.items[}", NULL},
        {"{.items[?(@.x==]}", NULL},
        {"{.kind[0]}", NULL},
        {"{\"open}", NULL},
        {"{nosuchword}", NULL},
};

static void test_templates(void **state CX_UNUSED)
{
        json_auto_t *data = json_loads(data_text, 0, NULL);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(jsonpath_freep) struct jsonpath *path = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                CX_BUF text = CX_BUF_INIT;
                int r = jsonpath_parse(cases[i].template, &path, &err);
                if (r == 0)
                        r = jsonpath_print(path, data, true, &text, &err);
                if ((r < 0) != (cases[i].text == NULL))
                        fail_msg("%s: %d %s", cases[i].template, r, cx_error_text(&err));
                if (r < 0)
                        assert_int_equal(err.code, r);
                else if (strcmp(text.data, cases[i].text) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].template, text.data);
        }
}

static void test_missing_key_is_an_error(void **state CX_UNUSED)
{
        json_auto_t *data = json_loads(data_text, 0, NULL);
        CX_CLEANUP(jsonpath_freep) struct jsonpath *path = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        CX_BUF text = CX_BUF_INIT;
        assert_int_equal(jsonpath_parse("{.nosuch}", &path, &err), 0);
        assert_true(jsonpath_print(path, data, false, &text, &err) < 0);
        assert_string_equal(err.message, "nosuch is not found");
}

static void test_relaxed_forms(void **state CX_UNUSED)
{
        static const char *const forms[] = {"kind", ".kind", "{kind}", "{.kind}"};
        json_auto_t *data = json_loads(data_text, 0, NULL);
        for (size_t i = 0; i < CX_ARRAY_SIZE(forms); i++) {
                CX_CLEANUP(jsonpath_freep) struct jsonpath *path = NULL;
                CX_BUF text = CX_BUF_INIT;
                assert_int_equal(jsonpath_parse_relaxed(forms[i], &path, NULL), 0);
                assert_int_equal(jsonpath_print(path, data, true, &text, NULL), 0);
                assert_string_equal(text.data, "List");
        }
}

static void test_deep_templates_end(void **state CX_UNUSED)
{
        CX_BUF deep = CX_BUF_INIT;
        CX_CLEANUP(jsonpath_freep) struct jsonpath *path = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        for (int i = 0; i < 1000; i++)
                cx_buf_add(&deep, "{range .a[?(");
        assert_true(jsonpath_parse(deep.data, &path, &err) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_templates),
                cmocka_unit_test(test_missing_key_is_an_error),
                cmocka_unit_test(test_relaxed_forms),
                cmocka_unit_test(test_deep_templates_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
