// SPDX-License-Identifier: Apache-2.0
// One allocation holds an object: the struct, its arrays, its texts and its bytes. The layout is computed by running the
// same code twice, first without a target.
#include "libcommon/client/object.h"

#include "libcommon/api/selector.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <limits.h>

struct packer {
        char *base; // NULL while measuring
        size_t used;
};

static void *pack_bytes(struct packer *packer, const void *data, size_t length, size_t align)
{
        packer->used = (packer->used + align - 1) & ~(align - 1);
        char *to = packer->base ? packer->base + packer->used : NULL;
        if (to && data)
                memcpy(to, data, length);
        packer->used += length;
        return to;
}

static const char *pack_text(struct packer *packer, const char *text)
{
        if (!text || !*text)
                return "";
        return pack_bytes(packer, text, strlen(text) + 1, 1);
}

static int compare_pairs(const void *a, const void *b)
{
        return strcmp(((const struct cx_object_pair *)a)->key, ((const struct cx_object_pair *)b)->key);
}

static uint16_t cap(size_t count)
{
        return count < UINT16_MAX ? (uint16_t)count : UINT16_MAX;
}

static void pack_labels(struct packer *packer, struct cx_object *object, json_t *labels)
{
        object->n_labels = cap(json_object_size(labels));
        struct cx_object_pair *pairs =
                pack_bytes(packer, NULL, object->n_labels * sizeof *pairs, _Alignof(struct cx_object_pair));
        size_t i = 0;
        const char *key;
        json_t *value;
        json_object_foreach (labels, key, value) {
                if (i == object->n_labels)
                        break;
                struct cx_object_pair pair = {pack_text(packer, key), pack_text(packer, json_string_value(value))};
                if (pairs)
                        pairs[i] = pair;
                i++;
        }
        if (pairs && object->n_labels)
                qsort(pairs, object->n_labels, sizeof *pairs, compare_pairs);
        object->labels = pairs;
}

static void pack_owners(struct packer *packer, struct cx_object *object, const json_t *owners)
{
        object->n_owners = cap(json_array_size(owners));
        struct cx_object_owner *to =
                pack_bytes(packer, NULL, object->n_owners * sizeof *to, _Alignof(struct cx_object_owner));
        for (size_t i = 0; i < object->n_owners; i++) {
                const json_t *from = json_array_get(owners, i);
                struct cx_object_owner owner = {
                        .api_version = pack_text(packer, cx_json_string(from, "apiVersion")),
                        .kind = pack_text(packer, cx_json_string(from, "kind")),
                        .name = pack_text(packer, cx_json_string(from, "name")),
                        .uid = pack_text(packer, cx_json_string(from, "uid")),
                        .controller = cx_json_bool(from, "controller", false),
                        .block_deletion = cx_json_bool(from, "blockOwnerDeletion", false),
                };
                if (to)
                        to[i] = owner;
        }
        object->owners = to;
}

static void pack_finalizers(struct packer *packer, struct cx_object *object, const json_t *finalizers)
{
        object->n_finalizers = cap(json_array_size(finalizers));
        const char **to = pack_bytes(packer, NULL, object->n_finalizers * sizeof *to, _Alignof(const char *));
        for (size_t i = 0; i < object->n_finalizers; i++) {
                const char *text = pack_text(packer, json_string_value(json_array_get(finalizers, i)));
                if (to)
                        to[i] = text;
        }
        object->finalizers = to;
}

static void pack_object(struct packer *packer, struct cx_object *object, const json_t *metadata, const char *bytes,
                        size_t length)
{
        const char *namespace = cx_json_string(metadata, "namespace"), *name = cx_json_string(metadata, "name");
        pack_bytes(packer, NULL, sizeof *object, 1);
        pack_labels(packer, object, json_object_get(metadata, "labels"));
        pack_owners(packer, object, json_object_get(metadata, "ownerReferences"));
        pack_finalizers(packer, object, json_object_get(metadata, "finalizers"));
        object->namespace = pack_text(packer, namespace);
        object->uid = pack_text(packer, cx_json_string(metadata, "uid"));
        object->resource_version = pack_text(packer, cx_json_string(metadata, "resourceVersion"));
        // The key ends with the name, so the name is its tail.
        if (namespace && *namespace) {
                char *key = pack_bytes(packer, NULL, strlen(namespace) + strlen(cx_str(name)) + 2, 1);
                if (key)
                        snprintf(key, strlen(namespace) + strlen(cx_str(name)) + 2, "%s/%s", namespace, cx_str(name));
                object->key = key;
                object->name = key ? key + strlen(namespace) + 1 : NULL;
        } else {
                object->key = object->name = pack_text(packer, name);
        }
        if (bytes) {
                object->bytes = pack_bytes(packer, bytes, length, 1);
                object->length = length;
        }
}

