// SPDX-License-Identifier: Apache-2.0
// OpenAPI operations of resources. kubectl looks for the operation of a kind (x-kubernetes-group-version-kind) and
// whether it takes `fieldValidation`; other clients generate themselves from the rest.
#include "libcommon/base/alloc.h"
#include "libcommon/schema/openapi_internal.h"

struct operation {
        const char *method, *action, *id;
        bool body, list, options; // takes an object; answers a list; takes DeleteOptions
        const char *const *query;
};

static const char *const read_query[] = {NULL};
static const char *const list_query[] = {
        "allowWatchBookmarks",  "continue",          "fieldSelector",  "labelSelector", "limit", "resourceVersion",
        "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",         NULL};
static const char *const write_query[] = {"dryRun", "fieldManager", "fieldValidation", NULL};
static const char *const patch_query[] = {"dryRun", "fieldManager", "fieldValidation", "force", NULL};
static const char *const delete_query[] = {"dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy",
                                           NULL};

static const struct {
        unsigned verb;
        bool collection;
        struct operation operation;
} operations[] = {
        {CX_VERB_LIST, true, {"get", "list", "list", false, true, false, list_query}},
        {CX_VERB_CREATE, true, {"post", "post", "create", true, false, false, write_query}},
        {CX_VERB_DELETE_COLLECTION,
         true,
         {"delete", "deletecollection", "deleteCollection", false, false, true, list_query}},
        {CX_VERB_GET, false, {"get", "get", "read", false, false, false, read_query}},
        {CX_VERB_UPDATE, false, {"put", "put", "replace", true, false, false, write_query}},
        {CX_VERB_PATCH, false, {"patch", "patch", "patch", true, false, false, patch_query}},
        {CX_VERB_DELETE, false, {"delete", "delete", "delete", false, false, true, delete_query}},
};
static const char *const patch_types[] = {"application/apply-patch+yaml", "application/json-patch+json",
                                          "application/merge-patch+json", "application/strategic-merge-patch+json"};

static bool is_number(const char *name)
{
        return strcmp(name, "limit") == 0 || strcmp(name, "timeoutSeconds") == 0 ||
               strcmp(name, "gracePeriodSeconds") == 0;
}

static bool is_flag(const char *name)
{
        return strcmp(name, "watch") == 0 || strcmp(name, "force") == 0 || strcmp(name, "allowWatchBookmarks") == 0 ||
               strcmp(name, "sendInitialEvents") == 0 || strcmp(name, "orphanDependents") == 0;
}

static json_t *parameter(const struct cx_openapi *api, const char *name, const char *in)
{
        json_t *type = json_pack("{s:s,s:b}", "type",
                                 is_number(name) ? "integer"
                                 : is_flag(name) ? "boolean"
                                                 : "string",
                                 "uniqueItems", 1);
        json_t *result = api->v3 ? json_pack("{s:o}", "schema", type) : type;
        json_object_set_new(result, "name", json_string(name));
        json_object_set_new(result, "in", json_string(in));
        if (strcmp(in, "path") == 0)
                json_object_set_new(result, "required", json_true());
        return result;
}

static json_t *content(json_t *schema, const char *const *types, size_t n)
{
        json_t *result = json_object();
        for (size_t i = 0; i < n; i++)
                json_object_set_new(result, types[i], json_pack("{s:O}", "schema", schema));
        json_decref(schema);
        return result;
}

static void add_body(const struct cx_openapi *api, json_t *operation, json_t *schema, bool patch)
{
        static const char *const any[] = {"*/*"};
        if (api->v3) {
                json_t *body = json_object();
                json_object_set_new(body, "content", patch ? content(schema, patch_types, 4) : content(schema, any, 1));
                json_object_set_new(operation, "requestBody", body);
                return;
        }
        json_array_append_new(
                json_object_get(operation, "parameters"),
                json_pack("{s:s,s:s,s:b,s:o}", "name", "body", "in", "body", "required", 1, "schema", schema));
        json_t *consumes = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(patch_types) && patch; i++)
                json_array_append_new(consumes, json_string(patch_types[i]));
        if (!patch)
                json_array_append_new(consumes, json_string("*/*"));
        json_object_set_new(operation, "consumes", consumes);
}

static json_t *response(const struct cx_openapi *api, json_t *schema)
{
        static const char *const json[] = {"application/json", "application/yaml"};
        json_t *result = json_pack("{s:s}", "description", "OK");
        if (api->v3)
                json_object_set_new(result, "content", content(schema, json, 2));
        else
                json_object_set_new(result, "schema", schema);
        return json_pack("{s:o,s:{s:s}}", "200", result, "401", "description", "Unauthorized");
}

struct target {
        const struct cx_resource *resource;
        const struct cx_kind *kind;
        const char *suffix; // of operation ids: "NamespacedPodStatus"
};

