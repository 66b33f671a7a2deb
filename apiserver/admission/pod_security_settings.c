// SPDX-License-Identifier: Apache-2.0
// A PodSecurityConfiguration. That it may not say anything else is the schema's (config_pod_security.api); what it says is checked here.
#include "apiserver/admission/pod_security.h"

#include "libcommon/api/names.h"
#include "libcommon/base/map.h"
#include "libcommon/base/metrics.h"
#include "libcommon/client/config.h"
#include "libcommon/format/json.h"

#define PRIVILEGED                                                                                                     \
        {                                                                                                              \
                POD_PRIVILEGED, POD_LATEST                                                                             \
        }
const struct pod_security pod_security_default = {.defaults = {.of = {PRIVILEGED, PRIVILEGED, PRIVILEGED}}};

const struct pod_security *pod_security_of(const struct apiserver *api)
{
        return api->pod_security ? api->pod_security : &pod_security_default;
}

static void wrong_value(struct cx_error *causes, const char *field, const char *value, const char *why)
{
        if (why)
                cx_error_cause(causes, "FieldValueInvalid", field, "Invalid value: \"%s\": %s", value, why);
}

static void take_defaults(const json_t *defaults, struct pod_policy *policy, struct cx_error *causes)
{
        static const enum pod_mode order[] = {POD_ENFORCE, POD_WARN, POD_AUDIT}; // in which upstream complains
        for (size_t i = 0; i < CX_ARRAY_SIZE(order); i++) {
                struct pod_standard *standard = &policy->of[order[i]];
                CX_CLEANUP(cx_freep) char *level = cx_sprintf("defaults.%s", pod_mode_names[order[i]]);
                CX_CLEANUP(cx_freep) char *version = cx_sprintf("%s-version", level);
                const char *value = cx_json_string_or(defaults, level + strlen("defaults."), "");
                wrong_value(causes, level, value, pod_level_parse(value, &standard->level));
                value = cx_json_string_or(defaults, version + strlen("defaults."), "");
                wrong_value(causes, version, value, pod_version_parse(value, &standard->minor));
        }
}

static const char *check_user(const char *name)
{
        return *name ? NULL : "";
}

// `check` says what is wrong; "" that it is empty.
static void take_exemptions(const json_t *exemptions, const char *what, const char *(*check)(const char *text),
                            struct cx_strings *to, struct cx_error *causes)
{
        CX_MAP seen = CX_MAP_INIT;
        size_t i;
        const json_t *item;
        json_array_foreach (json_object_get(exemptions, what), i, item) {
                const char *name = cx_str(json_string_value(item)), *why = check(name);
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("exemptions.%s[%zu]", what, i);
                if (why && !*why)
                        cx_error_cause(causes, "FieldValueRequired", field, "Required value");
                else if (why)
                        wrong_value(causes, field, name, why);
                else if (cx_map_has(&seen, name))
                        cx_error_cause(causes, "FieldValueDuplicate", field, "Duplicate value: \"%s\"", name);
                else
                        cx_strings_add(to, name);
                cx_map_set(&seen, name, to);
        }
}

static int take(const json_t *settings, struct pod_security *security, struct cx_error *err)
{
        const json_t *exemptions = json_object_get(settings, "exemptions");
        CX_ERROR causes = CX_ERROR_INIT;
        take_defaults(json_object_get(settings, "defaults"), &security->defaults, &causes);
        take_exemptions(exemptions, "namespaces", cx_check_dns1123_label, &security->namespaces, &causes);
        take_exemptions(exemptions, "runtimeClasses", cx_check_dns1123_subdomain, &security->runtime_classes, &causes);
        take_exemptions(exemptions, "usernames", check_user, &security->usernames, &causes);
        CX_CLEANUP(cx_freep) char *text = pod_security_causes(&causes);
        return causes.n_causes ? cx_error_set(err, -EINVAL, "%s", text) : 0;
}

static void declare(struct pod_security *security, struct cx_metrics *metrics)
{
        static const char *const of_evaluation[] = {"decision",          "policy_level", "policy_version", "mode",
                                                    "request_operation", "resource",     "subresource",    NULL};
        static const char *const of_error[] = {"fatal", "request_operation", "resource", "subresource", NULL};
        static const char *const operations[] = {"create", "update"};
        security->evaluations = cx_metrics_counter(metrics, "pod_security_evaluations_total",
                                                   "Policies that requests were judged by.", of_evaluation);
        security->exemptions = cx_metrics_counter(metrics, "pod_security_exemptions_total",
                                                  "Requests that are exempt from all policies.", of_error + 1);
        security->errors = cx_metrics_counter(metrics, "pod_security_errors_total",
                                              "Requests that could not be judged as they should be.", of_error);
        for (size_t i = 0; i < CX_ARRAY_SIZE(operations); i++)
                security->usual[i] = cx_metric_series(security->evaluations,
                                                      (const char *const[]){"allow", "privileged", "latest", "enforce",
                                                                            operations[i], "pod", "", NULL});
}

int pod_security_new(const json_t *settings, struct cx_metrics *metrics, struct pod_security **ret_security,
                     struct cx_error *err)
{
        static const char *const versions[] = {"pod-security.admission.config.k8s.io/v1",
                                               "pod-security.admission.config.k8s.io/v1beta1",
                                               "pod-security.admission.config.k8s.io/v1alpha1", NULL};
        CX_CLEANUP(pod_security_freep) struct pod_security *security = cx_alloc(sizeof *security);
        json_auto_t *checked = settings ? json_deep_copy(settings) : NULL;
        *security = pod_security_default;
        int r = 0;
        if (settings)
                r = admission_check_settings(versions, "PodSecurityConfiguration", checked, err);
        if (r == 0 && settings)
                r = take(checked, security, err);
        if (r < 0)
                return r;
        if (metrics)
                declare(security, metrics);
        *ret_security = cx_steal(&security);
        return 0;
}

void pod_security_free(struct pod_security *security)
{
        if (!security)
                return;
        cx_strings_release(&security->namespaces);
        cx_strings_release(&security->usernames);
        cx_strings_release(&security->runtime_classes);
        free(security);
}
