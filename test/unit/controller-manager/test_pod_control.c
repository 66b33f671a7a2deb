// SPDX-License-Identifier: Apache-2.0
// Claiming, making and ending pods, against an API server in memory.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/pods/pod_control.h"
#include "test/unit/controller-manager/world.h"

static const struct owner_kind set_kind = {"apps", "v1", "replicasets", "ReplicaSet"};

#define PODS "/api/v1/namespaces/a/pods/"
#define SET "/apis/apps/v1/namespaces/a/replicasets/web"
#define OWNED(uid)                                                                                                     \
        "'ownerReferences': [{'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': 'web', 'uid': '" uid              \
        "', 'controller': true}]"

struct fixture {
        struct world w;
        struct cx_workqueue *queue;
        struct pod_control control;
        const struct cx_object *set; // as the informer had it
};

static void fixture_init(struct fixture *f)
{
        world_init(&f->w);
        f->queue = cx_workqueue_new("test");
        world_put(&f->w, SET,
                  "{'metadata': {'name': 'web', 'namespace': 'a', 'uid': 'set'}, 'spec': {'selector': {'matchLabels': "
                  "{'app': 'web'}}}}");
        pod_control_init(&f->control, &f->w.manager, f->queue, &set_kind, "replicaset-controller");
}

static void fixture_start(struct fixture *f)
{
        world_start(&f->w, 2);
        f->set = cx_informer_get(f->control.owners, "a", "web");
        assert_non_null(f->set);
}

static void fixture_release(struct fixture *f)
{
        cx_object_unref(f->set);
        cx_informers_free(f->w.manager.informers);
        f->w.manager.informers = NULL;
        pod_control_release(&f->control);
        cx_workqueue_free(f->queue);
        world_stop(&f->w);
        world_release(&f->w);
}

static char *names(const struct cx_objects *pods)
{
        CX_STRINGS list = CX_STRINGS_INIT;
        for (size_t i = 0; i < pods->count; i++)
                cx_strings_add(&list, pods->items[i]->name);
        cx_strings_sort(&list);
        return cx_strings_join(&list, " ");
}

static int claim(struct fixture *f, const struct owner *owner, char **ret_names, struct cx_error *err)
{
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        json_auto_t *labels = quoted_json("{'app': 'web'}");
        cx_selector_from_map(labels, &selector);
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        int r = pod_control_claim(&f->control, owner, &selector, pod_is_active, &pods, err);
        *ret_names = names(&pods);
        return r;
}

static void expect_text(struct fixture *f, const char *path, const char *field, const char *wanted)
{
        CX_CLEANUP(cx_freep) char *text = world_text(&f->w, path, field);
        assert_string_equal(text, wanted);
}

static void put_pods(struct fixture *f)
{
        static const struct {
                const char *name, *metadata, *phase;
        } pods[] = {
                {"mine", "'labels': {'app': 'web'}, " OWNED("set"), "Running"},
                {"strayed", "'labels': {'app': 'other'}, " OWNED("set"), "Running"},
                {"ended", "'labels': {'app': 'other'}, " OWNED("set"), "Failed"}, // not considered: not released
                {"orphan", "'labels': {'app': 'web'}", "Pending"},
                {"stranger", "'labels': {'app': 'other'}", "Running"},
                {"going", "'labels': {'app': 'web'}, 'deletionTimestamp': '2026-01-01T00:00:00Z'", "Running"},
                {"finished", "'labels': {'app': 'web'}", "Succeeded"},
                {"others", "'labels': {'app': 'web'}, " OWNED("another"), "Running"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf(PODS "%s", pods[i].name);
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'metadata': {'name': '%s', 'namespace': 'a', 'uid': 'u-%s', %s}, 'status': "
                                        "{'phase': '%s'}}",
                                        pods[i].name, pods[i].name, pods[i].metadata, pods[i].phase);
                world_put(&f->w, path, text);
        }
}

