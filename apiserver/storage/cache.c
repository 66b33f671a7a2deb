// SPDX-License-Identifier: Apache-2.0
// Items are a sorted array: found by halving, listed by walking, and a namespace is a stretch of it. The window is a
// ring that grows.
#include "apiserver/storage/cache.h"

#include "libcommon/base/time.h"

#include <assert.h>

struct cache *cache_new(const char *prefix, const struct cx_resource *resource)
{
        struct cache *cache = cx_alloc(sizeof *cache);
        atomic_init(&cache->references, 1);
        cache->prefix = cx_strdup(prefix);
        cache->group = cx_strdup(resource->storage_group);
        cache->resource = cx_strdup(resource->resource);
        cache->unreadable = cache->loading_unreadable = (struct cx_map)CX_MAP_INIT_FREE(free);
        selectable_copy(&cache->selectable, resource);
        pthread_rwlock_init(&cache->lock, NULL);
        cache->most = CACHE_WINDOW;
        return cache;
}

void cache_limit(struct cache *cache, uint64_t most)
{
        assert(most && most <= CACHE_WINDOW && !cache->next_event);
        cache->most = most;
}

static void clear_event(struct cache_event *event)
{
        stored_unref(event->object);
        stored_unref(event->previous);
        *event = (struct cache_event){0};
}

static struct cache_event *event_at(const struct cache *cache, uint64_t number)
{
        assert(cache->window_size); // there are events
        return &cache->window[number % cache->window_size];
}

static void clear_window(struct cache *cache)
{
        for (; cache->first_event < cache->next_event; cache->first_event++)
                clear_event(event_at(cache, cache->first_event));
        cache->window_bytes = 0;
}

static void clear_items(struct cache *cache)
{
        for (size_t i = 0; i < cache->count; i++)
                stored_unref(cache->items[i]);
        cache->count = 0;
}

static void clear_waiting(struct cache *cache)
{
        for (size_t i = 0; i < cache->n_waiting; i++)
                clear_event(&cache->waiting[i]);
        free(cache->waiting);
        cache->waiting = NULL;
        cache->n_waiting = 0;
}

struct cache *cache_ref(struct cache *cache)
{
        atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
        return cache;
}

void cache_unref(struct cache *cache)
{
        if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
                return;
        clear_window(cache);
        clear_items(cache);
        clear_waiting(cache);
        cache_unload(cache);
        free(cache->items);
        free(cache->window);
        selectable_release(&cache->selectable);
        free(cache->prefix);
        cx_map_release(&cache->unreadable);
        cx_map_release(&cache->loading_unreadable);
        free(cache->group);
        free(cache->resource);
        pthread_rwlock_destroy(&cache->lock);
        free(cache);
}

