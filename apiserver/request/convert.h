// SPDX-License-Identifier: Apache-2.0
// Conversion between versions of the few kinds that are served in more than one: events and horizontal pod autoscalers.
#pragma once

#include "libcommon/schema/schema.h"

// The name that a selectable field of `from` has in `to`; owned by the caller.
char *convert_field(const char *field, const struct cx_resource *from, const struct cx_resource *to);
// In place, between the API versions of two resources that share their storage. Does nothing where they are the same.
void convert(json_t *object, const struct cx_resource *from, const struct cx_resource *to);
// The same for an object that must not change: a new reference to it where nothing is to be done, else a converted copy.
json_t *converted(json_t *object, const struct cx_resource *from, const struct cx_resource *to);
