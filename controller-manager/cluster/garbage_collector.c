// SPDX-License-Identifier: Apache-2.0
// Deletes objects whose owners are gone. There is no graph beside the informers: every informer has an index by the
// uids of owners, so finding the dependents of an object is one look-up in each. Kinds without objects are polled, not
// watched. An object whose owners are all in the informers costs no call. Whether an owner is really gone, the API
// server is asked.
//
// The kinds of the schema are there from the start, in the shared informers. Others follow discovery, which is looked at
// now and then: each has an informer of its own for as long as its kind is served.
#include "controller-manager/core/discovery.h"
#include "libcontroller/manager.h"

#include <pthread.h>
#include <stdatomic.h>

#define INDEX_OWNER "owner"
#define SYNC "sync" // the key under which discovery is looked at
#define SYNC_PERIOD (30 * CX_NS_PER_S)
#define FOREGROUND "foregroundDeletion"
#define ORPHAN "orphan"

struct collector;
struct collected_kind {
        atomic_int references;
        struct collector *collector;
        char *group, *version, *resource, *kind;
        bool namespaced, shared;      // shared: of the schema, stays
        size_t number;                // its place; never given again
        struct cx_informer *informer; // under the collector's lock; NULL: no longer served
};
struct collector {
        struct manager *manager;
        struct cx_workqueue *queue;
        pthread_rwlock_t lock;           // guards sources and their informers
        struct collected_kind **sources; // references; NULL: no longer served
        size_t n_sources;
};

// --- sources ---

static void unref_source(struct collected_kind *source)
{
        if (!source || atomic_fetch_sub(&source->references, 1) != 1)
                return;
        free(source->group);
        free(source->version);
        free(source->resource);
        free(source->kind);
        free(source);
}
CX_DEFINE_CLEANUP(struct collected_kind, unref_sourcep, unref_source)
#define SOURCE CX_CLEANUP(unref_sourcep) struct collected_kind

static size_t count_sources(struct collector *self)
{
        pthread_rwlock_rdlock(&self->lock);
        size_t count = self->n_sources;
        pthread_rwlock_unlock(&self->lock);
        return count;
}

// New reference; NULL when the kind is no longer served.
static struct collected_kind *source_at(struct collector *self, size_t number)
{
        pthread_rwlock_rdlock(&self->lock);
        struct collected_kind *source = number < self->n_sources ? self->sources[number] : NULL;
        if (source)
                atomic_fetch_add(&source->references, 1);
        pthread_rwlock_unlock(&self->lock);
        return source;
}

static struct collected_kind *source_of_kind(struct collector *self, const char *api_version, const char *kind)
{
        char group[64], version[32];
        struct collected_kind *found = NULL;
        if (!cx_split_api_version(api_version, group, version))
                return NULL;
        pthread_rwlock_rdlock(&self->lock);
        for (size_t i = 0; !found && i < self->n_sources; i++)
                if (self->sources[i] && strcmp(self->sources[i]->group, group) == 0 &&
                    strcmp(self->sources[i]->kind, kind) == 0)
                        found = self->sources[i];
        if (found)
                atomic_fetch_add(&found->references, 1);
        pthread_rwlock_unlock(&self->lock);
        return found;
}

// What the informer of a source has; nothing when the kind is no longer served.
static void dependents_in(const struct collected_kind *source, const char *uid, struct cx_objects *ret_dependents)
{
        pthread_rwlock_rdlock(&source->collector->lock);
        if (source->informer)
                cx_informer_by_index(source->informer, INDEX_OWNER, uid, ret_dependents);
        pthread_rwlock_unlock(&source->collector->lock);
}

static const struct cx_object *object_in(const struct collected_kind *source, const char *key)
{
        const struct cx_object *object = NULL;
        pthread_rwlock_rdlock(&source->collector->lock);
        if (source->informer)
                object = cx_informer_get_key(source->informer, key);
        pthread_rwlock_unlock(&source->collector->lock);
        return object;
}

static size_t count_in(const struct collected_kind *source)
{
        size_t count = 0;
        pthread_rwlock_rdlock(&source->collector->lock);
        if (source->informer)
                count = cx_informer_count(source->informer);
        pthread_rwlock_unlock(&source->collector->lock);
        return count;
}

