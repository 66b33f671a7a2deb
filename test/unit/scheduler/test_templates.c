// SPDX-License-Identifier: Apache-2.0
// Which pods share a template: those that no plugin can tell apart. A plugin is given the fields that it declares and
// no other, so one that reads more finds nothing and fails its own tests.
#include "test/unit/scheduler/world.h"

#include "libcommon/format/json.h"
#include "scheduler/core/fields.h"

static void test_paths(void **state)
{
        (void)state;
        static const struct {
                const char *outer, *inner;
                bool covers;
        } table[] = {
                {"spec.affinity", "spec.affinity", true},
                {"spec.affinity", "spec.affinity.nodeAffinity", true},
                {"spec.containers", "spec.containers[].ports", true},
                {"spec.affinity", "spec.affinityX", false},
                {"spec.affinity.nodeAffinity", "spec.affinity", false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                assert_int_equal(field_covers(table[i].outer, table[i].inner), table[i].covers);
}

// Different values have different texts.
static void test_texts(void **state)
{
        (void)state;
        static const char *const paths[] = {"a[].x", "b[].x", "c", "d.e"};
        static const char *const objects[] = {
                "{}",
                "{'c': null}",
                "{'c': ''}",
                "{'c': 'x'}",
                "{'d': {'e': 'x'}}",
                "{'a': [{}]}",
                "{'b': [{}]}",
                "{'a': [{}, {}]}",
                "{'a': [{'x': 1}]}",
                "{'b': [{'x': 1}]}",
                "{'a': [{'x': 1}, {}]}",
                "{'a': [{}, {'x': 1}]}",
                "{'a': [{'x': [1, 1]}]}",
                "{'a': [{'x': 1}, {'x': 1}]}",
                "{'a': [{'x': ']'}]}",
        };
        CX_STRINGS texts = CX_STRINGS_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(objects); i++) {
                json_auto_t *object = quoted_json(objects[i]);
                CX_BUF text = CX_BUF_INIT;
                for (size_t j = 0; j < CX_ARRAY_SIZE(paths); j++) {
                        const struct field_path field = field_parse(paths[j]);
                        field_write(&field, object, &text);
                }
                assert_false(cx_strings_has(&texts, text.data));
                cx_strings_add(&texts, text.data);
        }
}

static void test_view(void **state)
{
        (void)state;
        static const struct {
                const char *const paths[4];
                const char *wanted;
        } table[] = {
                {{"metadata.labels"}, "{'metadata': {'labels': {'l': '1'}}}"},
                {{"spec.list[].a", "spec.list[].c"}, "{'spec': {'list': [{'a': 1}, {'a': 2, 'c': 3}]}}"},
                {{"spec.deep", "spec.deep.one"}, "{'spec': {'deep': {'one': 1, 'two': 2}}}"},
                {{"spec.deep.one"}, "{'spec': {'deep': {'one': 1}}}"},
                {{"spec.none", "none.at.all", "spec.list.a"}, "{'spec': {}}"},
                {{NULL}, "{}"},
        };
        const char *text = "{'metadata': {'labels': {'l': '1'}, 'name': 'n'}, 'spec': {'list': [{'a': 1, 'b': 1}, "
                           "{'a': 2, 'c': 3}], 'deep': {'one': 1, 'two': 2}}}";
        json_auto_t *object = quoted_json(text), *same = quoted_json(text);
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *view = fields_view(table[i].paths, object), *wanted = quoted_json(table[i].wanted);
                assert_true(json_equal(view, wanted));
        }
        assert_true(json_equal(object, same)); // which a view never changes
}

// --- a plugin that reads more than it declares -----------------------------------------------------------------------

static const char *const greedy_fields[] = {"spec.hostname", NULL};

static void parse_greedily(void *seen, const json_t *pod)
{
        *(json_t **)seen = json_deep_copy(pod);
}

static void release_seen(void *seen)
{
        json_decref(*(json_t **)seen);
}

static const struct plugin greedy_plugin = {.name = "Greedy",
                                            .fields = greedy_fields,
                                            .pod_size = sizeof(json_t *),
                                            .parse = parse_greedily,
                                            .release_pod = release_seen};

