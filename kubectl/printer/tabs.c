// SPDX-License-Identifier: Apache-2.0
// Cells to columns, after text/tabwriter.
#include "kubectl/printer/tabs.h"

struct cell {
        const char *text;
        size_t length, width;
};
struct line {
        struct cell *cells;
        size_t count;
};
struct aligner {
        struct line *lines;
        size_t n_lines;
        size_t *widths, n_widths, capacity;
        size_t least, padding;
        struct cx_buf *to;
};

size_t text_width(const char *text, size_t length)
{
        size_t width = 0;
        for (size_t i = 0; i < length; i++)
                width += ((unsigned char)text[i] & 0xc0) != 0x80;
        return width;
}

void text_for_terminal(const char *text, struct cx_buf *to)
{
        for (const char *end; *text; text = *end ? end + 1 : end) {
                end = strchrnul(text, 27);
                cx_buf_append(to, text, (size_t)(end - text));
                if (*end)
                        cx_buf_add(to, "^[");
        }
}

static void pad(struct cx_buf *to, size_t n)
{
        while (n--)
                cx_buf_add_char(to, ' ');
}

static void write_lines(struct aligner *a, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++) {
                const struct line *line = &a->lines[i];
                for (size_t j = 0; j < line->count; j++) {
                        cx_buf_append(a->to, line->cells[j].text, line->cells[j].length);
                        if (j < a->n_widths && a->widths[j] > line->cells[j].width)
                                pad(a->to, a->widths[j] - line->cells[j].width);
                }
                if (i + 1 < a->n_lines)
                        cx_buf_add_char(a->to, '\n');
        }
}

static void format(struct aligner *a, size_t from, size_t to)
{
        size_t column = a->n_widths;
        for (size_t at = from; at < to; at++) {
                if (column + 1 >= a->lines[at].count)
                        continue;
                write_lines(a, from, at);
                from = at;
                size_t width = a->least;
                for (; at < to && column + 1 < a->lines[at].count; at++) {
                        size_t w = a->lines[at].cells[column].width + a->padding;
                        width = w > width ? w : width;
                }
                if (a->n_widths == a->capacity) {
                        a->capacity = a->capacity ? a->capacity * 2 : 16;
                        a->widths = cx_realloc_array(a->widths, a->capacity, sizeof *a->widths);
                }
                a->widths[a->n_widths++] = width;
                format(a, from, at);
                a->n_widths--;
                from = at;
        }
        write_lines(a, from, to);
}

static void split_cells(struct line *line, const char *text, size_t length)
{
        size_t count = 1;
        for (size_t i = 0; i < length; i++)
                count += text[i] == '\t';
        line->cells = cx_alloc_array(count, sizeof *line->cells);
        line->count = count;
        for (size_t j = 0; j < count; j++) {
                const char *end = memchr(text, '\t', length);
                size_t n = end ? (size_t)(end - text) : length;
                line->cells[j] = (struct cell){text, n, text_width(text, n)};
                text += n + 1;
                length -= end ? n + 1 : n;
        }
}

void tabs_align(const char *from, size_t least, size_t padding, struct cx_buf *to)
{
        CX_BUF clean = CX_BUF_INIT;
        text_for_terminal(from, &clean);
        const char *text = clean.data;
        struct aligner a = {.least = least, .padding = padding, .to = to};
        size_t count = 1;
        for (const char *p = text; *p; p++)
                count += *p == '\n';
        a.lines = cx_alloc_array(count, sizeof *a.lines);
        a.n_lines = count;
        for (size_t i = 0; i < count; i++) {
                size_t length = strcspn(text, "\n");
                split_cells(&a.lines[i], text, length);
                text += length + 1;
        }
        format(&a, 0, count);
        for (size_t i = 0; i < count; i++)
                free(a.lines[i].cells);
        free(a.lines);
        free(a.widths);
}
