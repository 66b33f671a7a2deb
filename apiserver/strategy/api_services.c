// SPDX-License-Identifier: Apache-2.0
// APIServices: what describes another server must be whole, and what is served here has no description of one.
#include "apiserver/strategy/strategy.h"

#include "libcommon/api/names.h"
#include "libcommon/format/json.h"

static void validate_group_version(const json_t *object, struct cx_error *causes)
{
        const char *group = cx_json_string_or(object, "spec.group", "");
        const char *version = cx_json_string_or(object, "spec.version", "");
        const char *name = cx_json_string_or(object, "metadata.name", "");
        CX_CLEANUP(cx_freep) char *wanted = cx_sprintf("%s.%s", version, group);
        if (strcmp(name, wanted) != 0)
                cx_error_cause(causes, "FieldValueInvalid", "metadata.name",
                               "Invalid value: \"%s\": must be `spec.version+\".\"+spec.group`: \"%s\"", name, wanted);
        if (!*group && strcmp(version, "v1") != 0)
                cx_error_cause(causes, "FieldValueRequired", "spec.group",
                               "Required value: only v1 may have an empty group and it better be legacy kube");
        if (*group && cx_check_dns1123_subdomain(group))
                cx_error_cause(causes, "FieldValueInvalid", "spec.group", "Invalid value: \"%s\": %s", group,
                               cx_check_dns1123_subdomain(group));
        if (cx_check_dns1035_label(version))
                cx_error_cause(causes, "FieldValueInvalid", "spec.version", "Invalid value: \"%s\": %s", version,
                               cx_check_dns1035_label(version));
}

static void validate_local(const json_t *spec, struct cx_error *causes)
{
        if (*cx_json_string_or(spec, "caBundle", ""))
                cx_error_cause(causes, "FieldValueInvalid", "spec.caBundle",
                               "Invalid value: \"\": local APIServices may not have a caBundle");
        if (cx_json_bool(spec, "insecureSkipTLSVerify", false))
                cx_error_cause(causes, "FieldValueInvalid", "spec.insecureSkipTLSVerify",
                               "Invalid value: true: local APIServices may not have insecureSkipTLSVerify");
}

static void validate_remote(const json_t *spec, struct cx_error *causes)
{
        if (!*cx_json_string_or(spec, "service.namespace", ""))
                cx_error_cause(causes, "FieldValueRequired", "spec.service.namespace", "Required value");
        if (!*cx_json_string_or(spec, "service.name", ""))
                cx_error_cause(causes, "FieldValueRequired", "spec.service.name", "Required value");
        if (*cx_json_string_or(spec, "caBundle", "") && cx_json_bool(spec, "insecureSkipTLSVerify", false))
                cx_error_cause(causes, "FieldValueInvalid", "spec.insecureSkipTLSVerify",
                               "Invalid value: true: may not be true if caBundle is present");
}

static void validate(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old CX_UNUSED,
                     struct cx_error *causes)
{
        const json_t *spec = json_object_get(object, "spec");
        validate_group_version(object, causes);
        if (json_is_object(json_object_get(spec, "service")))
                validate_remote(spec, causes);
        else
                validate_local(spec, causes);
}

const struct strategy strategy_api_services = {.group = "apiregistration.k8s.io",
                                               .resource = "apiservices",
                                               .status_keeps_labels = true,
                                               .status_keeps_annotations = true,
                                               .validate = validate};
