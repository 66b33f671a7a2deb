// SPDX-License-Identifier: Apache-2.0
// Conditional defaults of roles, custom resource definitions, priority levels, device requests.
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/defaults/defaults.h"

#include <ctype.h>

#define RBAC_GROUP "rbac.authorization.k8s.io"

static void default_subject(json_t *subject)
{
        const char *kind = cx_default_string(subject, "kind");
        if (!*cx_default_string(subject, "apiGroup") && (strcmp(kind, "User") == 0 || strcmp(kind, "Group") == 0))
                json_object_set_new(subject, "apiGroup", json_string(RBAC_GROUP));
}

static void default_role_ref(json_t *ref)
{
        if (!*cx_default_string(ref, "apiGroup"))
                json_object_set_new(ref, "apiGroup", json_string(RBAC_GROUP));
}

static void default_crd(json_t *spec)
{
        json_t *names = json_object_get(spec, "names");
        const char *kind = cx_default_string(names, "kind");
        if (!*kind)
                return;
        if (!*cx_default_string(names, "singular")) {
                CX_CLEANUP(cx_freep) char *singular = cx_strdup(kind);
                for (char *p = singular; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                json_object_set_new(names, "singular", json_string(singular));
        }
        if (!*cx_default_string(names, "listKind"))
                json_object_set_new(names, "listKind", json_sprintf("%sList", kind));
}

static void default_priority_level(json_t *spec)
{
        if (strcmp(cx_default_string(spec, "type"), "Exempt") == 0)
                cx_default_set_new(spec, "exempt", json_object());
}

static void default_device_request(json_t *request)
{
        if (strcmp(cx_default_string(request, "allocationMode"), "ExactCount") == 0 &&
            json_integer_value(json_object_get(request, "count")) == 0)
                json_object_set_new(request, "count", json_integer(1));
}

const struct cx_conditional_default cx_defaults_others[] = {
        {"rbac.v1.Subject", default_subject},
        {"rbac.v1.RoleRef", default_role_ref},
        {"apiextensions.v1.CustomResourceDefinitionSpec", default_crd},
        {"flowcontrol.v1.PriorityLevelConfigurationSpec", default_priority_level},
        {"resource.v1.ExactDeviceRequest", default_device_request},
        {"resource.v1.DeviceSubRequest", default_device_request},
        {NULL, NULL},
};
