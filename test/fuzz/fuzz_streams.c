// SPDX-License-Identifier: Apache-2.0
// What the channels of exec and attach carry besides data: the terminal's size, and the status at the end.
#include "libcommon/net/streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_BUF text = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int width = 1, height = 1, code = 0;
        cx_buf_append(&text, data, size);
        if (cx_stream_size_parse(&text, &width, &height) &&
            (width < 0 || width > 65535 || height < 0 || height > 65535))
                abort();
        (void)!cx_stream_status_parse(&text, &code, &err);
        return 0;
}
