// SPDX-License-Identifier: Apache-2.0
// Turns the API descriptions (libcommon/schema/*.api) into C tables: schema_gen OUTPUT INPUT...
#include "libcommon/schema/gen/schema_gen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void fail(struct where at, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fprintf(stderr, "%s:%d: ", at.file, at.line);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        exit(1);
}
void *grow(void *array, size_t *count, size_t size)
{
        char *p = realloc(array, (*count + 1) * size);
        if (!p)
                abort();
        memset(p + *count * size, 0, size);
        (*count)++;
        return p;
}

char *text(const char *format, ...)
{
        va_list args;
        char *p;
        va_start(args, format);
        if (vasprintf(&p, format, args) < 0)
                abort();
        va_end(args);
        return p;
}

void add(struct list *list, const char *item)
{
        PUSH(list->items, list->count) = text("%s", item);
}

int main(int argc, char **argv)
{
        if (argc < 3) {
                fputs("usage: schema_gen OUTPUT INPUT...\n", stderr);
                return 2;
        }
        struct api api = {0};
        for (int i = 2; i < argc; i++)
                read_file(&api, argv[i]);
        link_names(&api);
        FILE *out = fopen(argv[1], "we");
        if (!out) {
                perror(argv[1]);
                return 1;
        }
        print_tables(&api, out);
        if (fclose(out) != 0) {
                perror(argv[1]);
                return 1;
        }
        return 0;
}
