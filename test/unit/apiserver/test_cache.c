// SPDX-License-Identifier: Apache-2.0
// The watch cache: objects with their revision spliced in, events as selectors see them, resuming, and falling behind.
#include "apiserver/storage/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct cx_resource *configmaps(void)
{
        return cx_schema_resource("", "v1", "configmaps");
}

static struct selectable fields = {0}; // of config maps: none

static struct stored *object(const char *key, const char *label, int64_t revision)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                                "\"labels\":{\"l\":\"%s\"}}}",
                                strchr(key, '/') + 1, label);
        return stored_new(&fields, key, text, strlen(text), revision);
}

static void test_splice(void **state)
{
        STORED *stored = object("ns/a", "x", 42), *later = stored_with_revision(stored, 1234567);
        (void)state;
        json_auto_t *json = stored_parse(stored);
        json_auto_t *again = stored_parse(later);
        assert_string_equal(json_string_value(json_object_get(json_object_get(json, "metadata"), "resourceVersion")),
                            "42");
        assert_string_equal(json_string_value(json_object_get(json_object_get(again, "metadata"), "resourceVersion")),
                            "1234567");
        assert_string_equal(stored->name, "a");
        assert_string_equal(stored_label(stored, "l"), "x");
        assert_null(stored_new(&fields, "a", "no json", 7, 1));
}

// What is absent has the text of its type's zero value; some fields are not called by where they are.
static void test_selectable_fields(void **state)
{
        static const struct {
                const char *group, *version, *resource, *json, *field, *text;
        } cases[] = {
                {"", "v1", "nodes", "{}", "spec.unschedulable", "false"},
                {"", "v1", "nodes", "{\"spec\":{}}", "spec.unschedulable", "false"},
                {"", "v1", "nodes", "{\"spec\":{\"unschedulable\":true}}", "spec.unschedulable", "true"},
                {"", "v1", "pods", "{\"spec\":{}}", "spec.hostNetwork", "false"},
                {"", "v1", "pods", "{\"spec\":{\"hostNetwork\":true}}", "spec.hostNetwork", "true"},
                {"", "v1", "pods", "{\"spec\":{}}", "spec.nodeName", ""},
                {"", "v1", "pods", "{\"status\":{\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}", "status.podIPs", ""},
                {"", "v1", "pods", "{}", "status.phase", ""},
                {"", "v1", "replicationcontrollers", "{}", "status.replicas", "0"},
                {"apps", "v1", "replicasets", "{\"status\":{\"replicas\":3}}", "status.replicas", "3"},
                {"apps", "v1", "replicasets", "{}", "status.replicas", "0"},
                {"batch", "v1", "jobs", "{\"status\":{}}", "status.successful", "0"},
                {"batch", "v1", "jobs", "{\"status\":{\"succeeded\":2}}", "status.successful", "2"},
                {"", "v1", "namespaces", "{}", "status.phase", ""},
                {"", "v1", "secrets", "{}", "type", ""},
                {"", "v1", "services", "{}", "spec.clusterIP", ""},
                {"certificates.k8s.io", "v1", "certificatesigningrequests", "{}", "spec.signerName", ""},
                {"", "v1", "events", "{\"source\":{\"component\":\"a\"},\"reportingComponent\":\"b\"}", "source", "a"},
                {"", "v1", "events", "{\"source\":{},\"reportingComponent\":\"b\"}", "source", "b"},
                {"", "v1", "events", "{}", "source", ""},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                const struct cx_resource *resource =
                        cx_schema_resource(cases[i].group, cases[i].version, cases[i].resource);
                struct selectable selectable;
                selectable_copy(&selectable, resource);
                const char *rest = cases[i].json + 1;
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{\"metadata\":{}%s%s", *rest == '}' ? "" : ",", rest);
                STORED *stored = stored_new(&selectable, "a", text, strlen(text), 1);
                assert_true(resource_selects_field(resource, cases[i].field));
                assert_string_equal(stored_field(&selectable, stored, cases[i].field), cases[i].text);
                selectable_release(&selectable);
        }
}

static void wake(void *context)
{
        ++*(int *)context;
}

