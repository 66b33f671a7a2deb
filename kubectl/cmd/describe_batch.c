// SPDX-License-Identifier: Apache-2.0
// Jobs, cron jobs, autoscalers, disruption budgets, quotas, limits and priority classes.
#include "kubectl/cmd/describe.h"
#include "libcommon/api/selector.h"

static void put_time(struct describe *d, const char *title, const char *moment)
{
        CX_CLEANUP(cx_freep) char *text = describe_time(moment);
        describe_line(d, 0, "%s:\t%s\n", title, text);
}

static void put_number(struct describe *d, const char *title, const json_t *object, const char *path)
{
        const json_t *number = cx_json_get(object, path);
        if (json_is_integer(number))
                describe_line(d, 0, "%s:\t%lld\n", title, (long long)json_integer_value(number));
        else
                describe_line(d, 0, "%s:\t<unset>\n", title);
}

static void put_selector(struct describe *d, const char *title, const json_t *selector, const char *none)
{
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        CX_BUF text = CX_BUF_INIT;
        if (json_object_size(selector) && cx_selector_from_json(selector, &parsed, NULL) == 0)
                cx_selector_format(&parsed, &text);
        describe_line(d, 0, "%s:\t%s\n", title, text.length ? text.data : none);
}

static void put_duration(struct describe *d, const char *from, const char *to)
{
        int64_t start, end;
        char text[CX_TIME_TEXT];
        if (!from || !to || cx_time_parse(from, &start) < 0 || cx_time_parse(to, &end) < 0)
                return;
        cx_duration_human((end - start) * 1000, text);
        describe_line(d, 0, "Duration:\t%s\n", text);
}

static int describe_job(struct describe *d, const json_t *job, struct cx_error *err CX_UNUSED)
{
        const char *started = cx_json_string(job, "status.startTime"),
                   *completed = cx_json_string(job, "status.completionTime");
        describe_name(d, job);
        put_selector(d, "Selector", cx_json_get(job, "spec.selector"), "");
        describe_labels(d, 0, "Labels", cx_json_get(job, "metadata.labels"));
        describe_annotations(d, job);
        describe_controller(d, job);
        put_number(d, "Parallelism", job, "spec.parallelism");
        put_number(d, "Completions", job, "spec.completions");
        describe_line(d, 0, "Completion Mode:\t%s\n", cx_json_string_or(job, "spec.completionMode", "NonIndexed"));
        describe_line(d, 0, "Suspend:\t%s\n", cx_json_bool(job, "spec.suspend", false) ? "true" : "false");
        put_number(d, "Backoff Limit", job, "spec.backoffLimit");
        if (cx_json_get(job, "spec.ttlSecondsAfterFinished"))
                put_number(d, "TTL Seconds After Finished", job, "spec.ttlSecondsAfterFinished");
        if (started)
                put_time(d, "Start Time", started);
        if (completed)
                put_time(d, "Completed At", completed);
        put_duration(d, started, completed);
        if (cx_json_get(job, "spec.activeDeadlineSeconds"))
                describe_line(d, 0, "Active Deadline Seconds:\t%llds\n",
                              (long long)cx_json_int(job, "spec.activeDeadlineSeconds", 0));
        CX_CLEANUP(cx_freep)
        char *ready = cx_json_get(job, "status.ready")
                              ? cx_sprintf(" (%lld Ready)", (long long)cx_json_int(job, "status.ready", 0))
                              : cx_strdup("");
        describe_line(d, 0, "Pods Statuses:\t%lld Active%s / %lld Succeeded / %lld Failed\n",
                      (long long)cx_json_int(job, "status.active", 0), ready,
                      (long long)cx_json_int(job, "status.succeeded", 0),
                      (long long)cx_json_int(job, "status.failed", 0));
        if (cx_json_string(job, "status.completedIndexes"))
                describe_line(d, 0, "Completed Indexes:\t%s\n", cx_json_string(job, "status.completedIndexes"));
        describe_line(d, 0, "Pod Template:\n");
        describe_template(d, cx_json_get(job, "spec.template"));
        describe_events(d, job);
        return 0;
}

