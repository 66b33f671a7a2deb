// SPDX-License-Identifier: Apache-2.0
// patches, patchesStrategicMerge and patchesJson6902.
#include "kubectl/kustomize/internal.h"
#include "libcommon/schema/engine.h"

// --- merging ----------------------------------------------------------------------------------------------------------
static json_t *find_by_key(const json_t *list, const char *key, const json_t *value)
{
        size_t i;
        json_t *element;
        json_array_foreach (list, i, element)
                if (json_equal(json_object_get(element, key), value))
                        return element;
        return NULL;
}

// The elements that the patch names, merged, in its order; then the others. Of some lists the key is not one member alone:
// ports, which protocols share.
static json_t *merge_list(const struct cx_field *field, const json_t *list, const json_t *patch)
{
        json_t *merged = json_array(), *element;
        size_t i;
        json_array_foreach (patch, i, element) {
                const json_t *value = json_object_get(element, field->merge_key);
                json_t *old = value ? find_by_key(list, field->merge_key, value) : NULL;
                json_t *made = cx_streq(cx_json_string(element, "$patch"), "delete")
                                       ? NULL
                                       : kustomize_merge(field->type, old, element);
                if (cx_streq(cx_json_string(element, "$patch"), "replace")) { // the list is what the others say
                        json_array_clear(merged);
                        for (size_t j = 0; j < json_array_size(patch); j++)
                                if (json_array_get(patch, j) != element)
                                        json_array_append(merged, json_array_get(patch, j));
                        json_decref(made);
                        return merged;
                }
                if (made)
                        json_array_append_new(merged, made);
        }
        json_array_foreach (list, i, element) {
                const json_t *value = json_object_get(element, field->merge_key);
                if (!value || !find_by_key(patch, field->merge_key, value))
                        json_array_append_new(merged, json_deep_copy(element));
        }
        return merged;
}

json_t *kustomize_merge(const struct cx_type *type, const json_t *object, const json_t *patch)
{
        const char *directive = cx_json_string(patch, "$patch");
        if (cx_streq(directive, "delete"))
                return NULL;
        json_t *merged =
                json_is_object(object) && !cx_streq(directive, "replace") ? json_deep_copy(object) : json_object();
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)patch, key, value) {
                const struct cx_field *field = type ? cx_type_field(type, key) : NULL;
                json_t *old = json_object_get(merged, key), *made;
                if (*key == '$')
                        continue;
                if (json_is_null(value)) {
                        json_object_del(merged, key);
                } else if (json_is_object(value)) {
                        const struct cx_type *below = field && field->shape == CX_SHAPE_ONE ? field->type : NULL;
                        made = kustomize_merge(below, old, value);
                        if (made)
                                json_object_set_new(merged, key, made);
                        else
                                json_object_del(merged, key);
                } else if (json_is_array(value) && field && field->merge_key && field->type) {
                        json_object_set_new(merged, key, merge_list(field, old, value));
                } else {
                        json_object_set_new(merged, key, json_deep_copy(value));
                }
        }
        return merged;
}

// --- applying ---------------------------------------------------------------------------------------------------------
static void merge_into(struct kustoms *items, size_t at, const json_t *patch, bool keep_name, bool keep_kind)
{
        struct kustom *item = &items->list[at];
        char group[64], version[32];
        item_group(item, group, version);
        const struct cx_kind *kind = cx_schema_kind(group, version, item_kind(item));
        json_t *merged = kustomize_merge(kind ? kind->type : NULL, item->object, patch);
        if (!merged) {
                items_remove(items, at);
                return;
        }
        if (keep_name)
                (void)cx_json_set(merged, "metadata.name", json_string(item_name(item)));
        if (keep_name && !cx_json_get(item->object, "metadata.namespace"))
                cx_json_remove(merged, "metadata.namespace");
        if (keep_kind) {
                json_object_set(merged, "kind", json_object_get(item->object, "kind"));
                json_object_set(merged, "apiVersion", json_object_get(item->object, "apiVersion"));
        }
        json_decref(item->object);
        item->object = merged;
}

