// SPDX-License-Identifier: Apache-2.0
// Roles and bindings: nobody gives away more than they have, and a binding's role never changes.
#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/escalation.h"
#include "apiserver/request/errors.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define GROUP "rbac.authorization.k8s.io"

static int refuse_more(const struct scope *scope, const json_t *object, const json_t *rules, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *missing = rbac_escalation(scope->api, scope->user, scope->namespace, rules);
        if (!missing)
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("user \"%s\" is attempting to grant RBAC permissions not currently held:\n%s",
                               scope->user->name, missing);
        return object_forbidden(scope->resource, cx_json_string_or(object, "metadata.name", ""), why, err);
}

static int check_role(const struct scope *scope, const json_t *role, struct cx_error *err)
{
        if (scope_may(scope, "escalate", cx_json_string_or(role, "metadata.name", "")))
                return 0;
        return refuse_more(scope, role, json_object_get(role, "rules"), err);
}

static int check_binding(const struct scope *scope, const json_t *binding, struct cx_error *err)
{
        bool cluster = cx_streq(cx_json_string(binding, "roleRef.kind"), "ClusterRole");
        const char *name = cx_json_string_or(binding, "roleRef.name", "");
        struct scope bound = *scope;
        bound.kind = builtin(scope->api, GROUP, "v1", cluster ? "clusterroles" : "roles");
        bound.resource = bound.kind->resource;
        if (scope_may(&bound, "bind", name))
                return 0;
        json_auto_t *role = cache_find_json(bound.kind->cache, cluster ? NULL : scope->namespace, name);
        if (!role)
                return object_not_found(bound.resource, name, err);
        return refuse_more(scope, binding, json_object_get(role, "rules"), err);
}

static int create_role(const struct scope *scope, json_t *object, struct cx_error *err)
{
        return check_role(scope, object, err);
}

static int update_role(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        return json_equal(json_object_get(object, "rules"), json_object_get(old, "rules"))
                       ? 0
                       : check_role(scope, object, err);
}

static void default_subjects(json_t *binding)
{
        json_t *subjects = json_object_get(binding, "subjects");
        for (size_t i = 0; i < json_array_size(subjects); i++) {
                json_t *subject = json_array_get(subjects, i);
                if (!cx_streq(cx_json_string(subject, "kind"), "ServiceAccount") &&
                    !json_object_get(subject, "apiGroup"))
                        json_object_set_new(subject, "apiGroup", json_string(GROUP));
        }
}

static int create_binding(const struct scope *scope, json_t *object, struct cx_error *err)
{
        default_subjects(object);
        return check_binding(scope, object, err);
}

static int update_binding(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        default_subjects(object);
        return json_equal(json_object_get(object, "subjects"), json_object_get(old, "subjects"))
                       ? 0
                       : check_binding(scope, object, err);
}

static void validate_binding(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                             struct cx_error *causes)
{
        if (old && !json_equal(json_object_get(object, "roleRef"), json_object_get(old, "roleRef")))
                cx_error_cause(causes, "FieldValueInvalid", "roleRef", "Invalid value: cannot change roleRef");
}

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
