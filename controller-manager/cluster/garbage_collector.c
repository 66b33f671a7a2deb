// SPDX-License-Identifier: Apache-2.0
// Deletes objects whose owners are gone. There is no graph beside the informers: every informer has an index by the
// uids of owners, so finding the dependents of an object is one look-up in each. Kinds without objects are polled, not
// watched. An object whose owners are all in the informers costs no call. Whether an owner is really gone, the API
// server is asked.
#include "controller-manager/core/manager.h"

#include "libcommon/schema/schema.h"

#define INDEX_OWNER "owner"
#define FOREGROUND "foregroundDeletion"
#define ORPHAN "orphan"

struct collector;
struct collected_kind {
        struct collector *collector;
        const struct cx_resource *resource;
        struct cx_informer *informer;
        size_t number;
};
struct collector {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct collected_kind *sources;
        size_t n_sources;
};

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
        for (size_t i = 0; i < self->n_sources; i++) {
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                cx_informer_by_index(self->sources[i].informer, INDEX_OWNER, uid, &dependents);
                for (size_t j = 0; j < dependents.count; j++)
                        enqueue(self, &self->sources[i], dependents.items[j]);
        }
}

static struct collected_kind *source_of_kind(struct collector *self, const char *api_version, const char *kind)
{
        char group[64], version[32];
        if (!cx_split_api_version(api_version, group, version))
                return NULL;
        for (size_t i = 0; i < self->n_sources; i++) {
                const struct cx_resource *resource = self->sources[i].resource;
                if (cx_streq(resource->group, group) && cx_streq(resource->kind->kind, kind))
                        return &self->sources[i];
        }
        return NULL;
}

// The owner as the informer has it; NULL when it does not have it (or has another of that name).
static const struct cx_object *cached_owner(struct collector *self, const struct cx_object *object,
                                            const struct cx_object_owner *owner)
{
        const struct collected_kind *source = source_of_kind(self, owner->api_version, owner->kind);
        if (!source)
                return NULL;
        const struct cx_object *found =
                cx_informer_get(source->informer, source->resource->namespaced ? object->namespace : NULL, owner->name);
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
                        const struct collected_kind *above =
                                source_of_kind(self, old->owners[i].api_version, old->owners[i].kind);
                        if (owner && above && owner->deleted)
                                enqueue(self, above, owner);
                }
}

static bool is_collected(const struct cx_resource *resource)
{
        unsigned needed = CX_VERB_LIST | CX_VERB_WATCH | CX_VERB_DELETE;
        return (resource->verbs & needed) == needed && !cx_streq(resource->resource, "events");
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct collector *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        size_t n;
        const struct cx_resource *resources = cx_schema_resources(&n);
        self->sources = cx_alloc_array(n, sizeof *self->sources);
        for (size_t i = 0; i < n; i++) {
                if (!is_collected(&resources[i]))
                        continue;
                bool seen = false; // one version of a resource is enough
                for (size_t j = 0; j < self->n_sources; j++)
                        seen = seen || (cx_streq(self->sources[j].resource->group, resources[i].group) &&
                                        cx_streq(self->sources[j].resource->resource, resources[i].resource));
                if (seen)
                        continue;
                struct collected_kind *source = &self->sources[self->n_sources];
                *source = (struct collected_kind){self, &resources[i],
                                                  manager_metadata_informer(manager, &resources[i]), self->n_sources};
                self->n_sources++;
        }
        for (size_t i = 0; i < self->n_sources; i++) {
                cx_informer_add_index(self->sources[i].informer, INDEX_OWNER, owner_keys, NULL);
                cx_informer_on_event(self->sources[i].informer, on_event, &self->sources[i]);
        }
        return self;
}

