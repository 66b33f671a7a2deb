// SPDX-License-Identifier: Apache-2.0
// Parts of objects that may not change once they are stored, and for which clients know a sentence of their own. What
// is simply "field is immutable" stands in the schema.
#include "apiserver/strategy/frozen.h"

#include "libcommon/format/json.h"

static json_t *without_exceptions(const json_t *value, const json_t *old, const char *const *except)
{
        json_t *copy = json_copy((json_t *)value);
        for (size_t i = 0; except[i]; i++) {
                size_t length = strcspn(except[i], "?");
                CX_CLEANUP(cx_freep) char *name = cx_strndup(except[i], length);
                if (!except[i][length] || !json_object_get(old, name))
                        json_object_del(copy, name);
        }
        return copy;
}

static bool is_same(const json_t *now, const json_t *before, const char *const *except)
{
        if (!now || !before)
                return now == before;
        json_auto_t *a = without_exceptions(now, before, except);
        json_auto_t *b = without_exceptions(before, before, except);
        return json_equal(a, b);
}

void check_frozen(const struct cx_resource *resource, const json_t *object, const json_t *old, struct cx_error *causes)
{
        for (const struct cx_frozen *part = resource->frozen; part->path; part++) {
                const json_t *now = cx_json_get(object, part->path), *before = cx_json_get(old, part->path);
                if (!is_same(now, before, part->except))
                        cx_error_cause(causes, "FieldValueForbidden", part->path, "Forbidden: %s", part->message);
        }
}
