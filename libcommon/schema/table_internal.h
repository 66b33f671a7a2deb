// SPDX-License-Identifier: Apache-2.0
// How cells are made, one for each of the kind's columns (*.api files), in their order: by a table of fields where each
// cell is the value of one, else by a function. The words are upstream's, as kubectl shows them.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/engine.h"

struct cx_row {
        json_t *cells;
        int64_t now; // µs
};
typedef void cx_print_fn(struct cx_row *row, const json_t *object);
enum cx_cell_source {
        CX_CELL_END,
        CX_CELL_NAME,
        CX_CELL_AGE,
        CX_CELL_TEXT,  // of the path, or `otherwise` when it is absent or empty
        CX_CELL_INT,   // 0 when absent
        CX_CELL_BOOL,  // false when absent
        CX_CELL_COUNT, // how many the list or map at the path has
};
struct cx_cell_rule {
        enum cx_cell_source source;
        const char *path, *otherwise; // dots between members; otherwise NULL: ""
};
struct cx_printer {
        const char *type; // "core.v1.Pod"
        cx_print_fn *print;
        const struct cx_cell_rule *cells; // instead of print; ended by CX_CELL_END
};
// Ended by an entry without type.
extern const struct cx_printer cx_printers_pod[], cx_printers_core[], cx_printers_workloads[], cx_printers_net[],
        cx_printers_others[];

void cx_cell(struct cx_row *row, const char *text);                           // NULL as ""
void cx_cell_or(struct cx_row *row, const char *text, const char *otherwise); // when NULL or ""
void cx_cell_printf(struct cx_row *row, const char *format, ...) CX_PRINTF(2, 3);
void cx_cell_int(struct cx_row *row, int64_t value);
void cx_cell_bool(struct cx_row *row, bool value);
void cx_cell_steal(struct cx_row *row, char *text_steal);
void cx_cell_at(struct cx_row *row, const json_t *object, const char *path, const char *otherwise);
void cx_cell_name(struct cx_row *row, const json_t *object);
void cx_cell_age(struct cx_row *row, const json_t *object);                     // since creation
void cx_cell_since(struct cx_row *row, const json_t *object, const char *path); // "<unknown>" when absent
// Containers and images of a pod spec: two cells.
void cx_cell_containers(struct cx_row *row, const json_t *pod_spec);
void cx_cell_label_selector(struct cx_row *row, const json_t *selector);
void cx_cell_labels(struct cx_row *row, const json_t *map);

// "5m" since the RFC 3339 moment; "<unknown>" when it is none. Owned.
char *cx_since_text(int64_t now, const char *moment);
// Strings of a list, or of a member of each item of a list, joined. Owned.
char *cx_join_list(const json_t *list, const char *member, const char *separator);
