// SPDX-License-Identifier: Apache-2.0
// kubectl's JSONPath templates: text and actions in braces, `{.items[*].metadata.name}`, with ranges, filters, slices,
// unions, wildcards, recursive descent and quoted text.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>

struct jsonpath;
// Compiles a template. The text comes from the user: length and nesting are capped.
int jsonpath_parse(const char *text, struct jsonpath **ret_path, struct cx_error *err) CX_CHECK;
// The forms of custom-columns and --sort-by: "metadata.name", ".metadata.name", "{metadata.name}", "{.metadata.name}".
int jsonpath_parse_relaxed(const char *text, struct jsonpath **ret_path, struct cx_error *err) CX_CHECK;
void jsonpath_free(struct jsonpath *path);
CX_DEFINE_CLEANUP(struct jsonpath, jsonpath_freep, jsonpath_free)
// Writes the text that the template makes of `data`. Missing keys are empty when `allow_missing`, else an error.
int jsonpath_print(const struct jsonpath *path, const json_t *data, bool allow_missing, struct cx_buf *to,
                   struct cx_error *err) CX_CHECK;
// The values that the template's actions find, as a new array.
int jsonpath_find(const struct jsonpath *path, const json_t *data, bool allow_missing, json_t **ret_values,
                  struct cx_error *err) CX_CHECK;
// How one value is written: strings bare, numbers, booleans, objects and lists as JSON.
void jsonpath_value(const json_t *value, struct cx_buf *to);
