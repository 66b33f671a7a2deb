// SPDX-License-Identifier: Apache-2.0
// Random clusters and pods, from seeds: every plugin alone, and all together, must reject the nodes that the model rejects, and
// put the others at the same distances from each other. A failure names its seed and prints what was compared.
#include "test/unit/scheduler/model.h"
#include "test/unit/scheduler/world.h"

#define MAX_NODES 7
#define SEEDS 400

// --- dice ------------------------------------------------------------------------------------------------------------

static uint64_t dice;

static unsigned roll(unsigned sides)
{
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        return (unsigned)(dice >> 33) % sides;
}

static bool chance(unsigned percent)
{
        return roll(100) < percent;
}

#define PICK(...) pick((const char *const[]){__VA_ARGS__}, CX_ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))
static const char *pick(const char *const *words, size_t count)
{
        return words[roll((unsigned)count)];
}

static json_t *labels_of_pod(void)
{
        json_t *labels = json_object();
        if (chance(80))
                json_object_set_new(labels, "app", json_string(PICK("a", "b")));
        if (chance(40))
                json_object_set_new(labels, "rev", json_string(PICK("1", "2")));
        return labels;
}

static json_t *selector(void)
{
        if (chance(10))
                return json_object();
        if (chance(60))
                return json_pack("{s:{s:s}}", "matchLabels", "app", PICK("a", "b"));
        const char *op = PICK("In", "NotIn", "Exists", "DoesNotExist");
        json_t *values =
                strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0 ? json_pack("[s]", PICK("a", "b")) : json_array();
        return json_pack("{s:[{s:s, s:s, s:o}]}", "matchExpressions", "key", PICK("app", "rev"), "operator", op,
                         "values", values);
}

static json_t *node_term(void)
{
        if (chance(20))
                return json_pack("{s:[{s:s, s:s, s:[s]}]}", "matchFields", "key", "metadata.name", "operator",
                                 PICK("In", "NotIn"), "values", PICK("n0", "n1", "n2"));
        const char *op = PICK("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt");
        json_t *values = strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0 ? json_pack("[s]", PICK("ssd", "hdd"))
                         : strcmp(op, "Gt") == 0 || strcmp(op, "Lt") == 0  ? json_pack("[s]", PICK("3", "5"))
                                                                           : json_array();
        const char *key = strcmp(op, "Gt") == 0 || strcmp(op, "Lt") == 0 ? "speed" : "disk";
        return json_pack("{s:[{s:s, s:s, s:o}]}", "matchExpressions", "key", key, "operator", op, "values", values);
}

static json_t *containers(void)
{
        json_t *list = json_array();
        for (unsigned i = 0; i <= roll(2); i++) {
                json_t *requests = json_object();
                if (chance(60))
                        json_object_set_new(requests, "cpu", json_string(PICK("100m", "500m", "1", "2")));
                if (chance(60))
                        json_object_set_new(requests, "memory", json_string(PICK("64Mi", "1Gi", "3Gi")));
                if (chance(10))
                        json_object_set_new(requests, "ephemeral-storage", json_string("1Gi"));
                if (chance(15))
                        json_object_set_new(requests, "x.io/gpu", json_string("1"));
                json_t *container =
                        json_pack("{s:s, s:s, s:{s:o}}", "name", i ? "d" : "c", "image",
                                  PICK("small:1", "large:1", "huge:1", "none:1"), "resources", "requests", requests);
                if (chance(20))
                        json_object_set_new(container, "ports",
                                            json_pack("[{s:i, s:s, s:s}]", "hostPort", chance(50) ? 80 : 81, "protocol",
                                                      PICK("TCP", "UDP"), "hostIP",
                                                      PICK("0.0.0.0", "10.0.0.1", "10.0.0.2")));
                json_array_append_new(list, container);
        }
        return list;
}

