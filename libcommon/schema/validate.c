// SPDX-License-Identifier: Apache-2.0
// Validation: what the tables declare (needed values, enums, bounds, keys of lists), names and labels, and the checks of
// kinds in validate/. Status is written by components and is not checked. The sentences are those that clients know.
#include "libcommon/schema/validate/validate.h"
#include "libcommon/api/names.h"
#include "libcommon/schema/schema_internal.h"

#include <pthread.h>

size_t cx_enter(struct cx_validator *v, const char *format, ...)
{
        size_t length = v->path.length;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&v->path, format, args);
        va_end(args);
        return length;
}

void cx_leave(struct cx_validator *v, size_t length)
{
        cx_buf_truncate(&v->path, length);
}

static void add(struct cx_validator *v, const char *reason, const char *field, const char *message)
{
        CX_CLEANUP(cx_freep)
        char *path = cx_sprintf("%s%s%s", v->path.data, v->path.length && *field && *field != '[' ? "." : "", field);
        cx_error_cause(&v->found, reason, *path == '.' ? path + 1 : path, "%s", message);
}

void cx_required(struct cx_validator *v, const char *field, const char *detail)
{
        CX_CLEANUP(cx_freep) char *message = cx_sprintf("Required value%s%s", detail ? ": " : "", cx_str(detail));
        add(v, "FieldValueRequired", field, message);
}

static void add_value(struct cx_validator *v, const char *reason, const char *field, const char *what,
                      const json_t *value, const char *detail)
{
        CX_CLEANUP(cx_freep) char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : cx_strdup("null");
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("%s: %.4096s%s%s", what, text, detail ? ": " : "", cx_str(detail));
        add(v, reason, field, message);
}

void cx_invalid(struct cx_validator *v, const char *field, const json_t *value, const char *detail)
{
        add_value(v, "FieldValueInvalid", field, "Invalid value", value, detail);
}

void cx_invalid_part(struct cx_validator *v, const char *field, const char *detail)
{
        CX_CLEANUP(cx_freep) char *message = cx_sprintf("Invalid value: %s", detail);
        add(v, "FieldValueInvalid", field, message);
}

void cx_invalid_text(struct cx_validator *v, const char *field, const char *value, const char *detail)
{
        json_auto_t *text = json_string(value);
        cx_invalid(v, field, text, detail);
}

void cx_unsupported(struct cx_validator *v, const char *field, const char *value, const char *const *supported)
{
        CX_BUF list = CX_BUF_INIT;
        json_auto_t *text = json_string(value);
        cx_buf_add(&list, "supported values: ");
        for (size_t i = 0; supported[i]; i++)
                cx_buf_printf(&list, "%s\"%s\"", i ? ", " : "", supported[i]);
        add_value(v, "FieldValueNotSupported", field, "Unsupported value", text, list.data);
}

void cx_duplicate(struct cx_validator *v, const char *field, const json_t *value)
{
        add_value(v, "FieldValueDuplicate", field, "Duplicate value", value, NULL);
}

void cx_forbidden(struct cx_validator *v, const char *field, const char *detail)
{
        CX_CLEANUP(cx_freep) char *message = cx_sprintf("Forbidden: %s", detail);
        add(v, "FieldValueForbidden", field, message);
}

void cx_not_found(struct cx_validator *v, const char *field, const char *value)
{
        json_auto_t *text = json_string(value);
        add_value(v, "FieldValueNotFound", field, "Not found", text, NULL);
}

void cx_too_long(struct cx_validator *v, const char *field, size_t bytes)
{
        CX_CLEANUP(cx_freep) char *message = cx_sprintf("Too long: may not be more than %zu bytes", bytes);
        add(v, "FieldValueTooLong", field, message);
}

void cx_too_many(struct cx_validator *v, const char *field, size_t count, size_t most)
{
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("Too many: %zu: must have at most %zu item%s", count, most, most == 1 ? "" : "s");
        add(v, "FieldValueTooMany", field, message);
}

void cx_check_text(struct cx_validator *v, const json_t *object, const char *field, const char *(*rule)(const char *))
{
        const char *text = cx_json_string_or(object, field, "");
        const char *wrong = *text ? rule(text) : NULL;
        if (wrong)
                cx_invalid_text(v, field, text, wrong);
}

void cx_check_texts(struct cx_validator *v, const json_t *object, const char *field, const char *(*rule)(const char *))
{
        size_t i;
        const json_t *item;
        json_array_foreach (json_object_get(object, field), i, item) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s[%zu]", field, i);
                const char *wrong = rule(cx_str(json_string_value(item)));
                if (wrong)
                        cx_invalid(v, name, item, wrong);
        }
}

