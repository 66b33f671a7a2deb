// SPDX-License-Identifier: Apache-2.0
// Jobs: pods that run to their end, as many as are to succeed. One look at a Job counts what has ended, decides whether
// that is the end of the Job, and else makes or deletes pods.
//
// Keys are those of Jobs, and "/namespace/pod" for a pod that has the finalizer of Jobs and no owner.
#include "controller-manager/batch/job_sync.h"

#define GATHER (50 * CX_NS_PER_MS) // events of pods that end at about the same time are worked off together
#define INDEX_TRACKED "job-tracked"
#define OWN_NAME "kubernetes.io/job-controller"

// --- following -------------------------------------------------------------------------------------------------------

// Pods that have the finalizer, by the key of the Job that their reference names.
static void tracked_keys(void *context CX_UNUSED, const struct cx_object *pod, struct cx_strings *ret_keys)
{
        char key[512];
        if (cx_object_has_finalizer(pod, JOB_FINALIZER) && controller_key(pod, &job_kind, key))
                cx_strings_add(ret_keys, key);
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct jobs *self = context;
        char key[512];
        if (now && cx_object_has_finalizer(now, JOB_FINALIZER)) {
                CX_CLEANUP(cx_freep) char *stray = cx_sprintf("/%s", now->key);
                if (!cx_object_controller(now))
                        cx_workqueue_add(self->control.queue, stray);
                return;
        }
        if (old && controller_key(old, &job_kind, key))
                job_records_released(&self->records, key, old->uid);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct jobs *self = cx_alloc(sizeof *self);
        job_records_init(&self->records);
        own_writes_init(&self->writes);
        manager_part_informer(manager, "", "pods", &job_pod_part);
        pod_control_init(&self->control, manager, queue, &job_kind, "job-controller");
        self->control.finalizer = JOB_FINALIZER;
        self->control.gather = GATHER;
        cx_informer_add_index(self->control.pods, INDEX_TRACKED, tracked_keys, NULL);
        cx_informer_on_event(self->control.pods, on_pod, self);
        return self;
}

static void release(void *context)
{
        struct jobs *self = context;
        pod_control_release(&self->control);
        job_records_release(&self->records);
        own_writes_release(&self->writes);
        free(self);
}

// --- pods that no Job will count -------------------------------------------------------------------------------------

static int release_orphan(struct jobs *self, const char *key, struct cx_error *err)
{
        CX_OBJECT *pod = cx_informer_get_key(self->control.pods, key);
        if (!pod || cx_object_controller(pod) || !cx_object_has_finalizer(pod, JOB_FINALIZER))
                return 0;
        return job_release_stray(self, pod, err);
}

// The Job of that name as the server has it, when it goes on. NULL: there is none.
static int live_job(struct jobs *self, const char *key, json_t **ret_job, struct cx_error *err)
{
        char namespace[256], name[256];
        cx_key_split(key, namespace, name);
        json_auto_t *job = NULL;
        int r = cx_rest_get(self->control.rest, CX_REF("batch", "v1", "jobs", namespace, name), &job, err);
        if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                return r;
        cx_error_release(err);
        *ret_job = job && !job_end(job) ? json_incref(job) : NULL;
        return 0;
}

