// SPDX-License-Identifier: Apache-2.0
// What nodes and pods add up to: seen by which pods still fit.
#include "test/unit/scheduler/world.h"

#define FULL "0/1 nodes are available: 1 Insufficient cpu."

// A pod fits a node that has exactly what it asks for, and no smaller one.
static void test_requests(void **state)
{
        (void)state;
        static const struct {
                const char *spec;
                int milli_cpu;
        } table[] = {
                {"{'containers': [{'resources': {'requests': {'cpu': '250m'}}}, {'resources': {'requests': {'cpu': "
                 "'1'}}}]}",
                 1250},
                // An init container that needs more than all others together.
                {"{'initContainers': [{'resources': {'requests': {'cpu': '3'}}}],"
                 "'containers': [{'resources': {'requests': {'cpu': '1'}}}]}",
                 3000},
                // Sidecars run beside the containers, and beside the init containers after them.
                {"{'initContainers': [{'restartPolicy': 'Always', 'resources': {'requests': {'cpu': '1'}}},"
                 "{'resources': {'requests': {'cpu': '3'}}}],"
                 "'containers': [{'resources': {'requests': {'cpu': '2'}}}]}",
                 4000},
                {"{'overhead': {'cpu': '100m'}, 'containers': [{'resources': {'requests': {'cpu': '1'}}}]}", 1100},
                {"{'resources': {'requests': {'cpu': '5'}}, 'containers': [{'resources': {'requests': {'cpu': '1'}}}]}",
                 5000},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                for (int less = 0; less < 2; less++) {
                        struct world w;
                        world_init(&w);
                        CX_CLEANUP(cx_freep)
                        char *status = cx_sprintf("{'allocatable': {'cpu': '%dm', 'memory': '8Gi', 'pods': '10'}}",
                                                  table[i].milli_cpu - less);
                        world_node(&w, "n", "", "", status);
                        world_expect(&w, "", table[i].spec, less ? FULL : "n");
                        world_release(&w);
                }
}

// Amounts from outside cannot overflow the sums.
static void test_hostile(void **state)
{
        (void)state;
        const char *spec = "{'containers': [{'resources': {'requests': {'cpu': '9223372036854775807', 'x.io/a': "
                           "'9223372036854775807'}}}]}";
        struct world w;
        world_init(&w);
        world_node(&w, "n", "", "", "");
        for (int i = 0; i < 100; i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("p%d", i);
                world_run(&w, name, "", spec, "n");
        }
        world_expect(&w, "", "{'containers': [{'resources': {'requests': {'cpu': '1m'}}}]}",
                     "0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods.");
        world_release(&w);
}

// In scoring, containers that ask for nothing count as asking for something.
static void test_nonzero(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "a", "", "", "");
        world_node(&w, "b", "", "", "");
        world_run(&w, "p1", "", "", "a");
        world_run(&w, "p2", "", "", "a");
        world_run(&w, "p3", "", "", "b");
        world_expect(&w, "", "", "b");
        world_release(&w);
}

#define SPEC                                                                                                           \
        "{'containers': [{'resources': {'requests': {'cpu': '3', 'x.io/gpu': '2'}}, 'ports': [{'containerPort': 80, "  \
        "'hostPort': 80}]}]}"
#define GPUS "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '10', 'x.io/gpu': '3'}}"

static void test_moves(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        // A pod may be seen before its node.
        world_run(&w, "a", "", SPEC, "n1");
        assert_null(cache_node(&w.cache, "n1"));
        assert_int_equal(world_node(&w, "n1", "", "", GPUS), NODE_ADDED);
        assert_int_equal(world_node(&w, "n1", "", "", GPUS), 0);
        world_expect(&w, "", SPEC,
                     "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod "
                     "ports.");
        world_expect(&w, "", "{'containers': [{'resources': {'requests': {'cpu': '2', 'x.io/gpu': '2'}}}]}",
                     "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient x.io/gpu.");
        // It turns out to be elsewhere: all that it took is free.
        world_node(&w, "n2", "", "", GPUS);
        world_run(&w, "a", "", SPEC, "n2");
        world_expect(&w, "", SPEC, "n1");
        assert_int_equal(cache_node(&w.cache, "n1")->pods, 0);
        assert_int_equal(cache_node(&w.cache, "n1")->groups.count, 0);
        assert_int_equal(cache_node(&w.cache, "n2")->pods, 1);
        assert_int_equal(world_node(&w, "n1", "{'a': 'b'}", "{'unschedulable': true}", GPUS),
                         NODE_LABELS | NODE_TAINTS);
        assert_int_equal(world_node(&w, "n1", "{'a': 'b'}", "{'unschedulable': true}", ""), NODE_ALLOCATABLE);
        world_release(&w);
}

static void test_assumed(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "n1", "", "", "");
        world_node(&w, "n2", "", "", "");
        world_run(&w, "a", "", "", "n2");
        // What is confirmed is not forgotten; what is only assumed is.
        assert_false(cache_forget(&w.cache, "a"));
        json_auto_t *pod = world_pod_json("b", "", "");
        struct template *template = templates_get(w.templates, pod);
        const struct node *n1 = cache_node(&w.cache, "n1");
        cache_assume(&w.cache, "b", template, cache_node(&w.cache, "n1"));
        assert_int_equal(n1->pods, 1);
        assert_true(cache_forget(&w.cache, "b"));
        assert_int_equal(n1->pods, 0);
        template_unref(w.templates, template);
        cache_remove_node(&w.cache, "n2");
        assert_null(cache_node(&w.cache, "n2"));
        assert_true(cache_remove_pod(&w.cache, "a"));
        assert_false(cache_remove_pod(&w.cache, "a"));
        assert_int_equal(w.cache.by_name.count, 1);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_hostile),
                                           cmocka_unit_test(test_nonzero), cmocka_unit_test(test_moves),
                                           cmocka_unit_test(test_assumed)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
