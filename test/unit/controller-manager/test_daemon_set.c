// SPDX-License-Identifier: Apache-2.0
// Where a DaemonSet's pods belong, and what it does next: the parts that only compute.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/pods/backoff.h"
#include "controller-manager/workloads/daemon_set.h"
#include "test/unit/quoted_json.h"

// An object with one part, as an informer keeps it.
static struct cx_object *make_object(const char *text, const struct object_part *const *wanted, size_t count)
{
        static struct object_parts *parts[2]; // of nodes and of pods, for as long as the process runs
        struct object_parts **kind = &parts[count - 1];
        if (!*kind) {
                *kind = object_parts_new();
                for (size_t i = 0; i < count; i++)
                        object_parts_add(*kind, wanted[i]);
        }
        json_auto_t *json = quoted_json(text);
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = object_parts_project(*kind, json);
        object->free_projection = object_parts_free_projection;
        return object;
}

static struct cx_object *make_node(const char *text)
{
        static const struct object_part *const parts[] = {&daemon_node_part};
        return make_object(text, parts, 1);
}

static struct cx_object *make_pod(const char *text)
{
        static const struct object_part *const parts[] = {&pod_state_part, &daemon_pod_part};
        return make_object(text, parts, 2);
}

#define TAINTED(key, effect) "'spec': {'taints': [{'key': '" key "', 'value': '', 'effect': '" effect "'}]}"
#define TERM(part, key, op, value)                                                                                     \
        "'affinity': {'nodeAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': {'nodeSelectorTerms': "       \
        "[{'" part "': [{'key': '" key "', 'operator': '" op "', 'values': ['" value "']}]}]}}}"

