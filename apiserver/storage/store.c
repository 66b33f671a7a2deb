// SPDX-License-Identifier: Apache-2.0
// etcd behind one watch: what is loaded and what the watch tells goes to the caches of its prefix. One thread reads all
// again when the watch was lost, compacts, and looks whether the keys of encryption have changed.
#include "apiserver/storage/store_internal.h"
#include "libcommon/base/log.h"

#include <semaphore.h>
#include <sys/stat.h>

#define MAX_PREFIX 256
#define STOP_LIMIT (2 * CX_NS_PER_S)
#define TICK (CX_NS_PER_S / 2)
#define COMPACT_INTERVAL (300 * CX_NS_PER_S)

// --- which cache a key belongs to ---

static void free_caches(void *first)
{
        for (struct cache *cache = first, *next; cache; cache = next) {
                next = cache->next;
                cache_unref(cache);
        }
}

// The caches that an etcd key belongs to, and the map key within them. NULL: none of ours. Under the lock of routes.
static struct cache *route_locked(struct store *store, const char *etcd_key, const char **ret_key)
{
        if (!cx_has_prefix(etcd_key, STORE_ROOT))
                return NULL;
        const char *path = etcd_key + strlen(STORE_ROOT), *end = strchr(path, '/');
        for (int parts = 1; parts <= 2 && end; parts++, end = strchr(end + 1, '/')) {
                char prefix[MAX_PREFIX];
                size_t length = (size_t)(end - path);
                if (length >= sizeof prefix)
                        return NULL;
                memcpy(prefix, path, length);
                prefix[length] = '\0';
                struct cache *cache = cx_map_get(&store->by_prefix, prefix);
                if (cache) {
                        *ret_key = end + 1;
                        return cache;
                }
        }
        return NULL;
}

// --- following etcd ---

static void on_event(struct store *store, const struct cx_etcd_event *event)
{
        const char *key;
        for (struct cache *cache = route_locked(store, event->kv.key, &key); cache; cache = cache->next) {
                if (event->is_delete) {
                        cache_delete(cache, key, event->kv.mod_revision);
                        continue;
                }
                CX_ERROR err = CX_ERROR_INIT;
                struct stored *object = store_value(store, cache, key, &event->kv, &err);
                if (object) {
                        cache_put(cache, object);
                } else {
                        cx_err(&err, "A stored object is not readable", "key", event->kv.key);
                        cache_put_unreadable(cache, key, cx_error_text(&err), event->kv.mod_revision);
                }
        }
}

static void on_events(void *context, struct cx_etcd_event *events, size_t count, int64_t revision)
{
        struct store *store = context;
        pthread_rwlock_rdlock(&store->routes);
        for (size_t i = 0; i < count; i++)
                on_event(store, &events[i]);
        pthread_rwlock_unlock(&store->routes);
        progress_advance(store->progress, revision);
}

static void on_progress(void *context, int64_t revision)
{
        struct store *store = context;
        progress_advance(store->progress, revision);
}

static void on_watch_end(void *context, int64_t compact_revision CX_UNUSED, const struct cx_error *err)
{
        struct store *store = context;
        cx_err(err, "Watch on etcd ended; everything is read again");
        progress_follow(store->progress, false, 0);
        pthread_mutex_lock(&store->lock);
        store->reload = true;
        pthread_cond_broadcast(&store->wake);
        pthread_mutex_unlock(&store->lock);
}

// --- filling caches ---

struct load {
        struct store *store;
        struct cache *only; // NULL: all
        char *last_key;
};

static void load_into(struct store *store, struct cache *cache, const char *key, const struct cx_etcd_kv *kv)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct stored *object = store_value(store, cache, key, kv, &err);
        if (object) {
                cache_load(cache, object);
        } else {
                cx_err(&err, "A stored object is not readable", "key", kv->key);
                cache_load_unreadable(cache, key, cx_error_text(&err));
        }
}

static void load_one(void *context, struct cx_etcd_kv *kv)
{
        struct load *load = context;
        struct store *store = load->store;
        const char *key;
        if (load->only) {
                load_into(store, load->only, store_map_key(load->only, kv->key), kv);
        } else {
                pthread_rwlock_rdlock(&store->routes);
                for (struct cache *cache = route_locked(store, kv->key, &key); cache; cache = cache->next)
                        load_into(store, cache, key, kv);
                pthread_rwlock_unlock(&store->routes);
        }
        free(load->last_key);
        load->last_key = cx_steal(&kv->key);
}

