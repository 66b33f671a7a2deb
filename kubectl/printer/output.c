// SPDX-License-Identifier: Apache-2.0
#include "kubectl/printer/output.h"

#include "api/quantity.h"
#include "format/yaml.h"
#include "kubectl/printer/tabs.h"

static int parse_columns(struct cx_output *o, const char *spec, struct cx_error *err)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        if (!*spec)
                return cx_error_set(err, -EINVAL, "custom-columns format specified but no custom columns given");
        cx_strings_split(&parts, spec, ',');
        o->columns = cx_alloc_array(parts.count, sizeof(void *));
        for (size_t i = 0; i < parts.count; i++) {
                const char *colon = strchr(parts.items[i], ':');
                if (!colon)
                        return cx_error_set(err, -EINVAL,
                                            "unexpected custom-columns spec: %s, expected <header>:<json-path-expr>",
                                            parts.items[i]);
                cx_strings_add_length(&o->headers, parts.items[i], (size_t)(colon - parts.items[i]));
                int r = cx_jsonpath_parse_relaxed(colon + 1, &o->columns[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

// The file of custom-columns-file: a line of headers and a line of paths, by blanks.
static int parse_columns_file(struct cx_ctl *ctl, struct cx_output *o, const char *name, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20), spec = CX_BUF_INIT;
        int r = cx_file_read_text(ctl, name, &text, err);
        if (r < 0)
                return r;
        char *paths = strchr(text.data, '\n');
        if (!paths)
                return cx_error_set(err, -EINVAL, "the file of custom columns must have two lines");
        *paths++ = 0;
        paths[strcspn(paths, "\n")] = 0;
        char *save_a, *save_b, *header = strtok_r(text.data, " \t", &save_a), *path = strtok_r(paths, " \t", &save_b);
        for (; header && path; header = strtok_r(NULL, " \t", &save_a), path = strtok_r(NULL, " \t", &save_b))
                cx_buf_printf(&spec, "%s%s:%s", spec.length ? "," : "", header, path);
        if (header || path)
                return cx_error_set(err, -EINVAL, "number of headers and field specifications don't match");
        return parse_columns(o, spec.data, err);
}

static int parse_path(struct cx_ctl *ctl, struct cx_output *o, const char *template, bool file, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (!template)
                template = o->template;
        if (!template)
                return cx_error_set(err, -EINVAL, "template format specified but no template given");
        if (file) {
                int r = cx_file_read_text(ctl, template, &text, err);
                if (r < 0)
                        return r;
                template = text.data;
        }
        int r = cx_jsonpath_parse(template, &o->path, err);
        return r < 0 ? cx_error_wrap(err, "error parsing jsonpath %s", template) : 0;
}

int cx_output_parse(struct cx_ctl *ctl, struct cx_output *o, struct cx_error *err)
{
        const char *text = cx_str(o->text), *value = strchr(text, '=');
        size_t length = value ? (size_t)(value - text) : strlen(text);
        value = value ? value + 1 : NULL;
        static const struct {
                const char *name;
                enum cx_output_form form;
        } forms[] = {{"", CX_OUTPUT_DEFAULT},
                     {"wide", CX_OUTPUT_WIDE},
                     {"yaml", CX_OUTPUT_YAML},
                     {"json", CX_OUTPUT_JSON},
                     {"name", CX_OUTPUT_NAME},
                     {"jsonpath", CX_OUTPUT_JSONPATH},
                     {"jsonpath-file", CX_OUTPUT_JSONPATH},
                     {"jsonpath-as-json", CX_OUTPUT_JSONPATH_AS_JSON},
                     {"custom-columns", CX_OUTPUT_COLUMNS},
                     {"custom-columns-file", CX_OUTPUT_COLUMNS}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(forms); i++) {
                if (strlen(forms[i].name) != length || strncmp(forms[i].name, text, length) != 0)
                        continue;
                o->form = forms[i].form;
                if (o->form == CX_OUTPUT_JSONPATH || o->form == CX_OUTPUT_JSONPATH_AS_JSON)
                        return parse_path(ctl, o, value, cx_has_suffix(forms[i].name, "-file"), err);
                if (o->form == CX_OUTPUT_COLUMNS && cx_has_suffix(forms[i].name, "-file"))
                        return parse_columns_file(ctl, o, cx_str(value), err);
                return o->form == CX_OUTPUT_COLUMNS ? parse_columns(o, cx_str(value), err) : 0;
        }
        if (cx_has_prefix(text, "go-template") || cx_has_prefix(text, "template"))
                return cx_error_set(err, -ENOTSUP, "Go templates are not supported; use -o jsonpath or custom-columns");
        return cx_error_set(err, -EINVAL,
                            "unable to match a printer suitable for the output format \"%.*s\", allowed formats are: "
                            "custom-columns,custom-columns-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,wide,"
                            "yaml",
                            (int)length, text);
}

void cx_output_release(struct cx_output *o)
{
        cx_jsonpath_free(o->path);
        for (size_t i = 0; o->columns && i < o->headers.count; i++)
                cx_jsonpath_free(o->columns[i]);
        free(o->columns);
        cx_strings_release(&o->headers);
}

void cx_output_json(const json_t *json, struct cx_buf *to)
{
        char *text = json_dumps(json, JSON_INDENT(4) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        for (const char *p = cx_str(text); *p; p++) {
                if (*p == '<' || *p == '>' || *p == '&')
                        cx_buf_printf(to, "\\u%04x", (unsigned)*p);
                else
                        cx_buf_add_char(to, *p);
        }
        cx_buf_add_char(to, '\n');
        free(text);
}

static void name_of(const json_t *object, struct cx_buf *to)
{
        const char *kind = cx_json_string_or(object, "kind", ""),
                   *version = cx_json_string_or(object, "apiVersion", "");
        const char *slash = strchr(version, '/');
        for (const char *p = kind; *p; p++)
                cx_buf_add_char(to, *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p);
        if (slash)
                cx_buf_printf(to, ".%.*s", (int)(slash - version), version);
        cx_buf_printf(to, "/%s", cx_json_string_or(object, "metadata.name", ""));
}

void cx_output_name(const json_t *object, struct cx_buf *to)
{
        name_of(object, to);
        cx_buf_add_char(to, '\n');
}

static json_t *without_managed_fields(const json_t *object)
{
        json_t *copy = json_copy((json_t *)object);
        const json_t *metadata = json_object_get(object, "metadata"), *items = json_object_get(object, "items");
        if (json_object_get(metadata, "managedFields")) {
                json_t *clean = json_copy((json_t *)metadata);
                json_object_del(clean, "managedFields");
                json_object_set_new(copy, "metadata", clean);
        }
        if (json_is_array(items)) {
                json_t *list = json_array();
                size_t i;
                json_t *item;
                json_array_foreach (items, i, item)
                        json_array_append_new(list, without_managed_fields(item));
                json_object_set_new(copy, "items", list);
        }
        return copy;
}

static int column_values(const struct cx_jsonpath *path, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        json_auto_t *values = NULL;
        int r = cx_jsonpath_find(path, object, true, &values, err);
        if (r < 0)
                return r;
        if (!json_array_size(values))
                cx_buf_add(to, "<none>");
        size_t i;
        json_t *value;
        json_array_foreach (values, i, value) {
                CX_BUF text = CX_BUF_INIT;
                if (json_is_null(value))
                        cx_buf_add(&text, "<nil>");
                else
                        cx_jsonpath_value(value, &text);
                for (char *p = text.data; *p; p++)
                        if (*p == '\t' || *p == '\n')
                                *p = ' ';
                cx_buf_printf(to, "%s%s", i ? "," : "", text.data);
        }
        return 0;
}

int cx_output_columns(const struct cx_output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        const json_t *items = json_object_get(object, "items");
        if (json_is_array(items)) {
                size_t i;
                json_t *item;
                json_array_foreach (items, i, item) {
                        int r = cx_output_columns(o, item, to, err);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        for (size_t i = 0; i < o->headers.count; i++) {
                if (i)
                        cx_buf_add_char(to, '\t');
                int r = column_values(o->columns[i], object, to, err);
                if (r < 0)
                        return r;
        }
        cx_buf_add_char(to, '\n');
        return 0;
}

static int print_columns(struct cx_output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        CX_BUF cells = CX_BUF_INIT;
        if (!o->no_headers && !o->n_documents++) {
                CX_CLEANUP(cx_freep) char *header = cx_strings_join(&o->headers, "\t");
                cx_buf_printf(&cells, "%s\n", header);
        }
        int r = cx_output_columns(o, object, &cells, err);
        if (r == 0)
                cx_tabs_align(cells.data, 6, 3, to);
        return r;
}

static int print_path(struct cx_output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        int r;
        if (o->form == CX_OUTPUT_JSONPATH) {
                r = cx_jsonpath_print(o->path, object, !o->disallow_missing, to, err);
        } else {
                json_auto_t *values = NULL;
                r = cx_jsonpath_find(o->path, object, !o->disallow_missing, &values, err);
                if (r == 0)
                        cx_output_json(values, to);
        }
        return r < 0 ? cx_error_wrap(err, "error executing jsonpath \"%s\": Error executing template", cx_str(o->text))
                     : 0;
}

int cx_output_object(struct cx_output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        json_auto_t *shown = o->show_managed_fields ? json_incref((json_t *)object) : without_managed_fields(object);
        switch (o->form) {
        case CX_OUTPUT_JSON:
                cx_output_json(shown, to);
                return 0;
        case CX_OUTPUT_YAML:
                if (o->n_documents++)
                        cx_buf_add(to, "---\n");
                return cx_yaml_dump(shown, to, err);
        case CX_OUTPUT_NAME: {
                const json_t *items = json_object_get(shown, "items");
                size_t i;
                json_t *item;
                if (!json_is_array(items))
                        cx_output_name(shown, to);
                json_array_foreach (items, i, item)
                        cx_output_name(item, to);
                return 0;
        }
        case CX_OUTPUT_COLUMNS:
                return print_columns(o, shown, to, err);
        default:
                return print_path(o, object, to, err);
        }
}

int cx_output_result(struct cx_output *o, const struct cx_info *info, const char *operation, int dry_run,
                     struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        char label[512];
        int r = 0;
        if (o->form == CX_OUTPUT_DEFAULT || o->form == CX_OUTPUT_WIDE)
                cx_buf_printf(&text, "%s %s%s\n", cx_info_label(info, label), operation, cx_dry_run_suffix(dry_run));
        else if (o->form == CX_OUTPUT_NAME)
                cx_buf_printf(&text, "%s\n", cx_info_label(info, label));
        else
                r = cx_output_object(o, info->object, &text, err);
        fputs(text.data, stdout);
        return r;
}

// --- sorting --------------------------------------------------------------------------------------------------------
struct sortable {
        json_t *item;
        const json_t *key;
        size_t at;
};

static int compare_keys(const void *left, const void *right)
{
        const struct sortable *a = left, *b = right;
        int c = 0;
        struct cx_quantity x, y;
        if (!a->key || !b->key)
                c = (a->key != NULL) - (b->key != NULL);
        else if (json_is_number(a->key) && json_is_number(b->key))
                c = (json_number_value(a->key) > json_number_value(b->key)) -
                    (json_number_value(a->key) < json_number_value(b->key));
        else if (cx_quantity_from_json(a->key, &x) == 0 && cx_quantity_from_json(b->key, &y) == 0)
                c = cx_quantity_compare(&x, &y);
        else
                c = strcmp(cx_str(json_string_value(a->key)), cx_str(json_string_value(b->key)));
        return c ? c : (a->at > b->at) - (a->at < b->at);
}

int cx_output_sort(json_t *list, const char *member, const char *by, struct cx_error *err)
{
        CX_CLEANUP(cx_jsonpath_freep) struct cx_jsonpath *path = NULL;
        int r = cx_jsonpath_parse_relaxed(by, &path, err);
        if (r < 0)
                return r;
        size_t n = json_array_size(list), found_any = 0;
        CX_CLEANUP(cx_freep) struct sortable *all = cx_alloc_array(n + 1, sizeof *all);
        json_auto_t *keep = json_array(); // holds the found keys
        for (size_t i = 0; i < n; i++) {
                json_t *item = json_array_get(list, i), *values = NULL;
                r = cx_jsonpath_find(path, member ? json_object_get(item, member) : item, true, &values, err);
                if (r < 0)
                        return r;
                json_array_append_new(keep, values);
                all[i] = (struct sortable){json_incref(item), json_array_get(values, 0), i};
                found_any += all[i].key != NULL;
        }
        if (n && !found_any) {
                for (size_t i = 0; i < n; i++)
                        json_decref(all[i].item);
                return cx_error_set(err, -EINVAL, "couldn't find any field with path \"%s\" in the list of objects",
                                    by);
        }
        qsort(all, n, sizeof *all, compare_keys);
        json_array_clear(list);
        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, all[i].item);
        return 0;
}
