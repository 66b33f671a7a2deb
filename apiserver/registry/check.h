// SPDX-License-Identifier: Apache-2.0
// Whether an object may be stored: what the schema says, what its kind's strategy says, what this server was told.
#pragma once

#include "apiserver/request/scope.h"

// `old`: NULL for a new object.
int check_object(const struct scope *scope, const json_t *object, const json_t *old, struct cx_error *err) CX_CHECK;
