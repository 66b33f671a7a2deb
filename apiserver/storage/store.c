// SPDX-License-Identifier: Apache-2.0
// etcd behind one watch: what is loaded and what the watch tells goes to the caches of its prefix; writes are
// conditional transactions. Values are sealed and opened on their way (encryption.h).
#include "apiserver/storage/store.h"

#include "apiserver/storage/encryption.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <semaphore.h>
#include <sys/stat.h>

#define ROOT "/registry/"
#define MAX_PREFIX 256
#define LOAD_PAGE 500
#define STOP_LIMIT (2 * CX_NS_PER_S)
#define TICK (CX_NS_PER_S / 2)
#define COMPACT_INTERVAL (300 * CX_NS_PER_S)
#define LEASE_SHARE (60 * CX_NS_PER_S) // objects that expire share a lease for so long

struct store {
        struct cx_etcd *etcd;
        struct cx_etcd_watch *watch;
        pthread_rwlock_t routes;       // guards by_prefix; taken before a cache's lock
        struct cx_map by_prefix;       // "pods", "services/specs" → the caches of that prefix (references), linked
        pthread_mutex_t loading;       // held by whoever fills caches; taken before routes
        bool started;                  // under loading
        pthread_rwlock_t keys;         // guards encryption; the last lock
        struct encryption *encryption; // NULL: values are plain
        char *encryption_path;         // read again when it changes; NULL: never. It and the next: the keeper's
        struct timespec encryption_read;
        struct progress *progress;
        pthread_t keeper;
        bool keeper_started;
        pthread_mutex_t lock; // guards all below
        pthread_cond_t wake;  // stopping or reload is set
        bool stopping, reload;
        int64_t lease, lease_ttl, lease_until;
};

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
        if (!cx_has_prefix(etcd_key, ROOT))
                return NULL;
        const char *path = etcd_key + strlen(ROOT), *end = strchr(path, '/');
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

// The object that a value of etcd holds; NULL with the reason when it cannot be read.
static struct stored *read_value(struct store *store, const struct cache *cache, const char *key,
                                 const struct cx_etcd_kv *kv, struct cx_error *err)
{
        CX_BUF plain = CX_BUF_INIT;
        const char *value = kv->value;
        size_t length = kv->value_length;
        uint32_t writer = 0;
        if (encryption_is_sealed(value, length)) {
                pthread_rwlock_rdlock(&store->keys);
                int r = encryption_open(store->encryption, cache->group, cache->resource, kv->key, value, length,
                                        &plain, &writer, err);
                pthread_rwlock_unlock(&store->keys);
                if (r < 0)
                        return NULL;
                value = plain.data;
                length = plain.length;
        }
        struct stored *object = stored_new(&cache->selectable, key, value, length, kv->mod_revision);
        if (object)
                object->writer = writer;
        else
                (void)cx_error_reason(err, CX_REASON_INTERNAL, "the value of %s is not an object", kv->key);
        return object;
}

static char *etcd_key(const struct cache *cache, const char *namespace, const char *name)
{
        return namespace && *namespace ? cx_sprintf(ROOT "%s/%s/%s", cache->prefix, namespace, name)
                                       : cx_sprintf(ROOT "%s/%s", cache->prefix, name);
}

