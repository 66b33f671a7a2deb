// SPDX-License-Identifier: Apache-2.0
// Making one of the system's objects.
#pragma once

#include "apiserver/request/scope.h"

// Creates the object (kind and apiVersion are filled in) where there is none. Takes the reference.
int ensure_object(struct apiserver *api, const struct served_kind *kind, json_t *object_steal, struct cx_error *err)
        CX_CHECK;
