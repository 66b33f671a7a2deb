// SPDX-License-Identifier: Apache-2.0
// KYAML, the form of YAML that kubectl prints with -o kyaml: flow style, quoted strings, trailing commas.
#pragma once

#include "libcommon/base/buf.h"

#include <jansson.h>

// A document with its "---" and a newline at the end.
void kyaml_dump(const json_t *json, struct cx_buf *to);
