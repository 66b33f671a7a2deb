// SPDX-License-Identifier: Apache-2.0
// Reads libyaml's events into a tree and writes trees in go-yaml's style. Aliases copy the anchored value; what all copies
// weigh is capped, so that "billion laughs" documents end in an error, as are the number of values and the depth of the
// tree that aliases make.
#include "libcommon/format/yaml.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/map.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml_scalar.h"

#include <math.h>
#include <yaml.h>

#define BINARY_TAG "tag:yaml.org,2002:binary"
#define MAX_DEPTH 100
#define MAX_NODES 2000000
#define MAX_SIZE ((size_t)64 << 20)
#define MAX_COPIED ((size_t)4 << 20) // of what aliases copy, as cx_json_weight counts

struct yaml_reader {
        yaml_parser_t parser;
        struct cx_map anchors; // name → json_t, owned
        size_t nodes, copied;
        bool lax;          // keys may be there twice
        bool few_booleans; // only true and false are
        size_t most;
        struct cx_strings *duplicates; // sentences about them, `most` at most; or NULL
        struct cx_error *err;
};

static void decref(void *json)
{
        json_decref(json);
}

static int fail(struct yaml_reader *r, const yaml_mark_t *mark, const char *why)
{
        return cx_error_reason(r->err, CX_REASON_BAD_REQUEST, "invalid YAML at line %zu, column %zu: %s",
                               mark->line + 1, mark->column + 1, why);
}

static int next_event(struct yaml_reader *r, yaml_event_t *event)
{
        if (yaml_parser_parse(&r->parser, event))
                return 0;
        yaml_mark_t mark = r->parser.problem_mark;
        return fail(r, &mark, r->parser.problem ? r->parser.problem : "not readable");
}

// JSON has no infinities, and one kind of number: 1e3 is 1000.
static json_t *number(double real)
{
        if (!isfinite(real))
                return NULL;
        bool whole = real == trunc(real) && fabs(real) < 9e18;
        return whole ? json_integer((json_int_t)real) : json_real(real);
}

static struct cx_yaml_scalar resolve(const struct yaml_reader *r, const char *text, size_t length)
{
        struct cx_yaml_scalar is = cx_yaml_resolve(text, length);
        if (r->few_booleans && is.kind == CX_YAML_BOOL && !strchr("tTfF", *text))
                is.kind = CX_YAML_TEXT;
        return is;
}

// NULL: JSON cannot hold it.
static json_t *plain(const struct yaml_reader *r, const char *text, size_t length)
{
        struct cx_yaml_scalar is = resolve(r, text, length);
        switch (is.kind) {
        case CX_YAML_NULL:
                return json_null();
        case CX_YAML_BOOL:
                return json_boolean(is.integer);
        case CX_YAML_INT:
                return json_integer(is.integer);
        case CX_YAML_FLOAT:
                return number(is.real);
        case CX_YAML_TEXT:
        case CX_YAML_MERGE:
                break;
        }
        return json_stringn(text, length);
}

static int read_node(struct yaml_reader *r, yaml_event_t *event, int depth, json_t **ret_node);

static const struct {
        const char *tag;
        enum cx_yaml_kind kind;
} tags[] = {{YAML_NULL_TAG, CX_YAML_NULL},
            {YAML_BOOL_TAG, CX_YAML_BOOL},
            {YAML_INT_TAG, CX_YAML_INT},
            {YAML_FLOAT_TAG, CX_YAML_FLOAT}};

// A scalar whose tag says what it is, quoted or not. Tags that are not known say nothing: it is text.
static int read_tagged(struct yaml_reader *r, const yaml_event_t *event, json_t **ret_node)
{
        const char *text = (const char *)event->data.scalar.value, *tag = (const char *)event->data.scalar.tag;
        size_t length = event->data.scalar.length;
        CX_BUF bytes = CX_BUF_INIT;
        if (strcmp(tag, BINARY_TAG) == 0) {
                if (cx_base64_decode(text, length, &bytes) < 0)
                        return fail(r, &event->start_mark, "!!binary value contains invalid base64 data");
                *ret_node = json_stringn(bytes.data, bytes.length);
                return 0;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(tags); i++) {
                if (strcmp(tag, tags[i].tag) != 0)
                        continue;
                enum cx_yaml_kind kind = cx_yaml_resolve(text, length).kind;
                if (kind != tags[i].kind && !(kind == CX_YAML_INT && tags[i].kind == CX_YAML_FLOAT))
                        return fail(r, &event->start_mark, "the value is not what its tag says");
                *ret_node = plain(r, text, length);
                return 0;
        }
        *ret_node = json_stringn(text, length);
        return 0;
}

