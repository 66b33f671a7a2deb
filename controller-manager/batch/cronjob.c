// SPDX-License-Identifier: Apache-2.0
// CronJobs: make a Job at each time of the schedule. A Job's name tells its time, so that however often the same time is
// looked at, also by a manager that takes over, there is one Job for it.
#include "controller-manager/batch/kinds.h"
#include "controller-manager/batch/schedule.h"
#include "controller-manager/core/own_writes.h"

#define LATE (100 * CX_NS_PER_MS) // after the time has come, so that it surely has
#define LONGEST_WAIT (30 * INT64_C(86400))

struct cronjobs {
        struct cx_rest *rest;
        struct cx_events *events;
        struct cx_workqueue *queue;
        struct cx_informer *crons, *jobs;
        struct own_writes writes; // of CronJobs
};

struct child {
        const struct cx_object *object; // in `jobs`
        json_t *json;                   // owned
        const json_t *end;              // the condition that ended it; NULL: it runs
};
// One look at one CronJob.
struct cron_sync {
        struct cronjobs *self;
        const struct owner *owner;
        json_t *json; // its status is what will be written; owned
        struct cx_objects jobs;
        struct child *children; // of `jobs`, in their order
        bool changed;
        int64_t retry_after;
};

// --- following -------------------------------------------------------------------------------------------------------

static void on_job(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct cronjobs *self = context;
        char key[512];
        if (now && controller_key(now, &cronjob_kind, key))
                cx_workqueue_add(self->queue, key);
        if (old && controller_key(old, &cronjob_kind, key))
                cx_workqueue_add(self->queue, key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct cronjobs *self = cx_alloc(sizeof *self);
        *self = (struct cronjobs){.rest = manager->rest,
                                  .events = manager_recorder(manager, "cronjob-controller"),
                                  .queue = queue,
                                  .crons = manager_informer(manager, "batch", "cronjobs"),
                                  .jobs = manager_informer(manager, "batch", "jobs")};
        own_writes_init(&self->writes);
        cx_informer_index_controller(self->jobs);
        manager_enqueue_all(self->crons, queue);
        cx_informer_on_event(self->jobs, on_job, self);
        return self;
}

static void release(void *context)
{
        struct cronjobs *self = context;
        own_writes_release(&self->writes);
        free(self);
}

// --- the list of active Jobs -----------------------------------------------------------------------------------------

static json_t *active_list(const struct cron_sync *s)
{
        return cx_json_get(s->json, "status.active");
}

static bool is_active(const struct cron_sync *s, const char *uid)
{
        return cx_json_find(active_list(s), "uid", uid) != NULL;
}

static void add_active(struct cron_sync *s, const json_t *job)
{
        json_array_append_new(cx_json_array_at(json_object_get(s->json, "status"), "active"),
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "apiVersion", "batch/v1", "kind", "Job",
                                        "namespace", s->owner->object->namespace, "name",
                                        cx_json_string_or(job, "metadata.name", ""), "uid",
                                        cx_json_string_or(job, "metadata.uid", ""), "resourceVersion",
                                        cx_json_string_or(job, "metadata.resourceVersion", "")));
        s->changed = true;
}

static void drop_active(struct cron_sync *s, const char *uid)
{
        json_t *list = active_list(s);
        for (size_t i = json_array_size(list); i-- > 0;) {
                if (!cx_streq(cx_json_string(json_array_get(list, i), "uid"), uid))
                        continue;
                json_array_remove(list, i);
                s->changed = true;
        }
        if (!json_array_size(list))
                json_object_del(json_object_get(s->json, "status"), "active");
}

static int get_job(struct cron_sync *s, const char *name, json_t **ret_job, struct cx_error *err)
{
        return cx_rest_get(s->self->rest, CX_REF("batch", "v1", "jobs", s->owner->object->namespace, name), ret_job,
                           err);
}

static bool is_mine(const struct cron_sync *s, const json_t *job)
{
        const json_t *ref = cx_json_find(cx_json_get(job, "metadata.ownerReferences"), "uid", s->owner->object->uid);
        return cx_json_bool(ref, "controller", false);
}

// --- Jobs that have ended --------------------------------------------------------------------------------------------

// With its pods. One that is gone already is not a failure.
static int delete_job(struct cron_sync *s, const char *name, const char *uid, struct cx_error *err)
{
        const struct cx_object *cron = s->owner->object;
        struct cx_delete_options options = {.propagation = "Background", .grace = -1, .uid = uid};
        int r = cx_rest_delete(s->self->rest, CX_REF("batch", "v1", "jobs", cron->namespace, name), &options, err);
        if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND)) {
                owner_event(s->self->events, s->owner, "Warning", "FailedDelete", "Deleted job: %s",
                            cx_error_text(err));
                return r;
        }
        if (r == 0)
                owner_event(s->self->events, s->owner, "Normal", "SuccessfulDelete", "Deleted job %s", name);
        cx_error_release(err);
        drop_active(s, uid);
        return 0;
}

