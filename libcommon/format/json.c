// SPDX-License-Identifier: Apache-2.0
// Parsing with caps, paths, dumps.
#include "libcommon/format/json.h"

// Whether the text nests deeper than we read. Looked at before it is parsed: jansson goes down 2048 levels, and threads have
// small stacks.
static bool nests_too_deep(const char *text, size_t length)
{
        int depth = 0;
        for (size_t i = 0; i < length; i++) {
                if (text[i] == '"') {
                        for (i++; i < length && text[i] != '"'; i++)
                                i += text[i] == '\\';
                } else if (text[i] == '{' || text[i] == '[') {
                        if (++depth > CX_JSON_MAX_DEPTH)
                                return true;
                } else if (text[i] == '}' || text[i] == ']') {
                        depth--;
                }
        }
        return false;
}

int cx_json_parse(const char *text, size_t length, bool strict, json_t **ret_json, struct cx_error *err)
{
        json_error_t where;
        if (nests_too_deep(text, length))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "invalid JSON: nested deeper than %d",
                                       CX_JSON_MAX_DEPTH);
        size_t flags = JSON_DECODE_ANY | (strict ? JSON_REJECT_DUPLICATES : 0);
        json_auto_t *json = json_loadb(text, length, flags, &where);
        if (!json)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "invalid JSON at line %d, column %d: %s", where.line,
                                       where.column, where.text);
        *ret_json = cx_steal(&json);
        return 0;
}

// --- weight ---

size_t cx_json_weight(const json_t *json, int max_depth, size_t most)
{
        size_t sum = CX_JSON_VALUE_WEIGHT, i;
        const char *key;
        json_t *member;
        if (max_depth < 0)
                return most + 1;
        if (json_is_string(json))
                return sum + json_string_length(json);
        json_array_foreach (json, i, member) {
                if (sum > most)
                        return sum;
                sum += cx_json_weight(member, max_depth - 1, most - sum);
        }
        json_object_foreach ((json_t *)json, key, member) {
                if (sum > most)
                        return sum;
                sum += strlen(key);
                sum += sum > most ? 0 : cx_json_weight(member, max_depth - 1, most - sum);
        }
        return sum;
}

int cx_json_check_weight(const json_t *json, struct cx_error *err)
{
        return cx_json_weight(json, CX_JSON_MAX_DEPTH, CX_JSON_MAX_WEIGHT) > CX_JSON_MAX_WEIGHT
                       ? cx_error_reason(
                                 err, CX_REASON_TOO_LARGE,
                                 "the object nests deeper than %d or holds more than the server keeps in memory "
                                 "for one request",
                                 CX_JSON_MAX_DEPTH)
                       : 0;
}

// --- dumps ---

static int dump_block(const char *data, size_t length, void *to)
{
        cx_buf_append(to, data, length);
        return 0;
}

void cx_json_dump(const json_t *json, struct cx_buf *to)
{
        (void)json_dump_callback(json, dump_block, to, JSON_COMPACT | JSON_ENCODE_ANY);
}

void cx_json_dump_indented(const json_t *json, struct cx_buf *to)
{
        (void)json_dump_callback(json, dump_block, to, JSON_INDENT(2) | JSON_ENCODE_ANY);
}

char *cx_json_text(const json_t *json)
{
        CX_BUF text = CX_BUF_INIT;
        cx_json_dump(json, &text);
        return cx_buf_detach(&text);
}

json_t *cx_json_get(const json_t *json, const char *path)
{
        while (json && *path) {
                const char *dot = strchrnul(path, '.');
                json = json_object_getn(json, path, (size_t)(dot - path));
                path = *dot ? dot + 1 : dot;
        }
        return (json_t *)json;
}

json_t *cx_json_at(const json_t *json, const char *const *keys, size_t n_keys)
{
        for (size_t i = 0; json && i < n_keys; i++)
                json = json_object_get(json, keys[i]);
        return (json_t *)json;
}

const char *cx_json_string(const json_t *json, const char *path)
{
        return json_string_value(cx_json_get(json, path));
}

const char *cx_json_string_or(const json_t *json, const char *path, const char *fallback)
{
        const char *text = cx_json_string(json, path);
        return text ? text : fallback;
}

int64_t cx_json_int(const json_t *json, const char *path, int64_t fallback)
{
        const json_t *value = cx_json_get(json, path);
        return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool cx_json_bool(const json_t *json, const char *path, bool fallback)
{
        const json_t *value = cx_json_get(json, path);
        return json_is_boolean(value) ? json_is_true(value) : fallback;
}

size_t cx_json_count(const json_t *json, const char *path)
{
        const json_t *value = cx_json_get(json, path);
        return json_is_array(value) ? json_array_size(value) : json_is_object(value) ? json_object_size(value) : 0;
}

int cx_json_set(json_t *json, const char *path, json_t *value_steal)
{
        for (;;) {
                const char *dot = strchr(path, '.');
                if (!json_is_object(json)) {
                        json_decref(value_steal);
                        return -EINVAL;
                }
                if (!dot)
                        return json_object_set_new(json, path, value_steal) < 0 ? -EINVAL : 0;
                json_t *next = json_object_getn(json, path, (size_t)(dot - path));
                if (!next) {
                        next = json_object();
                        json_object_setn_new(json, path, (size_t)(dot - path), next);
                }
                json = next;
                path = dot + 1;
        }
}

void cx_json_set_string(json_t *json, const char *path, const char *value)
{
        if (value)
                (void)cx_json_set(json, path, json_string(value));
        else
                cx_json_remove(json, path);
}

void cx_json_remove(json_t *json, const char *path)
{
        const char *dot = strrchr(path, '.');
        json_t *parent = json;
        if (dot) {
                CX_CLEANUP(cx_freep) char *head = cx_strndup(path, (size_t)(dot - path));
                parent = cx_json_get(json, head);
                path = dot + 1;
        }
        json_object_del(parent, path);
}

json_t *cx_json_object_at(json_t *json, const char *key)
{
        json_t *value = json_object_get(json, key);
        if (!json_is_object(value)) {
                value = json_object();
                json_object_set_new(json, key, value);
        }
        return value;
}

json_t *cx_json_array_at(json_t *json, const char *key)
{
        json_t *value = json_object_get(json, key);
        if (!json_is_array(value)) {
                value = json_array();
                json_object_set_new(json, key, value);
        }
        return value;
}

json_t *cx_json_find(const json_t *array, const char *key, const char *value)
{
        for (size_t i = 0, n = json_array_size(array); i < n; i++) {
                json_t *item = json_array_get(array, i);
                if (cx_streq(json_string_value(json_object_get(item, key)), value))
                        return item;
        }
        return NULL;
}
