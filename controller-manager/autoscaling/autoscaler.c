// SPDX-License-Identifier: Apache-2.0
// The HorizontalPodAutoscaler: every period each is looked at anew. What its metrics ask for comes from replicas.c, how far
// it may go at once from rate.c; sources.c reads the metrics; here the target is scaled, and the status tells why.
#include "controller-manager/autoscaling/autoscaler_internal.h"
#include "controller-manager/core/options.h"
#include "libcommon/base/map.h"

#include <pthread.h>

#define GROUP "autoscaling"

struct autoscalers {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *informer;
        struct cx_events *events;
        pthread_mutex_t lock;   // guards memories; an autoscaler's own is its worker's
        struct cx_map memories; // key -> struct memory
};

struct memory {
        char *uid;
        struct rate_memory rate;
};

static void free_memory(void *value)
{
        struct memory *memory = value;
        rate_memory_release(&memory->rate);
        free(memory->uid);
        free(memory);
}

// --- what is told ----------------------------------------------------------------------------------------------------

static void set_condition(json_t *hpa, const char *type, bool holds, const char *reason, const char *message)
{
        json_t *conditions = cx_json_array_at(cx_json_object_at(hpa, "status"), "conditions");
        json_t *condition = cx_json_find(conditions, "type", type);
        const char *status = holds ? "True" : "False";
        if (!condition)
                json_array_append_new(conditions, condition = json_pack("{s:s}", "type", type));
        if (!cx_streq(cx_json_string(condition, "status"), status)) {
                json_object_set_new(condition, "status", json_string(status));
                json_object_set_new(condition, "lastTransitionTime", json_now());
        }
        json_object_set_new(condition, "reason", json_string(reason));
        json_object_set_new(condition, "message", json_string(message));
}

static void warn(const struct look *look, const char *reason, const char *message)
{
        cx_event_object(look->self->events, "autoscaling/v2", "HorizontalPodAutoscaler", look->object, "Warning",
                        reason, "%s", message);
}

static int write_status(const struct look *look, const json_t *before, struct cx_error *err)
{
        if (json_equal(json_object_get(before, "status"), json_object_get(look->hpa, "status")))
                return 0;
        const struct cx_ref *ref =
                CX_REF(GROUP, "v2", "horizontalpodautoscalers", look->object->namespace, look->object->name);
        int r = cx_rest_update_status(look->manager->rest, ref, look->hpa, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err); // the next look is soon
                return 0;
        }
        return r;
}

static void set_sizes(struct look *look, int64_t desired, json_t *metrics, bool scaled)
{
        json_t *status = cx_json_object_at(look->hpa, "status");
        json_object_set_new(status, "currentReplicas", json_integer(look->current));
        json_object_set_new(status, "desiredReplicas", json_integer(desired));
        json_object_set(status, "currentMetrics", metrics);
        if (scaled)
                json_object_set_new(status, "lastScaleTime", json_now());
        if (look->object->generation)
                json_object_set_new(status, "observedGeneration", json_integer(look->object->generation));
}

// --- the target ------------------------------------------------------------------------------------------------------

static void scale_path(const struct look *look, struct cx_buf *path)
{
        cx_rest_path(path,
                     CX_REF(look->group, look->target.version, look->target.resource, look->object->namespace,
                            cx_json_string_or(look->hpa, "spec.scaleTargetRef.name", "")),
                     "scale");
}

static int get_scale(struct look *look, struct cx_error *err)
{
        const char *api_version = cx_json_string_or(look->hpa, "spec.scaleTargetRef.apiVersion", "");
        struct cx_rest *rest = look->manager->rest;
        CX_BUF path = CX_BUF_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        if (!cx_split_api_version(api_version, look->group, look->version))
                return cx_error_set(err, -EINVAL, "invalid API version in scale target reference: %s", api_version);
        int r = discovery_kind(rest, look->group, cx_json_string_or(look->hpa, "spec.scaleTargetRef.kind", ""), true,
                               &look->target, err);
        if (r < 0)
                return r;
        scale_path(look, &path);
        r = cx_rest_do(rest, &(struct cx_rest_call){.path = path.data, .accept = "application/json"}, &reply, err);
        if (r == 0)
                r = cx_json_parse(reply.body.data, reply.body.length, false, &look->scale, err);
        return r;
}

static int set_scale(struct look *look, int64_t replicas, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT, body = CX_BUF_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        scale_path(look, &path);
        json_object_set_new(cx_json_object_at(look->scale, "spec"), "replicas", json_integer(replicas));
        cx_json_dump(look->scale, &body);
        return cx_rest_do(look->manager->rest,
                          &(struct cx_rest_call){.method = "PUT",
                                                 .path = path.data,
                                                 .accept = "application/json",
                                                 .content_type = "application/json",
                                                 .body = body.data,
                                                 .body_length = body.length},
                          &reply, err);
}

