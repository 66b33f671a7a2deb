// SPDX-License-Identifier: Apache-2.0
// The map of objects and its indexes.
#include "libcommon/client/store.h"

struct index_bucket {
        const struct cx_object **items; // borrowed from the store
        size_t count;
};

static void free_bucket(void *value)
{
        struct index_bucket *bucket = value;
        free(bucket->items);
        free(bucket);
}

static void free_object(void *value)
{
        cx_object_unref(value);
}

void cx_store_init(struct cx_store *store)
{
        *store = (struct cx_store){.objects = CX_MAP_INIT_FREE(free_object)};
        pthread_rwlock_init(&store->lock, NULL);
}

void cx_store_release(struct cx_store *store)
{
        for (size_t i = 0; i < store->n_indexes; i++) {
                free(store->indexes[i].name);
                cx_map_release(&store->indexes[i].buckets);
        }
        free(store->indexes);
        cx_map_release(&store->objects);
        pthread_rwlock_destroy(&store->lock);
}

void cx_store_add_index(struct cx_store *store, const char *name, cx_store_index_keys keys, void *context)
{
        for (size_t i = 0; i < store->n_indexes; i++)
                if (cx_streq(store->indexes[i].name, name))
                        return;
        store->indexes = cx_realloc_array(store->indexes, store->n_indexes + 1, sizeof *store->indexes);
        store->indexes[store->n_indexes++] = (struct cx_store_index){
                .name = cx_strdup(name), .keys = keys, .context = context, .buckets = CX_MAP_INIT_FREE(free_bucket)};
}

static void bucket_add(struct cx_map *buckets, const char *key, const struct cx_object *object)
{
        struct index_bucket *bucket = cx_map_get(buckets, key);
        if (!bucket) {
                bucket = cx_alloc(sizeof *bucket);
                cx_map_set(buckets, key, bucket);
        }
        if ((bucket->count & (bucket->count - 1)) == 0)
                bucket->items =
                        cx_realloc_array(bucket->items, bucket->count ? bucket->count * 2 : 1, sizeof *bucket->items);
        bucket->items[bucket->count++] = object;
}

static void bucket_remove(struct cx_map *buckets, const char *key, const struct cx_object *object)
{
        struct index_bucket *bucket = cx_map_get(buckets, key);
        for (size_t i = 0; bucket && i < bucket->count; i++) {
                if (bucket->items[i] != object)
                        continue;
                bucket->items[i] = bucket->items[--bucket->count];
                if (!bucket->count)
                        cx_map_remove(buckets, key);
                else if ((bucket->count & (bucket->count - 1)) == 0) // the next add grows from a power of two
                        bucket->items = cx_realloc_array(bucket->items, bucket->count, sizeof *bucket->items);
                return;
        }
}

static void update_indexes(struct cx_store *store, const struct cx_object *object,
                           void (*change)(struct cx_map *, const char *, const struct cx_object *))
{
        for (size_t i = 0; i < store->n_indexes; i++) {
                struct cx_store_index *index = &store->indexes[i];
                CX_STRINGS keys = CX_STRINGS_INIT;
                index->keys(index->context, object, &keys);
                for (size_t j = 0; j < keys.count; j++)
                        change(&index->buckets, keys.items[j], object);
        }
}

const struct cx_object *cx_store_set(struct cx_store *store, const struct cx_object *object)
{
        pthread_rwlock_wrlock(&store->lock);
        const struct cx_object *old = cx_map_take(&store->objects, object->key);
        if (old)
                update_indexes(store, old, bucket_remove);
        cx_map_set(&store->objects, object->key, cx_object_ref(object));
        update_indexes(store, object, bucket_add);
        pthread_rwlock_unlock(&store->lock);
        return old;
}

const struct cx_object *cx_store_remove(struct cx_store *store, const char *key)
{
        pthread_rwlock_wrlock(&store->lock);
        const struct cx_object *old = cx_map_take(&store->objects, key);
        if (old)
                update_indexes(store, old, bucket_remove);
        pthread_rwlock_unlock(&store->lock);
        return old;
}

static void lock_shared(const struct cx_store *store)
{
        pthread_rwlock_rdlock((pthread_rwlock_t *)(uintptr_t)&store->lock);
}

static void unlock_shared(const struct cx_store *store)
{
        pthread_rwlock_unlock((pthread_rwlock_t *)(uintptr_t)&store->lock);
}

const struct cx_object *cx_store_get(const struct cx_store *store, const char *key)
{
        lock_shared(store);
        const struct cx_object *object = cx_map_get(&store->objects, key);
        if (object)
                cx_object_ref(object);
        unlock_shared(store);
        return object;
}

void cx_store_list(const struct cx_store *store, const char *namespace, struct cx_objects *ret_list)
{
        bool all = !namespace || !*namespace;
        if (!all) {
                for (size_t i = 0; i < store->n_indexes; i++) {
                        if (cx_streq(store->indexes[i].name, CX_INDEX_NAMESPACE)) {
                                cx_store_by_index(store, CX_INDEX_NAMESPACE, namespace, ret_list);
                                return;
                        }
                }
        }
        lock_shared(store);
        CX_MAP_FOREACH (&store->objects, entry) {
                const struct cx_object *object = entry->value;
                if (all || strcmp(object->namespace, namespace) == 0)
                        cx_objects_add(ret_list, object);
        }
        unlock_shared(store);
}

void cx_store_by_index(const struct cx_store *store, const char *index, const char *key, struct cx_objects *ret_list)
{
        lock_shared(store);
        for (size_t i = 0; i < store->n_indexes; i++) {
                if (!cx_streq(store->indexes[i].name, index))
                        continue;
                const struct index_bucket *bucket = cx_map_get(&store->indexes[i].buckets, key);
                for (size_t j = 0; bucket && j < bucket->count; j++)
                        cx_objects_add(ret_list, bucket->items[j]);
        }
        unlock_shared(store);
}

size_t cx_store_count(const struct cx_store *store)
{
        lock_shared(store);
        size_t count = store->objects.count;
        unlock_shared(store);
        return count;
}
