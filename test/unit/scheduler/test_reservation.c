// SPDX-License-Identifier: Apache-2.0
// The hooks around a bind: what was reserved is settled or undone, exactly once, and a plugin that blocks before a bind
// holds up nobody else.
#include "test/unit/scheduler/world.h"

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "scheduler/scheduler.h"
#include "test/unit/fake_api.h"

static struct journal {
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t changed;
        struct cx_buf text; // what happened, in words
        bool hold;          // pre_bind of a pod "slow" waits
        int failures;       // the next of "fails" fail
        bool refuse;        // the second plugin reserves nothing
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note(const char *what, const char *about)
{
        pthread_mutex_lock(&journal.lock);
        cx_buf_printf(&journal.text, "%s %s\n", what, about);
        pthread_mutex_unlock(&journal.lock);
}

static bool noted(const char *wanted)
{
        pthread_mutex_lock(&journal.lock);
        bool found = strstr(journal.text.data, wanted);
        pthread_mutex_unlock(&journal.lock);
        return found;
}

static int reserve_first(struct cycle *cycle, const struct node *node, void **ret_reservation, struct cx_error *err)
{
        (void)err;
        *ret_reservation = cx_sprintf("first %s on %s", cycle->key, node->name);
        note("reserved", *ret_reservation);
        return 0;
}

static int reserve_second(struct cycle *cycle, const struct node *node, void **ret_reservation, struct cx_error *err)
{
        if (journal.refuse)
                return cx_error_set(err, -ENOSPC, "no more of it");
        *ret_reservation = cx_sprintf("second %s on %s", cycle->key, node->name);
        note("reserved", *ret_reservation);
        return 0;
}

static int pre_bind(const struct placement *placement, void *reservation, struct cx_error *err)
{
        (void)reservation;
        int r = 0;
        pthread_mutex_lock(&journal.lock);
        while (journal.hold && strcmp(placement->pod->name, "slow") == 0)
                pthread_cond_wait(&journal.changed, &journal.lock);
        if (journal.failures > 0 && strcmp(placement->pod->name, "fails") == 0) {
                journal.failures--;
                r = cx_error_set(err, -EIO, "no such volume");
        }
        pthread_mutex_unlock(&journal.lock);
        return r;
}

static void unreserve(void *reservation)
{
        note("undone", reservation);
        free(reservation);
}

static void post_bind(void *reservation)
{
        note("settled", reservation);
        free(reservation);
}

static const struct plugin first_plugin = {.name = "First",
                                           .reserve = reserve_first,
                                           .pre_bind = pre_bind,
                                           .unreserve = unreserve,
                                           .post_bind = post_bind};
static const struct plugin second_plugin = {.name = "Second",
                                            .events = EVENT_NODE,
                                            .reserve = reserve_second,
                                            .unreserve = unreserve,
                                            .post_bind = post_bind};
static const struct plugin *const plugins[] = {&first_plugin, &second_plugin};

static void expect_journal(const char *wanted)
{
        assert_string_equal(journal.text.data, wanted);
        cx_buf_clear(&journal.text);
}

static void test_order(void **state)
{
        (void)state;
        struct world w;
        world_init_with(&w, plugins, CX_ARRAY_SIZE(plugins));
        world_node(&w, "n", "", "", "");
        json_auto_t *pod = world_pod_json("p", "", "");
        struct template *template = templates_get(w.templates, pod);
        struct decision decision;
        framework_schedule(&w.framework, "p", template, NULL, &decision);
        assert_string_equal(decision.node->name, "n");
        assert_int_equal(decision.reservation.count, 2);
        decision_release(&decision); // nobody took it
        expect_journal("reserved first p on n\nreserved second p on n\nundone second p on n\nundone first p on n\n");
        framework_schedule(&w.framework, "p", template, NULL, &decision);
        reservation_settle(&decision.reservation);
        decision_release(&decision);
        expect_journal("reserved first p on n\nreserved second p on n\nsettled first p on n\nsettled second p on n\n");
        // One that fails: the others are undone, and the pod waits for what may help this plugin.
        journal.refuse = true;
        framework_schedule(&w.framework, "p", template, NULL, &decision);
        journal.refuse = false;
        assert_null(decision.node);
        assert_string_equal(decision.message, "running Reserve plugin \"Second\": no more of it");
        assert_int_equal(decision.failed, 2);
        assert_true(cycle_helps(&w.cache, template, decision.failed, EVENT_NODE, NULL, NULL));
        assert_false(cycle_helps(&w.cache, template, decision.failed, EVENT_POD_GONE, NULL, NULL));
        decision_release(&decision);
        expect_journal("reserved first p on n\nundone first p on n\n");
        template_unref(w.templates, template);
        world_release(&w);
}

// --- the whole scheduler ---------------------------------------------------------------------------------------------

static void put(struct fake_api *api, const char *path, const char *text)
{
        json_t *object = quoted_json(text);
        pthread_mutex_lock(&api->lock);
        cx_map_set(&api->objects, path, object);
        fake_record(api, "ADDED", path, object);
        pthread_mutex_unlock(&api->lock);
}

static void put_pod(struct fake_api *api, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/api/v1/namespaces/a/pods/%s", name);
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata': {'name': '%s', 'namespace': 'a', 'uid': '%s'}, 'spec': {'containers': "
                                "[{'name': 'c'}]}}",
                                name, name);
        put(api, path, text);
}

