// SPDX-License-Identifier: Apache-2.0
// Sets of fields as server-side apply (KEP-555) keeps them, directly in their written form, FieldsV1: a tree of objects
// whose keys are "f:name" (member), `k:{"name":"x"}` (item of a map list, by its keys), `v:"x"` (item of a set) and "."
// (the place itself). An object without members is a set with just its own place. Pure functions; results are new
// references that share nothing that anyone changes.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/schema/schema.h"

// All fields that `object` has. -EINVAL (reason BAD_REQUEST) when a list of type map or set holds the same item twice and
// `strict`; otherwise the first counts.
int cx_fields_of(const struct cx_type *type, const json_t *object, bool strict, json_t **ret_fields,
                 struct cx_error *err) CX_CHECK;
// Fields of `object` that `old` has not, or has with another value.
json_t *cx_fields_changed(const struct cx_type *type, const json_t *object, const json_t *old);

json_t *cx_fields_union(const json_t *a, const json_t *b);
json_t *cx_fields_minus(const json_t *a, const json_t *b);
// The same, but a place stays out of the result also where `b` has only something below it.
json_t *cx_fields_minus_above(const json_t *a, const json_t *b);
json_t *cx_fields_both(const json_t *a, const json_t *b);
bool cx_fields_empty(const json_t *fields);
// Each field as a path, ".spec.containers[name=\"c\"].image", appended to a JSON array of strings.
void cx_fields_paths(const json_t *fields, json_t *to);

// `object` without the fields of the set; what is left empty by that and is in the set as well goes too.
json_t *cx_fields_remove(const struct cx_type *type, const json_t *object, const json_t *fields);
// `config` laid over `live`: scalars and atomic parts are replaced, members and items by their keys are merged.
json_t *cx_fields_merge(const struct cx_type *type, const json_t *live, const json_t *config);
