// SPDX-License-Identifier: Apache-2.0
// Prints meta.k8s.io/v1 Tables as `kubectl get` does: columns padded to their widest cell, which is remembered from one
// call to the next (watches).
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/strings.h"

#include <jansson.h>

struct table_printer {
        bool wide, no_headers, show_labels, with_namespace;
        const struct cx_strings *label_columns; // borrowed; may be NULL
        const char *event;                      // not NULL: an EVENT column with this value
        const char *kind;                       // not NULL: names are shown as KIND/NAME
        json_t *columns;                        // of the last table that had some; owned
        bool header_done;
        size_t *widths, n_widths;
};
void table_printer_release(struct table_printer *printer);
void table_print(struct table_printer *printer, const json_t *table, struct cx_buf *to);
