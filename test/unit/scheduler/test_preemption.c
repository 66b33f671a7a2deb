// SPDX-License-Identifier: Apache-2.0
// Who must leave for whom, and what is said when nobody can.
#include "scheduler/core/preemption.h"
#include "test/unit/scheduler/world.h"

#define POD(priority, cpu)                                                                                             \
        "{'priority': " #priority ", 'containers': [{'name': 'c', 'resources': {'requests': {'cpu': '" #cpu "'}}}]}"

struct wanted {
        const char *spec, *node, *victims, *message;
};

static void expect(struct world *w, const struct wanted *wanted)
{
        json_auto_t *pod = world_pod_json("new", "", wanted->spec);
        struct template *template = templates_get(w->templates, pod);
        struct decision decision;
        framework_schedule(&w->framework, "new", template, NULL, &decision);
        template_unref(w->templates, template);
        assert_null(decision.node);
        cx_strings_sort(&decision.victims);
        CX_CLEANUP(cx_freep) char *victims = cx_strings_join(&decision.victims, " ");
        assert_string_equal(victims, wanted->victims);
        assert_string_equal(decision.nominated ? decision.nominated->name : "", wanted->node);
        assert_string_equal(decision.message, wanted->message);
        decision_release(&decision);
}

static void run(struct world *w, const char *name, const char *spec, const char *node, bool terminating,
                int64_t created)
{
        json_auto_t *pod = world_pod_json(name, "", spec);
        struct template *template = templates_get(w->templates, pod);
        cache_set_pod(&w->cache, name, template, node, terminating, created);
        template_unref(w->templates, template);
}

static void test_messages(void **state)
{
        (void)state;
        static const struct wanted table[] = {
                {POD(0, 3), "", "",
                 "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}. preemption: 0/2 "
                 "nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for "
                 "scheduling."},
                {POD(0, 5), "", "",
                 "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}. preemption: 0/2 "
                 "nodes are available: 2 Preemption is not helpful for scheduling."},
                {"{'priority': 9, 'preemptionPolicy': 'Never', 'containers': [{'name': 'c', 'resources': {'requests': "
                 "{'cpu': '3'}}}]}",
                 "", "",
                 "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}. preemption: not "
                 "eligible due to preemptionPolicy=Never."},
                {POD(1, 3), "a", "old", // the room is made on a
                 "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}."},
        };
        struct world w;
        world_init(&w);
        world_node(&w, "a", "", "", "");
        world_node(&w, "b", "", "{'taints': [{'key': 'k', 'value': 'v', 'effect': 'NoSchedule'}]}", "");
        run(&w, "old", POD(0, 2), "a", false, 1);
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                expect(&w, &table[i]);
        world_release(&w);
}

#define SHORT "0/3 nodes are available: 3 Insufficient cpu."

// As few and as unimportant as can be, the newest first; everything is as it was afterwards.
static void test_choice(void **state)
{
        (void)state;
        static const struct wanted table[] = {
                {POD(100, 1), "c", "c2", SHORT}, // all of priority 1: c2 is newer than c1; a and b lose more
                {POD(100, 3), "c", "c1 c2", SHORT},
                {POD(100, 4), "b", "b1", SHORT}, // c's third is too important: one of 5 on b, where a loses 5 and 2
                {POD(3, 1), "c", "c2", SHORT},
                {POD(3, 2), "c", "c1 c2", SHORT}, // both of priority 1 rather than one of 2 on a
        };
        struct world w;
        world_init(&w);
        for (const char *name = "abc"; *name; name++)
                world_node(&w, (char[]){*name, 0}, "", "", "");
        run(&w, "a1", POD(5, 2), "a", false, 1);
        run(&w, "a2", POD(2, 2), "a", false, 2);
        run(&w, "b1", POD(5, 4), "b", false, 1);
        run(&w, "c1", POD(1, 1500m), "c", false, 1);
        run(&w, "c2", POD(1, 1500m), "c", false, 2);
        run(&w, "c3", POD(200, 1), "c", false, 1);
        for (int round = 0; round < 2; round++)
                for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                        expect(&w, &table[i]);
        world_release(&w);
}

struct budget_case {
        const char *spec, *budgets[2], *node, *victims; // budgets: JSON, "" for none
};