static int read_scalar(struct yaml_reader *r, yaml_event_t *event, json_t **ret_node)
{
        const char *text = (const char *)event->data.scalar.value;
        size_t length = event->data.scalar.length;
        json_t *node = NULL;
        int result = 0;
        if (event->data.scalar.tag)
                result = read_tagged(r, event, &node);
        else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
                node = plain(r, text, length);
        else
                node = json_stringn(text, length);
        if (result < 0)
                return result;
        if (!node)
                return fail(r, &event->start_mark, "JSON has no such value, or it is not valid UTF-8");
        *ret_node = node;
        return 0;
}

static int read_sequence(struct yaml_reader *r, int depth, json_t **ret_node)
{
        json_auto_t *array = json_array();
        for (;;) {
                yaml_event_t event;
                int result = next_event(r, &event);
                if (result < 0)
                        return result;
                if (event.type == YAML_SEQUENCE_END_EVENT) {
                        yaml_event_delete(&event);
                        break;
                }
                json_t *item = NULL;
                result = read_node(r, &event, depth + 1, &item);
                yaml_event_delete(&event);
                if (result < 0)
                        return result;
                json_array_append_new(array, item);
        }
        *ret_node = cx_steal(&array);
        return 0;
}

static int merge_key(struct yaml_reader *r, const yaml_mark_t *mark, json_t *into, json_t *value)
{
        json_auto_t *owned = value;
        if (json_is_object(owned)) {
                json_object_update_missing(into, owned);
                return 0;
        }
        if (!json_is_array(owned))
                return fail(r, mark, "map merge requires map or sequence of maps as the value");
        for (size_t i = 0; i < json_array_size(owned); i++)
                json_object_update_missing(into, json_array_get(owned, i));
        return 0;
}

// JSON's keys are text: `on:` is the key "true" and `0x10:` is "16", as for any reader that goes through YAML's own types.
// NULL: null is no key.
static char *key_text(const struct yaml_reader *r, const yaml_event_t *event, bool is_plain)
{
        const char *text = (const char *)event->data.scalar.value;
        size_t length = event->data.scalar.length;
        struct cx_yaml_scalar is = {.kind = CX_YAML_TEXT};
        if (is_plain)
                is = resolve(r, text, length);
        switch (is.kind) {
        case CX_YAML_NULL:
                return NULL;
        case CX_YAML_BOOL:
                return cx_strdup(is.integer ? "true" : "false");
        case CX_YAML_INT:
                return cx_sprintf("%lld", (long long)is.integer);
        case CX_YAML_FLOAT:
                if (!isfinite(is.real))
                        return cx_strdup(isnan(is.real) ? ".nan" : is.real > 0 ? ".inf" : "-.inf");
                return cx_sprintf("%.7g", is.real);
        case CX_YAML_TEXT:
        case CX_YAML_MERGE:
                break;
        }
        return cx_strndup(text, length);
}

static int read_mapping(struct yaml_reader *r, int depth, json_t **ret_node)
{
        json_auto_t *object = json_object();
        for (;;) {
                yaml_event_t event;
                int result = next_event(r, &event);
                if (result < 0)
                        return result;
                if (event.type == YAML_MAPPING_END_EVENT) {
                        yaml_event_delete(&event);
                        break;
                }
                yaml_mark_t mark = event.start_mark;
                if (event.type != YAML_SCALAR_EVENT) {
                        yaml_event_delete(&event);
                        return fail(r, &mark, "a key must be a scalar");
                }
                bool is_plain = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event.data.scalar.tag;
                CX_CLEANUP(cx_freep) char *key = key_text(r, &event, is_plain);
                bool is_merge = is_plain && cx_streq(key, "<<");
                yaml_event_delete(&event);
                if (!key)
                        return fail(r, &mark, "a key must not be null");
                if ((result = next_event(r, &event)) < 0)
                        return result;
                json_t *value = NULL;
                result = read_node(r, &event, depth + 1, &value);
                yaml_event_delete(&event);
                if (result < 0)
                        return result;
                if (is_merge) {
                        if ((result = merge_key(r, &mark, object, value)) < 0)
                                return result;
                        continue;
                }
                if (!r->lax && json_object_get(object, key)) {
                        json_decref(value);
                        CX_CLEANUP(cx_freep) char *why = cx_sprintf("key \"%s\" already set in map", key);
                        return fail(r, &mark, why);
                }
                if (r->duplicates && r->duplicates->count < r->most && json_object_get(object, key)) {
                        CX_CLEANUP(cx_freep)
                        char *what = cx_sprintf("line %zu: key \"%s\" already set in map", mark.line + 1, key);
                        cx_strings_add(r->duplicates, what);
                }
                if (json_object_set_new(object, key, value) < 0)
                        return fail(r, &mark, "key is not valid UTF-8");
        }
        *ret_node = cx_steal(&object);
        return 0;
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
        return event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
               : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
               : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
                                                          : NULL;
}

