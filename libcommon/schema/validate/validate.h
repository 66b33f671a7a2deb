// SPDX-License-Identifier: Apache-2.0
// What the checks of kinds share: where one is (a path), and adding causes. A check looks at one object of its type;
// it is called wherever such an object occurs, after its fields were checked by their declarations.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/engine.h"

struct cx_validator {
        struct cx_error found; // causes only
        struct cx_buf path;    // of the object that is being checked
        const json_t *root;    // the whole of what is validated
};
typedef void cx_check_fn(struct cx_validator *v, const json_t *object);
struct cx_check {
        const char *type; // "core.v1.PodSpec"
        cx_check_fn *check;
};
// Ended by an entry without type.
extern const struct cx_check cx_checks_meta[], cx_checks_pod[], cx_checks_pod_parts[], cx_checks_workloads[],
        cx_checks_batch[], cx_checks_core[], cx_checks_service[], cx_checks_rbac[], cx_checks_placement[],
        cx_checks_quota[], cx_checks_autoscaling[], cx_checks_ingress[], cx_checks_others[];

// Goes to a part of the object: ".ports[2]"; give the result to cx_leave.
size_t cx_enter(struct cx_validator *v, const char *format, ...) CX_PRINTF(2, 3);
void cx_leave(struct cx_validator *v, size_t length);

// `field` is relative to the path; "" is the object itself.
void cx_required(struct cx_validator *v, const char *field, const char *detail); // detail may be NULL
void cx_invalid(struct cx_validator *v, const char *field, const json_t *value, const char *detail);
void cx_invalid_part(struct cx_validator *v, const char *field, const char *detail); // without showing it
void cx_invalid_text(struct cx_validator *v, const char *field, const char *value, const char *detail);
void cx_unsupported(struct cx_validator *v, const char *field, const char *value, const char *const *supported);
void cx_duplicate(struct cx_validator *v, const char *field, const json_t *value);
void cx_forbidden(struct cx_validator *v, const char *field, const char *detail);
void cx_not_found(struct cx_validator *v, const char *field, const char *value);
void cx_too_long(struct cx_validator *v, const char *field, size_t bytes);
void cx_too_many(struct cx_validator *v, const char *field, size_t count, size_t most);
// Invalid when `rule` (api/names.h) says so; absent and "" are fine.
void cx_check_text(struct cx_validator *v, const json_t *object, const char *field, const char *(*rule)(const char *));
// The same of each text in a list.
void cx_check_texts(struct cx_validator *v, const json_t *object, const char *field, const char *(*rule)(const char *));
