// SPDX-License-Identifier: Apache-2.0
// What a plain YAML scalar is, by the rules of YAML 1.1 as go-yaml reads it: underscores in numbers, 0x, 0o, 0b and leading
// zeros, floats without digits before or behind the point, infinities; timestamps and numbers to the base of 60 stay
// text. Any thread may call.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cx_yaml_kind {
        CX_YAML_TEXT,
        CX_YAML_NULL,
        CX_YAML_BOOL,
        CX_YAML_INT,
        CX_YAML_FLOAT, // of any size, also infinite or no number
        CX_YAML_MERGE, // the key "<<"
};
struct cx_yaml_scalar {
        enum cx_yaml_kind kind;
        int64_t integer; // of a boolean: 0 or 1
        double real;
};
struct cx_yaml_scalar cx_yaml_resolve(const char *text, size_t length);
// Whether a writer must quote the text, for this or another reader would take it for something else.
bool cx_yaml_is_taken(const char *text, size_t length);
