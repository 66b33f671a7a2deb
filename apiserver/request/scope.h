// SPDX-License-Identifier: Apache-2.0
// One action on the API without its transport: who acts, on what, where, and under which options. Strategies, admission
// and the registry work on this alone, so that a client's request and the server's own writes go through the same chain.
// It is a plain value whose parts are borrowed: copy it to act on something else.
#pragma once

#include "apiserver/request/apiserver.h"
#include "apiserver/request/user.h"
#include "libcommon/schema/engine.h"

struct scope {
        struct apiserver *api;
        const struct user *user;
        const struct cx_resource *resource;
        const char *subresource; // NULL: the object itself
        const char *namespace;   // "": cluster-scoped, or all namespaces
        const char *name;        // "": many objects, or a new one that has no name yet
        const char *manager;     // who owns the fields that are written (metadata.managedFields)
        enum cx_field_validation field_validation;
        bool dry_run;
        struct cx_strings *warnings; // for whoever asked; NULL: nobody reads them
};

// What the server itself does, as upstream's system:apiserver. `namespace` may be NULL.
struct scope scope_own(struct apiserver *api, const struct cx_resource *resource, const char *namespace,
                       const char *name);
