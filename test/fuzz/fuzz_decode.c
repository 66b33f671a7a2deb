// SPDX-License-Identifier: Apache-2.0
// Decoding, defaulting, validating and printing whatever JSON a client sends; the first byte picks the resource.
#include "schema/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t count;
        const struct cx_resource *all = cx_schema_resources(&count);
        if (size < 2)
                return 0;
        const struct cx_resource *resource = &all[data[0] % count];
        json_auto_t *object = json_loadb((const char *)data + 1, size - 1, 0, NULL);
        CX_ERROR err = CX_ERROR_INIT;
        if (!object || cx_schema_decode(resource->kind->type, object, CX_FIELDS_IGNORE, NULL, NULL) < 0)
                return 0;
        cx_schema_default(resource->kind, object);
        if (cx_schema_validate(resource->kind, object, &err) < 0 && !err.n_causes)
                abort();
        json_auto_t *cells = cx_table_cells(resource, object), *columns = cx_table_columns(resource);
        if (json_array_size(cells) != json_array_size(columns))
                abort();
        return 0;
}
