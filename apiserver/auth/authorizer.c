// SPDX-License-Identifier: Apache-2.0
// What a request is about as authorization sees it, and the sentence for whoever may not. Asked in turn are
// the node authorizer and RBAC.
#include "apiserver/auth/authorizer.h"

#include "apiserver/auth/node.h"
#include "apiserver/auth/rbac.h"
#include "apiserver/request/query.h"
#include "apiserver/request/recorded.h"
#include "libcommon/api/selector.h"

bool authorize_beside_node(struct apiserver *api, const struct attributes *a, char **ret_why)
{
        const struct cx_strings *modes = &api->options.authorization_modes;
        if (ret_why)
                *ret_why = NULL;
        if (user_in_group(a->user, "system:masters") || cx_strings_has(modes, "AlwaysAllow"))
                return true;
        return cx_strings_has(modes, "RBAC") && rbac_allows(api->rbac, a, ret_why);
}

bool authorize(struct apiserver *api, const struct attributes *a, char **ret_why)
{
        const struct cx_strings *modes = &api->options.authorization_modes;
        if (ret_why)
                *ret_why = NULL;
        return (cx_strings_has(modes, "Node") && authorize_node(api, a)) || authorize_beside_node(api, a, ret_why);
}

static struct attributes attributes_of(const struct scope *scope, const char *verb, const char *name)
{
        return (struct attributes){.user = scope->user,
                                   .is_resource = true,
                                   .verb = verb,
                                   .group = scope->resource->group,
                                   .resource = scope->resource->resource,
                                   .subresource = cx_str(scope->subresource),
                                   .namespace = scope->namespace,
                                   .name = name};
}

bool scope_may(const struct scope *scope, const char *verb, const char *name)
{
        const struct attributes attributes = attributes_of(scope, verb, name);
        return authorize(scope->api, &attributes, NULL);
}

// Upstream's sentence. Always negative.
static int forbidden(const struct attributes *a, struct cx_error *err)
{
        if (!a->is_resource)
                return cx_error_reason(err, CX_REASON_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
                                       a->user->name, a->verb, a->path);
        CX_CLEANUP(cx_freep)
        char *where =
                *a->namespace ? cx_sprintf("in the namespace \"%s\"", a->namespace) : cx_strdup("at the cluster scope");
        int r = cx_error_reason(err, CX_REASON_FORBIDDEN,
                                "%s%s%s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in API group "
                                "\"%s\" %s",
                                a->resource, *a->group ? "." : "", a->group, *a->name ? " \"" : "", a->name,
                                *a->name ? "\"" : "", a->user->name, a->verb, a->resource, *a->subresource ? "/" : "",
                                a->subresource, a->group, where);
        cx_error_about(err, a->group, a->resource, a->name);
        return r;
}

int scope_check(const struct scope *scope, const char *verb, struct cx_error *err)
{
        const struct attributes attributes = attributes_of(scope, verb, scope->name);
        return authorize(scope->api, &attributes, NULL) ? 0 : forbidden(&attributes, err);
}

// A selector counts for what it narrows, and for nothing that is done to one object or makes one.
static void add_selector(const struct call *call, struct cx_selector *selector, struct attributes *a)
{
        bool reads = strcmp(a->verb, "list") == 0 || strcmp(a->verb, "watch") == 0;
        const char *text = cx_http_query(call->request, "fieldSelector");
        if (!a->is_resource || (!reads && strcmp(a->verb, "deletecollection") != 0) || !text ||
            cx_selector_parse_fields(text, selector, NULL) < 0)
                return;
        a->fields = selector;
        if (reads && !*a->name)
                a->name = query_selected_name(selector);
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
                                        .name = info->name,
                                        .path = info->path};
        add_selector(call, &selector, &attributes);
        CX_CLEANUP(cx_freep) char *why = NULL;
        bool allowed = authorize(call->api, &attributes, call->recorded ? &why : NULL);
        recorded_decision(call, allowed, why);
        if (allowed)
                return true;
        attributes.name = info->name; // as it was asked for
        return forbidden(&attributes, err) == 0;
}