// --- what fields declare --------------------------------------------------------------------------------------------
static void check_object(struct cx_validator *v, const struct cx_type *type, const json_t *object);

static bool is_empty(const json_t *value)
{
        return !value || (json_is_string(value) && json_string_length(value) == 0) ||
               (json_is_array(value) && json_array_size(value) == 0) ||
               (json_is_object(value) && json_object_size(value) == 0);
}

static void check_bounds(struct cx_validator *v, const struct cx_field *field, const json_t *value)
{
        json_int_t n = json_integer_value(value);
        char detail[96];
        if (field->min > field->max || (n >= field->min && n <= field->max))
                return;
        if (field->max == INT64_MAX)
                snprintf(detail, sizeof detail, "must be greater than or equal to %lld", (long long)field->min);
        else if (field->min == INT64_MIN)
                snprintf(detail, sizeof detail, "must be less than or equal to %lld", (long long)field->max);
        else
                snprintf(detail, sizeof detail, "must be between %lld and %lld, inclusive", (long long)field->min,
                         (long long)field->max);
        cx_invalid(v, "", value, detail);
}

// One value; the path stands at it.
static void check_value(struct cx_validator *v, const struct cx_field *field, const json_t *value)
{
        if (json_is_string(value) && field->enum_values && json_string_length(value)) {
                const char *text = json_string_value(value), *const *allowed = field->enum_values;
                while (*allowed && strcmp(*allowed, text) != 0)
                        allowed++;
                if (!*allowed) // a leading "" says that the value may be empty
                        cx_unsupported(v, "", text, field->enum_values + cx_streq(field->enum_values[0], ""));
        } else if (json_is_integer(value)) {
                check_bounds(v, field, value);
        } else if (json_is_object(value) && field->type) {
                check_object(v, field->type, value);
        }
}

static json_t *key_of(const struct cx_field *field, const json_t *item)
{
        if (field->list_type == CX_LIST_SET)
                return json_incref((json_t *)item);
        if (!field->map_keys[1])
                return json_incref(json_object_get(item, field->map_keys[0]));
        json_t *key = json_object();
        for (const char *const *name = field->map_keys; *name; name++)
                if (json_object_get(item, *name))
                        json_object_set(key, *name, json_object_get(item, *name));
        return key;
}

static void check_duplicates(struct cx_validator *v, const struct cx_field *field, const json_t *list)
{
        json_auto_t *seen = json_object();
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item) {
                json_auto_t *key = key_of(field, item);
                if (!key)
                        continue;
                CX_CLEANUP(cx_freep) char *text = json_dumps(key, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
                if (json_object_get(seen, text)) {
                        bool one = field->list_type == CX_LIST_MAP && !field->map_keys[1];
                        size_t length = cx_enter(v, "[%zu]", i);
                        cx_duplicate(v, one ? field->map_keys[0] : "", key);
                        cx_leave(v, length);
                } else {
                        json_object_set_new(seen, text, json_true());
                }
        }
}

static void check_field(struct cx_validator *v, const struct cx_field *field, const json_t *value)
{
        // Most fields of most objects are absent: they must cost nothing.
        if (!value && !(field->flags & (CX_FIELD_PRESENT | CX_FIELD_NONEMPTY)))
                return;
        size_t length = cx_enter(v, "%s%s", v->path.length ? "." : "", field->name);
        size_t i;
        const char *key;
        json_t *item;
        if ((!value && (field->flags & CX_FIELD_PRESENT)) || ((field->flags & CX_FIELD_NONEMPTY) && is_empty(value))) {
                cx_required(v, "", NULL);
        } else if (value && field->shape == CX_SHAPE_ONE) {
                check_value(v, field, value);
        } else if (value && field->shape == CX_SHAPE_LIST) {
                json_array_foreach (value, i, item) {
                        size_t inner = cx_enter(v, "[%zu]", i);
                        check_value(v, field, item);
                        cx_leave(v, inner);
                }
                if (field->list_type != CX_LIST_ATOMIC && !(field->flags & CX_FIELD_DUPLICATES))
                        check_duplicates(v, field, value);
        } else if (value && field->shape == CX_SHAPE_MAP) {
                json_object_foreach ((json_t *)value, key, item) {
                        size_t inner = cx_enter(v, "[%s]", key);
                        check_value(v, field, item);
                        cx_leave(v, inner);
                }
        }
        cx_leave(v, length);
}

static cx_check_fn **checks; // of every type, in the order of the tables; NULL: none

