// SPDX-License-Identifier: Apache-2.0
// Applies a strategic merge patch: a merge patch that knows which lists are merged by a key and obeys the directives
// $patch, $retainKeys, $setElementOrder/<list> and $deleteFromPrimitiveList/<list>.
//
// merge_map works in place on a private copy of the original and on a private copy of the patch (whose directives it
// takes out as it goes). Depth is bounded by the parser.
#include "libcommon/base/alloc.h"
#include "libcommon/schema/patch_internal.h"

#define MAX_LIST_ITEMS 8000 // of both lists together: merging compares all with all

struct patcher {
        struct cx_error *err;
};

static int merge_map(struct patcher *p, struct cx_patch_place place, json_t **original, json_t *patch);

static int bad(struct patcher *p, const char *message)
{
        return cx_error_reason(p->err, CX_REASON_BAD_REQUEST, "%s", message);
}

const struct cx_field *cx_patch_place_enter(struct cx_patch_place place, const char *key,
                                            struct cx_patch_place *ret_place)
{
        const struct cx_field *field = cx_type_field(place.type, key);
        *ret_place = (struct cx_patch_place){0};
        if (field && field->shape == CX_SHAPE_MAP)
                ret_place->element = field->type;
        else if (field)
                ret_place->type = field->type;
        else if (place.element)
                ret_place->type = place.element;
        return field;
}

bool cx_patch_merges(const struct cx_field *field)
{
        return field && field->shape == CX_SHAPE_LIST && (field->flags & CX_FIELD_PATCH_MERGE);
}

ssize_t cx_patch_index(const json_t *list, const json_t *item, const char *key)
{
        const json_t *wanted = key ? json_object_get(item, key) : item;
        size_t i;
        json_t *other;
        if (!wanted)
                return -1;
        json_array_foreach (list, i, other) {
                const json_t *value = key ? json_object_get(other, key) : other;
                if (value && json_equal(value, wanted))
                        return (ssize_t)i;
        }
        return -1;
}

static bool is_directive(const char *key)
{
        return *key == '$' && (strcmp(key, CX_PATCH_DIRECTIVE) == 0 || strcmp(key, CX_PATCH_RETAIN_KEYS) == 0 ||
                               cx_has_prefix(key, CX_PATCH_ORDER) || cx_has_prefix(key, CX_PATCH_DELETE_PRIMITIVES));
}

// Cleans a value that is taken over whole: no directives, no nulls, no objects marked for deletion. False when the
// value itself is marked.
static bool drop_directives(json_t *value)
{
        if (json_is_array(value)) {
                for (size_t i = 0; i < json_array_size(value);) {
                        if (drop_directives(json_array_get(value, i)))
                                i++;
                        else
                                json_array_remove(value, i);
                }
                return true;
        }
        if (!json_is_object(value))
                return true;
        const char *patch = json_string_value(json_object_get(value, CX_PATCH_DIRECTIVE));
        if (cx_streq(patch, "delete"))
                return false;
        void *next;
        const char *key;
        json_t *member;
        json_object_foreach_safe (value, next, key, member)
                if (is_directive(key) || json_is_null(member) || !drop_directives(member))
                        json_object_del(value, key);
        return true;
}

// --- order ----------------------------------------------------------------------------------------------------------
struct ordered_item {
        ssize_t rank;
        size_t place;
        json_t *item;
};

static int compare_ranked(const void *a, const void *b)
{
        const struct ordered_item *x = a, *y = b;
        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        return (x->place > y->place) - (x->place < y->place);
}

// The items of `list` that are (or are not) in `order`, sorted by their place in `rank_by`.
static struct ordered_item *pick(const json_t *list, const json_t *order, const json_t *rank_by, const char *key,
                                 bool present, size_t *ret_count)
{
        struct ordered_item *picked = cx_alloc_array(json_array_size(list) + 1, sizeof *picked);
        size_t n = 0, i;
        json_t *item;
        json_array_foreach (list, i, item)
                if ((cx_patch_index(order, item, key) >= 0) == present) {
                        picked[n] = (struct ordered_item){cx_patch_index(rank_by, item, key), n, item};
                        n++;
                }
        qsort(picked, n, sizeof *picked, compare_ranked);
        *ret_count = n;
        return picked;
}

