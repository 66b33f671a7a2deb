// SPDX-License-Identifier: Apache-2.0
// Refusals in upstream's sentences. All return a negative errno and set `err`, but for what says otherwise.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/schema/schema.h"

// "pods" or "deployments.apps": how upstream names a resource in messages.
void qualified_resource(const struct cx_resource *resource, char to[512]);
int object_not_found(const struct cx_resource *resource, const char *name, struct cx_error *err);
int object_forbidden(const struct cx_resource *resource, const char *name, const char *why, struct cx_error *err);
int object_exists(const struct cx_resource *resource, const char *name, struct cx_error *err);
// "Operation cannot be fulfilled on pods "x": …"
int object_conflict(const struct cx_resource *resource, const char *name, const char *why, struct cx_error *err);
// One Invalid error from what was collected in `causes`; 0 when there are none.
int object_invalid(const char *group, const char *kind, const char *name, const struct cx_error *causes,
                   struct cx_error *err) CX_CHECK;
int not_served(struct cx_error *err);
int method_not_allowed(struct cx_error *err);
