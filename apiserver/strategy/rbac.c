// SPDX-License-Identifier: Apache-2.0
// Roles and bindings: nobody gives away more than they have, and a binding's role never changes.
#include "apiserver/auth/rbac.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

static bool may(struct call *call, const char *verb, const char *resource, const char *name)
{
        struct attributes attributes = {.user = &call->user,
                                        .is_resource = true,
                                        .verb = verb,
                                        .group = "rbac.authorization.k8s.io",
                                        .resource = resource,
                                        .subresource = "",
                                        .namespace = call->info.namespace,
                                        .name = name};
        return authorize(call->api, &attributes, NULL);
}

static int refuse(struct call *call, const json_t *object, const char *missing, struct cx_error *err)
{
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("user \"%s\" is attempting to grant RBAC permissions not currently held:\n%s",
                               call->user.name, missing);
        return call_forbidden(call, cx_json_string_or(object, "metadata.name", ""), why, err);
}

static int check_role(struct call *call, const json_t *role, struct cx_error *err)
{
        const char *name = cx_json_string_or(role, "metadata.name", "");
        if (may(call, "escalate", call->resource->resource, name))
                return 0;
        CX_CLEANUP(cx_freep)
        char *missing = rbac_escalation(call->api, &call->user, call->info.namespace, json_object_get(role, "rules"));
        return missing ? refuse(call, role, missing, err) : 0;
}

static int check_binding(struct call *call, const json_t *binding, struct cx_error *err)
{
        bool cluster = cx_streq(cx_json_string(binding, "roleRef.kind"), "ClusterRole");
        const char *name = cx_json_string_or(binding, "roleRef.name", ""), *kind = cluster ? "clusterroles" : "roles";
        if (may(call, "bind", kind, name))
                return 0;
        json_auto_t *role =
                store_get_json(call->api->store, cx_schema_resource("rbac.authorization.k8s.io", "v1", kind),
                               cluster ? NULL : call->info.namespace, name);
        if (!role) {
                int r = cx_error_reason(err, CX_REASON_NOT_FOUND, "%s.rbac.authorization.k8s.io \"%s\" not found", kind,
                                        name);
                cx_error_about(err, "rbac.authorization.k8s.io", kind, name);
                return r;
        }
        CX_CLEANUP(cx_freep)
        char *missing = rbac_escalation(call->api, &call->user, call->info.namespace, json_object_get(role, "rules"));
        return missing ? refuse(call, binding, missing, err) : 0;
}

static int create_role(struct call *call, json_t *object, struct cx_error *err)
{
        return check_role(call, object, err);
}

static int update_role(struct call *call, json_t *object, const json_t *old, const char *subresource CX_UNUSED,
                       struct cx_error *err)
{
        return json_equal(json_object_get(object, "rules"), json_object_get(old, "rules"))
                       ? 0
                       : check_role(call, object, err);
}

static void default_subjects(json_t *binding)
{
        json_t *subjects = json_object_get(binding, "subjects");
        for (size_t i = 0; i < json_array_size(subjects); i++) {
                json_t *subject = json_array_get(subjects, i);
                if (!cx_streq(cx_json_string(subject, "kind"), "ServiceAccount") &&
                    !json_object_get(subject, "apiGroup"))
                        json_object_set_new(subject, "apiGroup", json_string("rbac.authorization.k8s.io"));
        }
}

static int create_binding(struct call *call, json_t *object, struct cx_error *err)
{
        default_subjects(object);
        return check_binding(call, object, err);
}

static int update_binding(struct call *call, json_t *object, const json_t *old, const char *subresource CX_UNUSED,
                          struct cx_error *err)
{
        default_subjects(object);
        return json_equal(json_object_get(object, "subjects"), json_object_get(old, "subjects"))
                       ? 0
                       : check_binding(call, object, err);
}

static void validate_binding(struct call *call CX_UNUSED, const json_t *object, const json_t *old,
                             const char *subresource CX_UNUSED, struct cx_error *causes)
{
        if (old && !json_equal(json_object_get(object, "roleRef"), json_object_get(old, "roleRef")))
                cx_error_cause(causes, "FieldValueInvalid", "roleRef", "Invalid value: cannot change roleRef");
}

#define GROUP "rbac.authorization.k8s.io"
const struct strategy strategy_clusterroles = {
        .group = GROUP, .resource = "clusterroles", .prepare_create = create_role, .prepare_update = update_role};
const struct strategy strategy_roles = {
        .group = GROUP, .resource = "roles", .prepare_create = create_role, .prepare_update = update_role};
const struct strategy strategy_clusterrolebindings = {.group = GROUP,
                                                      .resource = "clusterrolebindings",
                                                      .prepare_create = create_binding,
                                                      .prepare_update = update_binding,
                                                      .validate = validate_binding};
const struct strategy strategy_rolebindings = {.group = GROUP,
                                               .resource = "rolebindings",
                                               .prepare_create = create_binding,
                                               .prepare_update = update_binding,
                                               .validate = validate_binding};