static json_t *tolerations(void)
{
        json_t *list = json_array();
        while (chance(45)) {
                json_t *t = json_object();
                if (chance(80)) {
                        json_object_set_new(t, "key", json_string(PICK("a", "b", "node.kubernetes.io/unschedulable")));
                        json_object_set_new(t, "operator", json_string(PICK("Equal", "Exists")));
                } else {
                        json_object_set_new(t, "operator", json_string("Exists"));
                }
                if (strcmp(text(t, "operator"), "Equal") == 0)
                        json_object_set_new(t, "value", json_string(PICK("x", "")));
                if (chance(70))
                        json_object_set_new(t, "effect",
                                            json_string(PICK("NoSchedule", "NoExecute", "PreferNoSchedule")));
                json_array_append_new(list, t);
        }
        return list;
}

static json_t *pod_term(void)
{
        json_t *term = json_pack("{s:s, s:o}", "topologyKey", PICK("zone", "kubernetes.io/hostname"), "labelSelector",
                                 selector());
        if (chance(20))
                json_object_set_new(term, "namespaces", json_pack("[s]", PICK("default", "other")));
        if (chance(20))
                json_object_set_new(term, "namespaceSelector",
                                    chance(50) ? json_object()
                                               : json_pack("{s:{s:s}}", "matchLabels", "team", PICK("x", "y")));
        if (chance(20))
                json_object_set_new(term, PICK("matchLabelKeys", "mismatchLabelKeys"), json_pack("[s]", "rev"));
        return term;
}

static json_t *pod_rules(unsigned percent)
{
        json_t *rules = json_object(), *required = json_array(), *preferred = json_array();
        while (chance(percent))
                json_array_append_new(required, pod_term());
        while (chance(percent))
                json_array_append_new(preferred, json_pack("{s:i, s:o}", "weight", (int)roll(100) + 1,
                                                           "podAffinityTerm", pod_term()));
        json_object_set_new(rules, "requiredDuringSchedulingIgnoredDuringExecution", required);
        json_object_set_new(rules, "preferredDuringSchedulingIgnoredDuringExecution", preferred);
        return rules;
}

static json_t *node_affinity(void)
{
        json_t *affinity = json_object(), *preferred = json_array();
        if (chance(50)) {
                json_t *terms = json_array();
                do
                        json_array_append_new(terms, node_term());
                while (chance(40));
                json_object_set_new(affinity, "requiredDuringSchedulingIgnoredDuringExecution",
                                    json_pack("{s:o}", "nodeSelectorTerms", terms));
        }
        while (chance(50))
                json_array_append_new(preferred,
                                      json_pack("{s:i, s:o}", "weight", (int)roll(100) + 1, "preference", node_term()));
        json_object_set_new(affinity, "preferredDuringSchedulingIgnoredDuringExecution", preferred);
        return affinity;
}

static json_t *constraints(void)
{
        json_t *list = json_array();
        for (unsigned n = roll(3); n > 0; n--) {
                json_t *c = json_pack("{s:s, s:i, s:s, s:o}", "topologyKey", PICK("zone", "kubernetes.io/hostname"),
                                      "maxSkew", (int)roll(3) + 1, "whenUnsatisfiable",
                                      PICK("DoNotSchedule", "ScheduleAnyway"), "labelSelector", selector());
                if (is_required(c) && chance(30))
                        json_object_set_new(c, "minDomains", json_integer(roll(4) + 1));
                if (chance(30))
                        json_object_set_new(c, "nodeAffinityPolicy", json_string(PICK("Honor", "Ignore")));
                if (chance(30))
                        json_object_set_new(c, "nodeTaintsPolicy", json_string(PICK("Honor", "Ignore")));
                if (chance(20))
                        json_object_set_new(c, "matchLabelKeys", json_pack("[s]", "rev"));
                json_array_append_new(list, c);
        }
        return list;
}

static json_t *volumes_of_pod(void)
{
        json_t *list = json_array();
        bool used[5] = {false};
        while (chance(35)) {
                unsigned i = roll(5);
                char name[16];
                snprintf(name, sizeof name, "c%u", i);
                if (!used[i])
                        json_array_append_new(list, json_pack("{s:{s:s}}", "persistentVolumeClaim", "claimName", name));
                used[i] = true;
        }
        json_array_append_new(list, json_pack("{s:{}}", "emptyDir"));
        return list;
}

// --- storage ---------------------------------------------------------------------------------------------------------

