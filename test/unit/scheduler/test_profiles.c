// SPDX-License-Identifier: Apache-2.0
// KubeSchedulerConfiguration: which plugins run with which weights and arguments, and what is refused; and that a profile's
// arguments change where pods go.
#include "test/unit/scheduler/world.h"

#include "libcommon/base/log.h"
#include "libcommon/client/config.h"
#include "scheduler/config.h"

#define HEAD "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"

static int load(const char *text, struct scheduler_config *ret_config, struct cx_error *err)
{
        char path[] = "/tmp/coxswain-test-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        int r = scheduler_config_load(path, scheduler_plugins, n_scheduler_plugins, ret_config, err);
        unlink(path);
        return r;
}

static const struct profile_plugin *plugin_of(const struct scheduler_config *config, size_t profile, const char *name)
{
        for (size_t i = 0; i < config->plugins.count; i++)
                if (strcmp(config->plugins.items[i]->name, name) == 0)
                        return &config->profiles.items[profile].plugins[i];
        fail_msg("no plugin %s", name);
        return NULL;
}

static void test_defaults(void **state)
{
        (void)state;
        static const struct {
                const char *name;
                bool filters;
                int64_t weight;
        } table[] = {
                {"NodeUnschedulable", true, 0}, {"TaintToleration", true, 3},
                {"NodeAffinity", true, 2},      {"NodePorts", true, 0},
                {"NodeResourcesFit", true, 1},  {"NodeResourcesBalancedAllocation", false, 1},
                {"ImageLocality", false, 1},    {"PodTopologySpread", true, 2},
                {"InterPodAffinity", true, 2},
        };
        static const char *const texts[] = {NULL, HEAD, HEAD "profiles: [{schedulerName: default-scheduler}]"};
        for (size_t t = 0; t < CX_ARRAY_SIZE(texts); t++) {
                struct scheduler_config config;
                CX_ERROR err = CX_ERROR_INIT;
                if (texts[t])
                        assert_int_equal(load(texts[t], &config, &err), 0);
                else
                        assert_int_equal(
                                scheduler_config_load(NULL, scheduler_plugins, n_scheduler_plugins, &config, &err), 0);
                assert_int_equal(config.profiles.count, 1);
                assert_string_equal(config.profiles.items[0].name, "default-scheduler");
                assert_true(config.profiles.items[0].preempts && config.profiles.items[0].gates);
                assert_int_equal(config.backoff_first, 1000000000);
                assert_int_equal(config.backoff_max, 10000000000);
                for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                        const struct profile_plugin *plugin = plugin_of(&config, 0, table[i].name);
                        assert_int_equal(plugin->filters, table[i].filters);
                        assert_int_equal(plugin->weight, table[i].weight);
                }
                scheduler_config_release(&config);
        }
}

static void test_plugins(void **state)
{
        (void)state;
        struct scheduler_config config;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(
                load(HEAD "podInitialBackoffSeconds: 2\n"
                          "podMaxBackoffSeconds: 4\n"
                          "percentageOfNodesToScore: 30\n"
                          "profiles:\n"
                          "- schedulerName: packing\n"
                          "  percentageOfNodesToScore: 70\n"
                          "  plugins:\n"
                          "    score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit, weight: 7}]}\n"
                          "    postFilter: {disabled: [{name: DefaultPreemption}]}\n"
                          "- schedulerName: bare\n"
                          "  plugins:\n"
                          "    multiPoint:\n"
                          "      disabled: [{name: InterPodAffinity}, {name: TaintToleration}, {name: VolumeBinding}]\n"
                          "      enabled: [{name: ImageLocality, weight: 9}]\n"
                          "    filter: {enabled: [{name: TaintToleration}]}\n"
                          "    preEnqueue: {disabled: [{name: SchedulingGates}]}\n",
                     &config, &err),
                0);
        const struct scheduler_profile *packing = &config.profiles.items[0], *bare = &config.profiles.items[1];
        assert_int_equal(config.backoff_max, 4000000000);
        assert_int_equal(packing->percentage, 70);
        assert_int_equal(bare->percentage, 30);
        assert_true(!packing->preempts && packing->gates && bare->preempts && !bare->gates);
        assert_int_equal(plugin_of(&config, 0, "NodeResourcesFit")->weight, 7);
        assert_int_equal(plugin_of(&config, 0, "ImageLocality")->weight, 0);
        assert_true(plugin_of(&config, 0, "TaintToleration")->filters);
        assert_int_equal(plugin_of(&config, 1, "ImageLocality")->weight, 9);
        assert_false(plugin_of(&config, 1, "InterPodAffinity")->filters);
        assert_int_equal(plugin_of(&config, 1, "InterPodAffinity")->weight, 0);
        assert_true(plugin_of(&config, 1, "TaintToleration")->filters);
        assert_int_equal(plugin_of(&config, 1, "TaintToleration")->weight, 0);
        assert_ptr_equal(profiles_find(&config.profiles, "bare"), bare);
        assert_null(profiles_find(&config.profiles, "default-scheduler"));
        scheduler_config_release(&config);
}