static int read_alias(struct yaml_reader *r, yaml_event_t *event, int depth, json_t **ret_node)
{
        const char *name = (const char *)event->data.alias.anchor;
        json_t *target = cx_map_get(&r->anchors, name);
        if (!target) {
                CX_CLEANUP(cx_freep) char *why = cx_sprintf("unknown anchor '%s' referenced", name);
                return fail(r, &event->start_mark, why);
        }
        r->copied += cx_json_weight(target, MAX_DEPTH - depth, MAX_COPIED);
        if (r->copied > MAX_COPIED)
                return fail(r, &event->start_mark, "document contains excessive aliasing");
        *ret_node = json_deep_copy(target);
        return 0;
}

static int read_node(struct yaml_reader *r, yaml_event_t *event, int depth, json_t **ret_node)
{
        if (depth > MAX_DEPTH)
                return fail(r, &event->start_mark, "exceeded max depth");
        if (++r->nodes > MAX_NODES)
                return fail(r, &event->start_mark, "too many values");
        if (event->type == YAML_ALIAS_EVENT)
                return read_alias(r, event, depth, ret_node);
        json_t *node = NULL;
        int result;
        if (event->type == YAML_SCALAR_EVENT)
                result = read_scalar(r, event, &node);
        else if (event->type == YAML_SEQUENCE_START_EVENT)
                result = read_sequence(r, depth, &node);
        else if (event->type == YAML_MAPPING_START_EVENT)
                result = read_mapping(r, depth, &node);
        else
                return fail(r, &event->start_mark, "unexpected end");
        if (result < 0)
                return result;
        const char *anchor = (const char *)anchor_of(event);
        if (anchor)
                cx_map_set(&r->anchors, anchor, json_incref(node)); // nobody edits it before the anchors go
        *ret_node = node;
        return 0;
}

static int read_stream(struct yaml_reader *r, json_t *documents)
{
        for (;;) {
                yaml_event_t event;
                int result = next_event(r, &event);
                if (result < 0)
                        return result;
                yaml_event_type_t type = event.type;
                if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
                    type == YAML_DOCUMENT_END_EVENT) {
                        yaml_event_delete(&event);
                        continue;
                }
                if (type == YAML_STREAM_END_EVENT || type == YAML_NO_EVENT) {
                        yaml_event_delete(&event);
                        return 0;
                }
                json_t *node = NULL;
                cx_map_clear(&r->anchors);
                result = read_node(r, &event, 1, &node);
                yaml_event_delete(&event);
                if (result < 0)
                        return result;
                if (json_is_null(node))
                        json_decref(node);
                else
                        json_array_append_new(documents, node);
        }
}

// `how` says how the reader is; what it works with is made here.
static int parse(const char *text, size_t length, const struct yaml_reader *how, json_t **ret_documents,
                 struct cx_error *err)
{
        if (length > MAX_SIZE)
                return cx_error_reason(err, CX_REASON_TOO_LARGE, "YAML document is larger than %zu bytes", MAX_SIZE);
        // JSON is read by the JSON parser: its strings have escapes (\ud83d\ude00) that libyaml refuses
        size_t blank = 0; // the text need not end with a zero byte
        while (blank < length && memchr(" \t\r\n", text[blank], 4))
                blank++;
        if (blank < length && (text[blank] == '{' || text[blank] == '[')) {
                json_t *json;
                CX_ERROR ignored = CX_ERROR_INIT;
                if (cx_json_parse(text, length, !how->lax || how->duplicates, &json, &ignored) == 0) {
                        *ret_documents = json_array();
                        json_array_append_new(*ret_documents, json);
                        return 0;
                }
        }
        struct yaml_reader r = {.anchors = CX_MAP_INIT_FREE(decref),
                                .lax = how->lax,
                                .few_booleans = how->few_booleans,
                                .most = how->most,
                                .duplicates = how->duplicates,
                                .err = err};
        if (!yaml_parser_initialize(&r.parser))
                abort();
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        json_auto_t *documents = json_array();
        int result = read_stream(&r, documents);
        yaml_parser_delete(&r.parser);
        cx_map_release(&r.anchors);
        if (result < 0)
                return result;
        *ret_documents = cx_steal(&documents);
        return 0;
}

