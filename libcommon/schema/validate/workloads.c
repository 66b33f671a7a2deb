// SPDX-License-Identifier: Apache-2.0
// Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, autoscalers, disruption budgets.
#include "libcommon/api/intstr.h"
#include "libcommon/api/selector.h"
#include "libcommon/schema/validate/validate.h"

static void check_template(struct cx_validator *v, const json_t *spec)
{
        static const char *const policies[] = {"Always", NULL};
        const json_t *selector = json_object_get(spec, "selector");
        const json_t *labels = cx_json_get(spec, "template.metadata.labels");
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        json_auto_t *none = json_object();
        if (json_object_size(selector) && cx_selector_from_json(selector, &parsed, NULL) == 0 &&
            !cx_selector_matches(&parsed, labels))
                cx_invalid(v, "template.metadata.labels", labels ? labels : none,
                           "`selector` does not match template `labels`");
        const char *policy = cx_json_string_or(spec, "template.spec.restartPolicy", "Always");
        if (strcmp(policy, "Always") != 0)
                cx_unsupported(v, "template.spec.restartPolicy", policy, policies);
}

static bool is_zero(const json_t *value)
{
        const char *text = json_string_value(value);
        return json_is_integer(value) ? json_integer_value(value) == 0 : text && strcmp(text, "0%") == 0;
}

// "25%" or a number that is not negative.
static void check_amount(struct cx_validator *v, const json_t *object, const char *field)
{
        const json_t *value = cx_json_get(object, field);
        int64_t n;
        if (!value)
                return;
        if (cx_int_or_percent(value, 100, true, &n) < 0)
                cx_invalid(v, field, value,
                           "a valid percent string must be a numeric string followed by an ending '%' "
                           "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
        else if (n < 0)
                cx_invalid(v, field, value, "must be greater than or equal to 0");
}

static void check_deployment(struct cx_validator *v, const json_t *spec)
{
        const json_t *rolling = cx_json_get(spec, "strategy.rollingUpdate");
        check_template(v, spec);
        if (strcmp(cx_json_string_or(spec, "strategy.type", ""), "Recreate") == 0 && rolling)
                cx_forbidden(v, "strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        check_amount(v, spec, "strategy.rollingUpdate.maxSurge");
        check_amount(v, spec, "strategy.rollingUpdate.maxUnavailable");
        const json_t *unavailable = json_object_get(rolling, "maxUnavailable");
        if (is_zero(unavailable) && is_zero(json_object_get(rolling, "maxSurge")))
                cx_invalid(v, "strategy.rollingUpdate.maxUnavailable", unavailable,
                           "may not be 0 when `maxSurge` is 0");
        const json_t *deadline = json_object_get(spec, "progressDeadlineSeconds");
        if (deadline && json_integer_value(deadline) <= cx_json_int(spec, "minReadySeconds", 0))
                cx_invalid(v, "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
}

static void check_daemon_set(struct cx_validator *v, const json_t *spec)
{
        const json_t *rolling = cx_json_get(spec, "updateStrategy.rollingUpdate");
        check_template(v, spec);
        check_amount(v, spec, "updateStrategy.rollingUpdate.maxSurge");
        check_amount(v, spec, "updateStrategy.rollingUpdate.maxUnavailable");
        if (rolling && is_zero(json_object_get(rolling, "maxSurge")) &&
            is_zero(json_object_get(rolling, "maxUnavailable")))
                cx_required(v, "updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0");
}

static void check_replication_controller(struct cx_validator *v, const json_t *spec)
{
        const json_t *labels = cx_json_get(spec, "template.metadata.labels");
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        json_auto_t *none = json_object();
        if (!cx_json_count(spec, "selector")) {
                cx_required(v, "selector", NULL);
                return;
        }
        cx_selector_from_map(json_object_get(spec, "selector"), &selector);
        if (!json_object_get(spec, "template"))
                cx_required(v, "template", NULL);
        else if (!cx_selector_matches(&selector, labels))
                cx_invalid(v, "template.metadata.labels", labels ? labels : none,
                           "`selector` does not match template `labels`");
}

static void check_job(struct cx_validator *v, const json_t *spec)
{
        const char *policy = cx_json_string_or(spec, "template.spec.restartPolicy", "");
        if (strcmp(policy, "OnFailure") != 0 && strcmp(policy, "Never") != 0)
                cx_required(v, "template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"");
        if (strcmp(cx_json_string_or(spec, "completionMode", ""), "Indexed") == 0 &&
            !json_object_get(spec, "completions"))
                cx_required(v, "completions", "when completion mode is Indexed");
}

static void check_autoscaler(struct cx_validator *v, const json_t *spec)
{
        const json_t *max = json_object_get(spec, "maxReplicas");
        if (!max)
                cx_required(v, "maxReplicas", NULL);
        else if (json_integer_value(max) < cx_json_int(spec, "minReplicas", 1))
                cx_invalid(v, "maxReplicas", max, "must be greater than or equal to `minReplicas`");
}

static void check_budget(struct cx_validator *v, const json_t *spec)
{
        if (json_object_get(spec, "minAvailable") && json_object_get(spec, "maxUnavailable"))
                cx_invalid(v, "", spec, "minAvailable and maxUnavailable cannot be both set");
        check_amount(v, spec, "minAvailable");
        check_amount(v, spec, "maxUnavailable");
}

const struct cx_check cx_checks_workloads[] = {
        {"apps.v1.DeploymentSpec", check_deployment},
        {"apps.v1.ReplicaSetSpec", check_template},
        {"apps.v1.StatefulSetSpec", check_template},
        {"apps.v1.DaemonSetSpec", check_daemon_set},
        {"core.v1.ReplicationControllerSpec", check_replication_controller},
        {"batch.v1.JobSpec", check_job},
        {"autoscaling.v1.HorizontalPodAutoscalerSpec", check_autoscaler},
        {"autoscaling.v2.HorizontalPodAutoscalerSpec", check_autoscaler},
        {"policy.v1.PodDisruptionBudgetSpec", check_budget},
        {NULL, NULL},
};
