// SPDX-License-Identifier: Apache-2.0
// The controllers together against an API server in memory: what users see happen.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/controllers.h"
#include "test/unit/controller-manager/world.h"

static const struct controller *const table[] = {
        &deployment_controller,
        &replicaset_controller,
        &replication_controller,
        &stateful_set_controller,
        &daemon_set_controller,
        &endpoints_controller,
        &endpointslice_controller,
        &namespace_controller,
        &serviceaccount_controller,
        &node_ipam_controller,
        &node_lifecycle_controller,
        &taint_eviction_controller,
        &pod_gc_controller,
        &clusterrole_aggregation_controller,
        &garbage_collector_controller,
};

struct fixture {
        struct world w; // first: what the tests get is this one
        struct cx_workqueue *queues[CX_ARRAY_SIZE(table)];
        struct cx_workers *workers[CX_ARRAY_SIZE(table)];
        void *selves[CX_ARRAY_SIZE(table)];
};

static int setup(void **state)
{
        struct fixture *f = cx_alloc(sizeof *f);
        struct manager *manager = &f->w.manager;
        world_init(&f->w);
        static struct manager_options options;
        options = (struct manager_options){.allocate_node_cidrs = true,
                                           .node_mask_v4 = 24,
                                           .node_mask_v6 = 64,
                                           .zones = {.rate = 10, .unhealthy_threshold = 0.55},
                                           .monitor_grace = CX_NS_PER_S,
                                           .startup_grace = CX_NS_PER_S,
                                           .monitor_period = CX_NS_PER_S / 5};
        cx_strings_add(&options.cluster_cidrs, "10.1.0.0/16");
        manager->options = &options;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                f->queues[i] = cx_workqueue_new(table[i]->name);
                f->selves[i] = table[i]->init(manager, f->queues[i]);
                assert_non_null(f->selves[i]);
        }
        world_serve(&f->w, false);
        world_start(&f->w, 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                f->workers[i] = cx_workers_start(f->queues[i], table[i]->workers, table[i]->reconcile, f->selves[i]);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                cx_workers_stop(f->workers[i]);
        cx_informers_free(f->w.manager.informers);
        f->w.manager.informers = NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                table[i]->free(f->selves[i]);
                cx_workqueue_free(f->queues[i]);
        }
        cx_strings_release(&((struct manager_options *)f->w.manager.options)->cluster_cidrs);
        world_stop(&f->w);
        world_release(&f->w);
        free(f);
        return 0;
}

