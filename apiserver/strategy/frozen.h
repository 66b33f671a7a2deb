// SPDX-License-Identifier: Apache-2.0
// Parts of objects that may not change once they are stored.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/schema/schema.h"

// Adds a cause for each part of `object` that may not differ from `old` and does.
void check_frozen(const struct cx_resource *resource, const json_t *object, const json_t *old, struct cx_error *causes);
