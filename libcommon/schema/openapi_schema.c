// SPDX-License-Identifier: Apache-2.0
// OpenAPI schemas of types, under the names that upstream gives them, with the extensions that clients read
// (x-kubernetes-patch-strategy, -patch-merge-key, -list-type, -list-map-keys, -map-type, -group-version-kind).
#include "libcommon/base/alloc.h"
#include "libcommon/base/version.h"
#include "libcommon/schema/openapi_internal.h"
#include "libcommon/schema/schema_internal.h"

#define MACHINERY "io.k8s.apimachinery.pkg."
#define QUANTITY MACHINERY "api.resource.Quantity"
#define INT_OR_STRING MACHINERY "util.intstr.IntOrString"
#define TIME MACHINERY "apis.meta.v1.Time"
#define MICRO_TIME MACHINERY "apis.meta.v1.MicroTime"
#define DURATION MACHINERY "apis.meta.v1.Duration"

json_t *cx_openapi_info(void)
{
        return json_pack("{s:s,s:s}", "title", "Kubernetes", "version", CX_VERSION_API);
}

static char *full_name(const struct cx_type *type)
{
        const char *name = type->name;
        static const struct {
                const char *package, *prefix;
        } packages[] = {
                {"meta.", MACHINERY "apis."},
                {"version.", MACHINERY},
                {"apiextensions.", "io.k8s.apiextensions-apiserver.pkg.apis."},
                {"apiregistration.", "io.k8s.kube-aggregator.pkg.apis."},
        };
        if (!type->id) // made at run time, under the name that it is to have
                return cx_strdup(name);
        for (size_t i = 0; i < CX_ARRAY_SIZE(packages); i++)
                if (cx_has_prefix(name, packages[i].package))
                        return cx_sprintf("%s%s", packages[i].prefix, name);
        return cx_sprintf("io.k8s.api.%s", name);
}

static json_t *ref_to(const struct cx_openapi *api, const char *name)
{
        return json_pack("{s:o}", "$ref",
                         json_sprintf("%s%s", api->v3 ? "#/components/schemas/" : "#/definitions/", name));
}

json_t *cx_openapi_ref(struct cx_openapi *api, const struct cx_type *type)
{
        CX_CLEANUP(cx_freep) char *name = full_name(type);
        cx_openapi_add_type(api, type);
        return ref_to(api, name);
}

static const char *scalar_description(const char *name)
{
        static const struct {
                const char *name, *text;
        } all[] = {
                {QUANTITY,
                 "An amount: a decimal number with a suffix, such as 500m (a half), 2, 1.5Gi (powers of 1024) "
                 "or 3G (powers of 1000). More than thousandths are rounded up."},
                {INT_OR_STRING, "A whole number, or a text such as a percentage or a name."},
                {TIME, "A moment to the second, as RFC 3339 writes it: 2026-01-31T12:00:00Z."},
                {MICRO_TIME, "A moment to the microsecond, as RFC 3339 writes it: 2026-01-31T12:00:00.000000Z."},
                {DURATION, "A span of time, as numbers with units: 1h30m, 15s, 100ms."},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(all); i++)
                if (strcmp(all[i].name, name) == 0)
                        return all[i].text;
        return NULL;
}

static json_t *named_scalar(struct cx_openapi *api, const char *name)
{
        if (!json_object_get(api->schemas, name)) {
                json_t *schema;
                if (strcmp(name, QUANTITY) == 0)
                        schema = api->v3 ? json_pack("{s:[{s:s},{s:s}]}", "oneOf", "type", "string", "type", "number")
                                         : json_pack("{s:s}", "type", "string");
                else if (strcmp(name, INT_OR_STRING) == 0)
                        schema = api->v3 ? json_pack("{s:s,s:[{s:s},{s:s}]}", "format", "int-or-string", "oneOf",
                                                     "type", "integer", "type", "string")
                                         : json_pack("{s:s,s:s}", "type", "string", "format", "int-or-string");
                else if (strcmp(name, DURATION) == 0)
                        schema = json_pack("{s:s}", "type", "string");
                else
                        schema = json_pack("{s:s,s:s}", "type", "string", "format", "date-time");
                json_object_set_new(schema, "description", json_string(scalar_description(name)));
                json_object_set_new(api->schemas, name, schema);
        }
        return ref_to(api, name);
}