static void create(struct world *w, const struct cx_ref *ref, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *json = json_loads(text, 0, NULL);
        assert_non_null(json);
        if (cx_rest_create(w->api->rest, ref, json, NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

static void patch(struct world *w, const struct cx_ref *ref, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *json = json_loads(text, 0, NULL);
        assert_non_null(json);
        if (cx_rest_patch(w->api->rest, ref, NULL, CX_PATCH_MERGE, json, NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

#define BEAT_MS 100

// Nodes that are well: PREFIX0 and on.
struct beating {
        struct world *world;
        const char *prefix;
        int count;
        int over_fd; // readable when they stop
        pthread_t thread;
};

static void *beat(void *argument)
{
        struct beating *nodes = argument;
        struct pollfd over = {nodes->over_fd, POLLIN, 0};
        for (int i = 0; poll(&over, 1, BEAT_MS) == 0; i++) {
                char text[160];
                snprintf(text, sizeof text,
                         "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
                         "\"lastHeartbeatTime\":\"%d\"}]}}",
                         i);
                for (int n = 0; n < nodes->count; n++) {
                        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%d", nodes->prefix, n);
                        patch(nodes->world, CX_REF("", "v1", "nodes", NULL, name), text);
                }
        }
        return NULL;
}

// `nodes` is static: the thread goes on when the test fails.
static void start_beating(struct beating *nodes, struct world *w, const char *prefix, int count)
{
        *nodes = (struct beating){.world = w, .prefix = prefix, .count = count, .over_fd = eventfd(0, EFD_CLOEXEC)};
        assert_true(nodes->over_fd >= 0);
        assert_int_equal(pthread_create(&nodes->thread, NULL, beat, nodes), 0);
}

static void stop_beating(struct beating *nodes)
{
        assert_int_equal(eventfd_write(nodes->over_fd, 1), 0);
        pthread_join(nodes->thread, NULL);
        close(nodes->over_fd);
}

// Plays the kubelet: every pod of the namespace runs and is ready. Returns how many pods run `image`.
static int run_pods(struct world *w, const char *prefix, const char *image)
{
        int count = 0, number = 0;
        pthread_mutex_lock(&w->api->lock);
        CX_STRINGS late = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&w->api->objects, entry) {
                if (!cx_has_prefix(entry->key, prefix))
                        continue;
                number++;
                const json_t *container = json_array_get(cx_json_get(entry->value, "spec.containers"), 0);
                count += cx_streq(cx_json_string(container, "image"), image);
                if (!cx_json_get(entry->value, "status.phase"))
                        cx_strings_add(&late, entry->key);
        }
        for (size_t i = 0; i < late.count; i++) {
                json_t *pod = cx_map_get(&w->api->objects, late.items[i]);
                json_t *next = json_deep_copy(pod);
                char ip[32];
                snprintf(ip, sizeof ip, "10.1.%ld.%ld", w->api->rv / 250 % 250, w->api->rv % 250 + 1);
                json_object_set_new(next, "status",
                                    json_pack("{s:s, s:[{s:s}], s:[{s:s, s:s, s:s}]}", "phase", "Running", "podIPs",
                                              "ip", ip, "conditions", "type", "Ready", "status", "True",
                                              "lastTransitionTime", "2026-01-01T00:00:00Z"));
                cx_map_set(&w->api->objects, late.items[i], next);
                fake_record(w->api, "MODIFIED", late.items[i], next);
        }
        pthread_mutex_unlock(&w->api->lock);
        return image ? count : number;
}

static int64_t number_at(struct world *w, const char *object, const char *path)
{
        pthread_mutex_lock(&w->api->lock);
        int64_t value = cx_json_int(cx_map_get(&w->api->objects, object), path, 0);
        pthread_mutex_unlock(&w->api->lock);
        return value;
}

static bool text_at(struct world *w, const char *object, const char *path, const char *want)
{
        pthread_mutex_lock(&w->api->lock);
        bool equal = cx_streq(cx_json_string(cx_map_get(&w->api->objects, object), path), want);
        pthread_mutex_unlock(&w->api->lock);
        return equal;
}

#define DEPLOYMENT "/apis/apps/v1/namespaces/a/deployments/web"
#define PODS "/api/v1/namespaces/a/pods/"
#define SETS "/apis/apps/v1/namespaces/a/replicasets/"

static void test_deployment(void **state)
{
        struct world *w = *state;
        create(w, CX_REF("apps", "v1", "deployments", "a"),
               "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":"
               "\"web\"}},"
               "\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":0}},"
               "\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
               "\"image\":\"v1\",\"ports\":[{\"name\":\"http\",\"containerPort\":8080}]}]}}}}");
        create(w, CX_REF("", "v1", "services", "a"),
               "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"clusterIP\":\"10.96.0.9\","
               "\"selector\":"
               "{\"app\":\"web\"},\"ports\":[{\"port\":80,\"targetPort\":\"http\",\"protocol\":\"TCP\"}]}}");
        FAKE_WAIT(run_pods(w, PODS, "v1") == 3 && number_at(w, DEPLOYMENT, "status.availableReplicas") == 3);
        // Nothing more happens once it is there.
        assert_int_equal(world_count(w, SETS), 1);
        assert_int_equal(world_count(w, PODS), 3);
        FAKE_WAIT(world_count(w, "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/") == 1);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/a/endpoints/web") == 1);
        // A pod that is deleted is replaced.
        patch(w, CX_REF("apps", "v1", "deployments", "a", "web"), "{\"spec\":{\"replicas\":120}}");
        FAKE_WAIT(run_pods(w, PODS, "v1") == 120 && number_at(w, DEPLOYMENT, "status.availableReplicas") == 120);
        FAKE_WAIT(world_count(w, "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/") == 2);
        assert_int_equal(world_count(w, PODS), 120);
        patch(w, CX_REF("apps", "v1", "deployments", "a", "web"), "{\"spec\":{\"replicas\":4}}");
        FAKE_WAIT(run_pods(w, PODS, NULL) == 4 && number_at(w, DEPLOYMENT, "status.availableReplicas") == 4);
        // A new image rolls out, one at a time.
        patch(w, CX_REF("apps", "v1", "deployments", "a", "web"),
              "{\"metadata\":{\"generation\":2},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\","
              "\"image\":"
              "\"v2\",\"ports\":[{\"name\":\"http\",\"containerPort\":8080}]}]}}}}");
        FAKE_WAIT(run_pods(w, PODS, NULL) <= 5 && run_pods(w, PODS, "v2") == 4 && run_pods(w, PODS, "v1") == 0);
        FAKE_WAIT(number_at(w, DEPLOYMENT, "status.updatedReplicas") == 4);
        assert_int_equal(world_count(w, SETS), 2);
        // And back: the first ReplicaSet is used again.
        patch(w, CX_REF("apps", "v1", "deployments", "a", "web"),
              "{\"metadata\":{\"generation\":3},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\","
              "\"image\":"
              "\"v1\",\"ports\":[{\"name\":\"http\",\"containerPort\":8080}]}]}}}}");
        FAKE_WAIT(run_pods(w, PODS, "v1") == 4 && run_pods(w, PODS, "v2") == 0);
        assert_int_equal(world_count(w, SETS), 2);
        // Its end takes everything along.
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("apps", "v1", "deployments", "a", "web"), NULL, &err), 0);
        FAKE_WAIT(world_count(w, SETS) == 0 && world_count(w, PODS) == 0);
        assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("", "v1", "services", "a", "web"), NULL, &err), 0);
        FAKE_WAIT(world_count(w, "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/") == 0);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/a/endpoints/web") == 0);
}

