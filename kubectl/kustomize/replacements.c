// SPDX-License-Identifier: Apache-2.0
// replacements: a value of one object is copied to places of others.
#include "kubectl/kustomize/internal.h"

#define MAX_INDEX 1000

// "spec.ports.[name=http].a\.b" as its parts.
static void split_path(const char *path, struct cx_strings *parts)
{
        CX_BUF part = CX_BUF_INIT;
        bool inside = false;
        for (const char *p = path;; p++) {
                if (*p == '\\' && p[1] == '.') {
                        cx_buf_add_char(&part, *++p);
                } else if (!*p || (*p == '.' && !inside)) {
                        if (part.length)
                                cx_strings_add(parts, part.data);
                        cx_buf_clear(&part);
                        if (!*p)
                                return;
                } else {
                        inside = *p == '[' || (inside && *p != ']');
                        cx_buf_add_char(&part, *p);
                }
        }
}

struct writer {
        const json_t *value;
        const json_t *options;
        size_t written;
        struct cx_error *err;
};

static json_t *text_of(const json_t *value)
{
        CX_CLEANUP(cx_freep)
        char *text = json_is_string(value) ? cx_strdup(json_string_value(value))
                                           : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        return json_string(cx_str(text));
}

// The new value of a place: the whole, or a part between delimiters.
static json_t *combined(const struct writer *w, const json_t *old)
{
        const char *delimiter = cx_json_string_or(w->options, "delimiter", "");
        int64_t index = cx_json_int(w->options, "index", 0);
        if (!*delimiter)
                return json_is_string(old) ? text_of(w->value) : json_deep_copy(w->value);
        CX_STRINGS parts = CX_STRINGS_INIT;
        CX_BUF made = CX_BUF_INIT;
        json_auto_t *text = text_of(old), *new = text_of(w->value);
        const char *p = json_string_value(text), *end;
        for (; (end = strstr(p, delimiter)); p = end + strlen(delimiter))
                cx_strings_add_length(&parts, p, (size_t)(end - p));
        cx_strings_add(&parts, p);
        if (index < 0) // before the first, or behind the last
                cx_buf_printf(&made, "%s%s", json_string_value(new), delimiter);
        for (size_t i = 0; i < parts.count; i++)
                cx_buf_printf(&made, "%s%s", i ? delimiter : "",
                              (int64_t)i == index ? json_string_value(new) : parts.items[i]);
        if (index >= (int64_t)parts.count)
                cx_buf_printf(&made, "%s%s", delimiter, json_string_value(new));
        return json_string(made.data);
}

static void write_at(struct writer *w, json_t *value, const struct cx_strings *parts, size_t at);

static void write_member(struct writer *w, json_t *object, const struct cx_strings *parts, size_t at)
{
        const char *key = parts->items[at];
        json_t *old = json_object_get(object, key);
        bool create = cx_json_bool(w->options, "create", false), last = at + 1 == parts->count;
        if (!old && !create)
                return;
        if (last) {
                json_object_set_new(object, key, combined(w, old));
                w->written++;
                return;
        }
        if (!old)
                json_object_set_new(object, key, old = json_object());
        write_at(w, old, parts, at + 1);
}

static void write_elements(struct writer *w, json_t *list, const struct cx_strings *parts, size_t at)
{
        const char *part = parts->items[at], *equals = strchr(part, '=');
        int64_t number = -1;
        bool all = strcmp(part, "*") == 0, last = at + 1 == parts->count, by_value = *part == '[' && equals;
        size_t i;
        json_t *element;
        (void)!cx_parse_int(part, 0, MAX_INDEX, &number);
        CX_CLEANUP(cx_freep) char *key = by_value ? cx_strndup(part + 1, (size_t)(equals - part - 1)) : NULL;
        CX_CLEANUP(cx_freep) char *wanted = by_value ? cx_strndup(equals + 1, strlen(equals + 1) - 1) : NULL;
        json_array_foreach (list, i, element) {
                json_t *field = json_object_get(element, cx_str(key));
                json_auto_t *shown = by_value && field ? text_of(field) : NULL;
                if (!all && (int64_t)i != number && !(shown && strcmp(json_string_value(shown), wanted) == 0))
                        continue;
                if (last) {
                        json_array_set_new(list, i, combined(w, element));
                        w->written++;
                } else {
                        write_at(w, element, parts, at + 1);
                }
        }
}

static void write_at(struct writer *w, json_t *value, const struct cx_strings *parts, size_t at)
{
        if (json_is_array(value)) {
                write_elements(w, value, parts, at);
        } else if (json_is_object(value) && strcmp(parts->items[at], "*") == 0) {
                const char *key;
                json_t *member;
                json_object_foreach (value, key, member)
                        if (at + 1 < parts->count)
                                write_at(w, member, parts, at + 1);
        } else if (json_is_object(value)) {
                write_member(w, value, parts, at);
        }
}

static const json_t *read_at(const json_t *value, const struct cx_strings *parts, size_t at)
{
        if (at == parts->count)
                return value;
        const char *part = parts->items[at], *equals = strchr(part, '=');
        int64_t number;
        if (json_is_object(value))
                return read_at(json_object_get(value, part), parts, at + 1);
        if (*part == '[' && equals) {
                CX_CLEANUP(cx_freep) char *key = cx_strndup(part + 1, (size_t)(equals - part - 1));
                CX_CLEANUP(cx_freep) char *wanted = cx_strndup(equals + 1, strlen(equals + 1) - 1);
                return read_at(cx_json_find(value, key, wanted), parts, at + 1);
        }
        if (cx_parse_int(part, 0, MAX_INDEX, &number) == 0)
                return read_at(json_array_get(value, (size_t)number), parts, at + 1);
        return NULL;
}

