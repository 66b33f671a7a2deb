// SPDX-License-Identifier: Apache-2.0
// version.Info, as /version and `kubectl version` show it.
#pragma once

#include <jansson.h>

// With the commit of the build and its date (Makefile, build_info.h). New reference.
json_t *cx_version_info(const char *git_version);
