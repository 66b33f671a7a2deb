// SPDX-License-Identifier: Apache-2.0
#include "kubectl/kustomize/internal.h"

#include <regex.h>

void item_release(struct kustom *item)
{
        json_decref(item->object);
        cx_strings_release(&item->names);
        free(item->namespace);
        free(item->affixes);
}

void items_release(struct kustoms *items)
{
        for (size_t i = 0; i < items->count; i++)
                item_release(&items->list[i]);
        free(items->list);
        *items = (struct kustoms){0};
}

void items_remove(struct kustoms *items, size_t at)
{
        item_release(&items->list[at]);
        memmove(&items->list[at], &items->list[at + 1], (--items->count - at) * sizeof *items->list);
}

static struct kustom *append(struct kustoms *items, struct kustom item)
{
        items->list = cx_realloc_array(items->list, items->count + 1, sizeof *items->list);
        items->list[items->count] = item;
        return &items->list[items->count++];
}

struct kustom *items_add(struct kustoms *items, json_t *object_steal)
{
        return append(items,
                      (struct kustom){.object = object_steal,
                                      .names = CX_STRINGS_INIT,
                                      .namespace = cx_strdup(cx_json_string(object_steal, "metadata.namespace"))});
}

const char *item_kind(const struct kustom *item)
{
        return cx_json_string_or(item->object, "kind", "");
}

const char *item_name(const struct kustom *item)
{
        return cx_json_string_or(item->object, "metadata.name", "");
}

void item_group(const struct kustom *item, char group[64], char version[32])
{
        if (!cx_split_api_version(cx_json_string_or(item->object, "apiVersion", ""), group, version))
                *group = *version = 0;
}

static bool same_id(const struct kustom *a, const struct kustom *b)
{
        char group[2][64], version[2][32];
        item_group(a, group[0], version[0]);
        item_group(b, group[1], version[1]);
        return strcmp(group[0], group[1]) == 0 && strcmp(item_kind(a), item_kind(b)) == 0 &&
               strcmp(item_name(a), item_name(b)) == 0 &&
               strcmp(cx_json_string_or(a->object, "metadata.namespace", ""),
                      cx_json_string_or(b->object, "metadata.namespace", "")) == 0;
}

int items_merge(struct kustoms *items, struct kustoms *from_steal, struct cx_error *err)
{
        int r = 0;
        for (size_t i = 0; i < from_steal->count && r == 0; i++)
                for (size_t j = 0; j < items->count && r == 0; j++) {
                        const struct kustom *item = &from_steal->list[i];
                        char group[64], version[32];
                        if (!same_id(item, &items->list[j]))
                                continue;
                        item_group(item, group, version);
                        r = cx_error_set(
                                err, -EEXIST, "may not add resource with an already registered id: %s.%s.%s/%s.%s",
                                item_kind(item), *version ? version : "[noVer]", *group ? group : "[noGrp]",
                                item_name(item), cx_json_string_or(item->object, "metadata.namespace", "[noNs]"));
                }
        for (size_t i = 0; i < from_steal->count && r == 0; i++)
                append(items, from_steal->list[i]);
        if (r == 0) {
                free(from_steal->list);
                *from_steal = (struct kustoms){0};
        }
        return r;
}

bool item_was_called(const struct kustom *item, const char *name)
{
        return strcmp(item_name(item), name) == 0 || cx_strings_has(&item->names, name);
}

bool item_is_cluster_scoped(const struct kustom *item)
{
        char group[64], version[32];
        item_group(item, group, version);
        const struct cx_resource *resource = cx_schema_resource_by_kind(group, version, item_kind(item));
        return resource && !resource->namespaced;
}

void item_rename(struct kustom *item, const char *name)
{
        if (strcmp(item_name(item), name) == 0)
                return;
        cx_strings_add(&item->names, item_name(item));
        (void)cx_json_set(item->object, "metadata.name", json_string(name));
}

static void visit(json_t *parent, const char *path, bool create,
                  void (*each)(void *context, json_t *parent, const char *key), void *context)
{
        size_t length = strcspn(path, "/"), i;
        bool list = length > 2 && path[length - 1] == ']', last = !path[length];
        CX_CLEANUP(cx_freep) char *key = cx_strndup(path, list ? length - 2 : length);
        json_t *value = json_object_get(parent, key), *element;
        if (!json_is_object(parent))
                return;
        if (last) {
                if (value || create)
                        each(context, parent, key);
        } else if (list) {
                json_array_foreach (value, i, element)
                        visit(element, path + length + 1, create, each, context);
        } else {
                if ((!value || json_is_null(value)) && create)
                        json_object_set_new(parent, key, value = json_object());
                visit(value, path + length + 1, create, each, context);
        }
}

void places_visit(json_t *object, const char *path, bool create,
                  void (*each)(void *context, json_t *parent, const char *key), void *context)
{
        if (cx_has_prefix(path, "POD/"))
                visit(json_object_get(cx_schema_pod_template(object), "spec"), path + 4, create, each, context);
        else
                visit(object, path, create, each, context);
}

// An expression that is absent matches everything.
static bool matches(const json_t *selector, const char *member, const char *text)
{
        const char *expression = cx_json_string_or(selector, member, "");
        regex_t regex;
        if (!*expression)
                return true;
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("^(%s)$", expression);
        if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) != 0)
                return false;
        bool found = regexec(&regex, text, 0, NULL, 0) == 0;
        regfree(&regex);
        return found;
}

static bool has_labels(const json_t *map, const char *text)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, text, ',');
        for (size_t i = 0; i < parts.count; i++) {
                char *equals = strchr(parts.items[i], '=');
                CX_CLEANUP(cx_freep)
                char *key =
                        cx_strndup(parts.items[i], equals ? (size_t)(equals - parts.items[i]) : strlen(parts.items[i]));
                const char *value = json_string_value(json_object_get(map, key));
                const char *wanted = equals ? equals + 1 + (equals[1] == '=') : NULL;
                if (!value || (wanted && strcmp(value, wanted) != 0))
                        return false;
        }
        return true;
}

bool item_selected(const struct kustom *item, const json_t *selector)
{
        char group[64], version[32];
        const char *labels = cx_json_string(selector, "labelSelector"),
                   *annotations = cx_json_string(selector, "annotationSelector");
        item_group(item, group, version);
        bool named = matches(selector, "name", item_name(item));
        for (size_t i = 0; i < item->names.count && !named; i++)
                named = matches(selector, "name", item->names.items[i]);
        return named && matches(selector, "group", group) && matches(selector, "version", version) &&
               matches(selector, "kind", item_kind(item)) &&
               (matches(selector, "namespace", cx_json_string_or(item->object, "metadata.namespace", "")) ||
                matches(selector, "namespace", cx_str(item->namespace))) &&
               (!labels || has_labels(cx_json_get(item->object, "metadata.labels"), labels)) &&
               (!annotations || has_labels(cx_json_get(item->object, "metadata.annotations"), annotations));
}
