// SPDX-License-Identifier: Apache-2.0
// The keys of a JSON object in order, for everything that is printed sorted.
#pragma once

#include <jansson.h>

// Sorted, ended by NULL; the array is owned by the caller, the keys are the object's.
const char **sorted_keys(const json_t *object);