static void test_claim(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        put_pods(&f);
        fixture_start(&f);
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *claimed = NULL;
        assert_int_equal(claim(&f, &(struct owner){&set_kind, f.set}, &claimed, &err), 0);
        assert_string_equal(claimed, "mine orphan");
        expect_text(&f, PODS "orphan", "metadata.ownerReferences",
                    "[{\"apiVersion\":\"apps/v1\",\"blockOwnerDeletion\":true,\"controller\":true,\"kind\":"
                    "\"ReplicaSet\",\"name\":\"web\",\"uid\":\"set\"}]");
        // The server in memory keeps the directive of the strategic patch.
        expect_text(&f, PODS "strayed", "metadata.ownerReferences", "[{\"$patch\":\"delete\",\"uid\":\"set\"}]");
        static const char *const untouched[] = {"stranger", "going", "finished"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(untouched); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf(PODS "%s", untouched[i]);
                expect_text(&f, path, "metadata.ownerReferences", "");
        }
        CX_CLEANUP(cx_freep) char *kept = world_text(&f.w, PODS "ended", "metadata.ownerReferences");
        assert_non_null(strstr(kept, "\"controller\":true"));
        fixture_release(&f);
}

// The informer still has an owner that is gone, was made anew, or is being deleted.
static void expect_refusals(struct fixture *f)
{
        static const char *const now[] = {
                "{'metadata': {'name': 'web', 'namespace': 'a', 'uid': 'new'}}",
                "{'metadata': {'name': 'web', 'namespace': 'a', 'uid': 'set', 'deletionTimestamp': "
                "'2026-01-01T00:00:00Z'}}",
                NULL,
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(now); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep) char *claimed = NULL;
                if (now[i]) {
                        world_put(&f->w, SET, now[i]);
                } else {
                        pthread_mutex_lock(&f->w.api->lock);
                        cx_map_remove(&f->w.api->objects, SET);
                        pthread_mutex_unlock(&f->w.api->lock);
                }
                assert_true(claim(f, &(struct owner){&set_kind, f->set}, &claimed, &err) < 0);
                expect_text(f, PODS "orphan", "metadata.ownerReferences", "");
                CX_CLEANUP(cx_freep) char *kept = world_text(&f->w, PODS "strayed", "metadata.ownerReferences");
                assert_non_null(strstr(kept, "\"controller\":true"));
        }
}

static void test_claim_asks(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        put_pods(&f);
        fixture_start(&f);
        expect_refusals(&f); // there is one to release, and one to adopt
        world_put(&f.w, PODS "strayed",
                  "{'metadata': {'name': 'strayed', 'namespace': 'a', 'uid': 'u-strayed', 'labels': {'app': "
                  "'web'}, " OWNED("set") "}}");
        FAKE_WAIT(({
                CX_OBJECT *pod = cx_informer_get(f.control.pods, "a", "strayed");
                cx_streq(cx_object_label(pod, "app"), "web");
        }));
        expect_refusals(&f); // only one to adopt
        // An owner that the informer knows to be going takes nothing, lets nothing go, and asks nobody.
        json_auto_t *going = quoted_json("{'metadata': {'name': 'web', 'namespace': 'a', 'uid': 'set', "
                                         "'deletionTimestamp': '2026-01-01T00:00:00Z'}}");
        struct cx_object *object = cx_object_new(going, NULL, 0);
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *claimed = NULL;
        int before = world_requests(&f.w);
        assert_int_equal(claim(&f, &(struct owner){&set_kind, object}, &claimed, &err), 0);
        assert_string_equal(claimed, "mine strayed");
        assert_int_equal(world_requests(&f.w), before);
        cx_object_unref(object);
        fixture_release(&f);
}

static bool is_numbered(const struct owner *owner, const struct cx_object *pod)
{
        return cx_has_prefix(pod->name, owner->object->name);
}

