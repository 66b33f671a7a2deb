// SPDX-License-Identifier: Apache-2.0
// What kubectl apply sends: the annotation and the three-way patch.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kubectl/cmd/commands.h"

static void test_annotation(void **state CX_UNUSED)
{
        json_auto_t *object = json_loads(
                "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\",\"annotations\":{"
                "\"kubectl.kubernetes.io/last-applied-configuration\":\"old\"}},\"data\":{\"x\":\"<&>\"}}",
                0, NULL);
        CX_CLEANUP(cx_freep) char *text = apply_annotation(object);
        assert_string_equal(text,
                            "{\"apiVersion\":\"v1\",\"data\":{\"x\":\"\\u003c\\u0026\\u003e\"},\"kind\":\"ConfigMap\","
                            "\"metadata\":{\"annotations\":{},\"name\":\"a\"}}\n");
}

static const struct {
        const char *what, *group, *kind, *original, *modified, *current, *patch;
} cases[] = {
        {"nothing to do", "", "ConfigMap", "{\"data\":{\"a\":\"1\"}}", "{\"data\":{\"a\":\"1\"}}",
         "{\"data\":{\"a\":\"1\",\"live\":\"x\"}}", "{}"},
        {"a key that was applied before goes", "", "ConfigMap", "{\"data\":{\"a\":\"1\",\"b\":\"2\"}}",
         "{\"data\":{\"a\":\"1\"}}", "{\"data\":{\"a\":\"1\",\"b\":\"2\",\"live\":\"x\"}}", "{\"data\":{\"b\":null}}"},
        {"what others changed is set back", "apps", "Deployment", "{\"spec\":{\"replicas\":2}}",
         "{\"spec\":{\"replicas\":2}}", "{\"spec\":{\"replicas\":9,\"paused\":true}}", "{\"spec\":{\"replicas\":2}}"},
        {"a custom resource", NULL, NULL, "{\"apiVersion\":\"x/v1\",\"kind\":\"F\",\"spec\":{\"l\":[1],\"b\":1}}",
         "{\"apiVersion\":\"x/v1\",\"kind\":\"F\",\"spec\":{\"l\":[2]}}",
         "{\"apiVersion\":\"x/v1\",\"kind\":\"F\",\"spec\":{\"l\":[1],\"b\":1,\"s\":2}}",
         "{\"spec\":{\"l\":[2],\"b\":null}}"},
};

static void test_patches(void **state CX_UNUSED)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                const struct cx_resource *schema =
                        cases[i].kind ? cx_schema_resource_by_kind(cases[i].group, "v1", cases[i].kind) : NULL;
                json_auto_t *original = json_loads(cases[i].original, 0, NULL),
                            *modified = json_loads(cases[i].modified, 0, NULL);
                json_auto_t *current = json_loads(cases[i].current, 0, NULL),
                            *expected = json_loads(cases[i].patch, 0, NULL);
                json_auto_t *patch = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(apply_patch(schema, original, modified, current, &patch, &err), 0);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(patch);
                if (!json_equal(patch, expected))
                        fail_msg("%s: %s", cases[i].what, text);
        }
}

static void test_identity_may_not_change(void **state CX_UNUSED)
{
        json_auto_t *a = json_loads("{\"kind\":\"F\",\"apiVersion\":\"x/v1\"}", 0, NULL);
        json_auto_t *b = json_loads("{\"kind\":\"G\",\"apiVersion\":\"x/v1\"}", 0, NULL), *patch = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(apply_patch(NULL, NULL, a, b, &patch, &err) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_annotation),
                cmocka_unit_test(test_patches),
                cmocka_unit_test(test_identity_may_not_change),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
