// SPDX-License-Identifier: Apache-2.0
// Server-side apply: the object is what its managers have applied, each the fields that it owns.
#pragma once

#include "apiserver/request/write.h"

struct apply_config {
        const json_t *config;
        bool force; // takes fields from others instead of a conflict
};
// Refuses what cannot be applied under the scope's name, and takes out what an apply does not speak of.
int apply_check(const struct scope *scope, json_t *config, struct cx_error *err) CX_CHECK;
// The compute function of a change whose context is a struct apply_config.
int apply_compute(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                  struct cx_error *err);
