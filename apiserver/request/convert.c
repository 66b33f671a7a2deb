// SPDX-License-Identifier: Apache-2.0
// What events and autoscalers call differently in their versions.
#include "apiserver/request/convert.h"

#include "libcommon/format/json.h"
#include "libcommon/schema/schema.h"

static const struct {
        const char *core, *events;
} event_names[] = {
        {"involvedObject", "regarding"},
        {"message", "note"},
        {"source", "deprecatedSource"},
        {"firstTimestamp", "deprecatedFirstTimestamp"},
        {"lastTimestamp", "deprecatedLastTimestamp"},
        {"count", "deprecatedCount"},
        {"reportingComponent", "reportingController"},
};

static void rename_member(json_t *object, const char *from, const char *to)
{
        json_t *value = json_object_get(object, from);
        if (!value)
                return;
        json_object_set(object, to, value);
        json_object_del(object, from);
}

static void convert_event(json_t *object, bool to_core)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(event_names); i++)
                if (to_core)
                        rename_member(object, event_names[i].events, event_names[i].core);
                else
                        rename_member(object, event_names[i].core, event_names[i].events);
}

// autoscaling/v1 has one CPU target where v2 has a list of metrics.
static void convert_autoscaler_to_v2(json_t *object)
{
        json_t *spec = json_object_get(object, "spec"), *status = json_object_get(object, "status");
        json_t *target = json_object_get(spec, "targetCPUUtilizationPercentage");
        if (json_is_integer(target))
                json_object_set_new(spec, "metrics",
                                    json_pack("[{s:s,s:{s:s,s:{s:s,s:O}}}]", "type", "Resource", "resource", "name",
                                              "cpu", "target", "type", "Utilization", "averageUtilization", target));
        json_object_del(spec, "targetCPUUtilizationPercentage");
        json_t *current = json_object_get(status, "currentCPUUtilizationPercentage");
        if (json_is_integer(current))
                json_object_set_new(status, "currentMetrics",
                                    json_pack("[{s:s,s:{s:s,s:{s:O}}}]", "type", "Resource", "resource", "name", "cpu",
                                              "current", "averageUtilization", current));
        json_object_del(status, "currentCPUUtilizationPercentage");
}

static json_t *cpu_utilization(const json_t *metrics, const char *part)
{
        for (size_t i = 0; i < json_array_size(metrics); i++) {
                const json_t *resource = json_object_get(json_array_get(metrics, i), "resource");
                json_t *value = json_object_get(json_object_get(resource, part), "averageUtilization");
                if (cx_streq(cx_json_string(resource, "name"), "cpu") && json_is_integer(value))
                        return value;
        }
        return NULL;
}

static void convert_autoscaler_to_v1(json_t *object)
{
        json_t *spec = json_object_get(object, "spec"), *status = json_object_get(object, "status");
        json_t *target = cpu_utilization(json_object_get(spec, "metrics"), "target");
        if (target)
                json_object_set(spec, "targetCPUUtilizationPercentage", target);
        json_t *current = cpu_utilization(json_object_get(status, "currentMetrics"), "current");
        if (current)
                json_object_set(status, "currentCPUUtilizationPercentage", current);
        json_object_del(spec, "metrics");
        json_object_del(spec, "behavior");
        json_object_del(status, "currentMetrics");
        json_object_del(status, "conditions");
}

static void object_event(json_t *object, const struct cx_resource *to)
{
        convert_event(object, !*to->group);
}

static char *field_event(const char *field, const struct cx_resource *to)
{
        size_t length = strcspn(field, ".");
        for (size_t i = 0; i < CX_ARRAY_SIZE(event_names); i++) {
                const char *had = *to->group ? event_names[i].core : event_names[i].events;
                if (strlen(had) == length && strncmp(had, field, length) == 0)
                        return cx_sprintf("%s%s", *to->group ? event_names[i].events : event_names[i].core,
                                          field + length);
        }
        return cx_strdup(field);
}

static void object_autoscaler(json_t *object, const struct cx_resource *to)
{
        if (strcmp(to->version, "v2") == 0)
                convert_autoscaler_to_v2(object);
        else
                convert_autoscaler_to_v1(object);
}

const struct conversion *conversion_of(const struct cx_resource *resource)
{
        static const struct conversion events = {.object = object_event, .field = field_event};
        static const struct conversion autoscalers = {.object = object_autoscaler};
        if (strcmp(resource->resource, "events") == 0)
                return &events;
        return strcmp(resource->resource, "horizontalpodautoscalers") == 0 ? &autoscalers : NULL;
}

bool is_same_version(const struct cx_resource *a, const struct cx_resource *b)
{
        return a == b || (strcmp(a->group, b->group) == 0 && strcmp(a->version, b->version) == 0);
}

void convert(const struct conversion *conversion, json_t *object, const struct cx_resource *to)
{
        char api_version[128];
        cx_join_api_version(api_version, to->group, to->version);
        if (cx_streq(cx_json_string(object, "apiVersion"), api_version))
                return;
        json_object_set_new(object, "apiVersion", json_string(api_version));
        if (conversion)
                conversion->object(object, to);
}

json_t *converted(const struct conversion *conversion, json_t *object, const struct cx_resource *to)
{
        char api_version[128];
        cx_join_api_version(api_version, to->group, to->version);
        if (cx_streq(cx_json_string(object, "apiVersion"), api_version))
                return json_incref(object);
        json_t *copy = json_deep_copy(object);
        convert(conversion, copy, to);
        return copy;
}