static void expect(struct cache_watcher *watcher, int result, enum event_type type, int64_t revision)
{
        enum event_type got;
        struct stored *stored = NULL;
        assert_int_equal(cache_watch_next(watcher, &got, &stored), result);
        if (result != 1)
                return;
        assert_int_equal(got, type);
        assert_int_equal(stored->revision, revision);
        stored_unref(stored);
}

static void test_selected_events(void **state)
{
        struct cache *cache = cache_new("configmaps", configmaps());
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        int woken = 0;
        (void)state;
        assert_int_equal(cx_selector_parse_labels("l=x", &selector, NULL), 0);
        struct cache_watcher watcher = {
                .filter = {.namespace = "ns", .labels = &selector}, .wake = wake, .context = &woken};
        cache_replace(cache, 10);
        assert_int_equal(cache_watch(cache, &watcher, 10, NULL, NULL), 0);
        cache_put(cache, object("ns/a", "x", 11));
        cache_put(cache, object("ns/b", "y", 12));
        cache_put(cache, object("other/a", "x", 13));
        cache_put(cache, object("ns/a", "y", 14)); // leaves the selection
        cache_put(cache, object("ns/b", "x", 15)); // comes into it
        cache_delete(cache, "ns/b", 16);
        assert_int_equal(woken, 4);
        expect(&watcher, 1, EVENT_ADDED, 11);
        expect(&watcher, 1, EVENT_DELETED, 14);
        expect(&watcher, 1, EVENT_ADDED, 15);
        expect(&watcher, 1, EVENT_DELETED, 16);
        expect(&watcher, 0, 0, 0);
        cache_unwatch(&watcher);
        assert_int_equal(cache_watch(cache, &watcher, 14, NULL, NULL), 0); // resumes
        expect(&watcher, 1, EVENT_ADDED, 15);
        cache_unwatch(&watcher);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cache_watch(cache, &watcher, 9, NULL, &err), -ESTALE);
        cache_unref(cache);
}

static void test_falling_behind(void **state)
{
        struct cache *cache = cache_new("configmaps", configmaps());
        int woken = 0;
        (void)state;
        struct cache_watcher watcher = {.wake = wake, .context = &woken};
        struct stored_list initial = {0};
        cache_load(cache, object("ns/b", "x", 1));
        cache_load(cache, object("ns/a", "x", 1));
        cache_replace(cache, 1);
        assert_int_equal(cache_watch(cache, &watcher, -1, &initial, NULL), 0);
        assert_int_equal(initial.count, 2);
        assert_string_equal(initial.items[0]->key, "ns/a"); // sorted
        stored_list_release(&initial);
        for (int i = 0; i <= CACHE_WINDOW; i++)
                cache_put(cache, object("ns/a", "x", 2 + i));
        expect(&watcher, -ESTALE, 0, 0);
        cache_unwatch(&watcher);
        assert_int_equal(cache_watch(cache, &watcher, CACHE_WINDOW, NULL, NULL), 0);
        cache_load(cache, object("ns/c", "x", 9999)); // read again: what was there is there until all is read
        assert_int_equal(cache_count(cache), 2);
        cache_unload(cache);
        cache_load(cache, object("ns/d", "x", 9999));
        cache_replace(cache, 9999); // positions are void
        expect(&watcher, -ESTALE, 0, 0);
        STORED *present = cache_get(cache, "ns/d");
        assert_non_null(present);
        assert_int_equal(cache_count(cache), 1);
        cache_unwatch(&watcher);
        cache_unref(cache);
}

// The window grows beneath a watcher, which misses nothing.
static void test_many_events(void **state CX_UNUSED)
{
        struct cache *cache = cache_new("configmaps", configmaps());
        int woken = 0;
        struct cache_watcher early = {.wake = wake, .context = &woken}, late = early;
        cache_load(cache, object("ns/a", "x", 1));
        cache_replace(cache, 1);
        assert_int_equal(cache_watch(cache, &early, 1, NULL, NULL), 0);
        for (int i = 2; i < 100; i++)
                cache_put(cache, object("ns/a", "x", i));
        assert_int_equal(cache_watch(cache, &late, 50, NULL, NULL), 0);
        for (int i = 2; i < 100; i++)
                expect(&early, 1, EVENT_MODIFIED, i);
        for (int i = 51; i < 100; i++)
                expect(&late, 1, EVENT_MODIFIED, i);
        cache_unwatch(&early);
        cache_unwatch(&late);
        cache_unref(cache);
}

