// SPDX-License-Identifier: Apache-2.0
// JSON made from a fuzzer's bytes. libFuzzer sees nothing of jansson, so it does not learn to write JSON: here every byte
// is a decision instead, and what comes out looks like the objects and patches that the API knows.
#pragma once

#include "libcommon/schema/engine.h"
#include "libcommon/schema/schema.h"

#include <stddef.h>
#include <stdint.h>

struct fuzz_bytes {
        const uint8_t *next, *end;
};

static inline unsigned fuzz_take(struct fuzz_bytes *bytes) // 0 at the end
{
        return bytes->next < bytes->end ? *bytes->next++ : 0;
}

static const char *const fuzz_words[] = {"",
                                         "a",
                                         "b",
                                         "name",
                                         "80",
                                         "http",
                                         "TCP",
                                         "1Gi",
                                         "500m",
                                         "30s",
                                         "25%",
                                         "10.0.0.1",
                                         "::1",
                                         "x.y/z",
                                         "Always",
                                         "Node",
                                         "~1",
                                         "-",
                                         "0",
                                         "-1",
                                         "metadata",
                                         "spec",
                                         "$patch",
                                         "replace",
                                         "null",
                                         "kube-root-ca.crt",
                                         "2026-01-02T03:04:05Z",
                                         "YQ==",
                                         "\xc3\xa4",
                                         "registry.example.com/x:1",
                                         "Delete",
                                         "merge"};

static inline const char *fuzz_word(struct fuzz_bytes *bytes)
{
        return fuzz_words[fuzz_take(bytes) % CX_ARRAY_SIZE(fuzz_words)];
}

static inline json_t *fuzz_any(struct fuzz_bytes *bytes, int depth)
{
        unsigned what = fuzz_take(bytes) % (depth > 0 ? 10 : 8), count;
        json_t *value;
        switch (what) {
        case 0:
                return json_null();
        case 1:
                return json_boolean(fuzz_take(bytes) & 1);
        case 2:
                return json_integer((int8_t)fuzz_take(bytes));
        case 3: {
                uint64_t number = 0;
                for (int i = 0; i < 8; i++)
                        number = number << 8 | fuzz_take(bytes);
                return json_integer((json_int_t)number);
        }
        case 4:
                return json_real((int8_t)fuzz_take(bytes) / 3.0);
        case 8:
                value = json_array();
                for (count = fuzz_take(bytes) % 5; count; count--)
                        json_array_append_new(value, fuzz_any(bytes, depth - 1));
                return value;
        case 9:
                value = json_object();
                for (count = fuzz_take(bytes) % 5; count; count--) {
                        const char *name = fuzz_word(bytes);
                        json_object_set_new(value, name, fuzz_any(bytes, depth - 1));
                }
                return value;
        default:
                return json_string(fuzz_word(bytes));
        }
}

static inline json_t *fuzz_object(struct fuzz_bytes *bytes, const struct cx_type *type, bool patch, int depth);

static inline json_t *fuzz_scalar(struct fuzz_bytes *bytes, const struct cx_field *field, bool patch, int depth)
{
        switch (field->of) {
        case CX_OF_OBJECT:
                return fuzz_object(bytes, field->type, patch, depth - 1);
        case CX_OF_BOOL:
                return json_boolean(fuzz_take(bytes) & 1);
        case CX_OF_INT32:
        case CX_OF_INT64:
        case CX_OF_NUMBER:
                return json_integer((int8_t)fuzz_take(bytes));
        case CX_OF_INT_OR_STRING:
                return fuzz_take(bytes) & 1 ? json_integer((int8_t)fuzz_take(bytes)) : json_string(fuzz_word(bytes));
        default:
                break;
        }
        if (field->enum_values && field->enum_values[0]) {
                unsigned count = 0;
                while (field->enum_values[count])
                        count++;
                return json_string(field->enum_values[fuzz_take(bytes) % count]);
        }
        return field->of == CX_OF_ANY ? fuzz_any(bytes, depth) : json_string(fuzz_word(bytes));
}