static void look_again(const struct collected_kind *source)
{
        pthread_rwlock_rdlock(&source->collector->lock);
        if (source->informer)
                cx_informer_poll_now(source->informer);
        pthread_rwlock_unlock(&source->collector->lock);
}

// --- events ---

static void owner_keys(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *ret_keys)
{
        for (size_t i = 0; i < object->n_owners; i++)
                cx_strings_add(ret_keys, object->owners[i].uid);
}

static void enqueue(struct collector *self, const struct collected_kind *source, const struct cx_object *object)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%zu|%s", source->number, object->key);
        cx_workqueue_add(self->queue, key);
}

static void enqueue_dependents(struct collector *self, const char *uid)
{
        for (size_t i = 0, n = count_sources(self); i < n; i++) {
                SOURCE *source = source_at(self, i);
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                if (source)
                        dependents_in(source, uid, &dependents);
                for (size_t j = 0; j < dependents.count; j++)
                        enqueue(self, source, dependents.items[j]);
        }
}

// The owner as the informer has it; NULL when it does not have it (or has another of that name).
static const struct cx_object *cached_owner(struct collector *self, const struct cx_object *object,
                                            const struct cx_object_owner *owner)
{
        SOURCE *source = source_of_kind(self, owner->api_version, owner->kind);
        if (!source)
                return NULL;
        CX_CLEANUP(cx_freep)
        char *key = source->namespaced && *object->namespace ? cx_sprintf("%s/%s", object->namespace, owner->name)
                                                             : cx_strdup(owner->name);
        const struct cx_object *found = object_in(source, key);
        if (found && strcmp(found->uid, owner->uid) == 0)
                return found;
        cx_object_unref(found);
        return NULL;
}

static bool needs_look(struct collector *self, const struct cx_object *object)
{
        if (object->deleted)
                return cx_object_has_finalizer(object, FOREGROUND) || cx_object_has_finalizer(object, ORPHAN);
        for (size_t i = 0; i < object->n_owners; i++) {
                CX_OBJECT *owner = cached_owner(self, object, &object->owners[i]);
                if (!owner || owner->deleted)
                        return true;
        }
        return false;
}

static void on_event(void *context, const struct cx_object *old, const struct cx_object *now)
{
        const struct collected_kind *source = context;
        struct collector *self = source->collector;
        const struct cx_object *object = now ? now : old;
        if (!now || (now->deleted && (!old || !old->deleted)))
                enqueue_dependents(self, object->uid);
        if (now && needs_look(self, now))
                enqueue(self, source, now);
        if (!now) // an owner in foreground deletion waits for the last of its dependents
                for (size_t i = 0; i < old->n_owners; i++) {
                        CX_OBJECT *owner = cached_owner(self, old, &old->owners[i]);
                        SOURCE *above = source_of_kind(self, old->owners[i].api_version, old->owners[i].kind);
                        if (owner && above && owner->deleted)
                                enqueue(self, above, owner);
                }
}

static bool is_collected(const char *resource, unsigned verbs)
{
        unsigned needed = CX_VERB_LIST | CX_VERB_WATCH | CX_VERB_DELETE;
        return (verbs & needed) == needed && strcmp(resource, "events") != 0;
}

// --- which kinds there are ---

static bool has_source(const struct collector *self, const char *group, const char *resource)
{
        for (size_t i = 0; i < self->n_sources; i++)
                if (self->sources[i] && strcmp(self->sources[i]->group, group) == 0 &&
                    strcmp(self->sources[i]->resource, resource) == 0)
                        return true;
        return false;
}

// Sources are added before there are workers, and then by the one that looks at discovery.
static void add_source(struct collector *self, const struct discovered *what, struct cx_informer *informer, bool shared)
{
        struct collected_kind *source = cx_alloc(sizeof *source);
        atomic_init(&source->references, 1);
        source->collector = self;
        source->group = cx_strdup(what->group);
        source->version = cx_strdup(what->version);
        source->resource = cx_strdup(what->resource);
        source->kind = cx_strdup(what->kind);
        source->namespaced = what->namespaced;
        source->shared = shared;
        source->informer = informer;
        cx_informer_add_index(informer, INDEX_OWNER, owner_keys, NULL);
        cx_informer_on_event(informer, on_event, source);
        pthread_rwlock_wrlock(&self->lock);
        source->number = self->n_sources;
        self->sources = cx_realloc_array(self->sources, self->n_sources + 1, sizeof(struct collected_kind *));
        self->sources[self->n_sources++] = source;
        pthread_rwlock_unlock(&self->lock);
}

