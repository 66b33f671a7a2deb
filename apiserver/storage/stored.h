// SPDX-License-Identifier: Apache-2.0
// An object as the watch cache keeps it: its encoded JSON with the resourceVersion spliced in, and the few parts that
// selectors and the map need, taken out once. Immutable and reference-counted; any thread.
#pragma once

#include "api/selector.h"
#include "format/scan.h"
#include "schema/schema.h"

#include <stdatomic.h>

struct cx_stored_label {
        char *key, *value;
};

struct cx_stored {
        atomic_int references;
        int64_t revision;        // mod revision; of a deletion: the revision that deleted it
        char *key;               // "namespace/name", or "name" for cluster-scoped: order of the map
        const char *name;        // into key
        size_t namespace_length; // 0 for cluster-scoped
        struct cx_stored_label *labels;
        uint32_t n_labels;
        uint32_t n_fields;
        char **fields;         // values of the resource's selectable fields, "" when absent
        size_t length;         // of json
        size_t version_offset; // of the digits of resourceVersion in json
        uint32_t version_length;
        char json[]; // terminated
};

// From a stored value (without resourceVersion). NULL when it is not an object that we can read.
struct cx_stored *cx_stored_new(const struct cx_resource *resource, const char *key, const char *value, size_t length,
                                int64_t revision);
// The same object under another revision: what a DELETED event carries.
struct cx_stored *cx_stored_with_revision(const struct cx_stored *object, int64_t revision);
struct cx_stored *cx_stored_ref(struct cx_stored *object);
void cx_stored_unref(struct cx_stored *object);
CX_DEFINE_CLEANUP(struct cx_stored, cx_stored_unrefp, cx_stored_unref)
#define CX_STORED CX_CLEANUP(cx_stored_unrefp) struct cx_stored

json_t *cx_stored_parse(const struct cx_stored *object); // new reference
const char *cx_stored_label(const struct cx_stored *object, const char *key);
const char *cx_stored_field(const struct cx_resource *resource, const struct cx_stored *object, const char *name);

struct cx_filter {
        const struct cx_resource *resource;
        const char *namespace; // NULL or "": all
        const struct cx_selector *labels, *fields;
};
bool cx_filter_matches(const struct cx_filter *filter, const struct cx_stored *object);
// Whether the field can be selected by for this resource.
bool cx_resource_selects_field(const struct cx_resource *resource, const char *field);
