// SPDX-License-Identifier: Apache-2.0
// The OpenAPI v2 document as gnostic's openapi.v2.Document in protobuf, the form that client-go asks for.
//
// The JSON document is walked by tables, one a message: where a JSON key goes and how. gnostic wraps much of what JSON
// says plainly in messages with one field (a map is a message with a list of named entries, a choice one with its
// alternatives): `wrap` is the number of the field around a value, `wrap_value` of the one around a named entry's.
// What JSON leaves open (vendor extensions, defaults) travels as YAML text, of which JSON text is a part.
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/openapi_internal.h"

#define MAX_DEPTH 64

enum how {
        AS_STRING,
        AS_STRINGS, // or one string
        AS_BOOL,
        AS_INT,
        AS_DOUBLE,
        AS_ANY,
        AS_ANYS,
        AS_MESSAGE, // or a list of them
        AS_NAMED,   // an object as a list of entries with name and value
        AS_PARAMETERS,
        AS_SCHEMA_OR_BOOL,
};

struct proto_message;
struct proto_rule {
        const char *key;
        uint32_t number;
        enum how how;
        const struct proto_message *of;
        uint32_t wrap, wrap_value; // 0: none
};
struct proto_message {
        const struct proto_rule *rules;
        size_t n_rules;
        uint32_t extensions; // number of vendor_extension; 0: none
};

static const struct proto_message schema;

static const struct proto_rule documentation_rules[] = {
        {"description", 1, AS_STRING},
        {"url", 2, AS_STRING},
};
static const struct proto_message documentation = {documentation_rules, CX_ARRAY_SIZE(documentation_rules), 3};

static const struct proto_rule license_rules[] = {
        {"name", 1, AS_STRING},
        {"url", 2, AS_STRING},
};
static const struct proto_message license = {license_rules, CX_ARRAY_SIZE(license_rules), 3};

static const struct proto_rule contact_rules[] = {
        {"name", 1, AS_STRING},
        {"url", 2, AS_STRING},
        {"email", 3, AS_STRING},
};
static const struct proto_message contact = {contact_rules, CX_ARRAY_SIZE(contact_rules), 4};

static const struct proto_rule info_rules[] = {
        {"title", 1, AS_STRING},
        {"version", 2, AS_STRING},
        {"description", 3, AS_STRING},
        {"termsOfService", 4, AS_STRING},
        {"contact", 5, AS_MESSAGE, &contact},
        {"license", 6, AS_MESSAGE, &license},
};
static const struct proto_message info = {info_rules, CX_ARRAY_SIZE(info_rules), 7};

static const struct proto_rule schema_rules[] = {
        {"$ref", 1, AS_STRING},
        {"format", 2, AS_STRING},
        {"title", 3, AS_STRING},
        {"description", 4, AS_STRING},
        {"default", 5, AS_ANY},
        {"multipleOf", 6, AS_DOUBLE},
        {"maximum", 7, AS_DOUBLE},
        {"exclusiveMaximum", 8, AS_BOOL},
        {"minimum", 9, AS_DOUBLE},
        {"exclusiveMinimum", 10, AS_BOOL},
        {"maxLength", 11, AS_INT},
        {"minLength", 12, AS_INT},
        {"pattern", 13, AS_STRING},
        {"maxItems", 14, AS_INT},
        {"minItems", 15, AS_INT},
        {"uniqueItems", 16, AS_BOOL},
        {"maxProperties", 17, AS_INT},
        {"minProperties", 18, AS_INT},
        {"required", 19, AS_STRINGS},
        {"enum", 20, AS_ANYS},
        {"additionalProperties", 21, AS_SCHEMA_OR_BOOL},
        {"type", 22, AS_STRINGS, NULL, 1},
        {"items", 23, AS_MESSAGE, &schema, 1},
        {"allOf", 24, AS_MESSAGE, &schema},
        {"properties", 25, AS_NAMED, &schema, 1},
        {"discriminator", 26, AS_STRING},
        {"readOnly", 27, AS_BOOL},
        {"externalDocs", 29, AS_MESSAGE, &documentation},
        {"example", 30, AS_ANY},
};
static const struct proto_message schema = {schema_rules, CX_ARRAY_SIZE(schema_rules), 31};

