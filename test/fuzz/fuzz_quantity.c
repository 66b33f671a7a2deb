// SPDX-License-Identifier: Apache-2.0
#include "libcommon/api/quantity.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        memcpy(text, data, size);
        struct cx_quantity quantity;
        char out[CX_QUANTITY_TEXT];
        if (cx_quantity_parse(text, &quantity) == 0)
                cx_quantity_format(&quantity, out);
        return 0;
}