// A patch without a target is for the object that it names.
static int merge_named(struct kustoms *items, const json_t *patch, struct cx_error *err)
{
        const char *name = cx_json_string_or(patch, "metadata.name", ""), *kind = cx_json_string_or(patch, "kind", "");
        const char *namespace = cx_json_string_or(patch, "metadata.namespace", "");
        char group[64] = "", version[32] = "", own[64], own_version[32];
        (void)cx_split_api_version(cx_json_string_or(patch, "apiVersion", ""), group, version);
        for (size_t i = 0; i < items->count; i++) {
                const struct kustom *item = &items->list[i];
                item_group(item, own, own_version);
                if (strcmp(item_kind(item), kind) != 0 || strcmp(own, group) != 0 || !item_was_called(item, name) ||
                    (*namespace && !cx_streq(namespace, cx_json_string(item->object, "metadata.namespace")) &&
                     !cx_streq(namespace, item->namespace)))
                        continue;
                merge_into(items, i, patch, true, true);
                return 0;
        }
        return cx_error_set(err, -ENOENT,
                            "no resource matches strategic merge patch \"%s.%s.%s/%s.%s\": no matches for "
                            "Id %s.%s.%s/%s.%s; failed to find unique target for patch %s.%s.%s/%s.%s",
                            kind, *version ? version : "[noVer]", *group ? group : "[noGrp]", name,
                            *namespace ? namespace : "[noNs]", kind, *version ? version : "[noVer]",
                            *group ? group : "[noGrp]", name, *namespace ? namespace : "[noNs]", kind,
                            *version ? version : "[noVer]", *group ? group : "[noGrp]", name,
                            *namespace ? namespace : "[noNs]");
}

static int apply_to(struct kustoms *items, const json_t *target, const json_t *patch, const json_t *options,
                    struct cx_error *err)
{
        for (size_t i = items->count; i-- > 0;) {
                struct kustom *item = &items->list[i];
                if (!item_selected(item, target))
                        continue;
                if (json_is_object(patch)) {
                        merge_into(items, i, patch, !cx_json_bool(options, "allowNameChange", false),
                                   !cx_json_bool(options, "allowKindChange", false));
                        continue;
                }
                json_t *patched = NULL;
                CX_ERROR why = CX_ERROR_INIT;
                if (cx_patch_json(item->object, patch, &patched, &why) < 0) {
                        cx_error_set(err, why.code, "%s", cx_error_text(&why));
                        return why.code;
                }
                CX_CLEANUP(cx_freep) char *name = cx_strdup(item_name(item));
                json_decref(item->object);
                item->object = patched;
                if (strcmp(item_name(item), name) != 0)
                        cx_strings_add(&item->names, name);
        }
        return 0;
}

// `text`: one or several strategic merge patches, or a list of JSON patch operations.
static int apply_text(struct kustoms *items, const char *text, const char *source, const json_t *target,
                      const json_t *options, struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = kustomization_parse(text, source, &documents, err);
        size_t i;
        json_t *patch;
        json_array_foreach (documents, i, patch) {
                if (r < 0 || json_is_null(patch))
                        continue;
                if (json_is_array(patch) && !target)
                        r = cx_error_set(err, -EINVAL, "must specify a target for JSON patch %s", source);
                else if (target)
                        r = apply_to(items, target, patch, options, err);
                else
                        r = merge_named(items, patch, err);
        }
        return r;
}

static int apply_entry(const struct kustomization *k, struct kustoms *items, const json_t *entry, struct cx_error *err)
{
        const char *path = cx_json_string(entry, "path"), *text = cx_json_string(entry, "patch");
        CX_BUF file = CX_BUF_INIT_MAX((size_t)16 << 20);
        json_auto_t *target = NULL;
        if (!path == !text)
                return cx_error_set(err, -EINVAL,
                                    path ? "patch and path can't be set at the same time"
                                         : "must specify one of patch and path");
        int r = path ? kustomization_read(k, path, &file, err) : 0;
        if (r < 0)
                return r;
        target = json_deep_copy(json_object_get(entry, "target"));
        return apply_text(items, path ? file.data : text, path ? path : "patch", target,
                          json_object_get(entry, "options"), err);
}

int patch_items(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        size_t i;
        json_t *entry;
        int r = 0;
        json_array_foreach (json_object_get(k->fields, "patchesStrategicMerge"), i, entry) {
                const char *text = cx_str(json_string_value(entry));
                CX_BUF file = CX_BUF_INIT_MAX((size_t)16 << 20);
                if (r == 0 && !strchr(text, '\n')) { // a file, or the patch itself
                        r = kustomization_read(k, text, &file, err);
                        text = file.data;
                }
                if (r == 0)
                        r = apply_text(items, text, "patch", NULL, NULL, err);
        }
        json_array_foreach (json_object_get(k->fields, "patches"), i, entry)
                if (r == 0)
                        r = apply_entry(k, items, entry, err);
        return r;
}

int patch_items_json(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        size_t i;
        json_t *entry;
        int r = 0;
        json_array_foreach (json_object_get(k->fields, "patchesJson6902"), i, entry)
                if (r == 0)
                        r = apply_entry(k, items, entry, err);
        return r;
}
