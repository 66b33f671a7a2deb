// SPDX-License-Identifier: Apache-2.0
// Tables on the screen: cells to text, columns to widths.
#include "kubectl/printer/table.h"

#include "kubectl/printer/tabs.h"
#include "libcommon/api/selector.h"
#include "libcommon/format/json.h"

#define LEAST_WIDTH 6
#define PADDING 3

void table_printer_release(struct table_printer *printer)
{
        json_decref(printer->columns);
        free(printer->widths);
        printer->columns = NULL;
        printer->widths = NULL;
        printer->n_widths = 0;
}

// One cell's text: numbers as they are, the first line only, nothing for null.
static char *cell_text(const json_t *cell)
{
        if (json_is_string(cell)) {
                const char *text = json_string_value(cell);
                size_t length = strcspn(text, "\f\n\r");
                CX_BUF clean = CX_BUF_INIT;
                for (size_t i = 0; i < length; i++) // no terminal escapes from a server
                        if (text[i] == 27)
                                cx_buf_add(&clean, "^[");
                        else
                                cx_buf_add_char(&clean, text[i] == '\t' ? ' ' : text[i]);
                if (text[length])
                        cx_buf_add(&clean, "...");
                return cx_buf_detach(&clean);
        }
        if (json_is_real(cell))
                return cx_sprintf("%g", json_real_value(cell));
        return !cell || json_is_null(cell) ? cx_strdup("<none>") : cx_json_text(cell);
}

// As wide as the longest of them, so that later rows need no other width.
static void add_event(struct cx_strings *line, const char *event)
{
        CX_CLEANUP(cx_freep) char *padded = cx_sprintf("%-8s", event);
        cx_strings_add(line, padded);
}

static void add_header(const struct table_printer *p, struct cx_strings *line)
{
        size_t i;
        json_t *column;
        if (p->event)
                cx_strings_add(line, "EVENT");
        if (p->with_namespace)
                cx_strings_add(line, "NAMESPACE");
        json_array_foreach (p->columns, i, column) {
                if (!p->wide && cx_json_int(column, "priority", 0) != 0)
                        continue;
                CX_CLEANUP(cx_freep) char *name = cx_strdup(cx_json_string_or(column, "name", ""));
                for (char *c = name; *c; c++)
                        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
                cx_strings_add(line, name);
        }
        for (size_t j = 0; p->label_columns && j < p->label_columns->count; j++) {
                const char *label = p->label_columns->items[j], *slash = strrchr(label, '/');
                CX_CLEANUP(cx_freep) char *name = cx_strdup(slash ? slash + 1 : label);
                for (char *c = name; *c; c++)
                        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
                cx_strings_add(line, name);
        }
        if (p->show_labels)
                cx_strings_add(line, "LABELS");
}

static void add_row(const struct table_printer *p, const json_t *row, struct cx_strings *line)
{
        const json_t *object = json_object_get(row, "object"), *cells = json_object_get(row, "cells");
        if (p->event)
                add_event(line, p->event);
        if (p->with_namespace)
                cx_strings_add(line, cx_json_string_or(object, "metadata.namespace", ""));
        size_t i;
        json_t *column;
        bool first = true;
        json_array_foreach (p->columns, i, column) {
                if (!p->wide && cx_json_int(column, "priority", 0) != 0)
                        continue;
                CX_CLEANUP(cx_freep) char *text = cell_text(json_array_get(cells, i));
                CX_CLEANUP(cx_freep) char *named = first && p->kind ? cx_sprintf("%s/%s", p->kind, text) : NULL;
                cx_strings_add(line, named ? named : text);
                first = false;
        }
        const json_t *labels = cx_json_get(object, "metadata.labels");
        for (size_t j = 0; p->label_columns && j < p->label_columns->count; j++)
                cx_strings_add(line, cx_str(json_string_value(json_object_get(labels, p->label_columns->items[j]))));
        if (p->show_labels) {
                CX_CLEANUP(cx_freep) char *text = cx_labels_text(labels);
                cx_strings_add(line, text);
        }
}

static void measure(struct table_printer *p, const struct cx_strings *line)
{
        if (line->count > p->n_widths) {
                p->widths = cx_realloc_array(p->widths, line->count, sizeof *p->widths);
                for (size_t i = p->n_widths; i < line->count; i++)
                        p->widths[i] = LEAST_WIDTH;
                p->n_widths = line->count;
        }
        for (size_t i = 0; i + 1 < line->count; i++) {
                size_t width = text_width(line->items[i], strlen(line->items[i])) + PADDING;
                p->widths[i] = width > p->widths[i] ? width : p->widths[i];
        }
}

static void write_line(const struct table_printer *p, const struct cx_strings *line, struct cx_buf *to)
{
        for (size_t i = 0; i < line->count; i++) {
                cx_buf_add(to, line->items[i]);
                size_t width = text_width(line->items[i], strlen(line->items[i]));
                for (size_t w = width; i + 1 < line->count && w < p->widths[i]; w++)
                        cx_buf_add_char(to, ' ');
        }
        cx_buf_add_char(to, '\n');
}

void table_print(struct table_printer *p, const json_t *table, struct cx_buf *to)
{
        const json_t *columns = json_object_get(table, "columnDefinitions"), *rows = json_object_get(table, "rows");
        if (json_array_size(columns)) {
                json_decref(p->columns);
                p->columns = json_incref((json_t *)columns);
        }
        size_t n = json_array_size(rows) + 1, used = 0;
        struct cx_strings *lines = cx_alloc_array(n, sizeof *lines);
        if (!p->no_headers && !p->header_done)
                add_header(p, &lines[used++]);
        p->header_done = true;
        size_t i;
        json_t *row;
        json_array_foreach (rows, i, row)
                add_row(p, row, &lines[used++]);
        for (i = 0; i < used; i++)
                measure(p, &lines[i]);
        for (i = 0; i < used; i++) {
                write_line(p, &lines[i], to);
                cx_strings_release(&lines[i]);
        }
        free(lines);
}
