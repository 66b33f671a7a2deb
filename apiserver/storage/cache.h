// SPDX-License-Identifier: Apache-2.0
// The watch cache of one stored resource: a sorted map of its objects and a window of past events. Filled by the
// store's one etcd watch, read by everything else. Watchers walk the window with a position of their own, so an event
// is kept once however many watch; a watcher that falls out of the window is ended and starts again. The window holds as
// many events as came within EVENT_AGE, but CACHE_WINDOW_LEAST at least and CACHE_WINDOW at most, or what cache_limit says:
// what changes often has a long one for as long as it does, and not for good.
//
// A cache that is opened while the server runs is filled beside the events that come meanwhile: those wait, and what
// the contents hold already is dropped.
//
// Locks: a cache's rwlock guards items, window, what waits, and watchers; a watcher's own state belongs to its reader.
#pragma once

#include "apiserver/storage/stored.h"
#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

#include <pthread.h>

#define CACHE_WINDOW 4096
#define CACHE_WINDOW_LEAST 128
// Of the events' objects: who writes large ones fast gets a shorter window.
#define CACHE_WINDOW_BYTES ((size_t)64 << 20)
#define EVENT_AGE 75 // seconds

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };

struct cache_event {
        enum event_type type;
        struct stored *object;   // after the event; of a deletion: the last state under the deleting revision
        struct stored *previous; // before it; NULL for ADDED
        int64_t came;            // on the monotonic clock, in seconds
};

struct cache_watcher;

struct cache {
        atomic_int references;
        struct cache *next;     // the store's: another one of the same prefix
        char *prefix;           // etcd: /registry/<prefix>/[<namespace>/]<name>
        char *group, *resource; // as configurations of encryption name what is kept here
        struct selectable selectable;
        pthread_rwlock_t lock;
        bool filled;
        struct cache_event *waiting; // events since before it is filled
        size_t n_waiting;
        struct stored **items; // sorted by key
        size_t count, capacity;
        struct stored **loading; // what the next contents will be; the loading thread's only
        size_t n_loading;
        // Objects that are there and cannot be read (their key of encryption is not there): why, by key. They are no
        // part of the items, and whoever asks for them is told.
        struct cx_map unreadable, loading_unreadable;
        struct cache_event *window;
        size_t window_size;   // as many as there were at once, and at most `most`: most kinds have few events
        size_t window_bytes;  // of the events' objects
        uint64_t most;        // events in the window
        uint64_t next_event;  // number of the next event; event n is at window[n % window_size]
        uint64_t first_event; // oldest event that is still there
        int64_t floor;        // events after this revision are in the window
        int64_t loaded;       // the contents came as of this revision; one revision may be many events
        struct cache_watcher *watchers;
        uint64_t generation; // bumped by a reload: positions of older generations are void
};

struct cache *cache_new(const char *prefix, const struct cx_resource *resource);
// How many events the window holds at most, up to CACHE_WINDOW. Before there are any.
void cache_limit(struct cache *cache, uint64_t most);
struct cache *cache_ref(struct cache *cache);
void cache_unref(struct cache *cache);

// --- filling; the store's threads only ---
// New contents are gathered beside the old ones, which are read until all is there. Then they take their place as of
// `revision`, and all watchers of before are ended.
void cache_load(struct cache *cache, struct stored *object_steal);
// The first contents, as of `revision`, and on top of them the events that have waited.
void cache_fill(struct cache *cache, int64_t revision);
void cache_replace(struct cache *cache, int64_t revision);
void cache_unload(struct cache *cache); // what was gathered is dropped
void cache_put(struct cache *cache, struct stored *object_steal);
void cache_delete(struct cache *cache, const char *key, int64_t revision);
// An object is there and cannot be read. While the contents are gathered, and from the watch.
void cache_load_unreadable(struct cache *cache, const char *key, const char *why);
void cache_put_unreadable(struct cache *cache, const char *key, const char *why, int64_t revision);
// Lets old events go where no new ones come that would push them out. Any thread, now and then.
void cache_drop_old(struct cache *cache);

// --- reading ---
struct stored *cache_get(struct cache *cache, const char *key); // new reference or NULL
// By namespace (NULL or "" for cluster-scoped) and name; decoded.
struct stored *cache_find(struct cache *cache, const char *namespace, const char *name);
json_t *cache_find_json(struct cache *cache, const char *namespace, const char *name);
struct stored_list {
        struct stored **items; // references
        size_t count;
};
void stored_list_release(struct stored_list *list);
void stored_list_truncate(struct stored_list *list, size_t count); // keeps the first
#define STORED_LIST CX_CLEANUP(stored_list_release) struct stored_list
// INTERNAL when something that is asked for cannot be read: the object `name`, or any of the namespace (name NULL), or
// any at all (namespace NULL or "", too).
int cache_check_readable(struct cache *cache, const char *namespace, const char *name, struct cx_error *err) CX_CHECK;
void cache_list(struct cache *cache, const struct filter *filter, struct stored_list *ret_list);
size_t cache_count(struct cache *cache);
uint64_t cache_version(struct cache *cache); // changes whenever the contents do

// --- watching ---
struct cache_watcher {
        struct cache_watcher *next, *previous;
        struct cache *cache;
        struct filter filter; // borrowed parts live as long as the watcher
        uint64_t position, generation;
        void (*wake)(void *context); // called under the cache's lock, on the store's thread: must only wake
        void *context;
};
// Registers from `revision` (events after it will be seen), or, when negative, from now with the present objects in
// ret_initial. -ESTALE (reason EXPIRED) when the window does not reach back.
int cache_watch(struct cache *cache, struct cache_watcher *watcher, int64_t revision, struct stored_list *ret_initial,
                struct cx_error *err) CX_CHECK;
void cache_unwatch(struct cache_watcher *watcher);
void cache_wake(struct cache *cache); // all watchers
// The next event that matters to the watcher: 1 with ret_type and a reference in ret_object, 0 when there is none yet,
// -ESTALE when the watcher was too slow or the cache was reloaded.
int cache_watch_next(struct cache_watcher *watcher, enum event_type *ret_type, struct stored **ret_object);
