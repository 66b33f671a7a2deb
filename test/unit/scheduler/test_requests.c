// SPDX-License-Identifier: Apache-2.0
#include "test/unit/scheduler/world.h"

static void test_requests(void **state)
{
        (void)state;
        static const struct {
                const char *spec;
                int64_t cpu, memory, nonzero_cpu, nonzero_memory;
        } table[] = {
                {"{'containers': [{'name': 'a'}]}", 0, 0, 100, 200 << 20},
                {"{'containers': [{'resources': {'requests': {'cpu': '250m', 'memory': '1Mi'}}},"
                 "{'resources': {'requests': {'cpu': '1'}}}]}",
                 1250, 1 << 20, 1250, 201 << 20},
                // An init container that needs more than all others together.
                {"{'initContainers': [{'resources': {'requests': {'cpu': '3'}}}],"
                 "'containers': [{'resources': {'requests': {'cpu': '1', 'memory': '1Mi'}}}]}",
                 3000, 1 << 20, 3000, 200 << 20},
                // Sidecars run beside the containers, and beside the init containers after them.
                {"{'initContainers': [{'restartPolicy': 'Always', 'resources': {'requests': {'cpu': '1'}}},"
                 "{'resources': {'requests': {'cpu': '3'}}}],"
                 "'containers': [{'resources': {'requests': {'cpu': '2', 'memory': '1Mi'}}}]}",
                 4000, 1 << 20, 4000, 400 << 20},
                {"{'overhead': {'cpu': '100m', 'memory': '2Mi'},"
                 "'containers': [{'resources': {'requests': {'cpu': '1', 'memory': '1Mi'}}}]}",
                 1100, 3 << 20, 1100, 3 << 20},
                {"{'resources': {'requests': {'cpu': '5', 'memory': '7Mi'}},"
                 "'containers': [{'resources': {'requests': {'cpu': '1'}}}]}",
                 5000, 7 << 20, 5000, 7 << 20},
        };
        struct world w;
        world_init(&w);
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *pod = world_pod_json("p", "", table[i].spec);
                struct template *template = templates_get(w.templates, pod);
                assert_int_equal(template->requests.base[RESOURCE_CPU], table[i].cpu);
                assert_int_equal(template->requests.base[RESOURCE_MEMORY], table[i].memory);
                assert_int_equal(template->nonzero[0], table[i].nonzero_cpu);
                assert_int_equal(template->nonzero[1], table[i].nonzero_memory);
                template_unref(w.templates, template);
        }
        world_release(&w);
}

static void test_sharing(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        json_auto_t *one = world_pod_json("a", "{'app': 'x'}", ""), *two = world_pod_json("b", "{'app': 'x'}", "");
        json_auto_t *other = world_pod_json("c", "{'app': 'y'}", "");
        struct template *a = templates_get(w.templates, one), *b = templates_get(w.templates, two);
        struct template *c = templates_get(w.templates, other);
        assert_ptr_equal(a, b);
        assert_ptr_not_equal(a, c);
        assert_string_equal(template_label(c, "app"), "y");
        assert_null(template_label(c, "none"));
        template_unref(w.templates, a);
        template_unref(w.templates, b);
        template_unref(w.templates, c);
        world_release(&w);
}

static void test_cache_counts(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        const char *spec = "{'containers': [{'resources': {'requests': {'cpu': '1', 'x.io/gpu': '2'}},"
                           "'ports': [{'containerPort': 80, 'hostPort': 80}]}]}";
        // A pod may be seen before its node.
        world_run(&w, "a", "", spec, "n1");
        assert_null(cache_node(&w.cache, "n1"));
        assert_int_equal(world_node(&w, "n1", "", "", ""), NODE_ADDED);
        assert_int_equal(world_node(&w, "n1", "", "", ""), 0);
        assert_int_equal(world_node(&w, "n1", "{'a': 'b'}", "{'unschedulable': true}", ""), NODE_LABELS | NODE_TAINTS);
        world_node(&w, "n2", "", "", "");
        const struct node *n1 = cache_node(&w.cache, "n1"), *n2 = cache_node(&w.cache, "n2");
        assert_int_equal(n1->pods, 1);
        assert_int_equal(n1->requested[RESOURCE_CPU], 1000);
        assert_int_equal(n1->extended.items[0].requested, 2);
        assert_int_equal(n1->ports.count, 1);
        // It turns out to be elsewhere.
        world_run(&w, "a", "", spec, "n2");
        assert_int_equal(n1->pods, 0);
        assert_int_equal(n1->requested[RESOURCE_CPU], 0);
        assert_int_equal(n1->ports.count, 0);
        assert_int_equal(n1->groups.count, 0);
        assert_int_equal(n2->pods, 1);
        // What is confirmed is not forgotten; what is only assumed is.
        assert_false(cache_forget(&w.cache, "a"));
        json_auto_t *pod = world_pod_json("b", "", spec);
        struct template *template = templates_get(w.templates, pod);
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
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_sharing),
                                           cmocka_unit_test(test_cache_counts)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
