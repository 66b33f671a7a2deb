// SPDX-License-Identifier: Apache-2.0
// Paths into an object's JSON: names with dots between them, "[]" after the name of an array whose elements are meant
// ("spec.containers[].resources"); the last is a plain name. A list of paths ends with NULL.
#pragma once

#include "libcommon/base/buf.h"

#include <jansson.h>
#include <stdbool.h>

// Whether everything that `inner` names is below `outer`.
bool field_covers(const char *outer, const char *inner);
// A path taken apart. It borrows from the text.
#define FIELD_STEPS 8
struct field_path {
        const char *path;
        struct field_step {
                const char *name;
                size_t length;
                bool each; // of the elements of the array
        } steps[FIELD_STEPS];
        size_t count;
};
struct field_path field_parse(const char *path);
// Adds the text of what a path names: two objects give the same text only when they have the same there.
void field_write(const struct field_path *field, const json_t *object, struct cx_buf *to);
// An object that has what these paths name, and nothing else. New; its leaves are those of `object`.
json_t *fields_view(const char *const *paths, const json_t *object);
