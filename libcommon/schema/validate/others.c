// SPDX-License-Identifier: Apache-2.0
// Ingresses, role references, custom resource definitions.
#include "schema/validate/validate.h"

static void check_ingress(struct cx_validator *v, const json_t *spec)
{
        if (!cx_json_count(spec, "rules") && !json_object_get(spec, "defaultBackend"))
                cx_invalid(v, "", spec, "either `defaultBackend` or `rules` must be specified");
}

static void check_role_binding(struct cx_validator *v, const json_t *object)
{
        static const char *const kinds[] = {"ClusterRole", "Role", NULL}, *const groups[] = {
                                                                                  "rbac.authorization.k8s.io", NULL};
        const char *kind = cx_json_string_or(object, "roleRef.kind", "");
        const char *group = cx_json_string_or(object, "roleRef.apiGroup", "");
        if (!json_object_size(json_object_get(object, "roleRef")))
                return; // said already
        if (*kind && strcmp(kind, "Role") != 0 && strcmp(kind, "ClusterRole") != 0)
                cx_unsupported(v, "roleRef.kind", kind, kinds);
        if (strcmp(group, groups[0]) != 0)
                cx_unsupported(v, "roleRef.apiGroup", group, groups);
}

static void check_crd(struct cx_validator *v, const json_t *object)
{
        const json_t *versions = cx_json_get(object, "spec.versions");
        CX_CLEANUP(cx_freep)
        char *name = cx_sprintf("%s.%s", cx_json_string_or(object, "spec.names.plural", ""),
                                cx_json_string_or(object, "spec.group", ""));
        size_t i, stored = 0;
        json_t *version;
        json_array_foreach (versions, i, version)
                stored += cx_json_bool(version, "storage", false);
        if (!cx_streq(cx_json_string_or(object, "metadata.name", ""), name))
                cx_invalid(v, "metadata.name", cx_json_get(object, "metadata.name"),
                           "must be spec.names.plural+\".\"+spec.group");
        if (json_array_size(versions) && stored != 1)
                cx_invalid(v, "spec.versions", versions, "must have exactly one version marked as storage version");
}

const struct cx_check cx_checks_others[] = {
        {"networking.v1.IngressSpec", check_ingress},
        {"rbac.v1.RoleBinding", check_role_binding},
        {"rbac.v1.ClusterRoleBinding", check_role_binding},
        {"apiextensions.v1.CustomResourceDefinition", check_crd},
        {NULL, NULL},
};
