// SPDX-License-Identifier: Apache-2.0
// The value of -o: which form objects are printed in, and printing one.
#pragma once

#include "kubectl/printer/gotemplate.h"
#include "kubectl/printer/jsonpath.h"
#include "kubectl/resource/builder.h"

enum output_form {
        OUTPUT_DEFAULT, // "" : the command's own words, or a table
        OUTPUT_WIDE,
        OUTPUT_YAML,
        OUTPUT_JSON,
        OUTPUT_NAME,
        OUTPUT_JSONPATH,
        OUTPUT_JSONPATH_AS_JSON,
        OUTPUT_COLUMNS,
        OUTPUT_GOTEMPLATE,
        OUTPUT_KYAML,
};
struct output {
        const char *text, *template; // flags
        bool show_managed_fields, disallow_missing;
        bool no_headers;
        bool allow_missing_given, allow_missing; // flags
        bool tables;                             // wide and custom columns are allowed too

        enum output_form form;
        struct jsonpath *path;
        struct gotemplate *gotemplate;
        char *source;              // of the template
        struct cx_strings headers; // custom columns
        struct jsonpath **columns;
        size_t n_documents; // printed so far: YAML documents are separated
};
#define OUTPUT CX_CLEANUP(output_release) struct output
#define OUTPUT_FLAGS(o)                                                                                                \
        {"output", 'o', CX_FLAG_STRING, &(o)->text,                                                                    \
         "Output format: json, yaml, kyaml, name, go-template, go-template-file, jsonpath, jsonpath-as-json, "         \
         "jsonpath-file, custom-columns, custom-columns-file or wide."},                                               \
                {"template", 0, CX_FLAG_STRING, &(o)->template, "Template of -o go-template and jsonpath."},           \
                {"allow-missing-template-keys",                                                                        \
                 0,                                                                                                    \
                 CX_FLAG_BOOL,                                                                                         \
                 &(o)->allow_missing,                                                                                  \
                 "Whether missing keys in templates are no error.",                                                    \
                 NULL,                                                                                                 \
                 &(o)->allow_missing_given},                                                                           \
        {                                                                                                              \
                "show-managed-fields", 0, CX_FLAG_BOOL, &(o)->show_managed_fields,                                     \
                        "Keep the managedFields when printing JSON or YAML."                                           \
        }

// Reads o->text into the rest.
int output_parse(struct ctl *ctl, struct output *output, struct cx_error *err) CX_CHECK;
void output_release(struct output *output);
// Prints an object (or a List) in a form other than the default and wide. The mapping may be NULL (for names).
int output_object(struct output *output, const json_t *object, struct cx_buf *to, struct cx_error *err) CX_CHECK;
// For commands that change objects: "deployment.apps/web scaled", or the object in the form asked for.
int output_result(struct output *output, const struct info *info, const char *operation, int dry_run,
                  struct cx_error *err) CX_CHECK;
// JSON as kubectl indents it: 4 blanks, sorted keys, <, > and & escaped.
void output_json(const json_t *json, struct cx_buf *to);
// As Go's encoder writes it: sorted keys, <, > and & escaped; `flags` are jansson's (JSON_INDENT, JSON_COMPACT).
void json_dump_escaped(const json_t *json, size_t flags, struct cx_buf *to);
// "pod/x", from the object itself.
void output_name(const json_t *object, struct cx_buf *to);
// The values of custom columns as lines of tab-separated cells.
int output_columns(const struct output *output, const json_t *object, struct cx_buf *to, struct cx_error *err) CX_CHECK;
// Sorts a list of objects (rows with `member` "object" when not NULL) by a relaxed JSONPath.
int output_sort(json_t *list, const char *member, const char *by, struct cx_error *err) CX_CHECK;
// What many commands begin with: parses the flags, the form of output and, when there is one, the dry run.
int output_begin(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *args,
                 struct output *output, const char *const *dry_run, int *ret_mode, struct cx_error *err) CX_CHECK;
