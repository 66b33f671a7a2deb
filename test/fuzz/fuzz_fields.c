// SPDX-License-Identifier: Apache-2.0
// What server-side apply does with objects, and with managedFields that a client sends.
#include "libcommon/schema/fields.h"
#include "test/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Fields as they come from an object, or anything.
static json_t *some_fields(struct fuzz_bytes *bytes, const struct cx_type *type)
{
        json_t *fields = NULL;
        unsigned roll = fuzz_take(bytes);
        if (roll % 4) {
                json_auto_t *object = fuzz_object(bytes, type, false, 6);
                if (cx_fields_of(type, object, false, &fields, NULL) < 0)
                        fields = NULL;
        }
        if (fields && roll > 200) {
                static const char *const keys[] = {"f:spec", "f:metadata", "k:{\"name\":\"a\"}", "v:\"a\"", "i:0", ".",
                                                   "k:{",    "v:"};
                json_object_set_new(fields, keys[roll % 8], fuzz_any(bytes, 3));
        }
        if (fields)
                return fields;
        json_t *any = fuzz_any(bytes, 5);
        if (json_is_object(any))
                return any;
        json_decref(any);
        return json_object();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const types[] = {"core.v1.Pod", "apps.v1.Deployment", "core.v1.Service", "core.v1.Node"};
        struct fuzz_bytes bytes = {data, data + size};
        const struct cx_type *type = cx_schema_type(types[fuzz_take(&bytes) % CX_ARRAY_SIZE(types)]);
        json_auto_t *live = fuzz_object(&bytes, type, false, 6), *config = fuzz_object(&bytes, type, false, 6);
        json_auto_t *fields = some_fields(&bytes, type), *own = NULL;
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
