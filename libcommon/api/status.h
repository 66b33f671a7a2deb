// SPDX-License-Identifier: Apache-2.0
// metav1.Status ⇄ cx_error.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

json_t *cx_status_from_error(const struct cx_error *err); // new reference; {"kind":"Status",…,"code":404}
int cx_status_http_code(const struct cx_error *err);
// Sets err from a Status body (or, when it is none, from the code and the body's text). Returns err's code.
int cx_error_from_status(struct cx_error *err, int http_code, const char *body, size_t length);
json_t *cx_status_success(const char *group, const char *kind, const char *name, const char *uid);