static json_t *make_claim(const char *namespace, unsigned number)
{
        char name[16], uid[32], volume[16];
        snprintf(name, sizeof name, "c%u", number);
        snprintf(uid, sizeof uid, "%s-c%u", namespace, number);
        snprintf(volume, sizeof volume, "v%u", roll(6));
        json_t *annotations = json_object();
        json_t *claim = json_pack("{s:{s:s, s:s, s:s, s:o}, s:{s:s, s:[s], s:{s:{s:s}}}}", "metadata", "name", name,
                                  "namespace", namespace, "uid", uid, "annotations", annotations, "spec",
                                  "storageClassName", PICK("made", "made", "local", "local", "local", "now"),
                                  "accessModes", PICK("ReadWriteOnce", "ReadWriteOnce", "ReadWriteOncePod"),
                                  "resources", "requests", "storage", PICK("1Gi", "2Gi", "3Gi"));
        bool bound = chance(30);
        if (bound || chance(5))
                json_object_set_new(json_object_get(claim, "spec"), "volumeName", json_string(volume));
        if (bound)
                json_object_set_new(annotations, "pv.kubernetes.io/bind-completed", json_string("yes"));
        else if (chance(20))
                json_object_set_new(annotations, "volume.kubernetes.io/selected-node", json_string(PICK("n0", "n1")));
        return claim;
}

static json_t *make_volume(unsigned number)
{
        char name[16], handle[16];
        snprintf(name, sizeof name, "v%u", number);
        snprintf(handle, sizeof handle, "h%u", number);
        json_t *labels = json_object();
        json_t *volume =
                json_pack("{s:{s:s, s:o}, s:{s:s, s:[s, s], s:{s:s}}, s:{s:s}}", "metadata", "name", name, "labels",
                          labels, "spec", "storageClassName", PICK("made", "local", "local"), "accessModes",
                          "ReadWriteOnce", PICK("ReadWriteOncePod", "ReadWriteMany"), "capacity", "storage",
                          PICK("1Gi", "2Gi", "4Gi"), "status", "phase", PICK("Available", "Available", "Bound"));
        json_t *spec = json_object_get(volume, "spec");
        if (chance(50))
                json_object_set_new(spec, "nodeAffinity",
                                    json_pack("{s:{s:[o]}}", "required", "nodeSelectorTerms", node_term()));
        if (chance(30))
                json_object_set_new(labels, "topology.kubernetes.io/zone", json_string(PICK("z1", "z2")));
        if (chance(60))
                json_object_set_new(spec, "csi",
                                    json_pack("{s:s, s:s}", "driver", PICK("d.io", "e.io"), "volumeHandle", handle));
        if (chance(15))
                json_object_set_new(spec, "claimRef",
                                    json_pack("{s:s, s:s}", "namespace", "default", "name", PICK("c0", "c1", "c9")));
        return volume;
}

