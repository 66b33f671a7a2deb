// SPDX-License-Identifier: Apache-2.0
// Helper processes (conmon, runc, network plugins, a pause process in the making) that a kubelet which was killed, or one of
// them that was, left at work. They are known by what only they carry: the container's id among their arguments or in
// their environment. Looking walks /proc: for the paths of failure and recovery only.
#pragma once

#include "libcommon/base/error.h"

#include <stdbool.h>

// Whether a process lives that runs one of `programs` (NULL-ended; as argv[0], or as the script that argv[0] interprets)
// and has `argument` among its arguments.
bool strays_exist(const char *const *programs, const char *argument);
// Ends all such, and waits until they are gone (at most five seconds: one may hang in the kernel).
void strays_kill(const char *const *programs, const char *argument);
// Ends all whose environment has `variable` ("NAME=value"), and waits likewise.
void strays_kill_by_variable(const char *variable);
