// SPDX-License-Identifier: Apache-2.0
// kubectl scale and autoscale.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/time.h"

struct scale {
        int64_t replicas, current, timeout;
        const char *resource_version, *dry_run;
        int mode;
};

static int reached(void *context, const json_t *object, struct cx_error *err CX_UNUSED)
{
        const struct scale *scale = context;
        return !object || cx_json_int(object, "status.replicas", 0) == scale->replicas;
}

static int scale_one(struct ctl *ctl, const struct scale *scale, struct info *info, struct output *output,
                     struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        info_path(info, "scale", &path);
        json_auto_t *now = NULL;
        if (scale->current >= 0 || scale->resource_version) {
                int r = ctl_json(ctl, "GET", path.data, NULL, NULL, &now, err);
                if (r < 0)
                        return r;
                int64_t is = cx_json_int(now, "spec.replicas", 0);
                if (scale->current >= 0 && is != scale->current)
                        return cx_error_set(err, -EINVAL, "Expected replicas to be %lld, was %lld",
                                            (long long)scale->current, (long long)is);
                const char *version = cx_json_string_or(now, "metadata.resourceVersion", "");
                if (scale->resource_version && strcmp(version, scale->resource_version) != 0)
                        return cx_error_set(err, -EINVAL, "Expected resource version to be %s, was %s",
                                            scale->resource_version, version);
        }
        if (scale->mode != DRY_CLIENT) {
                json_auto_t *patch = json_pack("{s:{s:I}}", "spec", "replicas", (json_int_t)scale->replicas);
                if (now)
                        (void)cx_json_set(patch, "metadata.resourceVersion",
                                          json_incref(cx_json_get(now, "metadata.resourceVersion")));
                cx_rest_query(&path, "dryRun", scale->mode == DRY_SERVER ? "All" : NULL);
                int r = ctl_json(ctl, "PATCH", path.data, cx_patch_content_type(CX_PATCH_MERGE), patch, NULL, err);
                if (r < 0)
                        return r;
                (void)cx_json_set(info->object, "spec.replicas", json_integer(scale->replicas));
        }
        if (scale->timeout > 0 && scale->mode == DRY_NONE) {
                int r = watch_object(ctl, info, scale->timeout, reached, (void *)scale, err);
                if (r == -ETIMEDOUT && (!err || !err->code))
                        return cx_error_set(err, r, "timed out waiting for the condition");
                if (r < 0)
                        return r;
        }
        return output_result(output, info, "scaled", scale->mode, err);
}

COMMAND(scale)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        struct scale scale = {.replicas = -1, .current = -1};
        bool given = false;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                DRY_RUN_FLAG(&scale.dry_run),
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types in the namespace."},
                {"replicas", 0, CX_FLAG_INT, &scale.replicas, "The new number of replicas.", NULL, &given, INT32_MIN,
                 INT32_MAX},
                {"current-replicas", 0, CX_FLAG_INT, &scale.current, "Only scale when there are this many now.", NULL,
                 NULL, -1, INT32_MAX},
                {"resource-version", 0, CX_FLAG_STRING, &scale.resource_version, "Only scale this version."},
                {"timeout", 0, CX_FLAG_DURATION, &scale.timeout, "How long to wait for the replicas; 0: not at all."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, &scale.dry_run, &scale.mode, err);
        if (r < 0)
                return r;
        if (!given)
                return cx_error_set(err, -EINVAL, "required flag(s) \"replicas\" not set");
        if (scale.replicas < 0)
                return cx_error_set(
                        err, -EINVAL,
                        "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
        r = builder_objects(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status)
                return cx_error_set(err, -ENOENT, "no objects passed to scale");
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                r = scale_one(ctl, &scale, infos.items[i], &output, err);
        return r;
}

struct autoscale {
        int64_t min, max, cpu;
        const char *name, *cpu_text, *memory_text;
};

