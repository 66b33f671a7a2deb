// SPDX-License-Identifier: Apache-2.0
// Defaults that depend on other fields: a function for each type that is marked `conditional` in the *.api files. It
// runs after the type's declared defaults and before those of the objects inside it, so that what it makes is filled.
#pragma once

#include "libcommon/schema/engine.h"

typedef void cx_default_fn(json_t *object);
struct cx_conditional_default {
        const char *type; // "core.v1.PodSpec"
        cx_default_fn *set;
};
// Ended by an entry without type.
extern const struct cx_conditional_default cx_defaults_core[], cx_defaults_service[], cx_defaults_workloads[],
        cx_defaults_others[];

// Sets `key` when it is absent; steals `value`.
void cx_default_set_new(json_t *object, const char *key, json_t *value);
// The string at `key`; "" when absent.
const char *cx_default_string(const json_t *object, const char *key);
