// SPDX-License-Identifier: Apache-2.0
// What the two halves of strategic merge patch share: where one is in the types, list items and their order.
#pragma once

#include "libcommon/schema/engine.h"

#define CX_PATCH_DIRECTIVE "$patch"
#define CX_PATCH_RETAIN_KEYS "$retainKeys"
#define CX_PATCH_ORDER "$setElementOrder/"
#define CX_PATCH_DELETE_PRIMITIVES "$deleteFromPrimitiveList/"

// A place in the types: inside an object of `type`, or inside a map whose values are `element` (both NULL: unknown).
struct cx_patch_place {
        const struct cx_type *type, *element;
};
// The field of a key, NULL when there is none (then ret_place is the unknown place); ret_place: inside its value.
const struct cx_field *cx_patch_place_enter(struct cx_patch_place place, const char *key,
                                            struct cx_patch_place *ret_place);

// Whether the lists of a field are merged item by item (patchStrategy merge) and not replaced.
bool cx_patch_merges(const struct cx_field *field);
// Index of the item with the same identity (merge key, or the value itself when key is NULL) or -1.
ssize_t cx_patch_index(const json_t *list, const json_t *item, const char *key);
