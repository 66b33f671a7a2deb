// SPDX-License-Identifier: Apache-2.0
// A decision counts the pod on its node at once (assumed), so the next pod is decided without waiting for the bind to
// be written. The informer's word confirms it later; a bind that fails takes it back.
//
// glibc's mutexes are not fair: the scheduling thread, which takes the lock again right after giving it up, could keep
// the informers' thread out for as long as there are pods. Everybody therefore passes a second mutex (the gate) on the
// way to the lock, where one who waits is next.
#include "scheduler/scheduler.h"

#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "scheduler/binder.h"
#include "scheduler/core/preemption.h"
#include "scheduler/extender.h"
#include "scheduler/metrics.h"
#include "scheduler/queue.h"
#include "scheduler/storage.h"

#include <malloc.h>
#include <pthread.h>
#include <time.h>

#define MAX_BINDERS 16
#define MAX_SLOW_BINDERS 1024 // each may wait for a claim that nobody provides for
#define MAX_PREEMPTIONS 8     // that extenders are asked about for a pod
#define FLUSH_PERIOD (30 * CX_NS_PER_S)

struct task {
        const struct scheduler_profile *profile;
        int64_t started;                // monotonic: the attempt
        struct queued_pod *pod;         // bind: owned
        char *node;                     // NULL: not a bind, but a report of why there is none
        struct reservation reservation; // bind: what plugins have to do before, or else to undo
        const struct cx_object *object;
        char *message;
        char *nominated; // of a report: the node that the pod waits for; NULL: none
        struct cx_strings victims;
};

struct scheduler {
        struct cx_rest *rest;
        struct cx_informers *informers;
        const struct extenders *extenders; // NULL: none
        const struct profiles *profiles;
        struct cx_events **events; // by profile
        struct cx_informer *pods, *nodes, *namespaces;
        struct storage_feed *storage;
        struct templates *templates;
        struct binder *binder, *slow; // slow: for binds before which plugins may block
        pthread_t thread;
        bool started, synced;       // synced: atomic
        struct cx_pulse pulse;      // of the thread
        pthread_mutex_t gate, lock; // gate before lock; the lock guards what follows
        pthread_cond_t wake;
        struct node_cache cache;
        struct queue queue;
        struct framework framework;
        int64_t flushed;
        bool stop;
        struct scheduler_metrics *metrics;
};

static void lock(struct scheduler *self)
{
        pthread_mutex_lock(&self->gate);
        pthread_mutex_lock(&self->lock);
        pthread_mutex_unlock(&self->gate);
}

static void unlock(struct scheduler *self)
{
        pthread_mutex_unlock(&self->lock);
}

static struct cx_events *events_of(const struct scheduler *self, const struct scheduler_profile *profile)
{
        return self->events[profile->index];
}

static void wake_pods(struct scheduler *self, unsigned events, const char *node)
{
        queue_wake(&self->queue, &self->cache, events, node ? cache_node(&self->cache, node) : NULL, NULL,
                   cx_time_monotonic());
}

static void on_storage(void *context, unsigned events, const char *claim)
{
        struct scheduler *self = context;
        lock(self);
        queue_wake(&self->queue, &self->cache, events, NULL, claim, cx_time_monotonic());
        pthread_cond_signal(&self->wake);
        unlock(self);
}

// --- informers' events ---

static void drop_pod(struct scheduler *self, const struct cx_object *pod)
{
        queue_remove(&self->queue, pod->key);
        framework_nominate(&self->framework, pod->key, NULL, NULL);
        volumes_pod_gone(&self->cache.volumes, pod->uid);
        if (cache_remove_pod(&self->cache, pod->key))
                wake_pods(self, EVENT_POD_GONE, POD_INFO(pod)->node);
}

static void place_pod(struct scheduler *self, const struct cx_object *old, const struct cx_object *now)
{
        const struct pod_info *info = POD_INFO(now);
        queue_remove(&self->queue, now->key);
        framework_nominate(&self->framework, now->key, NULL, NULL);
        cache_set_pod(&self->cache, now->key, info->template, info->node, now->deleted, now->created);
        if (!old || !POD_INFO(old)->node)
                wake_pods(self, EVENT_POD_ADDED, info->node);
        else if (POD_INFO(old)->template != info->template || !old->deleted != !now->deleted)
                wake_pods(self, EVENT_POD_LABELS | EVENT_POD_GONE, info->node);
}

