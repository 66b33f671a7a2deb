// SPDX-License-Identifier: Apache-2.0
// Makes the strategic merge patch of `kubectl apply`: what turns the live object into the wanted one, and deletes what
// was applied before and is wanted no more. Fields that others set on the live object are left alone.
#include "libcommon/base/alloc.h"
#include "libcommon/schema/patch_internal.h"

static json_t *diff_object(struct cx_patch_place place, const json_t *original, const json_t *modified,
                           const json_t *current);

static json_t *key_only(const json_t *item, const char *key)
{
        json_t *result = json_object();
        json_object_set(result, key, json_object_get(item, key));
        return result;
}

// Do the items of `modified` stand in `current` in the same order?
static bool same_order(const json_t *modified, const json_t *current, const char *key)
{
        ssize_t last = -1;
        size_t i;
        json_t *item;
        json_array_foreach (modified, i, item) {
                ssize_t at = cx_patch_index(current, item, key);
                if (at < 0)
                        continue;
                if (at < last)
                        return false;
                last = at;
        }
        return true;
}

static void add_order(json_t *patch, const char *name, const json_t *modified, const char *key)
{
        CX_CLEANUP(cx_freep) char *directive = cx_sprintf(CX_PATCH_ORDER "%s", name);
        json_t *order = json_array();
        size_t i;
        json_t *item;
        json_array_foreach (modified, i, item) {
                if (key)
                        json_array_append_new(order, key_only(item, key));
                else
                        json_array_append(order, item);
        }
        json_object_set_new(patch, directive, order);
}

static json_t *item_of(const json_t *list, const json_t *item, const char *key)
{
        ssize_t at = cx_patch_index(list, item, key);
        return at < 0 ? NULL : json_array_get(list, (size_t)at);
}

static void add_retain_keys(json_t *change, const json_t *modified)
{
        struct cx_strings names = CX_STRINGS_INIT;
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)modified, key, value)
                if (!json_is_null(value))
                        cx_strings_add(&names, key);
        cx_strings_sort(&names);
        json_t *list = json_array();
        for (size_t i = 0; i < names.count; i++)
                json_array_append_new(list, json_string(names.items[i]));
        json_object_set_new(change, CX_PATCH_RETAIN_KEYS, list);
        cx_strings_release(&names);
}

// Merge keys are there: check_merge_keys saw to it.
static void diff_objects(json_t *patch, const struct cx_field *field, struct cx_patch_place inside,
                         const json_t *original, const json_t *modified, const json_t *current)
{
        const char *key = field->merge_key;
        json_auto_t *changes = json_array();
        size_t i;
        json_t *item;
        json_array_foreach (modified, i, item) {
                json_t *live = item_of(current, item, key);
                if (!live) {
                        json_array_append(changes, item);
                        continue;
                }
                json_auto_t *change = diff_object(inside, item_of(original, item, key), item, live);
                if (json_object_size(change)) {
                        json_object_set(change, key, json_object_get(item, key));
                        if (field->flags & CX_FIELD_PATCH_RETAIN_KEYS)
                                add_retain_keys(change, item);
                        json_array_append(changes, change);
                }
        }
        json_array_foreach (original, i, item)
                if (!item_of(modified, item, key) && item_of(current, item, key)) {
                        json_t *removal = key_only(item, key);
                        json_object_set_new(removal, CX_PATCH_DIRECTIVE, json_string("delete"));
                        json_array_append_new(changes, removal);
                }
        if (json_array_size(changes) || !same_order(modified, current, key))
                add_order(patch, field->name, modified, key);
        if (json_array_size(changes))
                json_object_set(patch, field->name, changes);
}

