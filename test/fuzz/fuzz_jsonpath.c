// SPDX-License-Identifier: Apache-2.0
// A template, a zero byte, and the bytes of the JSON that it is run over.
#include "kubectl/printer/jsonpath.h"
#include "test/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *zero = memchr(data, 0, size);
        if (!zero)
                return 0;
        struct jsonpath *path = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (jsonpath_parse((const char *)data, &path, &err) < 0)
                return 0;
        struct fuzz_bytes bytes = {zero + 1, data + size};
        json_auto_t *json = fuzz_any(&bytes, 6);
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        (void)!jsonpath_print(path, json, true, &out, NULL);
        json_t *values = NULL;
        if (jsonpath_find(path, json, false, &values, NULL) == 0)
                json_decref(values);
        jsonpath_free(path);
        return 0;
}