static bool is_bound(struct fake_api *api, const char *name)
{
        char path[128];
        snprintf(path, sizeof path, "/api/v1/namespaces/a/pods/%s/binding/%s", name, name);
        pthread_mutex_lock(&api->lock);
        bool bound = cx_map_has(&api->objects, path);
        pthread_mutex_unlock(&api->lock);
        return bound;
}

static void test_scheduler(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct cx_informers *informers = cx_informers_new(api->rest);
        struct cx_events *events = cx_events_new(api->rest, "t", NULL);
        struct cx_metrics *metrics = cx_metrics_new();
        CX_ERROR err = CX_ERROR_INIT;
        put(api, "/api/v1/nodes/n",
            "{'metadata': {'name': 'n', 'uid': 'n'}, 'status': {'allocatable': {'pods': '10'}}}");
        struct plugins table;
        struct profiles profiles;
        plugins_init(&table, plugins, CX_ARRAY_SIZE(plugins));
        assert_int_equal(profiles_init(&profiles, &table, NULL, &err), 0);
        struct scheduler *scheduler = scheduler_new(&(struct scheduler_options){.rest = api->rest,
                                                                                .informers = informers,
                                                                                .events = events,
                                                                                .metrics = metrics,
                                                                                .profiles = &profiles,
                                                                                .backoff_first = CX_NS_PER_S,
                                                                                .backoff_max = 10 * CX_NS_PER_S});
        journal.hold = true;
        journal.failures = 1;
        assert_int_equal(scheduler_start(scheduler, &err), 0);
        put_pod(api, "slow");
        FAKE_WAIT(noted("reserved first a/slow"));
        put_pod(api, "quick"); // does not wait behind the first
        FAKE_WAIT(is_bound(api, "quick"));
        FAKE_WAIT(noted("settled second a/quick"));
        assert_false(is_bound(api, "slow"));
        pthread_mutex_lock(&journal.lock);
        journal.hold = false;
        pthread_cond_broadcast(&journal.changed);
        pthread_mutex_unlock(&journal.lock);
        FAKE_WAIT(is_bound(api, "slow"));
        FAKE_WAIT(noted("settled second a/slow"));
        // A failure gives back what was reserved, and the pod is scheduled anew.
        put_pod(api, "fails");
        FAKE_WAIT(is_bound(api, "fails"));
        FAKE_WAIT(noted("reserved first a/fails on n\nreserved second a/fails on n\nundone second a/fails on n\n"
                        "undone first a/fails on n\nreserved first a/fails on n\nreserved second a/fails on n\n"
                        "settled first a/fails on n\nsettled second a/fails on n\n"));
        scheduler_stop(scheduler);
        cx_informers_free(informers);
        scheduler_free(scheduler);
        profiles_release(&profiles);
        cx_events_free(events);
        cx_metrics_free(metrics);
        fake_api_free(api);
        cx_buf_release(&journal.text);
}

int main(void)
{
        cx_process_init();
        journal.text = (struct cx_buf)CX_BUF_INIT;
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_scheduler)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
