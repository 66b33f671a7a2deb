// SPDX-License-Identifier: Apache-2.0
// Asks the modes in turn (Node, RBAC; AlwaysAllow says yes to all) and words the refusal.
#include "apiserver/auth/authorizer.h"

#include "apiserver/auth/node.h"
#include "apiserver/auth/rbac.h"
#include "libcommon/api/selector.h"

bool authorize(struct apiserver *api, const struct attributes *a, char **ret_why)
{
        const struct cx_strings *modes = &api->options.authorization_modes;
        if (ret_why)
                *ret_why = NULL;
        if (user_in_group(a->user, "system:masters") || cx_strings_has(modes, "AlwaysAllow"))
                return true;
        if (cx_strings_has(modes, "Node") && authorize_node(api, a))
                return true;
        return cx_strings_has(modes, "RBAC") && rbac_allows(api->rbac, a, ret_why);
}

bool scope_may(const struct scope *scope, const char *verb, const char *name)
{
        struct attributes attributes = {.user = scope->user,
                                        .is_resource = true,
                                        .verb = verb,
                                        .group = scope->resource->group,
                                        .resource = scope->resource->resource,
                                        .subresource = cx_str(scope->subresource),
                                        .namespace = scope->namespace,
                                        .name = name};
        return authorize(scope->api, &attributes, NULL);
}

// The name that a list or watch is narrowed to by its field selector: reading one object so needs no more than to get
// it.
static const char *selected_name(const struct call *call, struct cx_selector *selector)
{
        const char *text = cx_http_query(call->request, "fieldSelector");
        if (*call->info.name || !text || cx_selector_parse_fields(text, selector, NULL) < 0)
                return call->info.name;
        for (size_t i = 0; i < selector->count; i++) {
                const struct cx_requirement *r = &selector->requirements[i];
                if (r->op == CX_OP_EQUALS && r->n_values == 1 && strcmp(r->key, "metadata.name") == 0)
                        return r->values[0];
        }
        return call->info.name;
}

bool authorize_call(struct call *call, struct cx_error *err)
{
        const struct request_info *info = &call->info;
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        struct attributes attributes = {.user = &call->user,
                                        .is_resource = info->is_resource,
                                        .verb = info->verb,
                                        .group = info->group,
                                        .resource = info->resource,
                                        .subresource = info->subresource,
                                        .namespace = info->namespace,
                                        .name = selected_name(call, &selector),
                                        .path = info->path};
        if (authorize(call->api, &attributes, NULL))
                return true;
        if (!info->is_resource) {
                (void)cx_error_reason(err, CX_REASON_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
                                      call->user.name, info->verb, info->path);
                return false;
        }
        CX_CLEANUP(cx_freep)
        char *where = *info->namespace ? cx_sprintf("in the namespace \"%s\"", info->namespace)
                                       : cx_strdup("at the cluster scope");
        (void)cx_error_reason(
                err, CX_REASON_FORBIDDEN,
                "%s%s%s%s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" "
                "%s",
                info->resource, *info->group ? "." : "", info->group, *info->name ? " \"" : "", info->name,
                *info->name ? "\"" : "", "", call->user.name, info->verb, info->resource, *info->subresource ? "/" : "",
                info->subresource, info->group, where);
        cx_error_about(err, info->group, info->resource, info->name);
        return false;
}
