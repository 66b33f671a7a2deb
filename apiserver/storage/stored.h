// SPDX-License-Identifier: Apache-2.0
// An object as the watch cache keeps it: its encoded JSON with the resourceVersion spliced in, and the few parts that
// selectors and the map need, taken out once. Immutable and reference-counted; any thread. It is one block of memory:
// objects stay while requests come and go around them, and small blocks that stay would keep whole pages.
#pragma once

#include "libcommon/api/selector.h"
#include "libcommon/format/scan.h"
#include "libcommon/schema/schema.h"

#include <stdatomic.h>

struct stored_label {
        const char *key, *value;
};

struct stored {
        atomic_int references;
        uint32_t writer;         // who sealed the value in etcd (encryption.h); 0: it is plain
        int64_t revision;        // mod revision; of a deletion: the revision that deleted it
        const char *key;         // "namespace/name", or "name" for cluster-scoped: order of the map
        const char *name;        // into key
        size_t namespace_length; // 0 for cluster-scoped
        const struct stored_label *labels;
        uint32_t n_labels;
        uint32_t n_fields;
        const char **fields;   // values of the selectable fields
        size_t texts_length;   // of the key and of the texts of labels and fields, which follow each other
        size_t length;         // of json
        size_t version_offset; // of the digits of resourceVersion in json
        uint32_t version_length;
        char *json; // terminated
};

// The fields that objects of one kind can be selected by, besides name and namespace.
struct selectable_field {
        char *name;          // as clients say it
        const char *path;    // where it is; name, unless upstream calls it otherwise
        const char *instead; // where it is looked for when it is not there; NULL: nowhere
        const char *absent;  // its text when it is absent: the zero value of its type
};
struct selectable {
        struct selectable_field *fields;
        size_t count;
};
void selectable_copy(struct selectable *to, const struct cx_resource *resource);
bool selectable_is_of(const struct selectable *selectable, const struct cx_resource *resource);
void selectable_release(struct selectable *selectable);

// From a stored value (without resourceVersion). NULL when it is not an object that we can read.
struct stored *stored_new(const struct selectable *selectable, const char *key, const char *value, size_t length,
                          int64_t revision);
// The same object under another revision: what a DELETED event carries.
struct stored *stored_with_revision(const struct stored *object, int64_t revision);
struct stored *stored_ref(struct stored *object);
void stored_unref(struct stored *object);
CX_DEFINE_CLEANUP(struct stored, stored_unrefp, stored_unref)
#define STORED CX_CLEANUP(stored_unrefp) struct stored

json_t *stored_parse(const struct stored *object); // new reference
bool stored_is_being_deleted(const struct stored *object);
const char *stored_label(const struct stored *object, const char *key);
const char *stored_field(const struct selectable *selectable, const struct stored *object, const char *name);

struct filter {
        const char *namespace; // NULL or "": all
        const struct cx_selector *labels, *fields;
};
bool filter_matches(const struct filter *filter, const struct selectable *selectable, const struct stored *object);
// Whether the field can be selected by for this resource.
bool resource_selects_field(const struct cx_resource *resource, const char *field);
