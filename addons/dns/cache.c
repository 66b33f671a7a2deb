// SPDX-License-Identifier: Apache-2.0
// Clients share a fixed number of accounts: who sends from many addresses fills many of them, but none beyond the share of
// the others.
#include "addons/dns/cache.h"

#include "libcommon/base/map.h"
#include "libcommon/base/time.h"

#include <pthread.h>

#define ACCOUNTS 64
#define OVERHEAD 128 // of an entry: the map's part and the allocator's

struct cached {
        struct cached *older, *newer; // of the same account
        size_t account, bytes;        // bytes: all that it takes
        int64_t since, until;         // monotonic ns
        char *key;
        size_t length;
        uint8_t wire[];
};
struct account {
        struct cached *oldest, *newest;
        size_t bytes;
};
struct answer_cache {
        pthread_mutex_t lock; // guards all
        struct cx_map map;    // key → struct cached
        struct account accounts[ACCOUNTS];
        size_t bytes, max_bytes;
};

struct answer_cache *answer_cache_new(size_t max_bytes)
{
        struct answer_cache *cache = cx_alloc(sizeof *cache);
        cache->max_bytes = max_bytes;
        pthread_mutex_init(&cache->lock, NULL);
        return cache;
}

static void drop(struct answer_cache *cache, struct cached *cached)
{
        struct account *account = &cache->accounts[cached->account];
        *(cached->older ? &cached->older->newer : &account->oldest) = cached->newer;
        *(cached->newer ? &cached->newer->older : &account->newest) = cached->older;
        account->bytes -= cached->bytes;
        cache->bytes -= cached->bytes;
        cx_map_remove(&cache->map, cached->key);
        free(cached->key);
        free(cached);
}

void answer_cache_free(struct answer_cache *cache)
{
        if (!cache)
                return;
        for (size_t i = 0; i < ACCOUNTS; i++)
                while (cache->accounts[i].oldest)
                        drop(cache, cache->accounts[i].oldest);
        cx_map_release(&cache->map);
        pthread_mutex_destroy(&cache->lock);
        free(cache);
}

static void make_room(struct answer_cache *cache)
{
        while (cache->bytes > cache->max_bytes) {
                struct account *largest = cache->accounts;
                for (size_t i = 1; i < ACCOUNTS; i++)
                        if (cache->accounts[i].bytes > largest->bytes)
                                largest = &cache->accounts[i];
                drop(cache, largest->oldest);
        }
}

void answer_cache_put(struct answer_cache *cache, const char *key, uint64_t client, const uint8_t *wire, size_t length,
                      uint32_t ttl)
{
        if (length > ANSWER_CACHE_ENTRY)
                return;
        struct cached *cached = cx_alloc(sizeof *cached + length);
        cached->key = cx_strdup(key);
        cached->account = client % ACCOUNTS;
        cached->bytes = sizeof *cached + length + 2 * strlen(key) + OVERHEAD;
        cached->since = cx_time_monotonic();
        cached->until = cached->since + ttl * CX_NS_PER_S;
        cached->length = length;
        memcpy(cached->wire, wire, length);
        pthread_mutex_lock(&cache->lock);
        struct cached *before = cx_map_get(&cache->map, key);
        if (before)
                drop(cache, before);
        struct account *account = &cache->accounts[cached->account];
        cached->older = account->newest;
        *(account->newest ? &account->newest->newer : &account->oldest) = cached;
        account->newest = cached;
        account->bytes += cached->bytes;
        cache->bytes += cached->bytes;
        cx_map_set(&cache->map, key, cached);
        make_room(cache);
        pthread_mutex_unlock(&cache->lock);
}

bool answer_cache_get(struct answer_cache *cache, const char *key, size_t room, uint8_t **ret_wire, size_t *ret_length,
                      int64_t *ret_age)
{
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&cache->lock);
        const struct cached *cached = cx_map_get(&cache->map, key);
        bool found = cached && cached->until > now && cached->length <= room;
        if (found) {
                *ret_wire = cx_alloc(cached->length);
                memcpy(*ret_wire, cached->wire, cached->length);
                *ret_length = cached->length;
                *ret_age = (now - cached->since) / CX_NS_PER_S;
        }
        pthread_mutex_unlock(&cache->lock);
        return found;
}

size_t answer_cache_bytes(struct answer_cache *cache)
{
        pthread_mutex_lock(&cache->lock);
        size_t bytes = cache->bytes;
        pthread_mutex_unlock(&cache->lock);
        return bytes;
}
