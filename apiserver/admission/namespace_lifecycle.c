// SPDX-License-Identifier: Apache-2.0
// NamespaceLifecycle: nothing new in a namespace that is absent or going away, and the system's namespaces stay.
#include "apiserver/admission/plugin.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/object.h"
#include "libcommon/format/json.h"

static bool is_immortal(const char *name)
{
        return cx_streq(name, "default") || cx_streq(name, "kube-system") || cx_streq(name, "kube-public");
}

// Whether somebody may do something in a namespace can be asked before it is there.
static bool is_review(const struct scope *scope)
{
        return cx_streq(scope->resource->group, "authorization.k8s.io");
}

static int mutate(const struct admission_request *request, struct cx_error *err)
{
        const struct scope *scope = request->scope;
        if (request->operation == ADMIT_DELETE)
                return is_immortal(scope->name) ? admission_forbid(request, "this namespace may not be deleted", err)
                                                : 0;
        if (!scope->resource->namespaced || is_review(scope))
                return 0;
        const struct served_kind *namespaces = builtin(scope->api, "", "v1", "namespaces");
        STORED *stored = admission_lookup(request, namespaces, NULL, scope->namespace);
        if (!stored)
                return object_not_found(namespaces->resource, scope->namespace, err);
        if (request->operation != ADMIT_CREATE || scope->subresource || !stored_is_being_deleted(stored))
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("unable to create new content in namespace %s because it is being terminated",
                               scope->namespace);
        int r = admission_forbid(request, why, err);
        cx_error_cause(err, "NamespaceTerminating", "metadata.namespace", "namespace %s is being terminated",
                       scope->namespace);
        return r;
}

static const struct admission_want wants[] = {
        {ADMIT_CREATE | ADMIT_UPDATE, "*", "*", "*"}, {ADMIT_DELETE, "", "namespaces", ""}, {0}};
const struct admission_plugin admission_namespace_lifecycle = {
        .name = "NamespaceLifecycle", .wants = wants, .mutate = mutate, .only_refuses = true};
