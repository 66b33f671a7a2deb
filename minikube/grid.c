// SPDX-License-Identifier: Apache-2.0
// Draws tables; titles stand in the middle of their columns.
#include "minikube/grid.h"

#include <stdio.h>

void grid_add(struct grid *grid, const char *cell)
{
        cx_strings_add(&grid->cells, cx_str(cell));
}

static size_t width_of(const struct grid *grid, size_t column)
{
        size_t width = 0;
        for (size_t i = column; i < grid->cells.count; i += grid->columns)
                if (strlen(grid->cells.items[i]) > width)
                        width = strlen(grid->cells.items[i]);
        return width;
}

static void print_rule(const struct grid *grid)
{
        for (size_t i = 0; i < grid->columns; i++) {
                putchar('|');
                for (size_t j = 0; j < width_of(grid, i) + 2; j++)
                        putchar('-');
        }
        puts("|");
}

void grid_print(const struct grid *grid)
{
        print_rule(grid);
        for (size_t i = 0; i < grid->cells.count; i++) {
                size_t width = width_of(grid, i % grid->columns), room = width - strlen(grid->cells.items[i]);
                size_t before = i < grid->columns ? room / 2 : 0;
                printf("| %*s%s%*s ", (int)before, "", grid->cells.items[i], (int)(room - before), "");
                if (i % grid->columns == grid->columns - 1)
                        puts("|");
                if (i == grid->columns - 1)
                        print_rule(grid);
        }
        print_rule(grid);
}

void grid_release(struct grid *grid)
{
        cx_strings_release(&grid->cells);
}
