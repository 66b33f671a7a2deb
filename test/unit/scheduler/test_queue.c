// SPDX-License-Identifier: Apache-2.0
#include "test/unit/scheduler/world.h"

#include "libcommon/base/time.h"

struct fixture {
        struct world w;
        struct queue queue;
};

static void begin(struct fixture *f)
{
        world_init(&f->w);
        queue_init(&f->queue, CX_NS_PER_S, 10 * CX_NS_PER_S);
}

static void end(struct fixture *f)
{
        queue_release(&f->queue);
        world_release(&f->w);
}

static void set(struct fixture *f, const char *name, const char *labels, const char *spec, int64_t now)
{
        struct cx_object *object = world_pod_object(&f->w, name, labels, spec);
        queue_set(&f->queue, object, now);
        cx_object_unref(object);
}

static void expect_pop(struct fixture *f, const char *name, int64_t now)
{
        struct queued_pod *pod = queue_pop(&f->queue, now);
        if (!name) {
                assert_null(pod);
                return;
        }
        assert_non_null(pod);
        assert_string_equal(pod->object->name, name);
        queued_pod_free(queue_take(&f->queue, pod));
}

static void test_order(void **state)
{
        (void)state;
        struct fixture f;
        begin(&f);
        set(&f, "low", "", "{'priority': -1}", 0);
        set(&f, "first", "", "{}", 0);
        set(&f, "second", "", "{}", 0);
        set(&f, "high", "", "{'priority': 1000}", 0);
        set(&f, "gone", "", "{}", 0);
        queue_remove(&f.queue, "default/gone");
        // A change of nothing that matters keeps the place in the line.
        set(&f, "first", "", "{}", 0);
        set(&f, "low", "", "{'priority': 5}", 0);
        expect_pop(&f, "high", 0);
        expect_pop(&f, "low", 0);
        expect_pop(&f, "first", 0);
        expect_pop(&f, "second", 0);
        expect_pop(&f, NULL, 0);
        assert_true(queue_deadline(&f.queue) == INT64_MAX);
        end(&f);
}

static void test_gates(void **state)
{
        (void)state;
        struct fixture f;
        begin(&f);
        set(&f, "a", "", "{'schedulingGates': [{'name': 'g'}]}", 0);
        expect_pop(&f, NULL, 0);
        assert_int_equal(f.queue.counts[QUEUE_GATED], 1);
        set(&f, "a", "", "{}", 0);
        expect_pop(&f, "a", 0);
        end(&f);
}

static void test_unschedulable(void **state)
{
        (void)state;
        struct fixture f;
        begin(&f);
        const char *spec = "{'containers': [{'resources': {'requests': {'cpu': '5'}}}]}";
        set(&f, "a", "", spec, 0);
        world_node(&f.w, "small", "", "", "");
        unsigned failed;
        CX_CLEANUP(cx_freep) char *message = world_schedule(&f.w, "", spec, &failed);
        struct queued_pod *pod = queue_pop(&f.queue, 0);
        queue_park(&f.queue, pod, failed, 0);
        expect_pop(&f, NULL, 0);
        // What does not help leaves it there.
        queue_wake(&f.queue, &f.w.cache, EVENT_POD_ADDED, NULL, NULL, CX_NS_PER_S / 2);
        queue_wake(&f.queue, &f.w.cache, EVENT_NODE, cache_node(&f.w.cache, "small"), NULL, CX_NS_PER_S / 2);
        assert_int_equal(f.queue.counts[QUEUE_UNSCHEDULABLE], 1);
        world_node(&f.w, "big", "", "", "{'allocatable': {'cpu': '8', 'memory': '8Gi', 'pods': '10'}}");
        queue_wake(&f.queue, &f.w.cache, EVENT_NODE, cache_node(&f.w.cache, "big"), NULL, CX_NS_PER_S / 2);
        assert_int_equal(f.queue.counts[QUEUE_BACKOFF], 1);
        assert_true(queue_deadline(&f.queue) == CX_NS_PER_S);
        // Another goes first; with nothing else to do, the wait is cut short.
        set(&f, "b", "", "{}", CX_NS_PER_S / 2);
        expect_pop(&f, "b", CX_NS_PER_S / 2);
        expect_pop(&f, "a", CX_NS_PER_S / 2);
        end(&f);
}

static void test_change_wakes(void **state)
{
        (void)state;
        struct fixture f;
        begin(&f);
        set(&f, "a", "", "{}", 0);
        queue_park(&f.queue, queue_pop(&f.queue, 0), 1, 0);
        set(&f, "a", "", "{}", 1); // the report of its own failure
        assert_int_equal(f.queue.counts[QUEUE_UNSCHEDULABLE], 1);
        set(&f, "a", "", "{'nodeSelector': {'a': 'b'}}", 2 * CX_NS_PER_S);
        assert_int_equal(f.queue.counts[QUEUE_ACTIVE], 1);
        queue_park(&f.queue, queue_pop(&f.queue, 0), 1, 0);
        queue_flush(&f.queue, QUEUE_UNSCHEDULABLE_MAX - 1);
        assert_int_equal(f.queue.counts[QUEUE_UNSCHEDULABLE], 1);
        queue_flush(&f.queue, QUEUE_UNSCHEDULABLE_MAX);
        expect_pop(&f, "a", QUEUE_UNSCHEDULABLE_MAX);
        end(&f);
}

static void test_backoff(void **state)
{
        (void)state;
        struct fixture f;
        begin(&f);
        static const int64_t delays[] = {1, 2, 4, 8, 10, 10}; // seconds
        set(&f, "a", "", "{}", 0);
        int64_t now = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(delays); i++) {
                struct queued_pod *pod = queue_take(&f.queue, queue_pop(&f.queue, now));
                struct cx_object *object = world_pod_object(&f.w, "a", "", "{}");
                queue_retry(&f.queue, pod, object, now);
                cx_object_unref(object);
                assert_null(queue_pop(&f.queue, now + delays[i] * CX_NS_PER_S - 1)); // errors wait in any case
                now += delays[i] * CX_NS_PER_S;
                assert_true(queue_deadline(&f.queue) == now);
        }
        expect_pop(&f, "a", now);
        end(&f);
}

static void test_many(void **state)
{
        (void)state;
        struct fixture f;
        begin(&f);
        for (int i = 0; i < 500; i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("p%d", i);
                CX_CLEANUP(cx_freep) char *spec = cx_sprintf("{'priority': %d}", i * 7919 % 101);
                set(&f, name, "", spec, 0);
                if (i % 3 == 0) {
                        CX_CLEANUP(cx_freep) char *key = cx_sprintf("default/p%d", i / 2);
                        queue_remove(&f.queue, key);
                }
        }
        int64_t last = INT64_MAX;
        size_t left = f.queue.active.count;
        for (struct queued_pod *pod; (pod = queue_pop(&f.queue, 0)); left--) {
                assert_true(pod->template->priority <= last);
                last = pod->template->priority;
                queued_pod_free(queue_take(&f.queue, pod));
        }
        assert_int_equal(left, 0);
        end(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),   cmocka_unit_test(test_gates),
                                           cmocka_unit_test(test_backoff), cmocka_unit_test(test_unschedulable),
                                           cmocka_unit_test(test_many),    cmocka_unit_test(test_change_wakes)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
