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

void scope_warn(const struct scope *scope, const char *text)
{
        if (scope->warnings && *text && !cx_strings_has(scope->warnings, text))
                cx_strings_add(scope->warnings, text);
}

void scope_annotate(const struct scope *scope, const char *key, const char *value)
{
        struct cx_strings *annotations = scope->annotations;
        if (!annotations)
                return;
        for (size_t i = 0; i < annotations->count; i += 2)
                if (strcmp(annotations->items[i], key) == 0)
                        return;
        cx_strings_add(annotations, key);
        cx_strings_add(annotations, value);
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
