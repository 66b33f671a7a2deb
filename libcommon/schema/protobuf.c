// SPDX-License-Identifier: Apache-2.0
// A walk over the wire format (protobuf encoding, proto2) guided by the tags of the schema's fields. Go's generated code
// writes every field that is no pointer, also when it is empty, so zero values that JSON would leave out are left out
// here, but for fields whose presence says something (`presence` in the .api files).
#include "libcommon/schema/protobuf.h"

#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/schema.h"

#define MAX_DEPTH 64

struct reader {
        const unsigned char *p, *end;
};

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct value {
        unsigned number, wire;
        uint64_t integer;    // WIRE_VARINT, WIRE_64, WIRE_32
        struct reader bytes; // WIRE_BYTES
};

static bool read_varint(struct reader *r, uint64_t *ret_value)
{
        uint64_t value = 0;
        for (int shift = 0; shift < 64 && r->p < r->end; shift += 7) {
                unsigned char byte = *r->p++;
                value |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret_value = value;
                        return true;
                }
        }
        return false;
}

static bool read_fixed(struct reader *r, size_t size, uint64_t *ret_value)
{
        if ((size_t)(r->end - r->p) < size)
                return false;
        *ret_value = 0;
        for (size_t i = 0; i < size; i++)
                *ret_value |= (uint64_t)r->p[i] << (8 * i);
        r->p += size;
        return true;
}

// The next field; 1, 0 at the end, -EPROTO when malformed.
static int read_value(struct reader *r, struct value *ret_value)
{
        uint64_t key, length;
        if (r->p == r->end)
                return 0;
        if (!read_varint(r, &key) || key >> 3 == 0 || key >> 3 > 0xffff)
                return -EPROTO;
        *ret_value = (struct value){.number = (unsigned)(key >> 3), .wire = (unsigned)(key & 7)};
        switch (ret_value->wire) {
        case WIRE_VARINT:
                return read_varint(r, &ret_value->integer) ? 1 : -EPROTO;
        case WIRE_64:
                return read_fixed(r, 8, &ret_value->integer) ? 1 : -EPROTO;
        case WIRE_32:
                return read_fixed(r, 4, &ret_value->integer) ? 1 : -EPROTO;
        case WIRE_BYTES:
                if (!read_varint(r, &length) || length > (uint64_t)(r->end - r->p))
                        return -EPROTO;
                ret_value->bytes = (struct reader){r->p, r->p + length};
                r->p += length;
                return 1;
        default:
                return -EPROTO;
        }
}

static json_t *string_of(struct reader bytes)
{
        return json_stringn((const char *)bytes.p, (size_t)(bytes.end - bytes.p));
}

// Messages of two small fields that stand for one JSON value.
static int read_pair(struct reader r, struct value ret_fields[4])
{
        struct value value;
        int n;
        memset(ret_fields, 0, 4 * sizeof *ret_fields);
        while ((n = read_value(&r, &value)) > 0)
                if (value.number < 4)
                        ret_fields[value.number] = value;
        return n;
}

static int decode_time(struct reader bytes, bool micro, json_t **ret_json)
{
        struct value fields[4];
        char text[CX_TIME_TEXT];
        if (read_pair(bytes, fields) < 0)
                return -EPROTO;
        int64_t seconds = (int64_t)fields[1].integer, nanos = (int64_t)fields[2].integer;
        if (seconds < INT64_C(-62135596800) || seconds > INT64_C(253402300799) || nanos < 0 || nanos > 999999999)
                return -EPROTO;
        if (!fields[1].number && !fields[2].number)
                return 0; // the zero time: JSON's null
        (micro ? cx_time_format_micro : cx_time_format)(seconds * CX_US_PER_S + nanos / 1000, text);
        *ret_json = json_string(text);
        return 0;
}

static int decode_int_or_string(struct reader bytes, json_t **ret_json)
{
        struct value fields[4];
        if (read_pair(bytes, fields) < 0)
                return -EPROTO;
        if (fields[1].integer == 1 && fields[3].wire != WIRE_BYTES)
                return -EPROTO;
        *ret_json = fields[1].integer == 1 ? string_of(fields[3].bytes) : json_integer((int32_t)fields[2].integer);
        return *ret_json ? 0 : -EPROTO;
}

// Quantity { string = 1 }, JSON and RawExtension { bytes raw = 1 }.
static int decode_wrapped(struct reader bytes, bool quantity, json_t **ret_json)
{
        struct value fields[4];
        if (read_pair(bytes, fields) < 0)
                return -EPROTO;
        if (fields[1].wire != WIRE_BYTES || fields[1].bytes.p == fields[1].bytes.end)
                return 0;
        const char *text = (const char *)fields[1].bytes.p;
        size_t length = (size_t)(fields[1].bytes.end - fields[1].bytes.p);
        if (quantity)
                *ret_json = json_stringn(text, length);
        else if (cx_json_parse(text, length, false, ret_json, NULL) < 0)
                return -EPROTO;
        return *ret_json ? 0 : -EPROTO;
}

