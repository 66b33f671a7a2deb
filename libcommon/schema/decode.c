// SPDX-License-Identifier: Apache-2.0
// Checks what a client sent against the type, as a Go decoder would read it into structs: types of all fields, unknown
// fields, nulls, quantities in canonical form. The words of errors are those that clients know.
//
// Two paths are kept while walking: the decoder's (names of struct fields only, "spec.containers.image") and the strict
// one (with list indexes, "spec.containers[0].foo"). Depth is bounded by the parser (CX_JSON_MAX_DEPTH).
#include "libcommon/api/quantity.h"
#include "libcommon/base/time.h"
#include "libcommon/schema/engine.h"

#include <ctype.h>

#define MAX_UNKNOWN_FIELDS 100

struct decoder {
        enum cx_field_validation mode;
        struct cx_strings unknown; // sentences
        struct cx_buf go_path, strict_path;
        const char *struct_name; // innermost struct
        const char *root;
        struct cx_error *err;
};

static int decode_object(struct decoder *d, const struct cx_type *type, json_t *object);

// "core.v1.PodSpec": the part after the last dot, and "v1.PodSpec".
static const char *short_name(const char *name)
{
        const char *dot = strrchr(name, '.');
        return dot ? dot + 1 : name;
}

static const char *go_name(const char *name)
{
        const char *last = strrchr(name, '.');
        while (last && last > name && last[-1] != '.')
                last--;
        return last ? last : name;
}

static int bad(struct decoder *d, const char *message)
{
        const char *version = go_name(d->root);
        const char *dot = strchr(version, '.');
        if (!dot)
                return cx_error_reason(d->err, CX_REASON_BAD_REQUEST, "%s", message);
        return cx_error_reason(d->err, CX_REASON_BAD_REQUEST, "%s in version \"%.*s\" cannot be handled as a %s: %s",
                               short_name(d->root), (int)(dot - version), version, short_name(d->root), message);
}

static const char *json_type_name(const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "object";
        case JSON_ARRAY:
                return "array";
        case JSON_STRING:
                return "string";
        case JSON_INTEGER:
        case JSON_REAL:
                return "number";
        case JSON_TRUE:
        case JSON_FALSE:
                return "bool";
        default:
                return "null";
        }
}

static const char *go_scalar(const struct cx_field *field)
{
        switch (field->of) {
        case CX_OF_OBJECT:
                return go_name(field->type->name);
        case CX_OF_INT32:
                return "int32";
        case CX_OF_INT64:
                return "int64";
        case CX_OF_NUMBER:
                return "float64";
        case CX_OF_BOOL:
                return "bool";
        case CX_OF_BYTES:
                return "[]uint8";
        case CX_OF_QUANTITY:
                return "resource.Quantity";
        case CX_OF_TIME:
                return "v1.Time";
        case CX_OF_MICRO_TIME:
                return "v1.MicroTime";
        case CX_OF_INT_OR_STRING:
                return "intstr.IntOrString";
        default:
                return "string";
        }
}

static int wrong_type(struct decoder *d, const struct cx_field *field, const json_t *value, const char *prefix)
{
        char detail[64] = "";
        if (json_is_real(value))
                snprintf(detail, sizeof detail, " %.17g", json_real_value(value));
        else if (json_is_integer(value) && (field->of == CX_OF_INT32 || field->of == CX_OF_INT64))
                snprintf(detail, sizeof detail, " %lld", (long long)json_integer_value(value));
        CX_CLEANUP(cx_freep)
        char *message =
                cx_sprintf("json: cannot unmarshal %s%s into Go struct field %s.%s of type %s%s", json_type_name(value),
                           detail, d->struct_name, d->go_path.data, prefix, go_scalar(field));
        return bad(d, message);
}

static int wrong_value(struct decoder *d, const json_t *value, const char *type)
{
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("json: cannot unmarshal %s into Go value of type %s", json_type_name(value), type);
        return bad(d, message);
}