// Reads [from, to) as of one revision, page by page.
static int load_range(struct load *load, const char *from, const char *to, int64_t *ret_revision, struct cx_error *err)
{
        int r = cx_etcd_revision(load->store->etcd, ret_revision, err);
        CX_CLEANUP(cx_freep) char *start = cx_strdup(from);
        for (bool more = true; r == 0 && more;) {
                r = cx_etcd_range(load->store->etcd, start, to, *ret_revision, STORE_PAGE, load_one, load, NULL, &more,
                                  err);
                // "\x01" would skip keys that go on with a smaller byte; none exist in names
                if (r == 0 && more) {
                        free(start);
                        start = cx_sprintf("%s\x01", load->last_key);
                }
        }
        free(cx_steal(&load->last_key));
        return r;
}

// Reads everything below /registry/ at one revision and starts the watch behind it. Until all has been read the caches
// stay as they were: a read that may be old must not find half of what there is.
static int load_all_locked(struct store *store, struct cx_error *err)
{
        struct load load = {.store = store};
        int64_t revision = 0;
        int r = load_range(&load, STORE_ROOT, "/registry0", &revision, err);
        pthread_rwlock_rdlock(&store->routes);
        CX_MAP_FOREACH (&store->by_prefix, entry) {
                for (struct cache *cache = entry->value; cache; cache = cache->next) {
                        if (r < 0)
                                cache_unload(cache);
                        else
                                cache_replace(cache, revision);
                }
        }
        pthread_rwlock_unlock(&store->routes);
        if (r < 0)
                return r;
        struct cx_etcd_watch_callbacks callbacks = {
                .on_events = on_events, .on_progress = on_progress, .on_end = on_watch_end, .context = store};
        progress_follow(store->progress, true, revision);
        struct cx_etcd_watch *watch = NULL;
        r = cx_etcd_watch_new(store->etcd, STORE_ROOT, "/registry0", revision + 1, false, &callbacks, &watch, err);
        pthread_mutex_lock(&store->lock);
        store->watch = watch;
        pthread_mutex_unlock(&store->lock);
        return r;
}

static int load_all(struct store *store, struct cx_error *err)
{
        pthread_mutex_lock(&store->loading);
        int r = load_all_locked(store, err);
        store->started = store->started || r == 0;
        pthread_mutex_unlock(&store->loading);
        return r;
}

static void add_route(struct store *store, struct cache *cache)
{
        pthread_rwlock_wrlock(&store->routes);
        cache->next = cx_map_take(&store->by_prefix, cache->prefix);
        cx_map_set(&store->by_prefix, cache->prefix, cache_ref(cache));
        pthread_rwlock_unlock(&store->routes);
}

void store_close(struct store *store, struct cache *cache)
{
        pthread_rwlock_wrlock(&store->routes);
        struct cache *first = cx_map_take(&store->by_prefix, cache->prefix), **at = &first;
        while (*at && *at != cache)
                at = &(*at)->next;
        bool found = *at;
        if (found)
                *at = cache->next;
        if (first)
                cx_map_set(&store->by_prefix, cache->prefix, first);
        pthread_rwlock_unlock(&store->routes);
        if (found)
                cache_unref(cache);
}

// Fills one cache while events for it wait.
static int load_cache(struct store *store, struct cache *cache, int64_t *ret_revision, struct cx_error *err)
{
        struct load load = {.store = store, .only = cache};
        CX_CLEANUP(cx_freep) char *from = cx_sprintf(STORE_ROOT "%s/", cache->prefix);
        CX_CLEANUP(cx_freep) char *to = cx_sprintf(STORE_ROOT "%s0", cache->prefix);
        int r = load_range(&load, from, to, ret_revision, err);
        if (r < 0)
                cache_unload(cache);
        else
                cache_fill(cache, *ret_revision);
        return r;
}

int store_open(struct store *store, const struct cx_resource *resource, struct cache **ret_cache, struct cx_error *err)
{
        struct cache *cache = cache_new(resource->prefix, resource);
        cache_limit(cache, (uint64_t)store->window);
        int64_t revision = 0;
        int r = 0;
        pthread_mutex_lock(&store->loading);
        add_route(store, cache);
        if (store->started)
                r = load_cache(store, cache, &revision, err);
        pthread_mutex_unlock(&store->loading);
        // Who reads the cache and then watches it begins where the others are.
        if (r == 0 && revision)
                r = store_wait(store, revision, err);
        if (r < 0) {
                store_close(store, cache);
                cache_unref(cache);
                return r;
        }
        *ret_cache = cache;
        return 0;
}

