// SPDX-License-Identifier: Apache-2.0
// The four parts of a line, by the first three blanks.
#include "kubelet/base/log_line.h"

#include <string.h>

bool log_line_parse(const char *line, size_t length, struct log_line *ret_line)
{
        const char *end = line + length, *at[4] = {line};
        for (int i = 1; i < 4; i++) {
                const char *blank = memchr(at[i - 1], ' ', (size_t)(end - at[i - 1]));
                if (!blank)
                        return false;
                at[i] = blank + 1;
        }
        *ret_line = (struct log_line){.stamp = at[0],
                                      .stamp_length = (size_t)(at[1] - at[0]) - 1,
                                      .stream = at[1],
                                      .stream_length = (size_t)(at[2] - at[1]) - 1,
                                      .text = at[3],
                                      .text_length = (size_t)(end - at[3]),
                                      .full = at[2][0] != 'P'};
        return true;
}