static void test_refused(void **state)
{
        (void)state;
#define PROFILE(more) HEAD "profiles: [{" more "}]"
#define ARGS(name, more) PROFILE("pluginConfig: [{name: " name ", args: {" more "}}]")
        static const struct {
                const char *text, *wanted;
        } table[] = {
                {"a: b", "must be of apiVersion"},
                {"apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration",
                 "must be of apiVersion"},
                {HEAD "---\n" HEAD, "must be one document"},
                {HEAD "podMaxBackoffSeconds: 0", "podMaxBackoffSeconds"},
                {HEAD "podInitialBackoffSeconds: 11", "podMaxBackoffSeconds"},
                {HEAD "frobnicate: 1", "unknown field \"frobnicate\""},
                {HEAD "parallelism: 0", "parallelism"},
                {HEAD "percentageOfNodesToScore: 101", "percentageOfNodesToScore"},
                {HEAD "leaderElection: {resourceLock: endpoints}", "resourceLock"},
                {HEAD "profiles: [{schedulerName: a}, {schedulerName: a}]", "twice"},
                {PROFILE("plugins: {filter: {enabled: [{name: Nonesuch}]}}"),
                 "profiles[0].plugins.filter.enabled[0]: there is no plugin \"Nonesuch\""},
                {PROFILE("plugins: {filter: {disabled: [{name: Nonesuch}]}}"), "there is no plugin \"Nonesuch\""},
                {PROFILE("plugins: {filter: {enabled: [{name: DynamicResources}]}}"),
                 "the plugin \"DynamicResources\" is not there"},
                {ARGS("VolumeBinding", "bindTimeoutSeconds: -1"), "bindTimeoutSeconds"},
                {ARGS("VolumeBinding", "shape: []"), "unknown field \"shape\""},
                {PROFILE("plugins: {filter: {enabled: [{name: ImageLocality}]}}"), "does not extend this point"},
                {PROFILE("plugins: {permit: {enabled: [{name: NodeAffinity}]}}"), "does not extend this point"},
                {PROFILE("plugins: {queueSort: {disabled: [{name: PrioritySort}]}}"), "cannot be disabled"},
                {PROFILE("plugins: {bind: {disabled: [{name: DefaultBinder}]}}"), "cannot be disabled"},
                {PROFILE("plugins: {score: {enabled: [{name: ImageLocality, weight: -1}]}}"), "weight"},
                {ARGS("Nonesuch", ""), "there is no plugin \"Nonesuch\""},
                {ARGS("NodePorts", "x: 1"), "takes no arguments"},
                {ARGS("InterPodAffinity", "hardPodAffinityWeight: 101"), "hardPodAffinityWeight"},
                {ARGS("InterPodAffinity", "hardPodAffinityWait: 1"), "unknown field \"hardPodAffinityWait\""},
                {ARGS("NodeResourcesFit", "scoringStrategy: {type: Random}"), "Unsupported value"},
                {ARGS("NodeResourcesFit", "scoringStrategy: {resources: [{name: cpu, weight: 101}]}"), "weight"},
                {ARGS("NodeResourcesFit", "scoringStrategy: {resources: [{name: cpu}, {name: cpu}]}"), "twice"},
                {ARGS("NodeResourcesFit", "scoringStrategy: {type: RequestedToCapacityRatio}"), "at least one point"},
                {ARGS("NodeResourcesFit", "scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: "
                                          "{shape: [{utilization: 5, score: 1}, {utilization: 5, score: 2}]}}"),
                 "must rise"},
                {ARGS("PodTopologySpread", "defaultConstraints: [{topologyKey: z, maxSkew: 1, whenUnsatisfiable: "
                                           "ScheduleAnyway}]"),
                 "must be empty when defaultingType is System"},
                {ARGS("PodTopologySpread", "defaultingType: List, defaultConstraints: [{topologyKey: z, maxSkew: 1, "
                                           "whenUnsatisfiable: ScheduleAnyway, labelSelector: {}}]"),
                 "labelSelector"},
                {ARGS("DefaultPreemption", "minCandidateNodesPercentage: 101"), "minCandidateNodesPercentage"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct scheduler_config config;
                CX_ERROR err = CX_ERROR_INIT;
                if (load(table[i].text, &config, &err) == 0)
                        fail_msg("taken: %s", table[i].text);
                if (!strstr(cx_error_text(&err), table[i].wanted))
                        fail_msg("\"%s\" instead of \"%s\"", cx_error_text(&err), table[i].wanted);
        }
}

// What a load logs. Owned.
static char *logged(const char *text)
{
        struct scheduler_config config;
        CX_ERROR err = CX_ERROR_INIT;
        CX_BUF lines = CX_BUF_INIT;
        char path[] = "/tmp/coxswain-test-XXXXXX";
        int before = cx_log_settings.fd, fd = mkstemp(path);
        assert_true(fd >= 0);
        cx_log_settings.fd = fd;
        int r = load(text, &config, &err);
        cx_log_settings.fd = before;
        close(fd);
        assert_int_equal(r, 0);
        scheduler_config_release(&config);
        assert_int_equal(cx_buf_read_file(&lines, path), 0);
        unlink(path);
        return cx_strdup(lines.data);
}

static void test_warnings(void **state)
{
        (void)state;
        static const struct {
                const char *text, *field; // NULL: nothing is logged
        } table[] = {
                {HEAD, NULL},
                {HEAD "parallelism: 16", NULL},
                {HEAD "parallelism: 1", NULL},
                {HEAD "parallelism: 4", "field=\"parallelism\""},
                {HEAD "enableProfiling: false\nenableContentionProfiling: false", NULL},
                {HEAD "enableProfiling: true", "field=\"enableProfiling\""},
                {HEAD "enableContentionProfiling: true", "field=\"enableContentionProfiling\""},
                {HEAD "delayCacheUntilActive: true", NULL},
                {HEAD "delayCacheUntilActive: false", "field=\"delayCacheUntilActive\""},
                {HEAD "clientConnection: {contentType: application/json}", NULL},
                {HEAD "clientConnection: {contentType: application/vnd.kubernetes.protobuf}",
                 "field=\"clientConnection.contentType\""},
                {HEAD "clientConnection: {acceptContentTypes: 'application/vnd.kubernetes.protobuf,application/json'}",
                 NULL},
                {HEAD "clientConnection: {acceptContentTypes: application/cbor}",
                 "field=\"clientConnection.acceptContentTypes\""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_CLEANUP(cx_freep) char *text = logged(table[i].text);
                const char *line = strstr(text, "has no effect");
                if (table[i].field ? !line || !strstr(line, table[i].field) || strstr(line + 1, "has no effect")
                                   : *text != '\0')
                        fail_msg("\"%s\" logs: %s", table[i].text, text);
        }
}

// --- arguments at work -----------------------------------------------------------------------------------------------

#define REQUESTS(list) "{'containers': [{'name': 'c', 'resources': {'requests': {" list "}}}]}"

// Two nodes, of which "busy" is half taken; where does a pod go?
static void expect_choice(const char *plugin_config, const char *spec, const char *wanted)
{
        CX_CLEANUP(cx_freep)
        char *text =
                cx_sprintf("{'profiles': [{'pluginConfig': [%s], 'plugins': {'score': {'disabled': [{'name': '*'}], "
                           "'enabled': [{'name': 'NodeResourcesFit'}]}}}]}",
                           plugin_config);
        json_auto_t *config = quoted_json(text);
        struct world w;
        world_init_config(&w, scheduler_plugins, n_scheduler_plugins, config);
        world_node(&w, "busy", "", "", "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '10', 'x.io/gpu': '4'}}");
        world_node(&w, "idle", "", "", "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '10', 'x.io/gpu': '4'}}");
        world_run(&w, "a", "", REQUESTS("'cpu': '2', 'memory': '4Gi', 'x.io/gpu': '1'"), "busy");
        world_expect(&w, "", spec, wanted);
        world_release(&w);
}

static void test_strategies(void **state)
{
        (void)state;
#define STRATEGY(more) "{'name': 'NodeResourcesFit', 'args': {'scoringStrategy': {" more "}}}"
        const char *pod = REQUESTS("'cpu': '1', 'memory': '1Gi'"), *gpu = REQUESTS("'cpu': '1', 'x.io/gpu': '1'");
        expect_choice("", pod, "idle");
        expect_choice(STRATEGY("'type': 'LeastAllocated'"), pod, "idle");
        expect_choice(STRATEGY("'type': 'MostAllocated'"), pod, "busy");
        expect_choice(
                STRATEGY(
                        "'type': 'RequestedToCapacityRatio', 'requestedToCapacityRatio': {'shape': [{'utilization': 0, "
                        "'score': 0}, {'utilization': 100, 'score': 10}]}"),
                pod, "busy");
        expect_choice(
                STRATEGY(
                        "'type': 'RequestedToCapacityRatio', 'requestedToCapacityRatio': {'shape': [{'utilization': 0, "
                        "'score': 10}, {'utilization': 100, 'score': 0}]}"),
                pod, "idle");
        expect_choice(STRATEGY("'type': 'MostAllocated', 'resources': [{'name': 'x.io/gpu', 'weight': 3}]"), gpu,
                      "busy");
        expect_choice(STRATEGY("'type': 'LeastAllocated', 'resources': [{'name': 'x.io/gpu', 'weight': 3}]"), gpu,
                      "idle");
        // What another component looks after does not stand in the way.
        expect_choice("{'name': 'NodeResourcesFit', 'args': {'ignoredResources': ['x.io/gpu']}}",
                      REQUESTS("'cpu': '1', 'x.io/gpu': '9'"), "idle");
        expect_choice("{'name': 'NodeResourcesFit', 'args': {'ignoredResourceGroups': ['x.io']}}",
                      REQUESTS("'cpu': '1', 'x.io/gpu': '9'"), "idle");
        expect_choice("{'name': 'NodeResourcesFit', 'args': {'ignoredResourceGroups': ['y.io']}}",
                      REQUESTS("'cpu': '1', 'x.io/gpu': '9'"), "0/2 nodes are available: 2 Insufficient x.io/gpu.");
        // Of all nodes the profile takes only some.
        expect_choice(
                "{'name': 'NodeAffinity', 'args': {'addedAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': "
                "{'nodeSelectorTerms': [{'matchFields': [{'key': 'metadata.name', 'operator': 'In', 'values': "
                "['busy']}]}]}}}}",
                pod, "busy");
        expect_choice(
                "{'name': 'NodeAffinity', 'args': {'addedAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': "
                "{'nodeSelectorTerms': [{'matchFields': [{'key': 'metadata.name', 'operator': 'In', 'values': "
                "['none']}]}]}}}}",
                pod, "0/2 nodes are available: 2 node(s) didn't match scheduler-enforced node affinity.");
}

static void test_images(void **state)
{
        (void)state;
#define IMAGES(list) "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '10'}, 'images': [" list "]}"
        struct world w;
        world_init(&w);
        world_node(&w, "has", "", "", IMAGES("{'names': ['app:v1', 'app@sha256:0'], 'sizeBytes': 500000000}"));
        world_node(&w, "lacks", "", "", IMAGES("{'names': ['other:latest'], 'sizeBytes': 900000000}"));
        world_expect(&w, "", "{'containers': [{'name': 'c', 'image': 'app:v1'}]}", "has");
        world_expect(&w, "", "{'containers': [{'name': 'c', 'image': 'other'}]}", "lacks");
        // The image goes from one node and comes to the other.
        world_node(&w, "has", "", "", IMAGES(""));
        world_node(&w, "lacks", "", "", IMAGES("{'names': ['app:v1'], 'sizeBytes': 500000000}"));
        world_expect(&w, "", "{'containers': [{'name': 'c', 'image': 'app:v1'}]}", "lacks");
        assert_int_equal(w.cache.images.count, 1);
        cache_remove_node(&w.cache, "lacks");
        assert_int_equal(w.cache.images.count, 0);
        world_release(&w);
}

static void test_default_spread(void **state)
{
        (void)state;
        json_auto_t *config = quoted_json(
                "{'profiles': [{'pluginConfig': [{'name': 'PodTopologySpread', 'args': {'defaultingType': 'List', "
                "'defaultConstraints': [{'topologyKey': 'zone', 'maxSkew': 1, 'whenUnsatisfiable': "
                "'DoNotSchedule'}]}}]}]}");
        struct world w;
        world_init_config(&w, scheduler_plugins, n_scheduler_plugins, config);
        world_node(&w, "a", "{'zone': 'a'}", "", "");
        world_node(&w, "b", "{'zone': 'b'}", "", "{'allocatable': {'cpu': '1', 'memory': '1Gi', 'pods': '0'}}");
        world_expect(&w, "", "", "a"); // it has no controller
        json_auto_t *pod = world_pod_json("owned", "", "");
        json_object_set_new(json_object_get(pod, "metadata"), "ownerReferences",
                            quoted_json("[{'kind': 'ReplicaSet', 'name': 'r', 'uid': 'r', 'controller': true}]"));
        struct template *template = templates_get(w.templates, pod);
        cache_set_pod(&w.cache, "default/first", template, "a", false, 0);
        struct decision decision;
        framework_schedule(&w.framework, "default/owned", template, NULL, &decision);
        assert_null(decision.node);
        assert_non_null(strstr(decision.message, "1 node(s) didn't match pod topology spread constraints"));
        decision_release(&decision);
        template_unref(w.templates, template);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),       cmocka_unit_test(test_plugins),
                cmocka_unit_test(test_refused),        cmocka_unit_test(test_warnings),
                cmocka_unit_test(test_strategies),     cmocka_unit_test(test_images),
                cmocka_unit_test(test_default_spread),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
