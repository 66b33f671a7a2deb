// SPDX-License-Identifier: Apache-2.0
// Go's text/template, as far as `-o go-template` needs it: text, fields, variables, pipelines, if, range, with, define,
// template, break and continue, trimming dashes, comments, the built-in functions, and kubectl's `exists` and
// `base64decode`.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>

struct gotemplate;
// Compiles a template. The text comes from the user: length and nesting are capped.
int gotemplate_parse(const char *text, struct gotemplate **ret_template, struct cx_error *err) CX_CHECK;
void gotemplate_free(struct gotemplate *template);
CX_DEFINE_CLEANUP(struct gotemplate, gotemplate_freep, gotemplate_free)
// Writes what the template makes of `data`. A missing key is "<no value>", or an error unless `allow_missing`. What was
// written before an error stays written.
int gotemplate_print(const struct gotemplate *template, const json_t *data, bool allow_missing, struct cx_buf *to,
                     struct cx_error *err) CX_CHECK;
// A value as %v prints it: "map[a:1 b:[x y]]".
void gotemplate_value(const json_t *value, struct cx_buf *to);
