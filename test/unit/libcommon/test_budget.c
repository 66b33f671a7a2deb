// SPDX-License-Identifier: Apache-2.0
// The budget of what is decoded and of what patches make: depth, weight, copies, on threads with small stacks.
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/engine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SMALL_STACK ((size_t)128 << 10)

// `n` times `text`.
static void repeat(struct cx_buf *to, const char *text, int n)
{
        for (int i = 0; i < n; i++)
                cx_buf_add(to, text);
}

static int parse(const struct cx_buf *text, json_t **ret_json)
{
        *ret_json = NULL;
        return cx_json_parse(text->data, text->length, false, ret_json, NULL);
}

static int parse_yaml(const struct cx_buf *text)
{
        json_auto_t *documents = NULL;
        return cx_yaml_parse(text->data, text->length, &documents, NULL);
}

static void test_json_depth(void **state)
{
        (void)state;
        for (int depth = CX_JSON_MAX_DEPTH; depth <= CX_JSON_MAX_DEPTH + 1; depth++) {
                CX_BUF text = CX_BUF_INIT;
                repeat(&text, "[", depth);
                repeat(&text, "]", depth);
                json_auto_t *json = NULL;
                assert_int_equal(parse(&text, &json) == 0, depth == CX_JSON_MAX_DEPTH);
                // the shortcut of YAML for what is JSON has the same limit, and YAML's own is lower
                if (depth > CX_JSON_MAX_DEPTH)
                        assert_true(parse_yaml(&text) < 0);
        }
        CX_BUF brackets = CX_BUF_INIT; // in a string they nest nothing
        cx_buf_add(&brackets, "[\"\\\"");
        repeat(&brackets, "[", 10000);
        cx_buf_add(&brackets, "\"]");
        json_auto_t *json = NULL;
        assert_int_equal(parse(&brackets, &json), 0);
}

static void test_weight(void **state)
{
        (void)state;
        json_auto_t *json = json_pack("{s:[i,i], s:s}", "ab", 1, 2, "c", "text");
        size_t exact = 5 * CX_JSON_VALUE_WEIGHT + strlen("ab") + strlen("c") + strlen("text");
        assert_int_equal(cx_json_weight(json, 2, 1000), exact);
        assert_true(cx_json_weight(json, 1, 1000) > 1000);
        assert_true(cx_json_weight(json, 2, exact - 1) > exact - 1);
        CX_BUF many = CX_BUF_INIT; // 3 MB of text, 1.5 million values
        cx_buf_add(&many, "[0");
        repeat(&many, ",0", 1500000);
        cx_buf_add(&many, "]");
        json_auto_t *array = NULL;
        assert_int_equal(parse(&many, &array), 0);
        assert_true(cx_json_check_weight(array, NULL) < 0);
        assert_int_equal(cx_json_check_weight(json, NULL), 0);
}

static void test_aliases(void **state)
{
        (void)state;
        CX_BUF few = CX_BUF_INIT;
        cx_buf_add(&few, "a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a}\n");
        assert_int_equal(parse_yaml(&few), 0);
        CX_BUF large = CX_BUF_INIT; // a megabyte, told to be there many times
        cx_buf_add(&large, "a: &a ");
        repeat(&large, "xxxxxxxxxxxxxxxx", 1 << 16);
        cx_buf_add(&large, "\nb: [");
        repeat(&large, "*a, ", 100000);
        cx_buf_add(&large, "*a]\n");
        assert_true(parse_yaml(&large) < 0);
        CX_BUF laughs = CX_BUF_INIT; // ten of ten of ten …
        cx_buf_add(&laughs, "a0: &a0 [x]\n");
        for (int i = 1; i < 10; i++) {
                cx_buf_printf(&laughs, "a%d: &a%d [", i, i);
                for (int k = 0; k < 10; k++)
                        cx_buf_printf(&laughs, "%s*a%d", k ? ", " : "", i - 1);
                cx_buf_add(&laughs, "]\n");
        }
        assert_true(parse_yaml(&laughs) < 0);
        CX_BUF deep = CX_BUF_INIT; // each document part nests little, an alias puts one into the other
        cx_buf_add(&deep, "a: &a ");
        repeat(&deep, "[", 60);
        repeat(&deep, "]", 60);
        cx_buf_add(&deep, "\nb: ");
        repeat(&deep, "[", 60);
        cx_buf_add(&deep, "*a");
        repeat(&deep, "]", 60);
        cx_buf_add(&deep, "\n");
        assert_true(parse_yaml(&deep) < 0);
}

static int patch(const char *document, const struct cx_buf *operations, json_t **ret_json)
{
        json_error_t where;
        json_auto_t *original = json_loads(document, 0, &where), *list = NULL;
        assert_int_equal(parse(operations, &list), 0);
        *ret_json = NULL;
        return cx_patch_json(original, list, ret_json, NULL);
}

static void test_patches(void **state)
{
        (void)state;
        CX_BUF doubling = CX_BUF_INIT; // each copies the document into itself
        cx_buf_add(&doubling, "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}");
        repeat(&doubling, ",{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}", 9000);
        cx_buf_add(&doubling, "]");
        json_auto_t *doubled = NULL;
        assert_true(patch("{}", &doubling, &doubled) < 0);
        CX_BUF digging = CX_BUF_INIT, path = CX_BUF_INIT; // each goes one level below the last
        cx_buf_add(&digging, "[{\"op\":\"test\",\"path\":\"/none\",\"value\":null}");
        for (int i = 0; i < 1000; i++) {
                cx_buf_add(&path, "/a");
                cx_buf_printf(&digging, ",{\"op\":\"add\",\"path\":\"%s\",\"value\":{}}", path.data);
        }
        cx_buf_add(&digging, "]");
        json_auto_t *dug = NULL;
        assert_true(patch("{}", &digging, &dug) < 0);
        CX_BUF replacing = CX_BUF_INIT; // the same by replacing
        cx_buf_clear(&path);
        cx_buf_add(&replacing, "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}");
        for (int i = 0; i < 1000; i++) {
                cx_buf_add(&path, "/a");
                cx_buf_printf(&replacing, ",{\"op\":\"replace\",\"path\":\"%s\",\"value\":{\"a\":1}}", path.data);
        }
        cx_buf_add(&replacing, "]");
        json_auto_t *replaced = NULL;
        assert_true(patch("{}", &replacing, &replaced) < 0);
}

static void *on_small_stack(void *context)
{
        void (*const *test)(void **) = context;
        (*test)(NULL);
        return NULL;
}

static void test_small_stacks(void **state)
{
        static void (*const tests[])(void **) = {test_json_depth, test_weight, test_aliases, test_patches};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(tests); i++) {
                pthread_attr_t attributes;
                pthread_t thread;
                pthread_attr_init(&attributes);
                assert_int_equal(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
                assert_int_equal(pthread_create(&thread, &attributes, on_small_stack, (void *)&tests[i]), 0);
                pthread_attr_destroy(&attributes);
                assert_int_equal(pthread_join(thread, NULL), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json_depth), cmocka_unit_test(test_weight),       cmocka_unit_test(test_aliases),
                cmocka_unit_test(test_patches),    cmocka_unit_test(test_small_stacks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