// Beyond the selector: who does not fit is let go of, and loses the finalizer that members have.
static void test_claim_options(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        world_put(&f.w, PODS "web-0",
                  "{'metadata': {'name': 'web-0', 'namespace': 'a', 'uid': 'u0', 'labels': {'app': 'web'}}}");
        world_put(&f.w, PODS "other-0",
                  "{'metadata': {'name': 'other-0', 'namespace': 'a', 'uid': 'u1', 'labels': {'app': 'web'}}}");
        world_put(&f.w, PODS "other-1",
                  "{'metadata': {'name': 'other-1', 'namespace': 'a', 'uid': 'u2', 'labels': {'app': 'web'}, " OWNED(
                          "set") "}}");
        fixture_start(&f);
        json_auto_t *labels = quoted_json("{'app': 'web'}");
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        cx_selector_from_map(labels, &selector);
        const struct owner owner = {&set_kind, f.set};
        const struct claim options = {.rest = f.w.api->rest,
                                      .owner = &owner,
                                      .selector = &selector,
                                      .dependents = &pod_kind,
                                      .informer = f.control.pods,
                                      .fits = is_numbered,
                                      .finalizer = "example.com/track"};
        CX_ERROR err = CX_ERROR_INIT;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        assert_int_equal(claim_dependents(&options, &pods, &err), 0);
        CX_CLEANUP(cx_freep) char *claimed = names(&pods);
        assert_string_equal(claimed, "web-0");
        expect_text(&f, PODS "web-0", "metadata.finalizers", "[\"example.com/track\"]");
        expect_text(&f, PODS "other-0", "metadata.ownerReferences", "");
        CX_CLEANUP(cx_freep) char *released = world_text(&f.w, PODS "other-1", "metadata");
        assert_non_null(strstr(released, "\"$deleteFromPrimitiveList/finalizers\":[\"example.com/track\"]"));
        assert_non_null(strstr(released, "\"$patch\":\"delete\""));
        cx_objects_release(&pods);
        fixture_release(&f);
}

static int write_named(void *context CX_UNUSED, size_t i, struct cx_buf *to, struct cx_error *err CX_UNUSED)
{
        cx_buf_printf(to,
                      "{\"metadata\":{\"name\":\"p%zu\",\"namespace\":\"a\",\"labels\":{\"app\":\"web\"},"
                      "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"web\","
                      "\"uid\":\"set\",\"controller\":true}]}}",
                      i);
        return 0;
}

static void test_slow_start(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        fixture_start(&f);
        const struct owner owner = {&set_kind, f.set};
        const struct pod_batch batch = {100, write_named, NULL};
        CX_ERROR err = CX_ERROR_INIT;
        f.w.api->fail_next = 1;
        f.w.api->fail_code = 500;
        int before = world_requests(&f.w);
        assert_true(pod_control_create(&f.control, &owner, &batch, &err) < 0);
        assert_int_equal(world_requests(&f.w), before + 1); // the first fails: one call
        assert_true(expectations_met(&f.control.expectations, "a/web"));
        cx_error_release(&err);
        // The sixth is there already: of 1, 2, 4 all are tried, of the rest none.
        world_put(&f.w, PODS "p5", "{'metadata': {'name': 'p5', 'namespace': 'a', 'uid': 'u5'}}");
        before = world_requests(&f.w);
        assert_true(pod_control_create(&f.control, &owner, &batch, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_ALREADY_EXISTS));
        assert_int_equal(world_requests(&f.w), before + 7);
        assert_int_equal(world_count(&f.w, PODS), 7);
        FAKE_WAIT(expectations_met(&f.control.expectations, "a/web")); // all that were made are seen
        assert_int_equal(cx_informer_count(f.control.pods), 7);
        fixture_release(&f);
}

