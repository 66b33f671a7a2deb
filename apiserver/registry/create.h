// SPDX-License-Identifier: Apache-2.0
// Creating with an option that only updates need; for the files of the registry.
#pragma once

#include "apiserver/request/write.h"

// As registry_create (registry.h). `applying`: the object comes with the managedFields that it is to have.
int create_new(const struct scope *scope, json_t *object_steal, bool applying, struct stored **ret_stored,
               struct cx_error *err) CX_CHECK;