static const struct proto_message items;
static const struct proto_rule items_rules[] = {
        {"type", 1, AS_STRING},           {"format", 2, AS_STRING},
        {"items", 3, AS_MESSAGE, &items}, {"collectionFormat", 4, AS_STRING},
        {"default", 5, AS_ANY},           {"maximum", 6, AS_DOUBLE},
        {"exclusiveMaximum", 7, AS_BOOL}, {"minimum", 8, AS_DOUBLE},
        {"exclusiveMinimum", 9, AS_BOOL}, {"maxLength", 10, AS_INT},
        {"minLength", 11, AS_INT},        {"pattern", 12, AS_STRING},
        {"maxItems", 13, AS_INT},         {"minItems", 14, AS_INT},
        {"uniqueItems", 15, AS_BOOL},     {"enum", 16, AS_ANYS},
        {"multipleOf", 17, AS_DOUBLE},
};
static const struct proto_message items = {items_rules, CX_ARRAY_SIZE(items_rules), 18};

// Parameters in header and path look the same; those in query and form may be empty besides.
static const struct proto_rule plain_parameter_rules[] = {
        {"required", 1, AS_BOOL},
        {"in", 2, AS_STRING},
        {"description", 3, AS_STRING},
        {"name", 4, AS_STRING},
        {"type", 5, AS_STRING},
        {"format", 6, AS_STRING},
        {"items", 7, AS_MESSAGE, &items},
        {"collectionFormat", 8, AS_STRING},
        {"default", 9, AS_ANY},
        {"maximum", 10, AS_DOUBLE},
        {"exclusiveMaximum", 11, AS_BOOL},
        {"minimum", 12, AS_DOUBLE},
        {"exclusiveMinimum", 13, AS_BOOL},
        {"maxLength", 14, AS_INT},
        {"minLength", 15, AS_INT},
        {"pattern", 16, AS_STRING},
        {"maxItems", 17, AS_INT},
        {"minItems", 18, AS_INT},
        {"uniqueItems", 19, AS_BOOL},
        {"enum", 20, AS_ANYS},
        {"multipleOf", 21, AS_DOUBLE},
};
static const struct proto_message plain_parameter = {plain_parameter_rules, CX_ARRAY_SIZE(plain_parameter_rules), 22};

static const struct proto_rule query_parameter_rules[] = {
        {"required", 1, AS_BOOL},
        {"in", 2, AS_STRING},
        {"description", 3, AS_STRING},
        {"name", 4, AS_STRING},
        {"allowEmptyValue", 5, AS_BOOL},
        {"type", 6, AS_STRING},
        {"format", 7, AS_STRING},
        {"items", 8, AS_MESSAGE, &items},
        {"collectionFormat", 9, AS_STRING},
        {"default", 10, AS_ANY},
        {"maximum", 11, AS_DOUBLE},
        {"exclusiveMaximum", 12, AS_BOOL},
        {"minimum", 13, AS_DOUBLE},
        {"exclusiveMinimum", 14, AS_BOOL},
        {"maxLength", 15, AS_INT},
        {"minLength", 16, AS_INT},
        {"pattern", 17, AS_STRING},
        {"maxItems", 18, AS_INT},
        {"minItems", 19, AS_INT},
        {"uniqueItems", 20, AS_BOOL},
        {"enum", 21, AS_ANYS},
        {"multipleOf", 22, AS_DOUBLE},
};
static const struct proto_message query_parameter = {query_parameter_rules, CX_ARRAY_SIZE(query_parameter_rules), 23};

static const struct proto_rule body_parameter_rules[] = {
        {"description", 1, AS_STRING},      {"name", 2, AS_STRING}, {"in", 3, AS_STRING}, {"required", 4, AS_BOOL},
        {"schema", 5, AS_MESSAGE, &schema},
};
static const struct proto_message body_parameter = {body_parameter_rules, CX_ARRAY_SIZE(body_parameter_rules), 6};