// Those that name the Job but belong to one that is over: deleted, replaced by another of its name, or finished. `job`
// is what the informer shows (NULL: nothing), which may not have come as far as that of the pods: the server is asked
// before a pod is let go that nobody would count then.
static int release_leftovers(struct jobs *self, const char *key, const struct cx_object *job, bool over,
                             struct cx_error *err)
{
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        json_auto_t *live = NULL;
        bool asked = false;
        cx_informer_by_index(self->control.pods, INDEX_TRACKED, key, &pods);
        for (size_t i = 0; i < pods.count; i++) {
                const char *uid = cx_object_controller(pods.items[i])->uid;
                bool shown = job && strcmp(uid, job->uid) == 0;
                if (shown && !over)
                        continue;
                int r = shown || asked ? 0 : live_job(self, key, &live, err);
                asked = asked || !shown;
                if (r == 0 && (shown || !cx_streq(cx_json_string(live, "metadata.uid"), uid)))
                        r = job_release_stray(self, pods.items[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

// --- one look --------------------------------------------------------------------------------------------------------

static bool is_complete(const struct job_sync *s)
{
        return s->n_active == 0 && (s->spec.completions < 0 ? s->succeeded > 0 : s->succeeded >= s->spec.completions);
}

static void set_suspended(struct job_sync *s)
{
        struct cx_events *events = s->jobs->control.events;
        if (s->spec.suspended) {
                if (!job_set_condition(s, "Suspended", "True", "JobSuspended", "Job suspended"))
                        return;
                owner_event(events, s->owner, "Normal", "Suspended", "Job suspended");
        } else {
                if (!job_set_condition(s, "Suspended", "False", "JobResumed", "Job resumed"))
                        return;
                owner_event(events, s->owner, "Normal", "Resumed", "Job resumed");
                // The time of a Job is the time that it has been active since.
                json_object_set_new(job_status(s), "startTime", json_now());
        }
        s->changed = true;
}

// Deletes what is active once the Job has come to its end, else goes on with it.
static int act(struct job_sync *s, struct cx_error *err)
{
        int r = 0;
        if (s->verdict.type) {
                r = job_delete_active(s, err);
                if (r < 0 || !s->caught_up) // there may be pods that nobody has seen yet
                        job_decide(s, NULL, NULL, NULL);
                return r;
        }
        bool manages = s->caught_up && !s->owner->object->deleted;
        if (manages)
                r = job_manage(s, err);
        if (s->caught_up && is_complete(s))
                job_decide(s, "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods");
        else if (manages)
                set_suspended(s);
        return r;
}

static void write_counts(struct job_sync *s)
{
        const struct {
                const char *name;
                int64_t value;
                bool zero; // is written, too
        } counts[] = {{"active", s->n_active, false}, {"ready", s->ready, true}, {"terminating", s->terminating, true}};
        json_t *status = job_status(s);
        for (size_t i = 0; i < CX_ARRAY_SIZE(counts); i++) {
                const json_t *before = json_object_get(status, counts[i].name);
                int64_t value = counts[i].value < INT32_MAX ? counts[i].value : INT32_MAX;
                if (before ? json_integer_value(before) == value : !value && !counts[i].zero)
                        continue;
                if (value || counts[i].zero)
                        json_object_set_new(status, counts[i].name, json_integer(value));
                else
                        json_object_del(status, counts[i].name);
                s->changed = true;
        }
}

static int look(struct job_sync *s, struct cx_error *err)
{
        int r = job_sync_list(s, err);
        if (r < 0)
                return r;
        CX_ERROR failure = CX_ERROR_INIT;
        job_sync_read(s);
        job_judge(s);
        bool failed = act(s, &failure) < 0;
        write_counts(s);
        r = job_track(s, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) { // the Job has just gone
                cx_error_release(err);
                r = 0;
        }
        return r < 0 || !failed ? r : cx_error_move(err, &failure);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct jobs *self = context;
        if (*key == '/')
                return release_orphan(self, key + 1, err);
        CX_OBJECT *job = cx_informer_get_key(self->control.owners, key);
        json_auto_t *json = job ? cx_object_json(job) : NULL;
        const char *manager = cx_json_string_or(json, "spec.managedBy", OWN_NAME);
        if (strcmp(manager, OWN_NAME) != 0)
                return 0;
        bool over = !job || job_end(json);
        int r = release_leftovers(self, key, job, over, err);
        if (r < 0)
                return r;
        if (over) {
                if (!job)
                        expectations_forget(&self->control.expectations, key);
                job_records_forget(&self->records, key);
                own_writes_forget(&self->writes, key);
                return 0;
        }
        if (own_writes_behind(&self->writes, job)) { // the event that is to come brings it back
                *retry_after = CX_NS_PER_S;
                return 0;
        }
        const struct owner owner = {&job_kind, job};
        struct job_sync s = {.jobs = self, .owner = &owner, .json = cx_steal(&json), .now = cx_time_now()};
        r = look(&s, err);
        *retry_after = s.retry_after;
        job_sync_release(&s);
        return r;
}

const struct controller job_controller = {.name = "job-controller",
                                          .account = "job-controller",
                                          .workers = 5,
                                          .init = init,
                                          .reconcile = reconcile,
                                          .free = release};