static void test_placement(void **state)
{
        (void)state;
        static const struct {
                const char *spec, *node;
                bool start, stay;
        } table[] = {
                {"", "", true, true},
                {"'nodeName': 'n'", "", true, true},
                {"'nodeName': 'm'", "", false, false},
                {"'nodeSelector': {'disk': 'ssd'}", "", true, true},
                {"'nodeSelector': {'disk': 'tape'}", "", false, false},
                {TERM("matchExpressions", "disk", "In", "ssd"), "", true, true},
                {TERM("matchExpressions", "disk", "NotIn", "ssd"), "", false, false},
                {TERM("matchFields", "metadata.name", "In", "n"), "", true, true},
                {TERM("matchFields", "metadata.name", "In", "m"), "", false, false},
                {"", TAINTED("a", "PreferNoSchedule"), true, true},
                {"", TAINTED("a", "NoSchedule"), false, true},
                {"", TAINTED("a", "NoExecute"), false, false},
                {"'tolerations': [{'key': 'a', 'operator': 'Exists'}]", TAINTED("a", "NoExecute"), true, true},
                {"'tolerations': [{'key': 'b', 'operator': 'Exists'}]", TAINTED("a", "NoExecute"), false, false},
                // What all daemons tolerate.
                {"", TAINTED("node.kubernetes.io/not-ready", "NoExecute"), true, true},
                {"", TAINTED("node.kubernetes.io/unreachable", "NoExecute"), true, true},
                {"", TAINTED("node.kubernetes.io/not-ready", "NoSchedule"), false, true},
                {"", TAINTED("node.kubernetes.io/disk-pressure", "NoSchedule"), true, true},
                {"", TAINTED("node.kubernetes.io/memory-pressure", "NoSchedule"), true, true},
                {"", TAINTED("node.kubernetes.io/pid-pressure", "NoSchedule"), true, true},
                {"", TAINTED("node.kubernetes.io/unschedulable", "NoSchedule"), true, true},
                {"", TAINTED("node.kubernetes.io/network-unavailable", "NoSchedule"), false, true},
                {"'hostNetwork': true", TAINTED("node.kubernetes.io/network-unavailable", "NoSchedule"), true, true},
                // Only labels and taints count: not that a node says it is not to be used.
                {"", "'spec': {'unschedulable': true}", true, true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_CLEANUP(cx_freep) char *template = cx_sprintf("{'spec': {%s}}", table[i].spec);
                CX_CLEANUP(cx_freep)
                char *node = cx_sprintf("{'metadata': {'name': 'n', 'labels': {'disk': 'ssd'}}%s%s}",
                                        *table[i].node ? ", " : "", table[i].node);
                json_auto_t *json = quoted_json(template);
                struct cx_object *object = make_node(node);
                struct daemon_placement placement;
                bool start, stay;
                daemon_placement_parse(json, &placement);
                daemon_placement_check(&placement, object, &start, &stay);
                if (start != table[i].start || stay != table[i].stay)
                        fail_msg("%s on %s", table[i].spec, table[i].node);
                daemon_placement_release(&placement);
                cx_object_unref(object);
        }
}

static void test_tolerations(void **state)
{
        (void)state;
        // One for a while is replaced by one for ever; others are kept.
        json_auto_t *spec = quoted_json("{'tolerations': [{'key': 'a', 'operator': 'Exists'}, {'key': "
                                        "'node.kubernetes.io/not-ready', 'operator': 'Exists', 'effect': 'NoExecute', "
                                        "'tolerationSeconds': 300}]}");
        daemon_add_tolerations(spec);
        const json_t *tolerations = json_object_get(spec, "tolerations");
        assert_int_equal(json_array_size(tolerations), 7);
        assert_null(json_object_get(json_array_get(tolerations, 1), "tolerationSeconds"));
        json_auto_t *once = json_deep_copy(spec);
        daemon_add_tolerations(spec);
        assert_true(json_equal(once, spec));
}

static void test_aim(void **state)
{
        (void)state;
        static const char *const specs[] = {
                "{}", "{" TERM("matchExpressions", "disk", "In", "ssd") "}",
                "{'affinity': {'nodeAffinity': {'preferredDuringSchedulingIgnoredDuringExecution': []}}}"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(specs); i++) {
                json_auto_t *spec = quoted_json(specs[i]),
                            *wanted = quoted_json("{" TERM("matchFields", "metadata.name", "In", "m") "}");
                daemon_aim(spec, "m");
                const char path[] = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
                assert_true(json_equal(cx_json_get(spec, path), cx_json_get(wanted, path)));
                json_auto_t *pod = json_pack("{s:{s:s}, s:O}", "metadata", "name", "p", "spec", spec);
                CX_CLEANUP(cx_freep) char *text = json_dumps(pod, 0);
                struct cx_object *object = make_pod(text);
                assert_string_equal(*(char *const *)object_part(object, &daemon_pod_part), "m");
                cx_object_unref(object);
        }
}

#define MANY_NODES 32
#define POD(name, node, created, more)                                                                                 \
        "{'metadata': {'name': '" name "', 'creationTimestamp': '2026-01-01T00:00:0" created                           \
        "Z', 'labels': {'controller-revision-hash': 'h'}" more "}, 'spec': {" node                                     \
        "}, 'status': {'phase': 'Running'}}"

static void test_view(void **state)
{
        (void)state;
        static const char *const nodes[] = {"b", "a", "d"};
        static const char *const pods[] = {
                POD("young", "'nodeName': 'b'", "3", ""),
                POD("old", "'nodeName': 'b'", "1", ""),
                POD("waiting", TERM("matchFields", "metadata.name", "In", "b"), "0", ""),
                POD("nowhere", "", "0", ""),
                POD("lost", "'nodeName': 'c'", "0", ""),
                POD("last", "'nodeName': 'd'", "0", ", 'deletionTimestamp': '2026-01-01T00:00:00Z'"),
        };
        CX_OBJECTS node_list = CX_OBJECTS_INIT, pod_list = CX_OBJECTS_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(nodes); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'metadata': {'name': '%s'}}", nodes[i]);
                CX_OBJECT *node = make_node(text);
                cx_objects_add(&node_list, node);
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++) {
                CX_OBJECT *pod = make_pod(pods[i]);
                cx_objects_add(&pod_list, pod);
        }
        CX_STRINGS hashes = CX_STRINGS_INIT;
        cx_strings_add(&hashes, "h");
        struct daemon_placement placement = {0};
        const struct daemon_pods found = {&pod_list, &hashes, 0, 0};
        struct daemon_view view;
        daemon_view_make(&placement, &node_list, &found, &view);
        CX_BUF shown = CX_BUF_INIT;
        for (size_t i = 0; i < view.n_nodes; i++) {
                const struct daemon_node *node = &view.nodes[i];
                cx_buf_printf(&shown, "%s%s(", node->name, node->exists ? "" : "?");
                for (size_t j = node->from; j < node->to; j++)
                        cx_buf_printf(&shown, "%s%s%s", j > node->from ? " " : "", view.pods[j].pod->name,
                                      view.pods[j].going ? "!" : "");
                cx_buf_add(&shown, ")");
        }
        assert_string_equal(shown.data, "a()b(old young waiting)d(last!)c?(lost)");
        assert_true(view.pods[0].updated);
        daemon_view_release(&view);
}

