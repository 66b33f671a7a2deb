// SPDX-License-Identifier: Apache-2.0

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/client/informer.h"
#include "test/unit/fake_api.h"

struct counts {
        int added, changed, removed;
};

static void on_event(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct counts *counts = context;
        int *which = !old ? &counts->added : !now ? &counts->removed : &counts->changed;
        __atomic_fetch_add(which, 1, __ATOMIC_RELAXED);
}

#define COUNT(field) __atomic_load_n(&counts.field, __ATOMIC_RELAXED)

static void *project_node(void *context, const json_t *object)
{
        (void)context;
        return cx_strdup(cx_json_string(object, "spec.nodeName"));
}

static void node_keys(void *context, const struct cx_object *object, struct cx_strings *ret_keys)
{
        (void)context;
        if (object->projection)
                cx_strings_add(ret_keys, object->projection);
}

static void make_pod(struct fake_api *api, const char *ns, const char *name, const char *node)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *pod = json_pack("{s:{s:s, s:{s:s}}, s:{s:s}}", "metadata", "name", name, "labels", "app", name,
                                     "spec", "nodeName", node);
        assert_int_equal(cx_rest_create(api->rest, CX_REF("", "v1", "pods", ns), pod, NULL, &err), 0);
}

static size_t on_node(const struct cx_informer *informer, const char *node)
{
        CX_OBJECTS list = CX_OBJECTS_INIT;
        cx_informer_by_index(informer, "node", node, &list);
        return list.count;
}

static void test_follow(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct counts counts = {0};
        CX_ERROR err = CX_ERROR_INIT;
        make_pod(api, "a", "p1", "n1");
        make_pod(api, "b", "p1", "n2");
        struct cx_informers *set = cx_informers_new(api->rest);
        struct cx_informer *pods = cx_informers_add(set, &(struct cx_informer_options){.ref = {"", "v1", "pods"},
                                                                                       .project = project_node,
                                                                                       .free_projection = free});
        cx_informer_on_event(pods, on_event, &counts);
        cx_informer_add_index(pods, "node", node_keys, NULL);
        cx_informers_start(set);
        assert_int_equal(cx_informers_wait_synced(set, 10 * CX_NS_PER_S, &err), 0);
        assert_int_equal(cx_informer_count(pods), 2);
        {
                CX_OBJECT *pod = cx_informer_get(pods, "b", "p1");
                assert_non_null(pod);
                assert_string_equal(pod->key, "b/p1");
                assert_string_equal(pod->name, "p1");
                assert_string_equal(cx_object_label(pod, "app"), "p1");
                json_auto_t *json = cx_object_json(pod);
                assert_string_equal(cx_json_string(json, "spec.nodeName"), "n2");
        }
        // Changes arrive by the watch; an index follows.
        json_auto_t *patch = json_pack("{s:{s:s}}", "spec", "nodeName", "n9");
        assert_int_equal(
                cx_rest_patch(api->rest, CX_REF("", "v1", "pods", "a", "p1"), NULL, CX_PATCH_MERGE, patch, NULL, &err),
                0);
        FAKE_WAIT(on_node(pods, "n9") == 1);
        assert_int_equal(on_node(pods, "n1"), 0);
        assert_int_equal(cx_rest_delete(api->rest, CX_REF("", "v1", "pods", "a", "p1"), NULL, &err), 0);
        FAKE_WAIT(cx_informer_count(pods) == 1);
        FAKE_WAIT(COUNT(removed) == 1);
        assert_int_equal(COUNT(added), 2);
        assert_int_equal(COUNT(changed), 1);
        cx_informers_free(set);
        fake_api_free(api);
}

static void test_resume_and_relist(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct counts counts = {0};
        CX_ERROR err = CX_ERROR_INIT;
        for (int i = 0; i < 50; i++)
                make_pod(api, "a", CX_INT(i), "n1");
        struct cx_informers *set = cx_informers_new(api->rest);
        struct cx_informer *pods =
                cx_informers_add(set, &(struct cx_informer_options){.ref = {"", "v1", "pods"}, .drop_bytes = true});
        cx_informer_on_event(pods, on_event, &counts);
        cx_informers_start(set);
        assert_int_equal(cx_informers_wait_synced(set, 10 * CX_NS_PER_S, &err), 0);
        FAKE_WAIT(fake_watched(api));
        // The watch ends: it is resumed, without a list, and nothing comes twice.
        fake_end_watches(api, false);
        make_pod(api, "a", "after", "n1");
        FAKE_WAIT(cx_informer_count(pods) == 51);
        assert_int_equal(api->lists, 1);
        assert_int_equal(COUNT(added), 51);
        // Nobody watches while a pod goes and another comes, and the past is gone: the differences are found by a list.
        pthread_mutex_lock(&api->lock);
        api->fail_next = 1000000;
        api->fail_code = 500;
        pthread_mutex_unlock(&api->lock);
        fake_end_watches(api, false);
        FAKE_WAIT(!fake_watched(api));
        pthread_mutex_lock(&api->lock);
        cx_map_remove(&api->objects, "/api/v1/namespaces/a/pods/7");
        json_auto_t *pod = json_pack("{s:{s:s}}", "metadata", "name", "later");
        fake_create(api, "/api/v1/namespaces/a/pods", pod);
        api->floor = api->n_events;
        api->fail_next = 0;
        pthread_mutex_unlock(&api->lock);
        FAKE_WAIT(COUNT(removed) == 1);
        FAKE_WAIT(COUNT(added) == 52);
        assert_int_equal(cx_informer_count(pods), 51);
        assert_null(cx_informer_get(pods, "a", "7"));
        cx_informers_free(set);
        fake_api_free(api);
}

static void test_add_later_and_stop(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        CX_ERROR err = CX_ERROR_INIT;
        make_pod(api, "a", "p1", "n1");
        struct cx_informers *set = cx_informers_new(api->rest);
        for (int i = 0; i < 5; i++) {
                struct cx_informer *one =
                        cx_informers_add(set, &(struct cx_informer_options){.ref = {"", "v1", "pods", "a"}});
                cx_informer_start(one);
                assert_int_equal(cx_informer_wait_synced(one, 10 * CX_NS_PER_S, &err), 0);
                assert_int_equal(cx_informer_count(one), 1);
                cx_informer_stop(one);
        }
        cx_informers_free(set);
        fake_api_free(api);
}

static void *wait_for_ever(void *set)
{
        CX_ERROR err = CX_ERROR_INIT;
        return (void *)(intptr_t)cx_informers_wait_synced(set, -1, &err);
}

// A process that stops before the apiserver has answered does not hang.
static void test_cancel_waits(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        pthread_mutex_lock(&api->lock);
        api->fail_next = 1000000;
        api->fail_code = 500;
        pthread_mutex_unlock(&api->lock);
        struct cx_informers *set = cx_informers_new(api->rest);
        cx_informers_add(set, &(struct cx_informer_options){.ref = {"", "v1", "pods"}});
        cx_informers_start(set);
        pthread_t waiter;
        void *result;
        assert_int_equal(pthread_create(&waiter, NULL, wait_for_ever, set), 0);
        cx_informers_cancel_waits(set);
        assert_int_equal(pthread_join(waiter, &result), 0);
        assert_int_equal((int)(intptr_t)result, -ECANCELED);
        cx_informers_free(set);
        fake_api_free(api);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_follow),
                cmocka_unit_test(test_resume_and_relist),
                cmocka_unit_test(test_add_later_and_stop),
                cmocka_unit_test(test_cancel_waits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
