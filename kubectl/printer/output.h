// SPDX-License-Identifier: Apache-2.0
// The value of -o: which form objects are printed in, and printing one.
#pragma once

#include "kubectl/printer/gotemplate.h"
#include "kubectl/printer/jsonpath.h"
#include "kubectl/resource/builder.h"

enum cx_output_form {
        CX_OUTPUT_DEFAULT, // "" : the command's own words, or a table
        CX_OUTPUT_WIDE,
        CX_OUTPUT_YAML,
        CX_OUTPUT_JSON,
        CX_OUTPUT_NAME,
        CX_OUTPUT_JSONPATH,
        CX_OUTPUT_JSONPATH_AS_JSON,
        CX_OUTPUT_COLUMNS,
        CX_OUTPUT_GOTEMPLATE,
        CX_OUTPUT_KYAML,
};
struct cx_output {
        const char *text, *template; // flags
        bool show_managed_fields, disallow_missing;
        bool no_headers;
        bool allow_missing_given, allow_missing; // flags
        bool tables;                             // wide and custom columns are allowed too

        enum cx_output_form form;
        struct cx_jsonpath *path;
        struct cx_gotemplate *gotemplate;
        char *source;              // of the template
        struct cx_strings headers; // custom columns
        struct cx_jsonpath **columns;
        size_t n_documents; // printed so far: YAML documents are separated
};
#define CX_OUTPUT CX_CLEANUP(cx_output_release) struct cx_output
#define CX_OUTPUT_FLAGS(o)                                                                                             \
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
int cx_output_parse(struct cx_ctl *ctl, struct cx_output *output, struct cx_error *err) CX_CHECK;
void cx_output_release(struct cx_output *output);
// Prints an object (or a List) in a form other than the default and wide. The mapping may be NULL (for names).
int cx_output_object(struct cx_output *output, const json_t *object, struct cx_buf *to, struct cx_error *err) CX_CHECK;
// For commands that change objects: "deployment.apps/web scaled", or the object in the form asked for.
int cx_output_result(struct cx_output *output, const struct cx_info *info, const char *operation, int dry_run,
                     struct cx_error *err) CX_CHECK;
// JSON as kubectl indents it: 4 blanks, sorted keys, <, > and & escaped.
void cx_output_json(const json_t *json, struct cx_buf *to);
// As Go's encoder writes it: sorted keys, <, > and & escaped; `flags` are jansson's (JSON_INDENT, JSON_COMPACT).
void cx_json_dump_escaped(const json_t *json, size_t flags, struct cx_buf *to);
// "pod/x", from the object itself.
void cx_output_name(const json_t *object, struct cx_buf *to);
// The values of custom columns as lines of tab-separated cells.
int cx_output_columns(const struct cx_output *output, const json_t *object, struct cx_buf *to, struct cx_error *err)
        CX_CHECK;
// Sorts a list of objects (rows with `member` "object" when not NULL) by a relaxed JSONPath.
int cx_output_sort(json_t *list, const char *member, const char *by, struct cx_error *err) CX_CHECK;
// What many commands begin with: parses the flags, the form of output and, when there is one, the dry run.
int cx_output_begin(struct cx_ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *args,
                    struct cx_output *output, const char *const *dry_run, int *ret_mode, struct cx_error *err) CX_CHECK;