static void wait_for_node(struct scheduler *self, const struct cx_object *pod)
{
        const struct pod_info *info = POD_INFO(pod);
        // What a scheduler before us decided holds.
        if (info->nominated && !queue_has(&self->queue, pod->key))
                framework_nominate(&self->framework, pod->key, info->template, info->nominated);
        queue_set(&self->queue, pod, cx_time_monotonic());
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct scheduler *self = context;
        lock(self);
        if (!now || POD_INFO(now)->terminal) {
                drop_pod(self, now ? now : old);
        } else if (POD_INFO(now)->node) {
                place_pod(self, old, now);
        } else if (POD_INFO(now)->template->profile) {
                if (now->deleted)
                        drop_pod(self, now);
                else if (!cx_map_has(&self->cache.pods, now->key)) // else its bind is under way
                        wait_for_node(self, now);
        }
        pthread_cond_signal(&self->wake);
        unlock(self);
}

static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct scheduler *self = context;
        lock(self);
        if (now) {
                unsigned changes = cache_set_node(&self->cache, now), events = 0;
                events |= changes & (NODE_ADDED | NODE_ALLOCATABLE) ? EVENT_NODE : 0;
                events |= changes & NODE_LABELS ? EVENT_NODE_LABELS : 0;
                events |= changes & NODE_TAINTS ? EVENT_NODE_TAINTS : 0;
                if (events)
                        wake_pods(self, events, now->name);
        } else {
                cache_remove_node(&self->cache, old->name);
        }
        pthread_cond_signal(&self->wake);
        unlock(self);
}

static void on_namespace(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct scheduler *self = context;
        lock(self);
        cache_set_namespace(&self->cache, now ? now->name : old->name, now);
        if (now)
                wake_pods(self, EVENT_NAMESPACE, NULL);
        pthread_cond_signal(&self->wake);
        unlock(self);
}

// --- writing ---

static struct cx_ref ref_of(const struct cx_object *pod)
{
        return (struct cx_ref){"", "v1", "pods", pod->namespace, pod->name};
}

static void bind_failed(struct scheduler *self, struct task *task, const struct cx_error *err)
{
        const struct cx_object *pod = task->object;
        cx_err(err, "Cannot bind pod", "pod", pod->key, "node", task->node);
        metrics_attempt(self->metrics, task->profile, ATTEMPT_ERROR, task->started);
        CX_OBJECT *latest = cx_informer_get_key(self->pods, pod->key);
        lock(self);
        reservation_undo(&task->reservation);
        if (cache_forget(&self->cache, pod->key))
                wake_pods(self, EVENT_POD_GONE, task->node);
        if (latest && !POD_INFO(latest)->node && !latest->deleted && !cx_map_has(&self->cache.pods, latest->key))
                queue_retry(&self->queue, cx_steal(&task->pod), latest, cx_time_monotonic());
        pthread_cond_signal(&self->wake);
        unlock(self);
        if (latest && cx_streq(latest->uid, task->object->uid))
                cx_event_object(events_of(self, task->profile), "v1", "Pod", latest, "Warning", "FailedScheduling",
                                "binding rejected: %s", cx_error_text(err));
}

static void write_binding(struct scheduler *self, struct task *task)
{
        const struct cx_object *pod = task->object;
        struct cx_ref ref = ref_of(pod);
        json_auto_t *binding = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s, s:s}}", "apiVersion", "v1", "kind",
                                         "Binding", "metadata", "namespace", pod->namespace, "name", pod->name, "uid",
                                         pod->uid, "target", "kind", "Node", "name", task->node);
        CX_ERROR err = CX_ERROR_INIT;
        const struct placement placement = {self->rest, pod, task->node};
        int64_t began = cx_time_monotonic();
        int r = reservation_pre_bind(&task->reservation, &placement, &err);
        metrics_point(self->metrics, task->profile, POINT_PRE_BIND, r == 0, began);
        if (r == 0) {
                began = cx_time_monotonic();
                json_auto_t *json = self->extenders ? cx_object_json(pod) : NULL;
                if (!json || !extenders_bind(self->extenders, json, task->node, &r, &err))
                        r = cx_rest_create_sub(self->rest, &ref, "binding", binding, NULL, &err);
                metrics_point(self->metrics, task->profile, POINT_BIND, r == 0, began);
        }
        if (r < 0) {
                bind_failed(self, task, &err);
                return;
        }
        if (task->reservation.count) {
                lock(self);
                reservation_settle(&task->reservation);
                unlock(self);
        }
        metrics_attempt(self->metrics, task->profile, ATTEMPT_SCHEDULED, task->started);
        metrics_bound(self->metrics, task->pod->attempts, task->pod->queued);
        cx_debug(2, "Successfully bound pod to node", "pod", pod->key, "node", task->node);
        cx_event_object(events_of(self, task->profile), "v1", "Pod", pod, "Normal", "Scheduled",
                        "Successfully assigned %s to %s", pod->key, task->node);
}