static void test_delete(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        fixture_start(&f);
        const struct owner owner = {&set_kind, f.set};
        const struct pod_batch batch = {20, write_named, NULL};
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(pod_control_create(&f.control, &owner, &batch, &err), 0);
        FAKE_WAIT(cx_informer_count(f.control.pods) == 20);
        world_put(&f.w, PODS "p7",
                  "{'metadata': {'name': 'p7', 'namespace': 'a', 'uid': 'u7', " OWNED(
                          "set") "}, 'spec': {'nodeName': "
                                 "'n'}, 'status': {'phase': 'Running'}}");
        FAKE_WAIT(({
                CX_OBJECT *p7 = cx_informer_get(f.control.pods, "a", "p7");
                POD_STATE(p7)->node != NULL;
        }));
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_list(f.control.pods, "a", &pods);
        pods_rank_for_deletion(&pods, &pods);
        assert_string_equal(pods.items[19]->name, "p7"); // the only one that runs
        // One has gone already, one is another pod of that name now: neither is ours to end.
        pthread_mutex_lock(&f.w.api->lock);
        CX_CLEANUP(cx_freep) char *gone = cx_sprintf(PODS "%s", pods.items[0]->name);
        cx_map_remove(&f.w.api->objects, gone);
        pthread_mutex_unlock(&f.w.api->lock);
        assert_int_equal(pod_control_delete(&f.control, &owner, &pods, 19, &err), 0);
        assert_int_equal(world_count(&f.w, PODS), 1);
        FAKE_WAIT(expectations_met(&f.control.expectations, "a/web"));
        const struct cx_object *last = pods.items[19];
        pods.items[19] = pods.items[0];
        pods.items[0] = last;
        world_put(&f.w, PODS "p7", "{'metadata': {'name': 'p7', 'namespace': 'a', 'uid': 'anew'}}");
        assert_true(pod_control_delete(&f.control, &owner, &pods, 1, &err) < 0);
        assert_int_equal(world_count(&f.w, PODS), 1);
        assert_true(expectations_met(&f.control.expectations, "a/web"));
        cx_objects_release(&pods); // objects go before what the manager keeps of them
        fixture_release(&f);
}

static void test_namespace_goes(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        cx_error_reason(&err, CX_REASON_FORBIDDEN, "it is being terminated");
        assert_false(is_namespace_terminating(&err)); // words do not count
        cx_error_cause(&err, "NamespaceTerminating", "metadata.namespace", "namespace a");
        assert_true(is_namespace_terminating(&err));
}

// Whose pod it is: the kind, its group in any version, and the name count.
static void test_controller_key(void **state)
{
        (void)state;
        static const struct {
                const char *owner, *key;
        } table[] = {
                {"'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': 'x', 'controller': true", "a/x"},
                {"'apiVersion': 'apps/v2', 'kind': 'ReplicaSet', 'name': 'x', 'controller': true", "a/x"},
                {"'apiVersion': 'apps.example.com/v1', 'kind': 'ReplicaSet', 'name': 'x', 'controller': true", NULL},
                {"'apiVersion': 'v1', 'kind': 'ReplicaSet', 'name': 'x', 'controller': true", NULL},
                {"'apiVersion': 'apps/v1', 'kind': 'DaemonSet', 'name': 'x', 'controller': true", NULL},
                {"'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': 'x'", NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'metadata': {'name': 'p', 'namespace': 'a', 'ownerReferences': [{%s}]}}",
                                        table[i].owner);
                json_auto_t *json = quoted_json(text);
                struct cx_object *object = cx_object_new(json, NULL, 0);
                char key[512] = "";
                assert_int_equal(controller_key(object, &set_kind, key), table[i].key != NULL);
                if (table[i].key)
                        assert_string_equal(key, table[i].key);
                cx_object_unref(object);
        }
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_claim),          cmocka_unit_test(test_claim_asks),
                cmocka_unit_test(test_claim_options),  cmocka_unit_test(test_slow_start),
                cmocka_unit_test(test_delete),         cmocka_unit_test(test_namespace_goes),
                cmocka_unit_test(test_controller_key),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