static json_t *make_storage(unsigned n_nodes)
{
        json_t *claims = json_array(), *volumes = json_array(), *nodes = json_array(), *capacities = json_array();
        for (unsigned i = 0; i < 5; i++) {
                if (chance(90))
                        json_array_append_new(claims, make_claim("default", i));
                if (chance(90))
                        json_array_append_new(claims, make_claim("other", i));
                if (chance(95))
                        json_array_append_new(volumes, make_volume(i));
        }
        for (unsigned i = 0; i < n_nodes; i++) {
                char name[16];
                snprintf(name, sizeof name, "n%u", i);
                if (chance(70))
                        json_array_append_new(nodes, json_pack("{s:{s:s}, s:{s:[{s:s, s:{s:i}}, {s:s}]}}", "metadata",
                                                               "name", name, "spec", "drivers", "name", "d.io",
                                                               "allocatable", "count", (int)roll(4), "name", "e.io"));
        }
        for (unsigned i = 0; i < 2; i++)
                json_array_append_new(capacities,
                                      json_pack("{s:{s:s}, s:s, s:s, s:{s:{s:s}}}", "metadata", "name", i ? "a" : "b",
                                                "storageClassName", "made", "capacity", PICK("1Gi", "3Gi"),
                                                "nodeTopology", "matchLabels", "zone", PICK("z1", "z2")));
        json_t *made = json_pack("{s:{s:s}, s:s, s:s}", "metadata", "name", "made", "provisioner", "d.io",
                                 "volumeBindingMode", "WaitForFirstConsumer");
        if (chance(40))
                json_object_set_new(made, "allowedTopologies",
                                    json_pack("[{s:[{s:s, s:[s, s]}]}]", "matchLabelExpressions", "key", "zone",
                                              "values", "z1", PICK("z2", "z3")));
        json_t *local = json_pack("{s:{s:s}, s:s, s:s}", "metadata", "name", "local", "provisioner",
                                  "kubernetes.io/no-provisioner", "volumeBindingMode", "WaitForFirstConsumer");
        json_t *now = json_pack("{s:{s:s}, s:s, s:s}", "metadata", "name", "now", "provisioner", "e.io",
                                "volumeBindingMode", "Immediate");
        json_t *driver =
                json_pack("{s:{s:s}, s:{s:b}}", "metadata", "name", "d.io", "spec", "storageCapacity", chance(40));
        return json_pack("{s:o, s:o, s:[o, o, o], s:o, s:[o], s:o}", "claims", claims, "volumes", volumes, "classes",
                         made, local, now, "csinodes", nodes, "drivers", driver, "capacities", capacities);
}

static json_t *make_pod(unsigned number)
{
        char name[16];
        snprintf(name, sizeof name, "p%u", number);
        json_t *spec = json_pack("{s:o, s:o}", "containers", containers(), "tolerations", tolerations());
        json_t *affinity = json_object();
        if (chance(30))
                json_object_set_new(spec, "nodeSelector", json_pack("{s:s}", "disk", PICK("ssd", "hdd")));
        if (chance(50))
                json_object_set_new(affinity, "nodeAffinity", node_affinity());
        if (chance(40))
                json_object_set_new(affinity, "podAffinity", pod_rules(35));
        if (chance(40))
                json_object_set_new(affinity, "podAntiAffinity", pod_rules(35));
        json_object_set_new(spec, "affinity", affinity);
        json_object_set_new(spec, "topologySpreadConstraints", constraints());
        json_object_set_new(spec, "volumes", volumes_of_pod());
        return json_pack("{s:{s:s, s:s, s:s, s:o}, s:o}", "metadata", "name", name, "namespace",
                         PICK("default", "default", "other"), "uid", name, "labels", labels_of_pod(), "spec", spec);
}

static json_t *make_node(unsigned number)
{
        char name[16];
        snprintf(name, sizeof name, "n%u", number);
        json_t *labels = json_pack("{s:s}", "kubernetes.io/hostname", name), *taints = json_array(),
               *images = json_array();
        if (chance(85))
                json_object_set_new(labels, "zone", json_string(PICK("z1", "z2", "z3")));
        if (chance(60))
                json_object_set_new(labels, "topology.kubernetes.io/zone", json_string(PICK("z1", "z2")));
        if (chance(70))
                json_object_set_new(labels, "disk", json_string(PICK("ssd", "hdd")));
        if (chance(50))
                json_object_set_new(labels, "speed", json_string(PICK("2", "4", "6")));
        while (chance(25))
                json_array_append_new(taints,
                                      json_pack("{s:s, s:s, s:s}", "key", PICK("a", "b"), "value", PICK("x", ""),
                                                "effect", PICK("NoSchedule", "NoExecute", "PreferNoSchedule")));
        static const struct {
                const char *name;
                json_int_t size;
        } all[] = {{"small:1", 5 << 20}, {"large:1", 300 << 20}, {"huge:1", 1500LL << 20}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(all); i++)
                if (chance(40))
                        json_array_append_new(
                                images, json_pack("{s:[s], s:I}", "names", all[i].name, "sizeBytes", all[i].size));
        return json_pack("{s:{s:s, s:o}, s:{s:b, s:o}, s:{s:{s:s, s:s, s:s, s:s, s:s}, s:o}}", "metadata", "name", name,
                         "labels", labels, "spec", "unschedulable", chance(10), "taints", taints, "status",
                         "allocatable", "cpu", PICK("2", "4", "8"), "memory", PICK("4Gi", "8Gi"), "ephemeral-storage",
                         "2Gi", "x.io/gpu", PICK("0", "2"), "pods", PICK("3", "10", "10"), "images", images);
}

