// SPDX-License-Identifier: Apache-2.0
// Reads libyaml's events into a tree and writes trees in go-yaml's style. Aliases copy the anchored value; what all copies
// weigh is capped, so that "billion laughs" documents end in an error, as are the number of values and the depth of the
// tree that aliases make.
#include "libcommon/format/yaml.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

#include <math.h>
#include <yaml.h>

#define MAX_DEPTH 100
#define MAX_NODES 2000000
#define MAX_SIZE ((size_t)64 << 20)
#define MAX_COPIED ((size_t)4 << 20) // of what aliases copy, as cx_json_weight counts

struct yaml_reader {
        yaml_parser_t parser;
        struct cx_map anchors; // name → json_t, owned
        size_t nodes, copied;
        bool lax; // keys may be there twice
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

static bool is_one_of(const char *text, const char *const *words)
{
        for (; *words; words++)
                if (strcmp(text, *words) == 0)
                        return true;
        return false;
}

static json_t *number(const char *text)
{
        const char *p = text + (*text == '-' || *text == '+');
        if (!*p)
                return NULL;
        errno = 0;
        char *end;
        int base = p[0] == '0' && (p[1] == 'x' || p[1] == 'X') ? 16
                   : p[0] == '0' && (p[1] == 'o')              ? 8
                   : p[0] == '0' && (p[1] == 'b')              ? 2
                   : p[0] == '0' && p[1]                       ? 8
                                                               : 10;
        const char *start = base != 10 && (p[1] == 'o' || p[1] == 'x' || p[1] == 'X' || p[1] == 'b') ? p + 2 : p;
        if (*start >= '0' && *start != '-' && *start != '+') {
                long long value = strtoll(start, &end, base);
                if (!*end && !errno)
                        return json_integer(*text == '-' ? -value : value);
        }
        if (strspn(p, "0123456789.eE+-") != strlen(p) || !strpbrk(p, "0123456789") || p[0] == 'e' || p[0] == 'E' ||
            p[0] == '-' || p[0] == '+')
                return NULL;
        errno = 0;
        double value = strtod(text, &end);
        if (*end || !isfinite(value))
                return NULL;
        return json_real(value);
}

// A plain scalar by YAML's core rules as go-yaml reads them.
static json_t *plain(const char *text, size_t length)
{
        static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
        static const char *const true_words[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                                 "on",   "On",   "ON",   "y",   "Y",   NULL};
        static const char *const false_words[] = {"false", "False", "FALSE", "no", "No", "NO",
                                                  "off",   "Off",   "OFF",   "n",  "N",  NULL};
        if (strlen(text) != length)
                return json_stringn(text, length);
        if (is_one_of(text, null_words))
                return json_null();
        if (is_one_of(text, true_words))
                return json_true();
        if (is_one_of(text, false_words))
                return json_false();
        json_t *value = number(text);
        return value ? value : json_stringn(text, length);
}

static int read_node(struct yaml_reader *r, yaml_event_t *event, int depth, json_t **ret_node);

static int read_scalar(struct yaml_reader *r, yaml_event_t *event, json_t **ret_node)
{
        const char *text = (const char *)event->data.scalar.value;
        size_t length = event->data.scalar.length;
        const char *tag = (const char *)event->data.scalar.tag;
        json_t *node;
        if (tag && strcmp(tag, YAML_STR_TAG) == 0)
                node = json_stringn(text, length);
        else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
                node = plain(text, length);
        else
                node = json_stringn(text, length);
        if (!node)
                return fail(r, &event->start_mark, "text is not valid UTF-8");
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

// JSON's keys are text: `on:` is the key "true", as for any reader that goes through YAML's own types.
static char *key_text(const yaml_event_t *event, bool is_plain)
{
        char *text = cx_strndup((const char *)event->data.scalar.value, event->data.scalar.length);
        json_auto_t *value = is_plain ? plain(text, event->data.scalar.length) : NULL;
        if (!json_is_boolean(value))
                return text;
        free(text);
        return cx_strdup(json_is_true(value) ? "true" : "false");
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
                CX_CLEANUP(cx_freep) char *key = key_text(&event, is_plain);
                bool is_merge = is_plain && strcmp(key, "<<") == 0;
                yaml_event_delete(&event);
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

static int parse(const char *text, size_t length, bool lax, size_t most, json_t **ret_documents,
                 struct cx_strings *ret_duplicates, struct cx_error *err)
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
                if (cx_json_parse(text, length, !lax || ret_duplicates, &json, &ignored) == 0) {
                        *ret_documents = json_array();
                        json_array_append_new(*ret_documents, json);
                        return 0;
                }
        }
        struct yaml_reader r = {.anchors = CX_MAP_INIT_FREE(decref),
                                .lax = lax,
                                .most = most,
                                .duplicates = ret_duplicates,
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
        return parse(text, length, false, 0, ret_documents, NULL, err);
}

int cx_yaml_parse_lax(const char *text, size_t length, json_t **ret_documents, struct cx_error *err)
{
        return parse(text, length, true, 0, ret_documents, NULL, err);
}

int cx_yaml_parse_noting(const char *text, size_t length, size_t most, json_t **ret_documents,
                         struct cx_strings *ret_duplicates, struct cx_error *err)
{
        return parse(text, length, true, most, ret_documents, ret_duplicates, err);
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
        yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
        json_auto_t *as_plain = plain(text, length);
        if (!json_is_string(as_plain) || strcmp(text, "y") == 0 || strcmp(text, "n") == 0 || strcmp(text, "Y") == 0 ||
            strcmp(text, "N") == 0)
                style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        else if (memchr(text, '\n', length))
                style = YAML_LITERAL_SCALAR_STYLE;
        // timestamps stay strings for readers that resolve them
        else if (length >= 10 && text[4] == '-' && text[7] == '-' && strspn(text, "0123456789") == 4)
                style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
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
