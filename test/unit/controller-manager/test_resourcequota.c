// SPDX-License-Identifier: Apache-2.0
// The resourcequota controller against an API server in memory: kinds that come at run time, and counts that meet charges.
#include "controller-manager/controllers.h"
#include "test/unit/controller-manager/world.h"

#define WIDGETS "/apis/example.io/v1/namespaces/a/widgets"
#define QUOTA "/api/v1/namespaces/a/resourcequotas/q"

struct fixture {
        struct world w; // first: what the tests get is this one
        struct cx_workqueue *queue;
        struct cx_workers *workers;
        void *self;
};

static int setup(void **state)
{
        struct fixture *f = cx_alloc(sizeof *f);
        world_init(&f->w);
        static const struct manager_options options = {.quota_sync_period = 300 * CX_NS_PER_S};
        f->w.manager.options = &options;
        f->queue = cx_workqueue_new("quota");
        f->self = resourcequota_controller.init(&f->w.manager, f->queue);
        world_serve(&f->w, true);
        world_start(&f->w, 0);
        f->workers = cx_workers_start(f->queue, 2, resourcequota_controller.reconcile, f->self);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        cx_workers_stop(f->workers);
        cx_informers_free(f->w.manager.informers);
        f->w.manager.informers = NULL;
        resourcequota_controller.free(f->self);
        cx_workqueue_free(f->queue);
        world_stop(&f->w);
        world_release(&f->w);
        free(f);
        return 0;
}

static void put_quota(struct world *w, const char *hard, const char *status)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf(
                "{'metadata': {'name': 'q', 'namespace': 'a', 'uid': 'u-q'}, 'spec': {'hard': %s}, 'status': "
                "%s}",
                hard, status);
        world_put(w, QUOTA, text);
}

static bool is_used(struct world *w, const char *used)
{
        CX_CLEANUP(cx_freep) char *text = world_text(w, QUOTA, "status.used");
        return strcmp(text, used) == 0;
}

static bool is_watched(struct world *w, const char *collection)
{
        bool found = false;
        pthread_mutex_lock(&w->api->lock);
        for (struct fake_watch *watch = w->api->watches; watch; watch = watch->next)
                found |= cx_streq(watch->path, collection);
        pthread_mutex_unlock(&w->api->lock);
        return found;
}

static void put_widget(struct world *w, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(WIDGETS "/%s", name);
        CX_CLEANUP(cx_freep)
        char *text =
                cx_sprintf("{'kind': 'Widget', 'apiVersion': 'example.io/v1', 'metadata': {'name': '%s', 'namespace': "
                           "'a', 'uid': 'u-%s'}}",
                           name, name);
        world_put(w, path, text);
}

static void test_kinds_at_run_time(void **state)
{
        struct fixture *f = *state;
        struct world *w = *state;
        put_widget(w, "one");
        put_widget(w, "two");
        put_quota(w, "{'count/widgets.example.io': '5', 'count/gadgets.example.io': '1', 'other.example.com/x': '1'}",
                  "{}");
        // What nothing is known of is not used; what nobody serves is used by nobody.
        FAKE_WAIT(is_used(w, "{\"count/gadgets.example.io\":\"0\",\"count/widgets.example.io\":\"2\"}"));
        FAKE_WAIT(is_watched(w, "/apis/example.io/v1/widgets"));
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_rest_delete(w->api->rest, CX_REF("example.io", "v1", "widgets", "a", "one"), NULL, &err),
                         0);
        FAKE_WAIT(is_used(w, "{\"count/gadgets.example.io\":\"0\",\"count/widgets.example.io\":\"1\"}"));
        // When no quota names them, nobody watches them any more.
        put_quota(w, "{'secrets': '1'}", "{}");
        FAKE_WAIT(is_used(w, "{\"secrets\":\"0\"}"));
        cx_workqueue_add(f->queue, "sync");
        FAKE_WAIT(!is_watched(w, "/apis/example.io/v1/widgets"));
}

static void test_pods(void **state)
{
        struct world *w = *state;
        world_put(w, "/api/v1/namespaces/a/pods/p",
                  "{'metadata': {'name': 'p', 'namespace': 'a', 'uid': 'u-p'}, 'spec': {'containers': [{'resources': "
                  "{'requests': {'cpu': '100m'}}}]}, 'status': {'phase': 'Running'}}");
        world_put(w, "/api/v1/namespaces/a/pods/long",
                  "{'metadata': {'name': 'long', 'namespace': 'a', 'uid': 'u-l'}, 'spec': {'containers': [{}]}, "
                  "'status': "
                  "{'phase': 'Failed'}}");
        put_quota(w, "{'pods': '5', 'count/pods': '5', 'requests.cpu': '1'}", "{'used': {'pods': '4'}}");
        FAKE_WAIT(is_used(w, "{\"count/pods\":\"2\",\"pods\":\"1\",\"requests.cpu\":\"100m\"}"));
        world_put(w, "/api/v1/namespaces/a/pods/p",
                  "{'metadata': {'name': 'p', 'namespace': 'a', 'uid': 'u-p'}, 'spec': {'containers': [{'resources': "
                  "{'requests': {'cpu': '100m'}}}]}, 'status': {'phase': 'Succeeded'}}");
        FAKE_WAIT(is_used(w, "{\"count/pods\":\"2\",\"pods\":\"0\",\"requests.cpu\":\"0\"}"));
        // What somebody writes by hand is counted again.
        put_quota(w, "{'pods': '5'}", "{'hard': {'pods': '50'}, 'used': {'pods': '-3'}}");
        FAKE_WAIT(is_used(w, "{\"pods\":\"0\"}"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_kinds_at_run_time, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pods, setup, teardown),
        };
        cx_process_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
