// SPDX-License-Identifier: Apache-2.0
// The engines that walk the schema's tables: decoding checks, defaults, patches, tables, discovery, OpenAPI. Pure
// functions over json_t; any thread may call. Errors are Kubernetes' own: reason, message, field causes.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"
#include "libcommon/schema/schema.h"

// --- decode.c: what a client sent against the type -----------------------------------------------------------------
enum cx_field_validation { CX_FIELDS_IGNORE, CX_FIELDS_WARN, CX_FIELDS_STRICT };
// Checks the types of all fields (wrong type: BadRequest, as upstream's decoder words it) and removes unknown fields.
// Unknown fields: WARN adds upstream's sentences ('unknown field "spec.foo"') to ret_warnings, STRICT collects them into
// one BadRequest ("strict decoding error: …"). `duplicates` (may be NULL): what the parser has to say about keys that were
// there twice; it goes the same way. Removes nulls where upstream's decoder does.
struct cx_duplicates {           // zeroed: none
        struct cx_strings paths; // of a JSON document: "spec.replicas"
        struct cx_strings lines; // of a YAML document: sentences
};
void cx_duplicates_release(struct cx_duplicates *duplicates);
int cx_schema_decode(const struct cx_type *type, json_t *object, enum cx_field_validation mode,
                     const struct cx_duplicates *duplicates, struct cx_strings *ret_warnings, struct cx_error *err)
        CX_CHECK;
// --- defaults.c: sets absent fields to their defaults, in place. Conditional defaults of a kind live beside them.
void cx_schema_default(const struct cx_kind *kind, json_t *object);
// --- validate.c: required, enum, bounds, formats of names/quantities: adds causes ("Required value", "Unsupported
// value: …", "Invalid value: …") and returns an Invalid error naming the object, 0 when all is well.
int cx_schema_validate(const struct cx_kind *kind, const json_t *object, struct cx_error *err) CX_CHECK;
// --- validate_update.c: adds a cause for each field that the tables call immutable and that differs from `old`.
void cx_schema_validate_update(const struct cx_kind *kind, const json_t *object, const json_t *old,
                               struct cx_error *causes);
// --- patch_strategic.c ----------------------------------------------------------------------------------------------
// Applies a strategic merge patch ($patch, $retainKeys, $setElementOrder, $deleteFromPrimitiveList). New reference.
int cx_patch_strategic(const struct cx_type *type, const json_t *original, const json_t *patch, json_t **ret_patched,
                       struct cx_error *err) CX_CHECK;
// kubectl apply: the patch that turns `current` into `modified`, deleting what `original` had and `modified` lacks.
int cx_patch_strategic_three_way(const struct cx_type *type, const json_t *original, const json_t *modified,
                                 const json_t *current, json_t **ret_patch, struct cx_error *err) CX_CHECK;
// --- patch_json.c ---------------------------------------------------------------------------------------------------
int cx_patch_json(const json_t *original, const json_t *operations, json_t **ret_patched,
                  struct cx_error *err) CX_CHECK;                    // RFC 6902
json_t *cx_patch_merge(const json_t *original, const json_t *patch); // RFC 7386; new
json_t *cx_patch_merge_diff(const json_t *from, const json_t *to);   // new; {} when equal
json_t *cx_patch_merge_three_way(const json_t *original, const json_t *modified, const json_t *current);
// --- table.c: meta.k8s.io/v1 Table ----------------------------------------------------------------------------------
enum cx_include_object { CX_INCLUDE_NONE, CX_INCLUDE_METADATA, CX_INCLUDE_OBJECT };
// One table row's cells for an object (new array), upstream's printers: ages relative to now, pod status reasons, …
json_t *cx_table_cells(const struct cx_resource *resource, const json_t *object);
json_t *cx_table_columns(const struct cx_resource *resource); // columnDefinitions
json_t *cx_table(const struct cx_resource *resource, const json_t *const *objects, size_t count,
                 enum cx_include_object include, const json_t *list_metadata);
// The STATUS cell of a pod ("Running", "CrashLoopBackOff", "Init:0/1", "Terminating"): kubectl uses it as well.
char *cx_pod_status_text(const json_t *pod);
// --- what documents are made of: the resources that are served, in discovery order (core first, the versions of a group
// together, the preferred one first).
struct cx_resource_set {
        const struct cx_resource *const *items;
        size_t count;
};
// --- discovery.c ----------------------------------------------------------------------------------------------------
json_t *cx_discovery_api_versions(const char *server_address);                    // /api      APIVersions
json_t *cx_discovery_groups(const struct cx_resource_set *all);                   // /apis     APIGroupList
json_t *cx_discovery_group(const struct cx_resource_set *all, const char *group); // /apis/G   APIGroup or NULL
json_t *cx_discovery_resources(const struct cx_resource_set *all, const char *group, const char *version); // or NULL
json_t *cx_discovery_aggregated(const struct cx_resource_set *all,
                                bool core); // apidiscovery.k8s.io/v2 GroupDiscoveryList
// --- openapi_v3.c, openapi_v2.c -------------------------------------------------------------------------------------
json_t *cx_openapi_v3_index(const struct cx_resource_set *all); // {"paths":{"api/v1":{"serverRelativeURL":…?hash=…}}}
// "api/v1", "apis/apps/v1"; NULL when unknown
json_t *cx_openapi_v3(const struct cx_resource_set *all, const char *group_version_path);
json_t *cx_openapi_v2(const struct cx_resource_set *all);
void cx_openapi_hash(const void *data, size_t length, char ret_hash[17]); // what the index says of a document's text
// --- openapi_v2_proto.c: an OpenAPI v2 document as gnostic's openapi.v2.Document, appended. -EINVAL when it holds
// something that the message has no place for.
int cx_openapi_v2_protobuf(const json_t *document, struct cx_buf *to, struct cx_error *err) CX_CHECK;
