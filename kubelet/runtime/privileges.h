// SPDX-License-Identifier: Apache-2.0
// What checking and building a container's security have in common.
#pragma once

#include <stdbool.h>

#define SUPPLEMENTAL_GROUPS_MAX 256 // of a container, those of its image included

bool capability_known(const char *name); // in any case, with "CAP_" or without; "ALL"
