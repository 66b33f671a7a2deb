// SPDX-License-Identifier: Apache-2.0
// What an apply is allowed to be. Merging and ownership are in managed.c.
#include "apiserver/registry/apply.h"

#include "apiserver/auth/authorizer.h"
#include "apiserver/registry/managed.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/object.h"
#include "libcommon/format/json.h"

int apply_check(const struct scope *scope, json_t *config, struct cx_error *err)
{
        const char *name = cx_json_string(config, "metadata.name");
        if (json_array_size(cx_json_get(config, "metadata.managedFields")))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "metadata.managedFields must be nil");
        if (name && *name && strcmp(name, scope->name) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "the name of the object (%s) does not match the name on the URL (%s)", name,
                                       scope->name);
        // What is applied to the object itself says nothing of its status.
        if (!scope->subresource && resource_has_status(scope->resource))
                json_object_del(config, "status");
        return 0;
}

int apply_compute(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                  struct cx_error *err)
{
        const struct apply_config *apply = context;
        // To apply what is not there is to create it.
        if (!current && !scope_may(scope, "create", scope->name))
                return object_forbidden(scope->resource, scope->name,
                                        "the object does not exist and you may not create it", err);
        return managed_apply(scope, current, apply->config, apply->force, ret_object, err);
}
