// SPDX-License-Identifier: Apache-2.0
// The pod library: containers, sums of resources, quality of service, taints, node affinity.
#include "libcommon/api/node_affinity.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/api/taints.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "test/unit/quoted_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_containers(void **state)
{
        (void)state;
        json_auto_t *pod =
                quoted_json("{'spec': {'initContainers': [{'name': 'a'}, {'name': 'b', 'restartPolicy': 'Always'}],"
                            "'containers': [{'name': 'c'}], 'ephemeralContainers': [{'name': 'd'}]},"
                            "'status': {'initContainerStatuses': [{'name': 'b', 'ready': true}]}}");
        const json_t *spec = json_object_get(pod, "spec");
        static const struct {
                unsigned lists;
                const char *names;
        } cases[] = {{CX_POD_ALL, "abcd"}, {CX_POD_TEMPLATE, "abc"}, {CX_POD_MAIN | CX_POD_EPHEMERAL, "cd"}, {0, ""}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_BUF names = CX_BUF_INIT;
                CX_POD_FOREACH(walk, spec, cases[i].lists)
                cx_buf_add(&names, walk.name);
                assert_string_equal(names.data, cases[i].names);
        }
        enum cx_pod_list list = 0;
        assert_non_null(cx_pod_container(spec, "d", CX_POD_ALL, &list));
        assert_int_equal(list, CX_POD_EPHEMERAL);
        assert_null(cx_pod_container(spec, "d", CX_POD_TEMPLATE, NULL));
        assert_true(cx_container_is_sidecar(cx_pod_container(spec, "b", CX_POD_INIT, NULL)));
        assert_true(cx_json_bool(cx_pod_container_status(pod, "b"), "ready", false));
        assert_null(cx_pod_container_status(pod, "c"));
        CX_POD_FOREACH(walk, NULL, CX_POD_ALL)
        fail_msg("a container of nothing");
}

static void test_ports(void **state)
{
        (void)state;
        json_auto_t *spec = quoted_json(
                "{'initContainers': [{'name': 'i', 'ports': [{'name': 'x', 'containerPort': 1}]},"
                "{'name': 's', 'restartPolicy': 'Always', 'ports': [{'name': 'm', 'containerPort': 2}]}],"
                "'containers': [{'name': 'c', 'ports': [{'name': 'd', 'protocol': 'UDP', 'containerPort': 53},"
                "{'name': 'd', 'containerPort': 54}]}]}");
        assert_int_equal(cx_pod_named_port(spec, "x", NULL), 0); // an init container has ended when it is asked
        assert_int_equal(cx_pod_named_port(spec, "m", "TCP"), 2);
        assert_int_equal(cx_pod_named_port(spec, "d", "UDP"), 53);
        assert_int_equal(cx_pod_named_port(spec, "d", "TCP"), 54);
}

#define ASKS(requests, limits) "'resources': {'requests': {" requests "}, 'limits': {" limits "}}"

static void test_sums(void **state)
{
        static const struct {
                const char *spec;
                struct cx_pod_resources_options options;
                int64_t cpu, memory;
        } cases[] = {
                {"{'containers': [{" ASKS("'cpu': '100m', 'memory': '1Ki'", "") "}, {" ASKS("'cpu': 1", "") "}]}",
                 {0},
                 1100,
                 1024},
                // what initialization needs at its peak
                {"{'containers': [{" ASKS("'cpu': '1'", "") "}], 'initContainers': [{" ASKS("'cpu': '3'", "") "}]}",
                 {0},
                 3000,
                 0},
                // a sidecar counts beside the containers, and beside the init containers that come after it
                {"{'containers': [{" ASKS("'cpu': '1'", "") "}], 'initContainers': [{" ASKS(
                         "'cpu': '2'", "") "},"
                                           "{'restartPolicy': 'Always', " ASKS("'cpu': '1'", "") "}]}",
                 {0},
                 2000,
                 0},
                {"{'containers': [{" ASKS("'cpu': '1'", "") "}], 'initContainers': ["
                                                            "{'restartPolicy': 'Always', " ASKS(
                                                                    "'cpu': '1'", "") "}, {" ASKS("'cpu': '2'",
                                                                                                  "") "}]}",
                 {0},
                 3000,
                 0},
                // the pod's own figures go before, and leave what they do not name
                {"{" ASKS("'cpu': '5', 'ephemeral-storage': '1'",
                          "") ", 'containers': [{" ASKS("'cpu': '1', 'memory': '7'", "") "}]}",
                 {0},
                 5000,
                 7},
                // overhead
                {"{'overhead': {'cpu': '10m', 'memory': '5'}, 'containers': [{" ASKS("'cpu': '1'", "'cpu': '2'") "}]}",
                 {0},
                 1010,
                 5},
                {"{'overhead': {'cpu': '10m', 'memory': '5'}, 'containers': [{" ASKS("'cpu': '1'", "'cpu': '2'") "}]}",
                 {.limits = true},
                 2010,
                 0},
                {"{'overhead': {'cpu': '10m'}, 'containers': [{" ASKS("'cpu': '1'", "") "}]}",
                 {.without_overhead = true},
                 1000,
                 0},
                // what scoring takes for containers that say nothing; an explicit 0 says something
                {"{'containers': [{}, {" ASKS("'cpu': '0'", "") "}]}", {.nonzero = true}, 100, 2 * CX_DEFAULT_MEMORY},
                // no negative and no endless amount
                {"{'containers': [{" ASKS("'cpu': '-1', 'memory': '9e18'", "") "}, {" ASKS("'memory': '9e18'",
                                                                                           "") "}]}",
                 {0},
                 0,
                 INT64_MAX},
                {"{}", {0}, 0, 0},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *spec = quoted_json(cases[i].spec);
                CX_RESOURCE_LIST sum = {0};
                cx_pod_resources(spec, &cases[i].options, &sum);
                if (cx_resource_list_units(&sum, "cpu") != cases[i].cpu ||
                    cx_resource_list_units(&sum, "memory") != cases[i].memory)
                        fail_msg("%s: cpu %lld, memory %lld", cases[i].spec,
                                 (long long)cx_resource_list_units(&sum, "cpu"),
                                 (long long)cx_resource_list_units(&sum, "memory"));
        }
}

