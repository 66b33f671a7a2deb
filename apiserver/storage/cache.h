// SPDX-License-Identifier: Apache-2.0
// The watch cache of one stored resource: a sorted map of its objects and a window of past events. Filled by the store's
// one etcd watch, read by everything else. Watchers walk the window with a position of their own, so an event is kept
// once however many watch; a watcher that falls out of the window is ended and starts again.
//
// Locks: a cache's rwlock guards items, window and watchers; a watcher's own state belongs to its reader.
#pragma once

#include "apiserver/storage/stored.h"

#include <pthread.h>

#define CX_CACHE_WINDOW 4096

enum cx_event_type { CX_EVENT_ADDED, CX_EVENT_MODIFIED, CX_EVENT_DELETED };

struct cx_cache_event {
        enum cx_event_type type;
        struct cx_stored *object;   // after the event; of a deletion: the last state under the deleting revision
        struct cx_stored *previous; // before it; NULL for ADDED
};

struct cx_cache_watcher;

struct cx_cache {
        const struct cx_resource *resource;
        pthread_rwlock_t lock;
        struct cx_stored **items; // sorted by key
        size_t count, capacity;
        struct cx_stored **loading; // what the next contents will be; the loading thread's only
        size_t n_loading;
        struct cx_cache_event window[CX_CACHE_WINDOW];
        uint64_t next_event;  // number of the next event; event n is at window[n % CX_CACHE_WINDOW]
        uint64_t first_event; // oldest event that is still there
        int64_t floor;        // events after this revision are in the window
        struct cx_cache_watcher *watchers;
        uint64_t generation; // bumped by a reload: positions of older generations are void
};

struct cx_cache *cx_cache_new(const struct cx_resource *resource);
void cx_cache_free(struct cx_cache *cache);

// --- filling; the store's thread only ---
// New contents are gathered beside the old ones, which are read until all is there. Then they take their place as of
// `revision`, and all watchers of before are ended.
void cx_cache_load(struct cx_cache *cache, struct cx_stored *object_steal);
void cx_cache_replace(struct cx_cache *cache, int64_t revision);
void cx_cache_unload(struct cx_cache *cache); // what was gathered is dropped
void cx_cache_put(struct cx_cache *cache, struct cx_stored *object_steal);
void cx_cache_delete(struct cx_cache *cache, const char *key, int64_t revision);

// --- reading ---
struct cx_stored *cx_cache_get(struct cx_cache *cache, const char *key); // new reference or NULL
struct cx_stored_list {
        struct cx_stored **items; // references
        size_t count;
};
void cx_stored_list_release(struct cx_stored_list *list);
void cx_stored_list_truncate(struct cx_stored_list *list, size_t count); // keeps the first
#define CX_STORED_LIST CX_CLEANUP(cx_stored_list_release) struct cx_stored_list
void cx_cache_list(struct cx_cache *cache, const struct cx_filter *filter, struct cx_stored_list *ret_list);
size_t cx_cache_count(struct cx_cache *cache);

// --- watching ---
struct cx_cache_watcher {
        struct cx_cache_watcher *next, *previous;
        struct cx_cache *cache;
        struct cx_filter filter; // borrowed parts live as long as the watcher
        uint64_t position, generation;
        void (*wake)(void *context); // called under the cache's lock, on the store's thread: must only wake
        void *context;
};
// Registers from `revision` (events after it will be seen), or, when negative, from now with the present objects in
// ret_initial. -ESTALE (reason EXPIRED) when the window does not reach back.
int cx_cache_watch(struct cx_cache *cache, struct cx_cache_watcher *watcher, int64_t revision,
                   struct cx_stored_list *ret_initial, struct cx_error *err) CX_CHECK;
void cx_cache_unwatch(struct cx_cache_watcher *watcher);
// The next event that matters to the watcher: 1 with ret_type and a reference in ret_object, 0 when there is none yet,
// -ESTALE when the watcher was too slow or the cache was reloaded.
int cx_cache_watch_next(struct cx_cache_watcher *watcher, enum cx_event_type *ret_type, struct cx_stored **ret_object);
