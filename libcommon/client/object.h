// SPDX-License-Identifier: Apache-2.0
// An object as an informer keeps it: its metadata taken apart once, its encoded bytes, and what the component's own
// projection took from it. Immutable and refcounted: any thread may read what it holds a reference to.
#pragma once

#include "libcommon/base/strings.h"

#include <jansson.h>

struct cx_object_pair {
        const char *key, *value;
};
struct cx_object_owner {
        const char *api_version, *kind, *name, *uid;
        bool controller, block_deletion;
};

struct cx_object {
        unsigned refs;
        const char *namespace, *name, *uid; // never NULL; "" when absent
        const char *key;                    // "namespace/name", or "name"
        const char *resource_version;
        int64_t generation;
        int64_t created, deleted;            // µs since the epoch; deleted 0: not being deleted
        int64_t deletion_grace;              // seconds
        const struct cx_object_pair *labels; // sorted by key
        const struct cx_object_owner *owners;
        const char *const *finalizers;
        uint16_t n_labels, n_owners, n_finalizers;
        const char *bytes; // encoded JSON; NULL when the informer does not keep it
        size_t length;
        void *projection; // the component's struct; NULL without a project callback
        void (*free_projection)(void *);
};

// Takes an object apart. `bytes` (copied when not NULL) is what cx_object_json will parse later.
struct cx_object *cx_object_new(const json_t *json, const char *bytes, size_t length);
struct cx_object *cx_object_ref(const struct cx_object *object);
void cx_object_unref(const struct cx_object *object);
static inline CX_UNUSED void cx_object_unrefp(const struct cx_object **object)
{
        if (*object)
                cx_object_unref(*object);
}
#define CX_OBJECT CX_CLEANUP(cx_object_unrefp) const struct cx_object

// The whole object, parsed anew: a new reference that the caller may edit. Listed objects may lack apiVersion and kind.
json_t *cx_object_json(const struct cx_object *object);
const char *cx_object_label(const struct cx_object *object, const char *key); // NULL when absent
bool cx_object_same_labels(const struct cx_object *a, const struct cx_object *b);
const struct cx_object_owner *cx_object_controller(const struct cx_object *object);
bool cx_object_has_finalizer(const struct cx_object *object, const char *name);
struct cx_selector;
bool cx_object_matches(const struct cx_object *object, const struct cx_selector *selector); // by its labels
// A list of references.
struct cx_objects {
        const struct cx_object **items;
        size_t count;
};
#define CX_OBJECTS_INIT                                                                                                \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_OBJECTS CX_CLEANUP(cx_objects_release) struct cx_objects
void cx_objects_add(struct cx_objects *list, const struct cx_object *object); // takes a new reference
void cx_objects_release(struct cx_objects *list);
// Splits "namespace/name" (or "name") into fixed buffers of 256 bytes.
void cx_key_split(const char *key, char namespace[256], char name[256]);
// The name of the index of objects by their namespace (informer.h).
#define CX_INDEX_NAMESPACE "namespace"
