// SPDX-License-Identifier: Apache-2.0
// Scopes of the server itself, and what a scope names.
#include "apiserver/request/scope.h"

#include "apiserver/request/errors.h"

struct scope scope_own(struct apiserver *api, const struct served_kind *kind, const char *namespace, const char *name)
{
        static char own_name[] = "system:apiserver", masters[] = "system:masters", all[] = "system:authenticated";
        static char *groups[] = {masters, all};
        static const struct user own = {.name = own_name, .groups = {.items = groups, .count = 2}};
        return (struct scope){.api = api,
                              .user = &own,
                              .kind = kind,
                              .resource = kind->resource,
                              .namespace = cx_str(namespace),
                              .name = cx_str(name),
                              .manager = "kube-apiserver"};
}

struct stored *scope_find(const struct scope *scope)
{
        return cache_find(scope->kind->cache, scope->namespace, scope->name);
}

json_t *scope_find_json(const struct scope *scope)
{
        return cache_find_json(scope->kind->cache, scope->namespace, scope->name);
}

int scope_read(const struct scope *scope, struct stored **ret_stored, struct cx_error *err)
{
        CX_ERROR why = CX_ERROR_INIT;
        if (store_read(scope->api->store, scope->kind->cache, scope->namespace, scope->name, ret_stored, &why) == 0)
                return 0;
        if (cx_error_is(&why, CX_REASON_NOT_FOUND))
                return object_not_found(scope->resource, scope->name, err);
        return cx_error_move(err, &why);
}
