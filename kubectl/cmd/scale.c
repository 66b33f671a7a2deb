// SPDX-License-Identifier: Apache-2.0
// kubectl scale and autoscale.
#include "base/time.h"
#include "kubectl/cmd/commands.h"

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

static int scale_one(struct cx_ctl *ctl, const struct scale *scale, struct cx_info *info, struct cx_output *output,
                     struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_info_path(info, "scale", &path);
        json_auto_t *now = NULL;
        if (scale->current >= 0 || scale->resource_version) {
                int r = cx_ctl_json(ctl, "GET", path.data, NULL, NULL, &now, err);
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
        if (scale->mode != CX_DRY_CLIENT) {
                json_auto_t *patch = json_pack("{s:{s:I}}", "spec", "replicas", (json_int_t)scale->replicas);
                if (now)
                        (void)cx_json_set(patch, "metadata.resourceVersion",
                                          json_incref(cx_json_get(now, "metadata.resourceVersion")));
                cx_rest_query(&path, "dryRun", scale->mode == CX_DRY_SERVER ? "All" : NULL);
                int r = cx_ctl_json(ctl, "PATCH", path.data, cx_patch_content_type(CX_PATCH_MERGE), patch, NULL, err);
                if (r < 0)
                        return r;
                (void)cx_json_set(info->object, "spec.replicas", json_integer(scale->replicas));
        }
        if (scale->timeout > 0 && scale->mode == CX_DRY_NONE) {
                int r = cx_watch_object(ctl, info, scale->timeout, reached, (void *)scale, err);
                if (r == -ETIMEDOUT && (!err || !err->code))
                        return cx_error_set(err, r, "timed out waiting for the condition");
                if (r < 0)
                        return r;
        }
        return cx_output_result(output, info, "scaled", scale->mode, err);
}

CX_COMMAND(scale)
{
        CX_BUILDER builder = {0};
        CX_OUTPUT output = {0};
        struct scale scale = {.replicas = -1, .current = -1};
        const struct cx_flag flags[] = {
                CX_FILE_FLAGS(&builder),
                CX_OUTPUT_FLAGS(&output),
                CX_DRY_RUN_FLAG(&scale.dry_run),
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types in the namespace."},
                {"replicas", 0, CX_FLAG_INT, &scale.replicas, "The new number of replicas.", NULL, NULL, -1, INT32_MAX},
                {"current-replicas", 0, CX_FLAG_INT, &scale.current, "Only scale when there are this many now.", NULL,
                 NULL, -1, INT32_MAX},
                {"resource-version", 0, CX_FLAG_STRING, &scale.resource_version, "Only scale this version."},
                {"timeout", 0, CX_FLAG_DURATION, &scale.timeout, "How long to wait for the replicas; 0: not at all."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_INFOS infos = CX_INFOS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_output_parse(ctl, &output, err);
        if (r == 0)
                r = cx_dry_run_parse(scale.dry_run, &scale.mode, err);
        if (r < 0)
                return r;
        if (scale.replicas < 0)
                return cx_error_set(err, -EINVAL, "required flag(s) \"replicas\" not set");
        r = cx_builder_objects(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status)
                return cx_error_set(err, -ENOENT, "no objects passed to scale");
        for (size_t i = 0; i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                r = scale_one(ctl, &scale, infos.items[i], &output, &failure);
                if (r < 0)
                        cx_ctl_report(ctl, &failure);
        }
        return 0;
}

CX_COMMAND(autoscale)
{
        CX_BUILDER builder = {0};
        struct cx_create create = {.manager = "kubectl-autoscale", .operation = "autoscaled"};
        int64_t min = -1, max = -1, cpu = -1;
        const char *name = NULL, *cpu_text = NULL;
        const struct cx_flag flags[] = {
                CX_FILE_FLAGS(&builder),
                CX_CREATE_FLAGS(&create),
                {"min", 0, CX_FLAG_INT, &min, "The fewest pods.", NULL, NULL, -1, INT32_MAX},
                {"max", 0, CX_FLAG_INT, &max, "The most pods.", NULL, NULL, -1, INT32_MAX},
                {"cpu-percent", 0, CX_FLAG_INT, &cpu, "Target CPU use in percent of the request.", NULL, NULL, -1,
                 INT32_MAX},
                {"cpu", 0, CX_FLAG_STRING, &cpu_text, "Target CPU use: 70% or 500m."},
                {"name", 0, CX_FLAG_STRING, &name, "Name of the autoscaler; default: that of the object."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_INFOS infos = CX_INFOS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_create_prepare(ctl, &create, err);
        if (r < 0)
                return r;
        if (max < 1)
                return cx_error_set(err, -EINVAL, "--max=MAXPODS is required and must be at least 1, max: %lld",
                                    (long long)max);
        if (max < min)
                return cx_error_set(err, -EINVAL,
                                    "--max=MAXPODS must be larger or equal to --min=MINPODS, max: %lld, min: %lld",
                                    (long long)max, (long long)min);
        r = cx_builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                const struct cx_info *info = infos.items[i];
                char api_version[128];
                json_t *hpa =
                        json_pack("{s:s,s:s,s:{s:s},s:{s:{s:s,s:s,s:s},s:I}}", "apiVersion", "autoscaling/v2", "kind",
                                  "HorizontalPodAutoscaler", "metadata", "name", name ? name : info->name, "spec",
                                  "scaleTargetRef", "kind", info->mapping->kind, "name", info->name, "apiVersion",
                                  cx_join_api_version(api_version, info->mapping->group, info->mapping->version),
                                  "maxReplicas", (json_int_t)max);
                json_t *target = NULL;
                size_t n = cpu_text ? strlen(cpu_text) : 0;
                if (n && cpu_text[n - 1] == '%') {
                        CX_CLEANUP(cx_freep) char *number = cx_strndup(cpu_text, n - 1);
                        if (cx_parse_int(number, 1, INT32_MAX, &cpu) < 0) {
                                json_decref(hpa);
                                return cx_error_set(err, -EINVAL, "invalid CPU percentage: %s", cpu_text);
                        }
                } else if (n) {
                        target = json_pack("{s:s,s:s}", "type", "AverageValue", "averageValue", cpu_text);
                }
                if (!target && cpu > 0)
                        target = json_pack("{s:s,s:I}", "type", "Utilization", "averageUtilization", (json_int_t)cpu);
                if (target)
                        (void)cx_json_set(hpa, "spec.metrics",
                                          json_pack("[{s:s,s:{s:s,s:o}}]", "type", "Resource", "resource", "name",
                                                    "cpu", "target", target));
                if (min > 0)
                        (void)cx_json_set(hpa, "spec.minReplicas", json_integer(min));
                CX_INFOS one = CX_INFOS_INIT;
                const struct cx_mapping *mapping;
                r = cx_mapping_by_kind(ctl, "autoscaling/v2", "HorizontalPodAutoscaler", &mapping, err);
                if (r < 0) {
                        json_decref(hpa);
                        return r;
                }
                (void)cx_json_set(hpa, "metadata.namespace", json_string(cx_str(info->namespace)));
                struct cx_info *made =
                        cx_infos_add(&one, mapping, info->namespace, cx_json_string(hpa, "metadata.name"));
                made->object = hpa;
                r = cx_create_info(ctl, &create, made, err);
        }
        return r;
}