int cx_yaml_parse(const char *text, size_t length, json_t **ret_documents, struct cx_error *err)
{
        return parse(text, length, &(struct yaml_reader){0}, ret_documents, err);
}

int cx_yaml_parse_lax(const char *text, size_t length, json_t **ret_documents, struct cx_error *err)
{
        return parse(text, length, &(struct yaml_reader){.lax = true}, ret_documents, err);
}

int cx_yaml_parse_new(const char *text, size_t length, json_t **ret_documents, struct cx_error *err)
{
        return parse(text, length, &(struct yaml_reader){.lax = true, .few_booleans = true}, ret_documents, err);
}

int cx_yaml_parse_noting(const char *text, size_t length, size_t most, json_t **ret_documents,
                         struct cx_strings *ret_duplicates, struct cx_error *err)
{
        return parse(text, length, &(struct yaml_reader){.lax = true, .most = most, .duplicates = ret_duplicates},
                     ret_documents, err);
}

// --- writing ---

static int write_block(void *to, unsigned char *data, size_t length)
{
        cx_buf_append(to, data, length);
        return 1;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t length, yaml_scalar_style_t style)
{
        yaml_event_t event;
        return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)length, 1, 1, style) &&
               yaml_emitter_emit(emitter, &event);
}

static bool emit_string(yaml_emitter_t *emitter, const char *text, size_t length)
{
        yaml_scalar_style_t style = memchr(text, '\n', length)       ? YAML_LITERAL_SCALAR_STYLE
                                    : cx_yaml_is_taken(text, length) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                                                                     : YAML_PLAIN_SCALAR_STYLE;
        return emit_scalar(emitter, text, length, style);
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool emit(yaml_emitter_t *emitter, const json_t *json);

static bool emit_object(yaml_emitter_t *emitter, const json_t *json)
{
        yaml_event_t event;
        size_t n = 0, count = json_object_size(json);
        yaml_mapping_style_t style = count ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
        yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style);
        bool good = yaml_emitter_emit(emitter, &event);
        CX_CLEANUP(cx_freep) const char **keys = cx_alloc_array(count, sizeof *keys);
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)json, key, value)
                keys[n++] = key;
        qsort(keys, n, sizeof *keys, compare_keys);
        for (size_t i = 0; good && i < n; i++)
                good = emit_string(emitter, keys[i], strlen(keys[i])) && emit(emitter, json_object_get(json, keys[i]));
        yaml_mapping_end_event_initialize(&event);
        return good && yaml_emitter_emit(emitter, &event);
}

static bool emit_array(yaml_emitter_t *emitter, const json_t *json)
{
        yaml_event_t event;
        yaml_sequence_style_t style = json_array_size(json) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
        yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style);
        bool good = yaml_emitter_emit(emitter, &event);
        for (size_t i = 0; good && i < json_array_size(json); i++)
                good = emit(emitter, json_array_get(json, i));
        yaml_sequence_end_event_initialize(&event);
        return good && yaml_emitter_emit(emitter, &event);
}

static bool emit(yaml_emitter_t *emitter, const json_t *json)
{
        if (json_is_object(json))
                return emit_object(emitter, json);
        if (json_is_array(json))
                return emit_array(emitter, json);
        if (json_is_string(json))
                return emit_string(emitter, json_string_value(json), json_string_length(json));
        CX_CLEANUP(cx_freep) char *text = cx_json_text(json);
        return emit_scalar(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

int cx_yaml_dump(const json_t *json, struct cx_buf *to, struct cx_error *err)
{
        yaml_emitter_t emitter;
        yaml_event_t event;
        if (!yaml_emitter_initialize(&emitter))
                abort();
        yaml_emitter_set_output(&emitter, write_block, to);
        yaml_emitter_set_unicode(&emitter, 1);
        yaml_emitter_set_width(&emitter, -1);
        yaml_emitter_set_indent(&emitter, 2);
        yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
        bool good = yaml_emitter_emit(&emitter, &event);
        yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
        good = good && yaml_emitter_emit(&emitter, &event) && emit(&emitter, json);
        yaml_document_end_event_initialize(&event, 1);
        good = good && yaml_emitter_emit(&emitter, &event);
        yaml_stream_end_event_initialize(&event);
        good = good && yaml_emitter_emit(&emitter, &event);
        int result = good ? 0 : cx_error_set(err, -EIO, "cannot write YAML: %s", cx_str(emitter.problem));
        yaml_emitter_delete(&emitter);
        return result;
}
