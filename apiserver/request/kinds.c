// SPDX-License-Identifier: Apache-2.0
// A set of kinds is immutable; a change makes a new one beside it and puts it in its place. Lookups take a reference
// under a lock that is never held for longer than that.
#include "apiserver/request/kinds.h"

#include "apiserver/request/errors.h"

#include <stdlib.h>

struct kinds {
        struct store *store;
        const struct strategy *(*strategy_of)(const struct cx_resource *resource);
        struct kind_set *builtin; // as it was at the start
        pthread_rwlock_t lock;    // guards set
        struct kind_set *set;
        pthread_mutex_t changing; // one change at a time; guards followers; taken before `lock`
        struct kind_follower *followers;
};

// How long a kind is served, whatever its description: shared by those that replace each other over one cache.
struct tenure {
        atomic_int references;
        atomic_bool over;
};

static void unref_tenure(struct tenure *tenure)
{
        if (tenure && atomic_fetch_sub_explicit(&tenure->references, 1, memory_order_acq_rel) == 1)
                free(tenure);
}

// --- one kind ---

bool served_kind_is_over(const struct served_kind *kind)
{
        return atomic_load(&kind->tenure->over);
}

struct served_kind *served_kind_ref(const struct served_kind *kind)
{
        struct served_kind *self = (struct served_kind *)kind;
        atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
        return self;
}

void served_kind_unref(struct served_kind *kind)
{
        if (!kind || atomic_fetch_sub_explicit(&kind->references, 1, memory_order_acq_rel) != 1)
                return;
        cache_unref(kind->cache);
        unref_tenure(kind->tenure);
        if (kind->release)
                kind->release(kind->owner);
        free(kind);
}

static struct served_kind *new_kind(const struct kinds *kinds, const struct kind_options *options)
{
        struct served_kind *kind = cx_alloc(sizeof *kind);
        atomic_init(&kind->references, 1);
        kind->resource = options->resource;
        kind->stored = options->stored ? options->stored : options->resource;
        kind->strategy = kinds->strategy_of(options->resource);
        kind->conversion = options->conversion;
        kind->release = options->release;
        kind->owner = options->owner;
        kind->tenure = cx_alloc(sizeof *kind->tenure);
        atomic_init(&kind->tenure->references, 1);
        return kind;
}

// --- sets ---

static int compare(const struct cx_resource *a, const char *group, const char *version, const char *resource)
{
        int c = strcmp(a->group, group);
        c = c ? c : strcmp(a->version, version);
        return c ? c : strcmp(a->resource, resource);
}

static int by_name(const void *a, const void *b, void *context)
{
        struct served_kind *const *kinds = context;
        const struct cx_resource *other = kinds[*(const size_t *)b]->resource;
        return compare(kinds[*(const size_t *)a]->resource, other->group, other->version, other->resource);
}

// Takes the array and the references in it.
static struct kind_set *new_set(struct served_kind **kinds_steal, size_t count)
{
        struct kind_set *set = cx_alloc(sizeof *set);
        const struct cx_resource **resources = cx_alloc_array(count, sizeof *resources);
        atomic_init(&set->references, 1);
        set->kinds = kinds_steal;
        set->by_name = cx_alloc_array(count, sizeof *set->by_name);
        for (size_t i = 0; i < count; i++) {
                resources[i] = kinds_steal[i]->resource;
                set->by_name[i] = i;
        }
        set->resources = (struct cx_resource_set){resources, count};
        qsort_r(set->by_name, count, sizeof *set->by_name, by_name, set->kinds);
        return set;
}

void kind_set_unref(struct kind_set *set)
{
        if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < set->resources.count; i++)
                served_kind_unref(set->kinds[i]);
        free(set->kinds);
        free((void *)set->resources.items);
        free(set->by_name);
        free(set);
}

