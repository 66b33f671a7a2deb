// SPDX-License-Identifier: Apache-2.0
// How server-side apply sees a value: shared by fields.c (sets) and fields_merge.c (objects).
#pragma once

#include "libcommon/schema/fields.h"

// What the parts of a value are.
enum cx_part {
        CX_PART_LEAF,    // no parts: replaced whole
        CX_PART_MEMBERS, // of a type or a map
        CX_PART_ITEMS,   // of a list of type map or set
};
// A place in an object: the field that describes it. `inside`: one value of it (an item or a map's value), not the list or
// map that the field as a whole is.
struct cx_field_place {
        const struct cx_field *field; // NULL: the object itself
        const struct cx_type *type;   // of the members, NULL when they are the values of a map
        bool inside;
};

enum cx_part cx_field_place_part(const struct cx_field_place *place, const json_t *value);
// Where a member is. False: the type does not know it.
bool cx_field_place_member(const struct cx_field_place *place, const char *name, struct cx_field_place *ret_inner);
struct cx_field_place cx_field_place_item(const struct cx_field_place *place);
// "k:{…}" or `v:…`; NULL when the item has not got the keys. Owned by the caller.
char *cx_field_place_item_key(const struct cx_field_place *place, const json_t *item);