// While containers are resized, what they hold counts where it is more than what is asked for.
static void test_held(void **state)
{
        (void)state;
        static const struct {
                const char *spec, *status;
                int64_t cpu;
        } cases[] = {
                {"'1'", "{}", 1000},
                {"'1'", "{'containerStatuses': [{'name': 'c', 'allocatedResources': {'cpu': '2'}}]}", 2000},
                {"'1'",
                 "{'containerStatuses': [{'name': 'c', 'resources': {'requests': {'cpu': '3'}}, "
                 "'allocatedResources': {'cpu': '2'}}]}",
                 3000},
                {"'4'", "{'containerStatuses': [{'name': 'c', 'allocatedResources': {'cpu': '2'}}]}", 4000},
                {"'4'", "{'containerStatuses': [{'name': 'other', 'allocatedResources': {'cpu': '9'}}]}", 4000},
                {"'4'",
                 "{'containerStatuses': [{'name': 'c', 'allocatedResources': {'cpu': '2'}}], 'conditions': "
                 "[{'type': 'PodResizePending', 'reason': 'Deferred'}]}",
                 4000},
                {"'4'",
                 "{'containerStatuses': [{'name': 'c', 'allocatedResources': {'cpu': '2'}}], 'conditions': "
                 "[{'type': 'PodResizePending', 'reason': 'Infeasible'}]}",
                 2000},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'containers': [{'name': 'c', 'resources': {'requests': {'cpu': %s}}}]}",
                                        cases[i].spec);
                json_auto_t *spec = quoted_json(text);
                json_auto_t *status = quoted_json(cases[i].status);
                CX_RESOURCE_LIST sum = {0};
                cx_pod_resources(spec, &(struct cx_pod_resources_options){.status = status}, &sum);
                assert_int_equal(cx_resource_list_units(&sum, "cpu"), cases[i].cpu);
        }
}

static void test_qos(void **state)
{
        static const char *const cases[][2] = {
                {"{'containers': [{}]}", "BestEffort"},
                {"{'containers': [{" ASKS("'cpu': '0', 'memory': '0'", "") "}]}", "BestEffort"},
                {"{'containers': [{" ASKS("'example.com/gpu': '1'", "'example.com/gpu': '1'") "}]}", "BestEffort"},
                {"{'containers': [{" ASKS("'cpu': '1', 'memory': '1'", "'cpu': '1', 'memory': '1'") "}]}",
                 "Guaranteed"},
                {"{'containers': [{" ASKS("'cpu': '1', 'memory': '1'", "'cpu': '1000m', 'memory': '1'") "}, {}]}",
                 "Burstable"},
                {"{'containers': [{" ASKS("'cpu': '0', 'memory': '1'", "'cpu': '1', 'memory': '1'") "}]}", "Burstable"},
                {"{'containers': [{" ASKS("'memory': '1'", "'cpu': '1', 'memory': '1'") "}]}", "Burstable"},
                {"{'containers': [{" ASKS("'cpu': '1', 'memory': '1'",
                                          "'cpu': '1', 'memory': '1'") "}], 'initContainers': [{}]}",
                 "Burstable"},
                {"{" ASKS("'cpu': '1', 'memory': '1'", "'cpu': '1', 'memory': '1'") ", 'containers': [{}]}",
                 "Guaranteed"},
                {"{" ASKS("'cpu': '1'", "'cpu': '1'") ", 'containers': [{}]}", "Burstable"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *spec = quoted_json(cases[i][0]);
                if (strcmp(cx_pod_qos(spec), cases[i][1]) != 0)
                        fail_msg("%s: %s", cases[i][0], cx_pod_qos(spec));
        }
}

static void test_taints(void **state)
{
        static const struct {
                const char *toleration;
                bool tolerates[3]; // a=b:NoSchedule, a=b:NoExecute, c:NoSchedule
        } cases[] = {
                {"{'key': 'a', 'value': 'b', 'effect': 'NoSchedule'}", {true, false, false}},
                {"{'key': 'a', 'operator': 'Equal', 'value': 'b'}", {true, true, false}},
                {"{'key': 'a', 'value': 'x'}", {false, false, false}},
                {"{'key': 'a', 'operator': 'Exists'}", {true, true, false}},
                {"{'operator': 'Exists', 'effect': 'NoExecute'}", {false, true, false}},
                {"{'operator': 'Exists'}", {true, true, true}},
                {"{'operator': 'Equal'}", {false, false, false}},
                {"{'key': 'c'}", {false, false, true}},
                {"{'key': 'a', 'operator': 'Near', 'value': 'b'}", {false, false, false}},
        };
        (void)state;
        json_auto_t *json =
                quoted_json("[{'key': 'a', 'value': 'b', 'effect': 'NoSchedule'}, {'key': 'a', 'value': 'b', 'effect':"
                            "'NoExecute'}, {'key': 'c', 'effect': 'NoSchedule'}, {'key': 'd', 'effect': 'Else'}]");
        CX_TAINTS taints = {0};
        cx_taints_parse(json, &taints);
        assert_int_equal(taints.count, 3);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *array = json_array();
                json_array_append_new(array, quoted_json(cases[i].toleration));
                CX_TOLERATIONS tolerations = {0};
                cx_tolerations_parse(array, &tolerations);
                for (size_t t = 0; t < taints.count; t++)
                        if ((cx_tolerations_find(&tolerations, &taints.items[t]) != NULL) != cases[i].tolerates[t])
                                fail_msg("%s: taint %zu", cases[i].toleration, t);
                const struct cx_taint *first = cx_taints_untolerated(&taints, &tolerations, 1u << CX_EFFECT_NO_EXECUTE);
                assert_ptr_equal(first, cases[i].tolerates[1] ? NULL : &taints.items[1]);
        }
}

