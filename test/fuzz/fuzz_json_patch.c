// SPDX-License-Identifier: Apache-2.0
// JSON patch and merge patch on documents: the document stays as it was, and a difference, applied, gives what it was
// made for.
#include "test/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *operations(struct fuzz_bytes *bytes, const json_t *document)
{
        static const char *const names[] = {"add", "remove", "replace", "move", "copy", "test", "other"};
        json_t *list = json_array();
        for (unsigned count = fuzz_take(bytes) % 8; count; count--) {
                unsigned roll = fuzz_take(bytes);
                json_t *operation = json_object();
                CX_CLEANUP(cx_freep) char *path = fuzz_pointer(bytes, document);
                json_object_set_new(operation, "op", json_string(names[roll % 7]));
                json_object_set_new(operation, "path", roll > 240 ? fuzz_any(bytes, 1) : json_string(path));
                if (roll & 16) {
                        CX_CLEANUP(cx_freep) char *from = fuzz_pointer(bytes, document);
                        json_object_set_new(operation, "from", json_string(from));
                }
                if (roll & 32)
                        json_object_set_new(operation, "value", fuzz_any(bytes, 3));
                json_array_append_new(list, operation);
        }
        return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_bytes bytes = {data, data + size};
        const struct cx_type *type = cx_schema_type("core.v1.Pod");
        json_auto_t *document = fuzz_take(&bytes) & 1 ? fuzz_object(&bytes, type, false, 6) : fuzz_any(&bytes, 5);
        json_auto_t *before = json_deep_copy(document), *result = NULL;
        json_auto_t *patch = operations(&bytes, document);
        (void)!cx_patch_json(document, patch, &result, NULL);
        json_auto_t *other = fuzz_any(&bytes, 5);
        json_auto_t *merged = cx_patch_merge(document, other);
        json_auto_t *difference = cx_patch_merge_diff(document, merged);
        json_auto_t *again = cx_patch_merge(document, difference);
        // A null in a document cannot be told from an absent field by a merge patch.
        json_auto_t *plain = cx_patch_merge(json_is_object(merged) ? json_object_get(merged, "none") : NULL, merged);
        json_auto_t *plain_again = cx_patch_merge(NULL, again);
        if (json_is_object(document) && json_is_object(merged) && !json_equal(plain, plain_again))
                abort();
        json_auto_t *three = cx_patch_merge_three_way(document, other, merged);
        if (!json_equal(document, before))
                abort();
        return 0;
}
