// SPDX-License-Identifier: Apache-2.0
// Sets of fields: made of objects, joined, taken apart.
#include "libcommon/schema/fields_internal.h"

#include "libcommon/format/json.h"

#define HERE "."

// --- places ---

enum cx_part cx_field_place_part(const struct cx_field_place *place, const json_t *value)
{
        const struct cx_field *field = place->field;
        bool object = json_is_object(value) && json_object_size(value) > 0;
        if (!field || place->inside || field->shape == CX_SHAPE_ONE)
                return object && place->type && !place->type->atomic && place->type->of == CX_OF_OBJECT
                               ? CX_PART_MEMBERS
                               : CX_PART_LEAF;
        if (field->shape == CX_SHAPE_LIST)
                return json_array_size(value) > 0 && field->list_type != CX_LIST_ATOMIC ? CX_PART_ITEMS : CX_PART_LEAF;
        return object && !(field->flags & CX_FIELD_ATOMIC_MAP) ? CX_PART_MEMBERS : CX_PART_LEAF;
}

bool cx_field_place_member(const struct cx_field_place *place, const char *name, struct cx_field_place *ret_inner)
{
        bool map = place->field && !place->inside && place->field->shape != CX_SHAPE_ONE;
        if (map) {
                *ret_inner = (struct cx_field_place){.field = place->field, .type = place->field->type, .inside = true};
                return true;
        }
        const struct cx_field *field = cx_type_field(place->type, name);
        if (!field)
                return false;
        *ret_inner = (struct cx_field_place){.field = field, .type = field->type};
        return true;
}

struct cx_field_place cx_field_place_item(const struct cx_field_place *place)
{
        return (struct cx_field_place){.field = place->field, .type = place->field->type, .inside = true};
}

// A key that the item lacks counts as its default, so that the same port is the same port.
static json_t *key_value(const struct cx_field *list, const char *name, const json_t *item)
{
        json_t *value = json_object_get(item, name);
        const struct cx_field *field = list->type ? cx_type_field(list->type, name) : NULL;
        if (value)
                return json_incref(value);
        return field && field->default_json ? json_loads(field->default_json, JSON_DECODE_ANY, NULL) : NULL;
}

char *cx_field_place_item_key(const struct cx_field_place *place, const json_t *item)
{
        json_auto_t *keys = json_object();
        const struct cx_field *field = place->field;
        if (field->list_type == CX_LIST_SET) {
                CX_CLEANUP(cx_freep) char *text = json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY);
                return cx_sprintf("v:%s", text);
        }
        for (const char *const *name = field->map_keys; *name; name++) {
                json_t *value = key_value(field, *name, item);
                if (value)
                        json_object_set_new(keys, *name, value);
        }
        if (!json_object_size(keys))
                return NULL;
        CX_CLEANUP(cx_freep) char *text = json_dumps(keys, JSON_COMPACT | JSON_SORT_KEYS);
        return cx_sprintf("k:%s", text);
}

// --- from objects ---

struct walk {
        bool strict;
        const char *name; // the member at hand, for errors
        struct cx_error *err;
        int r;
};

static json_t *collect(struct walk *walk, const struct cx_field_place *place, const json_t *value);

static void put(json_t *to, const char *prefix, const char *name, json_t *child_steal)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s%s", prefix, name);
        json_object_set_new(to, key, child_steal);
}

static void collect_items(struct walk *walk, const struct cx_field_place *place, const json_t *list, json_t *to)
{
        const char *name = walk->name;
        for (size_t i = 0; i < json_array_size(list) && walk->r == 0; i++) {
                const json_t *item = json_array_get(list, i);
                struct cx_field_place inner = cx_field_place_item(place);
                CX_CLEANUP(cx_freep) char *key = cx_field_place_item_key(place, item);
                if (!key)
                        continue;
                if (json_object_get(to, key)) {
                        if (walk->strict)
                                walk->r = cx_error_reason(walk->err, CX_REASON_BAD_REQUEST,
                                                          "%s: duplicate entries for key [%s]", name, key + 2);
                        continue;
                }
                json_t *fields = collect(walk, &inner, item);
                if (json_object_size(fields))
                        json_object_set_new(fields, HERE, json_object());
                json_object_set_new(to, key, fields);
        }
}