static void remove_source(struct collector *self, size_t number)
{
        pthread_rwlock_wrlock(&self->lock);
        SOURCE *source = cx_steal(&self->sources[number]);
        struct cx_informer *informer = cx_steal(&source->informer);
        pthread_rwlock_unlock(&self->lock);
        cx_informer_stop(informer); // its handlers look at the sources, too
}

static bool is_owned_by(const struct cx_object *object, const struct discovered *kind)
{
        char group[64], version[32];
        for (size_t i = 0; i < object->n_owners; i++)
                if (strcmp(object->owners[i].kind, kind->kind) == 0 &&
                    cx_split_api_version(object->owners[i].api_version, group, version) &&
                    strcmp(group, kind->group) == 0)
                        return true;
        return false;
}

// What names an owner of a kind that was not known could not be judged before.
static void enqueue_owned(struct collector *self, const struct discovered *kind)
{
        for (size_t i = 0; i < self->n_sources; i++) {
                CX_OBJECTS objects = CX_OBJECTS_INIT;
                if (self->sources[i])
                        cx_informer_list(self->sources[i]->informer, NULL, &objects);
                for (size_t j = 0; j < objects.count; j++)
                        if (is_owned_by(objects.items[j], kind))
                                enqueue(self, self->sources[i], objects.items[j]);
        }
}

static int follow_discovery(struct collector *self, struct cx_error *err)
{
        DISCOVERY served = {0};
        int r = discovery_fetch(self->manager->rest, &served, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < self->n_sources; i++)
                if (self->sources[i] && !self->sources[i]->shared &&
                    !discovery_find(&served, self->sources[i]->group, self->sources[i]->resource) &&
                    discovery_knows(&served, self->sources[i]->group))
                        remove_source(self, i);
        for (size_t i = 0; i < served.count; i++) {
                const struct discovered *what = &served.items[i];
                if (!is_collected(what->resource, what->verbs) || has_source(self, what->group, what->resource))
                        continue;
                struct cx_informer *informer =
                        manager_kind_informer(self->manager, CX_REF(what->group, what->version, what->resource));
                add_source(self, what, informer, false);
                cx_informer_start(informer);
                enqueue_owned(self, what);
        }
        return 0;
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct collector *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        pthread_rwlock_init(&self->lock, NULL);
        size_t n;
        const struct cx_resource *resources = cx_schema_resources(&n);
        for (size_t i = 0; i < n; i++) {
                const struct cx_resource *r = &resources[i];
                // one version of a resource is enough
                if (!is_collected(r->resource, r->verbs) || has_source(self, r->group, r->resource))
                        continue;
                struct discovered what = {.group = (char *)r->group,
                                          .version = (char *)r->version,
                                          .resource = (char *)r->resource,
                                          .kind = (char *)r->kind->kind,
                                          .namespaced = r->namespaced};
                add_source(self, &what, manager_metadata_informer(manager, r), true);
        }
        cx_workqueue_add(queue, SYNC);
        return self;
}

static void release(void *context)
{
        struct collector *self = context;
        for (size_t i = 0; i < self->n_sources; i++)
                unref_source(self->sources[i]);
        free(self->sources);
        pthread_rwlock_destroy(&self->lock);
        free(self);
}

// --- what is done ---

static int get_metadata(struct collector *self, const struct cx_ref *ref, json_t **ret_object, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, NULL);
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = cx_rest_do(
                self->manager->rest,
                &(struct cx_rest_call){
                        .path = path.data,
                        .accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"},
                &reply, err);
        return r < 0 ? r : cx_json_parse(reply.body.data, reply.body.length, false, ret_object, err);
}

