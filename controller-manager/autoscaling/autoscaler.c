// SPDX-License-Identifier: Apache-2.0
// The HorizontalPodAutoscaler: every period each is looked at anew. What its metrics ask for comes from replicas.c, how far
// it may go at once from rate.c; here the metrics are read, the target is scaled, and the status tells why.
#include "controller-manager/autoscaling/metrics.h"
#include "controller-manager/autoscaling/rate.h"
#include "controller-manager/core/discovery.h"
#include "controller-manager/core/manager.h"
#include "libcommon/api/quantity.h"
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

// One look at one autoscaler.
struct look {
        struct autoscalers *self;
        const struct cx_object *object;
        json_t *hpa; // as it is, with the status that is being made
        struct rate_memory *memory;
        char group[64], version[32];
        struct kind_names target;
        json_t *scale;
        const char *selector;
        int64_t now, current, min, max;
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
        int r = cx_rest_update_status(look->self->manager->rest, ref, look->hpa, NULL, err);
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
        struct cx_rest *rest = look->self->manager->rest;
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
        return cx_rest_do(look->self->manager->rest,
                          &(struct cx_rest_call){.method = "PUT",
                                                 .path = path.data,
                                                 .accept = "application/json",
                                                 .content_type = "application/json",
                                                 .body = body.data,
                                                 .body_length = body.length},
                          &reply, err);
}

// --- metrics ---------------------------------------------------------------------------------------------------------

struct proposal {
        int64_t replicas;
        char *metric;   // what it is called in reasons; owned
        json_t *status; // MetricStatus
};

static void proposal_release(struct proposal *proposal)
{
        free(proposal->metric);
        json_decref(proposal->status);
        *proposal = (struct proposal){0};
}

static double tolerance_of(const struct look *look, const char *direction)
{
        const json_t *rules = json_object_get(cx_json_get(look->hpa, "spec.behavior"), direction);
        const json_t *own = json_object_get(rules, "tolerance");
        return own ? (double)cx_quantity_milli_of(own) / 1000 : look->self->manager->options.autoscaler.tolerance;
}

static struct replica_settings settings_of(const struct look *look)
{
        const struct autoscaler_options *o = &look->self->manager->options.autoscaler;
        return (struct replica_settings){.tolerance_up = tolerance_of(look, "scaleUp"),
                                         .tolerance_down = tolerance_of(look, "scaleDown"),
                                         .now = look->now,
                                         .initialization = o->cpu_initialization / 1000,
                                         .initial_readiness = o->initial_readiness / 1000};
}

static json_t *quantity_json(int64_t milli)
{
        char text[CX_QUANTITY_TEXT];
        cx_quantity_format(&(struct cx_quantity){.nano = (__int128)milli * 1000000, .format = CX_QUANTITY_DECIMAL},
                           text);
        return json_string(text);
}

static int64_t quantity_at(const json_t *target, const char *field)
{
        return cx_quantity_milli_of(json_object_get(target, field));
}

// Without a target that can be divided by, there is no answer.
static int need_target(int64_t target, struct cx_error *err)
{
        return target > 0 ? 0 : cx_error_set(err, -EINVAL, "the metric's target must be positive");
}

static int list_pods(const struct look *look, struct measured_pods *pods, struct cx_error *err)
{
        int r = measured_pods_list(look->self->manager->rest, look->object->namespace, look->selector, pods, err);
        if (r == 0 && !pods->pods.count)
                return cx_error_set(err, -ENOENT, "no pods returned by selector while calculating replica count");
        return r;
}