static int describe_cronjob(struct describe *d, const json_t *cron, struct cx_error *err CX_UNUSED)
{
        const json_t *job = cx_json_get(cron, "spec.jobTemplate");
        describe_head(d, cron, true);
        describe_line(d, 0, "Schedule:\t%s\n", cx_json_string_or(cron, "spec.schedule", ""));
        describe_line(d, 0, "Concurrency Policy:\t%s\n", cx_json_string_or(cron, "spec.concurrencyPolicy", ""));
        describe_line(d, 0, "Suspend:\t%s\n", cx_json_bool(cron, "spec.suspend", false) ? "True" : "False");
        put_number(d, "Successful Job History Limit", cron, "spec.successfulJobsHistoryLimit");
        put_number(d, "Failed Job History Limit", cron, "spec.failedJobsHistoryLimit");
        const json_t *deadline = cx_json_get(cron, "spec.startingDeadlineSeconds");
        if (deadline)
                describe_line(d, 0, "Starting Deadline Seconds:\t%llds\n", (long long)json_integer_value(deadline));
        else
                describe_line(d, 0, "Starting Deadline Seconds:\t<unset>\n");
        put_selector(d, "Selector", cx_json_get(job, "spec.selector"), "<unset>");
        put_number(d, "Parallelism", job, "spec.parallelism");
        put_number(d, "Completions", job, "spec.completions");
        if (cx_json_get(job, "spec.activeDeadlineSeconds"))
                describe_line(d, 0, "Active Deadline Seconds:\t%llds\n",
                              (long long)cx_json_int(job, "spec.activeDeadlineSeconds", 0));
        describe_line(d, 0, "Pod Template:\n");
        describe_template(d, cx_json_get(job, "spec.template"));
        put_time(d, "Last Schedule Time", cx_json_string(cron, "status.lastScheduleTime"));
        CX_BUF active = CX_BUF_INIT;
        size_t i;
        json_t *ref;
        json_array_foreach (cx_json_get(cron, "status.active"), i, ref)
                cx_buf_printf(&active, "%s%s", i ? ", " : "", cx_json_string_or(ref, "name", ""));
        describe_line(d, 0, "Active Jobs:\t%s\n", active.length ? active.data : "<none>");
        describe_events(d, cron);
        return 0;
}

// --- autoscalers ----------------------------------------------------------------------------------------------------
static void describe_metric(struct describe *d, const json_t *metric, const json_t *current)
{
        const char *type = cx_json_string_or(metric, "type", "");
        const char *name = cx_json_string_or(metric, "resource.name", "");
        if (strcmp(type, "Resource") != 0) {
                describe_line(d, 1, "%s\n", type);
                return;
        }
        const char *average = cx_json_string(metric, "resource.target.averageValue");
        const char *now = cx_json_string_or(current, "resource.current.averageValue", "<unknown>");
        if (average) {
                describe_line(d, 1, "resource %s on pods:\t%s / %s\n", name, now, average);
                return;
        }
        int64_t percent = cx_json_int(current, "resource.current.averageUtilization", -1);
        CX_CLEANUP(cx_freep)
        char *seen = percent >= 0 ? cx_sprintf("%lld%% (%s)", (long long)percent, now) : cx_strdup("<unknown>");
        describe_line(d, 1, "resource %s on pods  (as a percentage of request):\t%s / %lld%%\n", name, seen,
                      (long long)cx_json_int(metric, "resource.target.averageUtilization", 0));
}