static bool has_part(struct world *w, const char *object, const char *path)
{
        pthread_mutex_lock(&w->api->lock);
        bool has = cx_json_get(cx_map_get(&w->api->objects, object), path);
        pthread_mutex_unlock(&w->api->lock);
        return has;
}

// The revision of the ReplicaSet whose path begins so; "" when there is none. Owned.
static char *revision_of(struct world *w, const char *prefix)
{
        static const char *const path[] = {"metadata", "annotations", "deployment.kubernetes.io/revision"};
        const json_t *value = NULL;
        pthread_mutex_lock(&w->api->lock);
        CX_MAP_FOREACH (&w->api->objects, entry) {
                if (cx_has_prefix(entry->key, prefix))
                        value = cx_json_at(entry->value, path, CX_ARRAY_SIZE(path));
        }
        char *revision = cx_strdup(cx_str(json_string_value(value)));
        pthread_mutex_unlock(&w->api->lock);
        return revision;
}

// A revision is one more than the highest there is, in 64 bits, also when that one was adopted.
static void test_adopted_revision(void **state)
{
        struct world *w = *state;
        world_put(
                w, "/apis/apps/v1/namespaces/r/replicasets/old",
                "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'old','namespace':'r','uid':'old-uid',"
                "'labels':{'app':'r'},'annotations':{'deployment.kubernetes.io/revision':'3546343826724305832'}},"
                "'spec':{'replicas':0,'selector':{'matchLabels':{'app':'r'}},'template':{'metadata':{'labels':"
                "{'app':'r'}},'spec':{'containers':[{'name':'c','image':'v0'}]}}}}");
        // Its controller has seen it: so the informer has it.
        FAKE_WAIT(has_part(w, "/apis/apps/v1/namespaces/r/replicasets/old", "status"));
        create(w, CX_REF("apps", "v1", "deployments", "r"),
               "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"replicas\":0,\"revisionHistoryLimit\":10,\"selector\":"
               "{\"matchLabels\":{\"app\":\"r\"}},\"strategy\":{\"type\":\"RollingUpdate\"},\"template\":{\"metadata\":"
               "{\"labels\":{\"app\":\"r\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"v1\"}]}}}}");
        FAKE_WAIT(world_count(w, "/apis/apps/v1/namespaces/r/replicasets/") == 2);
        CX_CLEANUP(cx_freep) char *revision = revision_of(w, "/apis/apps/v1/namespaces/r/replicasets/r-");
        assert_string_equal(revision, "3546343826724305833");
}

