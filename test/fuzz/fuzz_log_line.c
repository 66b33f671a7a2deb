// SPDX-License-Identifier: Apache-2.0
// Lines of containers' logs: the fields lie inside the line.
#include "kubelet/base/log_line.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *line = (const char *)data, *end = line + size;
        struct log_line l;
        if (log_line_parse(line, size, &l) && (l.stamp != line || l.stream + l.stream_length >= l.text ||
                                               l.text + l.text_length != end || l.stamp + l.stamp_length >= l.stream))
                abort();
        return 0;
}
