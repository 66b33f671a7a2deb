// SPDX-License-Identifier: Apache-2.0
// Conditional defaults of Deployments, StatefulSets, DaemonSets, Jobs and autoscalers.
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/defaults/defaults.h"

static void default_strategy(json_t *strategy)
{
        if (strcmp(cx_default_string(strategy, "type"), "RollingUpdate") == 0)
                cx_default_set_new(strategy, "rollingUpdate", json_object());
}

static void default_stateful_set(json_t *spec)
{
        size_t i;
        json_t *template;
        json_array_foreach (json_object_get(spec, "volumeClaimTemplates"), i, template) {
                if (!json_is_object(template))
                        continue;
                cx_default_set_new(template, "apiVersion", json_string("v1"));
                cx_default_set_new(template, "kind", json_string("PersistentVolumeClaim"));
        }
}

static void default_job(json_t *job)
{
        json_t *labels = cx_json_get(job, "spec.template.metadata.labels");
        json_t *metadata = cx_json_object_at(job, "metadata");
        if (json_object_size(labels) && !json_object_size(json_object_get(metadata, "labels")))
                json_object_set_new(metadata, "labels", json_deep_copy(labels));
}

static void default_job_spec(json_t *spec)
{
        if (!json_object_get(spec, "completions") && !json_object_get(spec, "parallelism"))
                json_object_set_new(spec, "completions", json_integer(1));
        cx_default_set_new(spec, "parallelism", json_integer(1));
        cx_default_set_new(spec, "backoffLimit",
                           json_integer(json_object_get(spec, "backoffLimitPerIndex") ? INT32_MAX : 6));
        cx_default_set_new(spec, "podReplacementPolicy",
                           json_string(json_object_get(spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed"));
}

static void default_autoscaler(json_t *spec)
{
        if (!json_array_size(json_object_get(spec, "metrics")))
                json_object_set_new(spec, "metrics",
                                    json_pack("[{s:s,s:{s:s,s:{s:s,s:i}}}]", "type", "Resource", "resource", "name",
                                              "cpu", "target", "type", "Utilization", "averageUtilization", 80));
}

static json_t *policy(const char *type, int value)
{
        return json_pack("{s:s,s:i,s:i}", "type", type, "value", value, "periodSeconds", 15);
}

static void default_behavior(json_t *behavior)
{
        json_t *up = cx_json_object_at(behavior, "scaleUp"), *down = cx_json_object_at(behavior, "scaleDown");
        if (!json_array_size(json_object_get(up, "policies")))
                json_object_set_new(up, "policies", json_pack("[oo]", policy("Pods", 4), policy("Percent", 100)));
        cx_default_set_new(up, "stabilizationWindowSeconds", json_integer(0));
        if (!json_array_size(json_object_get(down, "policies")))
                json_object_set_new(down, "policies", json_pack("[o]", policy("Percent", 100)));
}

const struct cx_conditional_default cx_defaults_workloads[] = {
        {"apps.v1.DeploymentStrategy", default_strategy},
        {"apps.v1.StatefulSetUpdateStrategy", default_strategy},
        {"apps.v1.DaemonSetUpdateStrategy", default_strategy},
        {"apps.v1.StatefulSetSpec", default_stateful_set},
        {"batch.v1.Job", default_job},
        {"batch.v1.JobSpec", default_job_spec},
        {"autoscaling.v2.HorizontalPodAutoscalerSpec", default_autoscaler},
        {"autoscaling.v2.HorizontalPodAutoscalerBehavior", default_behavior},
        {NULL, NULL},
};