static const char *map_key(const struct cache *cache, const char *etcd_key)
{
        return etcd_key + strlen(ROOT) + strlen(cache->prefix) + 1;
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
                struct stored *object = read_value(store, cache, key, &event->kv, &err);
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
        struct stored *object = read_value(store, cache, key, kv, &err);
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
                load_into(store, load->only, map_key(load->only, kv->key), kv);
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
                r = cx_etcd_range(load->store->etcd, start, to, *ret_revision, LOAD_PAGE, load_one, load, NULL, &more,
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
        int r = load_range(&load, ROOT, "/registry0", &revision, err);
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
        r = cx_etcd_watch_new(store->etcd, ROOT, "/registry0", revision + 1, false, &callbacks, &watch, err);
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
        CX_CLEANUP(cx_freep) char *from = cx_sprintf(ROOT "%s/", cache->prefix);
        CX_CLEANUP(cx_freep) char *to = cx_sprintf(ROOT "%s0", cache->prefix);
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

int store_encrypt(struct store *store, const char *path, bool reload, struct cx_error *err)
{
        store->encryption_read = changed_at(path);
        store->encryption_path = reload ? cx_strdup(path) : NULL;
        return encryption_load(path, &store->encryption, err);
}

static void *keeper_main(void *context)
{
        struct store *store = context;
        int64_t compact_at = cx_time_monotonic() + COMPACT_INTERVAL, compact_to = store_revision(store);
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
                if (cx_time_monotonic() >= compact_at) {
                        compact(store, compact_to);
                        compact_to = store_revision(store);
                        compact_at = cx_time_monotonic() + COMPACT_INTERVAL;
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

// --- objects ---

int store_read(struct store *store, struct cache *cache, const char *namespace, const char *name,
               struct stored **ret_object, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = etcd_key(cache, namespace, name);
        struct cx_etcd_kv kv = {0};
        int r = cx_etcd_get(store->etcd, key, &kv, NULL, err);
        if (r < 0)
                return r;
        struct stored *object = read_value(store, cache, map_key(cache, key), &kv, err);
        cx_etcd_kv_release(&kv);
        if (!object)
                return -EIO;
        *ret_object = object;
        return 0;
}

// Text for etcd: kind and apiVersion first, as upstream writes, and no resourceVersion.
static void encode(const json_t *object, struct cx_buf *to)
{
        json_auto_t *ordered = json_object();
        json_auto_t *metadata = json_copy(json_object_get(object, "metadata"));
        json_object_del(metadata, "resourceVersion");
        json_object_del(metadata, "selfLink");
        json_object_set(ordered, "kind", json_object_get(object, "kind"));
        json_object_set(ordered, "apiVersion", json_object_get(object, "apiVersion"));
        json_object_set(ordered, "metadata", metadata);
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)object, key, value) {
                if (!json_object_get(ordered, key))
                        json_object_set(ordered, key, value);
        }
        cx_json_dump(ordered, to);
}

static int lease_for(struct store *store, int64_t ttl, int64_t *ret_lease, struct cx_error *err)
{
        *ret_lease = 0;
        if (!ttl)
                return 0;
        pthread_mutex_lock(&store->lock);
        bool usable = store->lease && store->lease_ttl == ttl && cx_time_monotonic() < store->lease_until;
        int64_t lease = store->lease;
        pthread_mutex_unlock(&store->lock);
        if (!usable) {
                int r = cx_etcd_lease_grant(store->etcd, ttl + LEASE_SHARE / CX_NS_PER_S, &lease, err);
                if (r < 0)
                        return r;
                pthread_mutex_lock(&store->lock);
                store->lease = lease;
                store->lease_ttl = ttl;
                store->lease_until = cx_time_monotonic() + LEASE_SHARE;
                pthread_mutex_unlock(&store->lock);
        }
        *ret_lease = lease;
        return 0;
}

// The write is acknowledged by etcd already: not seeing it in the cache in time is worth a line, not an error.
static void wait_after_write(struct store *store, int64_t revision)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (store_wait(store, revision, &err) < 0 && !cx_error_is(&err, CX_REASON_UNAVAILABLE))
                cx_err(&err, "A write is not visible yet", "revision", CX_INT(revision));
}

// What was just written: the cache's own copy, unless it has moved on or has not come so far.
static struct stored *written(struct store *store, struct cache *cache, const char *key, const struct cx_buf *value,
                              int64_t revision)
{
        STORED *cached = cache_get(cache, key);
        if (cached && cached->revision == revision)
                return cx_steal(&cached);
        struct stored *object = stored_new(&cache->selectable, key, value->data, value->length, revision);
        if (object) {
                pthread_rwlock_rdlock(&store->keys);
                object->writer = encryption_writer(store->encryption, cache->group, cache->resource);
                pthread_rwlock_unlock(&store->keys);
        }
        return object;
}

static int seal(struct store *store, const struct cache *cache, const char *key, const struct cx_buf *value,
                struct cx_buf *to, struct cx_error *err)
{
        pthread_rwlock_rdlock(&store->keys);
        int r = encryption_seal(store->encryption, cache->group, cache->resource, key, value->data, value->length, to,
                                err);
        pthread_rwlock_unlock(&store->keys);
        return r;
}

bool store_would_rewrite(struct store *store, const struct cache *cache, const struct stored *object)
{
        pthread_rwlock_rdlock(&store->keys);
        uint32_t writer = encryption_writer(store->encryption, cache->group, cache->resource);
        pthread_rwlock_unlock(&store->keys);
        return object->writer != writer;
}

int store_put(struct store *store, const struct stored_place *place, const json_t *object, int64_t ttl,
              struct stored **ret_object, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = etcd_key(place->cache, place->namespace, place->name);
        CX_BUF value = CX_BUF_INIT, sealed = CX_BUF_INIT;
        int64_t lease = 0, revision = 0;
        encode(object, &value);
        int r = lease_for(store, ttl, &lease, err);
        if (r == 0)
                r = seal(store, place->cache, key, &value, &sealed, err);
        if (r < 0)
                return r;
        CX_ERROR why = CX_ERROR_INIT;
        r = cx_etcd_put(store->etcd, key, sealed.data, sealed.length, place->expected, lease, &revision, NULL, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT) && place->expected == 0)
                return cx_error_reason(err, CX_REASON_ALREADY_EXISTS, "%s already exists", key);
        if (r < 0)
                return cx_error_move(err, &why);
        wait_after_write(store, revision);
        *ret_object = written(store, place->cache, map_key(place->cache, key), &value, revision);
        return 0;
}