static int find_source(const struct kustoms *items, const json_t *source, json_t **ret_value, struct cx_error *err)
{
        const char *path = cx_json_string_or(source, "fieldPath", "metadata.name");
        const struct kustom *found = NULL;
        CX_STRINGS parts = CX_STRINGS_INIT;
        split_path(path, &parts);
        for (size_t i = 0; i < items->count; i++) {
                if (!item_selected(&items->list[i], source))
                        continue;
                if (found)
                        return cx_error_set(err, -EINVAL, "multiple matches for selector %s",
                                            cx_json_string_or(source, "name", ""));
                found = &items->list[i];
        }
        if (!found)
                return cx_error_set(err, -ENOENT, "nothing selected by %s.[noVer].[noGrp]/%s.[noNs]:%s",
                                    cx_json_string_or(source, "kind", "[noKind]"),
                                    cx_json_string_or(source, "name", "[noName]"), path);
        const json_t *value = read_at(found->object, &parts, 0);
        if (!value)
                return cx_error_set(err, -ENOENT, "fieldPath `%s` is missing for replacement source %s.%s", path,
                                    item_kind(found), item_name(found));
        const char *delimiter = cx_json_string_or(source, "options.delimiter", "");
        if (!*delimiter) {
                *ret_value = json_deep_copy(value);
                return 0;
        }
        json_auto_t *text = text_of(value);
        const char *p = json_string_value(text), *end;
        int64_t index = cx_json_int(source, "options.index", 0);
        for (; index > 0 && (end = strstr(p, delimiter)); index--)
                p = end + strlen(delimiter);
        if (index)
                return cx_error_set(err, -EINVAL, "options.index %lld is out of bounds for value %s",
                                    (long long)cx_json_int(source, "options.index", 0), json_string_value(text));
        end = strstr(p, delimiter);
        *ret_value = json_stringn(p, end ? (size_t)(end - p) : strlen(p));
        return 0;
}

static bool rejected(const struct kustom *item, const json_t *target)
{
        size_t i;
        json_t *selector;
        json_array_foreach (json_object_get(target, "reject"), i, selector)
                if (json_object_size(selector) && item_selected(item, selector))
                        return true;
        return false;
}

static int write_target(struct kustoms *items, const json_t *target, const json_t *value, struct cx_error *err)
{
        static const char name[] = "metadata.name";
        const json_t *paths = json_object_get(target, "fieldPaths"), *select = json_object_get(target, "select");
        if (!select)
                return cx_error_set(err, -EINVAL, "target must specify resources to select");
        for (size_t i = 0; i < items->count; i++) {
                struct kustom *item = &items->list[i];
                if (!item_selected(item, select) || rejected(item, target))
                        continue;
                for (size_t j = 0; j < (json_array_size(paths) ? json_array_size(paths) : 1); j++) {
                        const char *path = json_string_value(json_array_get(paths, j));
                        CX_STRINGS parts = CX_STRINGS_INIT;
                        CX_CLEANUP(cx_freep) char *before = cx_strdup(item_name(item));
                        struct writer w = {.value = value, .options = json_object_get(target, "options"), .err = err};
                        split_path(path ? path : name, &parts);
                        if (parts.count)
                                write_at(&w, item->object, &parts, 0);
                        if (!w.written)
                                return cx_error_set(err, -ENOENT, "unable to find field \"%s\" in replacement target",
                                                    path ? path : name);
                        if (strcmp(before, item_name(item)) != 0)
                                cx_strings_add(&item->names, before);
                }
        }
        return 0;
}

static int replace_one(struct kustoms *items, const json_t *entry, struct cx_error *err)
{
        json_auto_t *value = NULL;
        const json_t *source = json_object_get(entry, "source"), *targets = json_object_get(entry, "targets");
        if ((!source && !json_object_get(entry, "sourceValue")) || !json_array_size(targets))
                return cx_error_set(err, -EINVAL, "replacements must specify a source and at least one target");
        int r = 0;
        if (source)
                r = find_source(items, source, &value, err);
        else
                value = json_deep_copy(json_object_get(entry, "sourceValue"));
        size_t i;
        json_t *target;
        json_array_foreach (targets, i, target)
                if (r == 0)
                        r = write_target(items, target, value, err);
        return r;
}

int replace_values(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        size_t i, j;
        json_t *entry, *inner;
        int r = 0;
        json_array_foreach (json_object_get(k->fields, "replacements"), i, entry) {
                const char *path = cx_json_string(entry, "path");
                CX_BUF file = CX_BUF_INIT_MAX((size_t)4 << 20);
                json_auto_t *documents = NULL;
                if (r == 0 && !path)
                        r = replace_one(items, entry, err);
                if (r < 0 || !path)
                        continue;
                r = kustomization_read(k, path, &file, err);
                if (r == 0)
                        r = kustomization_parse(file.data, path, &documents, err);
                const json_t *first = json_array_get(documents, 0);
                if (r == 0 && json_is_object(first))
                        r = replace_one(items, first, err);
                json_array_foreach (first, j, inner)
                        if (r == 0)
                                r = replace_one(items, inner, err);
        }
        return r;
}
