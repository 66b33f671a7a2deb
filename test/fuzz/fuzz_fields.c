// SPDX-License-Identifier: Apache-2.0
// An array of [live, config, fields]: what server-side apply does with objects and with managedFields that a client sends.
#include "schema/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_auto_t *input = json_loadb((const char *)data, size, 0, NULL);
        const struct cx_type *type = cx_schema_type("core.v1.Pod");
        const json_t *live = json_array_get(input, 0), *config = json_array_get(input, 1);
        const json_t *fields = json_array_get(input, 2);
        if (!json_is_object(live) || !json_is_object(config) || !json_is_object(fields))
                return 0;
        json_auto_t *own = NULL;
        if (cx_fields_of(type, config, false, &own, NULL) < 0)
                return 0;
        json_auto_t *merged = cx_fields_merge(type, live, config);
        json_auto_t *changed = cx_fields_changed(type, merged, live);
        json_auto_t *both = cx_fields_both(fields, changed);
        json_auto_t *left = cx_fields_minus(fields, own);
        json_auto_t *above = cx_fields_minus_above(own, fields);
        json_auto_t *all = cx_fields_union(left, own);
        json_auto_t *pruned = cx_fields_remove(type, merged, all);
        json_auto_t *paths = json_array();
        cx_fields_paths(fields, paths);
        cx_fields_paths(both, paths);
        return 0;
}
