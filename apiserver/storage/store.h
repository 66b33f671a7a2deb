// SPDX-License-Identifier: Apache-2.0
// All objects of the cluster: etcd behind one watch and one cache a resource. Writes go to etcd and return when the
// cache has seen them; consistent reads ask etcd for its revision (one probe serves all readers that wait) and answer
// from memory. Any thread may call; calls that say so block.
#pragma once

#include "apiserver/storage/cache.h"
#include "apiserver/storage/progress.h"
#include "libcommon/etcd/etcd.h"

struct store;

int store_new(struct cx_etcd *etcd, struct store **ret_store, struct cx_error *err) CX_CHECK; // blocks: loads all
// For a process that ends: waits for the caches are over at once, and etcd gets two more seconds for what is under way.
void store_stop(struct store *store);
void store_free(struct store *store);
bool store_ready(struct store *store); // the caches are filled and follow etcd

struct cache *store_cache(struct store *store, const struct cx_resource *resource); // NULL: not stored
int64_t store_revision(struct store *store);                                        // up to where the caches are
// Blocks until the caches show everything that was acknowledged before the call.
int store_sync(struct store *store, struct cx_error *err) CX_CHECK;
// Blocks until the caches have reached a revision.
int store_wait(struct store *store, int64_t revision, struct cx_error *err) CX_CHECK;
struct progress *store_progress(struct store *store); // for waits that block nobody
// The error of a wait that ended with `result`; 0 for 0.
int store_waited(int result, struct cx_error *err) CX_CHECK;

// Cached object by namespace (NULL or "" for cluster-scoped) and name; new reference or NULL.
struct stored *store_get(struct store *store, const struct cx_resource *resource, const char *namespace,
                         const char *name);
// The same, decoded; new reference or NULL.
json_t *store_get_json(struct store *store, const struct cx_resource *resource, const char *namespace,
                       const char *name);
// As it is in etcd now; -ENOENT when it is gone. Blocks.
int store_read(struct store *store, const struct cx_resource *resource, const char *namespace, const char *name,
               struct stored **ret_object, struct cx_error *err) CX_CHECK;

// Writes an object (metadata.resourceVersion is ignored and not stored) when its mod revision is `expected` (0: must
// not exist; reason ALREADY_EXISTS or CONFLICT otherwise). ttl: seconds until it expires, 0: never. Blocks.
int store_put(struct store *store, const struct cx_resource *resource, const char *namespace, const char *name,
              const json_t *object, int64_t expected, int64_t ttl, struct stored **ret_object, struct cx_error *err)
        CX_CHECK;
// Deletes when the mod revision is `expected`; returns when the cache has seen it. Blocks.
int store_delete(struct store *store, const struct cx_resource *resource, const char *namespace, const char *name,
                 int64_t expected, int64_t *ret_revision, struct cx_error *err) CX_CHECK;

// One page as it was at `revision` (0: now), starting behind `after` (a map key, NULL: from the start). Reads etcd.
int store_page(struct store *store, const struct cx_resource *resource, const struct filter *filter, int64_t revision,
               const char *after, size_t limit, struct stored_list *ret_list, int64_t *ret_revision, bool *ret_more,
               struct cx_error *err) CX_CHECK;

struct cx_etcd *store_etcd(struct store *store);
