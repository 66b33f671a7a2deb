// SPDX-License-Identifier: Apache-2.0
// Roles and their bindings.
#include "libcommon/schema/validate/validate.h"

static void check_rule(struct cx_validator *v, const json_t *rule, bool namespaced)
{
        const json_t *urls = json_object_get(rule, "nonResourceURLs");
        size_t groups = cx_json_count(rule, "apiGroups"), resources = cx_json_count(rule, "resources");
        if (json_array_size(urls)) {
                if (namespaced)
                        cx_invalid(v, "nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs");
                if (groups || resources || cx_json_count(rule, "resourceNames"))
                        cx_invalid(v, "nonResourceURLs", urls,
                                   "rules cannot apply to both regular resources and non-resource URLs");
                return;
        }
        if (!groups)
                cx_required(v, "apiGroups", "resource rules must supply at least one api group");
        if (!resources)
                cx_required(v, "resources", "resource rules must supply at least one resource");
}

static void check_rules(struct cx_validator *v, const json_t *role, bool namespaced)
{
        size_t i;
        const json_t *rule;
        json_array_foreach (json_object_get(role, "rules"), i, rule) {
                size_t length = cx_enter(v, "rules[%zu]", i);
                check_rule(v, rule, namespaced);
                cx_leave(v, length);
        }
}

static void check_role(struct cx_validator *v, const json_t *role)
{
        check_rules(v, role, true);
}

static void check_cluster_role(struct cx_validator *v, const json_t *role)
{
        check_rules(v, role, false);
}

static void check_subjects(struct cx_validator *v, const json_t *binding, bool namespaced)
{
        static const char *const own[] = {"", NULL}, *const rbac[] = {"rbac.authorization.k8s.io", NULL};
        size_t i;
        const json_t *subject;
        json_array_foreach (json_object_get(binding, "subjects"), i, subject) {
                size_t length = cx_enter(v, "subjects[%zu]", i);
                bool account = cx_streq(cx_json_string(subject, "kind"), "ServiceAccount");
                const char *group = cx_json_string_or(subject, "apiGroup", "");
                if (account && *group)
                        cx_unsupported(v, "apiGroup", group, own);
                if (!account && *group && strcmp(group, rbac[0]) != 0)
                        cx_unsupported(v, "apiGroup", group, rbac);
                if (account && !namespaced && !*cx_json_string_or(subject, "namespace", ""))
                        cx_required(v, "namespace", NULL);
                cx_leave(v, length);
        }
}

static void check_role_ref(struct cx_validator *v, const json_t *binding, const char *const *kinds)
{
        static const char *const groups[] = {"rbac.authorization.k8s.io", NULL};
        const char *kind = cx_json_string_or(binding, "roleRef.kind", "");
        const char *group = cx_json_string_or(binding, "roleRef.apiGroup", "");
        if (!json_object_size(json_object_get(binding, "roleRef")))
                return; // said already
        bool known = false;
        for (const char *const *k = kinds; *k; k++)
                known |= strcmp(kind, *k) == 0;
        if (*kind && !known)
                cx_unsupported(v, "roleRef.kind", kind, kinds);
        if (strcmp(group, groups[0]) != 0)
                cx_unsupported(v, "roleRef.apiGroup", group, groups);
}

static void check_role_binding(struct cx_validator *v, const json_t *binding)
{
        static const char *const kinds[] = {"ClusterRole", "Role", NULL};
        check_role_ref(v, binding, kinds);
        check_subjects(v, binding, true);
}

static void check_cluster_role_binding(struct cx_validator *v, const json_t *binding)
{
        static const char *const kinds[] = {"ClusterRole", NULL};
        check_role_ref(v, binding, kinds);
        check_subjects(v, binding, false);
}

const struct cx_check cx_checks_rbac[] = {
        {"rbac.v1.Role", check_role},
        {"rbac.v1.ClusterRole", check_cluster_role},
        {"rbac.v1.RoleBinding", check_role_binding},
        {"rbac.v1.ClusterRoleBinding", check_cluster_role_binding},
        {NULL, NULL},
};
