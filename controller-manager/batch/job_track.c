// SPDX-License-Identifier: Apache-2.0
// Counts the pods that have ended, and ends the Job. Each step is written before the next one destroys what it is known
// by, so that whoever goes on after a crash sees where to.
#include "controller-manager/batch/job_sync.h"

#include "libcommon/base/map.h"

#define MOST_UNCOUNTED 500 // names in the status, and finalizers taken off in one go
#define PARALLEL 16

// --- finalizers ------------------------------------------------------------------------------------------------------

static int release_pod(struct jobs *jobs, const struct cx_object *pod, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:s, s:[s]}}", "metadata", "uid", pod->uid,
                                       "$deleteFromPrimitiveList/finalizers", JOB_FINALIZER);
        return cx_rest_patch(jobs->control.rest, CX_REF("", "v1", "pods", pod->namespace, pod->name), NULL,
                             CX_PATCH_STRATEGIC, patch, NULL, err);
}

int job_release_stray(struct jobs *jobs, const struct cx_object *pod, struct cx_error *err)
{
        int r = release_pod(jobs, pod, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                r = 0;
        }
        return r;
}

struct release_job {
        struct jobs *jobs;
        const struct cx_object *job;
        const struct cx_objects *pods;
        bool *done;           // may be NULL
        pthread_mutex_t lock; // guards what follows
        struct cx_error err;  // the first
};

static void release_one(void *context, size_t i)
{
        struct release_job *all = context;
        const struct cx_object *pod = all->pods->items[i];
        CX_ERROR err = CX_ERROR_INIT;
        int r = job_pod_held(pod) ? release_pod(all->jobs, pod, &err) : 0;
        bool gone = r < 0 && cx_error_is(&err, CX_REASON_NOT_FOUND);
        if (r < 0) // no event will come of it
                job_records_released(&all->jobs->records, all->job->key, pod->uid);
        if (all->done)
                all->done[i] = r == 0 || gone;
        if (r == 0 || gone)
                return;
        pthread_mutex_lock(&all->lock);
        if (!all->err.code)
                cx_error_move(&all->err, &err);
        pthread_mutex_unlock(&all->lock);
}

int job_release_pods(struct jobs *jobs, const struct cx_object *job, const struct cx_objects *pods, bool *ret_done,
                     struct cx_error *err)
{
        struct release_job all = {jobs, job, pods, ret_done, PTHREAD_MUTEX_INITIALIZER, CX_ERROR_INIT};
        for (size_t i = 0; i < pods->count; i++) // all before the first, whose event may come at once
                if (job_pod_held(pods->items[i]))
                        job_records_releasing(&jobs->records, job, pods->items[i]->uid);
        cx_parallel(pods->count, PARALLEL, release_one, &all);
        pthread_mutex_destroy(&all.lock);
        return all.err.code ? cx_error_move(err, &all.err) : 0;
}

// --- names and numbers -----------------------------------------------------------------------------------------------

struct tracking {
        struct cx_map held;        // uids of pods that have their finalizer
        struct cx_map named[2];    // uids in the status: of succeeded and of failed pods
        struct cx_objects pods;    // whose finalizer goes
        size_t n_names, n_indexes; // in the status; indexes that are new in it
        bool full;                 // there are more pods than fit
};
enum { SUCCEEDED, FAILED };
static const char *const counters[] = {[SUCCEEDED] = "succeeded", [FAILED] = "failed"};

static json_t *names_of(const struct job_sync *s, int counter)
{
        json_t *uncounted = cx_json_object_at(job_status(s), "uncountedTerminatedPods");
        return json_object_get(uncounted, counters[counter]);
}

static void set_number(json_t *status, const char *name, int64_t value)
{
        value = value < 0 ? 0 : value > INT32_MAX ? INT32_MAX : value;
        if (value)
                json_object_set_new(status, name, json_integer(value));
        else
                json_object_del(status, name);
}