// Adds the metric that is asked for: percent of the request ("70%", "70" is an amount), or an amount. NULL: none is.
static int add_metric(const char *resource, const char *text, json_t *metrics, struct cx_error *err)
{
        size_t n = text ? strlen(text) : 0;
        json_t *target;
        int64_t percent;
        struct cx_quantity amount;
        if (!n)
                return 0;
        if (text[n - 1] == '%') {
                CX_CLEANUP(cx_freep) char *number = cx_strndup(text, n - 1);
                if (cx_parse_int(number, 1, INT32_MAX, &percent) < 0)
                        return cx_error_set(err, -EINVAL, "invalid resource %s value: %s", resource, text);
                target = json_pack("{s:s,s:I}", "type", "Utilization", "averageUtilization", (json_int_t)percent);
        } else if (cx_quantity_parse(text, &amount) == 0) {
                target = json_pack("{s:s,s:s}", "type", "AverageValue", "averageValue", text);
        } else {
                return cx_error_set(err, -EINVAL, "invalid resource %s value: %s", resource, text);
        }
        json_array_append_new(metrics, json_pack("{s:s,s:{s:s,s:o}}", "type", "Resource", "resource", "name", resource,
                                                 "target", target));
        return 0;
}

static int autoscale_one(struct ctl *ctl, struct create *create, const struct autoscale *a, const struct info *info,
                         struct cx_error *err)
{
        char version[128];
        json_auto_t *metrics = json_array();
        CX_CLEANUP(cx_freep) char *percent = a->cpu > 0 ? cx_sprintf("%lld%%", (long long)a->cpu) : NULL;
        int r = add_metric("cpu", a->cpu_text ? a->cpu_text : percent, metrics, err);
        if (r == 0)
                r = add_metric("memory", a->memory_text, metrics, err);
        if (r < 0)
                return r;
        json_t *hpa = json_pack("{s:s,s:s,s:{s:s},s:{s:{s:s,s:s,s:s},s:I},s:{s:n,s:i}}", "apiVersion", "autoscaling/v2",
                                "kind", "HorizontalPodAutoscaler", "metadata", "name", a->name ? a->name : info->name,
                                "spec", "scaleTargetRef", "kind", info->mapping->kind, "name", info->name, "apiVersion",
                                cx_join_api_version(version, info->mapping->group, info->mapping->version),
                                "maxReplicas", (json_int_t)a->max, "status", "currentMetrics", "desiredReplicas", 0);
        if (json_array_size(metrics))
                (void)cx_json_set(hpa, "spec.metrics", json_incref(metrics));
        if (a->min > 0)
                (void)cx_json_set(hpa, "spec.minReplicas", json_integer(a->min));
        if (!cx_streq(info->namespace, ctl->namespace))
                (void)cx_json_set(hpa, "metadata.namespace", json_string(cx_str(info->namespace)));
        return ctl_create_object(ctl, create, hpa, err);
}

COMMAND(autoscale)
{
        BUILDER builder = {0};
        CREATE create = {.manager = "kubectl-autoscale", .operation = "autoscaled"};
        struct autoscale a = {.min = -1, .max = -1, .cpu = -1};
        bool max_given = false, percent_given = false;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                MAKE_FLAGS(&create),
                {"min", 0, CX_FLAG_INT, &a.min, "The fewest pods.", NULL, NULL, -1, INT32_MAX},
                {"max", 0, CX_FLAG_INT, &a.max, "The most pods.", NULL, &max_given, -1, INT32_MAX},
                {"cpu-percent", 0, CX_FLAG_INT, &a.cpu, "Target CPU use in percent of the request.", NULL,
                 &percent_given, -1, INT32_MAX},
                {"cpu", 0, CX_FLAG_STRING, &a.cpu_text, "Target CPU use: 70% or 500m."},
                {"memory", 0, CX_FLAG_STRING, &a.memory_text, "Target memory use: 70% or 500Mi."},
                {"name", 0, CX_FLAG_STRING, &a.name, "Name of the autoscaler; default: that of the object."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0 && percent_given)
                fprintf(stderr,
                        "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity "
                        "format (e.g., '70%%' for utilization or '500m' for milliCPU).\n");
        if (r == 0 && !max_given)
                return cx_error_set(err, -EINVAL, "required flag(s) \"max\" not set");
        if (r == 0)
                r = create_prepare(ctl, &create, err);
        if (r < 0)
                return r;
        if (a.max < 1)
                return cx_error_set(err, -EINVAL, "--max=MAXPODS is required and must be at least 1, max: %lld",
                                    (long long)a.max);
        if (a.max < a.min)
                return cx_error_set(err, -EINVAL,
                                    "--max=MAXPODS must be larger or equal to --min=MINPODS, max: %lld, min: %lld",
                                    (long long)a.max, (long long)a.min);
        r = builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                r = autoscale_one(ctl, &create, &a, infos.items[i], err);
        return r;
}
