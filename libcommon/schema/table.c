// SPDX-License-Identifier: Apache-2.0
// meta.k8s.io/v1 Tables, which is what `kubectl get` shows. Columns come from the schema; cells from a printer of the
// kind (table_*.c), from the columns' paths (custom resources), or are name and creation time.
#include "libcommon/api/selector.h"
#include "libcommon/base/time.h"
#include "libcommon/schema/table_internal.h"

void cx_cell(struct cx_row *row, const char *text)
{
        json_array_append_new(row->cells, json_string(cx_str(text)));
}

void cx_cell_or(struct cx_row *row, const char *text, const char *otherwise)
{
        cx_cell(row, text && *text ? text : otherwise);
}

void cx_cell_steal(struct cx_row *row, char *text_steal)
{
        cx_cell(row, text_steal);
        free(text_steal);
}

void cx_cell_printf(struct cx_row *row, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        cx_cell(row, text.data);
}

void cx_cell_int(struct cx_row *row, int64_t value)
{
        json_array_append_new(row->cells, json_integer(value));
}

void cx_cell_bool(struct cx_row *row, bool value)
{
        json_array_append_new(row->cells, json_boolean(value));
}

void cx_cell_at(struct cx_row *row, const json_t *object, const char *path, const char *otherwise)
{
        cx_cell_or(row, cx_json_string(object, path), otherwise);
}

void cx_cell_name(struct cx_row *row, const json_t *object)
{
        cx_cell_at(row, object, "metadata.name", "");
}

char *cx_since_text(int64_t now, const char *moment)
{
        int64_t us;
        char text[CX_TIME_TEXT];
        if (!moment || cx_time_parse(moment, &us) < 0)
                return cx_strdup("<unknown>");
        int64_t seconds = (now - us) / CX_US_PER_S;
        if (seconds > INT64_MAX / CX_NS_PER_S)
                seconds = INT64_MAX / CX_NS_PER_S;
        cx_duration_human(seconds < INT64_MIN / CX_NS_PER_S ? 0 : seconds * CX_NS_PER_S, text);
        return cx_strdup(text);
}

void cx_cell_since(struct cx_row *row, const json_t *object, const char *path)
{
        cx_cell_steal(row, cx_since_text(row->now, cx_json_string(object, path)));
}

void cx_cell_age(struct cx_row *row, const json_t *object)
{
        cx_cell_since(row, object, "metadata.creationTimestamp");
}

char *cx_join_list(const json_t *list, const char *member, const char *separator)
{
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item) {
                const char *part = member ? cx_json_string(item, member) : json_string_value(item);
                cx_buf_printf(&text, "%s%s", i ? separator : "", cx_str(part));
        }
        return cx_buf_detach(&text);
}

void cx_cell_containers(struct cx_row *row, const json_t *pod_spec)
{
        const json_t *containers = json_object_get(pod_spec, "containers");
        cx_cell_steal(row, cx_join_list(containers, "name", ","));
        cx_cell_steal(row, cx_join_list(containers, "image", ","));
}

void cx_cell_labels(struct cx_row *row, const json_t *map)
{
        cx_cell_steal(row, cx_labels_text(map));
}

void cx_cell_label_selector(struct cx_row *row, const json_t *selector)
{
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        CX_BUF text = CX_BUF_INIT;
        if (!selector || cx_selector_from_json(selector, &parsed, NULL) < 0) {
                cx_cell(row, selector ? "<error>" : "<none>");
                return;
        }
        cx_selector_format(&parsed, &text);
        cx_cell_or(row, text.data, "<none>");
}

// --- paths of custom columns ----------------------------------------------------------------------------------------
// The item of a list that a filter `?(@.key=="value")` picks.
static json_t *filtered(const json_t *list, const char *filter, size_t length)
{
        CX_CLEANUP(cx_freep) char *text = cx_strndup(filter, length);
        char key[128], value[128];
        if (sscanf(text, "?(@.%127[^=]==%*[\"']%127[^\"'])", key, value) != 2 &&
            sscanf(text, "?(@.%127[^ =] == %*[\"']%127[^\"'])", key, value) != 2)
                return NULL;
        return cx_json_find(list, key, value);
}

// ".status.conditions[?(@.type=="Ready")].status", ".spec.list[0]", ".metadata.labels['a.b']"; NULL when absent.
static json_t *at_path(const json_t *object, const char *path)
{
        json_t *at = (json_t *)object;
        while (*path && at) {
                if (*path == '.') {
                        path++;
                        size_t length = strcspn(path, ".[");
                        CX_CLEANUP(cx_freep) char *key = cx_strndup(path, length);
                        path += length;
                        at = json_object_get(at, key);
                        continue;
                }
                const char *end = *path == '[' ? strchr(path, ']') : NULL;
                int64_t index;
                if (!end)
                        return NULL;
                size_t length = (size_t)(end - path - 1);
                CX_CLEANUP(cx_freep) char *inside = cx_strndup(path + 1, length);
                if (length >= 2 && (*inside == '\'' || *inside == '"')) {
                        inside[length - 1] = 0;
                        at = json_object_get(at, inside + 1);
                } else if (*inside == '?') {
                        at = filtered(at, inside, length);
                } else if (cx_parse_int(inside, 0, INT32_MAX, &index) == 0) {
                        at = json_array_get(at, (size_t)index);
                } else {
                        return NULL;
                }
                path = end + 1;
        }
        return at;
}

