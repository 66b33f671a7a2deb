// SPDX-License-Identifier: Apache-2.0
// All objects of the cluster: etcd behind one watch and one cache a resource. Writes go to etcd and return when the
// cache has seen them; consistent reads ask etcd for its revision (one probe serves all readers that wait) and answer
// from memory. Any thread may call; calls that say so block.
#pragma once

#include "apiserver/storage/cache.h"
#include "apiserver/storage/progress.h"
#include "etcd/etcd.h"

struct cx_store;

int cx_store_new(struct cx_etcd *etcd, struct cx_store **ret_store, struct cx_error *err) CX_CHECK; // blocks: loads all
// For a process that ends: waits for the caches are over at once, and etcd gets two more seconds for what is under way.
void cx_store_stop(struct cx_store *store);
void cx_store_free(struct cx_store *store);
bool cx_store_ready(struct cx_store *store); // the caches are filled and follow etcd

struct cx_cache *cx_store_cache(struct cx_store *store, const struct cx_resource *resource); // NULL: not stored
int64_t cx_store_revision(struct cx_store *store); // up to where the caches are
// Blocks until the caches show everything that was acknowledged before the call.
int cx_store_sync(struct cx_store *store, struct cx_error *err) CX_CHECK;
// Blocks until the caches have reached a revision.
int cx_store_wait(struct cx_store *store, int64_t revision, struct cx_error *err) CX_CHECK;
struct cx_progress *cx_store_progress(struct cx_store *store); // for waits that block nobody
// The error of a wait that ended with `result`; 0 for 0.
int cx_store_waited(int result, struct cx_error *err) CX_CHECK;

// Cached object by namespace (NULL or "" for cluster-scoped) and name; new reference or NULL.
struct cx_stored *cx_store_get(struct cx_store *store, const struct cx_resource *resource, const char *namespace,
                               const char *name);
// The same, decoded; new reference or NULL.
json_t *cx_store_get_json(struct cx_store *store, const struct cx_resource *resource, const char *namespace,
                          const char *name);
// As it is in etcd now; -ENOENT when it is gone. Blocks.
int cx_store_read(struct cx_store *store, const struct cx_resource *resource, const char *namespace, const char *name,
                  struct cx_stored **ret_object, struct cx_error *err) CX_CHECK;

// Writes an object (metadata.resourceVersion is ignored and not stored) when its mod revision is `expected` (0: must
// not exist; reason ALREADY_EXISTS or CONFLICT otherwise). ttl: seconds until it expires, 0: never. Blocks.
int cx_store_put(struct cx_store *store, const struct cx_resource *resource, const char *namespace, const char *name,
                 const json_t *object, int64_t expected, int64_t ttl, struct cx_stored **ret_object,
                 struct cx_error *err) CX_CHECK;
// Deletes when the mod revision is `expected`; returns when the cache has seen it. Blocks.
int cx_store_delete(struct cx_store *store, const struct cx_resource *resource, const char *namespace, const char *name,
                    int64_t expected, int64_t *ret_revision, struct cx_error *err) CX_CHECK;

// One page as it was at `revision` (0: now), starting behind `after` (a map key, NULL: from the start). Reads etcd.
int cx_store_page(struct cx_store *store, const struct cx_resource *resource, const struct cx_filter *filter,
                  int64_t revision, const char *after, size_t limit, struct cx_stored_list *ret_list,
                  int64_t *ret_revision, bool *ret_more, struct cx_error *err) CX_CHECK;

struct cx_etcd *cx_store_etcd(struct cx_store *store);
