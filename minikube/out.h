// SPDX-License-Identifier: Apache-2.0
// What minikube says to people. Signs (emoji) stand at the beginning of a line on a terminal that shows them; elsewhere, plain
// ones do: * and -, ! for a warning, X for a failure. MINIKUBE_IN_STYLE=true or false decides for itself.
#pragma once

#include "libcommon/base/macro.h"

#include <stdio.h>

// Prints lines, each with a sign and two blanks before it, or none. `to` is stdout or stderr, and is flushed.
void out(FILE *to, const char *format, ...) CX_PRINTF(2, 3);
// A sign within a line: itself, or as many blanks as it takes.
const char *out_sign(FILE *to, const char *sign);
// The text as out() would print it; owned by the caller.
char *out_text(FILE *to, const char *text);
