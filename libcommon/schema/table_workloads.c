// SPDX-License-Identifier: Apache-2.0
// Rows of Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs, autoscalers and disruption budgets.
#include "libcommon/base/time.h"
#include "libcommon/schema/table_internal.h"

static void print_template(struct cx_row *row, const json_t *object)
{
        cx_cell_containers(row, cx_json_get(object, "spec.template.spec"));
}

static void print_deployment(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_printf(row, "%lld/%lld", (long long)cx_json_int(object, "status.readyReplicas", 0),
                       (long long)cx_json_int(object, "spec.replicas", 0));
        cx_cell_int(row, cx_json_int(object, "status.updatedReplicas", 0));
        cx_cell_int(row, cx_json_int(object, "status.availableReplicas", 0));
        cx_cell_age(row, object);
        print_template(row, object);
        cx_cell_label_selector(row, cx_json_get(object, "spec.selector"));
}

static void print_counts(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_int(row, cx_json_int(object, "spec.replicas", 0));
        cx_cell_int(row, cx_json_int(object, "status.replicas", 0));
        cx_cell_int(row, cx_json_int(object, "status.readyReplicas", 0));
        cx_cell_age(row, object);
        print_template(row, object);
}

static void print_replica_set(struct cx_row *row, const json_t *object)
{
        print_counts(row, object);
        cx_cell_label_selector(row, cx_json_get(object, "spec.selector"));
}

static void print_replication_controller(struct cx_row *row, const json_t *object)
{
        print_counts(row, object);
        cx_cell_labels(row, cx_json_get(object, "spec.selector"));
}

static void print_stateful_set(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_printf(row, "%lld/%lld", (long long)cx_json_int(object, "status.readyReplicas", 0),
                       (long long)cx_json_int(object, "spec.replicas", 0));
        cx_cell_age(row, object);
        print_template(row, object);
}

static void print_daemon_set(struct cx_row *row, const json_t *object)
{
        static const char *const counts[] = {"status.desiredNumberScheduled", "status.currentNumberScheduled",
                                             "status.numberReady", "status.updatedNumberScheduled",
                                             "status.numberAvailable"};
        cx_cell_name(row, object);
        for (size_t i = 0; i < CX_ARRAY_SIZE(counts); i++)
                cx_cell_int(row, cx_json_int(object, counts[i], 0));
        cx_cell_labels(row, cx_json_get(object, "spec.template.spec.nodeSelector"));
        cx_cell_age(row, object);
        print_template(row, object);
        cx_cell_label_selector(row, cx_json_get(object, "spec.selector"));
}

static void print_controller_revision(struct cx_row *row, const json_t *object)
{
        const char *controller = "<none>";
        CX_CLEANUP(cx_freep) char *text = NULL;
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, owner) {
                if (!cx_json_bool(owner, "controller", false) || text)
                        continue;
                char group[64], version[32];
                CX_CLEANUP(cx_freep) char *kind = cx_strdup(cx_json_string_or(owner, "kind", ""));
                for (char *c = kind; *c; c++)
                        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
                cx_split_api_version(cx_json_string_or(owner, "apiVersion", ""), group, version);
                text = cx_sprintf("%s%s%s/%s", kind, *group ? "." : "", group, cx_json_string_or(owner, "name", ""));
                controller = text;
        }
        cx_cell_name(row, object);
        cx_cell(row, controller);
        cx_cell_int(row, cx_json_int(object, "revision", 0));
        cx_cell_age(row, object);
}