static void release(void *context)
{
        struct collector *self = context;
        free(self->sources);
        free(self);
}

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
                          json_t *value_steal, struct cx_error *err)
{
        json_auto_t *value = value_steal; // an empty list goes altogether
        json_auto_t *patch =
                json_pack("{s:{s:s, s:s, s:o}}", "metadata", "uid", cx_json_string_or(object, "metadata.uid", ""),
                          "resourceVersion", cx_json_string_or(object, "metadata.resourceVersion", ""), field,
                          json_array_size(value) ? json_incref(value) : json_null());
        int r = cx_rest_patch(self->manager->rest, ref, NULL, CX_PATCH_MERGE, patch, NULL, err);
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
        return patch_metadata(self, ref, object, "finalizers", kept, err);
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
        return patch_metadata(self, ref, object, "ownerReferences", kept, err);
}

// Kinds without objects are not watched (see poll_while_empty). Where it matters that nothing depends on an object,
// these kinds are listed: -EAGAIN when one has objects now, which the informer will know at the next try.
static int check_unwatched(struct collector *self, struct cx_error *err)
{
        bool found = false;
        for (size_t i = 0; i < self->n_sources; i++) {
                const struct collected_kind *source = &self->sources[i];
                if (cx_informer_count(source->informer))
                        continue;
                json_auto_t *list = NULL;
                const struct cx_ref *ref =
                        CX_REF(source->resource->group, source->resource->version, source->resource->resource);
                int r = cx_rest_list(self->manager->rest, ref, &(struct cx_list_options){.limit = 1}, &list, err);
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                        return r;
                cx_error_release(err);
                if (!json_array_size(json_object_get(list, "items")))
                        continue;
                cx_informer_poll_now(source->informer);
                found = true;
        }
        return found ? cx_error_set(err, -EAGAIN, "kinds came into use") : 0;
}

