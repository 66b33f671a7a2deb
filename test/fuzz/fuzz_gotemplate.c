// SPDX-License-Identifier: Apache-2.0
// A Go template, a zero byte, and the bytes of the JSON that it is run over.
#include "kubectl/printer/gotemplate.h"
#include "test/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *zero = memchr(data, 0, size);
        struct gotemplate *template = NULL;
        if (!zero || gotemplate_parse((const char *)data, &template, NULL) < 0)
                return 0;
        struct fuzz_bytes bytes = {zero + 1, data + size};
        json_auto_t *json = fuzz_any(&bytes, 6);
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        (void)!gotemplate_print(template, json, true, &out, NULL);
        gotemplate_free(template);
        return 0;
}