static void put_pod(struct world *w, const char *name, const char *deleted, const char *ready)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/api/v1/namespaces/t/pods/%s", name);
        CX_CLEANUP(cx_freep)
        char *text =
                cx_sprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','namespace':'t','uid':'uid-%s',"
                           "'labels':{'app':'t'}%s},'spec':{'nodeName':'m9','containers':[{'name':'c'}]},'status':{"
                           "'phase':'Running','podIPs':[{'ip':'10.1.0.%s'}],'conditions':[{'type':'Ready',"
                           "'status':'%s'}]}}",
                           name, name, deleted, name, ready);
        world_put(w, path, text);
}

// The conditions of the endpoint with this address in the namespace's slices: "-" when it is in none, else a letter for
// each that holds.
static bool endpoint_is(struct world *w, const char *address, const char *want)
{
        static const char *const names[] = {"ready", "serving", "terminating"};
        char got[4] = "-";
        pthread_mutex_lock(&w->api->lock);
        CX_MAP_FOREACH (&w->api->objects, entry) {
                size_t i, n = 0;
                const json_t *endpoint;
                if (!cx_has_prefix(entry->key, "/apis/discovery.k8s.io/v1/namespaces/t/endpointslices/"))
                        continue;
                json_array_foreach (json_object_get(entry->value, "endpoints"), i, endpoint) {
                        const json_t *conditions = json_object_get(endpoint, "conditions");
                        if (!cx_streq(json_string_value(json_array_get(json_object_get(endpoint, "addresses"), 0)),
                                      address))
                                continue;
                        for (size_t k = 0; k < CX_ARRAY_SIZE(names); k++)
                                if (cx_json_bool(conditions, names[k], false))
                                        got[n++] = *names[k];
                        got[n] = 0;
                }
        }
        pthread_mutex_unlock(&w->api->lock);
        return strcmp(got, want) == 0;
}

// How many addresses of the Endpoints are ready.
static size_t count_addresses(struct world *w)
{
        pthread_mutex_lock(&w->api->lock);
        const json_t *subsets =
                cx_json_get(cx_map_get(&w->api->objects, "/api/v1/namespaces/t/endpoints/t"), "subsets");
        size_t count = cx_json_count(json_array_get(subsets, 0), "addresses");
        pthread_mutex_unlock(&w->api->lock);
        return count;
}

static void test_terminating_endpoints(void **state)
{
        static const char deleted[] = ",'deletionTimestamp':'2026-01-01T00:00:00Z'";
        struct world *w = *state;
        create(w, CX_REF("", "v1", "services", "t"),
               "{\"metadata\":{\"name\":\"t\"},\"spec\":{\"clusterIP\":\"10.96.0.8\",\"selector\":{\"app\":\"t\"},"
               "\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}}");
        put_pod(w, "1", "", "True");
        put_pod(w, "2", "", "False");
        FAKE_WAIT(endpoint_is(w, "10.1.0.1", "rs") && endpoint_is(w, "10.1.0.2", ""));
        FAKE_WAIT(count_addresses(w) == 1);
        put_pod(w, "1", deleted, "True");
        put_pod(w, "2", deleted, "False");
        FAKE_WAIT(endpoint_is(w, "10.1.0.1", "st") && endpoint_is(w, "10.1.0.2", "t"));
        FAKE_WAIT(count_addresses(w) == 0);
        put_pod(w, "1", deleted, "False"); // its readiness is still followed
        FAKE_WAIT(endpoint_is(w, "10.1.0.1", "t"));
        patch(w, CX_REF("", "v1", "services", "t", "t"), "{\"spec\":{\"publishNotReadyAddresses\":true}}");
        FAKE_WAIT(endpoint_is(w, "10.1.0.1", "rt") && count_addresses(w) == 2);
}