static struct served_kind *find_in(const struct kind_set *set, const char *group, const char *version,
                                   const char *resource)
{
        size_t low = 0, high = set->resources.count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                struct served_kind *kind = set->kinds[set->by_name[middle]];
                int c = compare(kind->resource, group, version, resource);
                if (c == 0)
                        return kind;
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

// --- looking up ---

struct kind_set *kinds_snapshot(struct kinds *kinds)
{
        pthread_rwlock_rdlock(&kinds->lock);
        struct kind_set *set = kinds->set;
        atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
        pthread_rwlock_unlock(&kinds->lock);
        return set;
}

const struct served_kind *kinds_builtin(const struct kinds *kinds, const char *group, const char *version,
                                        const char *resource)
{
        return find_in(kinds->builtin, group, version, resource);
}

struct served_kind *kinds_find(struct kinds *kinds, const char *group, const char *version, const char *resource)
{
        pthread_rwlock_rdlock(&kinds->lock);
        struct served_kind *kind = find_in(kinds->set, group, version, resource);
        if (kind)
                served_kind_ref(kind);
        pthread_rwlock_unlock(&kinds->lock);
        return kind;
}

static bool is_of(const struct cx_resource *resource, const char *group, const char *version)
{
        return strcmp(resource->group, group) == 0 && (!version || strcmp(resource->version, version) == 0);
}

bool kinds_serve(struct kinds *kinds, const char *group, const char *version)
{
        KIND_SET *set = kinds_snapshot(kinds);
        for (size_t i = 0; i < set->resources.count; i++)
                if (is_of(set->resources.items[i], group, version))
                        return true;
        return false;
}

// --- caches ---

static bool is_stored(const struct cx_resource *resource)
{
        return (resource->verbs & CX_VERB_WATCH) && strcmp(resource->resource, "componentstatuses") != 0;
}

// The cache of a kind: the one that another version or the kind before has, if it is right for this one.
static int find_cache(struct kinds *kinds, const struct kind_set *set, struct served_kind *kind, struct cx_error *err)
{
        if (!is_stored(kind->stored))
                return 0;
        for (size_t i = 0; set && i < set->resources.count; i++) {
                struct cache *cache = set->kinds[i]->cache;
                if (cache && strcmp(cache->prefix, kind->stored->prefix) == 0 &&
                    selectable_is_of(&cache->selectable, kind->stored)) {
                        kind->cache = cache_ref(cache);
                        return 0;
                }
        }
        return store_open(kinds->store, kind->stored, &kind->cache, err);
}

// --- changes ---

// Behind its own version, else behind its group, else behind all.
static size_t place_for(const struct kind_set *set, const struct cx_resource *resource)
{
        size_t of_group = set->resources.count, of_version = set->resources.count;
        for (size_t i = 0; i < set->resources.count; i++) {
                if (is_of(set->resources.items[i], resource->group, NULL))
                        of_group = i + 1;
                if (is_of(set->resources.items[i], resource->group, resource->version))
                        of_version = i + 1;
        }
        return of_version < set->resources.count ? of_version : of_group;
}

// The set without `old` (NULL: nothing is left out) and with `new` in its place (NULL: nothing comes).
static void publish(struct kinds *kinds, const struct served_kind *old, struct served_kind *new_steal)
{
        struct kind_set *before = kinds->set; // changes only under `changing`
        size_t count = 0, at = new_steal && !old ? place_for(before, new_steal->resource) : SIZE_MAX;
        struct served_kind **list = cx_alloc_array(before->resources.count + 1, sizeof *list);
        for (size_t i = 0; i <= before->resources.count; i++) {
                if (i == at)
                        list[count++] = new_steal;
                if (i == before->resources.count)
                        break;
                if (before->kinds[i] != old)
                        list[count++] = served_kind_ref(before->kinds[i]);
                else if (new_steal)
                        list[count++] = new_steal;
        }
        struct kind_set *after = new_set(list, count);
        pthread_rwlock_wrlock(&kinds->lock);
        kinds->set = after;
        pthread_rwlock_unlock(&kinds->lock);
        kind_set_unref(before);
}

static void tell(struct kinds *kinds, enum kind_change change, const struct served_kind *kind)
{
        for (struct kind_follower *follower = kinds->followers; follower; follower = follower->next)
                follower->changed(follower, change, kind);
}

// Ends the watches of a kind that has left, and its cache when nobody shares it.
static void retire(struct kinds *kinds, struct served_kind *kind)
{
        bool shared = false;
        if (!kind->cache)
                return;
        for (size_t i = 0; i < kinds->set->resources.count; i++)
                shared |= kinds->set->kinds[i]->cache == kind->cache;
        atomic_store(&kind->tenure->over, true);
        cache_wake(kind->cache);
        if (!shared)
                store_close(kinds->store, kind->cache);
}

static int not_there(const struct cx_resource *resource, struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_NOT_FOUND, "%s/%s %s is not served at run time", resource->group,
                               resource->version, resource->resource);
}

