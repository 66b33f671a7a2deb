// SPDX-License-Identifier: Apache-2.0
// Go's text/template, as far as `-o go-template` needs it: text, fields, variables, pipelines, if, range, with, define,
// template, break and continue, trimming dashes, comments, the built-in functions, and kubectl's `exists` and
// `base64decode`.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

struct cx_gotemplate;
// Compiles a template. The text comes from the user: length and nesting are capped.
int cx_gotemplate_parse(const char *text, struct cx_gotemplate **ret_template, struct cx_error *err) CX_CHECK;
void cx_gotemplate_free(struct cx_gotemplate *template);
CX_DEFINE_CLEANUP(struct cx_gotemplate, cx_gotemplate_freep, cx_gotemplate_free)
// Writes what the template makes of `data`. A missing key is "<no value>", or an error unless `allow_missing`. What was
// written before an error stays written.
int cx_gotemplate_print(const struct cx_gotemplate *template, const json_t *data, bool allow_missing, struct cx_buf *to,
                        struct cx_error *err) CX_CHECK;
// A value as %v prints it: "map[a:1 b:[x y]]".
void cx_gotemplate_value(const json_t *value, struct cx_buf *to);