// A world as a text: a node a word. "+" is to have a pod, "-" is not to have one but may keep it, "!" may not keep it, "?"
// does not exist; then its pods, oldest first: a available, u not available, r ready but not available, f failed,
// s succeeded, g being deleted, w without a node yet. Small letters: of an old template, capitals: of the current one.
static void make_world(const char *text, struct daemon_view *ret_view)
{
        *ret_view = (struct daemon_view){.nodes = cx_alloc_array(MANY_NODES, sizeof *ret_view->nodes),
                                         .pods = cx_alloc_array(strlen(text) + 1, sizeof *ret_view->pods)};
        while (*text) {
                struct daemon_node *node = &ret_view->nodes[ret_view->n_nodes++];
                *node = (struct daemon_node){.exists = *text != '?',
                                             .start = *text == '+',
                                             .stay = *text == '+' || *text == '-',
                                             .from = ret_view->n_pods};
                for (text++; *text && *text != ' '; text++) {
                        char what = *text | 0x20;
                        ret_view->pods[ret_view->n_pods++] = (struct daemon_pod){.going = what == 'g',
                                                                                 .bound = what != 'w',
                                                                                 .failed = what == 'f',
                                                                                 .succeeded = what == 's',
                                                                                 .ready = what == 'a' || what == 'r',
                                                                                 .available = what == 'a',
                                                                                 .updated = !(*text & 0x20)};
                }
                node->to = ret_view->n_pods;
                text += *text == ' ';
        }
}

static void put(struct cx_buf *to, const char *what, const size_t *items, size_t count)
{
        for (size_t i = 0; i < count; i++)
                cx_buf_printf(to, "%s%s%zu", to->length ? " " : "", what, items[i]);
}

// "+1": a pod is made on the second node; "-1": the second pod is ended; "f1", "s1": because it failed or succeeded.
static void expect_plan(const char *text, const struct daemon_strategy *strategy, bool update, const char *wanted)
{
        struct daemon_view view;
        struct daemon_plan plan;
        CX_BUF shown = CX_BUF_INIT;
        make_world(text, &view);
        if (update)
                daemon_plan_update(&view, strategy, &plan);
        else
                daemon_plan_nodes(&view, strategy, &plan);
        put(&shown, "+", plan.create, plan.n_create);
        put(&shown, "-", plan.end, plan.n_end);
        put(&shown, "f", plan.failed, plan.n_failed);
        put(&shown, "s", plan.succeeded, plan.n_succeeded);
        if (strcmp(shown.data, wanted) != 0)
                fail_msg("%s: have \"%s\", want \"%s\"", text, shown.data, wanted);
        daemon_plan_release(&plan);
        daemon_view_release(&view);
}