static int decode_duration(struct reader bytes, json_t **ret_json)
{
        struct value fields[4];
        char text[CX_TIME_TEXT];
        if (read_pair(bytes, fields) < 0)
                return -EPROTO;
        cx_duration_format((int64_t)fields[1].integer, text);
        *ret_json = json_string(text);
        return 0;
}

static int decode_message(const struct cx_type *type, struct reader r, int depth, json_t *into);

// A number or a boolean.
static int decode_scalar(const struct cx_field *field, const struct value *value, bool keep_zero, json_t **ret_json)
{
        double real;
        if (value->wire != (field->of == CX_OF_NUMBER ? WIRE_64 : WIRE_VARINT))
                return -EPROTO;
        if (field->of == CX_OF_NUMBER) {
                memcpy(&real, &value->integer, sizeof real);
                *ret_json = json_real(real);
                return *ret_json ? 0 : -EPROTO;
        }
        if (!value->integer && !keep_zero)
                return 0;
        *ret_json = field->of == CX_OF_BOOL    ? json_boolean(value->integer != 0)
                    : field->of == CX_OF_INT32 ? json_integer((int32_t)value->integer)
                                               : json_integer((int64_t)value->integer);
        return 0;
}

// One value of a field. *ret_json stays NULL when there is nothing to say.
static int decode_one(const struct cx_field *field, const struct value *value, bool keep_zero, int depth,
                      json_t **ret_json)
{
        *ret_json = NULL;
        if (field->of == CX_OF_BOOL || field->of == CX_OF_INT32 || field->of == CX_OF_INT64 ||
            field->of == CX_OF_NUMBER)
                return decode_scalar(field, value, keep_zero, ret_json);
        if (value->wire != WIRE_BYTES)
                return -EPROTO;
        switch (field->of) {
        case CX_OF_STRING:
                if (value->bytes.p == value->bytes.end && !keep_zero)
                        return 0;
                *ret_json = string_of(value->bytes);
                return *ret_json ? 0 : -EPROTO;
        case CX_OF_BYTES: {
                CX_BUF text = CX_BUF_INIT;
                cx_base64_encode(value->bytes.p, (size_t)(value->bytes.end - value->bytes.p), &text);
                *ret_json = json_string(text.data);
                return 0;
        }
        case CX_OF_TIME:
        case CX_OF_MICRO_TIME:
                return decode_time(value->bytes, field->of == CX_OF_MICRO_TIME, ret_json);
        case CX_OF_DURATION:
                return decode_duration(value->bytes, ret_json);
        case CX_OF_QUANTITY:
                return decode_wrapped(value->bytes, true, ret_json);
        case CX_OF_INT_OR_STRING:
                return decode_int_or_string(value->bytes, ret_json);
        case CX_OF_ANY:
                return decode_wrapped(value->bytes, false, ret_json);
        case CX_OF_OBJECT: {
                json_auto_t *object = json_object();
                if (decode_message(field->type, value->bytes, depth + 1, object) < 0)
                        return -EPROTO;
                *ret_json = cx_steal(&object);
                return 0;
        }
        default:
                return -EPROTO;
        }
}

// ExtraValue { repeated string items = 1 }.
static int decode_string_list(struct reader r, json_t **ret_json)
{
        struct value value;
        int n;
        json_auto_t *list = json_array();
        while ((n = read_value(&r, &value)) > 0)
                if (value.number == 1 && value.wire == WIRE_BYTES)
                        json_array_append_new(list, string_of(value.bytes));
        if (n < 0)
                return n;
        *ret_json = cx_steal(&list);
        return 0;
}

static int decode_map_entry(const struct cx_field *field, struct reader r, int depth, json_t *map)
{
        struct value fields[4];
        if (read_pair(r, fields) < 0 || (fields[1].number && fields[1].wire != WIRE_BYTES))
                return -EPROTO;
        CX_CLEANUP(cx_freep)
        char *key = cx_strndup((const char *)fields[1].bytes.p, (size_t)(fields[1].bytes.end - fields[1].bytes.p));
        json_t *value = NULL;
        int result;
        if (!fields[2].number) // an absent value is the type's zero
                fields[2].wire = field->of == CX_OF_INT32 || field->of == CX_OF_INT64 || field->of == CX_OF_BOOL
                                         ? WIRE_VARINT
                                         : WIRE_BYTES;
        if (field->shape == CX_SHAPE_MAP_OF_LIST)
                result = decode_string_list(fields[2].bytes, &value);
        else
                result = decode_one(field, &fields[2], true, depth, &value);
        if (result < 0)
                return result;
        return json_object_set_new(map, key, value ? value : json_string("")) < 0 ? -EPROTO : 0;
}

// Scalars may be packed into one length-delimited field.
static int decode_packed(const struct cx_field *field, struct reader r, int depth, json_t *list)
{
        while (r.p < r.end) {
                struct value value = {.wire = WIRE_VARINT};
                json_t *item = NULL;
                if (!read_varint(&r, &value.integer) || decode_one(field, &value, true, depth, &item) < 0)
                        return -EPROTO;
                json_array_append_new(list, item);
        }
        return 0;
}

