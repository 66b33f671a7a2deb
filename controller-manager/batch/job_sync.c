// SPDX-License-Identifier: Apache-2.0
// Reads a Job and its pods.
#include "controller-manager/batch/job_sync.h"

void job_spec_read(const json_t *job, struct job_spec *ret_spec)
{
        const json_t *spec = json_object_get(job, "spec");
        *ret_spec = (struct job_spec){
                .parallelism = cx_json_int(spec, "parallelism", 1),
                .backoff_limit = cx_json_int(spec, "backoffLimit", 6),
                .completions = cx_json_int(spec, "completions", -1),
                .per_index = cx_json_int(spec, "backoffLimitPerIndex", -1),
                .max_failed = cx_json_int(spec, "maxFailedIndexes", -1),
                .deadline = cx_json_int(spec, "activeDeadlineSeconds", -1),
                .indexed = cx_streq(cx_json_string(spec, "completionMode"), "Indexed"),
                .suspended = cx_json_bool(spec, "suspend", false),
                .failure_policy = json_object_get(spec, "podFailurePolicy"),
                .success_policy = json_object_get(spec, "successPolicy"),
        };
        ret_spec->replaces_failed =
                ret_spec->failure_policy || cx_streq(cx_json_string(spec, "podReplacementPolicy"), "Failed");
}

void job_sync_later(struct job_sync *s, int64_t ns)
{
        ns = ns > 0 ? ns : 1;
        if (!s->retry_after || ns < s->retry_after)
                s->retry_after = ns;
}

// --- pods ------------------------------------------------------------------------------------------------------------

bool job_pod_failed(const struct job_sync *s, const struct cx_object *pod)
{
        enum pod_phase phase = POD_STATE(pod)->phase;
        if (phase == POD_FAILED || s->spec.replaces_failed)
                return phase == POD_FAILED;
        // One that is deleted may never come to say that it failed.
        return pod->deleted && phase != POD_SUCCEEDED;
}

bool job_pod_tracked(const struct job_sync *s, const struct cx_object *pod)
{
        return job_pod_held(pod) && !cx_map_has(&s->awaited, pod->uid);
}

int64_t job_pod_index(const struct job_sync *s, const struct cx_object *pod)
{
        int64_t index = JOB_POD(pod)->index;
        return index < s->spec.completions ? index : -1;
}

const struct cx_object *job_delayed_pod(const struct job_sync *s, int64_t index)
{
        return cx_map_get(&s->delayed, CX_INT(index));
}

static bool is_terminating(const struct cx_object *pod)
{
        return pod->deleted && !pod_is_terminal(pod);
}

// --- counting what is new --------------------------------------------------------------------------------------------

static bool lists(const json_t *uncounted, const char *list, const char *uid)
{
        size_t i;
        const json_t *item;
        json_array_foreach (json_object_get(uncounted, list), i, item)
                if (cx_streq(json_string_value(item), uid))
                        return true;
        return false;
}

// The pods that have ended since the last time, and when they did.
struct finished_pods {
        int64_t *times; // owned
        size_t count;
        int64_t counting; // how many of them count
};

static void add_finished(struct finished_pods *list, const struct cx_object *pod, bool counts)
{
        list->times[list->count++] = job_pod_finished(pod);
        list->counting += counts;
}

static bool failure_counts(const struct job_sync *s, const struct cx_object *pod)
{
        return job_failure_action(s->spec.failure_policy, pod, NULL) != FAILURE_IGNORE;
}

