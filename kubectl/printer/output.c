// SPDX-License-Identifier: Apache-2.0
// The forms of -o: reading the flag, and printing objects in them.
#include "kubectl/printer/output.h"

#include "kubectl/printer/keys.h"
#include "kubectl/printer/kyaml.h"
#include "kubectl/printer/tabs.h"
#include "libcommon/api/quantity.h"
#include "libcommon/format/yaml.h"

static int parse_columns(struct output *o, const char *spec, struct cx_error *err)
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
                int r = jsonpath_parse_relaxed(colon + 1, &o->columns[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

// The file of custom-columns-file: a line of headers and a line of paths, by blanks.
static int parse_columns_file(struct ctl *ctl, struct output *o, const char *name, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20), spec = CX_BUF_INIT;
        int r = file_read_text(ctl, name, &text, err);
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

// A template, from the flag's value, --template or a file.
static int take_template(const struct output *o, const char *value, bool file, struct cx_buf *to, struct cx_error *err)
{
        const char *template = value && *value ? value : o->template;
        if (!template || !*template)
                return cx_error_set(err, -EINVAL, "template format specified but no template given");
        if (file) {
                int r = cx_buf_read_file(to, template);
                return r < 0 ? cx_error_set(err, r, "error reading --template %s, open %s: %s\n", template, template,
                                            r == -ENOENT ? "no such file or directory" : strerror(-r))
                             : 0;
        }
        cx_buf_add(to, template);
        return 0;
}

static int blame(struct cx_error *err, const char *what, const char *template)
{
        CX_ERROR made = CX_ERROR_INIT;
        cx_error_set(&made, -EINVAL, "error parsing %s %s, %s", what, template, cx_error_text(err));
        if (err)
                cx_error_release(err);
        return cx_error_move(err, &made);
}

static int parse_template(struct output *o, const char *value, bool file, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        int r = take_template(o, value, file, &text, err);
        if (r < 0)
                return r;
        o->source = cx_strdup(text.data);
        if (o->form == OUTPUT_GOTEMPLATE) {
                r = gotemplate_parse(text.data, &o->gotemplate, err);
                return r < 0 ? blame(err, "template", text.data) : 0;
        }
        r = jsonpath_parse(text.data, &o->path, err);
        return r < 0 ? blame(err, "jsonpath", text.data) : 0;
}

static const struct named_form {
        const char *name;
        enum output_form form;
        bool tables; // only for commands that print tables
} forms[] = {{"", OUTPUT_DEFAULT, false},
             {"custom-columns", OUTPUT_COLUMNS, true},
             {"custom-columns-file", OUTPUT_COLUMNS, true},
             {"go-template", OUTPUT_GOTEMPLATE, false},
             {"go-template-file", OUTPUT_GOTEMPLATE, false},
             {"json", OUTPUT_JSON, false},
             {"jsonpath", OUTPUT_JSONPATH, false},
             {"jsonpath-as-json", OUTPUT_JSONPATH_AS_JSON, false},
             {"jsonpath-file", OUTPUT_JSONPATH, false},
             {"kyaml", OUTPUT_KYAML, false},
             {"name", OUTPUT_NAME, false},
             {"template", OUTPUT_GOTEMPLATE, false},
             {"templatefile", OUTPUT_GOTEMPLATE, false},
             {"wide", OUTPUT_WIDE, true},
             {"yaml", OUTPUT_YAML, false}};

static int no_such_form(const struct output *o, struct cx_error *err)
{
        CX_BUF allowed = CX_BUF_INIT;
        for (size_t i = 1; i < CX_ARRAY_SIZE(forms); i++)
                if (o->tables || !forms[i].tables)
                        cx_buf_printf(&allowed, "%s%s", allowed.length ? "," : "", forms[i].name);
        return cx_error_set(err, -EINVAL,
                            "unable to match a printer suitable for the output format \"%s\", allowed formats are: %s",
                            o->text, allowed.data);
}

int output_parse(struct ctl *ctl, struct output *o, struct cx_error *err)
{
        const char *text = cx_str(o->text), *value = strchr(text, '=');
        size_t length = value ? (size_t)(value - text) : strlen(text);
        value = value ? value + 1 : NULL;
        if (o->allow_missing_given)
                o->disallow_missing = !o->allow_missing;
        if (!*text && o->template) // --template alone is a Go template
                text = "go-template", length = strlen(text);
        for (size_t i = 0; i < CX_ARRAY_SIZE(forms); i++) {
                if (strlen(forms[i].name) != length || strncmp(forms[i].name, text, length) != 0 ||
                    (forms[i].tables && !o->tables))
                        continue;
                bool file = cx_has_suffix(forms[i].name, "file");
                o->form = forms[i].form;
                switch (o->form) {
                case OUTPUT_JSONPATH:
                case OUTPUT_JSONPATH_AS_JSON:
                case OUTPUT_GOTEMPLATE:
                        return parse_template(o, value, file, err);
                case OUTPUT_COLUMNS:
                        return file ? parse_columns_file(ctl, o, cx_str(value), err)
                                    : parse_columns(o, cx_str(value), err);
                default:
                        return value ? no_such_form(o, err) : 0;
                }
        }
        return no_such_form(o, err);
}

int output_begin(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv, struct cx_strings *args,
                 struct output *output, const char *const *dry_run, int *ret_mode, struct cx_error *err)
{
        int r = ctl_parse(ctl, flags, argc, argv, args, NULL, err);
        if (r == 0)
                r = output_parse(ctl, output, err);
        if (r == 0 && dry_run)
                r = dry_run_parse(*dry_run, ret_mode, err);
        return r;
}

void output_release(struct output *o)
{
        jsonpath_free(o->path);
        gotemplate_free(o->gotemplate);
        free(o->source);
        for (size_t i = 0; o->columns && i < o->headers.count; i++)
                jsonpath_free(o->columns[i]);
        free(o->columns);
        cx_strings_release(&o->headers);
}

void json_dump_escaped(const json_t *json, size_t flags, struct cx_buf *to)
{
        char *text = json_dumps(json, flags | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        for (const char *p = cx_str(text); *p; p++) {
                if (*p == '<' || *p == '>' || *p == '&')
                        cx_buf_printf(to, "\\u%04x", (unsigned)*p);
                else
                        cx_buf_add_char(to, *p);
        }
        free(text);
}

void output_json(const json_t *json, struct cx_buf *to)
{
        json_dump_escaped(json, JSON_INDENT(4), to);
        cx_buf_add_char(to, '\n');
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

void output_name(const json_t *object, struct cx_buf *to)
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

static int column_values(const struct jsonpath *path, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        json_auto_t *values = NULL;
        int r = jsonpath_find(path, object, true, &values, err);
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
                        gotemplate_value(value, &text);
                for (char *p = text.data; *p; p++)
                        if (*p == '\t' || *p == '\n')
                                *p = ' ';
                cx_buf_printf(to, "%s%s", i ? "," : "", text.data);
        }
        return 0;
}

int output_columns(const struct output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        const json_t *items = json_object_get(object, "items");
        if (json_is_array(items)) {
                size_t i;
                json_t *item;
                json_array_foreach (items, i, item) {
                        int r = output_columns(o, item, to, err);
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

static int print_columns(struct output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        CX_BUF cells = CX_BUF_INIT;
        if (!o->no_headers && !o->n_documents++) {
                CX_CLEANUP(cx_freep) char *header = cx_strings_join(&o->headers, "\t");
                cx_buf_printf(&cells, "%s\n", header);
        }
        int r = output_columns(o, object, &cells, err);
        if (r == 0)
                tabs_align(cells.data, 6, 3, to);
        return r;
}

// A value as Go's syntax has it (%#v).
static void put_go_syntax(const json_t *value, struct cx_buf *to)
{
        size_t i;
        json_t *item;
        if (json_is_object(value)) {
                CX_CLEANUP(cx_freep) const char **keys = sorted_keys(value);
                cx_buf_add(to, "map[string]interface {}{");
                for (i = 0; keys[i]; i++) {
                        cx_buf_printf(to, "%s\"%s\":", i ? ", " : "", keys[i]);
                        put_go_syntax(json_object_get(value, keys[i]), to);
                }
                cx_buf_add_char(to, '}');
        } else if (json_is_array(value)) {
                cx_buf_add(to, "[]interface {}{");
                json_array_foreach (value, i, item) {
                        cx_buf_add(to, i ? ", " : "");
                        put_go_syntax(item, to);
                }
                cx_buf_add_char(to, '}');
        } else if (json_is_null(value)) {
                cx_buf_add(to, "interface {}(nil)");
        } else {
                CX_CLEANUP(cx_freep) char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
                cx_buf_add(to, cx_str(text));
        }
}

// Whoever writes a path wants to see what it was given.
static int blame_jsonpath(const struct output *o, const json_t *object, struct cx_error *err)
{
        CX_BUF data = CX_BUF_INIT;
        CX_ERROR made = CX_ERROR_INIT;
        put_go_syntax(object, &data);
        cx_error_set(&made, -EINVAL,
                     "error executing jsonpath \"%s\": Error executing template: %s. Printing more information for "
                     "debugging the template:\n\ttemplate was:\n\t\t%s\n\tobject given to jsonpath engine "
                     "was:\n\t\t%s\n\n\n",
                     o->source, cx_error_text(err), o->source, data.data);
        if (err)
                cx_error_release(err);
        return cx_error_move(err, &made);
}

static int print_path(struct output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        int r;
        if (o->form == OUTPUT_JSONPATH) {
                CX_BUF made = CX_BUF_INIT; // nothing is shown of what fails
                r = jsonpath_print(o->path, object, !o->disallow_missing, &made, err);
                if (r == 0)
                        cx_buf_append(to, made.data, made.length);
        } else {
                json_auto_t *values = NULL;
                r = jsonpath_find(o->path, object, !o->disallow_missing, &values, err);
                if (r == 0)
                        output_json(values, to);
        }
        return r < 0 ? blame_jsonpath(o, object, err) : 0;
}

static int print_gotemplate(const struct output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        CX_BUF made = CX_BUF_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        int r = gotemplate_print(o->gotemplate, object, !o->disallow_missing, &made, &why);
        if (r == 0) {
                cx_buf_append(to, made.data, made.length);
                return 0;
        }
        // Whoever writes a template wants to see what it was given.
        CX_BUF raw = CX_BUF_INIT, data = CX_BUF_INIT;
        json_dump_escaped(object, JSON_COMPACT, &raw);
        gotemplate_value(object, &data);
        cx_buf_printf(to,
                      "Error executing template: %s. Printing more information for debugging the template:\n\ttemplate "
                      "was:\n\t\t%s\n\traw data was:\n\t\t%s\n\tobject given to template engine was:\n\t\t%s\n\n",
                      cx_error_text(&why), o->source, raw.data, data.data);
        return cx_error_set(err, r, "error executing template \"%s\": %s", o->source, cx_error_text(&why));
}

int output_object(struct output *o, const json_t *object, struct cx_buf *to, struct cx_error *err)
{
        json_auto_t *shown = o->show_managed_fields ? json_incref((json_t *)object) : without_managed_fields(object);
        switch (o->form) {
        case OUTPUT_JSON:
                output_json(shown, to);
                return 0;
        case OUTPUT_YAML:
                if (o->n_documents++)
                        cx_buf_add(to, "---\n");
                return cx_yaml_dump(shown, to, err);
        case OUTPUT_NAME: {
                const json_t *items = json_object_get(shown, "items");
                size_t i;
                json_t *item;
                if (!json_is_array(items))
                        output_name(shown, to);
                json_array_foreach (items, i, item)
                        output_name(item, to);
                return 0;
        }
        case OUTPUT_COLUMNS:
                return print_columns(o, shown, to, err);
        case OUTPUT_GOTEMPLATE:
                return print_gotemplate(o, object, to, err);
        case OUTPUT_KYAML:
                kyaml_dump(shown, to);
                return 0;
        default:
                return print_path(o, object, to, err);
        }
}

int output_result(struct output *o, const struct info *info, const char *operation, int dry_run, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        char label[512];
        int r = 0;
        if (o->form == OUTPUT_DEFAULT || o->form == OUTPUT_WIDE)
                cx_buf_printf(&text, "%s %s%s\n", info_label(info, label), operation, dry_run_suffix(dry_run));
        else if (o->form == OUTPUT_NAME)
                cx_buf_printf(&text, "%s\n", info_label(info, label));
        else
                r = output_object(o, info->object, &text, err);
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

int output_sort(json_t *list, const char *member, const char *by, struct cx_error *err)
{
        CX_CLEANUP(jsonpath_freep) struct jsonpath *path = NULL;
        int r = jsonpath_parse_relaxed(by, &path, err);
        if (r < 0)
                return r;
        size_t n = json_array_size(list), found_any = 0;
        CX_CLEANUP(cx_freep) struct sortable *all = cx_alloc_array(n + 1, sizeof *all);
        json_auto_t *keep = json_array(); // holds the found keys
        for (size_t i = 0; i < n; i++) {
                json_t *item = json_array_get(list, i), *values = NULL;
                r = jsonpath_find(path, member ? json_object_get(item, member) : item, true, &values, err);
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
