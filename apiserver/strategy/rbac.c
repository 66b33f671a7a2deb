// SPDX-License-Identifier: Apache-2.0
// Roles and bindings: nobody gives away more than they have, and a binding's role never changes.
#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/escalation.h"
#include "apiserver/request/errors.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define GROUP "rbac.authorization.k8s.io"

static int refuse(const struct scope *scope, const json_t *object, const char *why, struct cx_error *err)
{
        return object_forbidden(scope->resource, cx_json_string_or(object, "metadata.name", ""), why, err);
}

static int refuse_more(const struct scope *scope, const json_t *object, const json_t *rules, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *missing = rbac_escalation(scope->api, scope->user, scope->namespace, rules);
        if (!missing)
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("user \"%s\" is attempting to grant RBAC permissions not currently held:\n%s",
                               scope->user->name, missing);
        return refuse(scope, object, why, err);
}

// What decides nothing about rights: whoever may write the object may change it, as the garbage collector must.
static bool changes_rights(const json_t *object, const json_t *old)
{
        static const char *const harmless[] = {"metadata.ownerReferences",   "metadata.finalizers",
                                               "metadata.managedFields",     "metadata.resourceVersion",
                                               "metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds",
                                               "metadata.generation"};
        json_auto_t *now = json_deep_copy(object), *before = json_deep_copy(old);
        for (size_t i = 0; i < CX_ARRAY_SIZE(harmless); i++) {
                cx_json_remove(now, harmless[i]);
                cx_json_remove(before, harmless[i]);
        }
        return !json_equal(now, before);
}

// A role that gathers others' rules may come to have any, and gathers them behind the back of who would take them away.
static int check_aggregation(const struct scope *scope, const json_t *role, const json_t *old, struct cx_error *err)
{
        if (!cx_json_count(role, "aggregationRule.clusterRoleSelectors") &&
            !cx_json_count(old, "aggregationRule.clusterRoleSelectors"))
                return 0;
        json_auto_t *everything = json_pack("[{s:[s],s:[s],s:[s]},{s:[s],s:[s]}]", "verbs", "*", "apiGroups", "*",
                                            "resources", "*", "verbs", "*", "nonResourceURLs", "*");
        CX_CLEANUP(cx_freep) char *missing = rbac_escalation(scope->api, scope->user, scope->namespace, everything);
        return missing ? refuse(scope, role, "must have cluster-admin privileges to use the aggregationRule", err) : 0;
}

static int check_role(const struct scope *scope, const json_t *role, const json_t *old, struct cx_error *err)
{
        if (scope_may(scope, "escalate", scope->name))
                return 0;
        int r = refuse_more(scope, role, json_object_get(role, "rules"), err);
        return r < 0 ? r : check_aggregation(scope, role, old, err);
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
        return check_role(scope, object, NULL, err);
}

// Labels are looked at, too: by them a role's rules are gathered into others.
static int update_role(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        return changes_rights(object, old) ? check_role(scope, object, old, err) : 0;
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
        return changes_rights(object, old) ? check_binding(scope, object, err) : 0;
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
