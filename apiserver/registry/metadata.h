// SPDX-License-Identifier: Apache-2.0
// The rules of ObjectMeta that hold for every kind. `begin` comes before mutating admission and refuses what the
// request has wrong, `complete` after it: what clients and plugins may not choose is as the server has it.
#pragma once

#include "apiserver/request/scope.h"

int metadata_begin_create(const struct scope *scope, json_t *object, struct cx_error *err) CX_CHECK;
// Makes a name from generateName, uid and time.
int metadata_complete_create(const struct scope *scope, json_t *object, struct cx_error *err) CX_CHECK;
int metadata_begin_update(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err) CX_CHECK;
// Leaves to a subresource what is its own to change, and to the object the rest.
int metadata_complete_update(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
        CX_CHECK;
// One more when anything but metadata and status differs.
void metadata_count_generation(const struct scope *scope, json_t *object, const json_t *old);