static void evict(struct scheduler *self, const struct task *task, const char *key)
{
        CX_OBJECT *victim = cx_informer_get_key(self->pods, key);
        if (!victim || victim->deleted)
                return;
        struct cx_ref ref = ref_of(victim);
        char moment[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), moment);
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("%s: preempting to accommodate a higher priority pod", task->profile->name);
        json_auto_t *patch = json_pack("{s:{s:s}, s:{s:[{s:s, s:s, s:s, s:s, s:s}]}}", "metadata", "uid", victim->uid,
                                       "status", "conditions", "type", "DisruptionTarget", "status", "True", "reason",
                                       "PreemptionByScheduler", "message", message, "lastTransitionTime", moment);
        CX_ERROR err = CX_ERROR_INIT;
        int r = cx_rest_patch(self->rest, &ref, "status", CX_PATCH_STRATEGIC, patch, NULL, &err);
        struct cx_delete_options options = {.grace = -1, .uid = victim->uid};
        if (r == 0)
                r = cx_rest_delete(self->rest, &ref, &options, &err);
        if (r == 0)
                cx_event_object(events_of(self, task->profile), "v1", "Pod", victim, "Normal", "Preempted",
                                "Preempted by pod %s on node %s", task->object->uid, task->nominated);
        else if (!cx_error_is(&err, CX_REASON_NOT_FOUND) && !cx_error_is(&err, CX_REASON_CONFLICT))
                cx_err(&err, "Cannot preempt pod", "pod", key);
}

static void write_condition(struct scheduler *self, const struct task *task)
{
        const struct cx_object *pod = task->object;
        struct cx_ref ref = ref_of(pod);
        char moment[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), moment);
        for (size_t i = 0; i < task->victims.count; i++)
                evict(self, task, task->victims.items[i]);
        json_auto_t *patch = json_pack("{s:{s:s}, s:{s:[{s:s, s:s, s:s, s:s, s:n, s:s, s:I}]}}", "metadata", "uid",
                                       pod->uid, "status", "conditions", "type", "PodScheduled", "status", "False",
                                       "reason", "Unschedulable", "message", task->message, "lastProbeTime",
                                       "lastTransitionTime", moment, "observedGeneration", (json_int_t)pod->generation);
        if (task->nominated)
                json_object_set_new(json_object_get(patch, "status"), "nominatedNodeName",
                                    json_string(task->nominated));
        else if (POD_INFO(pod)->nominated)
                json_object_set_new(json_object_get(patch, "status"), "nominatedNodeName", json_null());
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_patch(self->rest, &ref, "status", CX_PATCH_STRATEGIC, patch, NULL, &err) < 0 &&
            !cx_error_is(&err, CX_REASON_NOT_FOUND) && !cx_error_is(&err, CX_REASON_CONFLICT))
                cx_err(&err, "Cannot write the condition of a pod", "pod", pod->key);
}

static void run_task(void *context, void *argument)
{
        struct scheduler *self = context;
        struct task *task = argument;
        if (task->node)
                write_binding(self, task);
        else
                write_condition(self, task);
        queued_pod_free(task->pod);
        cx_object_unref(task->object);
        free(task->node);
        free(task->message);
        free(task->nominated);
        cx_strings_release(&task->victims);
        free(task);
}

static struct task *task_new(const struct queued_pod *pod, int64_t started)
{
        struct task *task = cx_alloc(sizeof *task);
        task->object = cx_object_ref(pod->object);
        task->profile = pod->template->profile;
        task->started = started;
        return task;
}