static void test_namespace(void **state)
{
        struct world *w = *state;
        create(w, CX_REF("", "v1", "namespaces"), "{\"metadata\":{\"name\":\"n1\"}}");
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/n1/serviceaccounts/default") == 1);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("", "v1", "serviceaccounts", "n1", "default"), NULL, &err),
                         0);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/n1/serviceaccounts/default") == 1);
}

static const json_t *condition(struct world *w, const char *object, const char *type)
{
        return find_condition(cx_map_get(&w->api->objects, object), type);
}

static bool is_unknown(struct world *w, const char *object)
{
        pthread_mutex_lock(&w->api->lock);
        bool unknown = cx_streq(cx_json_string(condition(w, object, "Ready"), "status"), "Unknown") &&
                       cx_json_find(cx_json_get(cx_map_get(&w->api->objects, object), "spec.taints"), "key",
                                    "node.kubernetes.io/unreachable");
        pthread_mutex_unlock(&w->api->lock);
        return unknown;
}

static bool has_taint(struct world *w, const char *node, const char *effect)
{
        pthread_mutex_lock(&w->api->lock);
        bool has = cx_json_find(cx_json_get(cx_map_get(&w->api->objects, node), "spec.taints"), "effect", effect);
        pthread_mutex_unlock(&w->api->lock);
        return has;
}

static void test_node(void **state)
{
        struct world *w = *state;
        create(w, CX_REF("", "v1", "nodes"), "{\"metadata\":{\"name\":\"m1\"},\"spec\":{}}");
        create(w, CX_REF("", "v1", "nodes"), "{\"metadata\":{\"name\":\"m2\"},\"spec\":{\"podCIDR\":\"10.1.0.0/24\"}}");
        FAKE_WAIT(!text_at(w, "/api/v1/nodes/m1", "spec.podCIDR", NULL));
        patch(w, CX_REF("", "v1", "nodes", NULL, "m1"),
              "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastHeartbeatTime\":\"x\"}]}}");
        create(w, CX_REF("", "v1", "nodes"), "{\"metadata\":{\"name\":\"well0\"},\"spec\":{}}");
        static struct beating well;
        start_beating(&well, w, "well", 1);
        create(w, CX_REF("", "v1", "pods", "b"),
               "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"m1\"},\"status\":{\"phase\":\"Running\"}}");
        create(w, CX_REF("", "v1", "pods", "b"),
               "{\"metadata\":{\"name\":\"tolerant\"},\"spec\":{\"nodeName\":\"m1\",\"tolerations\":[{\"operator\":"
               "\"Exists\"}]},"
               "\"status\":{\"phase\":\"Running\"}}");
        FAKE_WAIT(is_unknown(w, "/api/v1/nodes/m1")); // it stays silent
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/b/pods/p") == 0);
        assert_int_equal(world_count(w, "/api/v1/namespaces/b/pods/tolerant"), 1);
        stop_beating(&well);
        // With the last node gone silent, nobody is given up any more: it may be us.
        FAKE_WAIT(!has_taint(w, "/api/v1/nodes/m1", "NoExecute"));
        assert_true(has_taint(w, "/api/v1/nodes/m1", "NoSchedule"));
        patch(w, CX_REF("", "v1", "nodes", NULL, "m1"),
              "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastHeartbeatTime\":\"y\"}]}}");
        FAKE_WAIT(!is_unknown(w, "/api/v1/nodes/m1"));
}

#define ACCOUNTS "/api/v1/namespaces/g/serviceaccounts/"
#define OWNER(name) "{'apiVersion':'v1','kind':'ServiceAccount','name':'" name "','uid':'u-" name "'}"

static json_t *account(const char *name, const char *owners)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'%s','namespace':'g',"
                                "'uid':'u-%s','ownerReferences':[%s]}}",
                                name, name, owners);
        return quoted_json(text);
}

static void put_account(struct world *w, const char *name, const char *owners)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(ACCOUNTS "%s", name);
        json_auto_t *object = account(name, owners);
        CX_CLEANUP(cx_freep) char *text = json_dumps(object, 0);
        world_put(w, path, text);
}

