// SPDX-License-Identifier: Apache-2.0
// create deployment, job, cronjob, role, clusterrole, rolebinding, clusterrolebinding; and kubectl run.
#include "base/time.h"
#include "kubectl/cmd/commands.h"

static void release_create(struct cx_create *create)
{
        cx_output_release(&create->output);
}
#define CREATE CX_CLEANUP(release_create) struct cx_create

static int begin(struct cx_ctl *ctl, struct cx_create *create, const struct cx_flag *flags, int argc, char **argv,
                 struct cx_strings *args, int *dash, struct cx_error *err)
{
        int r = cx_ctl_parse(ctl, flags, argc, argv, args, dash, err);
        if (r == 0)
                r = cx_create_prepare(ctl, create, err);
        if (r < 0)
                return r;
        size_t names = *dash >= 0 ? (size_t)*dash : args->count;
        if (names != 1)
                return cx_ctl_usage_error(ctl, err,
                                          names ? "exactly one NAME is required, got %zu"
                                                : "exactly one NAME is required, got %zu",
                                          names);
        return 0;
}

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

static json_t *words_after(const struct cx_strings *args, int dash)
{
        json_t *words = json_array();
        for (size_t i = (size_t)dash; dash >= 0 && i < args->count; i++)
                json_array_append_new(words, json_string(args->items[i]));
        return words;
}

CX_COMMAND(create_deployment)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, images = CX_STRINGS_INIT;
        int64_t replicas = 1, port = -1;
        int dash;
        const struct cx_flag flags[] = {
                CX_CREATE_FLAGS(&create),
                {"image", 0, CX_FLAG_CSV, &images, "Image of the container; several make several containers."},
                {"replicas", 'r', CX_FLAG_INT, &replicas, "Number of pods.", NULL, NULL, 0, INT32_MAX},
                {"port", 0, CX_FLAG_INT, &port, "Port that the container has.", NULL, NULL, -1, 65535},
                {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        if (!images.count)
                return cx_error_set(err, -EINVAL, "required flag(s) \"image\" not set");
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
        return cx_create_object(
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

static int job_from_cron(struct cx_ctl *ctl, const char *name, const char *from, json_t **ret_job, struct cx_error *err)
{
        CX_BUILDER builder = {0};
        CX_INFOS infos = CX_INFOS_INIT;
        CX_STRINGS words = CX_STRINGS_INIT;
        cx_strings_add(&words, from);
        int r = cx_builder_objects(ctl, &builder, &words, &infos, err);
        if (r < 0 || !infos.count)
                return r < 0 ? r : -ECANCELED;
        const json_t *cron = infos.items[0]->object, *template = cx_json_get(cron, "spec.jobTemplate");
        if (!cx_streq(cx_json_string(cron, "kind"), "CronJob"))
                return cx_error_set(err, -EINVAL, "from must be an existing cronjob");
        json_t *job = json_pack("{s:s,s:s,s:{s:s,s:{s:s},s:[{s:s,s:s,s:s,s:s,s:b}]},s:O}", "apiVersion", "batch/v1",
                                "kind", "Job", "metadata", "name", name, "annotations",
                                "cronjob.kubernetes.io/instantiate", "manual", "ownerReferences", "apiVersion",
                                "batch/v1", "kind", "CronJob", "name", cx_json_string_or(cron, "metadata.name", ""),
                                "uid", cx_json_string_or(cron, "metadata.uid", ""), "controller", 1, "spec",
                                json_object_get(template, "spec"));
        const json_t *labels = cx_json_get(template, "metadata.labels");
        if (labels)
                (void)cx_json_set(job, "metadata.labels", json_deep_copy(labels));
        *ret_job = job;
        return 0;
}

CX_COMMAND(create_job)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        const char *image = NULL, *from = NULL;
        int dash;
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create),
                                        {"image", 0, CX_FLAG_STRING, &image, "Image of the container."},
                                        {"from", 0, CX_FLAG_STRING, &from, "cronjob/NAME to make the job from."},
                                        {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, &dash, err);
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
        return r < 0 ? r : cx_create_object(ctl, &create, job, err);
}

CX_COMMAND(create_cronjob)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        const char *image = NULL, *schedule = NULL, *restart = "OnFailure";
        int dash;
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create),
                                        {"image", 0, CX_FLAG_STRING, &image, "Image of the container."},
                                        {"schedule", 0, CX_FLAG_STRING, &schedule, "When to run, as cron writes it."},
                                        {"restart", 0, CX_FLAG_STRING, &restart, "OnFailure or Never."},
                                        {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        if (!image || !schedule)
                return cx_error_set(err, -EINVAL, "required flag(s) %s not set",
                                    image      ? "\"schedule\""
                                    : schedule ? "\"image\""
                                               : "\"image\", \"schedule\"");
        json_auto_t *command = words_after(&args, dash);
        return cx_create_object(ctl, &create,
                                json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:{s:{s:s},s:o}}}", "apiVersion", "batch/v1", "kind",
                                          "CronJob", "metadata", "name", args.items[0], "spec", "schedule", schedule,
                                          "jobTemplate", "metadata", "name", args.items[0], "spec",
                                          job_spec(args.items[0], image, command, restart)),
                                err);
}

