// SPDX-License-Identifier: Apache-2.0
// A hash map from strings to pointers (open addressing, keys copied), iterated in no order. Not for sharing between
// threads without a lock. The hash is keyed at random per process, so keys from outside cannot force collisions.
#pragma once

#include "libcommon/base/alloc.h"

struct cx_map_entry {
        char *key; // owned by the map
        void *value;
        uint64_t hash;
};

struct cx_map {
        struct cx_map_entry *entries; // NULL key: free; a private mark: removed
        size_t capacity, count, used;
        void (*free_value)(void *); // called for values that the map drops; NULL: values are not owned
};

#define CX_MAP_INIT                                                                                                    \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_MAP_INIT_FREE(fn)                                                                                           \
        {                                                                                                              \
                .free_value = (fn)                                                                                     \
        }
#define CX_MAP CX_CLEANUP(cx_map_release) struct cx_map

void *cx_map_get(const struct cx_map *map, const char *key); // borrowed; NULL when absent
bool cx_map_has(const struct cx_map *map, const char *key);
void cx_map_set(struct cx_map *map, const char *key, void *value); // replaces, freeing the old value
void *cx_map_take(struct cx_map *map, const char *key);            // removes and moves the value out
bool cx_map_remove(struct cx_map *map, const char *key);           // removes, freeing the value
void cx_map_clear(struct cx_map *map);
void cx_map_release(struct cx_map *map);
// Steps over the live entries: start with *cursor = 0; NULL at the end. Removing the current entry is allowed,
// adding is not.
struct cx_map_entry *cx_map_next(const struct cx_map *map, size_t *cursor);
#define CX_MAP_FOREACH(map, entry)                                                                                     \
        for (size_t cx_cursor_##entry = 0, cx_once_##entry = 1; cx_once_##entry; cx_once_##entry = 0)                  \
                for (struct cx_map_entry * entry; (entry = cx_map_next((map), &cx_cursor_##entry));)
uint64_t cx_hash(const void *data, size_t length); // SipHash-like, keyed at random per process