static inline json_t *fuzz_field(struct fuzz_bytes *bytes, const struct cx_field *field, bool patch, int depth)
{
        unsigned roll = fuzz_take(bytes), count = roll / 32;
        if (depth <= 0 || roll % 32 == 31)
                return fuzz_any(bytes, 2);
        if (patch && roll % 32 == 30)
                return json_null();
        if (field->shape == CX_SHAPE_ONE)
                return fuzz_scalar(bytes, field, patch, depth);
        json_t *value = field->shape == CX_SHAPE_LIST ? json_array() : json_object();
        for (; count; count--) {
                const char *name = field->shape == CX_SHAPE_LIST ? NULL : fuzz_word(bytes);
                json_t *element = fuzz_scalar(bytes, field, patch, depth);
                if (field->shape == CX_SHAPE_MAP_OF_LIST) {
                        json_t *list = json_array();
                        json_array_append_new(list, element);
                        element = list;
                }
                if (name)
                        json_object_set_new(value, name, element);
                else
                        json_array_append_new(value, element);
        }
        return value;
}

static inline void fuzz_directive(struct fuzz_bytes *bytes, const struct cx_field *field, json_t *to)
{
        static const char *const directives[] = {"replace", "delete", "merge", "other"};
        char name[160];
        unsigned roll = fuzz_take(bytes);
        switch (roll % 8) {
        case 0:
                json_object_set_new(to, "$patch", json_string(directives[roll / 8 % 4]));
                break;
        case 1:
                json_object_set_new(to, "$retainKeys", fuzz_any(bytes, 2));
                break;
        case 2:
                (void)snprintf(name, sizeof name, "$setElementOrder/%s", field->name);
                json_object_set_new(to, name, fuzz_any(bytes, 3));
                break;
        case 3:
                (void)snprintf(name, sizeof name, "$deleteFromPrimitiveList/%s", field->name);
                json_object_set_new(to, name, fuzz_any(bytes, 2));
                break;
        default:
                break;
        }
}

// An object of `type`; with `patch`, one with the directives of a strategic merge patch.
static inline json_t *fuzz_object(struct fuzz_bytes *bytes, const struct cx_type *type, bool patch, int depth)
{
        json_t *object = json_object();
        if (depth <= 0 || !type->n_fields)
                return object;
        for (unsigned count = fuzz_take(bytes) % 6; count; count--) {
                unsigned index = fuzz_take(bytes);
                const struct cx_field *field = &type->fields[index % type->n_fields];
                json_object_set_new(object, field->name, fuzz_field(bytes, field, patch, depth));
                if (patch)
                        fuzz_directive(bytes, field, object);
        }
        return object;
}

// The path of something in `document`, or of something that is not there, as JSON pointer.
static inline char *fuzz_pointer(struct fuzz_bytes *bytes, const json_t *document)
{
        CX_BUF path = CX_BUF_INIT;
        for (unsigned steps = fuzz_take(bytes) % 6; steps; steps--) {
                unsigned choice = fuzz_take(bytes);
                const char *name = fuzz_words[choice % CX_ARRAY_SIZE(fuzz_words)];
                char index[16];
                if (json_is_array(document) && choice < 200) {
                        (void)snprintf(index, sizeof index, "%u", choice % ((unsigned)json_array_size(document) + 2));
                        name = index;
                } else if (json_object_size(document) && choice < 200) {
                        void *iter = json_object_iter((json_t *)document);
                        for (unsigned i = choice % (unsigned)json_object_size(document); i; i--)
                                iter = json_object_iter_next((json_t *)document, iter);
                        name = json_object_iter_key(iter);
                }
                cx_buf_add_char(&path, '/');
                for (const char *p = name; *p; p++)
                        if (*p == '/' || *p == '~')
                                cx_buf_add(&path, *p == '/' ? "~1" : "~0");
                        else
                                cx_buf_add_char(&path, *p);
                document = json_is_array(document) ? json_array_get(document, strtoul(name, NULL, 10))
                                                   : json_object_get(document, name);
        }
        return cx_buf_detach(&path);
}
