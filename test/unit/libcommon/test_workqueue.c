// SPDX-License-Identifier: Apache-2.0

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/time.h"
#include "libcommon/client/workqueue.h"

#include <pthread.h>

static void test_dedup(void **state)
{
        (void)state;
        struct cx_workqueue *queue = cx_workqueue_new("t");
        cx_workqueue_add(queue, "a");
        cx_workqueue_add(queue, "b");
        cx_workqueue_add(queue, "a");
        assert_int_equal(cx_workqueue_length(queue), 2);
        char *a = cx_workqueue_get(queue, 0);
        assert_string_equal(a, "a");
        cx_workqueue_add(queue, "a"); // while it is worked on: not handed out again before done
        char *b = cx_workqueue_get(queue, 0);
        assert_string_equal(b, "b");
        assert_null(cx_workqueue_get(queue, CX_NS_PER_MS));
        cx_workqueue_done(queue, a);
        cx_workqueue_done(queue, b);
        a = cx_workqueue_get(queue, 0);
        assert_string_equal(a, "a");
        cx_workqueue_done(queue, a);
        assert_null(cx_workqueue_get(queue, 0));
        cx_workqueue_free(queue);
}

static void test_delay(void **state)
{
        (void)state;
        struct cx_workqueue *queue = cx_workqueue_new("t");
        int64_t started = cx_time_monotonic();
        cx_workqueue_add_after(queue, "late", 60 * CX_NS_PER_MS);
        cx_workqueue_add_after(queue, "late", 600 * CX_NS_PER_S); // the earlier one counts
        cx_workqueue_add_after(queue, "soon", 20 * CX_NS_PER_MS);
        char *key = cx_workqueue_get(queue, -1);
        assert_string_equal(key, "soon");
        cx_workqueue_done(queue, key);
        key = cx_workqueue_get(queue, -1);
        assert_string_equal(key, "late");
        cx_workqueue_done(queue, key);
        assert_true(cx_time_monotonic() - started >= 60 * CX_NS_PER_MS);
        for (int i = 0; i < 4; i++)
                cx_workqueue_add_rate_limited(queue, "x");
        assert_int_equal(cx_workqueue_failures(queue, "x"), 4);
        cx_workqueue_forget(queue, "x");
        assert_int_equal(cx_workqueue_failures(queue, "x"), 0);
        key = cx_workqueue_get(queue, CX_NS_PER_S);
        assert_string_equal(key, "x");
        cx_workqueue_done(queue, key);
        cx_workqueue_free(queue);
}

struct work {
        pthread_mutex_t lock;
        int runs[100], running[100], overlap, fails_left;
};

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct work *work = context;
        int64_t i = 0;
        assert_int_equal(cx_parse_int(key, 0, 99, &i), 0);
        pthread_mutex_lock(&work->lock);
        if (work->running[i]++)
                work->overlap++;
        work->runs[i]++;
        bool fail = i == 7 && work->fails_left-- > 0;
        int runs = work->runs[i];
        pthread_mutex_unlock(&work->lock);
        usleep(200);
        pthread_mutex_lock(&work->lock);
        work->running[i]--;
        pthread_mutex_unlock(&work->lock);
        if (i == 8 && runs == 1)
                *retry_after = CX_NS_PER_MS;
        return fail ? cx_error_set(err, -EAGAIN, "again") : 0;
}

static int runs_of(struct work *work, int i)
{
        pthread_mutex_lock(&work->lock);
        int runs = work->runs[i];
        pthread_mutex_unlock(&work->lock);
        return runs;
}

static void test_workers(void **state)
{
        (void)state;
        struct work work = {.lock = PTHREAD_MUTEX_INITIALIZER, .fails_left = 3};
        struct cx_workqueue *queue = cx_workqueue_new("t");
        struct cx_workers *workers = cx_workers_start(queue, 8, reconcile, &work);
        for (int round = 0; round < 20; round++)
                for (int i = 0; i < 100; i++)
                        cx_workqueue_add(queue, CX_INT(i));
        for (int i = 0; i < 10000; i++) {
                bool all = runs_of(&work, 7) >= 4 && runs_of(&work, 8) >= 2;
                for (int j = 0; j < 100; j++)
                        all = all && runs_of(&work, j);
                if (all)
                        break;
                usleep(1000);
        }
        cx_workers_stop(workers);
        cx_workqueue_free(queue);
        assert_int_equal(work.overlap, 0);
        for (int i = 0; i < 100; i++)
                assert_true(work.runs[i] >= 1);
        assert_true(work.runs[7] >= 4);
        assert_true(work.runs[8] >= 2);
}

static void mark(void *context, size_t i)
{
        __atomic_fetch_add(&((int *)context)[i], 1, __ATOMIC_RELAXED);
}

static void test_parallel(void **state)
{
        (void)state;
        int marks[500] = {0};
        cx_parallel(500, 8, mark, marks);
        for (int i = 0; i < 500; i++)
                assert_int_equal(marks[i], 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dedup),
                cmocka_unit_test(test_delay),
                cmocka_unit_test(test_workers),
                cmocka_unit_test(test_parallel),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
