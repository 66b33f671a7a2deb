// SPDX-License-Identifier: Apache-2.0
// NamespaceLifecycle: nothing new in a namespace that is absent or going away, and the system's namespaces stay.
#include "apiserver/admission/admission.h"
#include "apiserver/registry/metadata.h"
#include "libcommon/format/json.h"

static bool is_system(const char *name)
{
        return cx_streq(name, "default") || cx_streq(name, "kube-system") || cx_streq(name, "kube-public");
}

static int validate(struct admission_request *request, struct cx_error *err)
{
        struct call *call = request->call;
        bool is_namespace = !*call->resource->group && cx_streq(call->resource->resource, "namespaces");
        if (request->operation == ADMIT_DELETE) {
                if (is_namespace && is_system(request->name))
                        return admission_forbid(request, "this namespace may not be deleted", err);
                return 0;
        }
        if (!call->resource->namespaced)
                return 0;
        const struct cx_resource *namespaces = cx_schema_resource("", "v1", "namespaces");
        const char *name = call->info.namespace;
        STORED *stored = store_get(call->api->store, namespaces, NULL, name);
        // The cache may be behind by the namespace's own creation.
        if (!stored && store_read(call->api->store, namespaces, NULL, name, &stored, NULL) < 0) {
                int r = cx_error_reason(err, CX_REASON_NOT_FOUND, "namespaces \"%s\" not found", name);
                cx_error_about(err, "", "namespaces", name);
                return r;
        }
        json_auto_t *namespace = stored_parse(stored);
        if (request->operation != ADMIT_CREATE || !is_being_deleted(namespace) || request->subresource)
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("unable to create new content in namespace %s because it is being terminated", name);
        int r = admission_forbid(request, why, err);
        cx_error_cause(err, "NamespaceTerminating", "metadata.namespace", "namespace %s is being terminated", name);
        return r;
}

const struct admission_plugin admission_namespace_lifecycle = {
        .name = "NamespaceLifecycle",
        .operations = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE,
        .validate = validate,
};
