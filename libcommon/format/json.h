// SPDX-License-Identifier: Apache-2.0
// jansson with Kubernetes' habits: capped parsing with line and column in the error, path look-ups, compact dumps.
// A `json_t` that was published (cached, handed to another thread) is never changed: json_deep_copy before editing.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>

struct cx_strings;

#define CX_JSON_MAX_DEPTH 200

// Parses one JSON document; duplicates of a key are an error when `strict`. New reference.
int cx_json_parse(const char *text, size_t length, bool strict, json_t **ret_json, struct cx_error *err) CX_CHECK;
// The dotted paths ("spec.containers[0].image") of keys that are there twice, each once, `most` at most. The text is one
// that cx_json_parse takes.
void cx_json_duplicates(const char *text, size_t length, size_t most, struct cx_strings *ret_paths);
// One budget for all that requests are decoded to, and for all that patches and merges make, whatever the content type.
#define CX_JSON_VALUE_WEIGHT 16               // what a value weighs besides its text
#define CX_JSON_MAX_WEIGHT ((size_t)16 << 20) // of one request
// What a tree weighs, its keys and strings included; more than `most` when it weighs more or nests deeper than max_depth.
// Ends as soon as that is clear. Recurses max_depth levels at most.
size_t cx_json_weight(const json_t *json, int max_depth, size_t most);
// TOO_LARGE when it is beyond the budget.
int cx_json_check_weight(const json_t *json, struct cx_error *err) CX_CHECK;
// Compact text, keys in insertion order.
void cx_json_dump(const json_t *json, struct cx_buf *to);
void cx_json_dump_indented(const json_t *json, struct cx_buf *to); // for people: two blanks a level
char *cx_json_text(const json_t *json);                            // owned by the caller

// Look-ups by dotted path of object keys ("metadata.labels"): borrowed, NULL (or the fallback) when absent or of
// another type. A key that has dots itself needs cx_json_at.
json_t *cx_json_get(const json_t *json, const char *path);
const char *cx_json_string(const json_t *json, const char *path); // NULL when absent
const char *cx_json_string_or(const json_t *json, const char *path, const char *fallback);
int64_t cx_json_int(const json_t *json, const char *path, int64_t fallback);
bool cx_json_bool(const json_t *json, const char *path, bool fallback);
size_t cx_json_count(const json_t *json, const char *path); // array or object size; 0 when absent
json_t *cx_json_at(const json_t *json, const char *const *keys, size_t n_keys);

// Sets a value at a dotted path, making objects on the way. Steals `value`. -EINVAL when something on the way is no
// object.
int cx_json_set(json_t *json, const char *path, json_t *value_steal);
void cx_json_set_string(json_t *json, const char *path, const char *value); // NULL removes
void cx_json_remove(json_t *json, const char *path);
// The object at a key, made when absent. Borrowed.
json_t *cx_json_object_at(json_t *json, const char *key);
json_t *cx_json_array_at(json_t *json, const char *key);
// First element of an array of objects whose member `key` is the string `value`; borrowed or NULL.
json_t *cx_json_find(const json_t *array, const char *key, const char *value);