static void diff_primitives(json_t *patch, const struct cx_field *field, const json_t *original, const json_t *modified,
                            const json_t *current)
{
        json_auto_t *added = json_array(), *removed = json_array();
        size_t i;
        json_t *item;
        json_array_foreach (modified, i, item)
                if (cx_patch_index(current, item, NULL) < 0)
                        json_array_append(added, item);
        json_array_foreach (original, i, item)
                if (cx_patch_index(modified, item, NULL) < 0 && cx_patch_index(current, item, NULL) >= 0)
                        json_array_append(removed, item);
        if (json_array_size(removed)) {
                CX_CLEANUP(cx_freep) char *directive = cx_sprintf(CX_PATCH_DELETE_PRIMITIVES "%s", field->name);
                json_object_set(patch, directive, removed);
        }
        if (json_array_size(added) || json_array_size(removed) || !same_order(modified, current, NULL))
                add_order(patch, field->name, modified, NULL);
        if (json_array_size(added))
                json_object_set(patch, field->name, added);
}

static void diff_member(json_t *patch, struct cx_patch_place place, const char *key, const json_t *original,
                        json_t *wanted, json_t *live)
{
        struct cx_patch_place inside;
        const struct cx_field *field = cx_patch_place_enter(place, key, &inside);
        if (json_is_object(wanted) && json_is_object(live)) {
                json_auto_t *change = diff_object(inside, original, wanted, live);
                if (json_object_size(change)) {
                        if (field && (field->flags & CX_FIELD_PATCH_RETAIN_KEYS))
                                add_retain_keys(change, wanted);
                        json_object_set(patch, key, change);
                }
        } else if (json_is_array(wanted) && json_is_array(live) && cx_patch_merges(field)) {
                const json_t *before = json_is_array(original) ? original : NULL;
                if (field->merge_key)
                        diff_objects(patch, field, inside, before, wanted, live);
                else
                        diff_primitives(patch, field, before, wanted, live);
        } else if (!live || !json_equal(wanted, live)) {
                json_object_set(patch, key, wanted);
        }
}

static json_t *diff_object(struct cx_patch_place place, const json_t *original, const json_t *modified,
                           const json_t *current)
{
        json_t *patch = json_object();
        const char *key;
        json_t *wanted, *before;
        json_object_foreach ((json_t *)modified, key, wanted) {
                json_t *live = json_object_get(current, key);
                if (!json_is_null(wanted))
                        diff_member(patch, place, key, json_object_get(original, key), wanted, live);
                else if (live)
                        json_object_set_new(patch, key, json_null());
        }
        json_object_foreach ((json_t *)original, key, before)
                if (!json_object_get(modified, key) && json_object_get(current, key))
                        json_object_set_new(patch, key, json_null());
        return patch;
}

// A list item without its merge key cannot be compared: find it before the walk, which then cannot fail.
static int check_merge_keys(struct cx_patch_place place, const json_t *object, struct cx_error *err)
{
        const char *key;
        json_t *value, *item;
        size_t i;
        json_object_foreach ((json_t *)object, key, value) {
                struct cx_patch_place inside;
                const struct cx_field *field = cx_patch_place_enter(place, key, &inside);
                int r = json_is_object(value) ? check_merge_keys(inside, value, err) : 0;
                if (r < 0)
                        return r;
                if (!json_is_array(value) || !cx_patch_merges(field) || !field->merge_key)
                        continue;
                json_array_foreach (value, i, item) {
                        if (!json_is_object(item) || !json_object_get(item, field->merge_key))
                                return cx_error_reason(err, CX_REASON_INVALID,
                                                       "%s[%zu] does not contain declared merge key: %s", key, i,
                                                       field->merge_key);
                        r = check_merge_keys(inside, item, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int cx_patch_strategic_three_way(const struct cx_type *type, const json_t *original, const json_t *modified,
                                 const json_t *current, json_t **ret_patch, struct cx_error *err)
{
        struct cx_patch_place place = {.type = type};
        if (!json_is_object(modified) || !json_is_object(current))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "invalid JSON document: objects are wanted");
        int r = check_merge_keys(place, modified, err);
        if (r == 0) {
                json_auto_t *patch = diff_object(place, original, modified, current);
                *ret_patch = json_deep_copy(patch); // which shares nothing with the three
        }
        return r;
}
