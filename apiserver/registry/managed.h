// SPDX-License-Identifier: Apache-2.0
// Who owns which fields: metadata.managedFields (KEP-555). Ownership is kept for objects that server-side apply has
// touched. Of an object without it, the first apply gives everything that is there to "before-first-apply", as upstream
// does for objects from before its time; writes to other objects cost nothing.
#pragma once

#include "apiserver/request/scope.h"

// For a write that is not an apply: the request's managedFields count when they are an empty list (ownership is
// forgotten) or a well-formed list; else what is stored stays.
void managed_keep(json_t *metadata, const json_t *old_metadata);
// What the write has changed belongs to the scope's manager from now on.
void managed_update(const struct scope *scope, json_t *object, const json_t *old);

// The object that follows when the scope's manager applies `config` to `live` (NULL: there is none), with its
// managedFields. Conflicts with other owners are an error (409, a cause a field) unless `force`.
int managed_apply(const struct scope *scope, const json_t *live, const json_t *config, bool force, json_t **ret_object,
                  struct cx_error *err) CX_CHECK;