// By when they began, those that did not last; then by name.
static int compare_starts(const void *a, const void *b)
{
        const struct child *x = *(const struct child *const *)a, *y = *(const struct child *const *)b;
        const char *begun = cx_json_string(x->json, "status.startTime"),
                   *other = cx_json_string(y->json, "status.startTime");
        if (!begun != !other)
                return begun ? -1 : 1;
        int order = begun ? strcmp(begun, other) : 0;
        return order ? order : strcmp(x->object->name, y->object->name);
}

static int delete_history(struct cron_sync *s, const char *type, const char *limit_path, struct cx_error *err)
{
        int64_t limit = cx_json_int(s->json, limit_path, -1);
        CX_CLEANUP(cx_freep) const struct child **ended = cx_alloc_array(s->jobs.count + 1, sizeof(struct child *));
        size_t count = 0;
        for (size_t i = 0; i < s->jobs.count; i++)
                if (cx_streq(cx_json_string(s->children[i].end, "type"), type) && !s->jobs.items[i]->deleted)
                        ended[count++] = &s->children[i];
        qsort(ended, count, sizeof *ended, compare_starts);
        for (size_t i = 0; limit >= 0 && i + (size_t)limit < count; i++) {
                int r = delete_job(s, ended[i]->object->name, ended[i]->object->uid, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void note_success(struct cron_sync *s, const struct child *child)
{
        json_t *status = json_object_get(s->json, "status");
        const char *done = cx_json_string(child->json, "status.completionTime"),
                   *last = cx_json_string(status, "lastSuccessfulTime");
        if (!done || !cx_streq(cx_json_string(child->end, "type"), "Complete") || (last && strcmp(done, last) <= 0))
                return;
        cx_json_set_string(status, "lastSuccessfulTime", done);
        s->changed = true;
}

static void look_at_jobs(struct cron_sync *s)
{
        for (size_t i = 0; i < s->jobs.count; i++) {
                const struct child *child = &s->children[i];
                bool listed = is_active(s, child->object->uid);
                note_success(s, child);
                if (listed && child->end) {
                        drop_active(s, child->object->uid);
                        owner_event(s->self->events, s->owner, "Normal", "SawCompletedJob",
                                    "Saw completed job: %s, status: %s", child->object->name,
                                    cx_json_string_or(child->end, "type", ""));
                } else if (!listed && !child->end) {
                        owner_event(s->self->events, s->owner, "Warning", "UnexpectedJob",
                                    "Saw a job that the controller did not create or forgot: %s", child->object->name);
                }
        }
}

// Those in the list that the informer does not show may be too new for it. Anybody may have written the list: what is
// not the CronJob's own leaves it, too.
static int drop_missing(struct cron_sync *s, struct cx_error *err)
{
        json_auto_t *listed = json_deep_copy(active_list(s));
        size_t i;
        const json_t *ref;
        json_array_foreach (listed, i, ref) {
                const char *uid = cx_json_string_or(ref, "uid", ""), *name = cx_json_string_or(ref, "name", "");
                bool seen = false;
                for (size_t j = 0; j < s->jobs.count; j++)
                        seen = seen || strcmp(s->jobs.items[j]->uid, uid) == 0;
                if (seen)
                        continue;
                json_auto_t *job = NULL;
                int r = *name ? get_job(s, name, &job, err) : 0;
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                        return r;
                cx_error_release(err);
                if (cx_streq(cx_json_string(job, "metadata.uid"), uid) && is_mine(s, job))
                        continue;
                owner_event(s->self->events, s->owner, "Normal", "MissingJob", "Active job went missing: %s", name);
                drop_active(s, uid);
        }
        return 0;
}

// --- the next one ----------------------------------------------------------------------------------------------------

// RFC 3339 in the CronJob's own time zone.
static void format_in_zone(const struct cx_timezone *zone, int64_t time, char to[CX_TIME_TEXT])
{
        int64_t offset = cx_timezone_at(zone, time).offset;
        cx_time_format((time + offset) * CX_US_PER_S, to);
        if (offset)
                (void)snprintf(strchr(to, 'Z'), 8, "%c%02d:%02d", offset < 0 ? '-' : '+',
                               (int)(llabs(offset) / 3600 % 100), (int)(llabs(offset) / 60 % 60));
}

static json_t *make_job(const struct cron_sync *s, const struct schedule *schedule, int64_t time)
{
        const json_t *template = cx_json_get(s->json, "spec.jobTemplate");
        char text[CX_TIME_TEXT];
        format_in_zone(schedule->zone, time, text);
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s-%lld", s->owner->object->name, (long long)(time / 60));
        json_t *metadata = json_pack("{s:s, s:[o]}", "name", name, "ownerReferences", owner_reference(s->owner));
        static const char *const kept[] = {"labels", "annotations"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++) {
                json_t *value = json_object_get(json_object_get(template, "metadata"), kept[i]);
                if (value)
                        json_object_set_new(metadata, kept[i], json_deep_copy(value));
        }
        json_object_set_new(cx_json_object_at(metadata, "annotations"),
                            "batch.kubernetes.io/cronjob-scheduled-timestamp", json_string(text));
        return json_pack("{s:s, s:s, s:o, s:O}", "apiVersion", "batch/v1", "kind", "Job", "metadata", metadata, "spec",
                         json_object_get(template, "spec"));
}

// The Job of that time: made now, or by whoever was here before. NULL: there can be none.
static int create_job(struct cron_sync *s, const json_t *wanted, json_t **ret_job, struct cx_error *err)
{
        const char *name = cx_json_string(wanted, "metadata.name");
        int r = cx_rest_create(s->self->rest, CX_REF("batch", "v1", "jobs", s->owner->object->namespace), wanted,
                               ret_job, err);
        if (r == 0) {
                owner_event(s->self->events, s->owner, "Normal", "SuccessfulCreate", "Created job %s", name);
                return 0;
        }
        if (is_namespace_terminating(err)) {
                cx_error_release(err);
                return 0;
        }
        if (cx_error_is(err, CX_REASON_ALREADY_EXISTS)) {
                cx_error_release(err);
                return get_job(s, name, ret_job, err);
        }
        owner_event(s->self->events, s->owner, "Warning", "FailedCreate", "Error creating job: %s", cx_error_text(err));
        return r;
}

static int replace_active(struct cron_sync *s, struct cx_error *err)
{
        json_auto_t *listed = json_deep_copy(active_list(s));
        size_t i;
        const json_t *ref;
        json_array_foreach (listed, i, ref) {
                int r = delete_job(s, cx_json_string_or(ref, "name", ""), cx_json_string_or(ref, "uid", ""), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int run(struct cron_sync *s, const struct schedule *schedule, int64_t time, struct cx_error *err)
{
        const char *policy = cx_json_string_or(s->json, "spec.concurrencyPolicy", "Allow");
        json_auto_t *wanted = make_job(s, schedule, time);
        json_auto_t *job = NULL;
        char text[CX_TIME_TEXT];
        cx_time_format(time * CX_US_PER_S, text);
        if (cx_json_find(active_list(s), "name", cx_json_string(wanted, "metadata.name")) ||
            cx_streq(cx_json_string(s->json, "status.lastScheduleTime"), text))
                return 0; // it has been
        if (strcmp(policy, "Forbid") == 0 && json_array_size(active_list(s))) {
                owner_event(s->self->events, s->owner, "Normal", "JobAlreadyActive",
                            "Not starting job because prior execution is running and concurrency policy is Forbid");
                return 0;
        }
        int r = strcmp(policy, "Replace") == 0 ? replace_active(s, err) : 0;
        if (r == 0)
                r = create_job(s, wanted, &job, err);
        if (r < 0 || !job || !is_mine(s, job))
                return r;
        if (!job_end(job) && !is_active(s, cx_json_string_or(job, "metadata.uid", "")))
                add_active(s, job);
        cx_json_set_string(json_object_get(s->json, "status"), "lastScheduleTime", text);
        s->changed = true;
        return 0;
}

// When it ran last, or was made; not earlier than what may still be begun, if `deadline` is one.
static int64_t last_run(const struct cron_sync *s, int64_t now, int64_t deadline)
{
        int64_t us = s->owner->object->created;
        const char *last = cx_json_string(s->json, "status.lastScheduleTime");
        if (last && cx_time_parse(last, &us) < 0)
                us = s->owner->object->created;
        int64_t since = us / CX_US_PER_S;
        return deadline >= 0 && deadline < now && now - deadline > since ? now - deadline : since;
}

static void tell_missed(struct cron_sync *s, int64_t time)
{
        char text[64];
        struct tm utc;
        gmtime_r(&(time_t){time}, &utc);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &utc);
        owner_event(s->self->events, s->owner, "Warning", "MissSchedule", "Missed scheduled time to start a job: %s",
                    text);
}

static int follow_schedule(struct cron_sync *s, const struct schedule *schedule, struct cx_error *err)
{
        int64_t us = cx_time_now(), now = us / CX_US_PER_S;
        int64_t deadline = cx_json_int(s->json, "spec.startingDeadlineSeconds", -1);
        struct schedule_times times, in_time;
        if (schedule_times(schedule, last_run(s, now, -1), now, &times) < 0) {
                owner_event(s->self->events, s->owner, "Warning", "InvalidSchedule",
                            "invalid schedule: %s : time difference between two schedules is less than 1 second",
                            cx_json_string_or(s->json, "spec.schedule", ""));
                return 0;
        }
        if (times.next) {
                int64_t left = times.next - now;
                s->retry_after = left > LONGEST_WAIT ? LONGEST_WAIT * CX_NS_PER_S
                                                     : (times.next * CX_US_PER_S - us) * 1000 + LATE;
        }
        if (!times.due)
                return 0;
        if (deadline >= 0 && times.due < now - deadline) {
                tell_missed(s, times.due);
                return 0;
        }
        if (schedule_times(schedule, last_run(s, now, deadline), now, &in_time) == 0 && in_time.many)
                owner_event(s->self->events, s->owner, "Warning", "TooManyMissedTimes",
                            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock "
                            "skew");
        return run(s, schedule, times.due, err);
}

// --- one look --------------------------------------------------------------------------------------------------------

// A schedule that makes no sense is told of, and waits until it is changed.
static int begin_next(struct cron_sync *s, struct cx_error *err)
{
        SCHEDULE schedule = SCHEDULE_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        const char *expression = cx_json_string_or(s->json, "spec.schedule", ""),
                   *zone = cx_json_string(s->json, "spec.timeZone");
        int r = schedule_read(expression, zone, &schedule, &why);
        if (r == -ENOENT) {
                owner_event(s->self->events, s->owner, "Warning", "UnknownTimeZone", "invalid timeZone: \"%s\": %s",
                            cx_str(zone), cx_error_text(&why));
                return 0;
        }
        if (cx_json_bool(s->json, "spec.suspend", false))
                return 0;
        if (r < 0) {
                owner_event(s->self->events, s->owner, "Warning", "UnparseableSchedule",
                            "unparseable schedule: \"%s\" : %s", expression, cx_error_text(&why));
                return 0;
        }
        return follow_schedule(s, &schedule, err);
}

static int look(struct cron_sync *s, struct cx_error *err)
{
        int r = delete_history(s, "Complete", "spec.successfulJobsHistoryLimit", err);
        if (r == 0)
                r = delete_history(s, "Failed", "spec.failedJobsHistoryLimit", err);
        if (r < 0)
                return r;
        look_at_jobs(s);
        r = drop_missing(s, err);
        return r < 0 || s->owner->object->deleted ? r : begin_next(s, err);
}

static int write_status(struct cron_sync *s, struct cx_error *err)
{
        const struct cx_object *cron = s->owner->object;
        json_auto_t *written = NULL;
        if (!s->changed)
                return 0;
        json_object_set_new(s->json, "apiVersion", json_string("batch/v1"));
        json_object_set_new(s->json, "kind", json_string("CronJob"));
        int r = cx_rest_update_status(s->self->rest, CX_REF("batch", "v1", "cronjobs", cron->namespace, cron->name),
                                      s->json, &written, err);
        if (r == 0)
                own_writes_note(&s->self->writes, cron, written);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) { // it has just gone
                cx_error_release(err);
                r = 0;
        }
        return r;
}

static void find_children(struct cron_sync *s)
{
        cx_informer_by_index(s->self->jobs, CX_INDEX_CONTROLLER, s->owner->object->uid, &s->jobs);
        s->children = cx_alloc_array(s->jobs.count + 1, sizeof *s->children);
        for (size_t i = 0; i < s->jobs.count; i++) {
                json_t *json = cx_object_json(s->jobs.items[i]);
                s->children[i] = (struct child){s->jobs.items[i], json, job_end(json)};
        }
}

static void release_sync(struct cron_sync *s)
{
        for (size_t i = 0; i < s->jobs.count; i++)
                json_decref(s->children[i].json);
        free(s->children);
        cx_objects_release(&s->jobs);
        json_decref(s->json);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct cronjobs *self = context;
        CX_OBJECT *cron = cx_informer_get_key(self->crons, key);
        if (!cron) {
                own_writes_forget(&self->writes, key);
                return 0;
        }
        if (own_writes_behind(&self->writes, cron)) { // the event that is to come brings it back
                *retry_after = CX_NS_PER_S;
                return 0;
        }
        const struct owner owner = {&cronjob_kind, cron};
        struct cron_sync s = {.self = self, .owner = &owner, .json = cx_object_json(cron)};
        cx_json_object_at(s.json, "status");
        find_children(&s);
        CX_ERROR failure = CX_ERROR_INIT;
        bool failed = look(&s, &failure) < 0;
        int r = write_status(&s, err); // also of what was done before something failed
        *retry_after = s.retry_after;
        release_sync(&s);
        return r < 0 || !failed ? r : cx_error_move(err, &failure);
}

const struct controller cronjob_controller = {.name = "cronjob-controller",
                                              .account = "cronjob-controller",
                                              .workers = 5,
                                              .init = init,
                                              .reconcile = reconcile,
                                              .free = release};
