// SPDX-License-Identifier: Apache-2.0
// Trees from an arena and from the heap side by side.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/format/json.h"
#include "libcommon/format/json_arena.h"

#include <pthread.h>

static json_t *parse(const char *text)
{
        json_t *json = NULL;
        assert_int_equal(cx_json_parse(text, strlen(text), false, &json, NULL), 0);
        return json;
}

static void test_reuse(void **state)
{
        (void)state;
        struct cx_json_arena arena = {0};
        json_t *outside = parse("{\"from\":\"the heap\"}");
        for (int i = 0; i < 3; i++) {
                cx_json_arena_open(&arena);
                json_t *inside = parse("{\"a\":[1,\"two\",{\"three\":null}]}");
                assert_true((char *)inside >= arena.block && (char *)inside < arena.block + arena.used);
                assert_string_equal(json_string_value(json_array_get(json_object_get(inside, "a"), 1)), "two");
                json_object_set_new(outside, "from", json_null()); // what is of the heap goes back to the heap
                json_decref(inside);
                cx_json_arena_close(&arena);
                json_decref(outside);
                outside = parse("{\"from\":\"the heap\"}");
                assert_false((char *)outside >= arena.block && (char *)outside < arena.block + arena.used);
        }
        json_decref(outside);
        cx_json_arena_release(&arena);
}

// More than a block holds.
static void test_large(void **state)
{
        (void)state;
        struct cx_json_arena arena = {0};
        CX_BUF text = CX_BUF_INIT;
        cx_buf_add_char(&text, '[');
        for (int i = 0; i < 20000; i++)
                cx_buf_printf(&text, "%s\"item %d\"", i ? "," : "", i);
        cx_buf_add_char(&text, ']');
        cx_json_arena_open(&arena);
        json_t *json = parse(text.data);
        assert_int_equal(json_array_size(json), 20000);
        assert_string_equal(json_string_value(json_array_get(json, 19999)), "item 19999");
        json_decref(json);
        cx_json_arena_close(&arena);
        cx_json_arena_release(&arena);
}

static void *elsewhere(void *argument)
{
        struct cx_json_arena *arena = argument;
        json_t *json = parse("[\"of another thread\"]");
        bool inside = (char *)json >= arena->block && (char *)json < arena->block + arena->used;
        json_decref(json);
        return inside ? arena : NULL;
}

static void test_threads(void **state)
{
        (void)state;
        struct cx_json_arena arena = {0};
        cx_json_arena_open(&arena);
        json_t *json = parse("[1]");
        pthread_t thread;
        void *inside = NULL;
        assert_int_equal(pthread_create(&thread, NULL, elsewhere, &arena), 0);
        pthread_join(thread, &inside);
        assert_null(inside);
        json_decref(json);
        cx_json_arena_close(&arena);
        cx_json_arena_release(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reuse),
                cmocka_unit_test(test_large),
                cmocka_unit_test(test_threads),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
