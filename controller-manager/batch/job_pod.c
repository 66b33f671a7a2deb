// SPDX-License-Identifier: Apache-2.0
// Takes from a pod what Jobs need, and matches failures with the rules of a Job.
#include "controller-manager/batch/job_pod.h"

#include "libcommon/api/pod.h"

// --- what is kept of a pod -------------------------------------------------------------------------------------------

static int32_t annotated_number(const json_t *pod, const char *name, int32_t fallback)
{
        int64_t value;
        const char *text =
                json_string_value(cx_json_at(pod, (const char *const[]){"metadata", "annotations", name}, 3));
        return text && cx_parse_int(text, 0, INT32_MAX, &value) == 0 ? (int32_t)value : fallback;
}

static const char *const status_lists[] = {"status.containerStatuses", "status.initContainerStatuses"};

static int32_t count_restarts(const json_t *pod)
{
        int64_t restarts = 0;
        for (size_t l = 0; l < CX_ARRAY_SIZE(status_lists); l++) {
                size_t i;
                const json_t *status;
                json_array_foreach (cx_json_get(pod, status_lists[l]), i, status)
                        restarts += cx_json_int(status, "restartCount", 0);
        }
        return (int32_t)(restarts < INT32_MAX ? restarts : INT32_MAX);
}

// When the last container ended; 0 as long as one has not.
static int64_t containers_finished(const json_t *pod)
{
        int64_t latest = 0, finished;
        size_t i;
        const json_t *status;
        json_array_foreach (cx_json_get(pod, "status.containerStatuses"), i, status) {
                const char *text = cx_json_string(status, "state.terminated.finishedAt");
                if (!text || cx_time_parse(text, &finished) < 0)
                        return 0;
                latest = finished > latest ? finished : latest;
        }
        return latest;
}

static int64_t take_finished(const json_t *pod)
{
        int64_t finished = containers_finished(pod);
        const json_t *ready = cx_pod_condition(pod, "Ready");
        const char *since = cx_json_string(ready, "lastTransitionTime");
        if (!finished && since && cx_streq(cx_json_string(ready, "status"), "False") &&
            cx_time_parse(since, &finished) < 0)
                finished = 0;
        return finished;
}

static char *take_outcome(const json_t *pod)
{
        json_t *exits = json_array(), *conditions = json_array();
        size_t i;
        const json_t *item;
        for (size_t l = 0; l < CX_ARRAY_SIZE(status_lists); l++) {
                json_array_foreach (cx_json_get(pod, status_lists[l]), i, item) {
                        int64_t code = cx_json_int(item, "state.terminated.exitCode", 0);
                        if (code)
                                json_array_append_new(exits, json_pack("{s:s, s:I}", "name",
                                                                       cx_json_string_or(item, "name", ""), "code",
                                                                       (json_int_t)code));
                }
        }
        json_array_foreach (cx_json_get(pod, "status.conditions"), i, item)
                json_array_append_new(conditions, json_pack("{s:s, s:s}", "type", cx_json_string_or(item, "type", ""),
                                                            "status", cx_json_string_or(item, "status", "")));
        json_auto_t *outcome = json_pack("{s:o, s:o}", "exits", exits, "conditions", conditions);
        return cx_json_text(outcome);
}

static void take_job_pod(void *part, const json_t *pod)
{
        *(struct job_pod *)part = (struct job_pod){
                .index = annotated_number(pod, JOB_INDEX, -1),
                .failures = annotated_number(pod, JOB_INDEX_FAILURES, 0),
                .ignored = annotated_number(pod, JOB_INDEX_IGNORED, 0),
                .restarts = count_restarts(pod),
                .finished = take_finished(pod),
                .outcome = strcmp(cx_pod_phase(pod), "Failed") == 0 ? take_outcome(pod) : NULL,
        };
}

static void release_job_pod(void *part)
{
        free(((struct job_pod *)part)->outcome);
}

const struct object_part job_pod_part = {sizeof(struct job_pod), take_job_pod, release_job_pod};