static const struct proto_rule reference_rules[] = {
        {"$ref", 1, AS_STRING},
        {"description", 2, AS_STRING},
};
static const struct proto_message reference = {reference_rules, CX_ARRAY_SIZE(reference_rules), 0};

static const struct proto_rule response_rules[] = {
        {"description", 1, AS_STRING},
        {"schema", 2, AS_MESSAGE, &schema, 1},
};
static const struct proto_message response = {response_rules, CX_ARRAY_SIZE(response_rules), 5};

static const struct proto_rule operation_rules[] = {
        {"tags", 1, AS_STRINGS},
        {"summary", 2, AS_STRING},
        {"description", 3, AS_STRING},
        {"externalDocs", 4, AS_MESSAGE, &documentation},
        {"operationId", 5, AS_STRING},
        {"produces", 6, AS_STRINGS},
        {"consumes", 7, AS_STRINGS},
        {"parameters", 8, AS_PARAMETERS},
        {"responses", 9, AS_NAMED, &response, 1, 1},
        {"schemes", 10, AS_STRINGS},
        {"deprecated", 11, AS_BOOL},
};
static const struct proto_message operation = {operation_rules, CX_ARRAY_SIZE(operation_rules), 13};

static const struct proto_rule path_item_rules[] = {
        {"$ref", 1, AS_STRING},
        {"get", 2, AS_MESSAGE, &operation},
        {"put", 3, AS_MESSAGE, &operation},
        {"post", 4, AS_MESSAGE, &operation},
        {"delete", 5, AS_MESSAGE, &operation},
        {"options", 6, AS_MESSAGE, &operation},
        {"head", 7, AS_MESSAGE, &operation},
        {"patch", 8, AS_MESSAGE, &operation},
        {"parameters", 9, AS_PARAMETERS},
};
static const struct proto_message path_item = {path_item_rules, CX_ARRAY_SIZE(path_item_rules), 10};

static const struct proto_rule document_rules[] = {
        {"swagger", 1, AS_STRING},
        {"info", 2, AS_MESSAGE, &info},
        {"host", 3, AS_STRING},
        {"basePath", 4, AS_STRING},
        {"schemes", 5, AS_STRINGS},
        {"consumes", 6, AS_STRINGS},
        {"produces", 7, AS_STRINGS},
        {"paths", 8, AS_NAMED, &path_item, 2},
        {"definitions", 9, AS_NAMED, &schema, 1},
        {"externalDocs", 15, AS_MESSAGE, &documentation},
};
static const struct proto_message document = {document_rules, CX_ARRAY_SIZE(document_rules), 16};

static const struct {
        const char *in; // NULL: any other
        const struct proto_message *message;
        uint32_t choice, choice_of_non_body;
} parameters[] = {
        {"body", &body_parameter, 1, 0},   {"header", &plain_parameter, 2, 1}, {"formData", &query_parameter, 2, 2},
        {"query", &query_parameter, 2, 3}, {"path", &plain_parameter, 2, 4},
};

// --- wire format ---

static void put_varint(struct cx_buf *to, uint64_t value)
{
        for (; value >= 0x80; value >>= 7)
                cx_buf_add_char(to, (char)(value | 0x80));
        cx_buf_add_char(to, (char)value);
}

static void put_tag(struct cx_buf *to, uint32_t number, unsigned wire_type)
{
        put_varint(to, (uint64_t)number << 3 | wire_type);
}

static void put_bytes(struct cx_buf *to, uint32_t number, const char *data, size_t length)
{
        put_tag(to, number, 2);
        put_varint(to, length);
        cx_buf_append(to, data, length);
}

static void put_double(struct cx_buf *to, uint32_t number, double value)
{
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        put_tag(to, number, 1);
        for (int i = 0; i < 8; i++)
                cx_buf_add_char(to, (char)(bits >> 8 * i));
}