static int describe_hpa(struct describe *d, const json_t *hpa, struct cx_error *err CX_UNUSED)
{
        const char *kind = cx_json_string_or(hpa, "spec.scaleTargetRef.kind", "");
        size_t i;
        json_t *item;
        describe_head(d, hpa, true);
        put_time(d, "CreationTimestamp", cx_json_string(hpa, "metadata.creationTimestamp"));
        describe_line(d, 0, "Reference:\t%s/%s\n", kind, cx_json_string_or(hpa, "spec.scaleTargetRef.name", ""));
        describe_line(d, 0, "Metrics:\t( current / target )\n");
        json_array_foreach (cx_json_get(hpa, "spec.metrics"), i, item)
                describe_metric(d, item, json_array_get(cx_json_get(hpa, "status.currentMetrics"), i));
        const json_t *min = cx_json_get(hpa, "spec.minReplicas");
        if (min)
                describe_line(d, 0, "Min replicas:\t%lld\n", (long long)json_integer_value(min));
        else
                describe_line(d, 0, "Min replicas:\t<unset>\n");
        describe_line(d, 0, "Max replicas:\t%lld\n", (long long)cx_json_int(hpa, "spec.maxReplicas", 0));
        describe_line(d, 0, "%s pods:\t%lld current / %lld desired\n", kind,
                      (long long)cx_json_int(hpa, "status.currentReplicas", 0),
                      (long long)cx_json_int(hpa, "status.desiredReplicas", 0));
        if (cx_json_count(hpa, "status.conditions")) {
                describe_line(d, 0, "Conditions:\n");
                describe_line(d, 1, "Type\tStatus\tReason\tMessage\n");
                describe_line(d, 1, "----\t------\t------\t-------\n");
                json_array_foreach (cx_json_get(hpa, "status.conditions"), i, item)
                        describe_line(d, 1, "%s\t%s\t%s\t%s\n", cx_json_string_or(item, "type", ""),
                                      cx_json_string_or(item, "status", ""), cx_json_string_or(item, "reason", ""),
                                      cx_json_string_or(item, "message", ""));
        }
        describe_events(d, hpa);
        return 0;
}

// --- policies -------------------------------------------------------------------------------------------------------
static int describe_pdb(struct describe *d, const json_t *pdb, struct cx_error *err CX_UNUSED)
{
        const json_t *least = cx_json_get(pdb, "spec.minAvailable"), *most = cx_json_get(pdb, "spec.maxUnavailable");
        describe_name(d, pdb);
        if (least || most) {
                CX_CLEANUP(cx_freep) char *value = text_of(least ? least : most);
                describe_line(d, 0, "%s:\t%s\n", least ? "Min available" : "Max unavailable", value);
        }
        put_selector(d, "Selector", cx_json_get(pdb, "spec.selector"), "<unset>");
        describe_line(d, 0, "Status:\n");
        static const char *const rows[][2] = {{"Allowed disruptions", "status.disruptionsAllowed"},
                                              {"Current", "status.currentHealthy"},
                                              {"Desired", "status.desiredHealthy"},
                                              {"Total", "status.expectedPods"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++)
                describe_line(d, 2, "%s:\t%lld\n", rows[i][0], (long long)cx_json_int(pdb, rows[i][1], 0));
        describe_events(d, pdb);
        return 0;
}

static const char *scope_meaning(const char *scope)
{
        static const char *const scopes[][2] = {
                {"Terminating",
                 "Matches all pods that have an active deadline. These pods have a limited lifespan on a "
                 "node before being actively terminated by the system."},
                {"NotTerminating",
                 "Matches all pods that do not have an active deadline. These pods usually include long running pods "
                 "whose container command is not expected to terminate."},
                {"BestEffort", "Matches all pods that do not have resource requirements set. These pods have a best "
                               "effort quality of service."},
                {"NotBestEffort", "Matches all pods that have at least one resource requirement set. These pods have a "
                                  "burstable or guaranteed quality of service."}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(scopes); i++)
                if (strcmp(scopes[i][0], scope) == 0)
                        return scopes[i][1];
        return NULL;
}

static int describe_quota(struct describe *d, const json_t *quota, struct cx_error *err CX_UNUSED)
{
        const json_t *scopes = cx_json_get(quota, "spec.scopes"), *hard = cx_json_get(quota, "status.hard");
        const json_t *used = cx_json_get(quota, "status.used");
        describe_name(d, quota);
        size_t i;
        json_t *scope;
        CX_STRINGS names = CX_STRINGS_INIT;
        json_array_foreach (scopes, i, scope)
                cx_strings_add(&names, cx_str(json_string_value(scope)));
        cx_strings_sort(&names);
        if (names.count) {
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&names, ", ");
                describe_line(d, 0, "Scopes:\t%s\n", joined);
        }
        for (i = 0; i < names.count; i++)
                if (scope_meaning(names.items[i]))
                        describe_line(d, 0, " * %s\n", scope_meaning(names.items[i]));
        describe_line(d, 0, "Resource\tUsed\tHard\n");
        describe_line(d, 0, "--------\t----\t----\n");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(hard);
        for (i = 0; keys[i]; i++)
                describe_line(d, 0, "%s\t%s\t%s\n", keys[i], cx_str(json_string_value(json_object_get(used, keys[i]))),
                              cx_str(json_string_value(json_object_get(hard, keys[i]))));
        return 0;
}