int store_delete(struct store *store, const struct stored_place *place, int64_t *ret_revision, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = etcd_key(place->cache, place->namespace, place->name);
        int64_t revision = 0;
        int r = cx_etcd_delete(store->etcd, key, place->expected, &revision, NULL, err);
        if (r < 0)
                return r;
        wait_after_write(store, revision);
        if (ret_revision)
                *ret_revision = revision;
        return 0;
}

// --- pages of the past ---

struct page {
        struct store *store;
        struct cache *cache;
        const struct filter *filter;
        struct stored_list *list;
        size_t limit;
        char *last_key;
        struct cx_error why; // something could not be read
};

static void add_to_page(void *context, struct cx_etcd_kv *kv)
{
        struct page *page = context;
        if (page->list->count == page->limit)
                return;
        struct stored *object = read_value(page->store, page->cache, map_key(page->cache, kv->key), kv,
                                           page->why.code ? NULL : &page->why);
        free(page->last_key);
        page->last_key = cx_steal(&kv->key);
        if (!object || !filter_matches(page->filter, &page->cache->selectable, object)) {
                stored_unref(object);
                return;
        }
        page->list->items = cx_realloc_array(page->list->items, page->list->count + 1, sizeof(struct stored *));
        page->list->items[page->list->count++] = object;
}

int store_page(struct store *store, struct cache *cache, const struct page_request *request,
               struct stored_list *ret_list, int64_t *ret_revision, bool *ret_more, struct cx_error *err)
{
        const struct filter *filter = request->filter;
        const char *prefix = cache->prefix;
        int64_t revision = request->revision;
        size_t limit = request->limit;
        bool one_namespace = filter->namespace && *filter->namespace;
        CX_CLEANUP(cx_freep)
        char *root =
                one_namespace ? cx_sprintf(ROOT "%s/%s/", prefix, filter->namespace) : cx_sprintf(ROOT "%s/", prefix);
        CX_CLEANUP(cx_freep) char *end = cx_sprintf("%.*s0", (int)strlen(root) - 1, root);
        CX_CLEANUP(cx_freep)
        char *start = request->after ? cx_sprintf(ROOT "%s/%s\x01", prefix, request->after) : cx_strdup(root);
        struct page page = {.store = store,
                            .cache = cache,
                            .filter = filter,
                            .list = ret_list,
                            .limit = limit,
                            .why = CX_ERROR_INIT};
        int r = 0;
        bool more = true;
        while (r == 0 && more && ret_list->count < limit) {
                size_t wanted = limit - ret_list->count;
                r = cx_etcd_range(store->etcd, start, end, revision, wanted < LOAD_PAGE ? (int64_t)wanted : LOAD_PAGE,
                                  add_to_page, &page, revision ? NULL : &revision, &more, err);
                if (r == 0 && page.last_key) {
                        free(start);
                        start = cx_sprintf("%s\x01", page.last_key);
                }
        }
        free(page.last_key);
        if (r == 0 && page.why.code)
                r = cx_error_move(err, &page.why);
        cx_error_release(&page.why);
        if (r < 0) {
                stored_list_release(ret_list);
                return r;
        }
        *ret_revision = revision;
        *ret_more = more;
        return 0;
}
