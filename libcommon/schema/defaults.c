// SPDX-License-Identifier: Apache-2.0
// Sets absent fields to their defaults: those that the tables declare, then the conditional ones of defaults/. Types
// without any default below them are never entered, so status and metadata cost nothing.
#include "libcommon/schema/defaults/defaults.h"

#include "libcommon/base/alloc.h"

void cx_default_set_new(json_t *object, const char *key, json_t *value)
{
        if (json_object_get(object, key))
                json_decref(value);
        else
                json_object_set_new(object, key, value);
}

const char *cx_default_string(const json_t *object, const char *key)
{
        const char *value = json_string_value(json_object_get(object, key));
        return value ? value : "";
}

static json_t *parse_default(const char *text)
{
        if (strcmp(text, "{}") == 0)
                return json_object();
        if (*text == '"' && !strchr(text, '\\'))
                return json_stringn(text + 1, strlen(text) - 2);
        return json_loads(text, JSON_DECODE_ANY, NULL);
}

// An empty string counts as absent, as it does in upstream's structs.
static bool is_unset(const json_t *value)
{
        return !value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
}

static cx_default_fn *conditional_of(const struct cx_type *type)
{
        static const struct cx_conditional_default *const tables[] = {cx_defaults_core, cx_defaults_service,
                                                                      cx_defaults_workloads, cx_defaults_others};
        for (size_t i = 0; i < CX_ARRAY_SIZE(tables); i++)
                for (const struct cx_conditional_default *entry = tables[i]; entry->type; entry++)
                        if (strcmp(entry->type, type->name) == 0)
                                return entry->set;
        return NULL;
}

static void default_object(const struct cx_type *type, json_t *object);

static void default_children(const struct cx_field *field, json_t *value)
{
        const char *key;
        size_t i;
        json_t *item;
        switch (field->shape) {
        case CX_SHAPE_ONE:
                default_object(field->type, value);
                break;
        case CX_SHAPE_LIST:
                json_array_foreach (value, i, item)
                        default_object(field->type, item);
                break;
        case CX_SHAPE_MAP:
                json_object_foreach (value, key, item)
                        default_object(field->type, item);
                break;
        case CX_SHAPE_MAP_OF_LIST:
                break;
        }
}

static void default_object(const struct cx_type *type, json_t *object)
{
        if (!type->defaulted || !json_is_object(object))
                return;
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct cx_field *field = &type->fields[i];
                if (field->default_json && is_unset(json_object_get(object, field->name)))
                        json_object_set_new(object, field->name, parse_default(field->default_json));
        }
        cx_default_fn *set = type->conditional ? conditional_of(type) : NULL;
        if (set)
                set(object);
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct cx_field *field = &type->fields[i];
                json_t *value = field->type && field->type->defaulted ? json_object_get(object, field->name) : NULL;
                if (value)
                        default_children(field, value);
        }
}

void cx_schema_default(const struct cx_kind *kind, json_t *object)
{
        default_object(kind->type, object);
}
