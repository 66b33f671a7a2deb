// SPDX-License-Identifier: Apache-2.0
#include "libcommon/net/jwt.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        memcpy(text, data, size);
        json_t *claims = NULL;
        (void)!cx_jwt_verify(text, NULL, 0, 0, &claims, NULL);
        return 0;
}
