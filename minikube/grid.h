// SPDX-License-Identifier: Apache-2.0
// Tables with lines around them, as minikube draws them.
#pragma once

#include "libcommon/base/flags.h"

struct grid {
        size_t columns;
        struct cx_strings cells; // row after row; the first holds the titles
};
#define GRID CX_CLEANUP(grid_release) struct grid
#define GRID_INIT(n)                                                                                                   \
        {                                                                                                              \
                .columns = (n)                                                                                         \
        }
void grid_add(struct grid *grid, const char *cell); // NULL: an empty one
void grid_print(const struct grid *grid);
void grid_release(struct grid *grid);
