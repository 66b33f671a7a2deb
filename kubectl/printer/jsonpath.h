// SPDX-License-Identifier: Apache-2.0
// kubectl's JSONPath templates: text and actions in braces, `{.items[*].metadata.name}`, with ranges, filters, slices,
// unions, wildcards, recursive descent and quoted text.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

struct cx_jsonpath;
// Compiles a template. The text comes from the user: length and nesting are capped.
int cx_jsonpath_parse(const char *text, struct cx_jsonpath **ret_path, struct cx_error *err) CX_CHECK;
// The forms of custom-columns and --sort-by: "metadata.name", ".metadata.name", "{metadata.name}", "{.metadata.name}".
int cx_jsonpath_parse_relaxed(const char *text, struct cx_jsonpath **ret_path, struct cx_error *err) CX_CHECK;
void cx_jsonpath_free(struct cx_jsonpath *path);
CX_DEFINE_CLEANUP(struct cx_jsonpath, cx_jsonpath_freep, cx_jsonpath_free)
// Writes the text that the template makes of `data`. Missing keys are empty when `allow_missing`, else an error.
int cx_jsonpath_print(const struct cx_jsonpath *path, const json_t *data, bool allow_missing, struct cx_buf *to,
                      struct cx_error *err) CX_CHECK;
// The values that the template's actions find, as a new array.
int cx_jsonpath_find(const struct cx_jsonpath *path, const json_t *data, bool allow_missing, json_t **ret_values,
                     struct cx_error *err) CX_CHECK;
// How one value is written: strings bare, numbers, booleans, objects and lists as JSON.
void cx_jsonpath_value(const json_t *value, struct cx_buf *to);
