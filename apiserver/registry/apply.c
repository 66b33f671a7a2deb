// SPDX-License-Identifier: Apache-2.0
// Server-side apply: PATCH with application/apply-patch+yaml.
#include "apiserver/auth/rbac.h"
#include "apiserver/registry/managed.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "libcommon/format/json.h"

#define MAX_MANAGER 128

struct apply {
        json_t *config;
        const char *manager;
        bool force;
};

static int option_error(const char *field, const char *reason, const char *message, struct cx_error *err)
{
        int r = cx_error_reason(err, CX_REASON_INVALID, "PatchOptions.meta.k8s.io \"\" is invalid: %s: %s", field,
                                message);
        cx_error_about(err, "meta.k8s.io", "PatchOptions", "");
        cx_error_cause(err, reason, field, "%s", message);
        return r;
}

static int read_options(const struct call *call, struct apply *apply, struct cx_error *err)
{
        const char *force = cx_http_query(call->request, "force");
        apply->manager = cx_http_query(call->request, "fieldManager");
        apply->force = cx_streq(force, "true") || cx_streq(force, "1");
        if (!apply->manager || !*apply->manager)
                return option_error("fieldManager", "FieldValueRequired", "Required value: is required for apply patch",
                                    err);
        if (strlen(apply->manager) > MAX_MANAGER)
                return option_error("fieldManager", "FieldValueTooLong", "Too long: may not be more than 128 bytes",
                                    err);
        return 0;
}

static int check_config(const struct call *call, const json_t *config, struct cx_error *err)
{
        const char *name = cx_json_string(config, "metadata.name");
        if (json_array_size(cx_json_get(config, "metadata.managedFields")))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "metadata.managedFields must be nil");
        if (name && *name && strcmp(name, call->info.name) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "the name of the object (%s) does not match the name on the URL (%s)", name,
                                       call->info.name);
        return 0;
}

// To apply what is not there is to create it.
static int may_create(struct call *call, struct cx_error *err)
{
        struct attributes attributes = {.user = &call->user,
                                        .is_resource = true,
                                        .verb = "create",
                                        .group = call->resource->group,
                                        .resource = call->resource->resource,
                                        .subresource = "",
                                        .namespace = call->info.namespace,
                                        .name = call->info.name};
        if (authorize(call->api, &attributes, NULL))
                return 0;
        return call_forbidden(call, call->info.name, "the object does not exist and you may not create it", err);
}

static int compute(void *context, struct call *call, const json_t *current, json_t **ret_object, struct cx_error *err)
{
        const struct apply *apply = context;
        int r = current ? 0 : may_create(call, err);
        return r < 0 ? r : managed_apply(call, current, apply->config, apply->manager, apply->force, ret_object, err);
}

void handle_apply(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *config = NULL;
        STORED *stored = NULL;
        bool created = false;
        struct apply apply = {0};
        int r = read_options(call, &apply, &err);
        if (r == 0)
                r = decode_body(call, call->resource->kind, &config, &err);
        if (r == 0)
                r = check_config(call, config, &err);
        // What is applied to the object itself says nothing of its status.
        if (r == 0 && !call->subresource && resource_has_status(call->resource))
                json_object_del(config, "status");
        apply.config = config;
        call->applying = true;
        struct update update = {.compute = compute,
                                .context = &apply,
                                .name = call->info.name,
                                .subresource = call->subresource ? call->subresource->name : NULL,
                                .create_if_absent = !call->subresource};
        if (r == 0)
                r = registry_update(call, &update, &stored, &created, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_stored(call, created ? 201 : 200, cx_steal(&stored));
}