// As field `number`, inside one more message when `wrap` is a number.
static void put_wrapped(struct cx_buf *to, uint32_t number, uint32_t wrap, const struct cx_buf *value)
{
        CX_BUF outer = CX_BUF_INIT;
        if (wrap)
                put_bytes(&outer, wrap, value->data, value->length);
        const struct cx_buf *all = wrap ? &outer : value;
        put_bytes(to, number, all->data, all->length);
}

static void put_any(struct cx_buf *to, uint32_t number, const json_t *value)
{
        CX_BUF yaml = CX_BUF_INIT;
        CX_BUF any = CX_BUF_INIT;
        cx_json_dump(value, &yaml);
        put_bytes(&any, 2, yaml.data, yaml.length);
        put_bytes(to, number, any.data, any.length);
}

// --- the walk ---

static int encode(const struct proto_message *message, const json_t *object, int depth, struct cx_buf *to,
                  struct cx_error *err);

static int malformed(const char *key, struct cx_error *err)
{
        return cx_error_set(err, -EINVAL, "OpenAPI v2: \"%s\" cannot be said in protobuf", key);
}

static int encode_strings(const struct proto_rule *rule, const json_t *value, struct cx_buf *to, struct cx_error *err)
{
        CX_BUF list = CX_BUF_INIT;
        uint32_t number = rule->wrap ? rule->wrap : rule->number;
        size_t n = json_is_array(value) ? json_array_size(value) : 1;
        for (size_t i = 0; i < n; i++) {
                const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
                if (!json_is_string(item))
                        return malformed(rule->key, err);
                put_bytes(&list, number, json_string_value(item), json_string_length(item));
        }
        if (rule->wrap)
                put_bytes(to, rule->number, list.data, list.length);
        else
                cx_buf_append(to, list.data, list.length);
        return 0;
}

static int encode_messages(const struct proto_rule *rule, const json_t *value, int depth, struct cx_buf *to,
                           struct cx_error *err)
{
        size_t n = json_is_array(value) ? json_array_size(value) : 1;
        for (size_t i = 0; i < n; i++) {
                CX_BUF one = CX_BUF_INIT;
                int r = encode(rule->of, json_is_array(value) ? json_array_get(value, i) : value, depth, &one, err);
                if (r < 0)
                        return r;
                put_wrapped(to, rule->number, rule->wrap, &one);
        }
        return 0;
}

static int encode_named(const struct proto_rule *rule, const json_t *object, int depth, struct cx_buf *to,
                        struct cx_error *err)
{
        CX_BUF list = CX_BUF_INIT;
        const char *name;
        json_t *value;
        if (!json_is_object(object))
                return malformed(rule->key, err);
        json_object_foreach ((json_t *)object, name, value) {
                CX_BUF one = CX_BUF_INIT;
                CX_BUF entry = CX_BUF_INIT;
                int r = encode(rule->of, value, depth, &one, err);
                if (r < 0)
                        return r;
                put_bytes(&entry, 1, name, strlen(name));
                put_wrapped(&entry, 2, rule->wrap_value, &one);
                put_bytes(&list, rule->wrap, entry.data, entry.length);
        }
        put_bytes(to, rule->number, list.data, list.length);
        return 0;
}

static int encode_parameter(const struct proto_rule *rule, const json_t *value, int depth, struct cx_buf *to,
                            struct cx_error *err)
{
        CX_BUF one = CX_BUF_INIT;
        CX_BUF item = CX_BUF_INIT;
        const char *in = cx_json_string(value, "in");
        int r = -EINVAL;
        if (json_object_get(value, "$ref")) {
                r = encode(&reference, value, depth, &one, err);
                put_bytes(&item, 2, one.data, one.length);
                put_bytes(to, rule->number, item.data, item.length);
                return r;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(parameters); i++) {
                if (!cx_streq(in, parameters[i].in))
                        continue;
                r = encode(parameters[i].message, value, depth, &one, err);
                put_wrapped(&item, parameters[i].choice, parameters[i].choice_of_non_body, &one);
                put_wrapped(to, rule->number, 1, &item);
                return r;
        }
        return malformed(rule->key, err);
}

