// SPDX-License-Identifier: Apache-2.0
// Looks things up in the generated tables: binary searches over sorted arrays, no state, no allocation.
#include "libcommon/schema/schema.h"

#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/schema_internal.h"

#include <strings.h>

const struct cx_type *cx_schema_type(const char *name)
{
        size_t low = 0, high = cx_schema_table_n_types;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int c = strcmp(name, cx_schema_table_types[middle].name);
                if (c == 0)
                        return &cx_schema_table_types[middle];
                if (c < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const struct cx_field *cx_type_field(const struct cx_type *type, const char *name)
{
        size_t low = 0, high = type ? type->n_fields : 0;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int c = strcmp(name, type->fields[middle].name);
                if (c == 0)
                        return &type->fields[middle];
                if (c < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const struct cx_field *cx_type_field_at(const struct cx_type *type, const char *path)
{
        const struct cx_field *field = NULL;
        char name[64];
        do {
                size_t length = strcspn(path, ".");
                if (!type || length >= sizeof name)
                        return NULL;
                memcpy(name, path, length);
                name[length] = 0;
                field = cx_type_field(type, name);
                type = field ? field->type : NULL;
                path += length;
        } while (field && *path++);
        return field;
}

const struct cx_kind *cx_schema_kind(const char *group, const char *version, const char *kind)
{
        size_t low = 0, high = cx_schema_table_n_kinds;
        while (low < high) {
                size_t middle = (low + high) / 2;
                const struct cx_kind *k = &cx_schema_table_kinds[middle];
                int c = strcmp(group, k->group);
                c = c ? c : strcmp(version, k->version);
                c = c ? c : strcmp(kind, k->kind);
                if (c == 0)
                        return k;
                if (c < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const struct cx_resource *cx_schema_resource(const char *group, const char *version, const char *resource)
{
        size_t low = 0, high = cx_schema_table_n_resources;
        while (low < high) {
                size_t middle = (low + high) / 2;
                const struct cx_resource *r = &cx_schema_table_resources[cx_schema_table_by_resource[middle]];
                int c = strcmp(group, r->group);
                c = c ? c : strcmp(version, r->version);
                c = c ? c : strcmp(resource, r->resource);
                if (c == 0)
                        return r;
                if (c < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const struct cx_resource *cx_schema_resource_by_kind(const char *group, const char *version, const char *kind)
{
        const struct cx_kind *found = cx_schema_kind(group, version, kind);
        for (size_t i = 0; found && i < cx_schema_table_n_resources; i++)
                if (cx_schema_table_resources[i].kind == found)
                        return &cx_schema_table_resources[i];
        return NULL;
}

const struct cx_subresource *cx_resource_subresource(const struct cx_resource *resource, const char *name)
{
        for (const struct cx_subresource *sub = resource->subresources; sub->name; sub++)
                if (strcmp(sub->name, name) == 0)
                        return sub;
        return NULL;
}

const struct cx_resource *cx_schema_resources(size_t *ret_count)
{
        *ret_count = cx_schema_table_n_resources;
        return cx_schema_table_resources;
}

static bool is_called(const struct cx_resource *resource, const char *word)
{
        if (strcasecmp(word, resource->resource) == 0 || strcasecmp(word, resource->singular) == 0 ||
            strcasecmp(word, resource->kind->kind) == 0)
                return true;
        for (const char *const *name = resource->short_names; *name; name++)
                if (strcasecmp(word, *name) == 0)
                        return true;
        return false;
}

static const struct cx_resource *find(const char *word, const char *version, const char *group)
{
        for (size_t i = 0; i < cx_schema_table_n_resources; i++) {
                const struct cx_resource *r = &cx_schema_table_resources[i];
                if (group && strcmp(group, r->group) != 0)
                        continue;
                if (version && strcmp(version, r->version) != 0)
                        continue;
                if (is_called(r, word))
                        return r;
        }
        return NULL;
}

const struct cx_resource *cx_schema_find(const char *word)
{
        char name[128], rest[128];
        const char *dot = strchr(word, '.');
        if (!dot)
                return find(word, NULL, NULL);
        if ((size_t)(dot - word) >= sizeof name || !cx_copy_string(rest, sizeof rest, dot + 1))
                return NULL;
        memcpy(name, word, (size_t)(dot - word));
        name[dot - word] = 0;
        const struct cx_resource *found = find(name, NULL, rest);
        if (found)
                return found;
        char *second = strchr(rest, '.');
        if (second)
                *second++ = 0;
        return find(name, rest, second ? second : "");
}

bool cx_split_api_version(const char *api_version, char group[64], char version[32])
{
        const char *slash = strchr(api_version, '/');
        group[0] = version[0] = 0;
        if (slash) {
                size_t length = (size_t)(slash - api_version);
                if (length == 0 || length >= 64 || strchr(slash + 1, '/'))
                        return false;
                memcpy(group, api_version, length);
                group[length] = 0;
                api_version = slash + 1;
        }
        return *api_version && cx_copy_string(version, 32, api_version);
}

const char *cx_join_api_version(char *to, const char *group, const char *version)
{
        snprintf(to, 128, "%s%s%s", group, *group ? "/" : "", version);
        return to;
}

json_t *cx_schema_pod_template(const json_t *object)
{
        char group[64], version[32];
        if (!cx_split_api_version(cx_json_string_or(object, "apiVersion", ""), group, version))
                return NULL;
        const char *kind = cx_json_string_or(object, "kind", "");
        if (!*group && strcmp(kind, "Pod") == 0)
                return (json_t *)object;
        const struct cx_resource *resource = cx_schema_resource_by_kind(group, version, kind);
        return resource && resource->template_path ? cx_json_get(object, resource->template_path) : NULL;
}