static void count_finished(struct job_sync *s)
{
        const json_t *status = job_status(s), *uncounted = json_object_get(status, "uncountedTerminatedPods");
        CX_CLEANUP(cx_freep) int64_t *succeeded_at = cx_alloc_array(s->pods.count + 1, sizeof *succeeded_at);
        CX_CLEANUP(cx_freep) int64_t *failed_at = cx_alloc_array(s->pods.count + 1, sizeof *failed_at);
        struct finished_pods succeeded = {.times = succeeded_at}, failed = {.times = failed_at};
        // A Job that this process has not seen yet: how often its pods failed in a row is told by those that are left.
        bool fresh = !job_records_backoff(&s->jobs->records, s->owner->object, &s->backoff);
        for (size_t i = 0; i < s->pods.count; i++) {
                const struct cx_object *pod = s->pods.items[i];
                bool counts = job_pod_tracked(s, pod);
                if ((!counts && !fresh) || (s->spec.indexed && job_pod_index(s, pod) < 0))
                        continue;
                if (POD_STATE(pod)->phase == POD_SUCCEEDED && !lists(uncounted, "succeeded", pod->uid))
                        add_finished(&succeeded, pod, counts);
                else if (job_pod_failed(s, pod) && !lists(uncounted, "failed", pod->uid))
                        add_finished(&failed, pod, counts && failure_counts(s, pod));
        }
        s->succeeded = cx_json_int(status, "succeeded", 0) + succeeded.counting +
                       (int64_t)cx_json_count(uncounted, "succeeded");
        s->failed = cx_json_int(status, "failed", 0) + failed.counting + (int64_t)cx_json_count(uncounted, "failed");
        job_backoff_add(&s->backoff, succeeded.times, succeeded.count, failed.times, failed.count);
}

// --- indexes ---------------------------------------------------------------------------------------------------------

static bool index_failed(const struct job_sync *s, const struct cx_object *pod)
{
        if (!job_pod_failed(s, pod))
                return false;
        enum failure_action action = job_failure_action(s->spec.failure_policy, pod, NULL);
        return action == FAILURE_FAIL_INDEX ||
               (action != FAILURE_IGNORE && JOB_POD(pod)->failures >= s->spec.per_index);
}

static bool index_succeeded(const struct job_sync *s CX_UNUSED, const struct cx_object *pod)
{
        return POD_STATE(pod)->phase == POD_SUCCEEDED;
}

// Adds the indexes of those pods that have the finalizer still.
static void add_indexes(const struct job_sync *s, struct cx_indexes *to,
                        bool (*wanted)(const struct job_sync *s, const struct cx_object *pod))
{
        CX_CLEANUP(cx_freep) int64_t *indexes = cx_alloc_array(s->pods.count + 1, sizeof *indexes);
        size_t count = 0;
        for (size_t i = 0; i < s->pods.count; i++) {
                const struct cx_object *pod = s->pods.items[i];
                if (job_pod_index(s, pod) >= 0 && job_pod_tracked(s, pod) && wanted(s, pod))
                        indexes[count++] = job_pod_index(s, pod);
        }
        cx_indexes_add(to, indexes, count);
}

static bool is_later(const struct cx_object *pod, const struct cx_object *than)
{
        const struct job_pod *a = JOB_POD(pod), *b = JOB_POD(than);
        return (int64_t)a->failures + a->ignored >= (int64_t)b->failures + b->ignored &&
               job_pod_finished(pod) >= job_pod_finished(than);
}

// Failed pods of indexes that need another one stay until that is there: it takes over how often the index failed.
static void find_delayed(struct job_sync *s)
{
        CX_MAP active = CX_MAP_INIT;
        for (size_t i = 0; i < s->active.count; i++)
                cx_map_set(&active, CX_INT(job_pod_index(s, s->active.items[i])), s);
        for (size_t i = 0; i < s->pods.count; i++) {
                const struct cx_object *pod = s->pods.items[i];
                int64_t index = job_pod_index(s, pod);
                if (index < 0 || !job_pod_tracked(s, pod) || !job_pod_failed(s, pod) ||
                    cx_indexes_has(&s->done, index) || cx_indexes_has(&s->failed_indexes, index) ||
                    cx_map_has(&active, CX_INT(index)))
                        continue;
                const struct cx_object *other = job_delayed_pod(s, index);
                if (!other || is_later(pod, other))
                        cx_map_set(&s->delayed, CX_INT(index), (void *)pod);
        }
}

