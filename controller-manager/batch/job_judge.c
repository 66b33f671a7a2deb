// SPDX-License-Identifier: Apache-2.0
// Whether a Job has come to its end, before anything is done about it. Rules are asked in order; the first that has an
// answer decides. What was decided once stays: it stands in a condition.
#include "controller-manager/batch/job_sync.h"

#include "libcommon/base/time.h"

#define LONGEST_WAIT (365 * INT64_C(86400)) // s

static void judge_by_conditions(struct job_sync *s)
{
        const json_t *met = find_condition(s->json, "SuccessCriteriaMet"),
                     *failing = find_condition(s->json, "FailureTarget");
        if (condition_is(s->json, "SuccessCriteriaMet", "True"))
                job_decide(s, "SuccessCriteriaMet", cx_json_string_or(met, "reason", ""),
                           cx_json_string_or(met, "message", ""));
        else if (condition_is(s->json, "FailureTarget", "True"))
                job_decide(s, "Failed", cx_json_string_or(failing, "reason", ""),
                           cx_json_string_or(failing, "message", ""));
}

static void judge_by_failure_policy(struct job_sync *s)
{
        for (size_t i = 0; s->spec.failure_policy && i < s->pods.count; i++) {
                CX_CLEANUP(cx_freep) char *message = NULL;
                if (job_pod_failed(s, s->pods.items[i]) &&
                    job_failure_action(s->spec.failure_policy, s->pods.items[i], &message) == FAILURE_FAIL_JOB) {
                        job_decide(s, "FailureTarget", "PodFailurePolicy", message);
                        return;
                }
        }
}

// Containers that a kubelet starts again are failures, too.
static bool is_past_restarts(const struct job_sync *s)
{
        int64_t restarts = 0;
        if (!cx_streq(cx_json_string(s->json, "spec.template.spec.restartPolicy"), "OnFailure"))
                return false;
        for (size_t i = 0; i < s->pods.count; i++) {
                enum pod_phase phase = POD_STATE(s->pods.items[i])->phase;
                if (phase == POD_RUNNING || phase == POD_PENDING)
                        restarts += JOB_POD(s->pods.items[i])->restarts;
        }
        return s->spec.backoff_limit ? restarts >= s->spec.backoff_limit : restarts > 0;
}

static void judge_by_limits(struct job_sync *s)
{
        if (s->failed > s->spec.backoff_limit || is_past_restarts(s)) {
                job_decide(s, "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
                return;
        }
        int64_t start;
        const char *text = cx_json_string(job_status(s), "startTime");
        if (s->spec.deadline < 0 || s->spec.suspended || !text || cx_time_parse(text, &start) < 0)
                return;
        int64_t passed = (s->now - start) / CX_US_PER_S, left = s->spec.deadline - passed;
        if (left <= 0)
                job_decide(s, "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline");
        else
                job_sync_later(s, (left < LONGEST_WAIT ? left : LONGEST_WAIT) * CX_NS_PER_S);
}

static void judge_by_failed_indexes(struct job_sync *s)
{
        if (!s->spec.indexed || s->spec.per_index < 0)
                return;
        int64_t failed = cx_indexes_total(&s->failed_indexes);
        if (s->spec.max_failed >= 0 && failed > s->spec.max_failed)
                job_decide(s, "FailureTarget", "MaxFailedIndexesExceeded",
                           "Job has exceeded the specified maximal number of failed indexes");
        else if (failed && failed + s->succeeded >= s->spec.completions)
                job_decide(s, "FailureTarget", "FailedIndexes", "Job has failed indexes");
}

static bool rule_is_met(const struct job_sync *s, const json_t *rule)
{
        const char *wanted = cx_json_string(rule, "succeededIndexes");
        int64_t least = cx_json_int(rule, "succeededCount", -1);
        if (!wanted)
                return least >= 0 && s->succeeded >= least;
        CX_INDEXES indexes = CX_INDEXES_INIT;
        cx_indexes_parse(&indexes, wanted, s->spec.completions);
        int64_t done = cx_indexes_common(&indexes, &s->done);
        return indexes.count && (done == cx_indexes_total(&indexes) || (least >= 0 && done >= least));
}

static void judge_by_success_policy(struct job_sync *s)
{
        size_t i;
        const json_t *rule;
        if (!s->spec.indexed || !s->succeeded)
                return;
        json_array_foreach (json_object_get(s->spec.success_policy, "rules"), i, rule) {
                if (!rule_is_met(s, rule))
                        continue;
                CX_CLEANUP(cx_freep) char *message = cx_sprintf("Matched rules at index %zu", i);
                job_decide(s, "SuccessCriteriaMet", "SuccessPolicy", message);
                return;
        }
}

void job_judge(struct job_sync *s)
{
        static void (*const rules[])(struct job_sync * s) = {judge_by_conditions, judge_by_failure_policy,
                                                             judge_by_limits, judge_by_failed_indexes,
                                                             judge_by_success_policy};
        for (size_t i = 0; i < CX_ARRAY_SIZE(rules) && !s->verdict.type; i++)
                rules[i](s);
}
