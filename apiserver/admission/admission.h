// SPDX-License-Identifier: Apache-2.0
// Admission plugins as a table. Mutating ones run before defaults and validation, validating ones after. They may read
// the caches but block on nothing else.
#pragma once

#include "apiserver/apiserver.h"

enum cx_admission_operation { CX_ADMIT_CREATE = 1, CX_ADMIT_UPDATE = 2, CX_ADMIT_DELETE = 4, CX_ADMIT_CONNECT = 8 };

struct cx_admission_request {
        struct cx_call *call;
        enum cx_admission_operation operation;
        const char *subresource; // NULL: the object itself
        const char *name;        // may be NULL for generated names
        json_t *object;          // new object; NULL for deletions
        const json_t *old;       // NULL for creations
};

struct cx_admission_plugin {
        const char *name;
        unsigned operations;
        int (*mutate)(struct cx_admission_request *request, struct cx_error *err);
        int (*validate)(struct cx_admission_request *request, struct cx_error *err);
        bool off_by_default;
};

// Forbids the request; the sentence names the object, as far as it has a name yet. Always negative.
int cx_admission_forbid(const struct cx_admission_request *request, const char *why, struct cx_error *err);
int cx_admit_mutating(struct cx_admission_request *request, struct cx_error *err) CX_CHECK;
int cx_admit_validating(struct cx_admission_request *request, struct cx_error *err) CX_CHECK;

extern const struct cx_admission_plugin cx_admission_namespace_lifecycle, cx_admission_service_account,
        cx_admission_default_toleration_seconds, cx_admission_node_restriction, cx_admission_priority,
        cx_admission_taint_nodes;
