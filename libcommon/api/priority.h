// SPDX-License-Identifier: Apache-2.0
// The priority classes that every cluster has. Nobody else's name may begin with "system-".
#pragma once

#include <stdint.h>

#define CX_SYSTEM_PRIORITY_PREFIX "system-"

struct cx_priority_class {
        const char *name, *description;
        int64_t value;
};
extern const struct cx_priority_class cx_system_priority_classes[2];
const struct cx_priority_class *cx_system_priority_class(const char *name); // NULL: there is none of this name