// --- comparing -------------------------------------------------------------------------------------------------------

struct cluster {
        json_t *nodes, *pods, *namespaces, *pod, *storage;
};

static void make_cluster(struct cluster *to)
{
        unsigned n_nodes = roll(MAX_NODES) + 1, n_pods = roll(12);
        *to = (struct cluster){json_array(), json_array(),
                               json_pack("{s:{s:s}, s:{s:s}}", "default", "team", "x", "other", "team", "y"), NULL};
        for (unsigned i = 0; i < n_nodes; i++)
                json_array_append_new(to->nodes, make_node(i));
        for (unsigned i = 0; i < n_pods; i++) {
                json_t *pod = make_pod(i);
                char node[16];
                snprintf(node, sizeof node, "n%u", roll(n_nodes));
                json_object_set_new(json_object_get(pod, "spec"), "nodeName", json_string(node));
                if (chance(10))
                        json_object_set_new(json_object_get(pod, "metadata"), "deletionTimestamp",
                                            json_string("2026-01-01T00:00:00Z"));
                json_array_append_new(to->pods, pod);
        }
        to->pod = make_pod(99);
        to->storage = make_storage(n_nodes);
}

static void free_cluster(struct cluster *cluster)
{
        json_decref(cluster->nodes);
        json_decref(cluster->pods);
        json_decref(cluster->namespaces);
        json_decref(cluster->pod);
        json_decref(cluster->storage);
}

static struct cx_object *object_of(const json_t *json, void *projection, void (*release)(void *))
{
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = projection;
        object->free_projection = release;
        return object;
}

static void fill(struct world *w, const struct cluster *cluster)
{
        const char *name;
        json_t *labels;
        json_object_foreach (cluster->namespaces, name, labels) {
                json_auto_t *namespace = json_pack("{s:{s:s, s:O}}", "metadata", "name", name, "labels", labels);
                struct cx_object *object = object_of(namespace, NULL, NULL);
                cache_set_namespace(&w->cache, name, object);
                cx_object_unref(object);
        }
        EACH(cluster->nodes, node)
        {
                struct cx_object *object = object_of(node, node_project(NULL, node), node_free_projection);
                cache_set_node(&w->cache, object);
                cx_object_unref(object);
        }
        static const char *const stored[] = {[STORAGE_CLAIM] = "claims",       [STORAGE_VOLUME] = "volumes",
                                             [STORAGE_CLASS] = "classes",      [STORAGE_CSI_NODE] = "csinodes",
                                             [STORAGE_CSI_DRIVER] = "drivers", [STORAGE_CSI_CAPACITY] = "capacities"};
        for (enum storage_kind kind = 0; kind < CX_ARRAY_SIZE(stored); kind++)
                EACH(json_object_get(cluster->storage, stored[kind]), object)
        world_store(w, kind, object);
        EACH(cluster->pods, pod)
        {
                struct template *template = templates_get(w->templates, pod);
                cache_set_pod(&w->cache, text(pod, "metadata.name"), template, text(pod, "spec.nodeName"),
                              cx_json_get(pod, "metadata.deletionTimestamp"), 0);
                template_unref(w->templates, template);
        }
}

static void complain(uint64_t seed, const char *who, const struct cluster *cluster, const char *node, const char *what)
{
        CX_CLEANUP(cx_freep) char *nodes = json_dumps(cluster->nodes, JSON_COMPACT);
        CX_CLEANUP(cx_freep) char *pods = json_dumps(cluster->pods, JSON_COMPACT);
        CX_CLEANUP(cx_freep) char *pod = json_dumps(cluster->pod, JSON_COMPACT);
        CX_CLEANUP(cx_freep) char *storage = json_dumps(cluster->storage, JSON_COMPACT);
        fprintf(stderr, "nodes %s\npods %s\npod %s\nstorage %s\n", nodes, pods, pod, storage);
        fail_msg("seed %lu, %s, node %s: %s", (unsigned long)seed, who, node, what);
}