// Names whose pod has no finalizer any more become part of the number.
static void count_names(struct job_sync *s, const struct tracking *t)
{
        for (int counter = SUCCEEDED; counter <= FAILED; counter++) {
                json_t *names = names_of(s, counter), *left = json_array();
                size_t i, before = json_array_size(names);
                json_t *name;
                json_array_foreach (names, i, name)
                        if (cx_map_has(&t->held, cx_str(json_string_value(name))))
                                json_array_append(left, name);
                size_t counted = before - json_array_size(left);
                if (counted) {
                        int64_t sum = cx_json_int(job_status(s), counters[counter], 0) + (int64_t)counted;
                        set_number(job_status(s), counters[counter], sum);
                        s->changed = true;
                }
                json_t *uncounted = json_object_get(job_status(s), "uncountedTerminatedPods");
                if (json_array_size(left))
                        json_object_set(uncounted, counters[counter], left);
                else
                        json_object_del(uncounted, counters[counter]);
                json_decref(left);
        }
}

static void add_name(struct job_sync *s, struct tracking *t, int counter, const struct cx_object *pod)
{
        if (cx_map_has(&t->named[counter], pod->uid))
                return;
        json_t *uncounted = json_object_get(job_status(s), "uncountedTerminatedPods");
        json_array_append_new(cx_json_array_at(uncounted, counters[counter]), json_string(pod->uid));
        cx_map_set(&t->named[counter], pod->uid, t);
        t->n_names++;
        s->changed = true;
}

static bool has_failed_verdict(const struct job_sync *s)
{
        return s->verdict.type && strcmp(s->verdict.type, "SuccessCriteriaMet") != 0;
}

static bool can_go(const struct job_sync *s, const struct cx_object *pod)
{
        if (s->owner->object->deleted || s->verdict.type || POD_STATE(pod)->phase == POD_SUCCEEDED)
                return true;
        return job_pod_failed(s, pod) && (s->spec.per_index < 0 || job_delayed_pod(s, JOB_POD(pod)->index) != pod);
}

static void track_pod(struct job_sync *s, struct tracking *t, const struct cx_object *pod)
{
        bool valid = !s->spec.indexed || job_pod_index(s, pod) >= 0;
        cx_objects_add(&t->pods, pod);
        if (POD_STATE(pod)->phase == POD_SUCCEEDED && !cx_map_has(&t->named[FAILED], pod->uid)) {
                if (!s->spec.indexed)
                        add_name(s, t, SUCCEEDED, pod);
                else if (valid && !cx_indexes_has(&s->done_before, job_pod_index(s, pod)))
                        t->n_indexes++;
        } else if (valid && (job_pod_failed(s, pod) || has_failed_verdict(s)) && // what did not end has not succeeded
                   job_failure_action(s->spec.failure_policy, pod, NULL) != FAILURE_IGNORE) {
                add_name(s, t, FAILED, pod);
        }
}

static void begin_tracking(struct job_sync *s, struct tracking *t)
{
        for (size_t i = 0; i < s->pods.count; i++)
                if (job_pod_tracked(s, s->pods.items[i]))
                        cx_map_set(&t->held, s->pods.items[i]->uid, t);
        count_names(s, t);
        for (int counter = SUCCEEDED; counter <= FAILED; counter++) {
                size_t i;
                const json_t *name;
                json_array_foreach (names_of(s, counter), i, name) {
                        cx_map_set(&t->named[counter], cx_str(json_string_value(name)), t);
                        t->n_names++;
                }
        }
}

static void track_pods(struct job_sync *s, struct tracking *t)
{
        if (s->spec.indexed) // indexes become part of the set in their order
                job_pods_sort(&s->pods);
        for (size_t i = 0; i < s->pods.count && !t->full; i++) {
                const struct cx_object *pod = s->pods.items[i];
                if (!job_pod_tracked(s, pod) || !can_go(s, pod))
                        continue;
                track_pod(s, t, pod);
                t->full = t->n_names + t->n_indexes >= MOST_UNCOUNTED;
        }
}

static void set_indexes(struct job_sync *s, const char *name, const struct cx_indexes *indexes, bool always)
{
        CX_CLEANUP(cx_freep) char *text = cx_indexes_text(indexes);
        if (strcmp(text, cx_json_string_or(job_status(s), name, "")) == 0)
                return;
        if (*text || always)
                json_object_set_new(job_status(s), name, json_string(text));
        else
                json_object_del(job_status(s), name);
        s->changed = true;
}

