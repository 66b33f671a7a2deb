// SPDX-License-Identifier: Apache-2.0
// Expansion of $(NAME), as commands, arguments, variables and subPathExpr have it. Pure; any thread.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/flags.h"

// Expands $(NAME) from "NAME=value" strings; $$ is a dollar sign; unknown names stay as they are. Owned by the caller.
char *expand(const char *text, const struct cx_strings *env);
// The first $(NAME) in it that is unknown; owned by the caller, NULL when all are known.
char *expand_missing(const char *text, const struct cx_strings *env);
// The value of a variable whose name has that length; borrowed or NULL. The last of several counts.
const char *expand_lookup(const struct cx_strings *env, const char *name, size_t length);
