// SPDX-License-Identifier: Apache-2.0
// The store's insides, for its two files: store.c follows etcd and fills the caches, objects.c reads and writes single
// objects and pages.
#pragma once

#include "apiserver/storage/encryption.h"
#include "apiserver/storage/store.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"

#define STORE_ROOT "/registry/"
#define STORE_PAGE 500 // objects that are read at a time

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
        int64_t compact_every; // ns; 0: never
        int64_t window;        // events that a cache holds at most
        struct progress *progress;
        pthread_t keeper;
        bool keeper_started;
        pthread_mutex_t lock; // guards all below
        pthread_cond_t wake;  // stopping or reload is set
        bool stopping, reload;
        int64_t lease, lease_ttl, lease_until;
};

// The object that a value of etcd holds; NULL with the reason when it cannot be read.
struct stored *store_value(struct store *store, const struct cache *cache, const char *key, const struct cx_etcd_kv *kv,
                           struct cx_error *err);
char *store_etcd_key(const struct cache *cache, const char *namespace, const char *name); // owned by the caller
const char *store_map_key(const struct cache *cache, const char *etcd_key);               // into etcd_key
