// SPDX-License-Identifier: Apache-2.0
// The shared informers, recorders and small helpers.
#include "controller-manager/core/manager.h"

#include "controller-manager/pods/pods.h"
#include "libcommon/schema/schema.h"

static struct cx_informer *declare(struct manager *manager, const struct cx_resource *resource, bool metadata_only)
{
        manager = manager->whole ? manager->whole : manager;
        for (size_t i = 0; i < manager->n_shared; i++)
                if (manager->shared[i].resource == resource)
                        return manager->shared[i].informer;
        struct cx_informer_options options = {
                .ref = {resource->group, resource->version, resource->resource},
                .metadata_only = metadata_only,
                .drop_bytes = metadata_only,
                .poll_while_empty = metadata_only ? 30 * CX_NS_PER_S : 0,
        };
        bool core = !*resource->group;
        if (!metadata_only && core && cx_streq(resource->resource, "pods")) {
                options.project = pod_project;
                options.free_projection = pod_free_projection;
                options.drop_bytes = true;
        }
        // Only the objects that a controller looks at.
        if (!metadata_only && core && cx_streq(resource->resource, "configmaps"))
                options.ref.name = "kube-root-ca.crt";
        struct cx_informer *informer = cx_informers_add(manager->informers, &options);
        if (!metadata_only && core && cx_streq(resource->resource, "pods"))
                pod_add_indexes(informer);
        // A restricted informer is no source for the garbage collector, which gets one of its own.
        bool restricted = options.ref.name != NULL;
        manager->shared = cx_realloc_array(manager->shared, manager->n_shared + 1, sizeof *manager->shared);
        manager->shared[manager->n_shared++] =
                (struct manager_informer){restricted ? NULL : resource, informer, metadata_only};
        return informer;
}

struct cx_informer *manager_informer(struct manager *manager, const char *group, const char *resource)
{
        const struct cx_resource *found = cx_schema_resource(group, "v1", resource);
        if (!found)
                abort(); // the schema has every resource of the table of controllers
        return declare(manager, found, false);
}

struct cx_informer *manager_metadata_informer(struct manager *manager, const struct cx_resource *resource)
{
        return declare(manager, resource, true);
}

struct cx_events *manager_recorder(struct manager *manager, const char *component)
{
        manager = manager->whole ? manager->whole : manager;
        struct cx_events *recorder = cx_events_for(manager->events, component);
        manager->recorders = cx_realloc_array(manager->recorders, manager->n_recorders + 1, sizeof *manager->recorders);
        manager->recorders[manager->n_recorders++] = recorder;
        return recorder;
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

int read_whole_file(const char *path, char **ret_text, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        *ret_text = cx_buf_detach(&text);
        return 0;
}