static json_t *operation_of(struct cx_openapi *api, const struct operation *op, const struct target *target)
{
        json_t *operation = json_object(), *parameters = json_array();
        json_object_set_new(operation, "operationId", json_sprintf("%s%s", op->id, target->suffix));
        json_object_set_new(operation, "parameters", parameters);
        for (const char *const *name = op->query; *name; name++)
                json_array_append_new(parameters, parameter(api, *name, "query"));
        const struct cx_type *object = target->kind->type, *answer = object;
        json_t *list_of = NULL;
        bool patch = strcmp(op->method, "patch") == 0;
        if (op->list) {
                const struct cx_kind *list =
                        cx_schema_kind(target->kind->group, target->kind->version, target->resource->list_kind);
                if (list)
                        answer = list->type;
                else
                        list_of = cx_openapi_list(api, target->resource);
        } else if (op->options) {
                answer = cx_schema_type("meta.v1.Status");
        }
        if (patch)
                add_body(api, operation, cx_openapi_ref(api, cx_schema_type("meta.v1.Patch")), true);
        else if (op->body)
                add_body(api, operation, cx_openapi_ref(api, object), false);
        else if (op->options)
                add_body(api, operation, cx_openapi_ref(api, cx_schema_type("meta.v1.DeleteOptions")), false);
        json_object_set_new(operation, "responses", response(api, list_of ? list_of : cx_openapi_ref(api, answer)));
        json_object_set_new(operation, "x-kubernetes-action", json_string(op->action));
        json_object_set_new(operation, "x-kubernetes-group-version-kind",
                            json_pack("{s:s,s:s,s:s}", "group", target->kind->group, "kind", target->kind->kind,
                                      "version", target->kind->version));
        return operation;
}

static void add_path(struct cx_openapi *api, const char *path, const struct target *target, unsigned verbs,
                     bool collection)
{
        json_t *item = json_object(), *parameters = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(operations); i++)
                if (operations[i].collection == collection && (verbs & operations[i].verb))
                        json_object_set_new(item, operations[i].operation.method,
                                            operation_of(api, &operations[i].operation, target));
        if (strstr(path, "{namespace}"))
                json_array_append_new(parameters, parameter(api, "namespace", "path"));
        if (strstr(path, "{name}"))
                json_array_append_new(parameters, parameter(api, "name", "path"));
        json_array_append_new(parameters, parameter(api, "pretty", "query"));
        if (json_object_size(item)) {
                json_object_set(item, "parameters", parameters);
                json_object_set(api->paths, path, item);
        }
        json_decref(parameters);
        json_decref(item);
}

static const struct cx_kind *kind_of(const struct cx_resource *r, const struct cx_subresource *sub)
{
        bool own = strcmp(sub->kind, r->kind->kind) == 0 && strcmp(sub->group, r->group) == 0 &&
                   strcmp(sub->version, r->version) == 0;
        return own ? r->kind : cx_schema_kind(sub->group, sub->version, sub->kind);
}

static void add_subresource(struct cx_openapi *api, const struct cx_resource *r, const struct cx_subresource *sub,
                            const char *item, const char *scope)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", item, sub->name);
        CX_CLEANUP(cx_freep)
        char *suffix = cx_sprintf("%s%s%c%s", scope, r->kind->kind, sub->name[0] - 32, sub->name + 1);
        struct target target = {r, kind_of(r, sub), suffix};
        // Creating in a subresource is a post to the item's path, reading it a get.
        add_path(api, path, &target, sub->verbs, false);
        if (sub->verbs & CX_VERB_CREATE) {
                json_t *at = json_object_get(api->paths, path);
                if (!at) {
                        add_path(api, path, &target, CX_VERB_CREATE, true);
                        return;
                }
                json_object_set_new(at, "post", operation_of(api, &operations[1].operation, &target));
        }
}

void cx_openapi_add_resource(struct cx_openapi *api, const struct cx_resource *r)
{
        char version[128];
        const char *scope = r->namespaced ? "Namespaced" : "";
        CX_CLEANUP(cx_freep)
        char *root =
                cx_sprintf("/%s/%s", *r->group ? "apis" : "api", cx_join_api_version(version, r->group, r->version));
        CX_CLEANUP(cx_freep)
        char *collection = cx_sprintf("%s%s/%s", root, r->namespaced ? "/namespaces/{namespace}" : "", r->resource);
        CX_CLEANUP(cx_freep) char *item = cx_sprintf("%s/{name}", collection);
        CX_CLEANUP(cx_freep) char *suffix = cx_sprintf("%s%s", scope, r->kind->kind);
        struct target target = {r, r->kind, suffix};
        add_path(api, collection, &target, r->verbs, true);
        add_path(api, item, &target, r->verbs, false);
        for (const struct cx_subresource *sub = r->subresources; sub->name; sub++)
                add_subresource(api, r, sub, item, scope);
        if (r->namespaced && (r->verbs & CX_VERB_LIST)) {
                CX_CLEANUP(cx_freep) char *all = cx_sprintf("%s/%s", root, r->resource);
                CX_CLEANUP(cx_freep) char *all_suffix = cx_sprintf("%sForAllNamespaces", r->kind->kind);
                struct target everywhere = {r, r->kind, all_suffix};
                add_path(api, all, &everywhere, CX_VERB_LIST, true);
        }
}