// Changes it without telling anybody who watches.
static void change_silently(struct world *w, const char *name, const char *owners)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(ACCOUNTS "%s", name);
        pthread_mutex_lock(&w->api->lock);
        json_t *object = account(name, owners);
        cx_json_set_string(object, "metadata.resourceVersion", "7");
        cx_map_set(&w->api->objects, path, object);
        pthread_mutex_unlock(&w->api->lock);
}

static bool has_owners(struct world *w, const char *name, const char *uids)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(ACCOUNTS "%s", name);
        CX_BUF got = CX_BUF_INIT;
        size_t i;
        const json_t *owner;
        pthread_mutex_lock(&w->api->lock);
        const json_t *object = cx_map_get(&w->api->objects, path);
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, owner)
                cx_buf_printf(&got, "%s ", cx_json_string_or(owner, "uid", ""));
        pthread_mutex_unlock(&w->api->lock);
        return object && strcmp(got.data, uids) == 0;
}

// The collector's watch lags behind: what it knows is no reason to delete what was orphaned or adopted meanwhile.
static void test_garbage_under_lag(void **state)
{
        struct world *w = *state;
        static const char *const owners[] = {"o", "p", "q"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(owners); i++)
                put_account(w, owners[i], "");
        put_account(w, "garbage", OWNER("o"));
        put_account(w, "orphaned", OWNER("o"));
        put_account(w, "adopted", OWNER("o"));
        put_account(w, "shared", OWNER("o") "," OWNER("p"));
        put_account(w, "marker", OWNER("none"));
        FAKE_WAIT(world_count(w, ACCOUNTS "marker") == 0); // it has seen the others, too
        change_silently(w, "orphaned", "");
        change_silently(w, "adopted", OWNER("p"));
        change_silently(w, "shared", OWNER("o") "," OWNER("p") "," OWNER("q"));
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_delete(w->api->rest, CX_REF("", "v1", "serviceaccounts", "g", "o"), NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        FAKE_WAIT(world_count(w, ACCOUNTS "garbage") == 0);
        FAKE_WAIT(has_owners(w, "shared", "u-p u-q "));
        put_account(w, "marker", OWNER("none"));
        FAKE_WAIT(world_count(w, ACCOUNTS "marker") == 0);
        assert_true(has_owners(w, "orphaned", ""));
        assert_true(has_owners(w, "adopted", "u-p "));
}

#define WIDGETS "/apis/example.io/v1/namespaces/a/widgets"

static bool is_watched(struct world *w, const char *collection)
{
        bool found = false;
        pthread_mutex_lock(&w->api->lock);
        for (struct fake_watch *watch = w->api->watches; watch; watch = watch->next)
                found |= cx_streq(watch->path, collection);
        pthread_mutex_unlock(&w->api->lock);
        return found;
}

// A kind that the schema does not know comes, is collected and emptied like the others, and leaves.
static void test_kinds_at_run_time(void **state)
{
        struct world *w = *state;
        struct fixture *f = *state;
        struct cx_workqueue *collector = f->queues[CX_ARRAY_SIZE(table) - 1];
        create(w, CX_REF("", "v1", "namespaces"), "{\"metadata\":{\"name\":\"a\"}}");
        create(w, CX_REF("", "v1", "namespaces"), "{\"metadata\":{\"name\":\"c\"}}");
        world_put(w, WIDGETS "/owner",
                  "{'kind':'Widget','apiVersion':'example.io/v1','metadata':{'name':'owner',"
                  "'namespace':'a','uid':'u-owner'}}");
        world_put(w, WIDGETS "/part",
                  "{'kind':'Widget','apiVersion':'example.io/v1','metadata':{'name':'part',"
                  "'namespace':'a','uid':'u-part','ownerReferences':[{'apiVersion':'example.io/v1',"
                  "'kind':'Widget','name':'owner','uid':'u-owner'}]}}");
        world_put(w, "/api/v1/namespaces/a/serviceaccounts/of-widget",
                  "{'metadata':{'name':'of-widget','namespace':'a','uid':'u-cm','ownerReferences':[{'apiVersion':"
                  "'example.io/v1','kind':'Widget','name':'owner','uid':'u-owner'}]}}");
        world_put(w, "/apis/example.io/v1/namespaces/c/widgets/in-c",
                  "{'kind':'Widget','apiVersion':'example.io/v1','metadata':{'name':'in-c','namespace':'c','uid':'u-c'}"
                  "}");
        world_serve(w, true);
        cx_workqueue_add(collector, "sync");
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_delete(w->api->rest, CX_REF("example.io", "v1", "widgets", "a", "owner"), NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        FAKE_WAIT(world_count(w, WIDGETS) == 0);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/a/serviceaccounts/of-widget") == 0);
        patch(w, CX_REF("", "v1", "namespaces", NULL, "c"),
              "{\"metadata\":{\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{\"finalizers\":["
              "\"kubernetes\"]}}");
        FAKE_WAIT(world_count(w, "/apis/example.io/v1/namespaces/c/widgets/") == 0);
        world_put(w, WIDGETS "/stays",
                  "{'kind':'Widget','apiVersion':'example.io/v1','metadata':{'name':'stays',"
                  "'namespace':'a','uid':'u-stays'}}");
        FAKE_WAIT(is_watched(w, "/apis/example.io/v1/widgets"));
        world_serve(w, false);
        cx_workqueue_add(collector, "sync");
        FAKE_WAIT(!is_watched(w, "/apis/example.io/v1/widgets"));
        // an owner of a kind that is not known is never a reason to delete
        world_put(w, "/api/v1/namespaces/a/serviceaccounts/of-widget",
                  "{'metadata':{'name':'of-widget','namespace':'a','uid':'u-cm2','ownerReferences':[{'apiVersion':"
                  "'example.io/v1','kind':'Widget','name':'owner','uid':'u-owner'}]}}");
        create(w, CX_REF("", "v1", "serviceaccounts", "a"),
               "{\"metadata\":{\"name\":\"late\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":"
               "\"ConfigMap\",\"name\":\"none\",\"uid\":\"none\"}]}}");
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/a/serviceaccounts/late") == 0);
        assert_int_equal(world_count(w, "/api/v1/namespaces/a/serviceaccounts/of-widget"), 1);
}

#define TEMPLATE(image)                                                                                                \
        "\"template\":{\"metadata\":{\"labels\":{\"app\":\"x\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":" \
        "\"" image "\"}]}}"
#define MEMBERS "/api/v1/namespaces/s/pods/"
#define STATEFUL "/apis/apps/v1/namespaces/s/statefulsets/db"

static void test_stateful_set(void **state)
{
        struct world *w = *state;
        create(w, CX_REF("apps", "v1", "statefulsets", "s"),
               "{\"metadata\":{\"name\":\"db\"},\"spec\":{\"replicas\":60,\"serviceName\":\"db\","
               "\"podManagementPolicy\":"
               "\"Parallel\",\"selector\":{\"matchLabels\":{\"app\":\"x\"}},\"updateStrategy\":{\"type\":"
               "\"RollingUpdate\","
               "\"rollingUpdate\":{\"partition\":0,\"maxUnavailable\":\"50%\"}},"
               "\"persistentVolumeClaimRetentionPolicy\":{"
               "\"whenDeleted\":\"Delete\",\"whenScaled\":\"Delete\"},\"volumeClaimTemplates\":[{\"metadata\":{"
               "\"name\":"
               "\"data\"},\"spec\":{}}]," TEMPLATE("v1") "}}");
        FAKE_WAIT(run_pods(w, MEMBERS, "v1") == 60 && number_at(w, STATEFUL, "status.availableReplicas") == 60);
        FAKE_WAIT(number_at(w, STATEFUL, "status.currentReplicas") == 60);
        assert_int_equal(world_count(w, "/api/v1/namespaces/s/persistentvolumeclaims/data-db-"), 60);
        assert_int_equal(world_count(w, "/apis/apps/v1/namespaces/s/controllerrevisions/"), 1);
        patch(w, CX_REF("apps", "v1", "statefulsets", "s", "db"),
              "{\"metadata\":{\"generation\":2},\"spec\":{" TEMPLATE("v2") "}}");
        FAKE_WAIT(run_pods(w, MEMBERS, "v2") == 60 && number_at(w, STATEFUL, "status.updatedReplicas") == 60);
        // The claims of members that go are their pods' then, and go with them.
        patch(w, CX_REF("apps", "v1", "statefulsets", "s", "db"), "{\"spec\":{\"replicas\":2}}");
        FAKE_WAIT(run_pods(w, MEMBERS, "v2") == 2 && number_at(w, STATEFUL, "status.currentReplicas") == 2);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/s/persistentvolumeclaims/") == 2);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("apps", "v1", "statefulsets", "s", "db"), NULL, &err), 0);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/s/") == 0);
}

