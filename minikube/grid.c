// SPDX-License-Identifier: Apache-2.0
// Draws tables; titles stand in the middle of their columns.
#include "minikube/grid.h"

#include <stdio.h>

void grid_add(struct grid *table, const char *cell)
{
        cx_strings_add(&table->cells, cx_str(cell));
}

static size_t width_of(const struct grid *table, size_t column)
{
        size_t width = 0;
        for (size_t i = column; i < table->cells.count; i += table->columns)
                if (strlen(table->cells.items[i]) > width)
                        width = strlen(table->cells.items[i]);
        return width;
}

static void print_rule(const struct grid *table)
{
        for (size_t i = 0; i < table->columns; i++) {
                putchar('|');
                for (size_t j = 0; j < width_of(table, i) + 2; j++)
                        putchar('-');
        }
        puts("|");
}

void grid_print(const struct grid *table)
{
        print_rule(table);
        for (size_t i = 0; i < table->cells.count; i++) {
                size_t width = width_of(table, i % table->columns), room = width - strlen(table->cells.items[i]);
                size_t before = i < table->columns ? room / 2 : 0;
                printf("| %*s%s%*s ", (int)before, "", table->cells.items[i], (int)(room - before), "");
                if (i % table->columns == table->columns - 1)
                        puts("|");
                if (i == table->columns - 1)
                        print_rule(table);
        }
        print_rule(table);
}

void grid_release(struct grid *table)
{
        cx_strings_release(&table->cells);
}
