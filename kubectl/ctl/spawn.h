// SPDX-License-Identifier: Apache-2.0
// Runs another program on the user's terminal: editors, diff programs, plugins.
#pragma once

#include "libcommon/base/error.h"

// Runs argv (argv[0] is looked up in PATH, NULL-ended) with our own standard streams, and waits. Returns 0 with the exit
// status (128 + signal when killed), or a negative errno when it could not be started; sets no error.
int ctl_spawn(char *const *argv, int *ret_status) CX_CHECK;