static json_t *collect(struct walk *walk, const struct cx_field_place *place, const json_t *value)
{
        json_t *fields = json_object();
        enum cx_part part = cx_field_place_part(place, value);
        if (part == CX_PART_ITEMS)
                collect_items(walk, place, value, fields);
        if (part != CX_PART_MEMBERS)
                return fields;
        const char *name;
        json_t *member;
        json_object_foreach ((json_t *)value, name, member) {
                struct cx_field_place inner;
                if (!cx_field_place_member(place, name, &inner))
                        continue;
                walk->name = name;
                put(fields, "f:", name, collect(walk, &inner, member));
        }
        return fields;
}

int cx_fields_of(const struct cx_type *type, const json_t *object, bool strict, json_t **ret_fields,
                 struct cx_error *err)
{
        struct walk walk = {.strict = strict, .name = "", .err = err};
        struct cx_field_place root = {.type = type};
        json_t *fields = collect(&walk, &root, object);
        if (walk.r < 0) {
                json_decref(fields);
                return walk.r;
        }
        *ret_fields = fields;
        return 0;
}

static const json_t *find_item(const struct cx_field_place *place, const json_t *list, const char *key)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                CX_CLEANUP(cx_freep) char *own = cx_field_place_item_key(place, json_array_get(list, i));
                if (cx_streq(own, key))
                        return json_array_get(list, i);
        }
        return NULL;
}

// NULL: nothing has changed.
static json_t *changed(const struct cx_field_place *place, const json_t *value, const json_t *old)
{
        struct walk walk = {.name = ""};
        enum cx_part part = cx_field_place_part(place, value);
        if (old && json_equal(value, old))
                return NULL;
        if (!old || part == CX_PART_LEAF || part != cx_field_place_part(place, old))
                return collect(&walk, place, value);
        json_t *fields = json_object();
        if (part == CX_PART_ITEMS) {
                for (size_t i = 0; i < json_array_size(value); i++) {
                        const json_t *item = json_array_get(value, i);
                        struct cx_field_place inner = cx_field_place_item(place);
                        CX_CLEANUP(cx_freep) char *key = cx_field_place_item_key(place, item);
                        const json_t *before = key ? find_item(place, old, key) : NULL;
                        json_t *child = key ? changed(&inner, item, before) : NULL;
                        if (child && !before && json_object_size(child))
                                json_object_set_new(child, HERE, json_object());
                        if (child)
                                json_object_set_new(fields, key, child);
                }
        } else {
                const char *name;
                json_t *member;
                json_object_foreach ((json_t *)value, name, member) {
                        struct cx_field_place inner;
                        json_t *child = cx_field_place_member(place, name, &inner)
                                                ? changed(&inner, member, json_object_get(old, name))
                                                : NULL;
                        if (child)
                                put(fields, "f:", name, child);
                }
        }
        if (json_object_size(fields))
                return fields;
        json_decref(fields);
        return NULL;
}

json_t *cx_fields_changed(const struct cx_type *type, const json_t *object, const json_t *old)
{
        struct cx_field_place root = {.type = type};
        json_t *fields = changed(&root, object, old);
        return fields ? fields : json_object();
}

// --- set operations ---

// Is the place itself in the set?
static bool is_here(const json_t *fields)
{
        return fields && (!json_object_size(fields) || json_object_get(fields, HERE));
}

bool cx_fields_empty(const json_t *fields)
{
        return !json_object_size(fields); // of a whole object's set: its root is never meant
}