#define DAEMONS "/api/v1/namespaces/d/pods/"
#define DAEMON "/apis/apps/v1/namespaces/d/daemonsets/log"

static void test_daemon_set(void **state)
{
        struct world *w = *state;
        for (int i = 0; i < 30; i++) {
                CX_CLEANUP(cx_freep) char *node = cx_sprintf("{\"metadata\":{\"name\":\"dn%d\"}}", i);
                create(w, CX_REF("", "v1", "nodes"), node);
        }
        static struct beating well;
        start_beating(&well, w, "dn", 30); // or those that are slow to be served are given up
        create(w, CX_REF("apps", "v1", "daemonsets", "d"),
               "{\"metadata\":{\"name\":\"log\"},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"x\"}},"
               "\"updateStrategy\":{"
               "\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":\"50%\"}}," TEMPLATE("v1") "}}");
        FAKE_WAIT(run_pods(w, DAEMONS, "v1") == number_at(w, DAEMON, "status.numberAvailable") &&
                  number_at(w, DAEMON, "status.numberAvailable") >= 30);
        patch(w, CX_REF("apps", "v1", "daemonsets", "d", "log"),
              "{\"metadata\":{\"generation\":2},\"spec\":{" TEMPLATE("v2") "}}");
        FAKE_WAIT(run_pods(w, DAEMONS, "v2") >= 30 &&
                  number_at(w, DAEMON, "status.updatedNumberScheduled") == run_pods(w, DAEMONS, NULL));
        stop_beating(&well);
        CX_ERROR err = CX_ERROR_INIT;
        for (int i = 0; i < 30; i++) {
                CX_CLEANUP(cx_freep) char *node = cx_sprintf("dn%d", i);
                assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("", "v1", "nodes", NULL, node), NULL, &err), 0);
        }
        FAKE_WAIT(number_at(w, DAEMON, "status.desiredNumberScheduled") <= run_pods(w, DAEMONS, NULL));
        assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("apps", "v1", "daemonsets", "d", "log"), NULL, &err), 0);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/d/") == 0);
}

