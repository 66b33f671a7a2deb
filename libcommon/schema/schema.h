// SPDX-License-Identifier: Apache-2.0
// The description of the Kubernetes API as constant tables, and how to find things in them. The tables are generated
// from the *.api files in this folder (format: docs/schema-format.md); the engines in engine.h walk them. Everything here
// is immutable and may be read from any thread. The lookups find what is generated; who builds the same structs at run
// time (the apiserver for custom resources) keeps and finds them itself.
#pragma once

#include "libcommon/base/macro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum __attribute__((packed)) cx_value_type {
        CX_OF_OBJECT, // struct cx_type with fields
        CX_OF_STRING,
        CX_OF_INT32,
        CX_OF_INT64,
        CX_OF_NUMBER,
        CX_OF_BOOL,
        CX_OF_BYTES, // base64 text
        CX_OF_TIME,  // metav1.Time
        CX_OF_MICRO_TIME,
        CX_OF_DURATION, // metav1.Duration
        CX_OF_QUANTITY,
        CX_OF_INT_OR_STRING,
        CX_OF_ANY, // any JSON (RawExtension, JSON): never pruned
};
enum __attribute__((packed)) cx_shape { CX_SHAPE_ONE, CX_SHAPE_LIST, CX_SHAPE_MAP, CX_SHAPE_MAP_OF_LIST };
enum __attribute__((packed)) cx_list_type { CX_LIST_ATOMIC, CX_LIST_SET, CX_LIST_MAP };
enum {                         // cx_field.flags
        CX_FIELD_REQUIRED = 1, // documented as required; says nothing of validation
        CX_FIELD_IMMUTABLE = 2,
        CX_FIELD_PATCH_MERGE = 4,       // patchStrategy merge
        CX_FIELD_PATCH_RETAIN_KEYS = 8, // patchStrategy retainKeys
        CX_FIELD_ATOMIC_MAP = 16,       // map type atomic (server-side apply)
        CX_FIELD_NONEMPTY = 32,         // validation: absent, "", {} or [] is "Required value"
        CX_FIELD_PRESENT = 64,          // validation: absent is "Required value" (custom resources)
        CX_FIELD_DUPLICATES = 128,      // a list that may hold the same key twice, although its type says not
        CX_FIELD_PRESENCE = 256,        // protobuf: a zero value that is there says something (a pointer upstream)
        CX_FIELD_EXACT = 512,           // a map of quantities that is not rounded to thousandths
};

struct cx_type;
struct cx_field {
        const char *name;
        enum cx_value_type of;
        enum cx_shape shape;
        enum cx_list_type list_type; // CX_SHAPE_LIST
        uint16_t flags;
        // 0: not in protobuf. A field that protobuf nests has the tags from the outermost message to its own.
        uint16_t proto_tag, proto_inner_tag, proto_inmost_tag;
        const struct cx_type *type;     // CX_OF_OBJECT
        const char *const *map_keys;    // CX_LIST_MAP: NULL-ended; the merge key of strategic merge patch is merge_key
        const char *merge_key;          // NULL when none
        const char *default_json;       // JSON text; NULL: no default
        const char *const *enum_values; // NULL-ended; NULL: any
        int64_t min, max;               // bounds of numbers, checked when min <= max; {1, 0}: unbounded
        const char *proto_type;         // only where it does not follow from the type; else NULL
        const char *description;        // may be NULL
};
struct cx_type {
        const char *name;              // "core.v1.PodSpec"
        const struct cx_field *fields; // sorted by name
        uint16_t n_fields;
        enum cx_value_type of; // CX_OF_OBJECT; CX_OF_ANY: fields that are not listed are kept
        bool atomic;
        bool conditional; // defaults/ has a function for it
        bool defaulted;   // it, or something below it, has defaults
        const char *description;
        uint16_t id; // its place in the generated table, from 1 on; 0: made at run time
};

