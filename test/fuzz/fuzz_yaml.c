// SPDX-License-Identifier: Apache-2.0
#include "libcommon/format/yaml.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        memcpy(text, data, size);
        json_t *json = NULL;
        if (cx_yaml_parse(text, size, &json, NULL) == 0) {
                CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
                for (size_t i = 0; i < json_array_size(json); i++)
                        (void)!cx_yaml_dump(json_array_get(json, i), &out, NULL);
                json_decref(json);
        }
        return 0;
}