static void print_path(struct cx_row *row, const struct cx_column *column, const json_t *object)
{
        json_t *value = at_path(object, column->path);
        if (!value || json_is_null(value)) {
                json_array_append_new(row->cells, json_null());
        } else if (strcmp(column->type, "date") == 0) {
                cx_cell_steal(row, cx_since_text(row->now, json_string_value(value)));
        } else if (json_is_string(value) && strcmp(column->type, "string") != 0) {
                json_array_append_new(row->cells, json_null());
        } else if (strcmp(column->type, "string") == 0 && !json_is_string(value)) {
                CX_CLEANUP(cx_freep) char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
                cx_cell(row, text);
        } else {
                json_array_append(row->cells, value);
        }
}

// --- tables ---------------------------------------------------------------------------------------------------------
static void print_cells(struct cx_row *row, const struct cx_cell_rule *rule, const json_t *object)
{
        for (; rule->source != CX_CELL_END; rule++)
                switch (rule->source) {
                case CX_CELL_NAME:
                        cx_cell_name(row, object);
                        break;
                case CX_CELL_AGE:
                        cx_cell_age(row, object);
                        break;
                case CX_CELL_TEXT:
                        cx_cell_at(row, object, rule->path, rule->otherwise);
                        break;
                case CX_CELL_INT:
                        cx_cell_int(row, cx_json_int(object, rule->path, 0));
                        break;
                case CX_CELL_BOOL:
                        cx_cell_bool(row, cx_json_bool(object, rule->path, false));
                        break;
                case CX_CELL_COUNT:
                        cx_cell_int(row, (int64_t)cx_json_count(object, rule->path));
                        break;
                case CX_CELL_END:
                        break;
                }
}

static const struct cx_printer *printer_of(const struct cx_type *type)
{
        static const struct cx_printer *const tables[] = {cx_printers_pod, cx_printers_core, cx_printers_workloads,
                                                          cx_printers_net, cx_printers_others};
        for (size_t i = 0; i < CX_ARRAY_SIZE(tables); i++)
                for (const struct cx_printer *printer = tables[i]; printer->type; printer++)
                        if (strcmp(printer->type, type->name) == 0)
                                return printer;
        return NULL;
}

static json_t *cells_with(const struct cx_printer *printer, const struct cx_resource *resource, const json_t *object,
                          int64_t now)
{
        struct cx_row row = {json_array(), now};
        if (printer) {
                if (printer->cells)
                        print_cells(&row, printer->cells, object);
                else
                        printer->print(&row, object);
                return row.cells;
        }
        cx_cell_name(&row, object);
        for (const struct cx_column *column = resource->columns + 1; column[-1].name && column->name; column++) {
                if (column->path)
                        print_path(&row, column, object);
                else if (strcmp(column->type, "date") == 0)
                        cx_cell_at(&row, object, "metadata.creationTimestamp", "<unknown>");
                else
                        cx_cell_age(&row, object);
        }
        return row.cells;
}

json_t *cx_table_cells(const struct cx_resource *resource, const json_t *object)
{
        return cells_with(printer_of(resource->kind->type), resource, object, cx_time_now());
}

json_t *cx_table_columns(const struct cx_resource *resource)
{
        json_t *columns = json_array();
        for (const struct cx_column *column = resource->columns; column->name; column++)
                json_array_append_new(columns, json_pack("{s:s,s:s,s:s,s:s,s:i}", "name", column->name, "type",
                                                         column->type, "format", cx_str(column->format), "description",
                                                         cx_str(column->description), "priority", column->priority));
        return columns;
}

static json_t *metadata_only(const json_t *object)
{
        json_t *metadata = json_object_get(object, "metadata");
        return json_pack("{s:s,s:s,s:o}", "kind", "PartialObjectMetadata", "apiVersion", "meta.k8s.io/v1", "metadata",
                         metadata ? json_incref(metadata) : json_object());
}

json_t *cx_table(const struct cx_resource *resource, const json_t *const *objects, size_t count,
                 enum cx_include_object include, const json_t *list_metadata)
{
        const struct cx_printer *printer = printer_of(resource->kind->type);
        int64_t now = cx_time_now();
        json_t *rows = json_array();
        for (size_t i = 0; i < count; i++) {
                json_t *row = json_pack("{s:o}", "cells", cells_with(printer, resource, objects[i], now));
                if (include == CX_INCLUDE_METADATA)
                        json_object_set_new(row, "object", metadata_only(objects[i]));
                else if (include == CX_INCLUDE_OBJECT)
                        json_object_set(row, "object", (json_t *)objects[i]);
                json_array_append_new(rows, row);
        }
        return json_pack("{s:s,s:s,s:o,s:o,s:o}", "kind", "Table", "apiVersion", "meta.k8s.io/v1", "metadata",
                         list_metadata ? json_incref((json_t *)list_metadata) : json_object(), "columnDefinitions",
                         cx_table_columns(resource), "rows", rows);
}
