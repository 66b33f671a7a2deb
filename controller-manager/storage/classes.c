// SPDX-License-Identifier: Apache-2.0
// The part of a class that matters to claims.
#include "controller-manager/storage/classes.h"

static void take_class(void *part, const json_t *class)
{
        cx_storage_class_parse(class, part);
}

static void release_class(void *part)
{
        cx_storage_class_release(part);
}

const struct object_part storage_class_part = {sizeof(struct cx_storage_class), take_class, release_class};

const struct cx_object *default_storage_class(struct cx_informer *classes)
{
        const struct cx_object *best = NULL;
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(classes, NULL, &all);
        for (size_t i = 0; i < all.count; i++) {
                const struct cx_object *class = all.items[i];
                if (STORAGE_CLASS(class)->is_default &&
                    (!best || class->created > best->created ||
                     (class->created == best->created && strcmp(class->name, best->name) < 0)))
                        best = class;
        }
        return best ? cx_object_ref(best) : NULL;
}
