// SPDX-License-Identifier: Apache-2.0
// The store behind an informer: objects by key, with named indexes. One writer (the informers' thread), any readers.
#pragma once

#include "libcommon/base/map.h"
#include "libcommon/client/object.h"

#include <pthread.h>

typedef void (*cx_store_index_keys)(void *context, const struct cx_object *object, struct cx_strings *ret_keys);

struct cx_store_index {
        char *name;
        cx_store_index_keys keys;
        void *context;
        struct cx_map buckets; // index key -> struct bucket
};
struct cx_store {
        pthread_rwlock_t lock; // guards all
        struct cx_map objects; // key -> const struct cx_object *, a reference each
        struct cx_store_index *indexes;
        size_t n_indexes;
};
void cx_store_init(struct cx_store *store);
void cx_store_release(struct cx_store *store);
void cx_store_add_index(struct cx_store *store, const char *name, cx_store_index_keys keys, void *context);
// Puts the object in (a new reference is taken) and returns the one that it replaces, which the caller now owns; NULL.
const struct cx_object *cx_store_set(struct cx_store *store, const struct cx_object *object);
const struct cx_object *cx_store_remove(struct cx_store *store, const char *key);
const struct cx_object *cx_store_get(const struct cx_store *store, const char *key); // a new reference, or NULL
void cx_store_list(const struct cx_store *store, const char *namespace, struct cx_objects *ret_list);
void cx_store_by_index(const struct cx_store *store, const char *index, const char *key, struct cx_objects *ret_list);
size_t cx_store_count(const struct cx_store *store);