static int check_time(struct decoder *d, const json_t *value, bool micro)
{
        if (!json_is_string(value))
                return wrong_value(d, value, "string");
        int64_t us;
        const char *text = json_string_value(value);
        if (cx_time_parse(text, &us) == 0)
                return 0;
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("parsing time \"%.100s\" as \"%s\": cannot parse \"%.100s\" as \"2006\"", text,
                                   micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00", text);
        return bad(d, message);
}

static int check_bytes(struct decoder *d, const struct cx_field *field, const json_t *value)
{
        if (!json_is_string(value))
                return wrong_type(d, field, value, "");
        const char *text = json_string_value(value);
        size_t length = json_string_length(value), symbols = 0, padding = 0, i;
        for (i = 0; i < length; i++) {
                char c = text[i];
                if (c == '\n' || c == '\r')
                        continue;
                bool symbol = isalnum((unsigned char)c) || c == '+' || c == '/';
                if (!(symbol && !padding) && !(c == '=' && padding < 2 && symbols % 4 >= 2))
                        break;
                if (symbol)
                        symbols++;
                else
                        padding++;
        }
        if (i == length && (symbols + padding) % 4 == 0)
                return 0;
        char message[80];
        snprintf(message, sizeof message, "illegal base64 data at input byte %zu", i);
        return bad(d, message);
}

// Replaces the quantity by its canonical text, which is what the object would carry after a round through upstream. In
// lists of resources what is less than a thousandth is rounded up.
static int check_quantity(struct decoder *d, const struct cx_field *field, json_t *value, json_t **ret_new)
{
        struct cx_quantity quantity;
        if (cx_quantity_from_json(value, &quantity) < 0)
                return bad(d, "quantities must match the regular expression "
                              "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
        if (field->shape == CX_SHAPE_MAP && !(field->flags & CX_FIELD_EXACT))
                cx_quantity_round_milli(&quantity);
        char text[CX_QUANTITY_TEXT];
        cx_quantity_format(&quantity, text);
        if (!cx_streq(json_string_value(value), text))
                *ret_new = json_string(text);
        return 0;
}

static int check_int(struct decoder *d, const struct cx_field *field, const json_t *value)
{
        if (!json_is_integer(value))
                return wrong_type(d, field, value, "");
        json_int_t n = json_integer_value(value);
        return field->of == CX_OF_INT32 && (n < INT32_MIN || n > INT32_MAX) ? wrong_type(d, field, value, "") : 0;
}

static int check_int_or_string(struct decoder *d, const json_t *value)
{
        if (json_is_string(value))
                return 0;
        if (!json_is_integer(value))
                return wrong_value(d, value, "int32");
        json_int_t n = json_integer_value(value);
        return n < INT32_MIN || n > INT32_MAX ? wrong_value(d, value, "int32") : 0;
}

static int check_duration(struct decoder *d, const json_t *value)
{
        int64_t ns;
        if (!json_is_string(value))
                return wrong_value(d, value, "string");
        if (cx_duration_parse(json_string_value(value), &ns) == 0)
                return 0;
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("time: invalid duration \"%.100s\"", json_string_value(value));
        return bad(d, message);
}

// One value of the field, without its shape. `ret_new` is set when the value is to be replaced.
static int decode_value(struct decoder *d, const struct cx_field *field, json_t *value, json_t **ret_new)
{
        switch (field->of) {
        case CX_OF_OBJECT:
                return json_is_object(value) ? decode_object(d, field->type, value) : wrong_type(d, field, value, "");
        case CX_OF_STRING:
                return json_is_string(value) ? 0 : wrong_type(d, field, value, "");
        case CX_OF_INT32:
        case CX_OF_INT64:
                return check_int(d, field, value);
        case CX_OF_NUMBER:
                return json_is_number(value) ? 0 : wrong_type(d, field, value, "");
        case CX_OF_BOOL:
                return json_is_boolean(value) ? 0 : wrong_type(d, field, value, "");
        case CX_OF_BYTES:
                return check_bytes(d, field, value);
        case CX_OF_TIME:
        case CX_OF_MICRO_TIME:
                return check_time(d, value, field->of == CX_OF_MICRO_TIME);
        case CX_OF_DURATION:
                return check_duration(d, value);
        case CX_OF_QUANTITY:
                return check_quantity(d, field, value, ret_new);
        case CX_OF_INT_OR_STRING:
                return check_int_or_string(d, value);
        case CX_OF_ANY:
                return 0;
        }
        return 0;
}

// What Go makes of a null inside a list or a map: the zero value.
static json_t *zero_value(const struct cx_field *field)
{
        switch (field->of) {
        case CX_OF_OBJECT:
                return json_object();
        case CX_OF_INT32:
        case CX_OF_INT64:
        case CX_OF_NUMBER:
        case CX_OF_INT_OR_STRING:
                return json_integer(0);
        case CX_OF_BOOL:
                return json_false();
        case CX_OF_QUANTITY:
                return json_string("0");
        case CX_OF_ANY:
                return json_null();
        default:
                return json_string("");
        }
}

static int decode_list(struct decoder *d, const struct cx_field *field, json_t *list, const char *prefix)
{
        if (!json_is_array(list))
                return wrong_type(d, field, list, prefix);
        size_t length = d->strict_path.length;
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item) {
                json_t *replacement = NULL;
                if (json_is_null(item)) {
                        replacement = zero_value(field);
                } else {
                        cx_buf_printf(&d->strict_path, "[%zu]", i);
                        int r = decode_value(d, field, item, &replacement);
                        if (r < 0)
                                return r;
                        cx_buf_truncate(&d->strict_path, length);
                }
                if (replacement)
                        json_array_set_new(list, i, replacement);
        }
        return 0;
}

static int decode_map(struct decoder *d, const struct cx_field *field, json_t *map)
{
        bool of_lists = field->shape == CX_SHAPE_MAP_OF_LIST;
        if (!json_is_object(map))
                return wrong_type(d, field, map, of_lists ? "map[string][]" : "map[string]");
        size_t length = d->strict_path.length;
        void *next;
        const char *key;
        json_t *value;
        json_object_foreach_safe (map, next, key, value) {
                json_t *replacement = NULL;
                if (json_is_null(value)) {
                        replacement = of_lists ? json_array() : zero_value(field);
                } else {
                        cx_buf_printf(&d->strict_path, ".%s", key);
                        int r = of_lists ? decode_list(d, field, value, "[]")
                                         : decode_value(d, field, value, &replacement);
                        if (r < 0)
                                return r;
                        cx_buf_truncate(&d->strict_path, length);
                }
                if (replacement)
                        json_object_set_new(map, key, replacement);
        }
        return 0;
}

static int decode_field(struct decoder *d, const struct cx_field *field, json_t *object, json_t *value)
{
        size_t go_length = d->go_path.length;
        const char *struct_name = d->struct_name;
        json_t *replacement = NULL;
        int r;
        cx_buf_printf(&d->go_path, "%s%s", go_length ? "." : "", field->name);
        switch (field->shape) {
        case CX_SHAPE_ONE:
                r = decode_value(d, field, value, &replacement);
                break;
        case CX_SHAPE_LIST:
                r = decode_list(d, field, value, "[]");
                break;
        default:
                r = decode_map(d, field, value);
                break;
        }
        if (replacement)
                json_object_set_new(object, field->name, replacement);
        cx_buf_truncate(&d->go_path, go_length);
        d->struct_name = struct_name;
        return r;
}

// What says nothing in a struct that is no pointer: "", 0 and false.
static bool is_zero(const struct cx_field *field, const json_t *value)
{
        switch (field->of) {
        case CX_OF_STRING:
        case CX_OF_BYTES:
                return json_string_length(value) == 0;
        case CX_OF_INT32:
        case CX_OF_INT64:
        case CX_OF_NUMBER:
                return json_number_value(value) == 0;
        case CX_OF_BOOL:
                return json_is_false(value);
        default:
                return false;
        }
}

// What upstream's structs leave out when it is empty: all that is optional and no pointer, but for these lists.
static bool is_left_out(const struct cx_type *type, const struct cx_field *field, const json_t *value)
{
        static const struct {
                const char *type, *field;
        } kept[] = {{"rbac.v1.Role", "rules"},
                    {"rbac.v1.ClusterRole", "rules"},
                    {"discovery.v1.EndpointSlice", "endpoints"},
                    {"discovery.v1.EndpointSlice", "ports"}};
        bool made_at_run_time = !type->id;
        if (made_at_run_time || (field->flags & CX_FIELD_REQUIRED))
                return false;
        if (field->shape == CX_SHAPE_ONE)
                return !(field->flags & CX_FIELD_PRESENCE) && is_zero(field, value);
        if (json_is_array(value) ? json_array_size(value) : json_object_size(value))
                return false;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++)
                if (strcmp(kept[i].type, type->name) == 0 && strcmp(kept[i].field, field->name) == 0)
                        return false;
        return true;
}

