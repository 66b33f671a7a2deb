// SPDX-License-Identifier: Apache-2.0
// Single objects: as etcd has them now, as they are written and deleted (one transaction on the mod revision), and pages
// of them as they were. Values are sealed and opened on their way (encryption.h).
#include "apiserver/storage/store_internal.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

#include <assert.h>

#define LEASE_SHARE (60 * CX_NS_PER_S) // objects that expire share a lease for so long

// --- keys and values ---

struct stored *store_value(struct store *store, const struct cache *cache, const char *key, const struct cx_etcd_kv *kv,
                           struct cx_error *err)
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

char *store_etcd_key(const struct cache *cache, const char *namespace, const char *name)
{
        return namespace && *namespace ? cx_sprintf(STORE_ROOT "%s/%s/%s", cache->prefix, namespace, name)
                                       : cx_sprintf(STORE_ROOT "%s/%s", cache->prefix, name);
}

const char *store_map_key(const struct cache *cache, const char *etcd_key)
{
        return etcd_key + strlen(STORE_ROOT) + strlen(cache->prefix) + 1;
}

// --- objects ---

int store_read(struct store *store, struct cache *cache, const char *namespace, const char *name,
               struct stored **ret_object, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = store_etcd_key(cache, namespace, name);
        struct cx_etcd_kv kv = {0};
        int r = cx_etcd_get(store->etcd, key, &kv, NULL, err);
        if (r < 0)
                return r;
        struct stored *object = store_value(store, cache, store_map_key(cache, key), &kv, err);
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

// What goes to etcd, and the plain text of it.
struct encoded {
        char *key;
        struct cx_buf value, sealed;
};

static void encoded_release(struct encoded *encoded, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                free(encoded[i].key);
                cx_buf_release(&encoded[i].value);
                cx_buf_release(&encoded[i].sealed);
        }
}

static int encode_write(struct store *store, const struct store_write *write, struct encoded *to,
                        struct cx_etcd_write *ret_write, struct cx_error *err)
{
        const struct stored_place *place = &write->place;
        int64_t lease = 0;
        to->key = store_etcd_key(place->cache, place->namespace, place->name);
        encode(write->object, &to->value);
        int r = lease_for(store, write->ttl, &lease, err);
        if (r == 0)
                r = seal(store, place->cache, to->key, &to->value, &to->sealed, err);
        *ret_write = (struct cx_etcd_write){to->key, to->sealed.data, to->sealed.length, place->expected, lease};
        return r;
}

int store_commit(struct store *store, const struct store_transaction *transaction, struct stored **ret_first,
                 size_t *ret_conflict, struct cx_error *err)
{
        const struct store_write *writes = transaction->writes;
        size_t count = transaction->count, conflict = 0;
        struct encoded encoded[STORE_MAX_WRITES];
        struct cx_etcd_write raw[STORE_MAX_WRITES];
        CX_CLEANUP(cx_freep) char *guarded = NULL;
        int64_t revision = 0;
        int r = 0;
        assert(count > 0 && count <= STORE_MAX_WRITES);
        for (size_t i = 0; i < count; i++) {
                encoded[i] = (struct encoded){.value = CX_BUF_INIT, .sealed = CX_BUF_INIT};
                if (r == 0)
                        r = encode_write(store, &writes[i], &encoded[i], &raw[i], err);
        }
        if (transaction->guarded)
                guarded = store_etcd_key(transaction->guarded, transaction->guarded_namespace, "");
        CX_ERROR why = CX_ERROR_INIT;
        if (r == 0)
                r = cx_etcd_commit(store->etcd, &(struct cx_etcd_transaction){raw, count, guarded, transaction->newest},
                                   &revision, &conflict, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT) && conflict < count && writes[conflict].place.expected == 0)
                r = cx_error_reason(err, CX_REASON_ALREADY_EXISTS, "%s already exists", encoded[conflict].key);
        else if (why.code)
                r = cx_error_move(err, &why);
        if (r == 0)
                wait_after_write(store, revision);
        if (r == 0 && ret_first)
                *ret_first = written(store, writes->place.cache, store_map_key(writes->place.cache, encoded->key),
                                     &encoded->value, revision);
        encoded_release(encoded, count);
        if (ret_conflict)
                *ret_conflict = conflict;
        return r;
}

int store_put(struct store *store, const struct stored_place *place, const json_t *object, int64_t ttl,
              struct stored **ret_object, struct cx_error *err)
{
        const struct store_write write = {*place, object, ttl};
        return store_commit(store, &(struct store_transaction){.writes = &write, .count = 1}, ret_object, NULL, err);
}

int store_delete(struct store *store, const struct stored_place *place, int64_t *ret_revision, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = store_etcd_key(place->cache, place->namespace, place->name);
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
        struct stored *object = store_value(page->store, page->cache, store_map_key(page->cache, kv->key), kv,
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
        char *root = one_namespace ? cx_sprintf(STORE_ROOT "%s/%s/", prefix, filter->namespace)
                                   : cx_sprintf(STORE_ROOT "%s/", prefix);
        CX_CLEANUP(cx_freep) char *end = cx_sprintf("%.*s0", (int)strlen(root) - 1, root);
        CX_CLEANUP(cx_freep)
        char *start = request->after ? cx_sprintf(STORE_ROOT "%s/%s\x01", prefix, request->after) : cx_strdup(root);
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
                r = cx_etcd_range(store->etcd, start, end, revision, wanted < STORE_PAGE ? (int64_t)wanted : STORE_PAGE,
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
