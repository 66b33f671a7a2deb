// SPDX-License-Identifier: Apache-2.0
// Deployments, ReplicaSets, StatefulSets, DaemonSets, autoscalers, disruption budgets.
#include "libcommon/api/intstr.h"
#include "libcommon/api/selector.h"
#include "libcommon/schema/validate/validate.h"

// The pods of `owner` run on: what ends them by itself is not for them.
static void check_lasting(struct cx_validator *v, const json_t *spec, const char *owner)
{
        static const char *const policies[] = {"Always", NULL};
        const char *policy = cx_json_string_or(spec, "template.spec.restartPolicy", "Always");
        CX_CLEANUP(cx_freep) char *detail = cx_sprintf("activeDeadlineSeconds in %s is not Supported", owner);
        if (strcmp(policy, "Always") != 0)
                cx_unsupported(v, "template.spec.restartPolicy", policy, policies);
        if (cx_json_get(spec, "template.spec.activeDeadlineSeconds"))
                cx_forbidden(v, "template.spec.activeDeadlineSeconds", detail);
}

static void check_template(struct cx_validator *v, const json_t *spec, const char *owner)
{
        const json_t *selector = json_object_get(spec, "selector");
        const json_t *labels = cx_json_get(spec, "template.metadata.labels");
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        json_auto_t *none = json_object();
        if (json_object_size(selector) && cx_selector_from_json(selector, &parsed, NULL) == 0 &&
            !cx_selector_matches(&parsed, labels))
                cx_invalid(v, "template.metadata.labels", labels ? labels : none,
                           "`selector` does not match template `labels`");
        check_lasting(v, spec, owner);
}

static void check_pod_template(struct cx_validator *v, const json_t *template)
{
        if (cx_json_count(template, "spec.ephemeralContainers"))
                cx_forbidden(v, "spec.ephemeralContainers", "ephemeral containers not allowed in pod template");
}

// The number or the percentage; 0 for what is neither.
static int64_t amount(const json_t *value)
{
        int64_t n = 0;
        return cx_int_or_percent(value, 100, true, &n) == 0 ? n : 0;
}

// "25%" or a number that is not negative. A percentage is of what there is, unless it may be `more`.
static void check_amount(struct cx_validator *v, const json_t *object, const char *field, bool more)
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
        else if (n > 100 && json_is_string(value) && !more)
                cx_invalid(v, field, value, "must not be greater than 100%");
}

static void check_deployment(struct cx_validator *v, const json_t *spec)
{
        const json_t *rolling = cx_json_get(spec, "strategy.rollingUpdate");
        const json_t *unavailable = json_object_get(rolling, "maxUnavailable");
        check_template(v, spec, "ReplicaSet");
        if (strcmp(cx_json_string_or(spec, "strategy.type", ""), "Recreate") == 0 && rolling)
                cx_forbidden(v, "strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        check_amount(v, spec, "strategy.rollingUpdate.maxSurge", true);
        check_amount(v, spec, "strategy.rollingUpdate.maxUnavailable", false);
        if (unavailable && amount(unavailable) == 0 && amount(json_object_get(rolling, "maxSurge")) == 0)
                cx_invalid(v, "strategy.rollingUpdate.maxUnavailable", unavailable,
                           "may not be 0 when `maxSurge` is 0");
        const json_t *deadline = json_object_get(spec, "progressDeadlineSeconds");
        if (deadline && json_integer_value(deadline) <= cx_json_int(spec, "minReadySeconds", 0))
                cx_invalid(v, "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
}

static void check_replica_set(struct cx_validator *v, const json_t *spec)
{
        check_template(v, spec, "ReplicaSet");
}

static void check_stateful_set(struct cx_validator *v, const json_t *spec)
{
        const json_t *rolling = cx_json_get(spec, "updateStrategy.rollingUpdate");
        const json_t *unavailable = json_object_get(rolling, "maxUnavailable");
        check_template(v, spec, "StatefulSet");
        if (strcmp(cx_json_string_or(spec, "updateStrategy.type", ""), "OnDelete") == 0 && rolling)
                cx_invalid(v, "updateStrategy.rollingUpdate", rolling,
                           "only allowed for updateStrategy 'RollingUpdate'");
        check_amount(v, spec, "updateStrategy.rollingUpdate.maxUnavailable", false);
        if (unavailable && amount(unavailable) == 0)
                cx_invalid(v, "updateStrategy.rollingUpdate.maxUnavailable", unavailable, "cannot be 0");
}

static void check_daemon_set(struct cx_validator *v, const json_t *spec)
{
        const json_t *rolling = cx_json_get(spec, "updateStrategy.rollingUpdate");
        const json_t *surge = json_object_get(rolling, "maxSurge");
        bool surges = amount(surge) != 0, takes = amount(json_object_get(rolling, "maxUnavailable")) != 0;
        check_template(v, spec, "DaemonSet");
        if (strcmp(cx_json_string_or(spec, "updateStrategy.type", ""), "OnDelete") == 0)
                return; // it has no use for the rest
        check_amount(v, spec, "updateStrategy.rollingUpdate.maxUnavailable", false);
        check_amount(v, spec, "updateStrategy.rollingUpdate.maxSurge", false);
        if (rolling && surges && takes)
                cx_invalid(v, "updateStrategy.rollingUpdate.maxSurge", surge,
                           "may not be set when maxUnavailable is non-zero");
        else if (rolling && !surges && !takes)
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
        check_lasting(v, spec, "ReplicationController");
}

static void check_budget(struct cx_validator *v, const json_t *spec)
{
        if (json_object_get(spec, "minAvailable") && json_object_get(spec, "maxUnavailable"))
                cx_invalid(v, "", spec, "minAvailable and maxUnavailable cannot be both set");
        check_amount(v, spec, "minAvailable", false);
        check_amount(v, spec, "maxUnavailable", false);
}

const struct cx_check cx_checks_workloads[] = {
        {"apps.v1.DeploymentSpec", check_deployment},
        {"apps.v1.ReplicaSetSpec", check_replica_set},
        {"apps.v1.StatefulSetSpec", check_stateful_set},
        {"apps.v1.DaemonSetSpec", check_daemon_set},
        {"core.v1.PodTemplateSpec", check_pod_template},
        {"core.v1.ReplicationControllerSpec", check_replication_controller},
        {"policy.v1.PodDisruptionBudgetSpec", check_budget},
        {NULL, NULL},
};
