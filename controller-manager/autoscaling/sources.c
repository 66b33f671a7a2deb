// SPDX-License-Identifier: Apache-2.0
// The five kinds of metrics of a HorizontalPodAutoscaler: each is read (metrics.c), and replicas.c says what it asks for.
#include "controller-manager/autoscaling/autoscaler_internal.h"
#include "controller-manager/autoscaling/metrics.h"
#include "controller-manager/core/options.h"
#include "libcommon/api/quantity.h"

void proposal_release(struct proposal *proposal)
{
        free(proposal->metric);
        json_decref(proposal->status);
        *proposal = (struct proposal){0};
}

static double tolerance_of(const struct look *look, const char *direction)
{
        const json_t *rules = json_object_get(cx_json_get(look->hpa, "spec.behavior"), direction);
        const json_t *own = json_object_get(rules, "tolerance");
        return own ? (double)cx_quantity_milli_of(own) / 1000 : options_of(look->manager)->autoscaler.tolerance;
}

static struct replica_settings settings_of(const struct look *look)
{
        const struct autoscaler_options *o = &options_of(look->manager)->autoscaler;
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
        int r = measured_pods_list(look->manager->rest, look->object->namespace, look->selector, pods, err);
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
                r = metrics_of_resource(look->manager->rest, look->object->namespace, look->selector, name, container,
                                        &pods, &why);
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
                r = metrics_of_pods(look->manager->rest, look->object->namespace, look->selector, metric, &pods, &why);
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
                if (replicas < 0) // the target may be another server's
                        replicas = 0;
                *ret_replicas = replicas_by_share(&settings, value, share, replicas);
                int64_t each = replicas ? value / replicas + (value % replicas > 0) : value;
                *ret_status = json_pack("{s:o}", "averageValue", quantity_json(each));
                return 0;
        }
        MEASURED_PODS pods = {0};
        r = look->current ? measured_pods_list(look->manager->rest, look->object->namespace, look->selector, &pods, err)
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
        struct cx_rest *rest = look->manager->rest;
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
        int r = metric_from_outside(look->manager->rest, look->object->namespace, metric, &value, &why);
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

int propose_replicas(const struct look *look, const json_t *metric, struct proposal *ret_proposal,
                     const char **ret_failure, struct cx_error *err)
{
        const struct source *source = source_of(metric);
        *ret_failure = source ? source->failure : NULL;
        if (!source)
                return cx_error_set(err, -EINVAL, "unknown metric source type \"%s\"",
                                    cx_json_string_or(metric, "type", ""));
        int r = source->read(look, json_object_get(metric, source->member), ret_proposal, err);
        if (r < 0)
                return r;
        json_t *part = ret_proposal->status;
        ret_proposal->status = json_pack("{s:s,s:o}", "type", source->type, source->member, part);
        return 0;
}