static int64_t time_of(const json_t *metadata, const char *field)
{
        const char *text = cx_json_string(metadata, field);
        int64_t moment = 0;
        return text && cx_time_parse(text, &moment) == 0 ? moment : 0;
}

struct cx_object *cx_object_new(const json_t *json, const char *bytes, size_t length)
{
        const json_t *metadata = json_object_get(json, "metadata");
        struct packer packer = {0};
        struct cx_object measured = {0};
        pack_object(&packer, &measured, metadata, bytes, length);
        struct cx_object *object = cx_alloc(packer.used);
        packer = (struct packer){.base = (char *)object};
        pack_object(&packer, object, metadata, bytes, length);
        object->refs = 1;
        object->generation = cx_json_int(metadata, "generation", 0);
        object->created = time_of(metadata, "creationTimestamp");
        object->deleted = time_of(metadata, "deletionTimestamp");
        object->deletion_grace = cx_json_int(metadata, "deletionGracePeriodSeconds", 0);
        return object;
}

struct cx_object *cx_object_ref(const struct cx_object *object)
{
        struct cx_object *self = (struct cx_object *)(uintptr_t)object; // only the counter changes
        __atomic_fetch_add(&self->refs, 1, __ATOMIC_RELAXED);
        return self;
}

void cx_object_unref(const struct cx_object *object)
{
        struct cx_object *self = (struct cx_object *)(uintptr_t)object;
        if (!self || __atomic_sub_fetch(&self->refs, 1, __ATOMIC_ACQ_REL))
                return;
        if (self->projection && self->free_projection)
                self->free_projection(self->projection);
        free(self);
}

json_t *cx_object_json(const struct cx_object *object)
{
        json_t *json = NULL;
        if (object->bytes && cx_json_parse(object->bytes, object->length, false, &json, NULL) == 0)
                return json;
        return json_object(); // bytes were parsed once before: only an informer that drops them comes here
}

const char *cx_object_label(const struct cx_object *object, const char *key)
{
        size_t low = 0, high = object->n_labels;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = strcmp(object->labels[middle].key, key);
                if (order == 0)
                        return object->labels[middle].value;
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

bool cx_object_same_labels(const struct cx_object *a, const struct cx_object *b)
{
        if (a->n_labels != b->n_labels)
                return false;
        for (size_t i = 0; i < a->n_labels; i++)
                if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
                    strcmp(a->labels[i].value, b->labels[i].value) != 0)
                        return false;
        return true;
}

const struct cx_object_owner *cx_object_controller(const struct cx_object *object)
{
        for (size_t i = 0; i < object->n_owners; i++)
                if (object->owners[i].controller)
                        return &object->owners[i];
        return NULL;
}

bool cx_object_has_finalizer(const struct cx_object *object, const char *name)
{
        for (size_t i = 0; i < object->n_finalizers; i++)
                if (strcmp(object->finalizers[i], name) == 0)
                        return true;
        return false;
}

static const char *get_label(void *context, const char *key)
{
        return cx_object_label(context, key);
}

bool cx_object_matches(const struct cx_object *object, const struct cx_selector *selector)
{
        return cx_selector_matches_with(selector, get_label, (void *)(uintptr_t)object);
}

void cx_objects_add(struct cx_objects *list, const struct cx_object *object)
{
        if ((list->count & (list->count - 1)) == 0) // full at every power of two
                list->items = cx_realloc_array(list->items, list->count ? list->count * 2 : 1, sizeof *list->items);
        list->items[list->count++] = cx_object_ref(object);
}

void cx_objects_release(struct cx_objects *list)
{
        for (size_t i = 0; i < list->count; i++)
                cx_object_unref(list->items[i]);
        free(list->items);
        *list = (struct cx_objects)CX_OBJECTS_INIT;
}

void cx_key_split(const char *key, char namespace[256], char name[256])
{
        const char *slash = strchr(key, '/');
        if (slash) {
                snprintf(namespace, 256, "%.*s", (int)(slash - key), key);
                cx_copy_string(name, 256, slash + 1);
        } else {
                namespace[0] = 0;
                cx_copy_string(name, 256, key);
        }
}
