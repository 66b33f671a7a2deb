// SPDX-License-Identifier: Apache-2.0
// The table of the server's own plugins, and what they share.
#include "apiserver/admission/plugin.h"

#include "apiserver/request/errors.h"
#include "libcommon/format/json.h"

const struct admission_plugin *const admission_plugins[] = {
        &admission_namespace_lifecycle,
        &admission_limit_ranger,
        &admission_service_account,
        &admission_taint_nodes,
        &admission_always_pull_images,
        &admission_pod_security,
        &admission_priority,
        &admission_default_toleration_seconds,
        &admission_default_storage_class,
        &admission_storage_protection,
        &admission_claim_resize,
        &admission_node_restriction,
        &admission_certificate_approval,
        &admission_certificate_signing,
        &admission_certificate_subject,
        &admission_default_ingress_class,
        &admission_deny_external_ips,
        &admission_resource_quota,
        NULL,
};

int admission_forbid(const struct admission_request *request, const char *why, struct cx_error *err)
{
        const char *name = request->scope->name;
        if (!*name)
                name = cx_json_string_or(request->object, "metadata.name", "");
        if (!*name)
                name = cx_json_string_or(request->object, "metadata.generateName", "");
        return object_forbidden(request->scope->resource, name, why, err);
}

struct stored *admission_lookup(const struct admission_request *request, const struct served_kind *kind,
                                const char *namespace, const char *name)
{
        struct stored *stored = cache_find(kind->cache, namespace, name);
        if (!stored)
                (void)!store_read(request->scope->api->store, kind->cache, namespace, name, &stored, NULL);
        return stored;
}
