// SPDX-License-Identifier: Apache-2.0
// create deployment, job and cronjob.
#include "kubectl/cmd/commands.h"

// The container's name from its image: the last part, without tag and digest.
static char *container_name(const char *image)
{
        const char *slash = strrchr(image, '/');
        image = slash ? slash + 1 : image;
        char *name = cx_strndup(image, strcspn(image, ":@"));
        for (char *p = name; *p; p++) {
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p + 32);
                else if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9'))
                        *p = '-';
        }
        return name;
}

COMMAND(create_deployment)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, images = CX_STRINGS_INIT;
        int64_t replicas = 1, port = -1;
        int dash;
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create),
                {"image", 0, CX_FLAG_CSV, &images, "Image of the container; several make several containers."},
                {"replicas", 'r', CX_FLAG_INT, &replicas, "Number of pods.", NULL, NULL, INT32_MIN, INT32_MAX},
                {"port", 0, CX_FLAG_INT, &port, "Port that the container has.", NULL, NULL, -1, 65535},
                {0}};
        const struct required required[] = {{"image", NULL, &images}, {0}};
        int r = create_begin(ctl, &create, flags, required, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        json_auto_t *command = words_after(&args, dash);
        if (images.count > 1 && json_array_size(command))
                return cx_error_set(err, -EINVAL, "cannot specify multiple --image options and command");
        const char *name = args.items[0];
        json_t *containers = json_array();
        for (size_t i = 0; i < images.count; i++) {
                CX_CLEANUP(cx_freep) char *container = container_name(images.items[i]);
                json_t *c = json_pack("{s:s,s:s,s:{}}", "name", container, "image", images.items[i], "resources");
                if (json_array_size(command))
                        json_object_set(c, "command", command);
                if (port >= 0 && i == 0)
                        json_object_set_new(c, "ports", json_pack("[{s:I}]", "containerPort", (json_int_t)port));
                json_array_append_new(containers, c);
        }
        return ctl_create_object(
                ctl, &create,
                json_pack("{s:s,s:s,s:{s:s,s:{s:s}},s:{s:I,s:{s:{s:s}},s:{},s:{s:{s:{s:s}},s:{s:o}}},s:{}}",
                          "apiVersion", "apps/v1", "kind", "Deployment", "metadata", "name", name, "labels", "app",
                          name, "spec", "replicas", (json_int_t)replicas, "selector", "matchLabels", "app", name,
                          "strategy", "template", "metadata", "labels", "app", name, "spec", "containers", containers,
                          "status"),
                err);
}

// A job, or the template of a cron job.
static json_t *job_spec(const char *name, const char *image, json_t *command, const char *restart)
{
        json_t *container = json_pack("{s:s,s:s,s:{}}", "name", name, "image", image, "resources");
        if (json_array_size(command))
                json_object_set(container, "command", command);
        return json_pack("{s:{s:{},s:{s:[o],s:s}}}", "template", "metadata", "spec", "containers", container,
                         "restartPolicy", restart);
}

static int job_from_cron(struct ctl *ctl, const char *name, const char *from, json_t **ret_job, struct cx_error *err)
{
        BUILDER builder = {0};
        INFOS infos = INFOS_INIT;
        CX_STRINGS words = CX_STRINGS_INIT;
        cx_strings_add(&words, from);
        int r = builder_objects(ctl, &builder, &words, &infos, err);
        if (r < 0 || !infos.count)
                return r < 0 ? r : -ECANCELED;
        const json_t *cron = infos.items[0]->object, *template = cx_json_get(cron, "spec.jobTemplate");
        const char *version = cx_json_string_or(cron, "apiVersion", ""), *slash = strchr(version, '/');
        if (!cx_streq(cx_json_string(cron, "kind"), "CronJob"))
                return cx_error_set(err, -EINVAL, "unknown object type *%s.%s", slash ? slash + 1 : version,
                                    cx_json_string_or(cron, "kind", ""));
        json_t *job = json_pack("{s:s,s:s,s:{s:s,s:{s:s},s:[{s:s,s:s,s:s,s:s,s:b}]},s:O,s:{}}", "apiVersion",
                                "batch/v1", "kind", "Job", "metadata", "name", name, "annotations",
                                "cronjob.kubernetes.io/instantiate", "manual", "ownerReferences", "apiVersion",
                                "batch/v1", "kind", "CronJob", "name", cx_json_string_or(cron, "metadata.name", ""),
                                "uid", cx_json_string_or(cron, "metadata.uid", ""), "controller", 1, "spec",
                                json_object_get(template, "spec"), "status");
        const json_t *labels = cx_json_get(template, "metadata.labels");
        if (labels)
                (void)cx_json_set(job, "metadata.labels", json_deep_copy(labels));
        json_object_update(cx_json_get(job, "metadata.annotations"), cx_json_get(template, "metadata.annotations"));
        *ret_job = job;
        return 0;
}

COMMAND(create_job)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        const char *image = NULL, *from = NULL;
        int dash;
        const struct cx_flag flags[] = {CREATE_FLAGS(&create),
                                        {"image", 0, CX_FLAG_STRING, &image, "Image of the container."},
                                        {"from", 0, CX_FLAG_STRING, &from, "cronjob/NAME to make the job from."},
                                        {0}};
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        if (!image == !from)
                return cx_error_set(err, -EINVAL, "either --image or --from must be specified");
        json_t *job = NULL;
        json_auto_t *command = words_after(&args, dash);
        if (from)
                r = job_from_cron(ctl, args.items[0], from, &job, err);
        else
                job = json_pack("{s:s,s:s,s:{s:s},s:o,s:{}}", "apiVersion", "batch/v1", "kind", "Job", "metadata",
                                "name", args.items[0], "spec", job_spec(args.items[0], image, command, "Never"),
                                "status");
        return r < 0 ? r : ctl_create_object(ctl, &create, job, err);
}

COMMAND(create_cronjob)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        const char *image = NULL, *schedule = NULL, *restart = "OnFailure";
        int dash;
        const struct cx_flag flags[] = {CREATE_FLAGS(&create),
                                        {"image", 0, CX_FLAG_STRING, &image, "Image of the container."},
                                        {"schedule", 0, CX_FLAG_STRING, &schedule, "When to run, as cron writes it."},
                                        {"restart", 0, CX_FLAG_STRING, &restart, "OnFailure or Never."},
                                        {0}};
        const struct required required[] = {{"image", &image, NULL}, {"schedule", &schedule, NULL}, {0}};
        int r = create_begin(ctl, &create, flags, required, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        json_auto_t *command = words_after(&args, dash);
        return ctl_create_object(ctl, &create,
                                 json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:{s:{s:s},s:o}},s:{}}", "apiVersion", "batch/v1",
                                           "kind", "CronJob", "metadata", "name", args.items[0], "spec", "schedule",
                                           schedule, "jobTemplate", "metadata", "name", args.items[0], "spec",
                                           job_spec(args.items[0], image, command, restart), "status"),
                                 err);
}