static void expect_with_budgets(struct world *w, const struct budget_case *wanted)
{
        struct cx_objects budgets = CX_OBJECTS_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(wanted->budgets) && *wanted->budgets[i]; i++) {
                json_auto_t *json = quoted_json(wanted->budgets[i]);
                CX_OBJECT *budget = cx_object_new(json, NULL, 0);
                ((struct cx_object *)budget)->projection = preemption_budget_project(NULL, json);
                ((struct cx_object *)budget)->free_projection = preemption_budget_free;
                cx_objects_add(&budgets, budget);
        }
        json_auto_t *pod = world_pod_json("new", "", wanted->spec);
        struct template *template = templates_get(w->templates, pod);
        struct preemption preemption;
        preemption_find(&(struct preemption_search){.cache = &w->cache,
                                                    .budgets = &budgets,
                                                    .template = template,
                                                    .hopeful = w->cache.nodes,
                                                    .n_hopeful = w->cache.n_nodes},
                        &preemption);
        cx_strings_sort(&preemption.victims);
        CX_CLEANUP(cx_freep) char *victims = cx_strings_join(&preemption.victims, " ");
        assert_string_equal(preemption.node ? preemption.node->name : "", wanted->node);
        assert_string_equal(victims, wanted->victims);
        preemption_release(&preemption);
        cx_objects_release(&budgets);
        template_unref(w->templates, template);
}

// Budgets that would be overdrawn decide before all else, but nobody is spared who has to go.
static void test_budgets(void **state)
{
        (void)state;
#define BUDGET(namespace, selector, status)                                                                            \
        "{'metadata':{'name':'b','namespace':'" namespace "'},'spec':{'selector':" selector "},'status':" status "}"
#define OF(app) "{'matchLabels':{'app':'" app "'}}"
        static const struct budget_case table[] = {
                {POD(10, 1), {"", ""}, "b", "default/b1"}, // less important than those on a
                {POD(10, 1), {BUDGET("default", OF("b"), "{'disruptionsAllowed':1}"), ""}, "b", "default/b1"},
                {POD(10, 1), {BUDGET("default", OF("b"), "{'disruptionsAllowed':0}"), ""}, "a", "default/a2"},
                {POD(10, 1), {BUDGET("other", OF("b"), "{'disruptionsAllowed':0}"), ""}, "b", "default/b1"},
                {POD(10, 1), {BUDGET("default", "{}", "{'disruptionsAllowed':0}"), ""}, "b", "default/b1"},
                {POD(10, 1),
                 {BUDGET("default", OF("b"), "{'disruptionsAllowed':0,'disruptedPods':{'b1':'x'}}"), ""},
                 "b",
                 "default/b1"}, // charged already
                {POD(10, 1),
                 {BUDGET("default", OF("b"), "{}"),
                  BUDGET("default", "{'matchLabels':{'app':'a','kind':'small'}}", "{}")},
                 "a",
                 "default/a1"}, // the one without a budget, although it is more important
                {POD(10, 4),
                 {BUDGET("default", OF("b"), "{}"), BUDGET("default", OF("a"), "{'disruptionsAllowed':1}")},
                 "b",
                 "default/b1"}, // one overdraft on either: then as ever
        };
        struct world w;
        world_init(&w);
        world_node(&w, "a", "", "", "");
        world_node(&w, "b", "", "", "");
        static const struct {
                const char *key, *labels, *spec, *node;
        } pods[] = {
                {"default/a1", "{'app':'a'}", POD(3, 2), "a"},
                {"default/a2", "{'app':'a','kind':'small'}", POD(2, 2), "a"},
                {"default/b1", "{'app':'b'}", POD(1, 4), "b"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++) {
                json_auto_t *pod = world_pod_json(pods[i].key, pods[i].labels, pods[i].spec);
                struct template *template = templates_get(w.templates, pod);
                cache_set_pod(&w.cache, pods[i].key, template, pods[i].node, false, 1);
                template_unref(w.templates, template);
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                expect_with_budgets(&w, &table[i]);
        world_release(&w);
}

// While the victims end: the pod waits for them, and nobody who is less important takes the room.
static void test_nominated(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "a", "", "", "");
        run(&w, "old", POD(0, 4), "a", false, 1);
        json_auto_t *pod = world_pod_json("high", "", POD(10, 4));
        struct template *template = templates_get(w.templates, pod);
        framework_nominate(&w.framework, "high", template, "a");
        run(&w, "old", POD(0, 4), "a", true, 1);
        struct decision decision;
        framework_schedule(&w.framework, "high", template, NULL, &decision);
        assert_true(decision.waits);
        assert_string_equal(decision.message,
                            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due "
                            "to a terminating pod on the nominated node.");
        decision_release(&decision);
        cache_remove_pod(&w.cache, "old");
        world_expect(&w, "", POD(5, 1), "0/1 nodes are available: 1 Insufficient cpu.");
        world_expect(&w, "", POD(11, 1), "a"); // more important: not held up
        framework_schedule(&w.framework, "high", template, NULL, &decision);
        assert_string_equal(decision.node->name, "a");
        decision_release(&decision);
        framework_nominate(&w.framework, "high", NULL, NULL);
        world_expect(&w, "", POD(5, 1), "a");
        template_unref(w.templates, template);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_choice),
                cmocka_unit_test(test_nominated),
                cmocka_unit_test(test_budgets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