// Old events make room, but not the last ones; young ones only when there are as many as there may be.
static void test_window(void **state)
{
        enum { MOST = 2 * CACHE_WINDOW_LEAST, OLD = EVENT_AGE + 1 };
        static const struct {
                int events, old; // how many of them are old when one more comes
                int left;
        } cases[] = {
                {10, 10, 11},
                {CACHE_WINDOW_LEAST, CACHE_WINDOW_LEAST, CACHE_WINDOW_LEAST},
                {CACHE_WINDOW_LEAST + 20, 10, CACHE_WINDOW_LEAST + 11},
                {CACHE_WINDOW_LEAST + 20, CACHE_WINDOW_LEAST + 20, CACHE_WINDOW_LEAST},
                {MOST, 0, MOST},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cache *cache = cache_new("configmaps", configmaps());
                struct cache_watcher watcher = {.wake = wake, .context = &(int){0}};
                cache_limit(cache, MOST);
                cache_load(cache, object("ns/a", "x", 1));
                cache_replace(cache, 1);
                for (int n = 0; n < cases[i].events; n++)
                        cache_put(cache, object("ns/a", "x", 2 + n));
                for (int n = 0; n < cases[i].old; n++)
                        cache->window[n].came -= OLD;
                int last = 2 + cases[i].events, first = last - cases[i].left;
                cache_put(cache, object("ns/a", "x", last));
                if (first > 1)
                        assert_int_equal(cache_watch(cache, &watcher, first - 1, NULL, NULL), -ESTALE);
                assert_int_equal(cache_watch(cache, &watcher, first, NULL, NULL), 0);
                for (int n = 0; n < cases[i].left; n++)
                        expect(&watcher, 1, EVENT_MODIFIED, first + 1 + n);
                cache_unwatch(&watcher);
                cache_unref(cache);
        }
}

// Where nothing happens any more, old events do not stay for good.
static void test_forget(void **state CX_UNUSED)
{
        enum { EVENTS = CACHE_WINDOW_LEAST + 20, OLD = EVENT_AGE + 1, LAST = 1 + EVENTS };
        struct cache *cache = cache_new("configmaps", configmaps());
        struct cache_watcher watcher = {.wake = wake, .context = &(int){0}};
        cache_load(cache, object("ns/a", "x", 1));
        cache_replace(cache, 1);
        cache_drop_old(cache); // there is nothing yet
        for (int n = 0; n < EVENTS; n++)
                cache_put(cache, object("ns/a", "x", 2 + n));
        static const struct {
                int old, floor;
        } cases[] = {{0, 1}, {5, 6}, {EVENTS, LAST - CACHE_WINDOW_LEAST}};
        for (size_t i = 0, old = 0; i < CX_ARRAY_SIZE(cases); i++) {
                for (; old < (size_t)cases[i].old; old++)
                        cache->window[old].came -= OLD;
                cache_drop_old(cache);
                assert_int_equal(cache_watch(cache, &watcher, cases[i].floor - 1, NULL, NULL), -ESTALE);
                assert_int_equal(cache_watch(cache, &watcher, cases[i].floor, NULL, NULL), 0);
                for (int n = cases[i].floor + 1; n <= LAST; n++)
                        expect(&watcher, 1, EVENT_MODIFIED, n);
                cache_unwatch(&watcher);
        }
        cache_unref(cache);
}

