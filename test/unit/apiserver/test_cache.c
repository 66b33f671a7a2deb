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

static struct cx_stored *object(const char *key, const char *label, int64_t revision)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                                "\"labels\":{\"l\":\"%s\"}}}",
                                strchr(key, '/') + 1, label);
        return cx_stored_new(configmaps(), key, text, strlen(text), revision);
}

static void test_splice(void **state)
{
        CX_STORED *stored = object("ns/a", "x", 42), *later = cx_stored_with_revision(stored, 1234567);
        (void)state;
        json_auto_t *json = cx_stored_parse(stored);
        json_auto_t *again = cx_stored_parse(later);
        assert_string_equal(json_string_value(json_object_get(json_object_get(json, "metadata"), "resourceVersion")),
                            "42");
        assert_string_equal(json_string_value(json_object_get(json_object_get(again, "metadata"), "resourceVersion")),
                            "1234567");
        assert_string_equal(stored->name, "a");
        assert_string_equal(cx_stored_label(stored, "l"), "x");
        assert_null(cx_stored_new(configmaps(), "a", "no json", 7, 1));
}

static void wake(void *context)
{
        ++*(int *)context;
}

static void expect(struct cx_cache_watcher *watcher, int result, enum cx_event_type type, int64_t revision)
{
        enum cx_event_type got;
        struct cx_stored *stored = NULL;
        assert_int_equal(cx_cache_watch_next(watcher, &got, &stored), result);
        if (result != 1)
                return;
        assert_int_equal(got, type);
        assert_int_equal(stored->revision, revision);
        cx_stored_unref(stored);
}

static void test_selected_events(void **state)
{
        struct cx_cache *cache = cx_cache_new(configmaps());
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        int woken = 0;
        (void)state;
        assert_int_equal(cx_selector_parse_labels("l=x", &selector, NULL), 0);
        struct cx_cache_watcher watcher = {.filter = {.resource = configmaps(), .namespace = "ns", .labels = &selector},
                                           .wake = wake,
                                           .context = &woken};
        cx_cache_replace(cache, 10);
        assert_int_equal(cx_cache_watch(cache, &watcher, 10, NULL, NULL), 0);
        cx_cache_put(cache, object("ns/a", "x", 11));
        cx_cache_put(cache, object("ns/b", "y", 12));
        cx_cache_put(cache, object("other/a", "x", 13));
        cx_cache_put(cache, object("ns/a", "y", 14)); // leaves the selection
        cx_cache_put(cache, object("ns/b", "x", 15)); // comes into it
        cx_cache_delete(cache, "ns/b", 16);
        assert_int_equal(woken, 4);
        expect(&watcher, 1, CX_EVENT_ADDED, 11);
        expect(&watcher, 1, CX_EVENT_DELETED, 14);
        expect(&watcher, 1, CX_EVENT_ADDED, 15);
        expect(&watcher, 1, CX_EVENT_DELETED, 16);
        expect(&watcher, 0, 0, 0);
        cx_cache_unwatch(&watcher);
        assert_int_equal(cx_cache_watch(cache, &watcher, 14, NULL, NULL), 0); // resumes
        expect(&watcher, 1, CX_EVENT_ADDED, 15);
        cx_cache_unwatch(&watcher);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_cache_watch(cache, &watcher, 9, NULL, &err), -ESTALE);
        cx_cache_free(cache);
}

static void test_falling_behind(void **state)
{
        struct cx_cache *cache = cx_cache_new(configmaps());
        int woken = 0;
        (void)state;
        struct cx_cache_watcher watcher = {.filter = {.resource = configmaps()}, .wake = wake, .context = &woken};
        struct cx_stored_list initial = {0};
        cx_cache_load(cache, object("ns/b", "x", 1));
        cx_cache_load(cache, object("ns/a", "x", 1));
        cx_cache_replace(cache, 1);
        assert_int_equal(cx_cache_watch(cache, &watcher, -1, &initial, NULL), 0);
        assert_int_equal(initial.count, 2);
        assert_string_equal(initial.items[0]->key, "ns/a"); // sorted
        cx_stored_list_release(&initial);
        for (int i = 0; i <= CX_CACHE_WINDOW; i++)
                cx_cache_put(cache, object("ns/a", "x", 2 + i));
        expect(&watcher, -ESTALE, 0, 0);
        cx_cache_unwatch(&watcher);
        assert_int_equal(cx_cache_watch(cache, &watcher, CX_CACHE_WINDOW, NULL, NULL), 0);
        cx_cache_load(cache, object("ns/c", "x", 9999)); // read again: what was there is there until all is read
        assert_int_equal(cx_cache_count(cache), 2);
        cx_cache_unload(cache);
        cx_cache_load(cache, object("ns/d", "x", 9999));
        cx_cache_replace(cache, 9999); // positions are void
        expect(&watcher, -ESTALE, 0, 0);
        CX_STORED *present = cx_cache_get(cache, "ns/d");
        assert_non_null(present);
        assert_int_equal(cx_cache_count(cache), 1);
        cx_cache_unwatch(&watcher);
        cx_cache_free(cache);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_splice), cmocka_unit_test(test_selected_events),
                                           cmocka_unit_test(test_falling_behind)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