// --- roles ----------------------------------------------------------------------------------------------------------
static json_t *strings_json(const struct cx_strings *list)
{
        json_t *array = json_array();
        for (size_t i = 0; i < list->count; i++)
                json_array_append_new(array, json_string(list->items[i]));
        return array;
}

struct role_flags {
        struct cx_strings verbs, resources, names, urls;
};

static void release_role(struct role_flags *flags)
{
        cx_strings_release(&flags->verbs);
        cx_strings_release(&flags->resources);
        cx_strings_release(&flags->names);
        cx_strings_release(&flags->urls);
}

// Rules, one for each API group; "deployments.apps/scale" is resource, group and subresource.
static int role_rules(struct cx_ctl *ctl, const struct role_flags *f, json_t *rules, struct cx_error *err)
{
        for (size_t i = 0; i < f->resources.count; i++) {
                const char *word = f->resources.items[i], *slash = strchr(word, '/');
                CX_CLEANUP(cx_freep) char *type = cx_strndup(word, slash ? (size_t)(slash - word) : strlen(word));
                const struct cx_mapping *mapping = NULL;
                const char *group = "", *resource = "*";
                if (strcmp(type, "*") != 0) {
                        int r = cx_mapping_find(ctl, type, &mapping, err);
                        if (r < 0)
                                return r;
                        group = mapping->group;
                        resource = mapping->resource;
                } else {
                        group = "*";
                }
                CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s%s", resource, slash ? slash : "");
                json_t *rule = NULL;
                for (size_t j = 0; j < json_array_size(rules) && !rule; j++) {
                        json_t *other = json_array_get(rules, j);
                        if (cx_streq(json_string_value(json_array_get(json_object_get(other, "apiGroups"), 0)), group))
                                rule = other;
                }
                if (!rule) {
                        rule = json_pack("{s:[s],s:[],s:o}", "apiGroups", group, "resources", "verbs",
                                         strings_json(&f->verbs));
                        if (f->names.count)
                                json_object_set_new(rule, "resourceNames", strings_json(&f->names));
                        json_array_append_new(rules, rule);
                }
                json_array_append_new(json_object_get(rule, "resources"), json_string(whole));
        }
        if (f->urls.count)
                json_array_append_new(rules, json_pack("{s:o,s:o}", "nonResourceURLs", strings_json(&f->urls), "verbs",
                                                       strings_json(&f->verbs)));
        return 0;
}

static int create_any_role(struct cx_ctl *ctl, int argc, char **argv, const char *kind, struct cx_error *err)
{
        CREATE create = {0};
        CX_CLEANUP(release_role) struct role_flags f = {0};
        CX_STRINGS args = CX_STRINGS_INIT, aggregate = CX_STRINGS_INIT;
        int dash;
        const struct cx_flag flags[] = {
                CX_CREATE_FLAGS(&create),
                {"verb", 0, CX_FLAG_CSV, &f.verbs, "Verbs that the role allows."},
                {"resource", 0, CX_FLAG_CSV, &f.resources, "Resources that it is about."},
                {"resource-name", 0, CX_FLAG_CSV, &f.names, "Names that it is limited to."},
                {"non-resource-url", 0, CX_FLAG_CSV, &f.urls, "URLs that it is about (cluster roles)."},
                {"aggregation-rule", 0, CX_FLAG_CSV, &aggregate, "Labels of the cluster roles to be combined."},
                {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, &dash, err);
        if (r == 0)
                r = cx_ctl_connect(ctl, err);
        if (r < 0)
                return r;
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:[]}", "apiVersion", "rbac.authorization.k8s.io/v1", "kind", kind,
                                   "metadata", "name", args.items[0], "rules");
        if (aggregate.count) {
                json_t *labels = json_object();
                for (size_t i = 0; i < aggregate.count; i++) {
                        char *equals = strchr(aggregate.items[i], '=');
                        if (equals)
                                *equals = 0;
                        json_object_set_new(labels, aggregate.items[i], json_string(equals ? equals + 1 : ""));
                }
                json_object_set_new(object, "aggregationRule",
                                    json_pack("{s:[{s:o}]}", "clusterRoleSelectors", "matchLabels", labels));
                return cx_create_object(ctl, &create, object, err);
        }
        if (!f.verbs.count)
                r = cx_error_set(err, -EINVAL, "at least one verb must be specified");
        else if (!f.resources.count && !f.urls.count)
                r = cx_error_set(err, -EINVAL,
                                 strcmp(kind, "Role") == 0 ? "at least one resource must be specified"
                                                           : "one of resource or nonResourceURL must be specified");
        else
                r = role_rules(ctl, &f, json_object_get(object, "rules"), err);
        if (r < 0) {
                json_decref(object);
                return r;
        }
        return cx_create_object(ctl, &create, object, err);
}