// Items named by `order` come in its order; the others keep their places relative to `server`, the list as it was.
static json_t *ordered(const json_t *merged, const json_t *order, const json_t *server, const char *key)
{
        size_t n_left, n_right, i = 0, j = 0;
        CX_CLEANUP(cx_freep) struct ordered_item *left = pick(merged, order, server, key, false, &n_left);
        CX_CLEANUP(cx_freep) struct ordered_item *right = pick(merged, order, order, key, true, &n_right);
        json_t *result = json_array();
        while (i < n_left || j < n_right) {
                bool take_left = j == n_right;
                if (i < n_left && j < n_right) {
                        ssize_t r = cx_patch_index(server, right[j].item, key);
                        take_left = left[i].rank >= 0 && r >= 0 && left[i].rank < r;
                }
                json_array_append(result, take_left ? left[i].item : right[j].item);
                if (take_left)
                        i++;
                else
                        j++;
        }
        return result;
}

// --- lists ----------------------------------------------------------------------------------------------------------
static void remove_matching(json_t *list, const json_t *item, const char *key)
{
        ssize_t i;
        while ((i = cx_patch_index(list, item, key)) >= 0)
                json_array_remove(list, (size_t)i);
}

static int check_items(struct patcher *p, const json_t *list, const char *key)
{
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item) {
                if (json_is_array(item))
                        return cx_error_reason(p->err, CX_REASON_INVALID, "lists of lists are not supported");
                if (key && !json_is_object(item))
                        return bad(p, "invalid patch: the elements of a merged list are objects");
                if (key && !json_object_get(item, key)) {
                        const char *patch = json_string_value(json_object_get(item, CX_PATCH_DIRECTIVE));
                        if (cx_streq(patch, "replace"))
                                continue;
                        CX_CLEANUP(cx_freep) char *text = json_dumps(item, JSON_COMPACT);
                        return cx_error_reason(p->err, CX_REASON_INVALID,
                                               "map: %.500s does not contain declared merge key: %s", text, key);
                }
        }
        return 0;
}

// Takes the items with a $patch directive out of `patch`. *ret_replace: the rest of the patch replaces the list.
static int special_items(struct patcher *p, json_t *original, json_t *patch, const char *key, bool *ret_replace)
{
        for (size_t i = 0; i < json_array_size(patch);) {
                json_t *item = json_array_get(patch, i);
                json_t *directive = json_object_get(item, CX_PATCH_DIRECTIVE);
                if (!directive) {
                        i++;
                        continue;
                }
                const char *word = cx_str(json_string_value(directive));
                if (strcmp(word, "replace") == 0)
                        *ret_replace = true;
                else if (strcmp(word, "delete") == 0)
                        remove_matching(original, item, key);
                else if (strcmp(word, "merge") == 0)
                        return cx_error_reason(p->err, CX_REASON_INVALID,
                                               "merging lists cannot yet be specified in the patch");
                else
                        return cx_error_reason(p->err, CX_REASON_INVALID, "unknown patch type: \"%.100s\"", word);
                json_array_remove(patch, i);
        }
        return 0;
}

static int merge_objects(struct patcher *p, struct cx_patch_place place, json_t *list, json_t *patch, const char *key)
{
        size_t i;
        json_t *item;
        json_array_foreach (patch, i, item) {
                ssize_t at = cx_patch_index(list, item, key);
                if (at < 0) {
                        if (drop_directives(item))
                                json_array_append(list, item);
                        continue;
                }
                json_auto_t *merged = json_incref(json_array_get(list, (size_t)at));
                int r = merge_map(p, place, &merged, item);
                if (r < 0)
                        return r;
                json_array_set(list, (size_t)at, merged);
        }
        return 0;
}