static void test_undeclared(void **state)
{
        (void)state;
        static const struct plugin *const plugins[] = {&greedy_plugin};
        struct world w;
        world_init_with(&w, plugins, 1);
        json_auto_t *pod = world_pod_json("p", "{'a': 'b'}", "{'hostname': 'h', 'subdomain': 's', 'priority': 3}");
        struct template *template = templates_get(w.templates, pod);
        json_auto_t *wanted = quoted_json("{'spec': {'hostname': 'h'}}");
        assert_true(json_equal(*(json_t **)template->states, wanted));
        assert_int_equal(template->priority, 3);
        template_unref(w.templates, template);
        world_release(&w);
}

// --- pods that differ ------------------------------------------------------------------------------------------------

static void test_sharing(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        json_auto_t *one = world_pod_json("a", "{'app': 'x'}", ""), *two = world_pod_json("b", "{'app': 'x'}", "");
        json_auto_t *other = world_pod_json("c", "{'app': 'y'}", "");
        (void)cx_json_set_string(two, "spec.hostname", "h"); // what nobody looks at
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

// A pod with everything that plugins look at, and nodes that reject it, each for another reason.
#define POD                                                                                                            \
        "{'metadata': {'namespace': 'default', 'name': 'new', 'uid': 'u', 'labels': {'app': 'x', 'tier': 'y'},"        \
        "'ownerReferences': [{'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': 'r', 'uid': 'r', 'controller': "  \
        "true}]}, 'spec': {'priority': 5, 'schedulerName': 'default-scheduler', 'preemptionPolicy': 'Never',"          \
        "'nodeSelector': {'disk': 'ssd'}, 'affinity': {'nodeAffinity': "                                               \
        "{'requiredDuringSchedulingIgnoredDuringExecution': {'nodeSelectorTerms': [{'matchExpressions': [{'key': "     \
        "'speed', 'operator': 'Gt', 'values': ['5']}]}]}}, 'podAntiAffinity': "                                        \
        "{'requiredDuringSchedulingIgnoredDuringExecution': [{'topologyKey': 'host', 'labelSelector': {'matchLabels':" \
        "{'app': 'enemy'}}}]}, 'podAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': [{'topologyKey': "    \
        "'planet', 'labelSelector': {'matchLabels': {'app': 'friend'}}}]}}, 'tolerations': [{'key': 'k', 'operator': " \
        "'Equal', 'value': 'v', 'effect': 'NoSchedule'}], 'topologySpreadConstraints': [{'maxSkew': 1, "               \
        "'topologyKey': 'zone', 'whenUnsatisfiable': 'DoNotSchedule', 'labelSelector': {'matchLabels': {'app': "       \
        "'x'}}}], 'overhead': {'cpu': '100m'}, 'initContainers': [{'name': 'i', 'restartPolicy': 'Always', "           \
        "'resources': {'requests': {'cpu': '100m'}}}], 'containers': [{'name': 'c', 'image': 'i', 'resources': "       \
        "{'requests': {'cpu': '100m', 'memory': '1Gi'}}, 'ports': [{'containerPort': 80, 'hostPort': 80, "             \
        "'protocol': 'TCP', 'hostIP': '10.0.0.1'}]}]}}"
#define LABELS(host, zone) "{'disk': 'ssd', 'speed': '10', 'planet': 'e', 'host': '" host "', 'zone': '" zone "'}"
#define PORTS "{'containers': [{'ports': [{'containerPort': 80, 'hostPort': 80, 'hostIP': '10.0.0.1'}]}]}"

static void fill(struct world *w)
{
        world_init(w);
        world_node(w, "tainted", LABELS("a", "a"),
                   "{'taints': [{'key': 'k', 'value': 'v', 'effect': 'NoSchedule'}, {'key': 'l', 'effect': "
                   "'NoSchedule'}]}",
                   "");
        world_node(w, "small", LABELS("b", "a"), "", "{'allocatable': {'cpu': '299m', 'memory': '8Gi', 'pods': '9'}}");
        world_node(w, "exact", LABELS("c", "a"), "{'unschedulable': true}",
                   "{'allocatable': {'cpu': '300m', 'memory': '1Gi', 'pods': '9'}}");
        world_node(w, "ports", LABELS("d", "a"), "", "");
        world_node(w, "enemy", LABELS("e", "b"), "", "");
        world_node(w, "crowded", LABELS("f", "c"), "", "");
        world_node(w, "slow", "{'disk': 'ssd', 'speed': '5', 'planet': 'e', 'host': 'g', 'zone': 'a'}", "", "");
        world_run(w, "p1", "", PORTS, "ports");
        world_run(w, "p2", "{'app': 'enemy'}", "", "enemy");
        world_run(w, "p3", "{'app': 'x'}", "", "crowded");
        world_run(w, "p4", "{'app': 'x'}", "", "crowded");
        world_run(w, "p5", "{'app': 'friend'}", "", "slow");
}

static char *decide(struct world *w, const json_t *pod)
{
        struct template *template = templates_get(w->templates, pod);
        struct decision decision;
        if (!template->profile) {
                template_unref(w->templates, template);
                return cx_strdup("another scheduler's");
        }
        w->framework.next_start = 0;
        w->framework.random = 1; // among equals always the same
        framework_schedule(&w->framework, "new", template, NULL, &decision);
        char *answer = decision.node ? cx_strdup(decision.node->name) : cx_strdup(decision.message);
        char *full = cx_sprintf("%s (%s, %s, priority %ld)", answer, template->namespace, template->profile->name,
                                (long)template->priority);
        free(answer);
        decision_release(&decision);
        template_unref(w->templates, template);
        return full;
}

struct mutation {
        struct world *shared; // has seen the original
        struct template *original;
        const json_t *pod; // the mutated one, whole
        const char *before;
        int tried, changed;
};

// The decision on the pod as it is now is the one of a scheduler that has never seen another.
static void compare(struct mutation *m)
{
        struct world fresh;
        fill(&fresh);
        CX_CLEANUP(cx_freep) char *alone = decide(&fresh, m->pod);
        CX_CLEANUP(cx_freep) char *among = decide(m->shared, m->pod);
        assert_string_equal(among, alone);
        m->tried++;
        m->changed += strcmp(alone, m->before) != 0;
        world_release(&fresh);
}

static json_t *another(const json_t *value)
{
        return json_is_string(value)    ? json_string("5000000")
               : json_is_integer(value) ? json_integer(json_integer_value(value) + 7)
               : json_is_true(value)    ? json_false()
                                        : json_null();
}

// Changes every leaf below `value`, one at a time, and leaves it out.
static void mutate(struct mutation *m, json_t *value)
{
        CX_STRINGS keys = CX_STRINGS_INIT;
        const char *key;
        json_t *child;
        json_object_foreach (value, key, child)
                cx_strings_add(&keys, key);
        for (size_t i = 0; i < keys.count; i++) {
                json_auto_t *before = json_incref(json_object_get(value, keys.items[i]));
                mutate(m, before);
                if (!json_is_object(before) && !json_is_array(before)) {
                        json_object_set_new(value, keys.items[i], another(before));
                        compare(m);
                }
                json_object_del(value, keys.items[i]);
                compare(m);
                json_object_set(value, keys.items[i], before);
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
                json_auto_t *before = json_incref(json_array_get(value, i));
                mutate(m, before);
                if (!json_is_object(before) && !json_is_array(before)) {
                        json_array_set_new(value, i, another(before));
                        compare(m);
                        json_array_set(value, i, before);
                }
        }
}

static void test_every_field(void **state)
{
        (void)state;
        json_auto_t *pod = quoted_json(POD);
        struct world shared;
        fill(&shared);
        struct template *original = templates_get(shared.templates, pod); // stays in the table
        CX_CLEANUP(cx_freep) char *before = decide(&shared, pod);
        struct mutation m = {.shared = &shared, .original = original, .pod = pod, .before = before};
        mutate(&m, pod);
        assert_true(m.tried > 100);
        assert_true(m.changed > 40); // the fields matter
        template_unref(shared.templates, original);
        world_release(&shared);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths),   cmocka_unit_test(test_texts),
                                           cmocka_unit_test(test_view),    cmocka_unit_test(test_undeclared),
                                           cmocka_unit_test(test_sharing), cmocka_unit_test(test_every_field)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