// A reference beside siblings has to be wrapped in v3.
static json_t *wrapped(const struct cx_openapi *api, json_t *ref, bool object)
{
        if (!api->v3)
                return ref;
        json_t *schema = json_pack("{s:[o]}", "allOf", ref);
        if (object)
                json_object_set_new(schema, "default", json_object());
        return schema;
}

static json_t *scalar(struct cx_openapi *api, const struct cx_type *owner, const struct cx_field *field)
{
        switch (field->of) {
        case CX_OF_OBJECT:
                return wrapped(api, cx_openapi_ref(api, field->type), true);
        case CX_OF_INT32:
                return json_pack("{s:s,s:s}", "type", "integer", "format", "int32");
        case CX_OF_INT64:
                return json_pack("{s:s,s:s}", "type", "integer", "format", "int64");
        case CX_OF_NUMBER:
                return json_pack("{s:s,s:s}", "type", "number", "format", "double");
        case CX_OF_BOOL:
                return json_pack("{s:s}", "type", "boolean");
        case CX_OF_BYTES:
                return json_pack("{s:s,s:s}", "type", "string", "format", "byte");
        case CX_OF_TIME:
                return wrapped(api, named_scalar(api, TIME), false);
        case CX_OF_MICRO_TIME:
                return wrapped(api, named_scalar(api, MICRO_TIME), false);
        case CX_OF_DURATION:
                return wrapped(api, named_scalar(api, DURATION), false);
        case CX_OF_QUANTITY:
                return wrapped(api, named_scalar(api, QUANTITY), false);
        case CX_OF_INT_OR_STRING:
                return wrapped(api, named_scalar(api, INT_OR_STRING), false);
        case CX_OF_ANY:
                return cx_has_prefix(owner->name, "apiextensions.") ? json_object()
                                                                    : json_pack("{s:s}", "type", "object");
        case CX_OF_STRING:
                break;
        }
        json_t *schema = json_pack("{s:s}", "type", "string");
        if (field->enum_values) {
                json_t *values = json_array();
                for (const char *const *value = field->enum_values; *value; value++)
                        json_array_append_new(values, json_string(*value));
                json_object_set_new(schema, "enum", values);
        }
        return schema;
}

static void add_list_extensions(json_t *schema, const struct cx_field *field)
{
        static const char *const types[] = {[CX_LIST_ATOMIC] = "atomic", [CX_LIST_SET] = "set", [CX_LIST_MAP] = "map"};
        json_object_set_new(schema, "x-kubernetes-list-type", json_string(types[field->list_type]));
        if (!field->map_keys)
                return;
        json_t *keys = json_array();
        for (const char *const *key = field->map_keys; *key; key++)
                json_array_append_new(keys, json_string(*key));
        json_object_set_new(schema, "x-kubernetes-list-map-keys", keys);
}

static void add_patch_extensions(json_t *schema, const struct cx_field *field)
{
        bool merge = field->flags & CX_FIELD_PATCH_MERGE, retain = field->flags & CX_FIELD_PATCH_RETAIN_KEYS;
        if (merge || retain)
                json_object_set_new(schema, "x-kubernetes-patch-strategy",
                                    json_string(merge && retain ? "merge,retainKeys"
                                                : merge         ? "merge"
                                                                : "retainKeys"));
        if (field->merge_key)
                json_object_set_new(schema, "x-kubernetes-patch-merge-key", json_string(field->merge_key));
}