// --- jobs -----------------------------------------------------------------------------------------------------------
static const char *job_status(const json_t *job)
{
        static const char *const first[] = {"Complete", "Failed"};
        static const char *const then[] = {"Suspended", "FailureTarget", "SuccessCriteriaMet"};
        const json_t *conditions = cx_json_get(job, "status.conditions");
        for (size_t i = 0; i < CX_ARRAY_SIZE(first); i++)
                if (cx_streq(cx_json_string_or(cx_json_find(conditions, "type", first[i]), "status", ""), "True"))
                        return first[i];
        if (cx_json_string(job, "metadata.deletionTimestamp"))
                return "Terminating";
        for (size_t i = 0; i < CX_ARRAY_SIZE(then); i++)
                if (cx_streq(cx_json_string_or(cx_json_find(conditions, "type", then[i]), "status", ""), "True"))
                        return then[i];
        return "Running";
}

static void print_job_duration(struct cx_row *row, const json_t *job)
{
        int64_t start, end = row->now;
        char text[CX_TIME_TEXT];
        const char *from = cx_json_string(job, "status.startTime"), *to = cx_json_string(job, "status.completionTime");
        if (!from || cx_time_parse(from, &start) < 0 || (to && cx_time_parse(to, &end) < 0)) {
                cx_cell(row, "");
                return;
        }
        cx_duration_human((end - start) / CX_US_PER_S * CX_NS_PER_S, text);
        cx_cell(row, text);
}

static void print_job(struct cx_row *row, const json_t *job)
{
        int64_t succeeded = cx_json_int(job, "status.succeeded", 0), wanted = cx_json_int(job, "spec.completions", -1);
        int64_t parallelism = cx_json_int(job, "spec.parallelism", 0);
        cx_cell_name(row, job);
        cx_cell(row, job_status(job));
        if (wanted >= 0)
                cx_cell_printf(row, "%lld/%lld", (long long)succeeded, (long long)wanted);
        else if (parallelism > 1)
                cx_cell_printf(row, "%lld/1 of %lld", (long long)succeeded, (long long)parallelism);
        else
                cx_cell_printf(row, "%lld/1", (long long)succeeded);
        print_job_duration(row, job);
        cx_cell_age(row, job);
        print_template(row, job);
        cx_cell_label_selector(row, cx_json_get(job, "spec.selector"));
}

static void print_cron_job(struct cx_row *row, const json_t *object)
{
        const json_t *suspend = cx_json_get(object, "spec.suspend");
        const char *last = cx_json_string(object, "status.lastScheduleTime");
        cx_cell_name(row, object);
        cx_cell_at(row, object, "spec.schedule", "");
        cx_cell_at(row, object, "spec.timeZone", "<none>");
        cx_cell(row, !suspend ? "<unset>" : json_is_true(suspend) ? "True" : "False");
        cx_cell_int(row, (int64_t)cx_json_count(object, "status.active"));
        cx_cell_steal(row, last ? cx_since_text(row->now, last) : cx_strdup("<none>"));
        cx_cell_age(row, object);
        cx_cell_containers(row, cx_json_get(object, "spec.jobTemplate.spec.template.spec"));
        cx_cell_label_selector(row, cx_json_get(object, "spec.jobTemplate.spec.selector"));
}

