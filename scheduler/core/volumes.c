// SPDX-License-Identifier: Apache-2.0
// Maps of references, and a short list of promises: they live as long as a pod is on its way to its node.
#include "scheduler/core/volumes.h"

#include "libcommon/api/quantity.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

struct binding_wait {
        const char *pod_uid; // the waiter's
        bool gone;
};

// --- projections -----------------------------------------------------------------------------------------------------

struct volume_driver {
        bool tells_capacity;
};
struct csi_capacity { // CSIStorageCapacity
        char *class;
        int64_t limit; // bytes of the largest volume; -1: not known
        bool anywhere; // it says where
        struct cx_selector nodes;
};
struct attachment {
        char *driver, *node, *volume;
};

static void *project_claim(const json_t *object)
{
        struct cx_claim *claim = cx_alloc(sizeof *claim);
        cx_claim_parse(object, claim);
        return claim;
}

static void free_claim(void *claim)
{
        cx_claim_release(claim);
        free(claim);
}

static void *project_volume(const json_t *object)
{
        struct cx_volume *volume = cx_alloc(sizeof *volume);
        cx_volume_parse(object, volume);
        return volume;
}

static void free_volume(void *volume)
{
        cx_volume_release(volume);
        free(volume);
}

static void *project_class(const json_t *object)
{
        struct cx_storage_class *class = cx_alloc(sizeof *class);
        cx_storage_class_parse(object, class);
        return class;
}

static void free_class(void *class)
{
        cx_storage_class_release(class);
        free(class);
}

static void *project_csi_node(const json_t *object)
{
        struct csi_node *node = cx_alloc(sizeof *node);
        const json_t *drivers = cx_json_get(object, "spec.drivers");
        node->items = cx_alloc_array(json_array_size(drivers) + 1, sizeof *node->items);
        for (size_t i = 0; i < json_array_size(drivers); i++) {
                const json_t *driver = json_array_get(drivers, i);
                const json_t *count = cx_json_get(driver, "allocatable.count");
                if (json_is_integer(count))
                        node->items[node->count++] = (struct csi_limit){
                                cx_strdup(cx_json_string_or(driver, "name", "")), json_integer_value(count)};
        }
        return node;
}

static void free_csi_node(void *projection)
{
        struct csi_node *node = projection;
        for (size_t i = 0; i < node->count; i++)
                free(node->items[i].driver);
        free(node->items);
        free(node);
}

static void *project_csi_driver(const json_t *object)
{
        struct volume_driver *driver = cx_alloc(sizeof *driver);
        driver->tells_capacity = cx_json_bool(object, "spec.storageCapacity", false);
        return driver;
}

static void *project_csi_capacity(const json_t *object)
{
        struct csi_capacity *capacity = cx_alloc(sizeof *capacity);
        const json_t *limit = json_object_get(object, "maximumVolumeSize"),
                     *nodes = json_object_get(object, "nodeTopology");
        limit = limit ? limit : json_object_get(object, "capacity");
        *capacity = (struct csi_capacity){.class = cx_strdup(cx_json_string_or(object, "storageClassName", "")),
                                          .limit = limit ? cx_quantity_value_of(limit) : -1,
                                          .anywhere = json_is_object(nodes)};
        if (cx_selector_from_json(nodes, &capacity->nodes, NULL) < 0)
                capacity->nodes = (struct cx_selector){.nothing = true};
        return capacity;
}

static void free_csi_capacity(void *projection)
{
        struct csi_capacity *capacity = projection;
        free(capacity->class);
        cx_selector_release(&capacity->nodes);
        free(capacity);
}

static void *project_attachment(const json_t *object)
{
        struct attachment *attachment = cx_alloc(sizeof *attachment);
        *attachment = (struct attachment){
                cx_strdup(cx_json_string_or(object, "spec.attacher", "")),
                cx_strdup(cx_json_string_or(object, "spec.nodeName", "")),
                cx_strdup(cx_json_string_or(object, "spec.source.persistentVolumeName", "")),
        };
        return attachment;
}

static void free_attachment(void *projection)
{
        struct attachment *attachment = projection;
        free(attachment->driver);
        free(attachment->node);
        free(attachment->volume);
        free(attachment);
}

