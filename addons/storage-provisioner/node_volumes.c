// SPDX-License-Identifier: Apache-2.0
// A promise is kept here from before the folder is made or grows until the informer has the volume with that size: nothing is
// promised twice however many claims come at once, and nothing is written down that a kill could lose.
#include "addons/storage-provisioner/node_volumes.h"

#include "addons/storage-provisioner/room.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

#include <pthread.h>

struct node_volumes {
        struct provisioner_options options;
        struct cx_informer *informer;
        pthread_mutex_t lock; // guards what follows
        char *hostname;       // the label of the node; NULL: not asked yet
        struct cx_map coming; // name → int64_t: bytes of volumes that the informer may not show yet
};

static void *project_volume(void *context, const json_t *volume)
{
        const struct node_volumes *self = context;
        const json_t *by = json_object_get(cx_json_get(volume, "metadata.annotations"), CX_PROVISIONED_BY);
        if (!cx_streq(json_string_value(by), self->options.name))
                return NULL;
        struct volume_info *info = cx_alloc(sizeof *info);
        cx_volume_parse(volume, &info->volume);
        info->path = cx_strdup(cx_json_string_or(volume, "spec.local.path", ""));
        return info;
}

static void free_volume(void *projection)
{
        struct volume_info *info = projection;
        cx_volume_release(&info->volume);
        free(info->path);
        free(info);
}

struct node_volumes *node_volumes_new(const struct provisioner_options *options)
{
        struct node_volumes *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->coming = (struct cx_map)CX_MAP_INIT_FREE(free);
        pthread_mutex_init(&self->lock, NULL);
        self->informer = cx_informers_add(options->informers,
                                          &(struct cx_informer_options){.ref = {"", "v1", "persistentvolumes"},
                                                                        .drop_bytes = true,
                                                                        .project = project_volume,
                                                                        .free_projection = free_volume,
                                                                        .context = self});
        return self;
}

void node_volumes_free(struct node_volumes *self)
{
        if (!self)
                return;
        cx_map_release(&self->coming);
        pthread_mutex_destroy(&self->lock);
        free(self->hostname);
        free(self);
}

struct cx_informer *node_volumes_informer(const struct node_volumes *self)
{
        return self->informer;
}

// --- this node -------------------------------------------------------------------------------------------------------

static const char *name_of_host(void *hostname, const char *key)
{
        return strcmp(key, "kubernetes.io/hostname") == 0 ? hostname : NULL;
}

int node_volumes_hostname(struct node_volumes *self, const char **ret_hostname, struct cx_error *err)
{
        int r = 0;
        pthread_mutex_lock(&self->lock);
        if (!self->hostname) {
                json_auto_t *node = NULL;
                r = cx_rest_get(self->options.rest, CX_REF("", "v1", "nodes", NULL, self->options.node), &node, err);
                const json_t *labels = cx_json_get(node, "metadata.labels");
                const char *label = json_string_value(json_object_get(labels, "kubernetes.io/hostname"));
                if (r == 0)
                        self->hostname = cx_strdup(label ? label : self->options.node);
        }
        *ret_hostname = self->hostname;
        pthread_mutex_unlock(&self->lock);
        return r;
}

static bool is_here(const struct node_volumes *self, const struct cx_object *volume, const char *hostname)
{
        CX_CLEANUP(cx_freep) char *path = folders_path(self->options.folders, volume->name);
        const struct cx_node_facts facts = {self->options.node, name_of_host, (void *)hostname};
        return strcmp(VOLUME_INFO(volume)->path, path) == 0 && VOLUME_INFO(volume)->volume.has_affinity &&
               cx_volume_is_on(&VOLUME_INFO(volume)->volume, &facts);
}

int node_volumes_has(struct node_volumes *self, const struct cx_object *volume, struct cx_error *err)
{
        const char *hostname;
        int r = node_volumes_hostname(self, &hostname, err);
        return r < 0 ? r : is_here(self, volume, hostname);
}

// --- promises --------------------------------------------------------------------------------------------------------

// In all, and what `name` (NULL: none) has of it. What the informer shows need not be remembered any longer.
static int64_t sum_of_promises(struct node_volumes *self, const char *hostname, const char *name, int64_t *ret_own)
{
        CX_OBJECTS list = CX_OBJECTS_INIT;
        int64_t sum = 0, own = 0;
        cx_informer_list(self->informer, NULL, &list);
        for (size_t i = 0; i < list.count; i++) {
                const struct cx_object *volume = list.items[i];
                if (!VOLUME_INFO(volume) || !is_here(self, volume, hostname))
                        continue;
                int64_t has = VOLUME_INFO(volume)->volume.capacity;
                const int64_t *coming = cx_map_get(&self->coming, volume->name);
                if (coming && *coming > has) // counted below
                        continue;
                cx_map_remove(&self->coming, volume->name);
                sum = room_add(sum, has);
                if (cx_streq(volume->name, name))
                        own = has;
        }
        CX_MAP_FOREACH (&self->coming, entry) {
                sum = room_add(sum, *(const int64_t *)entry->value);
                if (cx_streq(entry->key, name))
                        own = *(const int64_t *)entry->value;
        }
        *ret_own = own;
        return sum;
}

// With `name` NULL it is only looked at.
static int promise(struct node_volumes *self, const char *name, int64_t bytes, struct cx_error *err)
{
        const char *hostname;
        struct room room;
        int64_t own;
        int r = node_volumes_hostname(self, &hostname, err);
        if (r == 0)
                r = folders_room(self->options.folders, &room, err);
        if (r < 0)
                return r;
        pthread_mutex_lock(&self->lock);
        int64_t sum = sum_of_promises(self, hostname, name, &own);
        if (bytes > own) {
                r = room_check(&room, self->options.overcommit, self->options.node, sum, bytes - own, err);
                if (r == 0 && name) {
                        int64_t *coming = cx_alloc(sizeof *coming);
                        *coming = bytes;
                        cx_map_set(&self->coming, name, coming);
                }
        }
        pthread_mutex_unlock(&self->lock);
        return r;
}

int node_volumes_check(struct node_volumes *self, int64_t bytes, struct cx_error *err)
{
        return promise(self, NULL, bytes, err);
}

int node_volumes_promise(struct node_volumes *self, const char *name, int64_t bytes, struct cx_error *err)
{
        return promise(self, name, bytes, err);
}

void node_volumes_forget(struct node_volumes *self, const char *name)
{
        pthread_mutex_lock(&self->lock);
        cx_map_remove(&self->coming, name);
        pthread_mutex_unlock(&self->lock);
}
