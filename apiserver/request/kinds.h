// SPDX-License-Identifier: Apache-2.0
// The kinds that are served, in the versions that they are served in. Those of the schema are there from the start and
// never leave; others are added, replaced and removed while clients read, write and watch. Routing looks them up with
// each request; discovery and OpenAPI are made from a snapshot; who keeps something made of them follows the changes.
//
// A kind is reference-counted and never changes. Its cx_resource, and all that hangs on it, lives as long as somebody
// holds the kind. Any thread may look up; changes block.
#pragma once

#include "apiserver/request/convert.h"
#include "apiserver/storage/store.h"
#include "libcommon/schema/engine.h"

struct kinds;
struct strategy;

struct served_kind {
        atomic_int references;
        const struct cx_resource *resource;
        const struct cx_resource *stored;    // in whose version objects are kept
        struct cache *cache;                 // shared by the versions; NULL: answered, not stored
        const struct strategy *strategy;     // never NULL
        const struct conversion *conversion; // NULL: versions differ in their name only
        void (*release)(void *owner);        // NULL: built in
        void *owner;
        struct tenure *tenure;
};
// Whether it was removed, or replaced by one whose objects are kept elsewhere: watches end.
bool served_kind_is_over(const struct served_kind *kind);
struct served_kind *served_kind_ref(const struct served_kind *kind);
void served_kind_unref(struct served_kind *kind);
CX_DEFINE_CLEANUP(struct served_kind, served_kind_unrefp, served_kind_unref)
#define SERVED_KIND CX_CLEANUP(served_kind_unrefp) struct served_kind

// The kinds of the schema. `strategy_of` is what the layer above knows of a resource. Before the store starts.
int kinds_new(struct store *store, const struct strategy *(*strategy_of)(const struct cx_resource *resource),
              struct kinds **ret_kinds, struct cx_error *err) CX_CHECK;
void kinds_free(struct kinds *kinds);

// One of the schema: borrowed, for good.
const struct served_kind *kinds_builtin(const struct kinds *kinds, const char *group, const char *version,
                                        const char *resource);
// Any that is served now; new reference or NULL.
struct served_kind *kinds_find(struct kinds *kinds, const char *group, const char *version, const char *resource);
bool kinds_serve(struct kinds *kinds, const char *group, const char *version); // anything of it?

// --- changes ---
struct kind_options {
        const struct cx_resource *resource;
        const struct cx_resource *stored; // NULL: itself
        const struct conversion *conversion;
        void (*release)(void *owner); // when nobody holds the kind any more; also when it could not be added
        void *owner;
};
// ALREADY_EXISTS when it is served already. What etcd has of it is there when this returns.
int kinds_add(struct kinds *kinds, const struct kind_options *options, struct cx_error *err) CX_CHECK;
// The same kind by another description; NOT_FOUND when it is not served. Watches go on unless objects are selected by
// other fields than before.
int kinds_replace(struct kinds *kinds, const struct kind_options *options, struct cx_error *err) CX_CHECK;
int kinds_remove(struct kinds *kinds, const char *group, const char *version, const char *resource,
                 struct cx_error *err) CX_CHECK;

enum kind_change { KIND_ADDED, KIND_REPLACED, KIND_REMOVED };
struct kind_follower {
        struct kind_follower *next; // the registry's
        // After the change is served; on the thread that made it, one at a time. Must not make another.
        void (*changed)(struct kind_follower *follower, enum kind_change change, const struct served_kind *kind);
};
void kinds_follow(struct kinds *kinds, struct kind_follower *follower);
void kinds_unfollow(struct kinds *kinds, struct kind_follower *follower);

// --- snapshots ---
struct kind_set {
        atomic_int references;
        struct served_kind **kinds; // in discovery order
        struct cx_resource_set resources;
        size_t *by_name; // places in kinds, sorted by group, version and resource
};
struct kind_set *kinds_snapshot(struct kinds *kinds);
void kind_set_unref(struct kind_set *set);
CX_DEFINE_CLEANUP(struct kind_set, kind_set_unrefp, kind_set_unref)
#define KIND_SET CX_CLEANUP(kind_set_unrefp) struct kind_set
