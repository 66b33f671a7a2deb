// SPDX-License-Identifier: Apache-2.0
// Alignment, tables, custom columns, names, sorting, errors on the screen.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kubectl/cmd/rollout.h"
#include "kubectl/printer/output.h"
#include "kubectl/printer/table.h"
#include "kubectl/printer/tabs.h"

static void test_align(void **state CX_UNUSED)
{
        static const struct {
                const char *text, *aligned;
        } cases[] = {
                {"a\tb\nlonger\tc\n", "a       b\nlonger  c\n"},
                {"Name:\tx\nEvents:\t<none>\n", "Name:    x\nEvents:  <none>\n"},
                {"a\tb\n\nlonger\tc\n", "a  b\n\nlonger  c\n"}, // a line without cells ends the column
                {"é\tb\nxx\tc\n", "é   b\nxx  c\n"},
                {"", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_BUF out = CX_BUF_INIT;
                tabs_align(cases[i].text, 0, 2, &out);
                assert_string_equal(out.data, cases[i].aligned);
        }
}

static void test_table(void **state CX_UNUSED)
{
        json_auto_t *table = json_loads("{\"columnDefinitions\":[{\"name\":\"Name\",\"priority\":0},{\"name\":\"Ip\","
                                        "\"priority\":1},{\"name\":\"Age\"}],"
                                        "\"rows\":[{\"cells\":[\"web\",\"1.2.3.4\",\"5s\"],\"object\":{\"metadata\":{"
                                        "\"namespace\":\"ns\",\"labels\":{\"b\":"
                                        "\"2\",\"a\":\"1\"}}}}]}",
                                        0, NULL);
        struct table_printer plain = {0},
                             all = {.wide = true, .show_labels = true, .with_namespace = true, .kind = "pod"};
        CX_BUF out = CX_BUF_INIT;
        table_print(&plain, table, &out);
        assert_string_equal(out.data, "NAME   AGE\nweb    5s\n");
        cx_buf_clear(&out);
        table_print(&plain, table, &out); // a second call has no header
        assert_string_equal(out.data, "web    5s\n");
        cx_buf_clear(&out);
        table_print(&all, table, &out);
        assert_string_equal(out.data, "NAMESPACE   NAME      IP        AGE   LABELS\n"
                                      "ns          pod/web   1.2.3.4   5s    a=1,b=2\n");
        table_printer_release(&plain);
        table_printer_release(&all);
}

static void test_custom_columns(void **state CX_UNUSED)
{
        OUTPUT output = {.tables = true, .text = "custom-columns=NAME:.metadata.name,N:spec.n,NONE:.x"};
        json_auto_t *object = json_loads("{\"metadata\":{\"name\":\"a\"},\"spec\":{\"n\":3}}", 0, NULL);
        CX_BUF out = CX_BUF_INIT;
        assert_int_equal(output_parse(NULL, &output, NULL), 0);
        assert_int_equal(output_object(&output, object, &out, NULL), 0);
        assert_string_equal(out.data, "NAME   N     NONE\na      3     <none>\n");
}

static void test_json_and_name(void **state CX_UNUSED)
{
        json_auto_t *object =
                json_loads("{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"<a>\","
                           "\"managedFields\":[]}}",
                           0, NULL);
        OUTPUT json = {.text = "json"}, name = {.text = "name"};
        CX_BUF out = CX_BUF_INIT;
        assert_int_equal(output_parse(NULL, &json, NULL), 0);
        assert_int_equal(output_object(&json, object, &out, NULL), 0);
        assert_string_equal(out.data,
                            "{\n    \"apiVersion\": \"apps/v1\",\n    \"kind\": \"Deployment\",\n    \"metadata\": "
                            "{\n        \"name\": \"\\u003ca\\u003e\"\n    }\n}\n");
        cx_buf_clear(&out);
        assert_int_equal(output_parse(NULL, &name, NULL), 0);
        assert_int_equal(output_object(&name, object, &out, NULL), 0);
        assert_string_equal(out.data, "deployment.apps/<a>\n");
}

static void test_bad_output(void **state CX_UNUSED)
{
        static const char *const bad[] = {"foo",        "go-template={{", "custom-columns", "custom-columns=a",
                                          "jsonpath={", "jsonpath",       "wide=x",         "json=x"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(bad); i++) {
                OUTPUT output = {.tables = true, .text = bad[i]};
                CX_ERROR err = CX_ERROR_INIT;
                assert_true(output_parse(NULL, &output, &err) < 0);
                assert_non_null(err.message);
        }
}

static void test_sort(void **state CX_UNUSED)
{
        json_auto_t *list =
                json_loads("[{\"n\":10,\"q\":\"1Gi\"},{\"n\":9,\"q\":\"500Mi\"},{\"n\":1,\"q\":\"2Gi\"}]", 0, NULL);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(output_sort(list, NULL, ".n", NULL), 0);
        assert_int_equal(cx_json_int(json_array_get(list, 0), "n", 0), 1);
        assert_int_equal(cx_json_int(json_array_get(list, 2), "n", 0), 10);
        assert_int_equal(output_sort(list, NULL, "{.q}", NULL), 0);
        assert_int_equal(cx_json_int(json_array_get(list, 0), "n", 0), 9);
        assert_true(output_sort(list, NULL, ".nosuch", &err) < 0);
}

static void test_errors(void **state CX_UNUSED)
{
        CX_BUF out = CX_BUF_INIT;
        CX_ERROR local = CX_ERROR_INIT, missing = CX_ERROR_INIT, invalid = CX_ERROR_INIT;
        cx_error_set(&local, -EINVAL, "no such thing");
        cx_error_reason(&missing, CX_REASON_NOT_FOUND, "pods \"x\" not found");
        cx_error_reason(&invalid, CX_REASON_INVALID, "whatever");
        cx_error_about(&invalid, "", "Pod", "x");
        cx_error_cause(&invalid, "FieldValueInvalid", "spec.a", "Invalid value: 1");
        cx_error_cause(&invalid, "FieldValueRequired", "spec.b", "Required value");
        ctl_error_text(NULL, &local, &out);
        ctl_error_text(NULL, &missing, &out);
        ctl_error_text(NULL, &invalid, &out);
        assert_string_equal(out.data,
                            "error: no such thing\nError from server (NotFound): pods \"x\" not found\n"
                            "The Pod \"x\" is invalid: \n* spec.a: Invalid value: 1\n* spec.b: Required value\n");
}

static void test_rollout_words(void **state CX_UNUSED)
{
        static const struct {
                const char *object, *words;
                int done;
        } cases[] = {
                {"{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\",\"generation\":2},\"status\":{"
                 "\"observedGeneration\":1}}",
                 "Waiting for deployment spec update to be observed...\n", 0},
                {"{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\"},\"spec\":{\"replicas\":3},\"status\":{"
                 "\"updatedReplicas\":1}}",
                 "Waiting for deployment \"w\" rollout to finish: 1 out of 3 new replicas have been updated...\n", 0},
                {"{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\"},\"spec\":{\"replicas\":3},\"status\":{"
                 "\"updatedReplicas\":3,"
                 "\"replicas\":4}}",
                 "Waiting for deployment \"w\" rollout to finish: 1 old replicas are pending termination...\n", 0},
                {"{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\"},\"spec\":{\"replicas\":3},\"status\":{"
                 "\"updatedReplicas\":3,"
                 "\"replicas\":3,\"availableReplicas\":2}}",
                 "Waiting for deployment \"w\" rollout to finish: 2 of 3 updated replicas are available...\n", 0},
                {"{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\"},\"spec\":{\"replicas\":3},\"status\":{"
                 "\"updatedReplicas\":3,"
                 "\"replicas\":3,\"availableReplicas\":3}}",
                 "deployment \"w\" successfully rolled out\n", 1},
                {"{\"kind\":\"DaemonSet\",\"metadata\":{\"name\":\"d\"},\"status\":{\"desiredNumberScheduled\":2,"
                 "\"updatedNumberScheduled\":2,\"numberAvailable\":2}}",
                 "daemon set \"d\" successfully rolled out\n", 1},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *object = json_loads(cases[i].object, 0, NULL);
                CX_BUF out = CX_BUF_INIT;
                assert_int_equal(rollout_words(object, 0, &out, NULL), cases[i].done);
                assert_string_equal(out.data, cases[i].words);
        }
        json_auto_t *late = json_loads(
                "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"w\"},\"status\":{\"conditions\":[{\"type\":"
                "\"Progressing\",\"reason\":\"ProgressDeadlineExceeded\"}]}}",
                0, NULL);
        CX_BUF out = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(rollout_words(late, 0, &out, &err) < 0);
        assert_string_equal(err.message, "deployment \"w\" exceeded its progress deadline");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_align),          cmocka_unit_test(test_table),
                cmocka_unit_test(test_custom_columns), cmocka_unit_test(test_json_and_name),
                cmocka_unit_test(test_bad_output),     cmocka_unit_test(test_sort),
                cmocka_unit_test(test_errors),         cmocka_unit_test(test_rollout_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
