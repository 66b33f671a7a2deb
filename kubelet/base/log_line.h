// SPDX-License-Identifier: Apache-2.0
// One line of a container's log as CRI writes it: "2026-01-02T03:04:05.678901234Z stdout F text".
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct log_line {
        const char *stamp, *stream, *text; // into the line
        size_t stamp_length, stream_length, text_length;
        bool full; // else the next line goes on with the same text
};
// False when the line (without its newline) has another form.
bool log_line_parse(const char *line, size_t length, struct log_line *ret_line);
