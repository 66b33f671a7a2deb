// SPDX-License-Identifier: Apache-2.0
// A Go template, a zero byte, and the JSON it is run over.
#include "kubectl/printer/gotemplate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *zero = memchr(data, 0, size);
        struct cx_gotemplate *template = NULL;
        if (!zero || cx_gotemplate_parse((const char *)data, &template, NULL) < 0)
                return 0;
        json_auto_t *json = json_loadb((const char *)zero + 1, size - (size_t)(zero + 1 - data), JSON_DECODE_ANY, NULL);
        if (!json)
                json = json_null();
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        (void)!cx_gotemplate_print(template, json, true, &out, NULL);
        cx_gotemplate_free(template);
        return 0;
}