static void read_indexes(struct job_sync *s)
{
        const json_t *status = job_status(s);
        if (!s->spec.indexed)
                return;
        cx_indexes_parse(&s->done_before, cx_json_string(status, "completedIndexes"), s->spec.completions);
        cx_indexes_unite(&s->done, &s->done_before);
        add_indexes(s, &s->done, index_succeeded);
        s->succeeded = cx_indexes_total(&s->done);
        if (s->spec.per_index < 0)
                return;
        cx_indexes_parse(&s->failed_indexes, cx_json_string(status, "failedIndexes"), s->spec.completions);
        add_indexes(s, &s->failed_indexes, index_failed);
        find_delayed(s);
}

// --- the whole -------------------------------------------------------------------------------------------------------

int job_sync_list(struct job_sync *s, struct cx_error *err)
{
        const struct cx_object *job = s->owner->object;
        struct pod_control *control = &s->jobs->control;
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        // In this order: what the informer shows in between must not count twice.
        s->caught_up = expectations_met(&control->expectations, job->key);
        job_records_awaited(&s->jobs->records, job, &s->awaited);
        int r = cx_selector_from_json(cx_json_get(s->json, "spec.selector"), &selector, err);
        return r < 0 ? r : pod_control_claim(control, s->owner, &selector, NULL, &s->pods, err);
}

void job_sync_read(struct job_sync *s)
{
        job_spec_read(s->json, &s->spec);
        cx_json_object_at(cx_json_object_at(s->json, "status"), "uncountedTerminatedPods");
        pods_filter(&s->pods, pod_is_active, &s->active);
        s->n_active = (int64_t)s->active.count;
        for (size_t i = 0; i < s->active.count; i++)
                s->ready += POD_STATE(s->active.items[i])->ready;
        for (size_t i = 0; i < s->pods.count; i++)
                s->terminating += is_terminating(s->pods.items[i]);
        if (!cx_json_string(job_status(s), "startTime") && !s->spec.suspended) {
                json_object_set_new(job_status(s), "startTime", json_now());
                s->changed = true;
        }
        count_finished(s);
        read_indexes(s);
}

void job_sync_release(struct job_sync *s)
{
        json_decref(s->json);
        cx_objects_release(&s->pods);
        cx_objects_release(&s->active);
        cx_map_release(&s->awaited);
        cx_map_release(&s->delayed);
        cx_indexes_release(&s->done_before);
        cx_indexes_release(&s->done);
        cx_indexes_release(&s->failed_indexes);
        job_decide(s, NULL, NULL, NULL);
}

json_t *job_status(const struct job_sync *s)
{
        return json_object_get(s->json, "status");
}

bool job_set_condition(struct job_sync *s, const char *type, const char *status, const char *reason,
                       const char *message)
{
        json_t *conditions = cx_json_array_at(job_status(s), "conditions");
        json_t *condition = cx_json_find(conditions, "type", type);
        if (!condition && strcmp(status, "True") != 0)
                return false;
        if (condition && cx_streq(cx_json_string(condition, "status"), status) &&
            cx_streq(cx_json_string_or(condition, "reason", ""), reason) &&
            cx_streq(cx_json_string_or(condition, "message", ""), message))
                return false;
        if (!condition) {
                condition = json_object();
                json_array_append_new(conditions, condition);
        }
        json_auto_t *now = json_now();
        json_auto_t *fields =
                json_pack("{s:s, s:s, s:O, s:O, s:s, s:s}", "type", type, "status", status, "lastProbeTime", now,
                          "lastTransitionTime", now, "reason", reason, "message", message);
        json_object_update(condition, fields);
        return true;
}

void job_decide(struct job_sync *s, const char *type, const char *reason, const char *message)
{
        free(s->verdict.reason);
        free(s->verdict.message);
        s->verdict = (struct job_verdict){type, cx_strdup(reason), cx_strdup(message)};
}
