// SPDX-License-Identifier: Apache-2.0
// The list splitter and the member scanner over any bytes, in blocks whose size the first byte gives.
#include "libcommon/client/json_scan.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *context, const char *text, size_t length)
{
        (void)context;
        return length && text[length - 1] == 'X' ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!size)
                return 0;
        size_t block = data[0] + 1u;
        const char *text = (const char *)data + 1;
        size--;
        struct cx_list_splitter splitter;
        cx_list_splitter_init(&splitter, take, NULL);
        for (size_t i = 0; i < size; i += block)
                if (cx_list_splitter_feed(&splitter, text + i, size - i < block ? size - i : block) < 0)
                        break;
        cx_list_splitter_release(&splitter);
        const char *value;
        size_t length;
        if (cx_json_scan_member(text, size, "object", &value, &length) == 0 &&
            (value < text || value + length > text + size))
                __builtin_trap();
        return 0;
}