// Resource and ContainerResource.
static int by_resource(const struct look *look, const json_t *source, struct proposal *to, struct cx_error *err)
{
        const char *name = cx_json_string_or(source, "name", ""), *container = cx_json_string(source, "container");
        const json_t *target = json_object_get(source, "target");
        int64_t percent = cx_json_int(target, "averageUtilization", 0), average = quantity_at(target, "averageValue");
        const struct replica_settings settings = settings_of(look);
        struct replica_answer answer = {0};
        MEASURED_PODS pods = {0};
        CX_ERROR why = CX_ERROR_INIT;
        int r = need_target(percent ? percent : average, &why);
        if (r == 0)
                r = list_pods(look, &pods, &why);
        if (r == 0)
                r = metrics_of_resource(look->self->manager->rest, look->object->namespace, look->selector, name,
                                        container, &pods, &why);
        if (r == 0)
                group_pods(&settings, strcmp(name, "cpu") == 0, &pods.pods);
        if (r == 0 && percent)
                r = requests_of_pods(name, container, &pods, &why);
        if (r == 0)
                r = percent ? replicas_by_utilization(&settings, &pods.pods, look->current, percent, &answer, &why)
                            : replicas_by_average(&settings, &pods.pods, look->current, average, &answer, &why);
        if (r < 0)
                return cx_error_set(err, r, "failed to get %s %s: %s", name, percent ? "utilization" : "usage",
                                    cx_error_text(&why));
        to->replicas = answer.replicas;
        to->metric = cx_sprintf(percent ? "%s resource utilization (percentage of request)" : "%s resource", name);
        json_t *current = json_pack("{s:o}", "averageValue", quantity_json(answer.average));
        if (percent)
                json_object_set_new(current, "averageUtilization", json_integer(answer.utilization));
        to->status = json_pack("{s:s,s:o}", "name", name, "current", current);
        if (container)
                json_object_set_new(to->status, "container", json_string(container));
        return 0;
}

static int by_pods(const struct look *look, const json_t *source, struct proposal *to, struct cx_error *err)
{
        const json_t *metric = json_object_get(source, "metric");
        int64_t average = quantity_at(json_object_get(source, "target"), "averageValue");
        const struct replica_settings settings = settings_of(look);
        struct replica_answer answer = {0};
        MEASURED_PODS pods = {0};
        CX_ERROR why = CX_ERROR_INIT;
        int r = need_target(average, &why);
        if (r == 0)
                r = list_pods(look, &pods, &why);
        if (r == 0)
                r = metrics_of_pods(look->self->manager->rest, look->object->namespace, look->selector, metric, &pods,
                                    &why);
        if (r == 0) {
                group_pods(&settings, false, &pods.pods);
                r = replicas_by_average(&settings, &pods.pods, look->current, average, &answer, &why);
        }
        if (r < 0)
                return cx_error_set(err, r, "failed to get pods metric value: %s", cx_error_text(&why));
        to->replicas = answer.replicas;
        to->metric = cx_sprintf("pods metric %s", cx_json_string_or(metric, "name", ""));
        to->status =
                json_pack("{s:O,s:{s:o}}", "metric", metric, "current", "averageValue", quantity_json(answer.average));
        return 0;
}

// What one value of a whole asks for; `status` becomes its current value.
static int by_one_value(const struct look *look, const json_t *target, int64_t value, int64_t *ret_replicas,
                        json_t **ret_status, struct cx_error *err)
{
        const struct replica_settings settings = settings_of(look);
        int64_t whole = quantity_at(target, "value"), share = quantity_at(target, "averageValue");
        bool of_whole = cx_streq(cx_json_string(target, "type"), "Value");
        int r = need_target(of_whole ? whole : share, err);
        if (r < 0)
                return r;
        if (!of_whole) {
                int64_t replicas = cx_json_int(look->scale, "status.replicas", 0);
                *ret_replicas = replicas_by_share(&settings, value, share, replicas);
                int64_t each = replicas ? (value + replicas - 1) / replicas : value;
                *ret_status = json_pack("{s:o}", "averageValue", quantity_json(each));
                return 0;
        }
        MEASURED_PODS pods = {0};
        r = look->current
                    ? measured_pods_list(look->self->manager->rest, look->object->namespace, look->selector, &pods, err)
                    : 0;
        if (r < 0)
                return r;
        *ret_replicas = replicas_by_value(&settings, value, whole, look->current, measured_pods_ready(&pods));
        *ret_status = json_pack("{s:o}", "value", quantity_json(value));
        return 0;
}

static int by_object(const struct look *look, const json_t *source, struct proposal *to, struct cx_error *err)
{
        const json_t *object = json_object_get(source, "describedObject"), *metric = json_object_get(source, "metric");
        struct cx_rest *rest = look->self->manager->rest;
        char group[64], version[32];
        struct kind_names names;
        CX_ERROR why = CX_ERROR_INIT;
        json_t *current = NULL;
        int64_t value = 0;
        const char *kind = cx_json_string_or(object, "kind", "");
        if (!cx_split_api_version(cx_json_string_or(object, "apiVersion", "v1"), group, version))
                return cx_error_set(err, -EINVAL, "failed to get object metric value: invalid API version");
        int r = discovery_kind(rest, group, kind, false, &names, &why);
        CX_CLEANUP(cx_freep)
        char *resource = r == 0 ? cx_sprintf("%s%s%s", names.resource, *group ? "." : "", group) : NULL;
        if (r == 0)
                r = metric_of_object(rest, look->object->namespace, object, resource, metric, &value, &why);
        if (r == 0)
                r = by_one_value(look, json_object_get(source, "target"), value, &to->replicas, &current, &why);
        if (r < 0)
                return cx_error_set(err, r, "failed to get object metric value: %s", cx_error_text(&why));
        to->metric = cx_sprintf("%s metric %s", kind, cx_json_string_or(metric, "name", ""));
        to->status = json_pack("{s:O,s:O,s:o}", "describedObject", object, "metric", metric, "current", current);
        return 0;
}