static json_t *property(struct cx_openapi *api, const struct cx_type *owner, const struct cx_field *field)
{
        json_t *schema = scalar(api, owner, field);
        if (field->shape == CX_SHAPE_LIST || field->shape == CX_SHAPE_MAP_OF_LIST) {
                schema = json_pack("{s:s,s:o}", "type", "array", "items", schema);
                if (field->shape == CX_SHAPE_LIST)
                        add_list_extensions(schema, field);
        }
        if (field->shape == CX_SHAPE_MAP || field->shape == CX_SHAPE_MAP_OF_LIST)
                schema = json_pack("{s:s,s:o}", "type", "object", "additionalProperties", schema);
        if (field->flags & CX_FIELD_ATOMIC_MAP)
                json_object_set_new(schema, "x-kubernetes-map-type", json_string("atomic"));
        add_patch_extensions(schema, field);
        if (field->description)
                json_object_set_new(schema, "description", json_string(field->description));
        return schema;
}

static void add_kind(json_t *list, const struct cx_kind *kind, const struct cx_type *type)
{
        if (kind->type == type)
                json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "group", kind->group, "kind", kind->kind,
                                                      "version", kind->version));
}

static void add_kinds(const struct cx_openapi *api, json_t *schema, const struct cx_type *type)
{
        json_t *list = json_array();
        for (size_t i = 0; type->id && i < cx_schema_table_n_kinds; i++)
                add_kind(list, &cx_schema_table_kinds[i], type);
        for (size_t i = 0; !type->id && i < api->all->count; i++)
                add_kind(list, api->all->items[i]->kind, type);
        if (json_array_size(list))
                json_object_set(schema, "x-kubernetes-group-version-kind", list);
        json_decref(list);
}

void cx_openapi_add_type(struct cx_openapi *api, const struct cx_type *type)
{
        CX_CLEANUP(cx_freep) char *name = full_name(type);
        if (json_object_get(api->schemas, name))
                return;
        json_t *schema = json_pack("{s:s}", "type", "object"), *required = json_array(), *properties = json_object();
        json_object_set_new(api->schemas, name, schema); // first, for types that hold themselves
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct cx_field *field = &type->fields[i];
                json_object_set_new(properties, field->name, property(api, type, field));
                if (field->flags & CX_FIELD_REQUIRED)
                        json_array_append_new(required, json_string(field->name));
        }
        if (type->description)
                json_object_set_new(schema, "description", json_string(type->description));
        if (json_array_size(required))
                json_object_set(schema, "required", required);
        if (json_object_size(properties))
                json_object_set(schema, "properties", properties);
        if (type->atomic)
                json_object_set_new(schema, "x-kubernetes-map-type", json_string("atomic"));
        add_kinds(api, schema, type);
        json_decref(required);
        json_decref(properties);
}

json_t *cx_openapi_list(struct cx_openapi *api, const struct cx_resource *resource)
{
        const struct cx_kind *kind = resource->kind;
        CX_CLEANUP(cx_freep) char *item = full_name(kind->type);
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%sList", item);
        if (!json_object_get(api->schemas, name)) {
                json_t *meta = cx_openapi_ref(api, cx_schema_type("meta.v1.ListMeta"));
                json_object_set_new(api->schemas, name,
                                    json_pack("{s:s,s:[s],s:{s:{s:s},s:{s:s},s:o,s:{s:s,s:o}},s:[{s:s,s:s,s:s}]}",
                                              "type", "object", "required", "items", "properties", "apiVersion", "type",
                                              "string", "kind", "type", "string", "metadata", wrapped(api, meta, false),
                                              "items", "type", "array", "items",
                                              wrapped(api, cx_openapi_ref(api, kind->type), false),
                                              "x-kubernetes-group-version-kind", "group", kind->group, "kind",
                                              resource->list_kind, "version", kind->version));
        }
        return ref_to(api, name);
}
