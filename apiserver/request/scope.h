// SPDX-License-Identifier: Apache-2.0
// One action on the API without its transport: who acts, on what, where, and under which options. Strategies,
// admission and the registry work on this alone, so that a client's request and the server's own writes go through the
// same chain. It is a plain value whose parts are borrowed: copy it to act on something else.
#pragma once

#include "apiserver/request/apiserver.h"
#include "apiserver/request/user.h"
#include "libcommon/schema/engine.h"

struct scope {
        struct apiserver *api;
        const struct user *user;
        const struct served_kind *kind;
        const struct cx_resource *resource; // of the kind
        const char *subresource;            // NULL: the object itself
        const char *namespace;              // "": cluster-scoped, or all namespaces
        const char *name;                   // "": many objects, or a new one that has no name yet
        const char *manager;                // who owns the fields that are written (metadata.managedFields)
        enum cx_field_validation field_validation;
        bool dry_run;
        struct cx_strings *warnings; // for whoever asked; NULL: nobody reads them
        // For the audit log: keys, each followed by its value; NULL: it does not tell of this.
        struct cx_strings *annotations;
};

// What the server itself does, as upstream's system:apiserver. `namespace` may be NULL.
struct scope scope_own(struct apiserver *api, const struct served_kind *kind, const char *namespace, const char *name);
// Tells whoever asked, once.
void scope_warn(const struct scope *scope, const char *text);
// Tells the audit log. What was said first of a key stays, as an object may come to admission twice.
void scope_annotate(const struct scope *scope, const char *key, const char *value);
// The cached object that the scope names; new reference or NULL.
struct stored *scope_find(const struct scope *scope);
json_t *scope_find_json(const struct scope *scope);
// As it is in etcd now. NOT_FOUND in upstream's sentence.
int scope_read(const struct scope *scope, struct stored **ret_stored, struct cx_error *err) CX_CHECK;
