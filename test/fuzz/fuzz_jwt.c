// SPDX-License-Identifier: Apache-2.0
#include "net/jwt.h"

#include "base/alloc.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        memcpy(text, data, size);
        json_t *claims = NULL;
        (void)!cx_jwt_verify(text, NULL, 0, 0, &claims, NULL);
        return 0;
}
