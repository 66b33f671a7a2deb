// SPDX-License-Identifier: Apache-2.0
// The cache of forwarded answers: bounded by bytes, and no client pushes out what others asked for.
#include "addons/dns/cache.h"

#include "libcommon/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX ((size_t)1 << 20)

static bool has(struct answer_cache *cache, const char *name, size_t room)
{
        CX_CLEANUP(cx_freep) uint8_t *wire = NULL;
        size_t length;
        int64_t age;
        return answer_cache_get(cache, name, room, &wire, &length, &age) && wire[0] == *name && age == 0;
}

static void put(struct answer_cache *cache, const char *name, uint64_t client, size_t length, uint32_t ttl)
{
        CX_CLEANUP(cx_freep) uint8_t *wire = cx_alloc(length);
        wire[0] = (uint8_t)*name;
        answer_cache_put(cache, name, client, wire, length, ttl);
}

static void test_entries(void **state)
{
        struct answer_cache *cache = answer_cache_new(MAX);
        (void)state;
        put(cache, "a.example. 1", 1, 100, 30);
        assert_true(has(cache, "a.example. 1", 100));
        assert_false(has(cache, "a.example. 1", 99)); // it would not fit
        assert_false(has(cache, "a.example. 28", 512));
        size_t bytes = answer_cache_bytes(cache);
        put(cache, "a.example. 1", 2, 100, 30); // in its place
        assert_int_equal(answer_cache_bytes(cache), bytes);
        put(cache, "b.example. 1", 1, ANSWER_CACHE_ENTRY + 1, 30);
        put(cache, "c.example. 1", 1, 100, 0);
        assert_false(has(cache, "b.example. 1", 65535));
        assert_false(has(cache, "c.example. 1", 65535));
        answer_cache_free(cache);
}

static void test_bounds(void **state)
{
        struct answer_cache *cache = answer_cache_new(MAX);
        (void)state;
        for (int i = 0; i < 5000; i++) {
                char name[64];
                snprintf(name, sizeof name, "%d.example. 1", i);
                put(cache, name, (uint64_t)i, (size_t)(100 + i % ANSWER_CACHE_ENTRY), 30);
                assert_true(answer_cache_bytes(cache) <= MAX);
                assert_true(has(cache, name, 65535));
        }
        assert_true(answer_cache_bytes(cache) > MAX / 2);
        answer_cache_free(cache);
}

static void test_clients(void **state)
{
        struct answer_cache *cache = answer_cache_new(MAX);
        (void)state;
        for (int i = 0; i < 10; i++) {
                char name[64];
                snprintf(name, sizeof name, "quiet%d.example. 1", i);
                put(cache, name, 1, 500, 30);
        }
        for (int i = 0; i < 5000; i++) {
                char name[64];
                snprintf(name, sizeof name, "loud%d.example. 1", i);
                put(cache, name, 2, 1000, 30);
        }
        assert_true(has(cache, "quiet0.example. 1", 512));
        assert_true(has(cache, "quiet9.example. 1", 512));
        assert_false(has(cache, "loud0.example. 1", 65535));
        assert_true(has(cache, "loud4999.example. 1", 65535));
        answer_cache_free(cache);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_entries), cmocka_unit_test(test_bounds),
                                           cmocka_unit_test(test_clients)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