static int decode_object(struct decoder *d, const struct cx_type *type, json_t *object)
{
        d->struct_name = short_name(type->name);
        size_t length = d->strict_path.length;
        void *next;
        const char *key;
        json_t *value;
        json_object_foreach_safe (object, next, key, value) {
                const struct cx_field *field = cx_type_field(type, key);
                if (!field && type->of == CX_OF_ANY)
                        continue;
                cx_buf_printf(&d->strict_path, "%s%s", length ? "." : "", key);
                if (!field) {
                        if (d->mode != CX_FIELDS_IGNORE && d->unknown.count < MAX_UNKNOWN_FIELDS) {
                                CX_CLEANUP(cx_freep)
                                char *sentence = cx_sprintf("unknown field \"%s\"", d->strict_path.data);
                                cx_strings_add(&d->unknown, sentence);
                        }
                        json_object_del(object, key);
                } else if (json_is_null(value)) {
                        json_object_del(object, key);
                } else {
                        int r = decode_field(d, field, object, value);
                        if (r < 0)
                                return r;
                        if (is_left_out(type, field, json_object_get(object, key))) // it may be another one now
                                json_object_del(object, key);
                }
                cx_buf_truncate(&d->strict_path, length);
        }
        return 0;
}

void cx_duplicates_release(struct cx_duplicates *duplicates)
{
        cx_strings_release(&duplicates->paths);
        cx_strings_release(&duplicates->lines);
}

