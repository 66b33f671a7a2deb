// SPDX-License-Identifier: Apache-2.0
// Objects under server-side apply: laying a configuration over what is there, and taking fields out.
#include "libcommon/format/json.h"
#include "libcommon/schema/fields_internal.h"

// --- merging ---

static json_t *merge(const struct cx_field_place *place, const json_t *live, const json_t *config);

static json_t *merge_members(const struct cx_field_place *place, const json_t *live, const json_t *config)
{
        json_t *result = json_copy((json_t *)live);
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)config, name, value) {
                struct cx_field_place inner;
                const json_t *present = json_object_get(live, name);
                json_object_set_new(result, name,
                                    present && cx_field_place_member(place, name, &inner)
                                            ? merge(&inner, present, value)
                                            : json_deep_copy(value));
        }
        return result;
}

// Keys of a list's items, in order (NULL for items that have none).
static char **keys_of(const struct cx_field_place *place, const json_t *list)
{
        size_t count = json_array_size(list);
        char **keys = cx_alloc_array(count + 1, sizeof *keys);
        for (size_t i = 0; i < count; i++)
                keys[i] = cx_field_place_item_key(place, json_array_get(list, i));
        return keys;
}

static void free_keys(char **keys, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free(keys[i]);
        free(keys);
}

static size_t position(char *const *keys, size_t count, const char *key)
{
        size_t i = 0;
        while (i < count && !cx_streq(keys[i], key))
                i++;
        return i;
}

// The configuration's items in its order; what only the live list has stays in front of the item that it was in front of.
static json_t *merge_items(const struct cx_field_place *place, const json_t *live, const json_t *config)
{
        size_t n_live = json_array_size(live), n_config = json_array_size(config), next = 0;
        char **live_keys = keys_of(place, live), **config_keys = keys_of(place, config);
        struct cx_field_place inner = cx_field_place_item(place);
        json_t *result = json_array();
        for (size_t i = 0; i <= n_config; i++) {
                size_t at = i < n_config ? position(live_keys, n_live, config_keys[i]) : n_live;
                for (; next < at && (at < n_live || i == n_config); next++)
                        if (position(config_keys, n_config, live_keys[next]) == n_config)
                                json_array_append_new(result, json_deep_copy(json_array_get(live, next)));
                if (i == n_config)
                        break;
                const json_t *item = json_array_get(config, i);
                json_array_append_new(result, at < n_live ? merge(&inner, json_array_get(live, at), item)
                                                          : json_deep_copy(item));
        }
        free_keys(live_keys, n_live);
        free_keys(config_keys, n_config);
        return result;
}

static json_t *merge(const struct cx_field_place *place, const json_t *live, const json_t *config)
{
        enum cx_part part = cx_field_place_part(place, config);
        if (part == CX_PART_LEAF && json_is_object(config) && json_object_size(config) == 0 &&
            cx_field_place_part(place, live) == CX_PART_MEMBERS)
                return json_deep_copy(live); // {} says only that it is there
        if (part == CX_PART_LEAF && json_is_array(config) && json_array_size(config) == 0 &&
            cx_field_place_part(place, live) == CX_PART_ITEMS)
                return json_deep_copy(live);
        if (part == CX_PART_LEAF || part != cx_field_place_part(place, live))
                return json_deep_copy(config);
        return part == CX_PART_MEMBERS ? merge_members(place, live, config) : merge_items(place, live, config);
}

json_t *cx_fields_merge(const struct cx_type *type, const json_t *live, const json_t *config)
{
        struct cx_field_place root = {.type = type};
        return merge(&root, live, config);
}

// --- taking out ---

static bool goes_whole(const json_t *fields)
{
        return !json_object_size(fields);
}

// NULL: nothing is left of it.
static json_t *without(const struct cx_field_place *place, const json_t *value, const json_t *fields)
{
        enum cx_part part = cx_field_place_part(place, value);
        if (goes_whole(fields))
                return NULL;
        if (part == CX_PART_LEAF)
                return json_deep_copy(value);
        json_t *result = part == CX_PART_MEMBERS ? json_object() : json_array();
        if (part == CX_PART_MEMBERS) {
                const char *name;
                json_t *member;
                json_object_foreach ((json_t *)value, name, member) {
                        struct cx_field_place inner;
                        CX_CLEANUP(cx_freep) char *key = cx_sprintf("f:%s", name);
                        const json_t *set = json_object_get(fields, key);
                        json_t *left = set && cx_field_place_member(place, name, &inner) ? without(&inner, member, set)
                                                                                         : json_deep_copy(member);
                        if (left)
                                json_object_set_new(result, name, left);
                }
        } else {
                struct cx_field_place inner = cx_field_place_item(place);
                for (size_t i = 0; i < json_array_size(value); i++) {
                        const json_t *item = json_array_get(value, i);
                        CX_CLEANUP(cx_freep) char *key = cx_field_place_item_key(place, item);
                        const json_t *set = key ? json_object_get(fields, key) : NULL;
                        // an item whose own place is in the set goes with all that it has
                        bool gone = set && (goes_whole(set) || json_object_get(set, "."));
                        json_t *left = gone ? NULL : set ? without(&inner, item, set) : json_deep_copy(item);
                        if (left)
                                json_array_append_new(result, left);
                }
        }
        bool empty = part == CX_PART_MEMBERS ? !json_object_size(result) : !json_array_size(result);
        if (!empty)
                return result;
        json_decref(result);
        return NULL;
}

json_t *cx_fields_remove(const struct cx_type *type, const json_t *object, const json_t *fields)
{
        struct cx_field_place root = {.type = type};
        json_t *result = cx_fields_empty(fields) ? json_deep_copy(object) : without(&root, object, fields);
        return result ? result : json_object();
}