static int orphan_dependents(struct collector *self, const char *uid, struct cx_error *err)
{
        for (size_t i = 0; i < self->n_sources; i++) {
                const struct collected_kind *source = &self->sources[i];
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                cx_informer_by_index(source->informer, INDEX_OWNER, uid, &dependents);
                for (size_t j = 0; j < dependents.count; j++) {
                        const struct cx_object *dependent = dependents.items[j];
                        const struct cx_ref *ref =
                                CX_REF(source->resource->group, source->resource->version, source->resource->resource,
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
        for (size_t i = 0; i < self->n_sources; i++) {
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                cx_informer_by_index(self->sources[i].informer, INDEX_OWNER, uid, &dependents);
                for (size_t j = 0; j < dependents.count; j++) {
                        const struct cx_object *dependent = dependents.items[j];
                        for (size_t k = 0; k < dependent->n_owners; k++)
                                blocking += strcmp(dependent->owners[k].uid, uid) == 0 &&
                                            dependent->owners[k].block_deletion;
                        if (!dependent->deleted)
                                enqueue(self, &self->sources[i], dependent);
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

enum owner_state { OWNER_SOLID, OWNER_GOING, OWNER_GONE };

static int look_at_owner(struct collector *self, const struct cx_object *object, const struct cx_object_owner *owner,
                         enum owner_state *ret_state, struct cx_error *err)
{
        CX_OBJECT *cached = cached_owner(self, object, owner);
        if (cached) {
                *ret_state = cached->deleted && cx_object_has_finalizer(cached, FOREGROUND) ? OWNER_GOING : OWNER_SOLID;
                return 0;
        }
        const struct collected_kind *source = source_of_kind(self, owner->api_version, owner->kind);
        // An owner of an unknown kind, or in a namespace that nothing names, is never a reason to delete.
        *ret_state = OWNER_SOLID;
        if (!source || (source->resource->namespaced && !*object->namespace))
                return 0;
        json_auto_t *live = NULL;
        int r = get_metadata(self,
                             CX_REF(source->resource->group, source->resource->version, source->resource->resource,
                                    source->resource->namespaced ? object->namespace : NULL, owner->name),
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

// `ret_cycle`: one of them is itself waiting for its dependents, of which this object may be one.
static bool has_dependents(struct collector *self, const char *uid, bool *ret_cycle)
{
        bool any = false;
        for (size_t i = 0; i < self->n_sources; i++) {
                CX_OBJECTS dependents = CX_OBJECTS_INIT;
                cx_informer_by_index(self->sources[i].informer, INDEX_OWNER, uid, &dependents);
                any |= dependents.count > 0;
                for (size_t j = 0; j < dependents.count; j++)
                        *ret_cycle |= dependents.items[j]->deleted &&
                                      cx_object_has_finalizer(dependents.items[j], FOREGROUND);
        }
        return any;
}

// Owners that wait for each other would wait for ever, so this object no longer blocks the deletion of its owners.
static int unblock_owners(struct collector *self, const struct cx_ref *ref, json_t **live, struct cx_error *err)
{
        json_t *owners = json_deep_copy(cx_json_get(*live, "metadata.ownerReferences"));
        size_t i;
        json_t *owner;
        json_array_foreach (owners, i, owner)
                json_object_set_new(owner, "blockOwnerDeletion", json_false());
        int r = patch_metadata(self, ref, *live, "ownerReferences", owners, err);
        if (r < 0)
                return r;
        json_decref(*live);
        *live = NULL;
        return get_metadata(self, ref, live, err);
}

// The references to owners that are there stay; the others go.
static int drop_dead_owners(struct collector *self, const struct cx_ref *ref, const struct cx_object *object,
                            const enum owner_state *states, const json_t *live, struct cx_error *err)
{
        json_t *kept = json_array();
        for (size_t i = 0; i < object->n_owners; i++) {
                json_t *reference =
                        cx_json_find(cx_json_get(live, "metadata.ownerReferences"), "uid", object->owners[i].uid);
                if (reference && states[i] == OWNER_SOLID)
                        json_array_append(kept, reference);
        }
        return patch_metadata(self, ref, live, "ownerReferences", kept, err);
}

// `going`: an owner waits for the object to go.
static int delete_object(struct collector *self, const struct cx_ref *ref, const struct cx_object *object, bool going,
                         json_t **live, struct cx_error *err)
{
        bool cycle = false, foreground = going && has_dependents(self, object->uid, &cycle);
        int r = foreground && cycle ? unblock_owners(self, ref, live, err) : 0;
        if (r < 0)
                return r;
        struct cx_delete_options options = {
                .grace = -1, .uid = object->uid, .resource_version = cx_json_string(*live, "metadata.resourceVersion")};
        options.propagation = foreground                                    ? "Foreground"
                              : cx_object_has_finalizer(object, ORPHAN)     ? "Orphan"
                              : cx_object_has_finalizer(object, FOREGROUND) ? "Foreground"
                                                                            : "Background";
        return cx_rest_delete(self->manager->rest, ref, &options, err);
}

static int collect(struct collector *self, const struct cx_ref *ref, const struct cx_object *object,
                   struct cx_error *err)
{
        size_t count[] = {[OWNER_SOLID] = 0, [OWNER_GOING] = 0, [OWNER_GONE] = 0};
        CX_CLEANUP(cx_freep) enum owner_state *states = cx_alloc_array(object->n_owners, sizeof *states);
        for (size_t i = 0; i < object->n_owners; i++) {
                int r = look_at_owner(self, object, &object->owners[i], &states[i], err);
                if (r < 0)
                        return r;
                count[states[i]]++;
        }
        if (count[OWNER_SOLID] == object->n_owners)
                return 0;
        json_auto_t *live = NULL;
        int r = get_metadata(self, ref, &live, err);
        if (r == 0 && !cx_streq(cx_json_string(live, "metadata.uid"), object->uid))
                return 0;
        if (r == 0 && count[OWNER_SOLID])
                return drop_dead_owners(self, ref, object, states, live, err);
        if (r == 0)
                r = delete_object(self, ref, object, count[OWNER_GOING] > 0, &live, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct collector *self = context;
        const char *bar = strchr(key, '|');
        size_t number = strtoul(key, NULL, 10);
        if (!bar || number >= self->n_sources)
                return 0;
        const struct cx_resource *resource = self->sources[number].resource;
        CX_OBJECT *object = cx_informer_get_key(self->sources[number].informer, bar + 1);
        if (!object)
                return 0;
        const struct cx_ref *ref =
                CX_REF(resource->group, resource->version, resource->resource, object->namespace, object->name);
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
