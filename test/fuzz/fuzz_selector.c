// SPDX-License-Identifier: Apache-2.0
#include "libcommon/api/selector.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        memcpy(text, data, size);
        CX_SELECTOR labels = CX_SELECTOR_INIT, fields = CX_SELECTOR_INIT;
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        if (cx_selector_parse_labels(text, &labels, NULL) == 0)
                cx_selector_format(&labels, &out);
        (void)!cx_selector_parse_fields(text, &fields, NULL);
        return 0;
}
