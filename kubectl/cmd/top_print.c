// SPDX-License-Identifier: Apache-2.0
#include "kubectl/cmd/top.h"

#include "kubectl/printer/tabs.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/strings.h"
#include "libcommon/format/json.h"

#include <stdlib.h>
#include <string.h>

#define MEBI (INT64_C(1024) * 1024)

struct usage {
        int64_t milli_cpu, memory, swap;
};
struct row {
        const char *namespace, *name;
        struct usage used, available;
        const json_t *source;
};
struct rows {
        const struct top_options *options;
        struct row *items;
        size_t count;
};

static struct usage usage_of(const json_t *map)
{
        return (struct usage){cx_quantity_milli_of(json_object_get(map, "cpu")),
                              cx_quantity_value_of(json_object_get(map, "memory")),
                              cx_quantity_value_of(json_object_get(map, "swap"))};
}

static void add_usage(struct usage *to, const struct usage *other)
{
        to->milli_cpu += other->milli_cpu;
        to->memory += other->memory;
        to->swap += other->swap;
}

// Most first when they are sorted by an amount; else by name.
static int compare_rows(const void *a, const void *b, void *context)
{
        const struct top_options *options = context;
        const struct row *x = a, *y = b;
        int64_t left = 0, right = 0;
        if (strcmp(options->sort_by, "cpu") == 0) {
                left = x->used.milli_cpu;
                right = y->used.milli_cpu;
        } else if (strcmp(options->sort_by, "memory") == 0) {
                left = x->used.memory;
                right = y->used.memory;
        } else if (options->with_namespace && strcmp(x->namespace, y->namespace) != 0) {
                return strcmp(x->namespace, y->namespace);
        } else {
                return strcmp(x->name, y->name);
        }
        return left < right ? 1 : left > right ? -1 : 0;
}

static void add_row(struct rows *rows, const struct row *row)
{
        rows->items = cx_realloc_array(rows->items, rows->count + 1, sizeof *rows->items);
        rows->items[rows->count++] = *row;
}

static void sort_rows(struct rows *rows)
{
        if (rows->count)
                qsort_r(rows->items, rows->count, sizeof *rows->items, compare_rows, (void *)rows->options);
}

// An amount in units of `unit`; behind it, when what there is of it is known, the part that is used.
static void print_amount(const char *suffix, int64_t amount, int64_t unit, int64_t of, struct cx_buf *to)
{
        cx_buf_printf(to, "%lld%s\t", (long long)(amount / unit), suffix);
        if (of > 0)
                cx_buf_printf(to, "%lld%%\t", (long long)((double)amount / (double)of * 100));
}

static void print_usage(const struct top_options *options, const struct usage *used, const struct usage *available,
                        struct cx_buf *to)
{
        print_amount("m", used->milli_cpu, 1, available->milli_cpu, to);
        print_amount("Mi", used->memory, MEBI, available->memory, to);
        if (options->swap && available->memory > 0 && available->swap <= 0) // a node that does not tell
                cx_buf_add(to, "<unknown>\t<unknown>\t");
        else if (options->swap)
                print_amount("Mi", used->swap, MEBI, available->swap, to);
        cx_buf_add_char(to, '\n');
}

static void finish(struct rows *rows, struct cx_buf *text, struct cx_buf *to)
{
        tabs_align(text->data, 6, 3, to);
        free(rows->items);
}

// --- nodes -----------------------------------------------------------------------------------------------------------

