// SPDX-License-Identifier: Apache-2.0
// The rules of ObjectMeta that hold for every kind.
#pragma once

#include "apiserver/apiserver.h"

// Fills what the server owns in a new object; makes a name from generateName.
int metadata_prepare_create(struct call *call, json_t *object, struct cx_error *err) CX_CHECK;
// Keeps what clients may not change; bumps generation when anything but metadata and status differs.
int metadata_prepare_update(struct call *call, json_t *object, const json_t *old, const char *subresource,
                            struct cx_error *err) CX_CHECK;
bool resource_has_status(const struct cx_resource *resource);
bool has_finalizers(const json_t *object);
bool is_being_deleted(const json_t *object);
// Turns collected causes into one Invalid error; 0 when there are none.
int call_invalid(const struct call *call, const char *name, struct cx_error *causes, struct cx_error *err) CX_CHECK;