// Sets a list in the metadata, by a patch that is bound to the version that was looked at.
static int patch_metadata(struct collector *self, const struct cx_ref *ref, const json_t *object, const char *field,
                          json_t *value_steal, json_t **ret_written, struct cx_error *err)
{
        json_auto_t *value = value_steal; // an empty list goes altogether
        json_auto_t *patch =
                json_pack("{s:{s:s, s:s, s:o}}", "metadata", "uid", cx_json_string_or(object, "metadata.uid", ""),
                          "resourceVersion", cx_json_string_or(object, "metadata.resourceVersion", ""), field,
                          json_array_size(value) ? json_incref(value) : json_null());
        int r = cx_rest_patch(self->manager->rest, ref, NULL, CX_PATCH_MERGE, patch, ret_written, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int remove_finalizer(struct collector *self, const struct cx_ref *ref, const json_t *object, const char *name,
                            struct cx_error *err)
{
        json_t *kept = json_array();
        size_t i;
        json_t *finalizer;
        json_array_foreach (cx_json_get(object, "metadata.finalizers"), i, finalizer) {
                if (!cx_streq(json_string_value(finalizer), name))
                        json_array_append(kept, finalizer);
        }
        return patch_metadata(self, ref, object, "finalizers", kept, NULL, err);
}

static int drop_owner(struct collector *self, const struct cx_ref *ref, const json_t *object, const char *uid,
                      struct cx_error *err)
{
        json_t *kept = json_array();
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, owner) {
                if (!cx_streq(cx_json_string(owner, "uid"), uid))
                        json_array_append(kept, owner);
        }
        return patch_metadata(self, ref, object, "ownerReferences", kept, NULL, err);
}

// Kinds without objects are not watched (see poll_while_empty). Where it matters that nothing depends on an object,
// these kinds are listed: -EAGAIN when one has objects now, which the informer will know at the next try.
static int check_unwatched(struct collector *self, struct cx_error *err)
{
        bool found = false;
        for (size_t i = 0, n = count_sources(self); i < n; i++) {
                SOURCE *source = source_at(self, i);
                if (!source || count_in(source))
                        continue;
                json_auto_t *list = NULL;
                const struct cx_ref *ref = CX_REF(source->group, source->version, source->resource);
                int r = cx_rest_list(self->manager->rest, ref, &(struct cx_list_options){.limit = 1}, &list, err);
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                        return r;
                cx_error_release(err);
                if (!json_array_size(json_object_get(list, "items")))
                        continue;
                look_again(source);
                found = true;
        }
        return found ? cx_error_set(err, -EAGAIN, "kinds came into use") : 0;
}

static int orphan_dependents(struct collector *self, const char *uid, struct cx_error *err)
{
        for (size_t i = 0, n = count_sources(self); i < n; i++) {
                SOURCE *source = source_at(self, i);
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                if (source)
                        dependents_in(source, uid, &dependents);
                for (size_t j = 0; j < dependents.count; j++) {
                        const struct cx_object *dependent = dependents.items[j];
                        const struct cx_ref *ref = CX_REF(source->group, source->version, source->resource,
                                                          dependent->namespace, dependent->name);
                        json_auto_t *live = NULL;
                        int r = get_metadata(self, ref, &live, err);
                        if (r == 0)
                                r = drop_owner(self, ref, live, uid, err);
                        if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                                return r;
                        cx_error_release(err);
                }
        }
        return 0;
}

// Foreground deletion: the dependents that block it go first; when none is left, the object itself goes.
static int delete_foreground(struct collector *self, const struct cx_ref *ref, const json_t *object, const char *uid,
                             struct cx_error *err)
{
        size_t blocking = 0;
        for (size_t i = 0, n = count_sources(self); i < n; i++) {
                SOURCE *source = source_at(self, i);
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                if (source)
                        dependents_in(source, uid, &dependents);
                for (size_t j = 0; j < dependents.count; j++) {
                        const struct cx_object *dependent = dependents.items[j];
                        for (size_t k = 0; k < dependent->n_owners; k++)
                                blocking += strcmp(dependent->owners[k].uid, uid) == 0 &&
                                            dependent->owners[k].block_deletion;
                        if (!dependent->deleted)
                                enqueue(self, source, dependent);
                }
        }
        return blocking ? 0 : remove_finalizer(self, ref, object, FOREGROUND, err);
}

static bool has_finalizer(const json_t *object, const char *name)
{
        size_t i;
        const json_t *finalizer;
        json_array_foreach (cx_json_get(object, "metadata.finalizers"), i, finalizer)
                if (cx_streq(json_string_value(finalizer), name))
                        return true;
        return false;
}

enum owner_state { OWNER_SOLID, OWNER_GOING, OWNER_GONE, OWNER_STATES };

// An owner that the informer has is there. Whether another is, and whether one waits for its dependents, the API server is
// asked.
static int look_at_owner(struct collector *self, const struct cx_object *object, const struct cx_object_owner *owner,
                         enum owner_state *ret_state, struct cx_error *err)
{
        CX_OBJECT *cached = cached_owner(self, object, owner);
        SOURCE *source = source_of_kind(self, owner->api_version, owner->kind);
        // An owner of an unknown kind, or in a namespace that nothing names, is never a reason to delete.
        *ret_state = OWNER_SOLID;
        if ((cached && !cached->deleted) || !source || (source->namespaced && !*object->namespace))
                return 0;
        json_auto_t *live = NULL;
        int r = get_metadata(self,
                             CX_REF(source->group, source->version, source->resource,
                                    source->namespaced ? object->namespace : NULL, owner->name),
                             &live, err);
        if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                return r;
        bool there = r == 0 && cx_streq(cx_json_string(live, "metadata.uid"), owner->uid);
        cx_error_release(err);
        if (!there)
                *ret_state = OWNER_GONE;
        else if (cx_json_string(live, "metadata.deletionTimestamp") && has_finalizer(live, FOREGROUND))
                *ret_state = OWNER_GOING;
        return 0;
}

// What the owners are that an object has on the server.
struct owners {
        size_t count[OWNER_STATES];
        json_t *solid; // the references to those that are there; owned
};

static int look_at_owners(struct collector *self, const struct cx_object *object, const json_t *live,
                          struct owners *ret_owners, struct cx_error *err)
{
        size_t i;
        const json_t *reference;
        json_array_foreach (cx_json_get(live, "metadata.ownerReferences"), i, reference) {
                const struct cx_object_owner owner = {.api_version = cx_json_string_or(reference, "apiVersion", ""),
                                                      .kind = cx_json_string_or(reference, "kind", ""),
                                                      .name = cx_json_string_or(reference, "name", ""),
                                                      .uid = cx_json_string_or(reference, "uid", "")};
                enum owner_state state;
                int r = look_at_owner(self, object, &owner, &state, err);
                if (r < 0)
                        return r;
                ret_owners->count[state]++;
                if (state == OWNER_SOLID)
                        json_array_append(ret_owners->solid, (json_t *)reference);
        }
        return 0;
}

// `ret_cycle`: one of them is itself waiting for its dependents, of which this object may be one.
static bool has_dependents(struct collector *self, const char *uid, bool *ret_cycle)
{
        bool any = false;
        for (size_t i = 0, n = count_sources(self); i < n; i++) {
                SOURCE *source = source_at(self, i);
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                if (source)
                        dependents_in(source, uid, &dependents);
                any |= dependents.count > 0;
                for (size_t j = 0; j < dependents.count; j++)
                        *ret_cycle |= dependents.items[j]->deleted &&
                                      cx_object_has_finalizer(dependents.items[j], FOREGROUND);
        }
        return any;
}

// Owners that wait for each other would wait for ever, so this object no longer blocks the deletion of its owners. What
// was written takes the place of `live`.
static int unblock_owners(struct collector *self, const struct cx_ref *ref, json_t **live, struct cx_error *err)
{
        json_t *owners = json_deep_copy(cx_json_get(*live, "metadata.ownerReferences")), *written = NULL;
        size_t i;
        json_t *owner;
        json_array_foreach (owners, i, owner)
                json_object_set_new(owner, "blockOwnerDeletion", json_false());
        int r = patch_metadata(self, ref, *live, "ownerReferences", owners, &written, err);
        if (r == 0 && !written)
                r = cx_error_reason(err, CX_REASON_NOT_FOUND, "it has gone");
        if (r < 0)
                return r;
        json_decref(*live);
        *live = written;
        return 0;
}

// `going`: an owner waits for the object to go.
static int delete_object(struct collector *self, const struct cx_ref *ref, bool going, json_t **live,
                         struct cx_error *err)
{
        bool cycle = false;
        bool foreground = going && has_dependents(self, cx_json_string_or(*live, "metadata.uid", ""), &cycle);
        int r = foreground && cycle ? unblock_owners(self, ref, live, err) : 0;
        if (r < 0)
                return r;
        struct cx_delete_options options = {.grace = -1,
                                            .uid = cx_json_string(*live, "metadata.uid"),
                                            .resource_version = cx_json_string(*live, "metadata.resourceVersion")};
        options.propagation = foreground                         ? "Foreground"
                              : has_finalizer(*live, ORPHAN)     ? "Orphan"
                              : has_finalizer(*live, FOREGROUND) ? "Foreground"
                                                                 : "Background";
        return cx_rest_delete(self->manager->rest, ref, &options, err);
}

// Whether an owner is not where the informers would have it.
static bool is_suspect(struct collector *self, const struct cx_object *object)
{
        for (size_t i = 0; i < object->n_owners; i++) {
                CX_OBJECT *owner = cached_owner(self, object, &object->owners[i]);
                if (!owner || (owner->deleted && cx_object_has_finalizer(owner, FOREGROUND)))
                        return true;
        }
        return false;
}

// The informers only say what to look at: the object may have been orphaned or adopted since. What becomes of it is
// decided by the references that it has on the server, and holds for that version of it alone.
static int collect(struct collector *self, const struct cx_ref *ref, const struct cx_object *object,
                   struct cx_error *err)
{
        if (!is_suspect(self, object))
                return 0;
        json_auto_t *live = NULL, *solid = json_array();
        struct owners owners = {.solid = solid};
        int r = get_metadata(self, ref, &live, err);
        if (r == 0 && !cx_streq(cx_json_string(live, "metadata.uid"), object->uid))
                return 0;
        if (r == 0)
                r = look_at_owners(self, object, live, &owners, err);
        bool garbage = owners.count[OWNER_GOING] || owners.count[OWNER_GONE];
        if (r == 0 && garbage && owners.count[OWNER_SOLID])
                return patch_metadata(self, ref, live, "ownerReferences", cx_steal(&solid), NULL, err);
        if (r == 0 && garbage)
                r = delete_object(self, ref, owners.count[OWNER_GOING] > 0, &live, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct collector *self = context;
        if (strcmp(key, SYNC) == 0) {
                *retry_after = SYNC_PERIOD;
                return follow_discovery(self, err);
        }
        const char *bar = strchr(key, '|');
        SOURCE *source = source_at(self, strtoul(key, NULL, 10));
        CX_OBJECT *object = bar && source ? object_in(source, bar + 1) : NULL;
        if (!object)
                return 0;
        const struct cx_ref *ref =
                CX_REF(source->group, source->version, source->resource, object->namespace, object->name);
        if (!object->deleted)
                return object->n_owners ? collect(self, ref, object, err) : 0;
        bool foreground = cx_object_has_finalizer(object, FOREGROUND), orphan = cx_object_has_finalizer(object, ORPHAN);
        if (!foreground && !orphan)
                return 0;
        json_auto_t *live = NULL;
        int r = get_metadata(self, ref, &live, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        if (r < 0 || !cx_streq(cx_json_string(live, "metadata.uid"), object->uid))
                return r;
        r = check_unwatched(self, err);
        if (r < 0)
                return r;
        if (foreground)
                return delete_foreground(self, ref, live, object->uid, err);
        r = orphan_dependents(self, object->uid, err);
        return r < 0 ? r : remove_finalizer(self, ref, live, ORPHAN, err);
}

const struct controller garbage_collector_controller = {.name = "garbage-collector-controller",
                                                        .account = "generic-garbage-collector",
                                                        .workers = 10,
                                                        .init = init,
                                                        .reconcile = reconcile,
                                                        .free = release};
