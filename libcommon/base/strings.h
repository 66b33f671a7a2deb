// SPDX-License-Identifier: Apache-2.0
// A growing list of strings that owns them. Not for sharing between threads without a lock.
#pragma once

#include "libcommon/base/alloc.h"

#include <stdbool.h>
#include <stddef.h>

struct cx_strings {
        char **items; // owned
        size_t count;
};
#define CX_STRINGS_INIT                                                                                                \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_STRINGS CX_CLEANUP(cx_strings_release) struct cx_strings

// The list keeps a copy of what is added.
void cx_strings_add(struct cx_strings *list, const char *text);
void cx_strings_add_length(struct cx_strings *list, const char *text, size_t length);
void cx_strings_split(struct cx_strings *list, const char *text, char separator); // adds the parts, empty ones too
bool cx_strings_has(const struct cx_strings *list, const char *text);
void cx_strings_sort(struct cx_strings *list);                               // by bytes
char *cx_strings_join(const struct cx_strings *list, const char *separator); // owned by the caller
void cx_strings_release(struct cx_strings *list);                            // leaves an empty list

// How many letters have to be changed, added or left out to make one word of the other; 99 for long ones.
size_t cx_edit_distance(const char *a, const char *b);