// Index of the first item whose key is not below `key`.
static size_t lower_bound(const struct cache *cache, const char *key)
{
        size_t low = 0, high = cache->count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (strcmp(cache->items[middle]->key, key) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static struct stored **find(const struct cache *cache, const char *key)
{
        size_t i = lower_bound(cache, key);
        return i < cache->count && strcmp(cache->items[i]->key, key) == 0 ? &cache->items[i] : NULL;
}

static void insert(struct cache *cache, struct stored *object_steal)
{
        if (cache->count == cache->capacity) {
                cache->capacity = cache->capacity ? cache->capacity * 2 : 16;
                cache->items = cx_realloc_array(cache->items, cache->capacity, sizeof(struct stored *));
        }
        size_t i = lower_bound(cache, object_steal->key);
        memmove(&cache->items[i + 1], &cache->items[i], (cache->count - i) * sizeof(struct stored *));
        cache->items[i] = object_steal;
        cache->count++;
}

static void wake_all(struct cache *cache)
{
        for (struct cache_watcher *watcher = cache->watchers; watcher; watcher = watcher->next)
                watcher->wake(watcher->context);
}

void cache_load(struct cache *cache, struct stored *object_steal)
{
        if (!(cache->n_loading & (cache->n_loading - 1))) // room is doubled at powers of two
                cache->loading = cx_realloc_array(cache->loading, cache->n_loading ? cache->n_loading * 2 : 1,
                                                  sizeof(struct stored *));
        cache->loading[cache->n_loading++] = object_steal;
}

static void take_loaded(struct cache *cache, int64_t revision)
{
        clear_window(cache);
        clear_items(cache);
        for (size_t i = 0; i < cache->n_loading; i++)
                insert(cache, cache->loading[i]);
        cache->n_loading = 0;
        cx_map_release(&cache->unreadable);
        cache->unreadable = cache->loading_unreadable;
        cache->loading_unreadable = (struct cx_map)CX_MAP_INIT_FREE(free);
        cache->floor = cache->loaded = revision;
        cache->filled = true;
        cache->generation++;
}

void cache_replace(struct cache *cache, int64_t revision)
{
        pthread_rwlock_wrlock(&cache->lock);
        take_loaded(cache, revision);
        clear_waiting(cache);
        wake_all(cache);
        pthread_rwlock_unlock(&cache->lock);
        cache_unload(cache);
}

void cache_unload(struct cache *cache)
{
        for (size_t i = 0; i < cache->n_loading; i++)
                stored_unref(cache->loading[i]);
        cx_map_clear(&cache->loading_unreadable);
        free(cache->loading);
        cache->loading = NULL;
        cache->n_loading = 0;
}

static bool event_matters(const struct cache_watcher *watcher, const struct cache_event *event,
                          enum event_type *ret_type)
{
        const struct selectable *fields = &watcher->cache->selectable;
        // An object that comes into or goes out of what a watcher selects is added or deleted to it.
        bool now = event->type != EVENT_DELETED && filter_matches(&watcher->filter, fields, event->object);
        bool before = event->previous && filter_matches(&watcher->filter, fields, event->previous);
        *ret_type = now && before ? EVENT_MODIFIED : now ? EVENT_ADDED : EVENT_DELETED;
        return now || before;
}

static void grow_window(struct cache *cache)
{
        size_t size = cache->window_size ? 2 * cache->window_size : 16;
        if (size > cache->most)
                size = cache->most;
        struct cache_event *window = cx_alloc_array(size, sizeof *window);
        for (uint64_t i = cache->first_event; i < cache->next_event; i++)
                window[i % size] = *event_at(cache, i);
        free(cache->window);
        cache->window = window;
        cache->window_size = size;
}

static uint64_t events_kept(const struct cache *cache)
{
        return cache->next_event - cache->first_event;
}

static void drop_oldest(struct cache *cache)
{
        struct cache_event *oldest = event_at(cache, cache->first_event);
        cache->floor = oldest->object->revision;
        cache->window_bytes -= oldest->object->length;
        clear_event(oldest);
        cache->first_event++;
}

// But for the last ones, however old those are.
static void drop_old(struct cache *cache, int64_t now, uint64_t least)
{
        while (events_kept(cache) > least && now - event_at(cache, cache->first_event)->came > EVENT_AGE)
                drop_oldest(cache);
}

static int64_t now_in_seconds(void)
{
        return cx_time_monotonic() / CX_NS_PER_S;
}

// For one more event: old ones go, then the window grows, then the oldest go.
static void make_room(struct cache *cache, int64_t now, size_t bytes)
{
        drop_old(cache, now, CACHE_WINDOW_LEAST - 1);
        while (events_kept(cache) &&
               (events_kept(cache) == cache->most || cache->window_bytes + bytes > CACHE_WINDOW_BYTES))
                drop_oldest(cache);
        if (events_kept(cache) == cache->window_size)
                grow_window(cache);
}

void cache_drop_old(struct cache *cache)
{
        pthread_rwlock_wrlock(&cache->lock);
        drop_old(cache, now_in_seconds(), CACHE_WINDOW_LEAST);
        pthread_rwlock_unlock(&cache->lock);
}

// Takes both references.
static void append(struct cache *cache, enum event_type type, struct stored *object, struct stored *previous)
{
        int64_t now = now_in_seconds();
        make_room(cache, now, object->length);
        struct cache_event *event = event_at(cache, cache->next_event);
        *event = (struct cache_event){.type = type, .object = object, .previous = previous, .came = now};
        cache->next_event++;
        cache->window_bytes += object->length;
        enum event_type ignored;
        for (struct cache_watcher *watcher = cache->watchers; watcher; watcher = watcher->next)
                if (event_matters(watcher, event, &ignored))
                        watcher->wake(watcher->context);
}

static void apply_put(struct cache *cache, struct stored *object_steal)
{
        (void)cx_map_remove(&cache->unreadable, object_steal->key);
        struct stored **place = find(cache, object_steal->key);
        struct stored *previous = place ? *place : NULL;
        stored_ref(object_steal);
        if (place)
                *place = object_steal;
        else
                insert(cache, object_steal);
        append(cache, previous ? EVENT_MODIFIED : EVENT_ADDED, object_steal, previous);
}

static void apply_delete(struct cache *cache, const char *key, int64_t revision)
{
        (void)cx_map_remove(&cache->unreadable, key);
        struct stored **place = find(cache, key);
        if (!place)
                return;
        struct stored *previous = *place;
        size_t i = (size_t)(place - cache->items);
        memmove(place, place + 1, (cache->count - i - 1) * sizeof *place);
        cache->count--;
        append(cache, EVENT_DELETED, stored_with_revision(previous, revision), previous);
}

// Takes the reference. Of a deletion it is a name for what has gone, with the revision.
static void let_wait(struct cache *cache, enum event_type type, struct stored *object)
{
        cache->waiting = cx_realloc_array(cache->waiting, cache->n_waiting + 1, sizeof *cache->waiting);
        cache->waiting[cache->n_waiting++] = (struct cache_event){.type = type, .object = object};
}

void cache_put(struct cache *cache, struct stored *object_steal)
{
        pthread_rwlock_wrlock(&cache->lock);
        if (!cache->filled)
                let_wait(cache, EVENT_MODIFIED, object_steal);
        else if (object_steal->revision > cache->loaded)
                apply_put(cache, object_steal);
        else
                stored_unref(object_steal); // the contents came with it
        pthread_rwlock_unlock(&cache->lock);
}

void cache_delete(struct cache *cache, const char *key, int64_t revision)
{
        static const char nothing[] = "{\"metadata\":{}}";
        pthread_rwlock_wrlock(&cache->lock);
        if (!cache->filled)
                let_wait(cache, EVENT_DELETED,
                         stored_new(&(struct selectable){0}, key, nothing, sizeof nothing - 1, revision));
        else if (revision > cache->loaded)
                apply_delete(cache, key, revision);
        pthread_rwlock_unlock(&cache->lock);
}

void cache_load_unreadable(struct cache *cache, const char *key, const char *why)
{
        cx_map_set(&cache->loading_unreadable, key, cx_strdup(why));
}

void cache_put_unreadable(struct cache *cache, const char *key, const char *why, int64_t revision)
{
        cache_delete(cache, key, revision); // nobody goes on with what it was before
        pthread_rwlock_wrlock(&cache->lock);
        cx_map_set(&cache->unreadable, key, cx_strdup(why));
        pthread_rwlock_unlock(&cache->lock);
}

static const char *why_unreadable(const struct cache *cache, const char *namespace, const char *name)
{
        if (name) {
                CX_CLEANUP(cx_freep)
                char *key = *cx_str(namespace) ? cx_sprintf("%s/%s", namespace, name) : cx_strdup(name);
                return cx_map_get(&cache->unreadable, key);
        }
        CX_CLEANUP(cx_freep) char *within = *cx_str(namespace) ? cx_sprintf("%s/", namespace) : cx_strdup("");
        CX_MAP_FOREACH (&cache->unreadable, entry)
                if (cx_has_prefix(entry->key, within))
                        return entry->value;
        return NULL;
}

int cache_check_readable(struct cache *cache, const char *namespace, const char *name, struct cx_error *err)
{
        int r = 0;
        pthread_rwlock_rdlock(&cache->lock);
        const char *why = cache->unreadable.count ? why_unreadable(cache, namespace, name) : NULL;
        if (why)
                r = cx_error_reason(err, CX_REASON_INTERNAL, "Internal error occurred: %s", why);
        pthread_rwlock_unlock(&cache->lock);
        return r;
}

void cache_fill(struct cache *cache, int64_t revision)
{
        pthread_rwlock_wrlock(&cache->lock);
        take_loaded(cache, revision);
        for (size_t i = 0; i < cache->n_waiting; i++) {
                struct cache_event *event = &cache->waiting[i];
                if (event->object->revision <= revision)
                        continue;
                if (event->type == EVENT_DELETED)
                        apply_delete(cache, event->object->key, event->object->revision);
                else
                        apply_put(cache, cx_steal(&event->object));
        }
        clear_waiting(cache);
        pthread_rwlock_unlock(&cache->lock);
        cache_unload(cache);
}

struct stored *cache_get(struct cache *cache, const char *key)
{
        pthread_rwlock_rdlock(&cache->lock);
        struct stored **place = find(cache, key);
        struct stored *object = place ? stored_ref(*place) : NULL;
        pthread_rwlock_unlock(&cache->lock);
        return object;
}

struct stored *cache_find(struct cache *cache, const char *namespace, const char *name)
{
        char key[600];
        int n = namespace && *namespace ? snprintf(key, sizeof key, "%s/%s", namespace, name)
                                        : snprintf(key, sizeof key, "%s", name);
        return n < (int)sizeof key ? cache_get(cache, key) : NULL;
}

json_t *cache_find_json(struct cache *cache, const char *namespace, const char *name)
{
        STORED *object = cache_find(cache, namespace, name);
        return object ? stored_parse(object) : NULL;
}

uint64_t cache_version(struct cache *cache)
{
        pthread_rwlock_rdlock(&cache->lock);
        uint64_t version = cache->next_event + (cache->generation << 40);
        pthread_rwlock_unlock(&cache->lock);
        return version;
}

size_t cache_count(struct cache *cache)
{
        pthread_rwlock_rdlock(&cache->lock);
        size_t count = cache->count;
        pthread_rwlock_unlock(&cache->lock);
        return count;
}

void stored_list_truncate(struct stored_list *list, size_t count)
{
        for (size_t i = count; i < list->count; i++)
                stored_unref(list->items[i]);
        if (count < list->count)
                list->count = count;
}

void stored_list_release(struct stored_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                stored_unref(list->items[i]);
        free(list->items);
        *list = (struct stored_list){0};
}

static void list_locked(struct cache *cache, const struct filter *filter, struct stored_list *ret_list)
{
        size_t from = 0, to = cache->count;
        if (filter->namespace && *filter->namespace) {
                // '0' follows '/' in ASCII: the end of the namespace's keys
                CX_CLEANUP(cx_freep) char *first = cx_sprintf("%s/", filter->namespace);
                CX_CLEANUP(cx_freep) char *end = cx_sprintf("%s0", filter->namespace);
                from = lower_bound(cache, first);
                to = lower_bound(cache, end);
        }
        ret_list->items = cx_alloc_array(to - from, sizeof(struct stored *));
        ret_list->count = 0;
        for (size_t i = from; i < to; i++)
                if (filter_matches(filter, &cache->selectable, cache->items[i]))
                        ret_list->items[ret_list->count++] = stored_ref(cache->items[i]);
}

void cache_list(struct cache *cache, const struct filter *filter, struct stored_list *ret_list)
{
        pthread_rwlock_rdlock(&cache->lock);
        list_locked(cache, filter, ret_list);
        pthread_rwlock_unlock(&cache->lock);
}

// Number of the first event after `revision`.
static uint64_t position_after(const struct cache *cache, int64_t revision)
{
        uint64_t low = cache->first_event, high = cache->next_event;
        while (low < high) {
                uint64_t middle = low + (high - low) / 2;
                if (event_at(cache, middle)->object->revision <= revision)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

int cache_watch(struct cache *cache, struct cache_watcher *watcher, int64_t revision, struct stored_list *ret_initial,
                struct cx_error *err)
{
        int r = 0;
        watcher->cache = NULL; // until it is registered
        watcher->previous = NULL;
        pthread_rwlock_wrlock(&cache->lock);
        watcher->generation = cache->generation;
        if (revision < 0) {
                list_locked(cache, &watcher->filter, ret_initial);
                watcher->position = cache->next_event;
        } else if (revision < cache->floor) {
                r = cx_error_reason(err, CX_REASON_EXPIRED, "too old resource version: %ld (%ld)", (long)revision,
                                    (long)cache->floor);
        } else {
                watcher->position = position_after(cache, revision);
        }
        if (r == 0) {
                watcher->cache = cache_ref(cache);
                watcher->next = cache->watchers;
                if (watcher->next)
                        watcher->next->previous = watcher;
                cache->watchers = watcher;
        }
        pthread_rwlock_unlock(&cache->lock);
        return r;
}

void cache_unwatch(struct cache_watcher *watcher)
{
        struct cache *cache = watcher->cache;
        pthread_rwlock_wrlock(&cache->lock);
        if (watcher->previous)
                watcher->previous->next = watcher->next;
        else
                cache->watchers = watcher->next;
        if (watcher->next)
                watcher->next->previous = watcher->previous;
        pthread_rwlock_unlock(&cache->lock);
        cache_unref(cache);
}

void cache_wake(struct cache *cache)
{
        pthread_rwlock_rdlock(&cache->lock);
        wake_all(cache);
        pthread_rwlock_unlock(&cache->lock);
}

int cache_watch_next(struct cache_watcher *watcher, enum event_type *ret_type, struct stored **ret_object)
{
        struct cache *cache = watcher->cache;
        int r = 0;
        pthread_rwlock_rdlock(&cache->lock);
        if (watcher->generation != cache->generation || watcher->position < cache->first_event)
                r = -ESTALE;
        while (r == 0 && watcher->position < cache->next_event) {
                struct cache_event *event = event_at(cache, watcher->position++);
                if (!event_matters(watcher, event, ret_type))
                        continue;
                // What left the selection is shown as it was, under the revision at which it left.
                if (*ret_type == EVENT_DELETED && event->type != EVENT_DELETED)
                        *ret_object = stored_with_revision(event->previous, event->object->revision);
                else
                        *ret_object = stored_ref(event->object);
                r = 1;
        }
        pthread_rwlock_unlock(&cache->lock);
        return r;
}