static void find_checks(void)
{
        static const struct cx_check *const tables[] = {
                cx_checks_meta,      cx_checks_pod,   cx_checks_pod_parts, cx_checks_workloads, cx_checks_autoscaling,
                cx_checks_ingress,   cx_checks_batch, cx_checks_core,      cx_checks_service,   cx_checks_rbac,
                cx_checks_placement, cx_checks_quota, cx_checks_others};
        checks = cx_alloc_array(cx_schema_table_n_types, sizeof *checks);
        for (size_t i = 0; i < CX_ARRAY_SIZE(tables); i++)
                for (const struct cx_check *check = tables[i]; check->type; check++)
                        checks[cx_schema_type(check->type)->id - 1] = check->check;
}

static void run_checks(struct cx_validator *v, const struct cx_type *type, const json_t *object)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, find_checks);
        cx_check_fn *check = type->id ? checks[type->id - 1] : NULL;
        if (check)
                check(v, object);
}

static void check_object(struct cx_validator *v, const struct cx_type *type, const json_t *object)
{
        bool root = v->path.length == 0;
        for (size_t i = 0; i < type->n_fields; i++)
                if (!root || strcmp(type->fields[i].name, "status") != 0)
                        check_field(v, &type->fields[i], json_object_get(object, type->fields[i].name));
        run_checks(v, type, object);
}

// --- names ----------------------------------------------------------------------------------------------------------
static const char *check_named(enum cx_naming naming, const char *name)
{
        switch (naming) {
        case CX_NAMES_SEGMENT:
                return cx_check_path_segment(name);
        case CX_NAMES_LABEL:
                return cx_check_dns1123_label(name);
        case CX_NAMES_LABEL_1035:
                return cx_check_dns1035_label(name);
        case CX_NAMES_SUBDOMAIN:
                break;
        }
        return cx_check_dns1123_subdomain(name);
}

static void check_name(struct cx_validator *v, const struct cx_kind *kind, const json_t *object)
{
        const struct cx_field *metadata = cx_type_field(kind->type, "metadata");
        const struct cx_resource *resource = cx_schema_resource_by_kind(kind->group, kind->version, kind->kind);
        bool stored = !resource || (resource->verbs & CX_VERB_GET);
        if (!metadata || !stored || !metadata->type || strcmp(metadata->type->name, "meta.v1.ObjectMeta") != 0)
                return;
        const char *name = cx_json_string_or(object, "metadata.name", ""), *wrong;
        if (!*name && !*cx_json_string_or(object, "metadata.generateName", ""))
                cx_required(v, "metadata.name", "name or generateName is required");
        else if (*name && (wrong = check_named(resource ? resource->naming : CX_NAMES_SUBDOMAIN, name)))
                cx_invalid_text(v, "metadata.name", name, wrong);
        const char *namespace = cx_json_string_or(object, "metadata.namespace", "");
        if (resource && !resource->namespaced && *namespace)
                cx_forbidden(v, "metadata.namespace", "not allowed on this type");
        else
                cx_check_text(v, object, "metadata.namespace", cx_check_dns1123_label);
}

static int to_error(struct cx_validator *v, const struct cx_kind *kind, const json_t *object, struct cx_error *err)
{
        CX_BUF all = CX_BUF_INIT;
        const char *name = cx_json_string_or(object, "metadata.name", "");
        for (size_t i = 0; i < v->found.n_causes; i++) {
                const struct cx_error_cause *cause = &v->found.causes[i];
                cx_buf_printf(&all, "%s%s%s%s", i ? ", " : "", cx_str(cause->field),
                              cause->field && *cause->field ? ": " : "", cause->message);
        }
        bool several = v->found.n_causes > 1;
        int r = cx_error_reason(err, CX_REASON_INVALID, "%s%s%s \"%s\" is invalid: %s%s%s", kind->kind,
                                *kind->group ? "." : "", kind->group, name, several ? "[" : "", all.data,
                                several ? "]" : "");
        cx_error_about(err, kind->group, kind->kind, name);
        for (size_t i = 0; i < v->found.n_causes; i++)
                cx_error_cause(err, v->found.causes[i].reason, v->found.causes[i].field, "%s",
                               v->found.causes[i].message);
        return r;
}

int cx_schema_validate(const struct cx_kind *kind, const json_t *object, struct cx_error *err)
{
        struct cx_validator v = {.found = CX_ERROR_INIT, .path = CX_BUF_INIT, .root = object};
        check_name(&v, kind, object);
        check_object(&v, kind->type, object);
        int r = v.found.n_causes ? to_error(&v, kind, object, err) : 0;
        cx_error_release(&v.found);
        cx_buf_release(&v.path);
        return r;
}