static int by_external(const struct look *look, const json_t *source, struct proposal *to, struct cx_error *err)
{
        const json_t *metric = json_object_get(source, "metric");
        const char *name = cx_json_string_or(metric, "name", "");
        CX_ERROR why = CX_ERROR_INIT;
        json_t *current = NULL;
        int64_t value = 0;
        int r = metric_from_outside(look->self->manager->rest, look->object->namespace, metric, &value, &why);
        if (r == 0)
                r = by_one_value(look, json_object_get(source, "target"), value, &to->replicas, &current, &why);
        if (r < 0)
                return cx_error_set(err, r, "failed to get %s external metric: %s", name, cx_error_text(&why));
        to->metric = cx_sprintf("external metric %s", name);
        to->status = json_pack("{s:O,s:o}", "metric", metric, "current", current);
        return 0;
}

static const struct source {
        const char *type, *member, *failure;
        int (*read)(const struct look *look, const json_t *source, struct proposal *to, struct cx_error *err);
} sources[] = {
        {"Resource", "resource", "FailedGetResourceMetric", by_resource},
        {"ContainerResource", "containerResource", "FailedGetContainerResourceMetric", by_resource},
        {"Pods", "pods", "FailedGetPodsMetric", by_pods},
        {"Object", "object", "FailedGetObjectMetric", by_object},
        {"External", "external", "FailedGetExternalMetric", by_external},
};

static const struct source *source_of(const json_t *metric)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(sources); i++)
                if (cx_streq(cx_json_string(metric, "type"), sources[i].type))
                        return &sources[i];
        return NULL;
}

static int read_metric(const struct look *look, const json_t *metric, const struct source *source, struct proposal *to,
                       struct cx_error *err)
{
        if (!source)
                return cx_error_set(err, -EINVAL, "unknown metric source type \"%s\"",
                                    cx_json_string_or(metric, "type", ""));
        int r = source->read(look, json_object_get(metric, source->member), to, err);
        if (r < 0)
                return r;
        json_t *part = to->status;
        to->status = json_pack("{s:s,s:o}", "type", source->type, source->member, part);
        return 0;
}

// All metrics: the highest proposal. With some that cannot be read nothing is taken away.
static int read_metrics(struct look *look, struct proposal *best, json_t *statuses, struct cx_error *err)
{
        size_t i, count = json_array_size(cx_json_get(look->hpa, "spec.metrics")), invalid = 0;
        const json_t *metric;
        CX_ERROR first = CX_ERROR_INIT;
        const char *reason = "InvalidMetricSourceType";
        json_array_foreach (cx_json_get(look->hpa, "spec.metrics"), i, metric) {
                const struct source *source = source_of(metric);
                struct proposal one = {0};
                CX_ERROR why = CX_ERROR_INIT;
                if (read_metric(look, metric, source, &one, &why) < 0) {
                        if (source)
                                warn(look, source->failure, cx_error_text(&why));
                        if (!invalid++) {
                                reason = source ? source->failure : reason;
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
        rate_apply(
                look->memory,
                &(struct rate_question){.now = look->now,
                                        .current = look->current,
                                        .wanted = best.replicas,
                                        .min = look->min,
                                        .max = look->max,
                                        .behavior = json_is_object(behavior) ? behavior : NULL,
                                        .down_stabilization =
                                                look->self->manager->options.autoscaler.downscale_stabilization / 1000},
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
                            .object = object,
                            .hpa = hpa,
                            .memory = memory_of(self, key, object->uid),
                            .now = cx_time_now(),
                            .min = cx_json_int(hpa, "spec.minReplicas", 1),
                            .max = cx_json_int(hpa, "spec.maxReplicas", 1)};
        look_at(&look);
        json_decref(look.scale);
        *retry_after = self->manager->options.autoscaler.sync_period;
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