struct cx_column {
        const char *name, *type, *format; // "Name", "string", "name"
        int priority;
        const char *path; // JSONPath-like source; NULL: a cell function by kind (table.c)
        const char *description;
};

enum cx_verb {
        CX_VERB_GET = 1,
        CX_VERB_LIST = 2,
        CX_VERB_WATCH = 4,
        CX_VERB_CREATE = 8,
        CX_VERB_UPDATE = 16,
        CX_VERB_PATCH = 32,
        CX_VERB_DELETE = 64,
        CX_VERB_DELETE_COLLECTION = 128
};

struct cx_kind {
        const char *group, *version, *kind; // group "" for the core
        const struct cx_type *type;
};
struct cx_subresource {
        const char *name;                   // "status", "scale", "log", …
        const char *group, *version, *kind; // of what it takes and gives
        unsigned verbs;
};
// When metadata.generation counts.
enum cx_generation {
        CX_GENERATION_SPEC, // with every change of anything but metadata and status
        CX_GENERATION_NONE,
        CX_GENERATION_ANNOTATIONS // with changes of annotations, too
};
enum cx_naming { CX_NAMES_SUBDOMAIN, CX_NAMES_LABEL, CX_NAMES_LABEL_1035, CX_NAMES_SEGMENT }; // api/names.h
// A part of an object that may not change once it is stored, in a sentence that clients know.
struct cx_frozen {
        const char *path, *message;
        const char *const *except; // members that may change; with a '?' behind: that may be set once. NULL-ended
};
struct cx_resource {
        const char *group, *version, *resource; // "apps", "v1", "deployments"
        const char *singular;
        const struct cx_kind *kind;
        const char *list_kind; // "DeploymentList"
        bool namespaced;
        unsigned verbs;
        const char *const *short_names, *const *categories; // NULL-ended, never NULL
        const struct cx_subresource *subresources;          // ended by an entry without name, never NULL
        const struct cx_column *columns;                    // ended by an entry without name; never NULL
        const char *const *selectable_fields;               // besides metadata.name and metadata.namespace
        const char *storage_group, *storage_version;        // of the stored encoding
        const char *prefix;                                 // etcd: /registry/<prefix>/[<namespace>/]<name>
        enum cx_generation generation;
        enum cx_naming naming;
        const struct cx_frozen *frozen; // ended by an entry without path; never NULL
        const char *template_path;      // of the pod template: "spec.template"; NULL: none
};

// Looks up; NULL when there is none. `resource` may be plural only.
const struct cx_resource *cx_schema_resource(const char *group, const char *version, const char *resource);
const struct cx_resource *cx_schema_resource_by_kind(const char *group, const char *version, const char *kind);
const struct cx_kind *cx_schema_kind(const char *group, const char *version, const char *kind);
const struct cx_type *cx_schema_type(const char *name); // "core.v1.PodSpec"
const struct cx_field *cx_type_field(const struct cx_type *type, const char *name);
// The field at a path of members, "spec.unschedulable"; NULL when there is none.
const struct cx_field *cx_type_field_at(const struct cx_type *type, const char *path);
const struct cx_subresource *cx_resource_subresource(const struct cx_resource *resource, const char *name);
// All resources, in discovery order (core first, then groups as upstream orders them).
const struct cx_resource *cx_schema_resources(size_t *ret_count);
// What a user types: plural, singular, short name or kind, optionally ".group" or ".version.group". NULL when unknown.
const struct cx_resource *cx_schema_find(const char *word);
// The pod template of an object, or the pod itself: what has metadata and spec of a pod. Borrowed; NULL when its kind (by
// apiVersion and kind) has none.
json_t *cx_schema_pod_template(const json_t *object);
// "apps/v1" → group and version (fixed buffers); "v1" has group "". False when malformed.
bool cx_split_api_version(const char *api_version, char group[64], char version[32]);
// "apps/v1" into `to` (128 bytes).
const char *cx_join_api_version(char *to, const char *group, const char *version);
