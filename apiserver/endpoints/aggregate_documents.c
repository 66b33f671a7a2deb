// SPDX-License-Identifier: Apache-2.0
// What aggregated servers serve, as a part of our documents. One that does not answer keeps its place, marked as stale.
#include "apiserver/endpoints/documents.h"

#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

// --- discovery -------------------------------------------------------------------------------------------------------

static json_t *version_entry(const struct api_service *service)
{
        char text[128];
        return json_pack("{s:s,s:s}", "groupVersion", cx_join_api_version(text, service->group, service->version),
                         "version", service->version);
}

static void add_version(const struct api_service *service, json_t *group)
{
        json_array_append_new(cx_json_array_at(group, "versions"), version_entry(service));
        if (!json_object_get(group, "preferredVersion"))
                json_object_set_new(group, "preferredVersion", version_entry(service));
}

void aggregate_groups(struct api_services *services, json_t *list)
{
        API_SERVICE_LIST all;
        json_t *groups = json_object_get(list, "groups");
        api_services_list(services, &all);
        for (size_t i = 0; i < all.count; i++) {
                json_t *group = cx_json_find(groups, "name", all.items[i]->group);
                if (!group)
                        json_array_append_new(groups, group = json_pack("{s:s}", "name", all.items[i]->group));
                add_version(all.items[i], group);
        }
}

void aggregate_group(struct api_services *services, const char *name, json_t **document)
{
        API_SERVICE_LIST all;
        api_services_list(services, &all);
        for (size_t i = 0; i < all.count; i++) {
                if (strcmp(all.items[i]->group, name) != 0)
                        continue;
                if (!*document)
                        *document = json_pack("{s:s,s:s,s:s}", "kind", "APIGroup", "apiVersion", "v1", "name", name);
                add_version(all.items[i], *document);
        }
}

static json_t *discovery_of(struct api_service *service)
{
        pthread_mutex_lock(&service->lock);
        json_t *version =
                service->discovery ? json_copy(service->discovery) : json_pack("{s:s}", "version", service->version);
        json_object_set_new(version, "freshness", json_string(service->available ? "Current" : "Stale"));
        pthread_mutex_unlock(&service->lock);
        return version;
}

static json_t *find_group(json_t *items, const char *name)
{
        size_t i;
        json_t *item;
        json_array_foreach (items, i, item)
                if (cx_streq(cx_json_string(item, "metadata.name"), name))
                        return item;
        return NULL;
}

void aggregate_discovery(struct api_services *services, json_t *list)
{
        API_SERVICE_LIST all;
        json_t *items = json_object_get(list, "items");
        api_services_list(services, &all);
        for (size_t i = 0; i < all.count; i++) {
                json_t *group = find_group(items, all.items[i]->group);
                if (!group)
                        json_array_append_new(items,
                                              group = json_pack("{s:{s:s}}", "metadata", "name", all.items[i]->group));
                json_array_append_new(cx_json_array_at(group, "versions"), discovery_of(all.items[i]));
        }
}

// --- OpenAPI ---------------------------------------------------------------------------------------------------------

void aggregate_openapi_v3(struct api_services *services, json_t *index)
{
        API_SERVICE_LIST all;
        json_t *paths = json_object_get(index, "paths");
        api_services_list(services, &all);
        for (size_t i = 0; i < all.count; i++) {
                struct api_service *service = all.items[i];
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("apis/%s/%s", service->group, service->version);
                pthread_mutex_lock(&service->lock);
                if (service->openapi_v3)
                        json_object_set_new(paths, key, json_pack("{s:s}", "serverRelativeURL", service->openapi_v3));
                pthread_mutex_unlock(&service->lock);
        }
}

#define DEFINITIONS "#/definitions/"

// The definitions that a part of another document needs, under names that are free in ours.
struct merge {
        json_t *from, *to;     // definitions
        struct cx_map renamed; // name in `from` -> name in `to`
        json_t *pending;       // definitions that were taken, whose references were not: a chain of them may be long
};

static const char *take_definition(struct merge *merge, const char *name)
{
        const char *have = cx_map_get(&merge->renamed, name);
        if (have)
                return have;
        json_t *definition = json_object_get(merge->from, name), *own = json_object_get(merge->to, name);
        CX_BUF free_name = CX_BUF_INIT;
        cx_buf_add(&free_name, name);
        bool same = own && json_equal(own, definition);
        for (int i = 2; own && !same; i++) {
                cx_buf_truncate(&free_name, 0);
                cx_buf_printf(&free_name, "%s_v%d", name, i);
                own = json_object_get(merge->to, free_name.data);
        }
        char *taken = cx_buf_detach(&free_name);
        cx_map_set(&merge->renamed, name, taken); // before its parts, which may refer back to it
        if (definition && !same) {
                json_t *copy = json_deep_copy(definition);
                json_object_set_new(merge->to, taken, copy);
                json_array_append(merge->pending, copy);
        }
        return taken;
}

static void take_references(struct merge *merge, json_t *value)
{
        size_t i;
        const char *key;
        json_t *item;
        if (json_is_array(value)) {
                json_array_foreach (value, i, item)
                        take_references(merge, item);
                return;
        }
        const char *reference = json_string_value(json_object_get(value, "$ref"));
        if (reference && cx_has_prefix(reference, DEFINITIONS)) {
                CX_CLEANUP(cx_freep) char *name = cx_strdup(reference + strlen(DEFINITIONS));
                json_object_set_new(value, "$ref", json_sprintf(DEFINITIONS "%s", take_definition(merge, name)));
        }
        json_object_foreach (value, key, item)
                if (json_is_object(item) || json_is_array(item))
                        take_references(merge, item);
}

static void merge_openapi_v2(const struct api_service *service, json_t *from, json_t *to)
{
        struct merge merge = {.from = json_object_get(from, "definitions"),
                              .to = cx_json_object_at(to, "definitions"),
                              .renamed = CX_MAP_INIT_FREE(free),
                              .pending = json_array()};
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("/apis/%s/%s/", service->group, service->version);
        json_t *paths = cx_json_object_at(to, "paths"), *item;
        const char *path;
        json_object_foreach (json_object_get(from, "paths"), path, item) {
                if (!cx_has_prefix(path, own) || json_object_get(paths, path))
                        continue;
                json_t *copy = json_deep_copy(item);
                json_object_set_new(paths, path, copy);
                take_references(&merge, copy);
        }
        for (size_t i = 0; i < json_array_size(merge.pending); i++)
                take_references(&merge, json_array_get(merge.pending, i));
        json_decref(merge.pending);
        cx_map_release(&merge.renamed);
}

void aggregate_openapi_v2(struct api_services *services, json_t *document)
{
        API_SERVICE_LIST all;
        api_services_list(services, &all);
        for (size_t i = 0; i < all.count; i++) {
                pthread_mutex_lock(&all.items[i]->lock);
                json_auto_t *from = json_incref(all.items[i]->openapi_v2);
                pthread_mutex_unlock(&all.items[i]->lock);
                if (from)
                        merge_openapi_v2(all.items[i], from, document);
        }
}
