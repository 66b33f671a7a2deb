// SPDX-License-Identifier: Apache-2.0
// Every plugin through the framework: which node a pod gets, or what is said when it gets none.
#include "test/unit/scheduler/world.h"

#define REQUESTS(list) "{'containers': [{'name': 'c', 'resources': {'requests': {" list "}}}]}"
#define SPEC(more) "{'containers': [{'name': 'c'}], " more "}"

static void test_none(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_expect(&w, "", "", "no nodes available to schedule pods");
        world_release(&w);
}

static void test_fit(void **state)
{
        (void)state;
        static const struct {
                const char *spec, *wanted;
        } table[] = {
                {REQUESTS("'cpu': '1'"), "big"}, // only big has two free
                {REQUESTS("'cpu': '3', 'memory': '8Gi'"), "big"},
                {REQUESTS("'cpu': '5'"), "0/3 nodes are available: 1 Too many pods, 3 Insufficient cpu."},
                {REQUESTS("'memory': '9Gi'"), "0/3 nodes are available: 1 Too many pods, 3 Insufficient memory."},
                {REQUESTS("'ephemeral-storage': '1'"),
                 "0/3 nodes are available: 1 Too many pods, 3 Insufficient ephemeral-storage."},
                {REQUESTS("'cpu': '1', 'x.io/gpu': '1'"), "gpu"},
                {REQUESTS("'x.io/gpu': '2'"), "0/3 nodes are available: 1 Too many pods, 3 Insufficient x.io/gpu."},
        };
        struct world w;
        world_init(&w);
        world_node(&w, "big", "", "", "");
        world_node(&w, "gpu", "", "", "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '10', 'x.io/gpu': '1'}}");
        world_node(&w, "full", "", "", "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '1'}}");
        world_run(&w, "a", "", REQUESTS("'cpu': '2'"), "gpu");
        world_run(&w, "b", "", REQUESTS("'cpu': '2'"), "full");
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                world_expect(&w, "", table[i].spec, table[i].wanted);
        world_release(&w);
}

static void test_balance(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        // Equally full on average; the pod asks for cpu, so it goes where memory is the scarcer.
        world_node(&w, "cpu", "", "", "");
        world_node(&w, "mem", "", "", "");
        world_run(&w, "a", "", REQUESTS("'cpu': '2', 'memory': '1'"), "cpu");
        world_run(&w, "b", "", REQUESTS("'cpu': '1m', 'memory': '4Gi'"), "mem");
        world_expect(&w, "", REQUESTS("'cpu': '1', 'memory': '1'"), "mem");
        world_expect(&w, "", REQUESTS("'cpu': '1m', 'memory': '2Gi'"), "cpu");
        world_release(&w);
}