void top_print_nodes(const struct top_options *options, const json_t *metrics, const json_t *nodes, struct cx_buf *to)
{
        struct rows rows = {.options = options};
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *node;
        json_array_foreach ((json_t *)metrics, i, node) {
                struct row row = {.name = cx_json_string_or(node, "metadata.name", ""),
                                  .namespace = "",
                                  .used = usage_of(json_object_get(node, "usage"))};
                for (size_t k = 0; k < json_array_size(nodes); k++) {
                        const json_t *other = json_array_get(nodes, k);
                        if (strcmp(cx_json_string_or(other, "metadata.name", ""), row.name) != 0)
                                continue;
                        row.available = usage_of(
                                cx_json_get(other, options->capacity ? "status.capacity" : "status.allocatable"));
                        row.available.swap = cx_json_int(other, "status.nodeInfo.swap.capacity", 0);
                }
                add_row(&rows, &row);
        }
        sort_rows(&rows);
        if (!options->no_headers)
                cx_buf_printf(&text, "NAME\tCPU(cores)\tCPU(%%)\tMEMORY(bytes)\tMEMORY(%%)\t%s\n",
                              options->swap ? "SWAP(bytes)\tSWAP(%)\t" : "");
        for (i = 0; i < rows.count; i++) {
                cx_buf_printf(&text, "%s\t", rows.items[i].name);
                print_usage(options, &rows.items[i].used, &rows.items[i].available, &text);
        }
        json_array_foreach ((json_t *)nodes, i, node) {
                const char *name = cx_json_string_or(node, "metadata.name", "");
                bool known = false;
                for (size_t k = 0; k < rows.count; k++)
                        known = known || strcmp(rows.items[k].name, name) == 0;
                if (!known)
                        cx_buf_printf(&text, "%s\t<unknown>\t<unknown>\t<unknown>\t<unknown>\t%s\n", name,
                                      options->swap ? "<unknown>\t<unknown>\t" : "");
        }
        finish(&rows, &text, to);
}

// --- pods ------------------------------------------------------------------------------------------------------------

static void print_containers(const struct top_options *options, const struct row *pod, struct cx_buf *text)
{
        struct top_options by_name = *options;
        by_name.with_namespace = false;
        struct rows rows = {.options = &by_name};
        size_t i;
        json_t *container;
        json_array_foreach (json_object_get(pod->source, "containers"), i, container)
                add_row(&rows, &(struct row){.namespace = "",
                                             .name = cx_json_string_or(container, "name", ""),
                                             .used = usage_of(json_object_get(container, "usage"))});
        sort_rows(&rows);
        for (i = 0; i < rows.count; i++) {
                if (options->with_namespace)
                        cx_buf_printf(text, "%s\t", pod->namespace);
                cx_buf_printf(text, "%s\t%s\t", pod->name, rows.items[i].name);
                print_usage(options, &rows.items[i].used, &pod->available, text);
        }
        free(rows.items);
}

void top_print_pods(const struct top_options *options, const json_t *metrics, struct cx_buf *to)
{
        struct rows rows = {.options = options};
        struct usage total = {0}, none = {0};
        CX_BUF text = CX_BUF_INIT;
        // Those before the sum's, as upstream counts them: without headers only the name's, and the one of swap, too.
        size_t i, k, columns = 1u + options->swap;
        columns += options->no_headers ? 0u : 0u + options->with_namespace + options->containers;
        json_t *pod, *container;
        json_array_foreach ((json_t *)metrics, i, pod) {
                struct row row = {.namespace = cx_json_string_or(pod, "metadata.namespace", ""),
                                  .name = cx_json_string_or(pod, "metadata.name", ""),
                                  .source = pod};
                json_array_foreach (json_object_get(pod, "containers"), k, container) {
                        struct usage own = usage_of(json_object_get(container, "usage"));
                        add_usage(&row.used, &own);
                }
                add_usage(&total, &row.used);
                add_row(&rows, &row);
        }
        sort_rows(&rows);
        if (!options->no_headers)
                cx_buf_printf(&text, "%s%sNAME\tCPU(cores)\tMEMORY(bytes)\t%s\n",
                              options->with_namespace ? "NAMESPACE\t" : "", options->containers ? "POD\t" : "",
                              options->swap ? "SWAP(bytes)\t" : "");
        for (i = 0; i < rows.count; i++) {
                if (options->containers) {
                        print_containers(options, &rows.items[i], &text);
                        continue;
                }
                if (options->with_namespace)
                        cx_buf_printf(&text, "%s\t", rows.items[i].namespace);
                cx_buf_printf(&text, "%s\t", rows.items[i].name);
                print_usage(options, &rows.items[i].used, &none, &text);
        }
        if (options->sum) {
                for (i = 0; i < columns; i++)
                        cx_buf_add_char(&text, '\t');
                cx_buf_add(&text, "________\t________\t\n");
                for (i = 0; i < columns; i++)
                        cx_buf_add_char(&text, '\t');
                print_usage(options, &total, &none, &text);
        }
        finish(&rows, &text, to);
}
