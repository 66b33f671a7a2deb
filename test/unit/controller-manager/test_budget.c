// SPDX-License-Identifier: Apache-2.0
// The arithmetic of disruption budgets, and the condition that says its result.
#include "controller-manager/quota/budget.h"
#include "libcommon/api/budget.h"
#include "test/unit/quoted_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_counts(void **state)
{
        (void)state;
        static const struct {
                const char *spec;
                int64_t count, healthy;
                struct budget_counts counts;
                bool scale, bad;
        } cases[] = {
                {"{'minAvailable': 2}", 3, 3, {3, 2, 3, 1}, false},
                {"{'minAvailable': 2}", 3, 1, {3, 2, 1, 0}, false},
                {"{'minAvailable': 0}", 3, 3, {3, 0, 3, 3}, false},
                {"{'minAvailable': 2147483647}", 3, 3, {3, 2147483647, 3, 0}, false},
                {"{'minAvailable': '50%'}", 5, 5, {5, 3, 5, 2}, true}, // rounded up
                {"{'minAvailable': '100%'}", 5, 5, {5, 5, 5, 0}, true},
                {"{'minAvailable': '28%'}", 7, 7, {7, 2, 7, 5}, true},
                {"{'maxUnavailable': 1}", 5, 5, {5, 4, 5, 1}, true},
                {"{'maxUnavailable': 1}", 5, 4, {5, 4, 4, 0}, true},
                {"{'maxUnavailable': 9}", 5, 2, {5, 0, 2, 2}, true},
                {"{'maxUnavailable': '30%'}", 5, 5, {5, 3, 5, 2}, true}, // rounded up as well
                {"{'maxUnavailable': 0}", 5, 6, {5, 5, 6, 1}, true},
                {"{'maxUnavailable': 1}", 0, 2, {0, 0, 2, 0}, true}, // nothing is expected: nothing may go
                {"{}", 3, 3, {0, 0, 3, 0}, false},
                {"{'minAvailable': 'half'}", 3, 3, {0, 0, 0, 0}, true, true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *spec = quoted_json(cases[i].spec);
                struct budget_counts counts = {0};
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(budget_count(spec, cases[i].count, cases[i].healthy, &counts, &err),
                                 cases[i].bad ? -EINVAL : 0);
                if (memcmp(&counts, &cases[i].counts, sizeof counts) != 0)
                        fail_msg("%s of %ld: %ld %ld %ld %ld", cases[i].spec, (long)cases[i].count,
                                 (long)counts.expected, (long)counts.desired, (long)counts.healthy,
                                 (long)counts.allowed);
                assert_int_equal(budget_needs_scale(spec), cases[i].scale);
        }
}

// A pod of an informer.
static const struct cx_object *make_pod(struct object_parts *parts, const char *name, const char *ready,
                                        const char *deleted)
{
        CX_CLEANUP(cx_freep)
        char *text =
                cx_sprintf("{'metadata': {'name': '%s', 'namespace': 'n'%s%s%s}, 'status': {'conditions': [{'type': "
                           "'Ready', 'status': '%s'}]}}",
                           name, *deleted ? ", 'deletionTimestamp': '" : "", deleted, *deleted ? "'" : "", ready);
        json_auto_t *json = quoted_json(text);
        struct cx_object *pod = cx_object_new(json, NULL, 0);
        pod->projection = object_parts_project(parts, json);
        pod->free_projection = object_parts_free_projection;
        return pod;
}

static void test_disrupted(void **state)
{
        (void)state;
        struct object_parts *parts = object_parts_new();
        object_parts_add(parts, &pod_state_part);
        static const char *const pods_of[][3] = {{"fresh", "True", ""},
                                                 {"late", "True", ""},
                                                 {"going", "True", "2026-01-01T00:00:00Z"},
                                                 {"well", "True", ""},
                                                 {"ill", "False", ""}};
        struct cx_objects pods = CX_OBJECTS_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods_of); i++) {
                CX_OBJECT *pod = make_pod(parts, pods_of[i][0], pods_of[i][1], pods_of[i][2]);
                cx_objects_add(&pods, pod);
        }
        json_auto_t *status = quoted_json("{'disruptedPods': {'fresh': '2026-01-01T00:01:00Z', 'late': "
                                          "'2025-12-31T23:00:00Z', 'going': '2026-01-01T00:01:00Z', 'gone': "
                                          "'2026-01-01T00:01:00Z'}}");
        int64_t now, next, expected;
        CX_STRINGS late = CX_STRINGS_INIT;
        assert_int_equal(cx_time_parse("2026-01-01T00:02:00Z", &now), 0);
        assert_int_equal(cx_time_parse("2026-01-01T00:03:00Z", &expected), 0);
        json_auto_t *left = budget_disrupted(status, &pods, now, &next, &late);
        json_auto_t *wanted = quoted_json("{'fresh': '2026-01-01T00:01:00Z'}");
        assert_true(json_equal(left, wanted));
        assert_true(next == expected);
        assert_int_equal(late.count, 1);
        assert_string_equal(late.items[0], "n/late");
        assert_int_equal(budget_healthy(&pods, left), 2); // late and well
        cx_objects_release(&pods);
        object_parts_free(parts);
}

static void test_condition(void **state)
{
        (void)state;
        json_auto_t *status = quoted_json("{'observedGeneration': 2, 'disruptionsAllowed': 1, 'conditions': [{'type': "
                                          "'Other'}, {'type': 'DisruptionAllowed', 'status': 'True', "
                                          "'lastTransitionTime': 'then', 'reason': 'x', 'message': 'y'}]}");
        const json_t *condition = json_array_get(json_object_get(status, "conditions"), 1);
        cx_budget_update_condition(status);
        json_auto_t *wanted =
                quoted_json("{'type': 'DisruptionAllowed', 'status': 'True', 'lastTransitionTime': 'then', "
                            "'reason': 'SufficientPods', 'message': '', 'observedGeneration': 2}");
        assert_true(json_equal(condition, wanted));
        cx_budget_set_condition(status, CX_BUDGET_FAILED, "no");
        assert_string_equal(cx_json_string(condition, "status"), "False");
        assert_string_equal(cx_json_string(condition, "message"), "no");
        assert_string_not_equal(cx_json_string(condition, "lastTransitionTime"), "then");
        assert_int_equal(json_array_size(json_object_get(status, "conditions")), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_disrupted),
                cmocka_unit_test(test_condition),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
