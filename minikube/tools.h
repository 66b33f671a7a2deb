// SPDX-License-Identifier: Apache-2.0
// Programs of others that a cluster needs.
#pragma once

#include "libcommon/base/error.h"

// -ENOPKG, with the package to install, when the program is not in PATH.
int tool_check(const char *program, const char *package, struct cx_error *err) CX_CHECK;