// --- deciding ---

static void report_failure(struct scheduler *self, struct queued_pod *pod, const struct decision *decision,
                           int64_t started)
{
        const char *key = pod->object->key, *before = framework_nominated(&self->framework, key);
        // A preemption that is under way stays so until it is over or another is found.
        const char *node = decision->nominated ? decision->nominated->name : decision->waits ? before : NULL;
        bool same = cx_streq(pod->message, decision->message) && (before == node || cx_streq(before, node)) &&
                    !decision->victims.count;
        const struct scheduler_profile *profile = pod->template->profile;
        metrics_attempt(self->metrics, profile, ATTEMPT_UNSCHEDULABLE, started);
        cx_event_object(events_of(self, profile), "v1", "Pod", pod->object, "Warning", "FailedScheduling", "%s",
                        decision->message);
        if (same)
                return;
        free(pod->message);
        pod->message = cx_strdup(decision->message);
        struct task *task = task_new(pod, started);
        task->message = cx_strdup(decision->message);
        task->nominated = cx_strdup(node);
        for (size_t i = 0; i < decision->victims.count; i++)
                cx_strings_add(&task->victims, decision->victims.items[i]);
        if (decision->nominated || !node)
                framework_nominate(&self->framework, key, pod->template, task->nominated);
        binder_add(self->binder, task);
}

static void act(struct scheduler *self, struct queued_pod *pod, struct decision *decision, int64_t start)
{
        if (!decision->node) {
                report_failure(self, pod, decision, start);
                queue_park(&self->queue, pod, decision->failed, start);
                return;
        }
        framework_nominate(&self->framework, pod->object->key, NULL, NULL);
        cache_assume(&self->cache, pod->object->key, pod->template, decision->node);
        struct task *task = task_new(pod, start);
        task->node = cx_strdup(decision->node->name);
        task->pod = queue_take(&self->queue, pod);
        task->reservation = decision->reservation;
        decision->reservation = (struct reservation){0};
        binder_add(task->reservation.count || self->extenders ? self->slow : self->binder, task);
}

// --- with extenders: asked without the lock, so the pod is looked up again afterwards ---

static json_t *node_json(void *context, const char *name)
{
        struct scheduler *self = context;
        CX_OBJECT *node = cx_informer_get_key(self->nodes, name);
        return node ? cx_object_json(node) : NULL;
}

static void fail(struct scheduler *self, struct queued_pod *pod, const struct cx_error *err, int64_t start)
{
        const struct scheduler_profile *profile = pod->template->profile;
        metrics_attempt(self->metrics, profile, ATTEMPT_ERROR, start);
        cx_err(err, "Cannot schedule pod", "pod", pod->object->key);
        cx_event_object(events_of(self, profile), "v1", "Pod", pod->object, "Warning", "FailedScheduling", "%s",
                        cx_error_text(err));
        CX_OBJECT *object = cx_object_ref(pod->object);
        queue_retry(&self->queue, queue_take(&self->queue, pod), object, cx_time_monotonic());
}

// What the extenders say of the candidates. The pod, or NULL when nothing is left to be done for it.
static struct queued_pod *consult(struct scheduler *self, struct queued_pod *pod, const json_t *json,
                                  struct verdicts *verdicts, int64_t start)
{
        CX_STRINGS nodes = CX_STRINGS_INIT;
        CX_OBJECT *object = cx_object_ref(pod->object);
        CX_ERROR err = CX_ERROR_INIT;
        framework_candidates(&self->framework, object->key, pod->template, &nodes);
        unlock(self);
        int r = extenders_judge(
                self->extenders,
                &(struct extender_question){.pod = json, .nodes = &nodes, .node = node_json, .context = self}, verdicts,
                &err);
        lock(self);
        pod = queue_find_popped(&self->queue, object);
        if (pod && r < 0)
                fail(self, pod, &err, start);
        return r < 0 ? NULL : pod;
}

