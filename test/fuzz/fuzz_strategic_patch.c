// SPDX-License-Identifier: Apache-2.0
// An array of [original, patch, current]: applies the patch; then makes a three-way patch, whose application to
// `current` has to succeed.
#include "schema/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_auto_t *input = json_loadb((const char *)data, size, 0, NULL), *result = NULL, *patch = NULL,
                    *again = NULL;
        const struct cx_type *type = cx_schema_type("core.v1.Pod");
        json_t *a = json_array_get(input, 0), *b = json_array_get(input, 1), *c = json_array_get(input, 2);
        if (!a || !b || !c)
                return 0;
        (void)!cx_patch_strategic(type, a, b, &result, NULL);
        if (cx_patch_strategic_three_way(type, a, b, c, &patch, NULL) == 0)
                (void)!cx_patch_strategic(type, c, patch, &again, NULL);
        return 0;
}
