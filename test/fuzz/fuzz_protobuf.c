// SPDX-License-Identifier: Apache-2.0
#include "libcommon/schema/protobuf.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        memcpy(text, data, size);
        json_t *object = NULL;
        if (cx_protobuf_decode(data, size, &object, NULL) == 0)
                json_decref(object);
        return 0;
}
