// SPDX-License-Identifier: Apache-2.0
// Patches of an object: JSON patch, JSON merge patch, strategic merge patch.
#pragma once

#include "apiserver/request/write.h"

enum patch_kind { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC };
struct patch {
        enum patch_kind kind;
        const json_t *body;
        const struct cx_duplicates *duplicates; // keys that the body has twice
};
// The compute function of a change whose context is a struct patch.
int patch_compute(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                  struct cx_error *err);