int64_t job_pod_finished(const struct cx_object *pod)
{
        int64_t finished = JOB_POD(pod)->finished;
        if (finished)
                return finished;
        return pod->deleted ? pod->deleted - pod->deletion_grace * CX_US_PER_S : pod->created;
}

bool job_pod_held(const struct cx_object *pod)
{
        return cx_object_has_finalizer(pod, JOB_FINALIZER) || !cx_object_controller(pod);
}

static int compare_indexes(const void *a, const void *b)
{
        const struct cx_object *x = *(const struct cx_object *const *)a, *y = *(const struct cx_object *const *)b;
        return JOB_POD(x)->index < JOB_POD(y)->index ? -1 : JOB_POD(x)->index > JOB_POD(y)->index;
}

void job_pods_sort(struct cx_objects *pods)
{
        if (pods->count)
                qsort(pods->items, pods->count, sizeof *pods->items, compare_indexes);
}

// --- the policy ------------------------------------------------------------------------------------------------------

static enum failure_action action_of(const json_t *rule)
{
        static const char *const names[] = {[FAILURE_NO_RULE] = "",
                                            [FAILURE_COUNT] = "Count",
                                            [FAILURE_IGNORE] = "Ignore",
                                            [FAILURE_FAIL_INDEX] = "FailIndex",
                                            [FAILURE_FAIL_JOB] = "FailJob"};
        const char *name = cx_json_string_or(rule, "action", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (strcmp(names[i], name) == 0)
                        return (enum failure_action)i;
        return FAILURE_NO_RULE;
}

static const json_t *matching_exit(const json_t *wanted, const json_t *outcome)
{
        const char *container = cx_json_string(wanted, "containerName");
        bool in = cx_streq(cx_json_string(wanted, "operator"), "In");
        size_t i, v;
        const json_t *found, *value;
        json_array_foreach (json_object_get(outcome, "exits"), i, found) {
                if (container && !cx_streq(container, cx_json_string(found, "name")))
                        continue;
                bool listed = false;
                json_array_foreach (json_object_get(wanted, "values"), v, value)
                        listed = listed || json_equal(value, json_object_get(found, "code"));
                if (listed == in)
                        return found;
        }
        return NULL;
}

static const json_t *matching_condition(const json_t *patterns, const json_t *outcome)
{
        size_t i, p;
        const json_t *condition, *pattern;
        json_array_foreach (json_object_get(outcome, "conditions"), i, condition)
                json_array_foreach (patterns, p, pattern)
                        if (json_equal(json_object_get(pattern, "type"), json_object_get(condition, "type")) &&
                            json_equal(json_object_get(pattern, "status"), json_object_get(condition, "status")))
                                return condition;
        return NULL;
}

enum failure_action match_failure_policy(const json_t *policy, const json_t *outcome, const char *pod_key,
                                         char **ret_message)
{
        size_t i;
        const json_t *rule;
        json_array_foreach (json_object_get(policy, "rules"), i, rule) {
                const json_t *codes = json_object_get(rule, "onExitCodes");
                const json_t *match = codes ? matching_exit(codes, outcome)
                                            : matching_condition(json_object_get(rule, "onPodConditions"), outcome);
                enum failure_action action = match ? action_of(rule) : FAILURE_NO_RULE;
                if (action == FAILURE_NO_RULE)
                        continue;
                if (action == FAILURE_FAIL_JOB && ret_message)
                        *ret_message =
                                codes ? cx_sprintf(
                                                "Container %s for pod %s failed with exit code %lld matching FailJob "
                                                "rule at index %zu",
                                                cx_json_string_or(match, "name", ""), pod_key,
                                                (long long)cx_json_int(match, "code", 0), i)
                                      : cx_sprintf("Pod %s has condition %s matching FailJob rule at index %zu",
                                                   pod_key, cx_json_string_or(match, "type", ""), i);
                return action;
        }
        return FAILURE_NO_RULE;
}

enum failure_action job_failure_action(const json_t *policy, const struct cx_object *pod, char **ret_message)
{
        const char *text = policy ? JOB_POD(pod)->outcome : NULL;
        json_auto_t *outcome = text ? json_loads(text, 0, NULL) : NULL;
        return match_failure_policy(policy, outcome, pod->key, ret_message);
}