static const struct {
        void *(*project)(const json_t *object);
        storage_free_projection release;
} kinds[STORAGE_KINDS] = {
        [STORAGE_CLAIM] = {project_claim, free_claim},
        [STORAGE_VOLUME] = {project_volume, free_volume},
        [STORAGE_CLASS] = {project_class, free_class},
        [STORAGE_CSI_NODE] = {project_csi_node, free_csi_node},
        [STORAGE_CSI_DRIVER] = {project_csi_driver, free},
        [STORAGE_CSI_CAPACITY] = {project_csi_capacity, free_csi_capacity},
        [STORAGE_ATTACHMENT] = {project_attachment, free_attachment},
};

void *storage_project(void *context, const json_t *object)
{
        return kinds[*(const enum storage_kind *)context].project(object);
}

storage_free_projection storage_release_of(enum storage_kind kind)
{
        return kinds[kind].release;
}

// --- the objects -----------------------------------------------------------------------------------------------------

static void free_object(void *object)
{
        cx_object_unref(object);
}

void volumes_init(struct volume_cache *self)
{
        *self = (struct volume_cache){0};
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->changed);
        for (int i = 0; i < STORAGE_KINDS; i++)
                self->objects[i] = (struct cx_map)CX_MAP_INIT_FREE(free_object);
}

void volumes_release(struct volume_cache *self)
{
        for (int i = 0; i < STORAGE_KINDS; i++)
                cx_map_release(&self->objects[i]);
        free(self->promises);
        free(self->waits);
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->lock);
}

void volumes_set(struct volume_cache *self, enum storage_kind kind, const char *key, const struct cx_object *object)
{
        pthread_mutex_lock(&self->lock);
        if (object)
                cx_map_set(&self->objects[kind], key, cx_object_ref(object));
        else
                cx_map_remove(&self->objects[kind], key);
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
}

const struct cx_object *volumes_peek(const struct volume_cache *self, enum storage_kind kind, const char *key)
{
        return cx_map_get(&self->objects[kind], key);
}

const struct cx_object *volumes_get(struct volume_cache *self, enum storage_kind kind, const char *key)
{
        pthread_mutex_lock(&self->lock);
        const struct cx_object *found = volumes_peek(self, kind, key);
        if (found)
                cx_object_ref(found);
        pthread_mutex_unlock(&self->lock);
        return found;
}

void volumes_of_class(struct volume_cache *self, const char *class, struct cx_objects *ret_list)
{
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (&self->objects[STORAGE_VOLUME], entry) {
                const struct cx_object *object = entry->value;
                if (strcmp(VOLUME_OF(object)->class, class) == 0 && strcmp(VOLUME_OF(object)->phase, "Bound") != 0)
                        cx_objects_add(ret_list, object);
        }
        pthread_mutex_unlock(&self->lock);
}

static bool has_room(const struct csi_capacity *capacity, const char *class, int64_t bytes,
                     const struct cx_node_facts *node)
{
        return strcmp(capacity->class, class) == 0 && capacity->limit >= bytes && capacity->anywhere &&
               cx_selector_matches_with(&capacity->nodes, node->label, node->node);
}

bool volumes_have_room(struct volume_cache *self, const char *provisioner, const char *class, int64_t bytes,
                       const struct cx_node_facts *node)
{
        pthread_mutex_lock(&self->lock);
        const struct cx_object *driver = volumes_peek(self, STORAGE_CSI_DRIVER, provisioner);
        bool enough = !driver || !((const struct volume_driver *)driver->projection)->tells_capacity;
        if (!enough)
                CX_MAP_FOREACH (&self->objects[STORAGE_CSI_CAPACITY], entry)
                        enough = enough ||
                                 has_room(((const struct cx_object *)entry->value)->projection, class, bytes, node);
        pthread_mutex_unlock(&self->lock);
        return enough;
}