static int decode_field(const struct cx_field *field, const struct value *value, int depth, json_t *into)
{
        json_t *item = NULL;
        bool integer = field->of == CX_OF_INT32 || field->of == CX_OF_INT64 || field->of == CX_OF_BOOL;
        if (field->shape == CX_SHAPE_MAP || field->shape == CX_SHAPE_MAP_OF_LIST)
                return value->wire == WIRE_BYTES
                               ? decode_map_entry(field, value->bytes, depth, cx_json_object_at(into, field->name))
                               : -EPROTO;
        if (field->shape == CX_SHAPE_LIST) {
                json_t *list = cx_json_array_at(into, field->name);
                if (integer && value->wire == WIRE_BYTES)
                        return decode_packed(field, value->bytes, depth, list);
                int r = decode_one(field, value, true, depth, &item);
                if (r == 0 && item)
                        json_array_append_new(list, item);
                return r;
        }
        int r = decode_one(field, value, field->flags & CX_FIELD_PRESENCE, depth, &item);
        if (r == 0 && item)
                json_object_set_new(into, field->name, item);
        return r;
}

static uint16_t tag_at(const struct cx_field *field, int level)
{
        return level == 0 ? field->proto_tag : level == 1 ? field->proto_inner_tag : field->proto_inmost_tag;
}

static bool has_path(const struct cx_field *field, const uint16_t *path, int levels)
{
        for (int i = 0; i < levels; i++)
                if (tag_at(field, i) != path[i])
                        return false;
        return true;
}

// Fields below the messages `path[0..level-1]` that protobuf nests and JSON does not.
static int decode_level(const struct cx_type *type, struct reader r, uint16_t path[3], int level, int depth,
                        json_t *into)
{
        struct value value;
        int n;
        while ((n = read_value(&r, &value)) > 0) {
                path[level] = (uint16_t)value.number;
                for (size_t i = 0; i < type->n_fields; i++) {
                        const struct cx_field *field = &type->fields[i];
                        if (!field->proto_tag || !has_path(field, path, level + 1))
                                continue;
                        bool nested = level < 2 && tag_at(field, level + 1);
                        if (nested && value.wire != WIRE_BYTES)
                                return -EPROTO;
                        n = nested ? decode_level(type, value.bytes, path, level + 1, depth, into)
                                   : decode_field(field, &value, depth, into);
                        if (n < 0)
                                return n;
                        break;
                }
        }
        return n;
}

static int decode_message(const struct cx_type *type, struct reader r, int depth, json_t *into)
{
        uint16_t path[3] = {0};
        return depth > MAX_DEPTH ? -EPROTO : decode_level(type, r, path, 0, depth, into);
}

static const struct cx_type *type_of(const char *api_version, const char *kind)
{
        char group[64], version[32];
        if (!cx_split_api_version(api_version, group, version))
                return NULL;
        const struct cx_kind *found = cx_schema_kind(group, version, kind);
        if (!found)
                found = cx_schema_kind("", "v1", kind); // DeleteOptions and its like belong to every group
        if (found)
                return found->type;
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("apis.meta.v1.%s", kind);
        return cx_schema_type(name);
}

static int decode_envelope(struct reader r, json_t *object)
{
        struct value value, meta[4] = {0};
        struct reader raw = {NULL, NULL};
        int n;
        while ((n = read_value(&r, &value)) > 0) {
                if (value.number == 1 && value.wire == WIRE_BYTES && read_pair(value.bytes, meta) < 0)
                        return -EPROTO;
                if (value.number == 2 && value.wire == WIRE_BYTES)
                        raw = value.bytes;
        }
        if (n < 0 || meta[1].wire != WIRE_BYTES || meta[2].wire != WIRE_BYTES)
                return -EPROTO;
        json_object_set_new(object, "apiVersion", string_of(meta[1].bytes));
        json_object_set_new(object, "kind", string_of(meta[2].bytes));
        const char *api_version = cx_json_string(object, "apiVersion"), *kind = cx_json_string(object, "kind");
        const struct cx_type *type = api_version && kind ? type_of(api_version, kind) : NULL;
        return type ? decode_message(type, raw, 0, object) : -ENOENT;
}

int cx_protobuf_decode(const void *data, size_t length, json_t **ret_object, struct cx_error *err)
{
        static const unsigned char magic[4] = {'k', '8', 's', 0};
        const unsigned char *bytes = data;
        if (length < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "the body does not begin with the prefix of Kubernetes' protobuf encoding");
        json_auto_t *object = json_object();
        int r = decode_envelope((struct reader){bytes + sizeof magic, bytes + length}, object);
        if (r == -ENOENT)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "no kind \"%s\" is registered for version \"%s\"",
                                       cx_json_string_or(object, "kind", ""),
                                       cx_json_string_or(object, "apiVersion", ""));
        if (r < 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the body is malformed protobuf");
        *ret_object = cx_steal(&object);
        return 0;
}