// All metrics: the highest proposal. With some that cannot be read nothing is taken away.
static int read_metrics(struct look *look, struct proposal *best, json_t *statuses, struct cx_error *err)
{
        size_t i, count = json_array_size(cx_json_get(look->hpa, "spec.metrics")), invalid = 0;
        const json_t *metric;
        CX_ERROR first = CX_ERROR_INIT;
        const char *reason = "InvalidMetricSourceType";
        json_array_foreach (cx_json_get(look->hpa, "spec.metrics"), i, metric) {
                const char *failure;
                struct proposal one = {0};
                CX_ERROR why = CX_ERROR_INIT;
                if (propose_replicas(look, metric, &one, &failure, &why) < 0) {
                        if (failure)
                                warn(look, failure, cx_error_text(&why));
                        if (!invalid++) {
                                reason = failure ? failure : reason;
                                (void)cx_error_move(&first, &why);
                        }
                        continue;
                }
                json_array_append(statuses, one.status);
                if (!best->metric || one.replicas > best->replicas) {
                        proposal_release(best);
                        *best = one;
                } else {
                        proposal_release(&one);
                }
        }
        if (invalid && (invalid == count || (best->metric && best->replicas < look->current))) {
                CX_CLEANUP(cx_freep)
                char *message =
                        cx_sprintf("the HPA was unable to compute the replica count: %s", cx_error_text(&first));
                set_condition(look->hpa, "ScalingActive", false, reason, message);
                return cx_error_set(err, -EIO, "invalid metrics (%zu invalid out of %zu), first error is: %s", invalid,
                                    count, cx_error_text(&first));
        }
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("the HPA was able to successfully calculate a replica count from %s", best->metric);
        set_condition(look->hpa, "ScalingActive", true, "ValidMetricFound", message);
        return 0;
}

// --- a look ----------------------------------------------------------------------------------------------------------

// The size that there should be, and why when it is another one; *ret_wanted is the present one when nothing is known.
static int decide(struct look *look, json_t *statuses, int64_t *ret_wanted, char **ret_why, struct cx_error *err)
{
        struct proposal best = {0};
        struct rate_answer answer;
        *ret_wanted = look->current;
        if (!look->current && look->min) {
                set_condition(look->hpa, "ScalingActive", false, "ScalingDisabled",
                              "scaling is disabled since the replica count of the target is zero");
                return 0;
        }
        if (look->current > look->max || look->current < look->min) {
                bool above = look->current > look->max;
                *ret_wanted = above ? look->max : look->min;
                *ret_why = cx_strdup(above ? "Current number of replicas above Spec.MaxReplicas"
                                           : "Current number of replicas below Spec.MinReplicas");
                return 0;
        }
        int r = read_metrics(look, &best, statuses, err);
        if (r < 0) {
                proposal_release(&best);
                return r;
        }
        const json_t *behavior = cx_json_get(look->hpa, "spec.behavior");
        rate_apply(look->memory,
                   &(struct rate_question){
                           .now = look->now,
                           .current = look->current,
                           .wanted = best.replicas,
                           .min = look->min,
                           .max = look->max,
                           .behavior = json_is_object(behavior) ? behavior : NULL,
                           .down_stabilization = options_of(look->manager)->autoscaler.downscale_stabilization / 1000},
                   &answer);
        set_condition(look->hpa, "AbleToScale", true, answer.able_reason, answer.able_message);
        set_condition(look->hpa, "ScalingLimited", answer.limited, answer.limited_reason, answer.limited_message);
        *ret_wanted = answer.replicas;
        if (answer.replicas > look->current)
                *ret_why = cx_sprintf("%s above target", best.metric);
        else if (answer.replicas < look->current)
                *ret_why = cx_strdup("All metrics below target");
        proposal_release(&best);
        return 0;
}

static int rescale(struct look *look, int64_t wanted, const char *why, struct cx_error *err)
{
        CX_ERROR failed = CX_ERROR_INIT;
        if (set_scale(look, wanted, &failed) < 0) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("New size: %lld; reason: %s; error: %s", (long long)wanted, why,
                                        cx_error_text(&failed));
                CX_CLEANUP(cx_freep)
                char *message = cx_sprintf("the HPA controller was unable to update the target scale: %s",
                                           cx_error_text(&failed));
                warn(look, "FailedRescale", text);
                set_condition(look->hpa, "AbleToScale", false, "FailedUpdateScale", message);
                return cx_error_set(err, -EIO, "failed to rescale: %s", cx_error_text(&failed));
        }
        CX_CLEANUP(cx_freep)
        char *message = cx_sprintf("the HPA controller was able to update the target scale to %lld", (long long)wanted);
        set_condition(look->hpa, "AbleToScale", true, "SucceededRescale", message);
        cx_event_object(look->self->events, "autoscaling/v2", "HorizontalPodAutoscaler", look->object, "Normal",
                        "SuccessfulRescale", "New size: %lld; reason: %s", (long long)wanted, why);
        rate_note_scaling(look->memory, look->now, look->current, wanted);
        return 0;
}