// --- autoscaling, budgets -------------------------------------------------------------------------------------------
// The part of a metric that is called after its type: "Resource" has it in "resource".
static const json_t *metric_source(const json_t *metric)
{
        static const char *const names[][2] = {{"Resource", "resource"},
                                               {"ContainerResource", "containerResource"},
                                               {"Pods", "pods"},
                                               {"Object", "object"},
                                               {"External", "external"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (cx_streq(cx_json_string_or(metric, "type", ""), names[i][0]))
                        return json_object_get(metric, names[i][1]);
        return NULL;
}

static void format_metric(struct cx_buf *text, const json_t *spec, const json_t *status)
{
        const json_t *source = metric_source(spec), *target = json_object_get(source, "target");
        const json_t *current = json_object_get(metric_source(status), "current");
        const char *name = cx_json_string(source, "name");
        if (name)
                cx_buf_printf(text, "%s: ", name);
        if (json_object_get(target, "averageUtilization")) {
                if (json_object_get(current, "averageUtilization"))
                        cx_buf_printf(text, "%lld%%", (long long)cx_json_int(current, "averageUtilization", 0));
                else
                        cx_buf_add(text, "<unknown>");
                cx_buf_printf(text, "/%lld%%", (long long)cx_json_int(target, "averageUtilization", 0));
                return;
        }
        const char *average = cx_json_string(target, "averageValue");
        cx_buf_printf(text, "%s/%s%s", cx_json_string_or(current, average ? "averageValue" : "value", "<unknown>"),
                      average ? average : cx_json_string_or(target, "value", "<auto>"),
                      average && !name ? " (avg)" : "");
}

static void print_targets(struct cx_row *row, const json_t *object)
{
        const json_t *metrics = cx_json_get(object, "spec.metrics"),
                     *now = cx_json_get(object, "status.currentMetrics");
        CX_BUF text = CX_BUF_INIT;
        size_t i, count = json_array_size(metrics);
        json_t *metric;
        if (json_object_get(json_object_get(object, "spec"), "targetCPUUtilizationPercentage")) { // autoscaling/v1
                int64_t current = cx_json_int(object, "status.currentCPUUtilizationPercentage", -1);
                long long wanted = cx_json_int(object, "spec.targetCPUUtilizationPercentage", 0);
                if (current < 0)
                        cx_cell_printf(row, "cpu: <unknown>/%lld%%", wanted);
                else
                        cx_cell_printf(row, "cpu: %lld%%/%lld%%", (long long)current, wanted);
                return;
        }
        json_array_foreach (metrics, i, metric) {
                if (i == 2)
                        break;
                cx_buf_add(&text, i ? ", " : "");
                format_metric(&text, metric, json_array_get(now, i));
        }
        if (count > 2)
                cx_buf_printf(&text, " + %zu more...", count - 2);
        cx_cell_or(row, text.data, "<none>");
}

static void print_autoscaler(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_printf(row, "%s/%s", cx_json_string_or(object, "spec.scaleTargetRef.kind", ""),
                       cx_json_string_or(object, "spec.scaleTargetRef.name", ""));
        print_targets(row, object);
        if (cx_json_get(object, "spec.minReplicas"))
                cx_cell_printf(row, "%lld", (long long)cx_json_int(object, "spec.minReplicas", 0));
        else
                cx_cell(row, "<unset>");
        cx_cell_int(row, cx_json_int(object, "spec.maxReplicas", 0));
        cx_cell_int(row, cx_json_int(object, "status.currentReplicas", 0));
        cx_cell_age(row, object);
}

static void print_int_or_string(struct cx_row *row, const json_t *value)
{
        if (json_is_integer(value))
                cx_cell_printf(row, "%lld", (long long)json_integer_value(value));
        else
                cx_cell_or(row, json_string_value(value), "N/A");
}

static void print_budget(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        print_int_or_string(row, cx_json_get(object, "spec.minAvailable"));
        print_int_or_string(row, cx_json_get(object, "spec.maxUnavailable"));
        cx_cell_int(row, cx_json_int(object, "status.disruptionsAllowed", 0));
        cx_cell_age(row, object);
}

const struct cx_printer cx_printers_workloads[] = {
        {"apps.v1.Deployment", print_deployment},
        {"apps.v1.ReplicaSet", print_replica_set},
        {"apps.v1.StatefulSet", print_stateful_set},
        {"apps.v1.DaemonSet", print_daemon_set},
        {"apps.v1.ControllerRevision", print_controller_revision},
        {"core.v1.ReplicationController", print_replication_controller},
        {"batch.v1.Job", print_job},
        {"batch.v1.CronJob", print_cron_job},
        {"autoscaling.v1.HorizontalPodAutoscaler", print_autoscaler},
        {"autoscaling.v2.HorizontalPodAutoscaler", print_autoscaler},
        {"policy.v1.PodDisruptionBudget", print_budget},
        {NULL, NULL},
};