// Large objects, written as fast as may be, do not fill the memory.
static void test_large(void **state CX_UNUSED)
{
        enum { MB = 1 << 20, EVENTS = 3 * 64 };
        struct cache *cache = cache_new("configmaps", configmaps());
        struct cache_watcher watcher = {.wake = wake, .context = &(int){0}};
        CX_CLEANUP(cx_freep) char *label = cx_alloc(MB);
        memset(label, 'x', MB - 1);
        cache_load(cache, object("ns/a", "x", 1));
        cache_replace(cache, 1);
        for (int n = 0; n < EVENTS; n++) {
                cache_put(cache, object("ns/a", label, 2 + n));
                assert_in_range(cache->window_bytes, 1, CACHE_WINDOW_BYTES);
        }
        int last = 1 + EVENTS, floor = last - (int)(cache->next_event - cache->first_event);
        assert_in_range(last - floor, 60, 64);
        assert_int_equal(cache_watch(cache, &watcher, floor - 1, NULL, NULL), -ESTALE);
        assert_int_equal(cache_watch(cache, &watcher, floor, NULL, NULL), 0);
        for (int n = floor + 1; n <= last; n++)
                expect(&watcher, 1, EVENT_MODIFIED, n);
        cache_unwatch(&watcher);
        cache_delete(cache, "ns/a", last + 1);
        cache_replace(cache, last + 1);
        assert_int_equal(cache->window_bytes, 0);
        cache_unref(cache);
}

// A lease that ends takes more objects along in one revision than the window holds.
static void test_one_revision(void **state CX_UNUSED)
{
        enum { MOST = 4, COUNT = 3 * MOST };
        struct cache *cache = cache_new("configmaps", configmaps());
        struct cache_watcher watcher = {.wake = wake};
        CX_ERROR err = CX_ERROR_INIT;
        STORED_LIST none = {0};
        char key[16];
        cache_limit(cache, MOST);
        cache_fill(cache, 1);
        for (int i = 0; i < COUNT; i++) {
                (void)snprintf(key, sizeof key, "ns/%d", i);
                cache_put(cache, object(key, "x", 2));
        }
        assert_int_equal(cache_count(cache), COUNT);
        for (int i = 0; i < COUNT; i++) {
                (void)snprintf(key, sizeof key, "ns/%d", i);
                cache_delete(cache, key, 3);
        }
        assert_int_equal(cache_count(cache), 0);
        assert_int_equal(cache_watch(cache, &watcher, 2, &none, &err), -ESTALE); // not all of revision 3 is there
        cache_unref(cache);
}

// Opened while the server runs: what comes while the contents are read is applied on top of them.
static void test_filling_beside_events(void **state)
{
        struct cache *cache = cache_new("configmaps", configmaps());
        int woken = 0;
        (void)state;
        struct cache_watcher watcher = {.wake = wake, .context = &woken};
        cache_put(cache, object("ns/early", "x", 5)); // the contents have it
        cache_put(cache, object("ns/new", "x", 11));
        cache_put(cache, object("ns/kept", "y", 12));
        cache_delete(cache, "ns/gone", 13);
        cache_delete(cache, "ns/unknown", 14);
        assert_int_equal(cache_count(cache), 0);
        cache_load(cache, object("ns/early", "x", 5));
        cache_load(cache, object("ns/kept", "x", 6));
        cache_load(cache, object("ns/gone", "x", 7));
        cache_fill(cache, 10);
        cache_put(cache, object("ns/late", "x", 9)); // the watch was behind: the contents have it, or it has gone since
        cache_delete(cache, "ns/early", 8);
        assert_int_equal(cache_count(cache), 3);
        STORED *late = cache_get(cache, "ns/late"), *early = cache_get(cache, "ns/early");
        assert_null(late);
        assert_non_null(early);
        assert_int_equal(cache_watch(cache, &watcher, 10, NULL, NULL), 0);
        expect(&watcher, 1, EVENT_ADDED, 11);
        expect(&watcher, 1, EVENT_MODIFIED, 12);
        expect(&watcher, 1, EVENT_DELETED, 13);
        expect(&watcher, 0, 0, 0);
        cache_unwatch(&watcher);
        cache_unref(cache);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_splice),          cmocka_unit_test(test_selectable_fields),
                cmocka_unit_test(test_selected_events), cmocka_unit_test(test_falling_behind),
                cmocka_unit_test(test_window),          cmocka_unit_test(test_forget),
                cmocka_unit_test(test_large),           cmocka_unit_test(test_many_events),
                cmocka_unit_test(test_one_revision),    cmocka_unit_test(test_filling_beside_events)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