// What a set becomes whose members are `children` and which has its own place or not. NULL: nothing.
static json_t *settle(json_t *children_steal, bool here)
{
        json_object_del(children_steal, HERE);
        if (!json_object_size(children_steal) && !here) {
                json_decref(children_steal);
                return NULL;
        }
        if (json_object_size(children_steal) && here)
                json_object_set_new(children_steal, HERE, json_object());
        return children_steal;
}

static json_t *unite(const json_t *a, const json_t *b)
{
        json_t *result = json_object();
        const char *key;
        json_t *child;
        json_object_foreach ((json_t *)a, key, child) {
                const json_t *other = json_object_get(b, key);
                json_object_set_new(result, key, other ? unite(child, other) : json_deep_copy(child));
        }
        json_object_foreach ((json_t *)b, key, child) {
                if (!json_object_get(result, key))
                        json_object_set_new(result, key, json_deep_copy(child));
        }
        return settle(result, is_here(a) || is_here(b));
}

json_t *cx_fields_union(const json_t *a, const json_t *b)
{
        if (cx_fields_empty(a) || cx_fields_empty(b))
                return json_deep_copy(cx_fields_empty(a) ? b : a);
        return unite(a, b);
}

// Members of `a` that are in `b` (keep) or are not (!keep). `above`: whatever is above something in `b` counts as in it.
static json_t *select_members(const json_t *a, const json_t *b, bool keep, bool above)
{
        json_t *result = json_object();
        const char *key;
        json_t *child;
        json_object_foreach ((json_t *)a, key, child) {
                const json_t *other = json_object_get(b, key);
                if (strcmp(key, HERE) == 0)
                        continue;
                if (!other) {
                        if (!keep)
                                json_object_set_new(result, key, json_deep_copy(child));
                        continue;
                }
                bool here = is_here(child) && (above || is_here(other)) == keep;
                json_t *left = settle(select_members(child, other, keep, above), here);
                if (left)
                        json_object_set_new(result, key, left);
        }
        return result;
}

json_t *cx_fields_minus(const json_t *a, const json_t *b)
{
        return select_members(a, b, false, false);
}

json_t *cx_fields_minus_above(const json_t *a, const json_t *b)
{
        return select_members(a, b, false, true);
}

json_t *cx_fields_both(const json_t *a, const json_t *b)
{
        return select_members(a, b, true, false);
}

// --- paths ---

static void append_key(struct cx_buf *path, const char *key)
{
        if (cx_has_prefix(key, "f:")) {
                cx_buf_printf(path, ".%s", key + 2);
                return;
        }
        if (cx_has_prefix(key, "v:")) {
                cx_buf_printf(path, "[=%s]", key + 2);
                return;
        }
        // a client may have sent anything
        json_auto_t *value = cx_has_prefix(key, "k:") ? json_loads(key + 2, 0, NULL) : NULL;
        if (!json_object_size(value)) {
                cx_buf_printf(path, "[%s]", key);
                return;
        }
        const char *name, *separator = "[";
        json_t *part;
        json_object_foreach (value, name, part) {
                CX_CLEANUP(cx_freep) char *text = json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY);
                cx_buf_printf(path, "%s%s=%s", separator, name, text);
                separator = ",";
        }
        cx_buf_add_char(path, ']');
}

static void add_paths(const json_t *fields, struct cx_buf *path, json_t *to)
{
        const char *key;
        json_t *child;
        if (path->length && is_here(fields))
                json_array_append_new(to, json_string(path->data));
        json_object_foreach ((json_t *)fields, key, child) {
                if (strcmp(key, HERE) == 0)
                        continue;
                size_t length = path->length;
                append_key(path, key);
                add_paths(child, path, to);
                cx_buf_truncate(path, length);
        }
}

void cx_fields_paths(const json_t *fields, json_t *to)
{
        CX_BUF path = CX_BUF_INIT;
        add_paths(fields, &path, to);
}