static int change_locked(struct kinds *kinds, struct served_kind *new_kind, bool replace, struct cx_error *err)
{
        const struct cx_resource *r = new_kind->resource;
        SERVED_KIND *old = kinds_find(kinds, r->group, r->version, r->resource);
        if (!replace && old)
                return object_exists(r, r->resource, err);
        if (replace && (!old || !old->release))
                return not_there(r, err);
        int result = find_cache(kinds, kinds->set, new_kind, err);
        if (result < 0)
                return result;
        bool goes_on = old && old->cache == new_kind->cache;
        if (goes_on) {
                unref_tenure(new_kind->tenure);
                new_kind->tenure = old->tenure;
                atomic_fetch_add(&old->tenure->references, 1);
        }
        publish(kinds, old, served_kind_ref(new_kind));
        if (old && !goes_on)
                retire(kinds, old);
        tell(kinds, replace ? KIND_REPLACED : KIND_ADDED, new_kind);
        return 0;
}

static int change(struct kinds *kinds, const struct kind_options *options, bool replace, struct cx_error *err)
{
        SERVED_KIND *kind = new_kind(kinds, options);
        pthread_mutex_lock(&kinds->changing);
        int r = change_locked(kinds, kind, replace, err);
        pthread_mutex_unlock(&kinds->changing);
        return r;
}

int kinds_add(struct kinds *kinds, const struct kind_options *options, struct cx_error *err)
{
        return change(kinds, options, false, err);
}

int kinds_replace(struct kinds *kinds, const struct kind_options *options, struct cx_error *err)
{
        return change(kinds, options, true, err);
}

int kinds_remove(struct kinds *kinds, const char *group, const char *version, const char *resource,
                 struct cx_error *err)
{
        int r = 0;
        pthread_mutex_lock(&kinds->changing);
        SERVED_KIND *kind = kinds_find(kinds, group, version, resource);
        if (!kind || !kind->release) {
                r = not_there(&(struct cx_resource){.group = group, .version = version, .resource = resource}, err);
        } else {
                publish(kinds, kind, NULL);
                retire(kinds, kind);
                tell(kinds, KIND_REMOVED, kind);
        }
        pthread_mutex_unlock(&kinds->changing);
        return r;
}

void kinds_follow(struct kinds *kinds, struct kind_follower *follower)
{
        pthread_mutex_lock(&kinds->changing);
        follower->next = kinds->followers;
        kinds->followers = follower;
        pthread_mutex_unlock(&kinds->changing);
}

void kinds_unfollow(struct kinds *kinds, struct kind_follower *follower)
{
        pthread_mutex_lock(&kinds->changing);
        struct kind_follower **at = &kinds->followers;
        while (*at != follower)
                at = &(*at)->next;
        *at = follower->next;
        pthread_mutex_unlock(&kinds->changing);
}

// --- life ---

static const struct cx_resource *storage_resource(const struct cx_resource *resource)
{
        if (!resource->storage_version)
                return resource;
        const char *group = strcmp(resource->storage_group, "-") == 0 ? "" : resource->storage_group;
        const struct cx_resource *found = cx_schema_resource(group, resource->storage_version, resource->resource);
        return found ? found : resource;
}

static int find_caches(struct kinds *kinds, struct kind_set *set, struct cx_error *err)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < set->resources.count; i++)
                r = find_cache(kinds, set, set->kinds[i], err);
        return r;
}

int kinds_new(struct store *store, const struct strategy *(*strategy_of)(const struct cx_resource *resource),
              struct kinds **ret_kinds, struct cx_error *err)
{
        struct kinds *kinds = cx_alloc(sizeof *kinds);
        size_t count;
        const struct cx_resource *resources = cx_schema_resources(&count);
        struct served_kind **list = cx_alloc_array(count, sizeof *list);
        kinds->store = store;
        kinds->strategy_of = strategy_of;
        pthread_rwlock_init(&kinds->lock, NULL);
        pthread_mutex_init(&kinds->changing, NULL);
        for (size_t i = 0; i < count; i++) {
                struct kind_options options = {.resource = &resources[i],
                                               .stored = storage_resource(&resources[i]),
                                               .conversion = conversion_of(&resources[i])};
                list[i] = new_kind(kinds, &options);
        }
        kinds->builtin = new_set(list, count);
        int r = find_caches(kinds, kinds->builtin, err);
        if (r < 0) {
                kinds_free(kinds);
                return r;
        }
        list = cx_alloc_array(count, sizeof *list);
        for (size_t i = 0; i < count; i++)
                list[i] = served_kind_ref(kinds->builtin->kinds[i]);
        kinds->set = new_set(list, count);
        *ret_kinds = kinds;
        return 0;
}

void kinds_free(struct kinds *kinds)
{
        if (!kinds)
                return;
        kind_set_unref(kinds->set);
        kind_set_unref(kinds->builtin);
        pthread_rwlock_destroy(&kinds->lock);
        pthread_mutex_destroy(&kinds->changing);
        free(kinds);
}
