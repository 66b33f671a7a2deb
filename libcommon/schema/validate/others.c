// SPDX-License-Identifier: Apache-2.0
// Custom resource definitions.
#include "libcommon/schema/validate/validate.h"

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
        {"apiextensions.v1.CustomResourceDefinition", check_crd},
        {NULL, NULL},
};
