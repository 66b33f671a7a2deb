// SPDX-License-Identifier: Apache-2.0
// Admission plugins as a table. Mutating ones run before defaults and validation, validating ones after. They may read
// the caches but block on nothing else.
#pragma once

#include "apiserver/apiserver.h"

enum admission_operation { ADMIT_CREATE = 1, ADMIT_UPDATE = 2, ADMIT_DELETE = 4, ADMIT_CONNECT = 8 };

struct admission_request {
        struct call *call;
        enum admission_operation operation;
        const char *subresource; // NULL: the object itself
        const char *name;        // may be NULL for generated names
        json_t *object;          // new object; NULL for deletions
        const json_t *old;       // NULL for creations
};

struct admission_plugin {
        const char *name;
        unsigned operations;
        int (*mutate)(struct admission_request *request, struct cx_error *err);
        int (*validate)(struct admission_request *request, struct cx_error *err);
        bool off_by_default;
};

// Forbids the request; the sentence names the object, as far as it has a name yet. Always negative.
int admission_forbid(const struct admission_request *request, const char *why, struct cx_error *err);
int admit_mutating(struct admission_request *request, struct cx_error *err) CX_CHECK;
int admit_validating(struct admission_request *request, struct cx_error *err) CX_CHECK;

extern const struct admission_plugin admission_namespace_lifecycle, admission_service_account,
        admission_default_toleration_seconds, admission_node_restriction, admission_priority, admission_taint_nodes;