static void test_replication_controller(void **state)
{
        struct world *w = *state;
        create(w, CX_REF("", "v1", "replicationcontrollers", "r"),
               "{\"metadata\":{\"name\":\"rc\"},\"spec\":{\"replicas\":3,\"selector\":{\"app\":\"x\"}," TEMPLATE(
                       "v1") "}}");
        FAKE_WAIT(run_pods(w, "/api/v1/namespaces/r/pods/rc-", "v1") == 3 &&
                  number_at(w, "/api/v1/namespaces/r/replicationcontrollers/rc", "status.availableReplicas") == 3);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(
                cx_rest_delete(w->api->rest, CX_REF("", "v1", "replicationcontrollers", "r", "rc"), NULL, &err), 0);
        FAKE_WAIT(world_count(w, "/api/v1/namespaces/r/") == 0);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deployment),
                cmocka_unit_test(test_adopted_revision),
                cmocka_unit_test(test_replication_controller),
                cmocka_unit_test(test_stateful_set),
                cmocka_unit_test(test_daemon_set),
                cmocka_unit_test(test_terminating_endpoints),
                cmocka_unit_test(test_namespace),
                cmocka_unit_test(test_garbage_under_lag),
                cmocka_unit_test(test_kinds_at_run_time),
                cmocka_unit_test(test_node),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
