// SPDX-License-Identifier: Apache-2.0
// What the shared informers keep of an object in place of its JSON. Controllers share an informer and need different
// things of its objects, so each declares the part that it needs, and the informer keeps all parts that were declared:
// no controller drops what another needs, and nothing is kept for one that does not run.
//
// Parts are declared before the informer starts and read by any thread.
#pragma once

#include "libcommon/client/object.h"

struct object_part {
        size_t size;
        void (*take)(void *part, const json_t *object); // fills the part (zeroed); keeps nothing of the tree
        void (*release)(void *part);                    // NULL: take allocates nothing
};

struct object_parts; // of one informer
struct object_parts *object_parts_new(void);
void object_parts_free(struct object_parts *self);                                // after the last object
void object_parts_add(struct object_parts *self, const struct object_part *part); // the same one again: no effect

// For struct cx_informer_options; the context is a struct object_parts.
void *object_parts_project(void *context, const json_t *object);
void object_parts_free_projection(void *projection);

// The part of an object; never NULL. It is a bug to ask for one that was not declared (the process aborts).
const void *object_part(const struct cx_object *object, const struct object_part *part);