// Of the model: which nodes pass, and the sum of scores.
static void ask_model(struct model *model, const struct model_plugin *plugins, int count, bool *feasible,
                      double *totals)
{
        model->feasible = feasible;
        EACH(model->nodes, node)
        {
                feasible[node_at] = true;
                totals[node_at] = 0;
                for (int i = 0; i < count; i++)
                        feasible[node_at] &= !plugins[i].filter || plugins[i].filter(model, node);
        }
        for (int i = 0; i < count; i++) {
                double scores[MAX_NODES];
                if (!plugins[i].score || !plugins[i].score(model, scores))
                        continue;
                if (plugins[i].normalize)
                        plugins[i].normalize(model, scores);
                EACH(model->nodes, node)
                totals[node_at] += scores[node_at] * plugins[i].weight;
        }
}

static void compare(uint64_t seed, const char *who, const struct plugin *const *plugins, size_t n_plugins,
                    const struct model_plugin *models, int n_models)
{
        struct cluster cluster;
        struct world w;
        bool feasible[MAX_NODES];
        double wanted[MAX_NODES];
        int64_t got[MAX_NODES] = {0};
        dice = seed * 0x9e3779b97f4a7c15u + 1;
        for (int i = 0; i < 8; i++)
                (void)roll(2);
        make_cluster(&cluster);
        struct model model = {.storage = cluster.storage,
                              .nodes = cluster.nodes,
                              .pods = cluster.pods,
                              .namespaces = cluster.namespaces,
                              .pod = cluster.pod};
        ask_model(&model, models, n_models, feasible, wanted);
        world_init_with(&w, plugins, n_plugins);
        fill(&w, &cluster);
        struct template *template = templates_get(w.templates, cluster.pod);
        struct cycle cycle;
        cycle_init(&cycle, &w.cache, template);
        w.cache.cycle++;
        cycle_pre_filter(&cycle);
        cycle.feasible = cx_alloc_array(w.cache.n_nodes + 1, sizeof *cycle.feasible);
        size_t at[MAX_NODES];
        EACH(cluster.nodes, node)
        {
                struct node *known = cache_node(&w.cache, text(node, "metadata.name"));
                bool passes = cycle_passes(&cycle, known);
                if (passes != feasible[node_at])
                        complain(seed, who, &cluster, known->name,
                                 passes ? "is taken and should not" : "is rejected and should not");
                if (passes) {
                        at[cycle.n_feasible] = node_at;
                        cycle.feasible[cycle.n_feasible++] = known;
                }
        }
        if (cycle.n_feasible)
                cycle_score(&cycle, got);
        for (size_t i = 1; i < cycle.n_feasible; i++) {
                double difference = wanted[at[i]] - wanted[at[0]];
                if ((double)(got[i] - got[0]) != difference) {
                        CX_CLEANUP(cx_freep)
                        char *what = cx_sprintf("scores %ld more than the first and not %g", (long)(got[i] - got[0]),
                                                difference);
                        complain(seed, who, &cluster, cycle.feasible[i]->name, what);
                }
        }
        cycle_release(&cycle);
        template_unref(w.templates, template);
        world_release(&w);
        free_cluster(&cluster);
}

static void test_alone(void **state)
{
        (void)state;
        assert_int_equal(CX_ARRAY_SIZE(model_plugins), n_scheduler_plugins);
        for (size_t i = 0; i < n_scheduler_plugins; i++)
                for (size_t m = 0; m < CX_ARRAY_SIZE(model_plugins); m++)
                        for (uint64_t seed = 1;
                             seed <= SEEDS && strcmp(model_plugins[m].name, scheduler_plugins[i]->name) == 0; seed++)
                                compare(seed, model_plugins[m].name, &scheduler_plugins[i], 1, &model_plugins[m], 1);
}

static void test_together(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
                compare(seed, "all", scheduler_plugins, n_scheduler_plugins, model_plugins,
                        CX_ARRAY_SIZE(model_plugins));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_alone), cmocka_unit_test(test_together)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
