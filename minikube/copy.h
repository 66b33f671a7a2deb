// SPDX-License-Identifier: Apache-2.0
// Copying whole files. `name` is minikube's name for what fails.
#pragma once

#include "libcommon/base/error.h"

#include <sys/types.h>

// From where `in` stands to its end.
int copy_all(int in, int out, const char *from, const char *name, struct cx_error *err) CX_CHECK;
// From its beginning, into <to>.part, which then becomes `to`: whoever looks sees the whole file or none.
int copy_file(int in, const char *from, const char *to, mode_t mode, const char *name, struct cx_error *err) CX_CHECK;
