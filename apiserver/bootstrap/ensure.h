// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apiserver/request/scope.h"

// Creates the object (kind and apiVersion are filled in) where there is none. Takes the reference.
int ensure_object(struct apiserver *api, const struct cx_resource *resource, json_t *object_steal, struct cx_error *err)
        CX_CHECK;
