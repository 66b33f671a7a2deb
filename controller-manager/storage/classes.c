// SPDX-License-Identifier: Apache-2.0
// The part of a class that matters to claims.
#include "controller-manager/storage/classes.h"

#define IS_DEFAULT "storageclass.kubernetes.io/is-default-class"

static void take_class(void *part, const json_t *class)
{
        const json_t *annotations = cx_json_get(class, "metadata.annotations");
        *(struct storage_class *)part = (struct storage_class){
                .provisioner = cx_strdup(cx_json_string_or(class, "provisioner", "")),
                .delays = cx_streq(cx_json_string(class, "volumeBindingMode"), "WaitForFirstConsumer"),
                .is_default = cx_streq(json_string_value(json_object_get(annotations, IS_DEFAULT)), "true")};
}

static void release_class(void *part)
{
        free(((struct storage_class *)part)->provisioner);
}

const struct object_part storage_class_part = {sizeof(struct storage_class), take_class, release_class};

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