// Merges `patch` into *list (owned; may become another array), as the field says.
static int merge_list(struct patcher *p, const struct cx_field *field, struct cx_patch_place place, json_t **list,
                      json_t *patch)
{
        const char *key = field->merge_key;
        if (json_array_size(*list) + json_array_size(patch) > MAX_LIST_ITEMS)
                return cx_error_reason(p->err, CX_REASON_TOO_LARGE, "%s: a merged list may have %d items", field->name,
                                       MAX_LIST_ITEMS);
        json_auto_t *server = json_copy(*list), *order = json_copy(patch);
        int r = check_items(p, patch, key);
        if (r < 0)
                return r;
        json_auto_t *merged = json_copy(*list);
        if (key) {
                bool replace = false;
                r = special_items(p, merged, patch, key, &replace);
                if (r < 0)
                        return r;
                if (replace) {
                        drop_directives(patch);
                        json_decref(*list);
                        *list = json_incref(patch);
                        return 0;
                }
                r = merge_objects(p, place, merged, patch, key);
                if (r < 0)
                        return r;
        } else {
                size_t i;
                json_t *item;
                json_array_foreach (patch, i, item)
                        if (cx_patch_index(merged, item, NULL) < 0)
                                json_array_append(merged, item);
        }
        json_decref(*list);
        *list = ordered(merged, order, server, key);
        return 0;
}

// --- objects --------------------------------------------------------------------------------------------------------
static int retain_keys(struct patcher *p, json_t *original, json_t *patch)
{
        json_auto_t *keep = json_incref(json_object_get(patch, CX_PATCH_RETAIN_KEYS));
        if (!keep)
                return 0;
        json_object_del(patch, CX_PATCH_RETAIN_KEYS);
        if (!json_is_array(keep))
                return bad(p, "invalid patch format of retainKeys: a list is wanted");
        void *next;
        const char *key;
        json_t *value;
        json_object_foreach (patch, key, value) {
                json_auto_t *name = json_string(key);
                if (!json_is_null(value) && !is_directive(key) && cx_patch_index(keep, name, NULL) < 0)
                        return bad(p, "invalid patch format of retainKeys: a key of the patch is not in the list");
        }
        json_object_foreach_safe (original, next, key, value) {
                json_auto_t *name = json_string(key);
                if (cx_patch_index(keep, name, NULL) < 0)
                        json_object_del(original, key);
        }
        return 0;
}

// The patch's own items have to be named by the order, in the same relative order.
static int check_order(struct patcher *p, const json_t *patch, const json_t *order, const char *key)
{
        size_t i;
        json_t *item;
        ssize_t last = -1;
        json_array_foreach (patch, i, item) {
                if (json_object_get(item, CX_PATCH_DIRECTIVE))
                        continue;
                ssize_t at = cx_patch_index(order, item, key);
                if (at < 0 || at < last)
                        return bad(p, "invalid patch format: the order in the patch list doesn't match the "
                                      "$setElementOrder list");
                last = at;
        }
        return 0;
}

static int merge_ordered_list(struct patcher *p, struct cx_patch_place place, json_t *original, json_t *patch,
                              const char *name, json_t *order)
{
        struct cx_patch_place inside;
        const struct cx_field *field = cx_patch_place_enter(place, name, &inside);
        json_t *before = json_object_get(original, name), *change = json_object_get(patch, name);
        if (!json_is_array(order) || (before && !json_is_array(before)) || (change && !json_is_array(change)))
                return bad(p, "invalid patch format: $setElementOrder is for lists");
        if (!cx_patch_merges(field) || (!before && !change))
                return 0;
        if (json_array_size(before) + json_array_size(change) + json_array_size(order) > MAX_LIST_ITEMS)
                return cx_error_reason(p->err, CX_REASON_TOO_LARGE, "%s: a merged list may have %d items", name,
                                       MAX_LIST_ITEMS);
        int r = check_items(p, order, field->merge_key);
        if (r == 0 && change)
                r = check_order(p, change, order, field->merge_key);
        if (r < 0)
                return r;
        json_auto_t *server = before ? json_copy(before) : json_array();
        json_auto_t *merged = json_copy(server);
        if (change && before) {
                r = merge_list(p, field, inside, &merged, change);
                if (r < 0)
                        return r;
        } else if (change) {
                drop_directives(change);
                json_decref(merged);
                merged = json_copy(change);
        }
        json_object_set_new(original, name, ordered(merged, order, server, field->merge_key));
        json_object_del(patch, name);
        return 0;
}

