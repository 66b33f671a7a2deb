// SPDX-License-Identifier: Apache-2.0
// A patch is applied to the object as it is now, and the result decoded as if a client had sent it.
#include "apiserver/registry/patch.h"

#include "libcommon/format/json.h"

int patch_compute(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                  struct cx_error *err)
{
        const struct patch *patch = context;
        json_auto_t *object = NULL;
        const struct cx_type *type = scope->resource->kind->type;
        int r = 0;
        if (patch->kind == PATCH_JSON)
                r = cx_patch_json(current, patch->body, &object, err);
        else if (patch->kind == PATCH_STRATEGIC)
                r = cx_patch_strategic(type, current, patch->body, &object, err);
        else
                object = cx_patch_merge(current, patch->body);
        if (r < 0)
                return r;
        if (!json_is_object(object))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the patched object is not an object");
        r = cx_schema_decode(type, object, scope->field_validation, patch->duplicates, scope->warnings, err);
        if (r < 0)
                return r;
        if (!cx_streq(cx_json_string(object, "kind"), scope->resource->kind->kind) ||
            !json_equal(json_object_get(object, "apiVersion"), json_object_get(current, "apiVersion")))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "a patch must not change kind or apiVersion");
        *ret_object = cx_steal(&object);
        return 0;
}
