// SPDX-License-Identifier: Apache-2.0
// How objects are written, whoever writes: admission, defaults, validation, ownership of fields, etcd. The registry
// does it; the layers below it (what allocates an address, a quota that counts) reach it through apiserver->writes.
// All block.
#pragma once

#include "apiserver/request/delete_options.h"
#include "apiserver/request/scope.h"

// Makes the new object from the present one (both in the scope's version; NULL: there is none). May be called again
// when somebody else was faster.
typedef int (*change_fn)(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                         struct cx_error *err);
struct change {
        change_fn compute;
        void *context;
        bool fresh;            // from etcd at once, not from the cache at first
        bool create_if_absent; // then compute gets NULL
        bool applying;         // the object comes with the managedFields that it is to have
        bool admitted;         // under another shape (Binding, Scale): not asked for again
};

struct writes {
        // A new object in the scope's resource and namespace. Takes the reference.
        int (*create)(const struct scope *scope, json_t *object_steal, struct stored **ret_stored,
                      struct cx_error *err);
        // ret_created may be NULL.
        int (*update)(const struct scope *scope, const struct change *change, struct stored **ret_stored,
                      bool *ret_created, struct cx_error *err);
        // Deletes or begins to delete. ret_stored: the object as it is now, when it lives on (finalizers, grace); NULL
        // when it is gone, and then ret_uid (owned; may be NULL) is what it was.
        int (*remove)(const struct scope *scope, const struct delete_options *options, struct stored **ret_stored,
                      char **ret_uid, struct cx_error *err);
};