static int list_directives(struct patcher *p, struct cx_patch_place place, json_t *original, json_t *patch)
{
        void *next;
        const char *key;
        json_t *value;
        json_object_foreach_safe (patch, next, key, value) {
                if (!cx_has_prefix(key, CX_PATCH_DELETE_PRIMITIVES))
                        continue;
                json_t *list = json_object_get(original, key + strlen(CX_PATCH_DELETE_PRIMITIVES));
                size_t i;
                json_t *item;
                if (!json_is_array(value) || json_array_size(value) > MAX_LIST_ITEMS)
                        return bad(p, "invalid patch format of primitive list");
                if (json_is_array(list))
                        json_array_foreach (value, i, item)
                                remove_matching(list, item, NULL);
                json_object_del(patch, key);
        }
        // Each of these removes two members of the patch, so the walk is over a copy.
        json_auto_t *copy = json_copy(patch);
        json_object_foreach (copy, key, value) {
                if (!cx_has_prefix(key, CX_PATCH_ORDER))
                        continue;
                int r = merge_ordered_list(p, place, original, patch, key + strlen(CX_PATCH_ORDER), value);
                if (r < 0)
                        return r;
                json_object_del(patch, key);
        }
        return 0;
}

static int merge_member(struct patcher *p, struct cx_patch_place place, json_t *original, const char *key,
                        json_t *change)
{
        struct cx_patch_place inside;
        const struct cx_field *field = cx_patch_place_enter(place, key, &inside);
        json_t *before = json_object_get(original, key);
        if (json_is_null(change)) {
                json_object_del(original, key);
                return 0;
        }
        if (json_is_object(before) && json_is_object(change)) {
                json_auto_t *merged = json_incref(before);
                int r = merge_map(p, inside, &merged, change);
                if (r == 0)
                        json_object_set(original, key, merged);
                return r;
        }
        if (json_is_array(before) && json_is_array(change) && cx_patch_merges(field)) {
                json_auto_t *merged = json_incref(before);
                int r = merge_list(p, field, inside, &merged, change);
                if (r == 0)
                        json_object_set(original, key, merged);
                return r;
        }
        if (drop_directives(change))
                json_object_set(original, key, change);
        return 0;
}

static int merge_map(struct patcher *p, struct cx_patch_place place, json_t **original, json_t *patch)
{
        json_t *directive = json_object_get(patch, CX_PATCH_DIRECTIVE);
        if (directive) {
                const char *word = cx_str(json_string_value(directive));
                if (strcmp(word, "replace") == 0) {
                        json_object_del(patch, CX_PATCH_DIRECTIVE);
                        drop_directives(patch);
                        json_decref(*original);
                        *original = json_incref(patch);
                        return 0;
                }
                if (strcmp(word, "delete") == 0) {
                        json_decref(*original);
                        *original = json_object();
                        return 0;
                }
                CX_CLEANUP(cx_freep) char *text = json_dumps(patch, JSON_COMPACT);
                return cx_error_reason(p->err, CX_REASON_INVALID, "unknown patch type: \"%.100s\" in map: %.500s", word,
                                       text);
        }
        int r = retain_keys(p, *original, patch);
        if (r == 0)
                r = list_directives(p, place, *original, patch);
        const char *key;
        json_t *change;
        if (r == 0) {
                json_object_foreach (patch, key, change) {
                        r = merge_member(p, place, *original, key, change);
                        if (r < 0)
                                break;
                }
        }
        return r;
}

int cx_patch_strategic(const struct cx_type *type, const json_t *original, const json_t *patch, json_t **ret_patched,
                       struct cx_error *err)
{
        struct patcher p = {.err = err};
        if (!json_is_object(original) || !json_is_object(patch))
                return bad(&p, "invalid JSON document: a strategic merge patch is an object");
        json_auto_t *result = json_deep_copy(original), *change = json_deep_copy(patch);
        int r = merge_map(&p, (struct cx_patch_place){.type = type}, &result, change);
        if (r == 0)
                *ret_patched = cx_steal(&result);
        return r;
}
