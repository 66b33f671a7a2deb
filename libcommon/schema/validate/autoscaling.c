// SPDX-License-Identifier: Apache-2.0
// Autoscalers: bounds, and metrics whose source and target say one thing.
#include "libcommon/api/quantity.h"
#include "libcommon/schema/validate/validate.h"

static const struct {
        const char *type, *member;
} sources[] = {{"ContainerResource", "containerResource"},
               {"External", "external"},
               {"Object", "object"},
               {"Pods", "pods"},
               {"Resource", "resource"}};

static void check_bounds(struct cx_validator *v, const json_t *spec)
{
        const json_t *max = json_object_get(spec, "maxReplicas");
        if (!max)
                cx_required(v, "maxReplicas", NULL);
        else if (json_integer_value(max) < cx_json_int(spec, "minReplicas", 1))
                cx_invalid(v, "maxReplicas", max, "must be greater than or equal to `minReplicas`");
}

// Nothing that pods use can bring them back once there are none.
static void check_zero(struct cx_validator *v, const json_t *spec)
{
        size_t i;
        const json_t *metric;
        check_bounds(v, spec);
        if (cx_json_int(spec, "minReplicas", 1) != 0)
                return;
        json_array_foreach (json_object_get(spec, "metrics"), i, metric)
                if (cx_streq(cx_json_string(metric, "type"), "Object") ||
                    cx_streq(cx_json_string(metric, "type"), "External"))
                        return;
        cx_forbidden(v, "metrics",
                     "must specify at least one Object or External metric to support scaling to zero replicas");
}

static void check_metric(struct cx_validator *v, const json_t *metric)
{
        const char *type = cx_json_string_or(metric, "type", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(sources); i++) {
                bool wanted = strcmp(sources[i].type, type) == 0;
                bool there = json_is_object(json_object_get(metric, sources[i].member));
                if (wanted && !there)
                        cx_required(v, sources[i].member, "must populate information for the given metric source");
                else if (!wanted && there && *type)
                        cx_forbidden(v, sources[i].member, "must populate the given metric source only");
        }
}

static void check_positive(struct cx_validator *v, const json_t *target, const char *field)
{
        const json_t *value = json_object_get(target, field);
        struct cx_quantity quantity;
        if (value && cx_quantity_from_json(value, &quantity) == 0 && quantity.nano <= 0)
                cx_invalid(v, field, value, "must be positive");
}

static void check_target(struct cx_validator *v, const json_t *target)
{
        const json_t *percent = json_object_get(target, "averageUtilization");
        check_positive(v, target, "value");
        check_positive(v, target, "averageValue");
        if (percent && json_integer_value(percent) < 1)
                cx_invalid(v, "averageUtilization", percent, "must be greater than 0");
}

static bool has(const json_t *source, const char *field)
{
        return json_object_get(json_object_get(source, "target"), field);
}

static void check_resource(struct cx_validator *v, const json_t *source)
{
        bool percent = has(source, "averageUtilization"), value = has(source, "averageValue");
        if (!percent && !value)
                cx_required(v, "target.averageUtilization",
                            "must set either a target raw value or a target utilization");
        else if (percent && value)
                cx_forbidden(v, "target.averageValue", "may not set both a target raw value and a target utilization");
}

static void check_pods(struct cx_validator *v, const json_t *source)
{
        if (!has(source, "averageValue"))
                cx_required(v, "target.averageValue", "must specify a positive target averageValue");
}

static void check_object(struct cx_validator *v, const json_t *source)
{
        if (!has(source, "value") && !has(source, "averageValue"))
                cx_required(v, "target.averageValue", "must set either a target value or averageValue");
}

static void check_external(struct cx_validator *v, const json_t *source)
{
        if (!has(source, "value") && !has(source, "averageValue"))
                cx_required(v, "target.averageValue", "must set either a target value for metric or a per-pod target");
        else if (has(source, "value") && has(source, "averageValue"))
                cx_forbidden(v, "target.value", "may not set both a target value for metric and a per-pod target");
}

const struct cx_check cx_checks_autoscaling[] = {
        {"autoscaling.v1.HorizontalPodAutoscalerSpec", check_bounds},
        {"autoscaling.v2.HorizontalPodAutoscalerSpec", check_zero},
        {"autoscaling.v2.MetricSpec", check_metric},
        {"autoscaling.v2.MetricTarget", check_target},
        {"autoscaling.v2.ResourceMetricSource", check_resource},
        {"autoscaling.v2.ContainerResourceMetricSource", check_resource},
        {"autoscaling.v2.PodsMetricSource", check_pods},
        {"autoscaling.v2.ObjectMetricSource", check_object},
        {"autoscaling.v2.ExternalMetricSource", check_external},
        {NULL, NULL},
};
