// SPDX-License-Identifier: Apache-2.0
// Conversion between versions of a kind. Most versions differ in nothing but their name; events and horizontal pod
// autoscalers have a hook that does more.
#pragma once

#include "libcommon/schema/schema.h"

struct conversion {
        // In place, into the version of `to`; apiVersion is set already.
        void (*object)(json_t *object, const struct cx_resource *to);
        // The name that a selectable field of the other version has in `to`; owned by the caller. May be NULL.
        char *(*field)(const char *field, const struct cx_resource *to);
};
// Of a built-in resource; NULL when its versions differ in apiVersion only.
const struct conversion *conversion_of(const struct cx_resource *resource);

bool is_same_version(const struct cx_resource *a, const struct cx_resource *b);
// In place, from whatever version the object says it has. Does nothing when that is the one of `to`.
void convert(const struct conversion *conversion, json_t *object, const struct cx_resource *to);
// The same for an object that must not change: a new reference to it where nothing is to be done, else a converted
// copy.
json_t *converted(const struct conversion *conversion, json_t *object, const struct cx_resource *to);
