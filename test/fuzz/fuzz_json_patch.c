// SPDX-License-Identifier: Apache-2.0
// An array of [document, patch]: JSON patch and merge patch; the document stays as it was.
#include "schema/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_auto_t *input = json_loadb((const char *)data, size, 0, NULL), *result = NULL;
        json_t *document = json_array_get(input, 0), *patch = json_array_get(input, 1);
        if (!document || !patch)
                return 0;
        json_auto_t *before = json_deep_copy(document);
        (void)!cx_patch_json(document, patch, &result, NULL);
        json_auto_t *merged = cx_patch_merge(document, patch);
        if (!json_equal(document, before))
                abort();
        return 0;
}