// Asks whether the victims of a decision may leave. The pod, or NULL; *ret_agreed tells whether the decision stands.
static struct queued_pod *consult_on_victims(struct scheduler *self, struct queued_pod *pod, const json_t *json,
                                             struct decision *decision, bool *ret_agreed, int64_t start)
{
        CX_CLEANUP(cx_freep) char *node = cx_strdup(decision->nominated->name);
        CX_OBJECT *object = cx_object_ref(pod->object);
        json_auto_t *victims = json_array();
        CX_ERROR err = CX_ERROR_INIT;
        for (size_t i = 0; i < decision->victims.count; i++) {
                CX_OBJECT *victim = cx_informer_get_key(self->pods, decision->victims.items[i]);
                if (victim)
                        json_array_append_new(victims, cx_object_json(victim));
        }
        unlock(self);
        int r = extenders_preempt(self->extenders, json, node, victims, ret_agreed, &err);
        lock(self);
        pod = queue_find_popped(&self->queue, object);
        if (pod && r < 0)
                fail(self, pod, &err, start);
        cx_strings_release(&decision->victims);
        for (size_t i = 0; i < json_array_size(victims); i++) {
                const json_t *victim = json_array_get(victims, i);
                CX_CLEANUP(cx_freep)
                char *key = cx_sprintf("%s/%s", cx_json_string_or(victim, "metadata.namespace", ""),
                                       cx_json_string_or(victim, "metadata.name", ""));
                cx_strings_add(&decision->victims, key);
        }
        decision->nominated = cache_node(&self->cache, node);
        *ret_agreed = *ret_agreed && decision->nominated;
        return r < 0 ? NULL : pod;
}

static void schedule_with(struct scheduler *self, struct queued_pod *pod, const json_t *json, int64_t start)
{
        CX_CLEANUP(verdicts_release) struct verdicts verdicts;
        verdicts_init(&verdicts);
        pod = consult(self, pod, json, &verdicts, start);
        for (int tries = 0; pod; tries++) {
                struct decision decision;
                bool agreed = true;
                framework_schedule(&self->framework, pod->object->key, pod->template, &verdicts, &decision);
                metrics_decision(self->metrics, pod->template->profile, &decision, start);
                if (decision.nominated && tries == MAX_PREEMPTIONS) {
                        decision.nominated = NULL;
                        cx_strings_release(&decision.victims);
                } else if (decision.nominated) {
                        verdicts_of(&verdicts, decision.nominated->name)->spared = true; // the next time
                        pod = consult_on_victims(self, pod, json, &decision, &agreed, start);
                }
                if (pod && agreed)
                        act(self, pod, &decision, start);
                if (agreed)
                        pod = NULL;
                decision_release(&decision);
        }
}

static void schedule(struct scheduler *self, struct queued_pod *pod)
{
        int64_t start = cx_time_monotonic();
        json_auto_t *json = self->extenders ? cx_object_json(pod->object) : NULL;
        if (json && extenders_care(self->extenders, json)) {
                schedule_with(self, pod, json, start);
                return;
        }
        struct decision decision;
        framework_schedule(&self->framework, pod->object->key, pod->template, NULL, &decision);
        metrics_decision(self->metrics, pod->template->profile, &decision, start);
        act(self, pod, &decision, start);
        decision_release(&decision);
}

static void wait_for_event(struct scheduler *self)
{
        int64_t deadline = queue_deadline(&self->queue);
        if (self->queue.counts[QUEUE_UNSCHEDULABLE] && deadline > self->flushed + FLUSH_PERIOD)
                deadline = self->flushed + FLUSH_PERIOD;
        metrics_show(self->metrics, &self->queue, &self->cache);
        (void)cx_cond_wait_until(&self->wake, &self->lock, deadline);
}

static void *run(void *argument)
{
        struct scheduler *self = argument;
        if (cx_informers_wait_synced(self->informers, -1, NULL) < 0)
                return NULL; // stopped
        malloc_trim(0);      // the first lists are not needed again soon
        __atomic_store_n(&self->synced, true, __ATOMIC_RELEASE);
        for (size_t i = 0; i < self->profiles->count; i++)
                cx_info("Scheduling", "scheduler", self->profiles->items[i].name);
        lock(self);
        while (!self->stop) {
                int64_t now = cx_time_monotonic();
                if (now - self->flushed >= FLUSH_PERIOD) {
                        queue_flush(&self->queue, now);
                        self->flushed = now;
                }
                struct queued_pod *pod = queue_pop(&self->queue, now);
                if (!pod) {
                        wait_for_event(self);
                        continue;
                }
                cx_pulse_begin(&self->pulse);
                schedule(self, pod);
                cx_pulse_end(&self->pulse);
                unlock(self);
                lock(self);
        }
        unlock(self);
        return NULL;
}