// Of a field that is unknown and there twice only the first is said.
static void add_duplicates(struct decoder *d, const struct cx_duplicates *duplicates)
{
        for (size_t i = 0; i < duplicates->paths.count; i++) {
                CX_CLEANUP(cx_freep) char *unknown = cx_sprintf("unknown field \"%s\"", duplicates->paths.items[i]);
                CX_CLEANUP(cx_freep) char *twice = cx_sprintf("duplicate field \"%s\"", duplicates->paths.items[i]);
                if (!cx_strings_has(&d->unknown, unknown))
                        cx_strings_add(&d->unknown, twice);
        }
}

// The YAML reader's complaints stand before the others, as one.
static char *strict_message(const struct decoder *d, const struct cx_duplicates *duplicates)
{
        CX_CLEANUP(cx_freep) char *fields = cx_strings_join(&d->unknown, ", ");
        if (!duplicates || !duplicates->lines.count)
                return cx_sprintf("strict decoding error: %s", fields);
        CX_CLEANUP(cx_freep) char *lines = cx_strings_join(&duplicates->lines, "\n  ");
        return cx_sprintf("strict decoding error: yaml: unmarshal errors:\n  %s%s%s", lines, *fields ? ", " : "",
                          fields);
}

int cx_schema_decode(const struct cx_type *type, json_t *object, enum cx_field_validation mode,
                     const struct cx_duplicates *duplicates, struct cx_strings *ret_warnings, struct cx_error *err)
{
        struct decoder d = {.mode = mode,
                            .go_path = CX_BUF_INIT,
                            .strict_path = CX_BUF_INIT,
                            .struct_name = short_name(type->name),
                            .root = type->name,
                            .err = err};
        int r;
        if (!json_is_object(object))
                r = wrong_value(&d, object, go_name(type->name));
        else
                r = decode_object(&d, type, object);
        if (duplicates)
                add_duplicates(&d, duplicates);
        if (r == 0 && mode == CX_FIELDS_STRICT && (d.unknown.count || (duplicates && duplicates->lines.count))) {
                CX_CLEANUP(cx_freep) char *message = strict_message(&d, duplicates);
                r = bad(&d, message);
        } else if (r == 0 && mode == CX_FIELDS_WARN && ret_warnings) {
                for (size_t i = 0; duplicates && i < duplicates->lines.count; i++)
                        cx_strings_add(ret_warnings, duplicates->lines.items[i]);
                for (size_t i = 0; i < d.unknown.count; i++)
                        cx_strings_add(ret_warnings, d.unknown.items[i]);
        }
        cx_strings_release(&d.unknown);
        cx_buf_release(&d.go_path);
        cx_buf_release(&d.strict_path);
        return r;
}
