// SPDX-License-Identifier: Apache-2.0
// The body of a request as JSON, from whatever its content type says.
#pragma once

#include "apiserver/request/call.h"

// Checked against `kind` and its type, as strictly as the call asks for.
int decode_body(struct call *call, const struct cx_kind *kind, json_t **ret_object, struct cx_error *err) CX_CHECK;
// Without any schema: for patches.
int decode_any(struct call *call, json_t **ret_json, struct cx_error *err) CX_CHECK;
