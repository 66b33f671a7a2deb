// SPDX-License-Identifier: Apache-2.0
// Strategic merge patches: with the directives that a client may send, and three-way ones that are made here. Nothing
// that goes in is changed.
#include "test/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const types[] = {"core.v1.Pod", "apps.v1.Deployment", "core.v1.Service", "core.v1.Node"};
        struct fuzz_bytes bytes = {data, data + size};
        const struct cx_type *type = cx_schema_type(types[fuzz_take(&bytes) % CX_ARRAY_SIZE(types)]);
        json_auto_t *original = fuzz_object(&bytes, type, false, 6), *patch = fuzz_object(&bytes, type, true, 6);
        json_auto_t *modified = fuzz_object(&bytes, type, false, 6), *current = fuzz_object(&bytes, type, false, 6);
        json_auto_t *before = json_deep_copy(original), *patched = NULL, *made = NULL, *again = NULL;
        (void)!cx_patch_strategic(type, original, patch, &patched, NULL);
        if (cx_patch_strategic_three_way(type, original, modified, current, &made, NULL) == 0)
                (void)!cx_patch_strategic(type, current, made, &again, NULL);
        if (!json_equal(original, before))
                abort();
        return 0;
}