static int describe_limits(struct describe *d, const json_t *range, struct cx_error *err CX_UNUSED)
{
        static const char *const members[] = {"min", "max", "defaultRequest", "default", "maxLimitRequestRatio"};
        size_t i;
        json_t *limit;
        describe_name(d, range);
        describe_line(d, 0, "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n");
        describe_line(d, 0, "----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n");
        json_array_foreach (cx_json_get(range, "spec.limits"), i, limit) {
                json_auto_t *all = json_object();
                for (size_t m = 0; m < CX_ARRAY_SIZE(members); m++)
                        json_object_update(all, json_object_get(limit, members[m]));
                CX_CLEANUP(cx_freep) const char **keys = sorted_keys(all);
                for (size_t k = 0; keys[k]; k++) {
                        describe_line(d, 0, "%s\t%s", cx_json_string_or(limit, "type", ""), keys[k]);
                        for (size_t m = 0; m < CX_ARRAY_SIZE(members); m++) {
                                const char *value =
                                        json_string_value(json_object_get(json_object_get(limit, members[m]), keys[k]));
                                cx_buf_printf(d->to, "\t%s", value ? value : "-");
                        }
                        cx_buf_add_char(d->to, '\n');
                }
        }
        return 0;
}

static int describe_priority(struct describe *d, const json_t *class, struct cx_error *err CX_UNUSED)
{
        describe_line(d, 0, "Name:\t%s\n", cx_json_string_or(class, "metadata.name", ""));
        describe_line(d, 0, "Value:\t%lld\n", (long long)cx_json_int(class, "value", 0));
        describe_line(d, 0, "GlobalDefault:\t%s\n", cx_json_bool(class, "globalDefault", false) ? "true" : "false");
        describe_line(d, 0, "PreemptionPolicy:\t%s\n", cx_json_string_or(class, "preemptionPolicy", ""));
        describe_line(d, 0, "Description:\t%s\n", cx_json_string_or(class, "description", ""));
        CX_BUF text = CX_BUF_INIT;
        const json_t *annotations = cx_json_get(class, "metadata.annotations");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(annotations);
        for (size_t i = 0; keys[i]; i++)
                cx_buf_printf(&text, "%s%s=%s", i ? "," : "", keys[i],
                              cx_str(json_string_value(json_object_get(annotations, keys[i]))));
        describe_line(d, 0, "Annotations:\t%s\n", text.length ? text.data : "<none>");
        describe_events(d, class);
        return 0;
}

const struct describer describers_batch[] = {{"batch", "Job", describe_job},
                                             {"batch", "CronJob", describe_cronjob},
                                             {"autoscaling", "HorizontalPodAutoscaler", describe_hpa},
                                             {"policy", "PodDisruptionBudget", describe_pdb},
                                             {"", "ResourceQuota", describe_quota},
                                             {"", "LimitRange", describe_limits},
                                             {"scheduling.k8s.io", "PriorityClass", describe_priority},
                                             {0}};