static int encode_schema_or_bool(const struct proto_rule *rule, const json_t *value, int depth, struct cx_buf *to,
                                 struct cx_error *err)
{
        CX_BUF item = CX_BUF_INIT;
        CX_BUF one = CX_BUF_INIT;
        int r = 0;
        if (json_is_boolean(value)) {
                put_tag(&item, 2, 0);
                put_varint(&item, json_is_true(value));
        } else {
                r = encode(&schema, value, depth, &one, err);
                put_bytes(&item, 1, one.data, one.length);
        }
        put_bytes(to, rule->number, item.data, item.length);
        return r;
}

static int encode_list(const struct proto_rule *rule, const json_t *list, int depth, struct cx_buf *to,
                       struct cx_error *err)
{
        size_t i;
        json_t *item;
        int r = json_is_array(list) ? 0 : malformed(rule->key, err);
        json_array_foreach (list, i, item) {
                if (rule->how == AS_ANYS)
                        put_any(to, rule->number, item);
                else if (r == 0)
                        r = encode_parameter(rule, item, depth, to, err);
        }
        return r;
}

static int encode_scalar(const struct proto_rule *rule, const json_t *value, struct cx_buf *to, struct cx_error *err)
{
        if (rule->how == AS_STRING && json_is_string(value)) {
                put_bytes(to, rule->number, json_string_value(value), json_string_length(value));
        } else if (rule->how == AS_DOUBLE && json_is_number(value)) {
                put_double(to, rule->number, json_number_value(value));
        } else if ((rule->how == AS_BOOL && json_is_boolean(value)) ||
                   (rule->how == AS_INT && json_is_integer(value))) {
                put_tag(to, rule->number, 0);
                put_varint(to, json_is_integer(value) ? (uint64_t)json_integer_value(value) : json_is_true(value));
        } else {
                return malformed(rule->key, err);
        }
        return 0;
}

static int encode_field(const struct proto_rule *rule, const json_t *value, int depth, struct cx_buf *to,
                        struct cx_error *err)
{
        switch (rule->how) {
        case AS_STRINGS:
                return encode_strings(rule, value, to, err);
        case AS_ANY:
                put_any(to, rule->number, value);
                return 0;
        case AS_ANYS:
        case AS_PARAMETERS:
                return encode_list(rule, value, depth, to, err);
        case AS_MESSAGE:
                return encode_messages(rule, value, depth, to, err);
        case AS_NAMED:
                return encode_named(rule, value, depth, to, err);
        case AS_SCHEMA_OR_BOOL:
                return encode_schema_or_bool(rule, value, depth, to, err);
        default:
                return encode_scalar(rule, value, to, err);
        }
}

static const struct proto_rule *find_rule(const struct proto_message *message, const char *key)
{
        for (size_t i = 0; i < message->n_rules; i++)
                if (strcmp(message->rules[i].key, key) == 0)
                        return &message->rules[i];
        return NULL;
}

static int encode(const struct proto_message *message, const json_t *object, int depth, struct cx_buf *to,
                  struct cx_error *err)
{
        const char *key;
        json_t *value;
        if (!json_is_object(object) || depth > MAX_DEPTH)
                return cx_error_set(err, -EINVAL, "OpenAPI v2: not an object, or too deep");
        json_object_foreach ((json_t *)object, key, value) {
                const struct proto_rule *rule = find_rule(message, key);
                if (rule) {
                        int r = encode_field(rule, value, depth + 1, to, err);
                        if (r < 0)
                                return r;
                } else if (message->extensions && cx_has_prefix(key, "x-")) {
                        CX_BUF entry = CX_BUF_INIT;
                        put_bytes(&entry, 1, key, strlen(key));
                        put_any(&entry, 2, value);
                        put_bytes(to, message->extensions, entry.data, entry.length);
                } else {
                        return malformed(key, err);
                }
        }
        return 0;
}

int cx_openapi_v2_protobuf(const json_t *json, struct cx_buf *to, struct cx_error *err)
{
        return encode(&document, json, 0, to, err);
}