static void test_taints(void **state)
{
        (void)state;
        static const struct {
                const char *taint, *spec, *wanted;
        } table[] = {
                {"{'key': 'k', 'value': 'v', 'effect': 'NoSchedule'}", "",
                 "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
                {"{'key': 'k', 'effect': 'NoExecute'}", "",
                 "0/1 nodes are available: 1 node(s) had untolerated taint {k: }."},
                {"{'key': 'k', 'value': 'v', 'effect': 'PreferNoSchedule'}", "", "n"},
                {"{'key': 'k', 'value': 'v', 'effect': 'NoSchedule'}",
                 SPEC("'tolerations': [{'key': 'k', 'operator': 'Equal', 'value': 'v', 'effect': 'NoSchedule'}]"), "n"},
                {"{'key': 'k', 'value': 'v', 'effect': 'NoSchedule'}",
                 SPEC("'tolerations': [{'key': 'k', 'operator': 'Equal', 'value': 'w'}]"),
                 "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
                {"{'key': 'k', 'value': 'v', 'effect': 'NoSchedule'}", SPEC("'tolerations': [{'operator': 'Exists'}]"),
                 "n"},
                {"{'key': 'k', 'value': 'v', 'effect': 'NoExecute'}",
                 SPEC("'tolerations': [{'key': 'k', 'operator': 'Exists', 'effect': 'NoSchedule'}]"),
                 "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct world w;
                world_init(&w);
                CX_CLEANUP(cx_freep) char *spec = cx_sprintf("{'taints': [%s]}", table[i].taint);
                world_node(&w, "n", "", spec, "");
                world_expect(&w, "", table[i].spec, table[i].wanted);
                world_release(&w);
        }
        struct world w;
        world_init(&w);
        world_node(&w, "bad", "", "{'taints': [{'key': 'k', 'effect': 'PreferNoSchedule'}]}", "");
        world_node(&w, "good", "", "", "");
        world_expect(&w, "", "", "good");
        world_release(&w);
}

static void test_unschedulable(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "n", "", "{'unschedulable': true}", "");
        world_expect(&w, "", "", "0/1 nodes are available: 1 node(s) were unschedulable.");
        world_expect(&w, "", SPEC("'tolerations': [{'key': 'node.kubernetes.io/unschedulable', 'operator': 'Exists'}]"),
                     "n");
        world_release(&w);
}

#define TERM(list)                                                                                                     \
        SPEC("'affinity': {'nodeAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': {'nodeSelectorTerms': "  \
             "[" list "]}}}")
#define EXPRESSION(key, op, values)                                                                                    \
        "{'matchExpressions': [{'key': '" key "', 'operator': '" op "', 'values': [" values "]}]}"
#define NO_AFFINITY "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."

static void test_affinity(void **state)
{
        (void)state;
        static const struct {
                const char *spec, *wanted;
        } table[] = {
                {SPEC("'nodeSelector': {'disk': 'ssd'}"), "fast"},
                {SPEC("'nodeSelector': {'disk': 'tape'}"), NO_AFFINITY},
                {TERM(EXPRESSION("disk", "In", "'hdd', 'tape'")), "slow"},
                {TERM(EXPRESSION("disk", "NotIn", "'ssd'")), "slow"},
                {TERM(EXPRESSION("new", "Exists", "")), "fast"},
                {TERM(EXPRESSION("new", "DoesNotExist", "")), "slow"},
                {TERM(EXPRESSION("speed", "Gt", "'5'")), "fast"},
                {TERM(EXPRESSION("speed", "Lt", "'5'")), "slow"},
                {TERM(EXPRESSION("speed", "Gt", "'x'")), NO_AFFINITY},
                {TERM(EXPRESSION("disk", "Near", "'hdd'")), NO_AFFINITY},
                {TERM("{}"), NO_AFFINITY},
                {TERM("{'matchFields': [{'key': 'metadata.name', 'operator': 'In', 'values': ['slow']}]}"), "slow"},
                {TERM(EXPRESSION("disk", "In", "'tape'") "," EXPRESSION("disk", "In", "'hdd'")), "slow"},
                {SPEC("'affinity': {'nodeAffinity': {'preferredDuringSchedulingIgnoredDuringExecution': [{'weight': 5,"
                      "'preference': " EXPRESSION("disk", "In", "'hdd'") "}]}}"),
                 "slow"},
                {SPEC("'affinity': {'nodeAffinity': {'preferredDuringSchedulingIgnoredDuringExecution': [{'weight': 5,"
                      "'preference': " EXPRESSION("disk", "In", "'hdd'") "}, {'weight': 6, 'preference': " EXPRESSION(
                              "new", "Exists", "") "}]}}"),
                 "fast"},
        };
        struct world w;
        world_init(&w);
        world_node(&w, "fast", "{'disk': 'ssd', 'new': '', 'speed': '10'}", "", "");
        world_node(&w, "slow", "{'disk': 'hdd', 'speed': '1'}", "", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                world_expect(&w, "", table[i].spec, table[i].wanted);
        world_release(&w);
}

#define PORT(more) "{'containers': [{'name': 'c', 'ports': [{'containerPort': 80, 'hostPort': 80" more "}]}]}"

static void test_ports(void **state)
{
        (void)state;
        static const char *const taken =
                "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
        const struct {
                const char *running, *spec, *wanted;
        } table[] = {
                {PORT(""), PORT(""), taken},
                {PORT(""), PORT(", 'protocol': 'UDP'"), "n"},
                {PORT(""), PORT(", 'hostIP': '10.0.0.1'"), taken},
                {PORT(", 'hostIP': '10.0.0.2'"), PORT(", 'hostIP': '10.0.0.1'"), "n"},
                {PORT(", 'hostIP': '10.0.0.1'"), PORT(", 'hostIP': '0.0.0.0'"), taken},
                {"", PORT(""), "n"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct world w;
                world_init(&w);
                world_node(&w, "n", "", "", "");
                world_run(&w, "a", "", table[i].running, "n");
                world_expect(&w, "", table[i].spec, table[i].wanted);
                world_release(&w);
        }
}

#define CONSTRAINT(when, more)                                                                                         \
        SPEC("'topologySpreadConstraints': [{'maxSkew': 1, 'topologyKey': 'zone', 'whenUnsatisfiable': '" when         \
             "', 'labelSelector': {'matchLabels': {'app': 'x'}}" more "}]")

static void test_spread(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "a1", "{'zone': 'a'}", "", "");
        world_node(&w, "b1", "{'zone': 'b'}", "", "");
        world_node(&w, "c1", "{}", "", "");
        world_run(&w, "p1", "{'app': 'x'}", "", "a1");
        world_run(&w, "p2", "{'app': 'y'}", "", "b1"); // not counted
        world_expect(&w, "{'app': 'x'}", CONSTRAINT("DoNotSchedule", ""), "b1");
        // One that does not count itself may go anywhere that has the label.
        CX_CLEANUP(cx_freep) char *any = world_schedule(&w, "{'app': 'z'}", CONSTRAINT("DoNotSchedule", ""), NULL);
        assert_true(strcmp(any, "a1") == 0 || strcmp(any, "b1") == 0);
        world_expect(&w, "{'app': 'x'}", CONSTRAINT("ScheduleAnyway", ""), "b1");
        world_run(&w, "p3", "{'app': 'x'}", "", "a1");
        world_run(&w, "p4", "{'app': 'x'}", "", "b1");
        world_node(&w, "b1", "{'zone': 'b'}", "{'unschedulable': true}", "");
        world_expect(&w, "{'app': 'x'}", CONSTRAINT("DoNotSchedule", ""),
                     "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) "
                     "didn't match pod topology spread constraints (missing required label), 1 node(s) were "
                     "unschedulable.");
        world_expect(&w, "{'app': 'x'}", CONSTRAINT("DoNotSchedule", ", 'minDomains': 3"),
                     "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) "
                     "didn't match pod topology spread constraints (missing required label), 1 node(s) were "
                     "unschedulable.");
        world_release(&w);
}

static void test_default_spread(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        json_auto_t *pod = world_pod_json("new", "", "");
        json_auto_t *owners = quoted_json("[{'kind': 'ReplicaSet', 'uid': 'u', 'controller': true}]");
        json_object_set(json_object_get(pod, "metadata"), "ownerReferences", owners);
        struct template *template = templates_get(w.templates, pod);
        const char *names[] = {"n0", "n1", "n2", "n3"};
        for (size_t i = 0; i < 4; i++) {
                CX_CLEANUP(cx_freep) char *labels = cx_sprintf("{'kubernetes.io/hostname': '%s'}", names[i]);
                world_node(&w, names[i], labels, "", "");
        }
        for (int i = 0; i < 8; i++) {
                struct decision decision;
                framework_schedule(&w.framework, "new", template, NULL, &decision);
                assert_non_null(decision.node);
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("p%d", i);
                cache_assume(&w.cache, key, template, decision.node);
        }
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(cache_node(&w.cache, names[i])->pods, 2);
        template_unref(w.templates, template);
        world_release(&w);
}

#define POD_TERM "{'topologyKey': 'zone', 'labelSelector': {'matchLabels': {'app': 'db'}}}"
#define POD_AFFINITY(kind, list)                                                                                       \
        SPEC("'affinity': {'" kind "': {'requiredDuringSchedulingIgnoredDuringExecution': [" list "]}}")
#define POD_PREFERENCE(kind)                                                                                           \
        SPEC("'affinity': {'" kind "': {'preferredDuringSchedulingIgnoredDuringExecution': [{'weight': 9, "            \
             "'podAffinityTerm': " POD_TERM "}]}}")

static void test_inter_pod(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "a1", "{'zone': 'a'}", "", "");
        world_node(&w, "b1", "{'zone': 'b'}", "", "");
        // Nothing matches yet: only one of the kind itself may start.
        world_expect(&w, "{'app': 'web'}", POD_AFFINITY("podAffinity", POD_TERM),
                     "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.");
        CX_CLEANUP(cx_freep)
        char *first = world_schedule(&w, "{'app': 'db'}", POD_AFFINITY("podAffinity", POD_TERM), NULL);
        assert_int_equal(strlen(first), 2);
        world_run(&w, "db", "{'app': 'db'}", "", "a1");
        world_expect(&w, "{'app': 'web'}", POD_AFFINITY("podAffinity", POD_TERM), "a1");
        world_expect(&w, "{'app': 'web'}", POD_AFFINITY("podAntiAffinity", POD_TERM), "b1");
        world_expect(&w, "{'app': 'web'}", POD_PREFERENCE("podAffinity"), "a1");
        world_expect(&w, "{'app': 'web'}", POD_PREFERENCE("podAntiAffinity"), "b1");
        // Running pods keep others away, too.
        world_run(&w, "lonely", "{'app': 'lonely'}", POD_AFFINITY("podAntiAffinity", POD_TERM), "b1");
        world_expect(&w, "{'app': 'db'}", "", "a1");
        world_expect(&w, "{'app': 'db'}", POD_AFFINITY("podAntiAffinity", POD_TERM),
                     "0/2 nodes are available: 1 node(s) didn't match pod anti-affinity rules, 1 node(s) didn't "
                     "satisfy existing pods anti-affinity rules.");
        // Other namespaces do not count unless they are named or selected.
        world_expect(&w, "{'app': 'web'}",
                     POD_AFFINITY("podAffinity", "{'topologyKey': 'zone', 'namespaces': ['other'], 'labelSelector': "
                                                 "{'matchLabels': {'app': 'db'}}}"),
                     "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.");
        world_expect(&w, "{'app': 'web'}",
                     POD_AFFINITY("podAffinity", "{'topologyKey': 'zone', 'namespaceSelector': {}, 'labelSelector': "
                                                 "{'matchLabels': {'app': 'db'}}}"),
                     "a1");
        world_release(&w);
}

static void test_helps(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_node(&w, "n", "", "", "");
        unsigned failed;
        const char *spec = REQUESTS("'cpu': '5'");
        CX_CLEANUP(cx_freep) char *message = world_schedule(&w, "", spec, &failed);
        json_auto_t *pod = world_pod_json("new", "", spec);
        struct template *template = templates_get(w.templates, pod);
        struct node_cache *c = &w.cache;
        assert_false(cycle_helps(c, template, failed, EVENT_POD_ADDED, NULL, NULL));
        assert_false(cycle_helps(c, template, failed, EVENT_NODE, cache_node(&w.cache, "n"), NULL));
        world_node(&w, "m", "", "", "{'allocatable': {'cpu': '6', 'memory': '8Gi', 'pods': '10'}}");
        assert_true(cycle_helps(c, template, failed, EVENT_NODE, cache_node(&w.cache, "m"), NULL));
        assert_true(cycle_helps(c, template, ~0U, EVENT_NODE, NULL, NULL));
        template_unref(w.templates, template);
        world_release(&w);
}

// Of many nodes only a part is looked at, and the next pod goes on where the last one stopped.
static void test_sampling(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        for (int i = 0; i < 1000; i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("n%d", i);
                world_node(&w, name, "", "", "");
        }
        CX_CLEANUP(cx_freep) char *first = world_schedule(&w, "", "", NULL);
        assert_int_equal(w.framework.next_start, 420); // 50 - 1000 / 125 percent
        CX_CLEANUP(cx_freep) char *second = world_schedule(&w, "", "", NULL);
        CX_CLEANUP(cx_freep) char *third = world_schedule(&w, "", "", NULL);
        assert_int_equal(w.framework.next_start, 260);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_none),          cmocka_unit_test(test_fit),
                                           cmocka_unit_test(test_balance),       cmocka_unit_test(test_taints),
                                           cmocka_unit_test(test_unschedulable), cmocka_unit_test(test_affinity),
                                           cmocka_unit_test(test_ports),         cmocka_unit_test(test_spread),
                                           cmocka_unit_test(test_inter_pod),     cmocka_unit_test(test_helps),
                                           cmocka_unit_test(test_sampling),      cmocka_unit_test(test_default_spread)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