static void test_nodes(void **state)
{
        (void)state;
        static const struct {
                const char *world, *plain, *surging;
        } table[] = {
                {"+ + +A", "+0 +1", "+0 +1"},
                {"+A -A !A", "-2", "-2"},
                {"- !", "", ""},
                {"!G ?G", "", ""},
                {"?W ?A", "-0", "-0"}, // who is bound to it is the garbage collector's
                {"+G", "", "+0"},      // the name of the node is taken until it has gone; not with surge
                {"-G", "", ""},
                {"+F +S +A", "f0 s1", "+0 +1 f0 s1"},
                {"!F", "-0", "-0"},
                {"+AA", "-1", "-1"},
                {"+AW", "-1", "-1"},
                {"+AAA", "-1 -2", "-1 -2"},
                {"+aU", "-1", ""}, // surging
                {"+aR", "-1", ""},
                {"+aA", "-1", "-0"}, // the new one serves
                {"+uU", "-1", "-0"}, // neither does
                {"+aaUU", "-1 -2 -3", "-1 -3"},
                {"+aF", "f1", "f1"},
                {"-aU", "-1", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                expect_plan(table[i].world, &(struct daemon_strategy){true, false, 0, 1}, false, table[i].plain);
                expect_plan(table[i].world, &(struct daemon_strategy){true, true, 1, 0}, false, table[i].surging);
        }
}

static void test_update(void **state)
{
        (void)state;
        static const struct {
                const char *world;
                int64_t surge, unavailable;
                const char *wanted;
        } table[] = {
                {"+a +a +a", 0, 1, "-0"},
                {"+a +a +a", 0, 2, "-0 -1"},
                {"+a +a +a", 0, 9, "-0 -1 -2"},
                {"+A +a +a", 0, 1, "-1"},
                {"+A +A +A", 0, 1, ""},
                {"+U +a +a", 0, 1, ""}, // broken: nobody else goes
                {"+U +a +a", 0, 2, "-1"},
                {"+u +a +a", 0, 1, "-0"}, // it serves nobody: the new template may mend it
                {"+u +u +u", 0, 1, "-0 -1 -2"},
                {"+G +a +a", 0, 1, ""}, // its successor has to come first
                {"+ +a +a", 0, 1, ""},
                {"!G +a", 0, 1, ""},
                {"+AA +a", 0, 1, ""},
                {"+aA +a", 0, 1, ""},
                {"-a +A", 0, 1, "-0"},
                // With surge.
                {"+a +a +a", 1, 0, "+0"},
                {"+a +a +a", 2, 0, "+0 +1"},
                {"+aU +a +a", 1, 0, ""},
                {"+aU +a +a", 2, 0, "+1"},
                {"+aA +a +a", 1, 0, "+1 -0"},
                {"+u +a +a", 1, 0, "+0 +1"}, // in its place: that is no surge
                {"+AA +a", 1, 0, ""},
                {"+ +G +a", 1, 0, "+2"},
                {"-a +A", 1, 0, "-0"}, // enough others serve
                {"-a +U", 1, 0, ""},
                {"-u +A", 1, 0, "-0"},
                {"-a -a +A +U", 1, 0, "-0"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct daemon_strategy strategy = {true, table[i].surge > 0, table[i].surge, table[i].unavailable};
                expect_plan(table[i].world, &strategy, true, table[i].wanted);
                strategy.rolling = false; // OnDelete
                expect_plan(table[i].world, &strategy, true, "");
        }
}

static void test_strategy(void **state)
{
        (void)state;
        static const struct {
                const char *strategy, *world;
                struct daemon_strategy wanted;
        } table[] = {
                {"'type': 'OnDelete'", "+ +", {false, false, 0, 0}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 1, 'maxSurge': 0}",
                 "+ +",
                 {true, false, 0, 1}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': '10%', 'maxSurge': 0}",
                 "+ + + - !",
                 {true, false, 0, 1}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': '60%', 'maxSurge': 0}",
                 "+ + + - !",
                 {true, false, 0, 2}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 0, 'maxSurge': '50%'}",
                 "+ + +",
                 {true, true, 2, 0}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 0, 'maxSurge': 2147483647}",
                 "+",
                 {true, true, INT32_MAX, 0}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 0, 'maxSurge': 0}",
                 "+",
                 {true, false, 0, 1}},
                {"'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 'x', 'maxSurge': 'y'}",
                 "+",
                 {true, false, 0, 1}},
                {"'type': 'RollingUpdate'", "+", {true, false, 0, 1}},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'spec': {'updateStrategy': {%s}}}", table[i].strategy);
                json_auto_t *set = quoted_json(text);
                struct daemon_view view;
                struct daemon_strategy have;
                make_world(table[i].world, &view);
                daemon_strategy_read(set, &view, &have);
                assert_int_equal(have.rolling, table[i].wanted.rolling);
                assert_int_equal(have.surges, table[i].wanted.surges);
                assert_int_equal(have.max_surge, table[i].wanted.max_surge);
                assert_int_equal(have.max_unavailable, table[i].wanted.max_unavailable);
                daemon_view_release(&view);
        }
}

static void test_counts(void **state)
{
        (void)state;
        struct daemon_view view;
        make_world("+ +A +a +uA +R -a - !A ?A +G", &view);
        struct daemon_counts counts = daemon_count(&view);
        assert_int_equal(counts.desired, 6);
        assert_int_equal(counts.current, 5);
        assert_int_equal(counts.misscheduled, 2);
        assert_int_equal(counts.ready, 3);
        assert_int_equal(counts.available, 2);
        assert_int_equal(counts.updated, 3);
        daemon_view_release(&view);
}

static void test_backoff(void **state)
{
        (void)state;
        struct backoff backoff;
        backoff_init(&backoff, 1, 10);
        static const int64_t delays[] = {1, 2, 4, 8, 10, 10};
        int64_t now = 1000;
        assert_int_equal(backoff_left(&backoff, "a", now), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(delays); i++) {
                backoff_next(&backoff, "a", now);
                assert_int_equal(backoff_left(&backoff, "a", now), delays[i]);
                assert_int_equal(backoff_left(&backoff, "b", now), 0);
                now += delays[i];
                assert_int_equal(backoff_left(&backoff, "a", now), 0);
        }
        backoff_next(&backoff, "b", now);
        // Quiet for long enough, it begins anew; and what nobody asks for is not kept.
        now += 21;
        backoff_next(&backoff, "a", now);
        assert_int_equal(backoff_left(&backoff, "a", now), 1);
        assert_int_equal(backoff.by_key.count, 1);
        backoff_release(&backoff);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_placement), cmocka_unit_test(test_tolerations), cmocka_unit_test(test_aim),
                cmocka_unit_test(test_view),      cmocka_unit_test(test_nodes),       cmocka_unit_test(test_update),
                cmocka_unit_test(test_strategy),  cmocka_unit_test(test_counts),      cmocka_unit_test(test_backoff),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
