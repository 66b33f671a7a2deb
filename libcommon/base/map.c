// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing; removed entries leave a mark until the table is made anew.
#include "libcommon/base/map.h"

#include <pthread.h>
#include <sys/random.h>

static char tombstone[1];
static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
        if (getrandom(seed, sizeof seed, 0) != sizeof seed)
                abort();
}

static inline uint64_t rotate(uint64_t x, int bits)
{
        return (x << bits) | (x >> (64 - bits));
}

#define SIP_ROUND                                                                                                      \
        do {                                                                                                           \
                v0 += v1, v1 = rotate(v1, 13) ^ v0, v0 = rotate(v0, 32);                                               \
                v2 += v3, v3 = rotate(v3, 16) ^ v2;                                                                    \
                v0 += v3, v3 = rotate(v3, 21) ^ v0;                                                                    \
                v2 += v1, v1 = rotate(v1, 17) ^ v2, v2 = rotate(v2, 32);                                               \
        } while (0)

// SipHash-1-3 (Aumasson, Bernstein 2012, with fewer rounds as hash tables use it).
uint64_t cx_hash(const void *data, size_t length)
{
        pthread_once(&seed_once, make_seed);
        uint64_t v0 = 0x736f6d6570736575 ^ seed[0], v1 = 0x646f72616e646f6d ^ seed[1];
        uint64_t v2 = 0x6c7967656e657261 ^ seed[0], v3 = 0x7465646279746573 ^ seed[1];
        const unsigned char *p = data;
        size_t left = length;
        for (; left >= 8; p += 8, left -= 8) {
                uint64_t word;
                memcpy(&word, p, 8);
                v3 ^= word;
                SIP_ROUND;
                v0 ^= word;
        }
        uint64_t last = (uint64_t)length << 56;
        for (size_t i = 0; i < left; i++)
                last |= (uint64_t)p[i] << (8 * i);
        v3 ^= last;
        SIP_ROUND;
        v0 ^= last;
        v2 ^= 0xff;
        SIP_ROUND;
        SIP_ROUND;
        SIP_ROUND;
        return v0 ^ v1 ^ v2 ^ v3;
}

static struct cx_map_entry *find(const struct cx_map *map, const char *key, uint64_t hash)
{
        if (!map->capacity)
                return NULL;
        for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
                struct cx_map_entry *entry = &map->entries[i];
                if (!entry->key)
                        return NULL;
                if (entry->key != tombstone && entry->hash == hash && strcmp(entry->key, key) == 0)
                        return entry;
        }
}

static void insert(struct cx_map *map, char *key, void *value, uint64_t hash)
{
        size_t i = hash & (map->capacity - 1);
        while (map->entries[i].key)
                i = (i + 1) & (map->capacity - 1);
        map->entries[i] = (struct cx_map_entry){.key = key, .value = value, .hash = hash};
        map->count++;
        map->used++;
}

static void resize(struct cx_map *map)
{
        size_t capacity = 8;
        while (capacity < map->count * 2 + 2)
                capacity *= 2;
        struct cx_map_entry *old = map->entries;
        size_t n = map->capacity;
        map->entries = cx_alloc_array(capacity, sizeof *map->entries);
        map->capacity = capacity;
        map->count = map->used = 0;
        for (size_t i = 0; i < n; i++)
                if (old[i].key && old[i].key != tombstone)
                        insert(map, old[i].key, old[i].value, old[i].hash);
        free(old);
}

void *cx_map_get(const struct cx_map *map, const char *key)
{
        if (!map->count)
                return NULL;
        struct cx_map_entry *entry = find(map, key, cx_hash(key, strlen(key)));
        return entry ? entry->value : NULL;
}

bool cx_map_has(const struct cx_map *map, const char *key)
{
        return map->count && find(map, key, cx_hash(key, strlen(key)));
}

void cx_map_set(struct cx_map *map, const char *key, void *value)
{
        uint64_t hash = cx_hash(key, strlen(key));
        struct cx_map_entry *entry = find(map, key, hash);
        if (entry) {
                if (map->free_value && entry->value && entry->value != value)
                        map->free_value(entry->value);
                entry->value = value;
                return;
        }
        if ((map->used + 1) * 4 > map->capacity * 3)
                resize(map);
        insert(map, cx_strdup(key), value, hash);
}

void *cx_map_take(struct cx_map *map, const char *key)
{
        struct cx_map_entry *entry = map->count ? find(map, key, cx_hash(key, strlen(key))) : NULL;
        if (!entry)
                return NULL;
        void *value = entry->value;
        free(entry->key);
        *entry = (struct cx_map_entry){.key = tombstone};
        map->count--;
        return value;
}

bool cx_map_remove(struct cx_map *map, const char *key)
{
        if (!cx_map_has(map, key))
                return false;
        void *value = cx_map_take(map, key);
        if (map->free_value && value)
                map->free_value(value);
        return true;
}

void cx_map_clear(struct cx_map *map)
{
        for (size_t i = 0; i < map->capacity; i++) {
                struct cx_map_entry *entry = &map->entries[i];
                if (!entry->key || entry->key == tombstone)
                        continue;
                free(entry->key);
                if (map->free_value && entry->value)
                        map->free_value(entry->value);
        }
        free(map->entries);
        map->entries = NULL;
        map->capacity = map->count = map->used = 0;
}

void cx_map_release(struct cx_map *map)
{
        cx_map_clear(map);
}

struct cx_map_entry *cx_map_next(const struct cx_map *map, size_t *cursor)
{
        while (*cursor < map->capacity) {
                struct cx_map_entry *entry = &map->entries[(*cursor)++];
                if (entry->key && entry->key != tombstone)
                        return entry;
        }
        return NULL;
}
