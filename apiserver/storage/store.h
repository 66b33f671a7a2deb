// SPDX-License-Identifier: Apache-2.0
// All objects of the cluster: etcd behind one watch, and a cache for each kind of objects. Writes go to etcd and
// return when the cache has seen them; consistent reads ask etcd for its revision (one probe serves all readers that
// wait) and answer from memory. Any thread may call; calls that say so block.
#pragma once

#include "apiserver/storage/cache.h"
#include "apiserver/storage/progress.h"
#include "libcommon/etcd/etcd.h"

struct store;

struct store *store_new(struct cx_etcd *etcd);
// Values are encrypted as an EncryptionConfiguration says. With `reload` the file is read again whenever it changes;
// one that cannot be read then changes nothing. Before the store starts.
int store_encrypt(struct store *store, const char *path, bool reload, struct cx_error *err) CX_CHECK;
// How often revisions of etcd are forgotten that are older than that; 0: never. Before the store starts; five minutes at first.
void store_compact_every(struct store *store, int64_t interval);
// How many events a cache keeps for those who watch, at most (CACHE_WINDOW at first). Before anything is opened.
void store_window(struct store *store, int64_t events);
// Whether a write would store the value anew although the object stays the same: it was sealed with another key.
bool store_would_rewrite(struct store *store, const struct cache *cache, const struct stored *object);
int store_start(struct store *store, struct cx_error *err)
        CX_CHECK; // loads all that was opened and follows etcd; blocks
// For a process that ends: waits for the caches are over at once, and etcd gets two more seconds for what is under way.
void store_stop(struct store *store);
void store_free(struct store *store);
bool store_ready(struct store *store); // the caches are filled and follow etcd

// A cache of the objects that are kept under the resource's prefix, selectable by its fields. Before the store has
// started it is only noted; later it is filled when this returns, which blocks. New reference.
int store_open(struct store *store, const struct cx_resource *resource, struct cache **ret_cache, struct cx_error *err)
        CX_CHECK;
// The cache hears of nothing any more. Who holds it may go on reading what it was.
void store_close(struct store *store, struct cache *cache);

void store_tend(struct store *store);        // now and then: gives back what nobody needs any more
int64_t store_revision(struct store *store); // up to where the caches are
// Blocks until the caches show everything that was acknowledged before the call.
int store_sync(struct store *store, struct cx_error *err) CX_CHECK;
// Blocks until the caches have reached a revision.
int store_wait(struct store *store, int64_t revision, struct cx_error *err) CX_CHECK;
struct progress *store_progress(struct store *store); // for waits that block nobody
// The error of a wait that ended with `result`; 0 for 0.
int store_waited(int result, struct cx_error *err) CX_CHECK;

// As it is in etcd now; -ENOENT when it is gone. Blocks.
int store_read(struct store *store, struct cache *cache, const char *namespace, const char *name,
               struct stored **ret_object, struct cx_error *err) CX_CHECK;

// Where an object is written, and over what: the mod revision that must be there (0: nothing may be there).
struct stored_place {
        struct cache *cache;
        const char *namespace, *name; // namespace "" for cluster-scoped
        int64_t expected;
};
// Writes an object (metadata.resourceVersion is ignored and not stored); reason ALREADY_EXISTS or CONFLICT when
// something else is there. ttl: seconds until it expires, 0: never. Returns when the cache has seen it. Blocks.
int store_put(struct store *store, const struct stored_place *place, const json_t *object, int64_t ttl,
              struct stored **ret_object, struct cx_error *err) CX_CHECK;
// Several objects in one transaction: all are written, each over what it expects, or none is. With a `guarded` cache
// nothing in it (in the guarded namespace) may be newer than `newest`, either: who has decided by what it saw there knows
// that it has seen everything.
#define STORE_MAX_WRITES CX_ETCD_MAX_WRITES
struct store_write {
        struct stored_place place;
        const json_t *object;
        int64_t ttl;
};
struct store_transaction {
        const struct store_write *writes;
        size_t count;
        const struct cache *guarded; // NULL: nothing is
        const char *guarded_namespace;
        int64_t newest;
};
// ret_first (may be NULL) is the first as it is now. ret_conflict (may be NULL): the one that met something else, or
// `count` for the guard.
int store_commit(struct store *store, const struct store_transaction *transaction, struct stored **ret_first,
                 size_t *ret_conflict, struct cx_error *err) CX_CHECK;
// Deletes; ret_revision may be NULL. The same otherwise.
int store_delete(struct store *store, const struct stored_place *place, int64_t *ret_revision, struct cx_error *err)
        CX_CHECK;

// One page as it was at `revision` (0: now), starting behind `after` (a map key, NULL: from the start). Reads etcd.
struct page_request {
        const struct filter *filter;
        int64_t revision;
        const char *after;
        size_t limit;
};
int store_page(struct store *store, struct cache *cache, const struct page_request *request,
               struct stored_list *ret_list, int64_t *ret_revision, bool *ret_more, struct cx_error *err) CX_CHECK;
