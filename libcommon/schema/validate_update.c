// SPDX-License-Identifier: Apache-2.0
// Fields that the tables call immutable: those of the object itself and of its spec, where upstream has them.
#include "libcommon/format/json.h"
#include "libcommon/schema/engine.h"

#define DEPTH 2

static void compare(const struct cx_type *type, const char *path, const json_t *object, const json_t *old, int depth,
                    struct cx_error *causes)
{
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct cx_field *field = &type->fields[i];
                const json_t *now = json_object_get(object, field->name);
                const json_t *before = json_object_get(old, field->name);
                bool inner = depth < DEPTH && field->type && field->shape == CX_SHAPE_ONE && now && before;
                if (!(field->flags & CX_FIELD_IMMUTABLE) && !inner)
                        continue;
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%s%s", path, *path ? "." : "", field->name);
                if (!(field->flags & CX_FIELD_IMMUTABLE)) {
                        compare(field->type, name, now, before, depth + 1, causes);
                } else if (now != before && !(now && before && json_equal(now, before))) {
                        CX_CLEANUP(cx_freep) char *text = now ? cx_json_text(now) : cx_strdup("null");
                        cx_error_cause(causes, "FieldValueInvalid", name, "Invalid value: %.4096s: field is immutable",
                                       text);
                }
        }
}

void cx_schema_validate_update(const struct cx_kind *kind, const json_t *object, const json_t *old,
                               struct cx_error *causes)
{
        compare(kind->type, "", object, old, 1, causes);
}