#define REQUIRED(terms)                                                                                                \
        "{'affinity': {'nodeAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': {'nodeSelectorTerms': "      \
        "[" terms "]}}}}"

static void test_node_affinity(void **state)
{
        static const struct {
                const char *spec;
                bool matches;
        } cases[] = {
                {"{}", true},
                {"{'nodeSelector': {}}", true},
                {"{'nodeSelector': {'zone': 'a'}}", true},
                {"{'nodeSelector': {'zone': 'a', 'other': 'x'}}", false},
                {REQUIRED("{'matchExpressions': [{'key': 'cores', 'operator': 'Gt', 'values': ['7']}]}"), true},
                {REQUIRED("{'matchExpressions': [{'key': 'cores', 'operator': 'Gt', 'values': ['8']}]}"), false},
                {REQUIRED("{'matchExpressions': [{'key': 'cores', 'operator': 'Lt', 'values': ['9']}]}"), true},
                {REQUIRED("{'matchExpressions': [{'key': 'cores', 'operator': 'Lt', 'values': ['8']}]}"), false},
                {REQUIRED("{'matchExpressions': [{'key': 'zone', 'operator': 'Gt', 'values': ['1']}]}"), false},
                {REQUIRED("{'matchExpressions': [{'key': 'zone', 'operator': 'Odd'}]}"), false},
                {REQUIRED("{'matchExpressions': [{'key': 'none', 'operator': 'DoesNotExist'}]}"), true},
                {REQUIRED("{'matchFields': [{'key': 'metadata.name', 'operator': 'In', 'values': ['n1']}]}"), true},
                {REQUIRED("{'matchFields': [{'key': 'metadata.name', 'operator': 'NotIn', 'values': ['n1']}]}"), false},
                // a term holds when all of it does; one of the terms is enough; an empty one does not count
                {REQUIRED("{'matchExpressions': [{'key': 'zone', 'operator': 'Exists'}, {'key': 'none', 'operator': "
                          "'Exists'}]}"),
                 false},
                {REQUIRED("{'matchExpressions': [{'key': 'none', 'operator': 'Exists'}]}, {'matchExpressions': "
                          "[{'key': 'zone', 'operator': 'Exists'}]}"),
                 true},
                {REQUIRED("{}"), false},
                {REQUIRED(""), false},
        };
        (void)state;
        json_auto_t *node = quoted_json("{'metadata': {'name': 'n1', 'labels': {'zone': 'a', 'cores': '8'}}}");
        struct cx_node_facts facts = cx_node_facts_of(node);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *spec = quoted_json(cases[i].spec);
                struct cx_node_affinity affinity;
                cx_node_affinity_parse(spec, &affinity);
                if (cx_node_affinity_matches(&affinity, &facts) != cases[i].matches)
                        fail_msg("%s", cases[i].spec);
                cx_node_affinity_release(&affinity);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_containers),    cmocka_unit_test(test_ports), cmocka_unit_test(test_sums),
                cmocka_unit_test(test_held),          cmocka_unit_test(test_qos),   cmocka_unit_test(test_taints),
                cmocka_unit_test(test_node_affinity),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
