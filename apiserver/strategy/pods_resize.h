// SPDX-License-Identifier: Apache-2.0
// The subresource pods/resize: what containers may use is changed while they run.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

// Of a write nothing is taken but the resources and resize policies of containers that are there.
void pods_resize_prepare(json_t *object, const json_t *old);
// Adds what is wrong with the change.
void pods_resize_validate(const json_t *object, const json_t *old, struct cx_error *causes);
