// SPDX-License-Identifier: Apache-2.0
// Tables with lines around them, as minikube draws them.
#pragma once

#include "libcommon/base/flags.h"

struct table {
        size_t columns;
        struct cx_strings cells; // row after row; the first holds the titles
};
#define TABLE CX_CLEANUP(table_release) struct table
#define TABLE_INIT(n)                                                                                                  \
        {                                                                                                              \
                .columns = (n)                                                                                         \
        }
void table_add(struct table *table, const char *cell); // NULL: an empty one
void table_print(const struct table *table);
void table_release(struct table *table);
