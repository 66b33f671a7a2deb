// SPDX-License-Identifier: Apache-2.0
// What every layer asks of an object's metadata, and of a kind.
#pragma once

#include "libcommon/schema/schema.h"

bool resource_has_status(const struct cx_resource *resource); // served as a subresource
bool has_finalizers(const json_t *object);
bool is_being_deleted(const json_t *object);
// Is it this resource of this group, in whatever version?
bool is_resource(const struct cx_resource *resource, const char *group, const char *name);