static void tell_no_scale(struct look *look, const struct cx_error *why)
{
        CX_CLEANUP(cx_freep)
        char *message =
                cx_sprintf("the HPA controller was unable to get the target's current scale: %s", cx_error_text(why));
        warn(look, "FailedGetScale", cx_error_text(why));
        set_condition(look->hpa, "AbleToScale", false, "FailedGetScale", message);
}

static void tell_no_selector(struct look *look)
{
        static const char message[] = "the HPA target's scale is missing a selector";
        warn(look, "SelectorRequired", "selector is required");
        set_condition(look->hpa, "ScalingActive", false, "InvalidSelector", message);
}

static void look_at(struct look *look)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *statuses = json_array();
        CX_CLEANUP(cx_freep) char *why = NULL;
        int64_t wanted;
        if (get_scale(look, &err) < 0) {
                tell_no_scale(look, &err);
                return;
        }
        set_condition(look->hpa, "AbleToScale", true, "SucceededGetScale",
                      "the HPA controller was able to get the target's current scale");
        look->current = cx_json_int(look->scale, "spec.replicas", 0);
        look->selector = cx_json_string_or(look->scale, "status.selector", "");
        rate_note_first(look->memory, look->now, look->current);
        if (!*look->selector) {
                tell_no_selector(look);
                return;
        }
        if (decide(look, statuses, &wanted, &why, &err) < 0) {
                json_object_set_new(cx_json_object_at(look->hpa, "status"), "currentReplicas",
                                    json_integer(look->current));
                warn(look, "FailedComputeMetricsReplicas", cx_error_text(&err));
                return;
        }
        bool scaled = wanted != look->current && rescale(look, wanted, cx_str(why), &err) == 0;
        set_sizes(look, scaled ? wanted : look->current, statuses, scaled);
}

// --- the controller --------------------------------------------------------------------------------------------------

// What is remembered goes with the autoscaler, and is not another one's of the same name. The queue gives a key to one
// worker at a time.
static struct rate_memory *memory_of(struct autoscalers *self, const char *key, const char *uid)
{
        pthread_mutex_lock(&self->lock);
        struct memory *memory = cx_map_get(&self->memories, key);
        if (!memory || strcmp(memory->uid, uid) != 0) {
                memory = cx_alloc(sizeof *memory);
                memory->uid = cx_strdup(uid);
                cx_map_set(&self->memories, key, memory);
        }
        pthread_mutex_unlock(&self->lock);
        return &memory->rate;
}

static void forget(struct autoscalers *self, const char *key)
{
        pthread_mutex_lock(&self->lock);
        cx_map_remove(&self->memories, key);
        pthread_mutex_unlock(&self->lock);
}

// A change waits for the next look, which is soon: what a look itself writes must not lead to another one before the
// figures are new.
static void on_autoscaler(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct autoscalers *self = context;
        if (!old || !now)
                cx_workqueue_add(self->queue, (now ? now : old)->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct autoscalers *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->events = manager_recorder(manager, "horizontal-pod-autoscaler");
        pthread_mutex_init(&self->lock, NULL);
        self->memories = (struct cx_map)CX_MAP_INIT_FREE(free_memory);
        self->informer = manager_selected_informer(manager, CX_REF(GROUP, "v2", "horizontalpodautoscalers"), NULL);
        cx_informer_on_event(self->informer, on_autoscaler, self);
        return self;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct autoscalers *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->informer, key);
        if (!object || object->deleted) {
                forget(self, key);
                return 0;
        }
        json_auto_t *before = cx_object_json(object), *hpa = json_deep_copy(before);
        struct look look = {.self = self,
                            .manager = self->manager,
                            .object = object,
                            .hpa = hpa,
                            .memory = memory_of(self, key, object->uid),
                            .now = cx_time_now(),
                            .min = cx_json_int(hpa, "spec.minReplicas", 1),
                            .max = cx_json_int(hpa, "spec.maxReplicas", 1)};
        look_at(&look);
        json_decref(look.scale);
        *retry_after = options_of(self->manager)->autoscaler.sync_period;
        return write_status(&look, before, err);
}

static void release(void *context)
{
        struct autoscalers *self = context;
        cx_map_release(&self->memories);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

const struct controller horizontal_pod_autoscaler_controller = {.name = "horizontal-pod-autoscaler-controller",
                                                                .account = "horizontal-pod-autoscaler",
                                                                .workers = 5,
                                                                .init = init,
                                                                .reconcile = reconcile,
                                                                .free = release};