static void write_indexes(struct job_sync *s)
{
        if (!s->spec.indexed)
                return;
        set_indexes(s, "completedIndexes", &s->done, false);
        if (s->spec.per_index >= 0)
                set_indexes(s, "failedIndexes", &s->failed_indexes, true);
        int64_t total = cx_indexes_total(&s->done);
        if (total != cx_json_int(job_status(s), "succeeded", 0)) {
                set_number(job_status(s), "succeeded", total);
                s->changed = true;
        }
}

// --- writing ---------------------------------------------------------------------------------------------------------

static int flush(struct job_sync *s, struct cx_error *err)
{
        if (!s->changed)
                return 0;
        const struct cx_object *job = s->owner->object;
        json_object_set_new(s->json, "apiVersion", json_string("batch/v1"));
        json_object_set_new(s->json, "kind", json_string("Job"));
        json_t *written = NULL;
        int r = cx_rest_update_status(s->jobs->control.rest, CX_REF("batch", "v1", "jobs", job->namespace, job->name),
                                      s->json, &written, err);
        if (r < 0)
                return r;
        json_decref(s->json);
        s->json = written;
        job_spec_read(s->json, &s->spec);
        cx_json_object_at(cx_json_object_at(s->json, "status"), "uncountedTerminatedPods");
        own_writes_note(&s->jobs->writes, job, s->json);
        job_records_set_backoff(&s->jobs->records, job, &s->backoff);
        s->changed = false;
        return 0;
}

// What is decided is written before the finalizers go; the last condition comes when everything has ended.
static void announce(struct job_sync *s)
{
        const char *type = s->verdict.type;
        if (!type || strcmp(type, "Failed") == 0)
                return; // it has been
        bool fails = strcmp(type, "FailureTarget") == 0;
        if (job_set_condition(s, type, "True", s->verdict.reason, s->verdict.message))
                s->changed = true;
        s->verdict.type = fails ? "Failed" : "Complete";
}

static int release_tracked(struct job_sync *s, struct tracking *t, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) bool *done = cx_alloc_array(t->pods.count + 1, sizeof *done);
        int r = job_release_pods(s->jobs, s->owner->object, &t->pods, done, err);
        for (size_t i = 0; i < t->pods.count; i++)
                if (done[i])
                        cx_map_remove(&t->held, t->pods.items[i]->uid);
        count_names(s, t);
        return r;
}

static bool end_job(struct job_sync *s, const struct tracking *t)
{
        if (!s->verdict.type || t->full || json_array_size(names_of(s, SUCCEEDED)) ||
            json_array_size(names_of(s, FAILED)) || s->terminating > 0)
                return false;
        job_set_condition(s, s->verdict.type, "True", s->verdict.reason, s->verdict.message);
        if (strcmp(s->verdict.type, "Complete") == 0)
                json_object_set_new(job_status(s), "completionTime", json_now());
        s->changed = true;
        return true;
}

static void announce_end(const struct job_sync *s)
{
        struct cx_events *events = s->jobs->control.events;
        if (strcmp(s->verdict.type, "Complete") != 0) {
                owner_event(events, s->owner, "Warning", s->verdict.reason, "%s", s->verdict.message);
                return;
        }
        if (s->spec.completions >= 0 && cx_json_int(job_status(s), "succeeded", 0) > s->spec.completions)
                owner_event(events, s->owner, "Warning", "TooManySucceededPods",
                            "Too many succeeded pods running after completion count reached");
        owner_event(events, s->owner, "Normal", "Completed", "Job completed");
}

static int track(struct job_sync *s, struct tracking *t, struct cx_error *err)
{
        begin_tracking(s, t);
        track_pods(s, t);
        write_indexes(s);
        announce(s);
        int r = flush(s, err);
        if (r < 0)
                return r;
        CX_ERROR failure = CX_ERROR_INIT;
        if (release_tracked(s, t, &failure) < 0) {
                (void)!flush(s, NULL); // what could be done; else the next time
                return cx_error_move(err, &failure);
        }
        bool ended = end_job(s, t);
        r = flush(s, err);
        if (r == 0 && ended)
                announce_end(s);
        return r;
}

int job_track(struct job_sync *s, struct cx_error *err)
{
        struct tracking t = {0};
        int r = track(s, &t, err);
        cx_map_release(&t.held);
        cx_map_release(&t.named[SUCCEEDED]);
        cx_map_release(&t.named[FAILED]);
        cx_objects_release(&t.pods);
        return r;
}