// --- waiting ---

struct blocked {
        struct waiter waiter;
        sem_t told;
        int result;
};

static void on_told(struct waiter *waiter, int result)
{
        struct blocked *blocked = (struct blocked *)waiter;
        blocked->result = result;
        sem_post(&blocked->told);
}

int store_waited(int result, struct cx_error *err)
{
        switch (result) {
        case 0:
                return 0;
        case -ETIMEDOUT:
                return cx_error_reason(err, CX_REASON_TIMEOUT, "the watch cache has not caught up with etcd in time");
        case -ECANCELED:
                if (err)
                        err->retry_after = 1;
                return cx_error_reason(err, CX_REASON_UNAVAILABLE, "the server is shutting down");
        default:
                return cx_error_reason(err, CX_REASON_UNAVAILABLE, "etcd cannot be reached");
        }
}

// revision < 0: until fresh.
static int wait_blocking(struct store *store, int64_t revision, struct cx_error *err)
{
        struct blocked blocked = {.waiter = {.done = on_told}};
        sem_init(&blocked.told, 0, 0);
        if (revision < 0)
                progress_await_fresh(store->progress, &blocked.waiter);
        else
                progress_await(store->progress, &blocked.waiter, revision);
        while (sem_wait(&blocked.told) < 0)
                ;
        sem_destroy(&blocked.told);
        return store_waited(blocked.result, err);
}

int store_wait(struct store *store, int64_t revision, struct cx_error *err)
{
        return wait_blocking(store, revision, err);
}

int store_sync(struct store *store, struct cx_error *err)
{
        return wait_blocking(store, -1, err);
}

static void nudge(void *context)
{
        struct store *store = context;
        pthread_mutex_lock(&store->lock);
        if (store->watch && !store->reload)
                cx_etcd_watch_request_progress(store->watch);
        pthread_mutex_unlock(&store->lock);
}

// --- the keeper: compaction, and reading all again after the watch was lost ---

static void reload(struct store *store)
{
        pthread_mutex_lock(&store->lock);
        struct cx_etcd_watch *old = cx_steal(&store->watch);
        pthread_mutex_unlock(&store->lock);
        cx_etcd_watch_free(old);
        CX_ERROR err = CX_ERROR_INIT;
        if (load_all(store, &err) == 0)
                return;
        cx_err(&err, "Cannot read the store again; will retry");
        pthread_mutex_lock(&store->lock);
        store->reload = true;
        pthread_mutex_unlock(&store->lock);
}

static struct timespec after(int64_t ns)
{
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        ns += time.tv_nsec;
        return (struct timespec){.tv_sec = time.tv_sec + ns / CX_NS_PER_S, .tv_nsec = ns % CX_NS_PER_S};
}

static void compact(struct store *store, int64_t revision)
{
        // Another apiserver may have done it: an error only means that there is nothing left to do.
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_etcd_compact(store->etcd, revision, &err) < 0)
                cx_debug(3, "Compaction was not done", "why", cx_error_text(&err));
}

// --- keys that change while the server runs ---

static struct timespec changed_at(const char *path)
{
        struct stat info;
        return path && stat(path, &info) == 0 ? info.st_mtim : (struct timespec){0};
}

// Takes over a configuration that has changed. What could not be read before may be readable now.
static void look_at_keys(struct store *store)
{
        struct timespec now = changed_at(store->encryption_path);
        struct encryption *encryption = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (!now.tv_sec ||
            (now.tv_sec == store->encryption_read.tv_sec && now.tv_nsec == store->encryption_read.tv_nsec))
                return;
        store->encryption_read = now;
        if (encryption_load(store->encryption_path, &encryption, &err) < 0) {
                cx_err(&err, "The changed encryption configuration is not taken over", "file", store->encryption_path);
                return;
        }
        pthread_rwlock_wrlock(&store->keys);
        struct encryption *before = store->encryption;
        store->encryption = encryption;
        pthread_rwlock_unlock(&store->keys);
        encryption_free(before);
        cx_info("Encryption configuration was read again", "file", store->encryption_path);
        bool missing = false;
        pthread_rwlock_rdlock(&store->routes);
        CX_MAP_FOREACH (&store->by_prefix, entry)
                for (struct cache *cache = entry->value; cache && !missing; cache = cache->next) {
                        CX_ERROR ignored = CX_ERROR_INIT;
                        missing = cache_check_readable(cache, NULL, NULL, &ignored) < 0;
                }
        pthread_rwlock_unlock(&store->routes);
        pthread_mutex_lock(&store->lock);
        store->reload = store->reload || missing;
        pthread_mutex_unlock(&store->lock);
}

