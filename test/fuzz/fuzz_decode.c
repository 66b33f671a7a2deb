// SPDX-License-Identifier: Apache-2.0
// Decoding, defaulting, validating and printing whatever a client sends; the first byte picks the resource.
#include "test/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_bytes bytes = {data, data + size};
        size_t count;
        const struct cx_resource *all = cx_schema_resources(&count);
        const struct cx_resource *resource = &all[fuzz_take(&bytes) % count];
        json_auto_t *object = fuzz_object(&bytes, resource->kind->type, false, 9);
        json_auto_t *old = fuzz_object(&bytes, resource->kind->type, false, 9);
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_schema_decode(resource->kind->type, object, CX_FIELDS_IGNORE, NULL, NULL, NULL) < 0)
                return 0;
        cx_schema_default(resource->kind, object);
        if (cx_schema_validate(resource->kind, object, &err) < 0 && !err.n_causes)
                abort();
        if (cx_schema_decode(resource->kind->type, old, CX_FIELDS_IGNORE, NULL, NULL, NULL) == 0) {
                CX_ERROR update = CX_ERROR_INIT;
                cx_schema_default(resource->kind, old);
                cx_schema_validate_update(resource->kind, object, old, &update);
        }
        json_auto_t *cells = cx_table_cells(resource, object), *columns = cx_table_columns(resource);
        if (json_array_size(cells) != json_array_size(columns))
                abort();
        return 0;
}
