// SPDX-License-Identifier: Apache-2.0
// A growing list of strings.
#include "libcommon/base/strings.h"

#include "libcommon/base/buf.h"

#include <string.h>

void cx_strings_add_length(struct cx_strings *list, const char *text, size_t length)
{
        list->items = cx_realloc_array(list->items, list->count + 1, sizeof *list->items);
        list->items[list->count++] = cx_strndup(text, length);
}

void cx_strings_add(struct cx_strings *list, const char *text)
{
        cx_strings_add_length(list, text, strlen(text));
}

void cx_strings_split(struct cx_strings *list, const char *text, char separator)
{
        for (;;) {
                const char *end = strchrnul(text, separator);
                cx_strings_add_length(list, text, (size_t)(end - text));
                if (!*end)
                        return;
                text = end + 1;
        }
}

bool cx_strings_has(const struct cx_strings *list, const char *text)
{
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i], text) == 0)
                        return true;
        return false;
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void cx_strings_sort(struct cx_strings *list)
{
        if (list->count)
                qsort(list->items, list->count, sizeof *list->items, compare);
}

char *cx_strings_join(const struct cx_strings *list, const char *separator)
{
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < list->count; i++) {
                if (i)
                        cx_buf_add(&text, separator);
                cx_buf_add(&text, list->items[i]);
        }
        return cx_buf_detach(&text);
}

void cx_strings_release(struct cx_strings *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct cx_strings)CX_STRINGS_INIT;
}

size_t cx_edit_distance(const char *a, const char *b)
{
        size_t n = strlen(a), m = strlen(b), row[64];
        if (n > 60 || m > 60)
                return 99;
        for (size_t j = 0; j <= m; j++)
                row[j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t diagonal = row[0];
                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t change = diagonal + (a[i - 1] != b[j - 1]);
                        diagonal = row[j];
                        size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
                        row[j] = least < change ? least : change;
                }
        }
        return row[m];
}