CX_COMMAND(create_role)
{
        return create_any_role(ctl, argc, argv, "Role", err);
}

CX_COMMAND(create_clusterrole)
{
        return create_any_role(ctl, argc, argv, "ClusterRole", err);
}

static int create_binding(struct cx_ctl *ctl, int argc, char **argv, bool cluster, struct cx_error *err)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, users = CX_STRINGS_INIT, groups = CX_STRINGS_INIT,
                   accounts = CX_STRINGS_INIT;
        const char *role = NULL, *cluster_role = NULL;
        int dash;
        const struct cx_flag flags[] = {
                CX_CREATE_FLAGS(&create),
                {"clusterrole", 0, CX_FLAG_STRING, &cluster_role, "ClusterRole to bind."},
                {"role", 0, CX_FLAG_STRING, &role, "Role to bind (role bindings)."},
                {"user", 0, CX_FLAG_LIST, &users, "User to bind it to; may be repeated."},
                {"group", 0, CX_FLAG_LIST, &groups, "Group to bind it to; may be repeated."},
                {"serviceaccount", 0, CX_FLAG_LIST, &accounts, "Service account to bind it to, NAMESPACE:NAME."},
                {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        if (cluster && !cluster_role)
                return cx_error_set(err, -EINVAL, "required flag(s) \"clusterrole\" not set");
        if (!cluster && !role == !cluster_role)
                return cx_error_set(err, -EINVAL, "exactly one of clusterrole or role must be specified");
        json_auto_t *subjects = json_array();
        for (size_t i = 0; i < users.count; i++)
                json_array_append_new(subjects, json_pack("{s:s,s:s,s:s}", "apiGroup", "rbac.authorization.k8s.io",
                                                          "kind", "User", "name", users.items[i]));
        for (size_t i = 0; i < groups.count; i++)
                json_array_append_new(subjects, json_pack("{s:s,s:s,s:s}", "apiGroup", "rbac.authorization.k8s.io",
                                                          "kind", "Group", "name", groups.items[i]));
        for (size_t i = 0; i < accounts.count; i++) {
                char *colon = strchr(accounts.items[i], ':');
                if (!colon || colon == accounts.items[i] || !colon[1])
                        return cx_error_set(err, -EINVAL, "serviceaccount must be <namespace>:<name>");
                *colon = 0;
                json_array_append_new(subjects, json_pack("{s:s,s:s,s:s}", "kind", "ServiceAccount", "name", colon + 1,
                                                          "namespace", accounts.items[i]));
        }
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:s,s:s}}", "apiVersion", "rbac.authorization.k8s.io/v1",
                                   "kind", cluster ? "ClusterRoleBinding" : "RoleBinding", "metadata", "name",
                                   args.items[0], "roleRef", "apiGroup", "rbac.authorization.k8s.io", "kind",
                                   role ? "Role" : "ClusterRole", "name", role ? role : cluster_role);
        if (json_array_size(subjects))
                json_object_set(object, "subjects", subjects);
        return cx_create_object(ctl, &create, object, err);
}

CX_COMMAND(create_rolebinding)
{
        return create_binding(ctl, argc, argv, false, err);
}

CX_COMMAND(create_clusterrolebinding)
{
        return create_binding(ctl, argc, argv, true, err);
}
