// SPDX-License-Identifier: Apache-2.0
// Creates what is missing, through the registry.
#include "apiserver/bootstrap/ensure.h"

#include "apiserver/registry/registry.h"
#include "libcommon/format/json.h"

int ensure_object(struct apiserver *api, const struct served_kind *kind, json_t *object_steal, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        CX_CLEANUP(cx_freep) char *namespace = cx_strdup(cx_json_string(object, "metadata.namespace"));
        CX_CLEANUP(cx_freep) char *name = cx_strdup(cx_json_string(object, "metadata.name"));
        struct scope scope = scope_own(api, kind, namespace, name);
        STORED *stored = scope_find(&scope);
        char api_version[128];
        CX_ERROR why = CX_ERROR_INIT;
        if (stored)
                return 0;
        json_object_set_new(object, "kind", json_string(kind->resource->kind->kind));
        json_object_set_new(
                object, "apiVersion",
                json_string(cx_join_api_version(api_version, kind->resource->group, kind->resource->version)));
        int r = registry_create(&scope, cx_steal(&object), &stored, &why);
        // Another apiserver may have been faster.
        return r < 0 && !cx_error_is(&why, CX_REASON_ALREADY_EXISTS) ? cx_error_move(err, &why) : 0;
}
