// SPDX-License-Identifier: Apache-2.0
// Discovery documents of a set of resources: the legacy ones and the aggregated form (apidiscovery v2).
#include "libcommon/base/alloc.h"
#include "libcommon/schema/engine.h"

static json_t *verbs_of(unsigned verbs)
{
        static const struct {
                unsigned bit;
                const char *name;
        } names[] = {
                {CX_VERB_CREATE, "create"}, {CX_VERB_DELETE, "delete"}, {CX_VERB_DELETE_COLLECTION, "deletecollection"},
                {CX_VERB_GET, "get"},       {CX_VERB_LIST, "list"},     {CX_VERB_PATCH, "patch"},
                {CX_VERB_UPDATE, "update"}, {CX_VERB_WATCH, "watch"}};
        json_t *list = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (verbs & names[i].bit)
                        json_array_append_new(list, json_string(names[i].name));
        return list;
}

static void add_names(json_t *to, const char *key, const char *const *names)
{
        if (!*names)
                return;
        json_t *list = json_array();
        for (; *names; names++)
                json_array_append_new(list, json_string(*names));
        json_object_set_new(to, key, list);
}

static bool is_first_of_group(const struct cx_resource_set *all, size_t i)
{
        return i == 0 || strcmp(all->items[i]->group, all->items[i - 1]->group) != 0;
}

static bool is_first_of_version(const struct cx_resource_set *all, size_t i)
{
        return is_first_of_group(all, i) || strcmp(all->items[i]->version, all->items[i - 1]->version) != 0;
}

json_t *cx_discovery_api_versions(const char *server_address)
{
        return json_pack("{s:s,s:[s],s:[{s:s,s:s}]}", "kind", "APIVersions", "versions", "v1",
                         "serverAddressByClientCIDRs", "clientCIDR", "0.0.0.0/0", "serverAddress", server_address);
}

static json_t *version_entry(const struct cx_resource *resource)
{
        char text[128];
        return json_pack("{s:s,s:s}", "groupVersion", cx_join_api_version(text, resource->group, resource->version),
                         "version", resource->version);
}

// The group that begins at all->items[i]->
static json_t *group_at(const struct cx_resource_set *all, size_t i)
{
        json_t *group = json_pack("{s:s}", "name", all->items[i]->group), *versions = json_array();
        size_t first = i;
        do {
                if (is_first_of_version(all, i))
                        json_array_append_new(versions, version_entry(all->items[i]));
                i++;
        } while (i < all->count && !is_first_of_group(all, i));
        json_object_set_new(group, "versions", versions);
        json_object_set_new(group, "preferredVersion", version_entry(all->items[first]));
        return group;
}

json_t *cx_discovery_groups(const struct cx_resource_set *all)
{
        json_t *groups = json_array();
        for (size_t i = 0; i < all->count; i++)
                if (*all->items[i]->group && is_first_of_group(all, i))
                        json_array_append_new(groups, group_at(all, i));
        return json_pack("{s:s,s:s,s:o}", "kind", "APIGroupList", "apiVersion", "v1", "groups", groups);
}

json_t *cx_discovery_group(const struct cx_resource_set *all, const char *group)
{
        for (size_t i = 0; i < all->count && *group; i++) {
                if (strcmp(all->items[i]->group, group) != 0)
                        continue;
                json_t *found = json_pack("{s:s,s:s}", "kind", "APIGroup", "apiVersion", "v1");
                json_object_update_new(found, group_at(all, i));
                return found;
        }
        return NULL;
}