void store_tend(struct store *store)
{
        pthread_rwlock_rdlock(&store->routes);
        CX_MAP_FOREACH (&store->by_prefix, entry)
                for (struct cache *cache = entry->value; cache; cache = cache->next)
                        cache_drop_old(cache);
        pthread_rwlock_unlock(&store->routes);
}

int store_encrypt(struct store *store, const char *path, bool reload, struct cx_error *err)
{
        store->encryption_read = changed_at(path);
        store->encryption_path = reload ? cx_strdup(path) : NULL;
        return encryption_load(path, &store->encryption, err);
}

void store_window(struct store *store, int64_t events)
{
        store->window = events;
}

void store_compact_every(struct store *store, int64_t interval)
{
        store->compact_every = interval;
}

static void *keeper_main(void *context)
{
        struct store *store = context;
        int64_t compact_at = cx_time_monotonic() + store->compact_every, compact_to = store_revision(store);
        pthread_mutex_lock(&store->lock);
        while (!store->stopping) {
                struct timespec tick = after(TICK);
                bool failed = store->reload; // the last try: the next one at the next tick
                while (!store->stopping && (failed || !store->reload) &&
                       pthread_cond_timedwait(&store->wake, &store->lock, &tick) != ETIMEDOUT)
                        ;
                bool again = store->reload && !store->stopping;
                store->reload = false;
                pthread_mutex_unlock(&store->lock);
                if (again)
                        reload(store);
                look_at_keys(store);
                progress_tick(store->progress);
                if (store->compact_every && cx_time_monotonic() >= compact_at) {
                        compact(store, compact_to);
                        compact_to = store_revision(store);
                        compact_at = cx_time_monotonic() + store->compact_every;
                }
                pthread_mutex_lock(&store->lock);
        }
        pthread_mutex_unlock(&store->lock);
        return NULL;
}

// --- life ---

struct store *store_new(struct cx_etcd *etcd)
{
        struct store *store = cx_alloc(sizeof *store);
        store->etcd = etcd;
        store->compact_every = COMPACT_INTERVAL;
        store->window = CACHE_WINDOW;
        store->by_prefix = (struct cx_map)CX_MAP_INIT_FREE(free_caches);
        pthread_rwlock_init(&store->routes, NULL);
        pthread_rwlock_init(&store->keys, NULL);
        pthread_mutex_init(&store->loading, NULL);
        pthread_mutex_init(&store->lock, NULL);
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&store->wake, &monotonic);
        pthread_condattr_destroy(&monotonic);
        store->progress = progress_new(etcd, nudge, store);
        return store;
}

int store_start(struct store *store, struct cx_error *err)
{
        int r = load_all(store, err);
        if (r < 0)
                return r;
        store->keeper_started = pthread_create(&store->keeper, NULL, keeper_main, store) == 0;
        if (!store->keeper_started)
                return cx_error_set(err, -EAGAIN, "cannot start the store's thread");
        (void)pthread_setname_np(store->keeper, "store-keeper");
        return 0;
}

void store_stop(struct store *store)
{
        if (!store)
                return;
        cx_etcd_hurry(store->etcd, STOP_LIMIT);
        progress_stop(store->progress);
}

void store_free(struct store *store)
{
        if (!store)
                return;
        pthread_mutex_lock(&store->lock);
        store->stopping = true;
        pthread_cond_broadcast(&store->wake);
        pthread_mutex_unlock(&store->lock);
        if (store->keeper_started)
                pthread_join(store->keeper, NULL);
        cx_etcd_watch_free(store->watch);
        progress_free(store->progress);
        cx_map_release(&store->by_prefix);
        pthread_rwlock_destroy(&store->routes);
        pthread_rwlock_destroy(&store->keys);
        encryption_free(store->encryption);
        free(store->encryption_path);
        pthread_mutex_destroy(&store->loading);
        pthread_mutex_destroy(&store->lock);
        pthread_cond_destroy(&store->wake);
        free(store);
}

bool store_ready(struct store *store)
{
        return progress_following(store->progress);
}

struct progress *store_progress(struct store *store)
{
        return store->progress;
}

int64_t store_revision(struct store *store)
{
        return progress_revision(store->progress);
}