// --- life ---

static void add_informers(struct scheduler *self)
{
        self->nodes = cx_informers_add(self->informers,
                                       &(struct cx_informer_options){.ref = {"", "v1", "nodes"},
                                                                     .drop_bytes = !self->extenders,
                                                                     .project = node_project,
                                                                     .free_projection = node_free_projection});
        self->pods = cx_informers_add(
                self->informers,
                &(struct cx_informer_options){.ref = {"", "v1", "pods"},
                                              .field_selector = "status.phase!=Succeeded,status.phase!=Failed",
                                              .drop_bytes = !self->extenders, // which are given whole objects
                                              .project = pod_project,
                                              .free_projection = pod_free_projection,
                                              .context = self->templates});
        self->namespaces = cx_informers_add(
                self->informers, &(struct cx_informer_options){.ref = {"", "v1", "namespaces"}, .drop_bytes = true});
        self->framework.budgets = cx_informers_add(
                self->informers, &(struct cx_informer_options){.ref = {"policy", "v1", "poddisruptionbudgets"},
                                                               .drop_bytes = true,
                                                               .project = preemption_budget_project,
                                                               .free_projection = preemption_budget_free});
        self->storage = storage_feed_new(self->informers, &self->cache.volumes, on_storage, self);
        cx_informer_on_event(self->nodes, on_node, self);
        cx_informer_on_event(self->pods, on_pod, self);
        cx_informer_on_event(self->namespaces, on_namespace, self);
}

struct scheduler *scheduler_new(const struct scheduler_options *options)
{
        struct scheduler *self = cx_alloc(sizeof *self);
        self->rest = options->rest;
        self->informers = options->informers;
        self->extenders = options->extenders;
        self->profiles = options->profiles;
        self->events = cx_alloc_array(self->profiles->count, sizeof(struct cx_events *));
        for (size_t i = 0; i < self->profiles->count; i++)
                self->events[i] = cx_events_for(options->events, self->profiles->items[i].name);
        self->templates = templates_new(self->profiles);
        cache_init(&self->cache, self->templates);
        queue_init(&self->queue, options->backoff_first, options->backoff_max);
        framework_init(&self->framework, &self->cache);
        pthread_mutex_init(&self->gate, NULL);
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->wake);
        self->binder = binder_new(MAX_BINDERS, run_task, self);
        self->slow = binder_new(MAX_SLOW_BINDERS, run_task, self);
        self->metrics = scheduler_metrics_new(options->metrics, self->profiles);
        add_informers(self);
        return self;
}

int scheduler_start(struct scheduler *self, struct cx_error *err)
{
        cx_informers_start(self->informers);
        if (pthread_create(&self->thread, NULL, run, self))
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        self->started = true;
        return 0;
}

bool scheduler_synced(const struct scheduler *self)
{
        return __atomic_load_n(&self->synced, __ATOMIC_ACQUIRE);
}

bool scheduler_alive(const struct scheduler *self, int64_t limit)
{
        return cx_pulse_alive(&self->pulse, limit);
}

void scheduler_stop(struct scheduler *self)
{
        cx_informers_cancel_waits(self->informers);
        volumes_stop(&self->cache.volumes);
        lock(self);
        self->stop = true;
        pthread_cond_broadcast(&self->wake);
        unlock(self);
        if (self->started)
                pthread_join(self->thread, NULL);
        self->started = false;
        binder_free(self->binder);
        binder_free(self->slow);
        self->binder = self->slow = NULL;
}

void scheduler_free(struct scheduler *self)
{
        if (!self)
                return;
        queue_release(&self->queue);
        framework_release(&self->framework);
        cache_release(&self->cache);
        storage_feed_free(self->storage);
        templates_free(self->templates);
        for (size_t i = 0; i < self->profiles->count; i++)
                cx_events_free(self->events[i]);
        free(self->events);
        scheduler_metrics_free(self->metrics);
        pthread_cond_destroy(&self->wake);
        pthread_mutex_destroy(&self->lock);
        pthread_mutex_destroy(&self->gate);
        free(self);
}