static void add_legacy(json_t *list, const struct cx_resource *r)
{
        json_t *entry = json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", r->resource, "singularName", r->singular,
                                  "namespaced", r->namespaced, "kind", r->kind->kind, "verbs", verbs_of(r->verbs));
        add_names(entry, "shortNames", r->short_names);
        add_names(entry, "categories", r->categories);
        json_array_append_new(list, entry);
        for (const struct cx_subresource *sub = r->subresources; sub->name; sub++) {
                json_t *part = json_object();
                json_object_set_new(part, "name", json_sprintf("%s/%s", r->resource, sub->name));
                json_object_set_new(part, "singularName", json_string(""));
                json_object_set_new(part, "namespaced", json_boolean(r->namespaced));
                if (strcmp(sub->group, r->group) != 0 || strcmp(sub->version, r->version) != 0) {
                        json_object_set_new(part, "group", json_string(sub->group));
                        json_object_set_new(part, "version", json_string(sub->version));
                }
                json_object_set_new(part, "kind", json_string(sub->kind));
                json_object_set_new(part, "verbs", verbs_of(sub->verbs));
                json_array_append_new(list, part);
        }
}

json_t *cx_discovery_resources(const struct cx_resource_set *all, const char *group, const char *version)
{
        json_auto_t *list = json_array();
        for (size_t i = 0; i < all->count; i++)
                if (strcmp(all->items[i]->group, group) == 0 && strcmp(all->items[i]->version, version) == 0)
                        add_legacy(list, all->items[i]);
        if (!json_array_size(list))
                return NULL;
        char text[128];
        json_t *answer = json_pack("{s:s}", "kind", "APIResourceList");
        if (*group)
                json_object_set_new(answer, "apiVersion", json_string("v1"));
        json_object_set_new(answer, "groupVersion", json_string(cx_join_api_version(text, group, version)));
        json_object_set(answer, "resources", list);
        return answer;
}

static json_t *response_kind(const char *group, const char *version, const char *kind)
{
        return json_pack("{s:s,s:s,s:s}", "group", group, "version", version, "kind", kind);
}

static json_t *aggregated_resource(const struct cx_resource *r)
{
        json_t *entry = json_pack("{s:s,s:o,s:s,s:s,s:o}", "resource", r->resource, "responseKind",
                                  response_kind(r->group, r->version, r->kind->kind), "scope",
                                  r->namespaced ? "Namespaced" : "Cluster", "singularResource", r->singular, "verbs",
                                  verbs_of(r->verbs));
        add_names(entry, "shortNames", r->short_names);
        add_names(entry, "categories", r->categories);
        json_t *parts = json_array();
        for (const struct cx_subresource *sub = r->subresources; sub->name; sub++)
                json_array_append_new(parts, json_pack("{s:s,s:o,s:o}", "subresource", sub->name, "responseKind",
                                                       response_kind(sub->group, sub->version, sub->kind), "verbs",
                                                       verbs_of(sub->verbs)));
        if (json_array_size(parts))
                json_object_set(entry, "subresources", parts);
        json_decref(parts);
        return entry;
}

static json_t *aggregated_group(const struct cx_resource_set *all, size_t i)
{
        json_t *metadata = json_object(), *versions = json_array(), *resources = NULL;
        if (*all->items[i]->group)
                json_object_set_new(metadata, "name", json_string(all->items[i]->group));
        size_t first = i;
        do {
                if (i == first || is_first_of_version(all, i)) {
                        resources = json_array();
                        json_array_append_new(versions, json_pack("{s:s,s:o,s:s}", "version", all->items[i]->version,
                                                                  "resources", resources, "freshness", "Current"));
                }
                json_array_append_new(resources, aggregated_resource(all->items[i]));
                i++;
        } while (i < all->count && !is_first_of_group(all, i));
        return json_pack("{s:o,s:o}", "metadata", metadata, "versions", versions);
}

json_t *cx_discovery_aggregated(const struct cx_resource_set *all, bool core)
{
        json_t *items = json_array();
        for (size_t i = 0; i < all->count; i++)
                if (is_first_of_group(all, i) && (*all->items[i]->group == 0) == core)
                        json_array_append_new(items, aggregated_group(all, i));
        return json_pack("{s:s,s:s,s:{},s:o}", "kind", "APIGroupDiscoveryList", "apiVersion", "apidiscovery.k8s.io/v2",
                         "metadata", "items", items);
}