void volumes_attached(struct volume_cache *self, const char *node, struct cx_strings *ret_handles)
{
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (&self->objects[STORAGE_ATTACHMENT], entry) {
                const struct attachment *attachment = ((const struct cx_object *)entry->value)->projection;
                if (strcmp(attachment->node, node) != 0 || !*attachment->volume)
                        continue;
                const struct cx_object *volume = volumes_peek(self, STORAGE_VOLUME, attachment->volume);
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("%s^%s", attachment->driver,
                                        volume ? VOLUME_OF(volume)->handle : attachment->volume);
                if (!cx_strings_has(ret_handles, text))
                        cx_strings_add(ret_handles, text);
        }
        pthread_mutex_unlock(&self->lock);
}

// --- promises --------------------------------------------------------------------------------------------------------

bool volumes_promised(struct volume_cache *self, const char *claim, char **ret_node, char **ret_volume)
{
        bool found = false;
        pthread_mutex_lock(&self->lock);
        for (size_t i = 0; i < self->n_promises && !found; i++)
                if (strcmp(self->promises[i]->claim, claim) == 0) {
                        *ret_node = cx_strdup(self->promises[i]->node);
                        *ret_volume = self->promises[i]->volume ? cx_strdup(self->promises[i]->volume) : NULL;
                        found = true;
                }
        pthread_mutex_unlock(&self->lock);
        return found;
}

void volumes_taken(struct volume_cache *self, struct cx_strings *ret_names)
{
        pthread_mutex_lock(&self->lock);
        for (size_t i = 0; i < self->n_promises; i++)
                if (self->promises[i]->volume)
                        cx_strings_add(ret_names, self->promises[i]->volume);
        pthread_mutex_unlock(&self->lock);
}

struct promise *volumes_promise(struct volume_cache *self, const char *claim, const char *node, const char *volume)
{
        struct promise *promise = cx_alloc(sizeof *promise);
        *promise = (struct promise){cx_strdup(claim), cx_strdup(node), volume ? cx_strdup(volume) : NULL};
        pthread_mutex_lock(&self->lock);
        self->promises = cx_realloc_array(self->promises, self->n_promises + 1, sizeof *self->promises);
        self->promises[self->n_promises++] = promise;
        pthread_mutex_unlock(&self->lock);
        return promise;
}

void volumes_unpromise(struct volume_cache *self, struct promise *promise)
{
        pthread_mutex_lock(&self->lock);
        for (size_t i = 0; i < self->n_promises; i++)
                if (self->promises[i] == promise) {
                        self->promises[i] = self->promises[--self->n_promises];
                        break;
                }
        pthread_mutex_unlock(&self->lock);
        free(promise->claim);
        free(promise->node);
        free(promise->volume);
        free(promise);
}

// --- waiting ---------------------------------------------------------------------------------------------------------

int volumes_wait(struct volume_cache *self, const char *pod_uid, int64_t deadline,
                 int (*done)(struct volume_cache *volumes, void *context), void *context)
{
        struct binding_wait wait = {pod_uid, false};
        pthread_mutex_lock(&self->lock);
        self->waits = cx_realloc_array(self->waits, self->n_waits + 1, sizeof *self->waits);
        self->waits[self->n_waits++] = &wait;
        int r = 0;
        bool late = false;
        while ((r = done(self, context)) == 0) {
                if (wait.gone || self->stopped)
                        r = -ECANCELED;
                else if (late)
                        r = -ETIMEDOUT;
                if (r)
                        break;
                late = cx_cond_wait_until(&self->changed, &self->lock, deadline);
        }
        for (size_t i = 0; i < self->n_waits; i++)
                if (self->waits[i] == &wait) {
                        self->waits[i] = self->waits[--self->n_waits];
                        break;
                }
        pthread_mutex_unlock(&self->lock);
        return r;
}

void volumes_pod_gone(struct volume_cache *self, const char *pod_uid)
{
        pthread_mutex_lock(&self->lock);
        for (size_t i = 0; i < self->n_waits; i++)
                if (strcmp(self->waits[i]->pod_uid, pod_uid) == 0)
                        self->waits[i]->gone = true;
        if (self->n_waits)
                pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
}

void volumes_stop(struct volume_cache *self)
{
        pthread_mutex_lock(&self->lock);
        self->stopped = true;
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
}
