// SPDX-License-Identifier: Apache-2.0
// For each key the uid and the resourceVersion, which is a number that grows.
#include "controller-manager/core/own_writes.h"

#include "libcommon/format/json.h"

struct own_write {
        int64_t version;
        char uid[];
};

void own_writes_init(struct own_writes *self)
{
        self->by_key = (struct cx_map)CX_MAP_INIT_FREE(free);
        pthread_mutex_init(&self->lock, NULL);
}

void own_writes_release(struct own_writes *self)
{
        cx_map_release(&self->by_key);
        pthread_mutex_destroy(&self->lock);
}

static int64_t version_of(const char *text)
{
        int64_t version;
        return cx_parse_int(cx_str(text), 0, INT64_MAX, &version) == 0 ? version : 0;
}

void own_writes_note(struct own_writes *self, const struct cx_object *object, const json_t *written)
{
        struct own_write *write = cx_alloc(sizeof *write + strlen(object->uid) + 1);
        write->version = version_of(cx_json_string(written, "metadata.resourceVersion"));
        memcpy(write->uid, object->uid, strlen(object->uid) + 1);
        pthread_mutex_lock(&self->lock);
        cx_map_set(&self->by_key, object->key, write);
        pthread_mutex_unlock(&self->lock);
}

bool own_writes_behind(struct own_writes *self, const struct cx_object *object)
{
        pthread_mutex_lock(&self->lock);
        const struct own_write *write = cx_map_get(&self->by_key, object->key);
        bool behind =
                write && strcmp(write->uid, object->uid) == 0 && version_of(object->resource_version) < write->version;
        pthread_mutex_unlock(&self->lock);
        return behind;
}

void own_writes_forget(struct own_writes *self, const char *key)
{
        pthread_mutex_lock(&self->lock);
        cx_map_remove(&self->by_key, key);
        pthread_mutex_unlock(&self->lock);
}
