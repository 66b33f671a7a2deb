// SPDX-License-Identifier: Apache-2.0
// The shared informers, the event recorders, and small helpers.
#include "libcontroller/manager.h"

#include "libcommon/schema/schema.h"
#include "libcontroller/identity.h"

struct shared_informer {
        const struct cx_resource *resource;
        struct cx_informer *informer;
        struct object_parts *parts;
};

static struct shared_informer *shared_informer(struct manager *manager, const struct cx_resource *resource)
{
        manager = manager->whole ? manager->whole : manager;
        for (size_t i = 0; i < manager->n_shared; i++)
                if (manager->shared[i].resource == resource)
                        return &manager->shared[i];
        struct object_parts *parts = object_parts_new();
        struct cx_informer_options options = {
                .ref = {resource->group, resource->version, resource->resource},
                .metadata_only = true,
                .drop_bytes = true,
                .poll_while_empty = 30 * CX_NS_PER_S,
                .project = object_parts_project,
                .free_projection = object_parts_free_projection,
                .context = parts,
        };
        struct cx_informer *informer = cx_informers_add(manager->informers, &options);
        manager->shared = cx_realloc_array(manager->shared, manager->n_shared + 1, sizeof *manager->shared);
        manager->shared[manager->n_shared] = (struct shared_informer){resource, informer, parts};
        return &manager->shared[manager->n_shared++];
}

static const struct cx_resource *find_resource(const char *group, const char *resource)
{
        const struct cx_resource *found = cx_schema_resource(group, "v1", resource);
        if (!found)
                abort(); // the schema has every resource that the controllers name
        return found;
}

struct cx_informer *manager_informer(struct manager *manager, const char *group, const char *resource)
{
        struct cx_informer *informer = shared_informer(manager, find_resource(group, resource))->informer;
        cx_informer_widen(informer, true);
        return informer;
}

struct cx_informer *manager_part_informer(struct manager *manager, const char *group, const char *resource,
                                          const struct object_part *part)
{
        struct shared_informer *shared = shared_informer(manager, find_resource(group, resource));
        object_parts_add(shared->parts, part);
        cx_informer_widen(shared->informer, false);
        return shared->informer;
}

struct cx_informer *manager_metadata_informer(struct manager *manager, const struct cx_resource *resource)
{
        return shared_informer(manager, resource)->informer;
}

struct cx_informer *manager_named_informer(struct manager *manager, const char *group, const char *resource,
                                           const char *name)
{
        struct cx_informer_options options = {.ref = {group, "v1", resource, NULL, name}};
        return cx_informers_add(manager->informers, &options);
}

struct cx_informer *manager_selected_informer(struct manager *manager, const struct cx_ref *ref, const char *selector)
{
        struct cx_informer_options options = {.ref = *ref, .field_selector = selector};
        return cx_informers_add(manager->informers, &options);
}

struct cx_informer *manager_kind_informer(struct manager *manager, const struct cx_ref *ref)
{
        struct cx_informer_options options = {
                .ref = *ref, .metadata_only = true, .drop_bytes = true, .poll_while_empty = 30 * CX_NS_PER_S};
        return cx_informers_add(manager->informers, &options);
}

void manager_release(struct manager *manager)
{
        for (size_t i = 0; i < manager->n_recorders; i++)
                cx_events_free(manager->recorders[i]);
        free(manager->recorders);
        for (size_t i = 0; i < manager->n_shared; i++)
                object_parts_free(manager->shared[i].parts);
        free(manager->shared);
}

struct cx_events *manager_recorder(struct manager *manager, const char *component)
{
        manager = manager->whole ? manager->whole : manager;
        struct cx_events *recorder = cx_events_for(manager->events, component);
        manager->recorders = cx_realloc_array(manager->recorders, manager->n_recorders + 1, sizeof *manager->recorders);
        manager->recorders[manager->n_recorders++] = recorder;
        return recorder;
}

struct cx_rest *manager_rest_of(struct manager *manager, const char *account)
{
        manager = manager->whole ? manager->whole : manager;
        return manager->identities ? identities_rest(manager->identities, account) : manager->rest;
}

static void enqueue(void *context, const struct cx_object *old, const struct cx_object *now)
{
        cx_workqueue_add(context, now ? now->key : old->key);
}

void manager_enqueue_all(struct cx_informer *informer, struct cx_workqueue *queue)
{
        cx_informer_on_event(informer, enqueue, queue);
}

json_t *make_controller_ref(const char *api_version, const char *kind, const char *name, const char *uid)
{
        return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "apiVersion", api_version, "kind", kind, "name", name, "uid",
                         uid, "controller", 1, "blockOwnerDeletion", 1);
}

json_t *json_now(void)
{
        char text[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), text);
        return json_string(text);
}

json_t *find_condition(const json_t *object, const char *type)
{
        return cx_json_find(cx_json_get(object, "status.conditions"), "type", type);
}

bool condition_is(const json_t *object, const char *type, const char *status)
{
        return cx_streq(cx_json_string(find_condition(object, type), "status"), status);
}

bool is_namespace_terminating(const struct cx_error *err)
{
        for (size_t i = 0; cx_error_is(err, CX_REASON_FORBIDDEN) && i < err->n_causes; i++)
                if (cx_streq(err->causes[i].reason, "NamespaceTerminating"))
                        return true;
        return false;
}

int read_whole_file(const char *path, char **ret_text, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        *ret_text = cx_buf_detach(&text);
        return 0;
}
