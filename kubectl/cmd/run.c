// SPDX-License-Identifier: Apache-2.0
// kubectl run: makes a pod, and attaches to it when asked to (-i, --attach). Attached, the container's exit code is
// kubectl's.
#include "kubectl/cmd/commands.h"
#include "kubectl/cmd/debug.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"
#include "libcommon/schema/engine.h"

struct run {
        struct create create;
        const char *image, *restart, *port, *pull, *labels, *overrides, *override_type;
        bool command, in, tty, attach, attach_given, remove, expose, quiet, leave_stdin, privileged;
        int64_t timeout;
        struct cx_strings env, annotations;
};

static void release_run(struct run *run)
{
        create_release(&run->create);
        cx_strings_release(&run->env);
        cx_strings_release(&run->annotations);
}

static int check(struct ctl *ctl, const struct run *run, struct cx_error *err)
{
        static const char *const policies[] = {"Always", "OnFailure", "Never"};
        bool known = false;
        for (size_t i = 0; i < CX_ARRAY_SIZE(policies); i++)
                known = known || strcmp(run->restart, policies[i]) == 0;
        if (!is_image_reference(run->image))
                return cx_error_set(err, -EINVAL, "Invalid image name \"%s\": invalid reference format", run->image);
        if (run->tty && !run->in)
                return ctl_usage_error(ctl, err, "-i/--stdin is required for containers with -t/--tty=true");
        if (run->expose && !run->port)
                return ctl_usage_error(ctl, err, "--port must be set when exposing a service");
        if (run->remove && !run->attach)
                return ctl_usage_error(ctl, err, "--rm should only be used for attached containers");
        if (run->attach && run->create.mode != DRY_NONE)
                return ctl_usage_error(ctl, err,
                                       "--dry-run=client or --dry-run=server can't be used with attached "
                                       "containers options (--attach, --stdin, or --tty)");
        if (!known)
                return ctl_usage_error(ctl, err, "invalid restart policy: %s", run->restart);
        return 0;
}

static int add_environment(const struct cx_strings *env, json_t *container, struct cx_error *err)
{
        for (size_t i = 0; i < env->count; i++) {
                char *equals = strchr(env->items[i], '=');
                if (!equals || equals == env->items[i])
                        return cx_error_set(err, -EINVAL, "invalid env: %s", env->items[i]);
                *equals = 0;
                json_array_append_new(cx_json_array_at(container, "env"),
                                      json_pack("{s:s,s:s}", "name", env->items[i], "value", equals + 1));
        }
        return 0;
}

static int make_container(const struct run *run, const struct cx_strings *args, json_t **ret_container,
                          struct cx_error *err)
{
        json_auto_t *container = json_pack("{s:s,s:s,s:{}}", "name", args->items[0], "image", run->image, "resources");
        int64_t port;
        for (size_t i = 1; i < args->count; i++)
                json_array_append_new(cx_json_array_at(container, run->command ? "command" : "args"),
                                      json_string(args->items[i]));
        if (run->port && cx_parse_int(run->port, 1, 65535, &port) < 0)
                return cx_error_set(err, -EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", run->port);
        if (run->port)
                json_object_set_new(container, "ports", json_pack("[{s:I}]", "containerPort", (json_int_t)port));
        if (run->pull)
                json_object_set_new(container, "imagePullPolicy", json_string(run->pull));
        if (run->in)
                json_object_set_new(container, "stdin", json_true());
        if (run->in && !run->leave_stdin)
                json_object_set_new(container, "stdinOnce", json_true());
        if (run->tty)
                json_object_set_new(container, "tty", json_true());
        if (run->privileged)
                json_object_set_new(container, "securityContext", json_pack("{s:b}", "privileged", 1));
        int r = add_environment(&run->env, container, err);
        if (r == 0)
                *ret_container = cx_steal(&container);
        return r;
}

int object_override(const char *overrides, const char *how, const char *kind, json_t **object, struct cx_error *err)
{
        json_auto_t *patch = NULL;
        json_t *patched = NULL;
        int r = cx_json_parse(overrides, strlen(overrides), false, &patch, err);
        if (r < 0 && strcmp(how, "merge") == 0) {
                cx_error_release(err);
                return cx_error_set(err, r, "Invalid JSON Patch");
        }
        if (r < 0)
                return err ? (err->reason = CX_REASON_UNKNOWN, r) : r;
        const struct cx_type *type = cx_schema_kind("", "v1", kind)->type;
        if (strcmp(how, "strategic") == 0)
                r = cx_patch_strategic(type, *object, patch, &patched, err);
        else if (strcmp(how, "json") == 0)
                r = cx_patch_json(*object, patch, &patched, err);
        else if (strcmp(how, "merge") == 0)
                patched = cx_patch_merge(*object, patch);
        else
                return cx_error_set(err, -EINVAL, "invalid override type: %s", how);
        if (r < 0)
                return r;
        json_decref(*object);
        *object = patched;
        return 0;
}

static int make_pod(const struct run *run, const struct cx_strings *args, json_t **ret_pod, struct cx_error *err)
{
        const char *name = args->items[0];
        json_auto_t *labels = NULL, *container = NULL;
        int r = run->labels ? parse_map(run->labels, &labels, err) : 0;
        if (!run->labels)
                labels = json_pack("{s:s}", "run", name);
        if (r == 0)
                r = make_container(run, args, &container, err);
        if (r < 0)
                return r;
        json_auto_t *pod = json_pack("{s:s,s:s,s:{s:s,s:O},s:{s:[O],s:s,s:s},s:{}}", "apiVersion", "v1", "kind", "Pod",
                                     "metadata", "name", name, "labels", labels, "spec", "containers", container,
                                     "dnsPolicy", "ClusterFirst", "restartPolicy", run->restart, "status");
        for (size_t i = 0; i < run->annotations.count; i++) {
                char *equals = strchr(run->annotations.items[i], '=');
                if (!equals)
                        continue;
                *equals = 0;
                json_object_set_new(cx_json_object_at(json_object_get(pod, "metadata"), "annotations"),
                                    run->annotations.items[i], json_string(equals + 1));
        }
        if (run->overrides)
                r = object_override(run->overrides, run->override_type, "Pod", &pod, err);
        if (r == 0)
                *ret_pod = cx_steal(&pod);
        return r;
}

// The service of --expose.
static json_t *make_service(const struct run *run, const json_t *pod)
{
        int64_t port = 0;
        (void)!cx_parse_int(run->port, 1, 65535, &port);
        return json_pack("{s:s,s:s,s:{s:O},s:{s:[{s:I,s:s,s:I}],s:O},s:{s:{}}}", "apiVersion", "v1", "kind", "Service",
                         "metadata", "name", cx_json_get(pod, "metadata.name"), "spec", "ports", "port",
                         (json_int_t)port, "protocol", "TCP", "targetPort", (json_int_t)port, "selector",
                         cx_json_get(pod, "metadata.labels"), "status", "loadBalancer");
}

// --- attached -------------------------------------------------------------------------------------------------------
static int running_or_over(void *context, const json_t *pod, struct cx_error *err)
{
        json_t **last = context;
        if (!pod)
                return cx_error_set(err, -ENOENT, "pod was deleted");
        json_decref(*last);
        *last = json_incref((json_t *)pod);
        return cx_pod_is_terminal(pod) || (strcmp(cx_pod_phase(pod), "Running") == 0 && cx_pod_is_ready(pod));
}

static int over(void *context, const json_t *pod, struct cx_error *err)
{
        int r = running_or_over(context, pod, err);
        return r < 0 ? r : cx_pod_is_terminal(pod);
}

// The exit code of the container, when it failed.
static void take_exit_code(struct ctl *ctl, const json_t *pod, struct cx_error *err)
{
        if (cx_streq(cx_json_string(pod, "status.phase"), "Succeeded"))
                return;
        const json_t *status = json_array_get(cx_json_get(pod, "status.containerStatuses"), 0);
        int64_t code = cx_json_int(status, "state.terminated.exitCode", 0);
        const char *message = cx_json_string_or(status, "state.terminated.message", "");
        const char *namespace = cx_json_string_or(pod, "metadata.namespace", ""),
                   *name = cx_json_string_or(pod, "metadata.name", "");
        if (code <= 0 || code > 255)
                cx_error_set(err, -EIO, "pod %s/%s failed with unknown exit code", namespace, name);
        else
                fprintf(stderr, "pod %s/%s terminated (%s)\n%s%s", namespace, name,
                        cx_json_string_or(status, "state.terminated.reason", ""), message, *message ? "\n" : "");
        ctl->status = code > 0 && code <= 255 ? (int)code : 1;
}

static int attach(struct ctl *ctl, const struct run *run, const struct info *info, struct cx_error *err)
{
        json_auto_t *pod = NULL;
        int r = watch_object(ctl, info, run->timeout, running_or_over, &pod, err);
        if (r == -ETIMEDOUT && (!err || !err->code))
                return cx_error_set(err, r, "timed out waiting for the condition");
        if (r < 0)
                return r;
        const char *container = default_container(pod, run->quiet);
        CX_ERROR failure = CX_ERROR_INIT;
        if (cx_pod_is_terminal(pod)) {
                r = follow_logs(ctl, pod, container, err);
        } else {
                r = attach_pod(ctl, pod, container, run->in, run->tty, run->quiet, &failure);
                if (r < 0) {
                        fprintf(stderr, "warning: couldn't attach to pod/%s, falling back to streaming logs: %s\n",
                                info->name, cx_error_text(&failure));
                        r = follow_logs(ctl, pod, container, err);
                }
        }
        if (r < 0 || run->leave_stdin || strcmp(run->restart, "Always") == 0)
                return r;
        r = watch_object(ctl, info, -1, over, &pod, err);
        if (r >= 0)
                take_exit_code(ctl, pod, err);
        return r < 0 ? r : err && err->code ? err->code : 0;
}

static int run_attached(struct ctl *ctl, struct run *run, json_t *pod_steal, struct cx_error *err)
{
        INFOS infos = INFOS_INIT;
        const struct mapping *mapping;
        json_auto_t *pod = pod_steal;
        int r = ctl_connect(ctl, err);
        if (r == 0)
                r = mapping_by_kind(ctl, "v1", "Pod", &mapping, err);
        if (r < 0)
                return r;
        struct info *info = infos_add(&infos, mapping, ctl->namespace, cx_json_string(pod, "metadata.name"));
        CX_BUF path = CX_BUF_INIT;
        struct info collection = *info;
        collection.name = NULL;
        info_path(&collection, NULL, &path);
        cx_rest_query(&path, "fieldManager", run->create.manager);
        r = ctl_json(ctl, "POST", path.data, NULL, pod, NULL, err);
        if (r < 0)
                return r;
        r = attach(ctl, run, info, err);
        if (!run->remove)
                return r;
        CX_ERROR failure = CX_ERROR_INIT;
        struct deletion how = {.grace = -1, .wait = false, .quiet_output = run->quiet, .ignore_not_found = true};
        if (delete_infos(ctl, &infos, &how, &failure) < 0 && r == 0)
                r = cx_error_move(err, &failure);
        return r;
}

COMMAND(run)
{
        CX_CLEANUP(release_run)
        struct run run = {.create = {.manager = "kubectl-run"},
                          .restart = "Always",
                          .override_type = "merge",
                          .timeout = 60 * CX_NS_PER_S};
        CX_STRINGS args = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {
                MAKE_FLAGS(&run.create),
                {"image", 0, CX_FLAG_STRING, &run.image, "Image of the container."},
                {"restart", 0, CX_FLAG_STRING, &run.restart, "Always, OnFailure or Never."},
                {"port", 0, CX_FLAG_STRING, &run.port, "Port that the container has."},
                {"expose", 0, CX_FLAG_BOOL, &run.expose, "Make a service for the port too."},
                {"image-pull-policy", 0, CX_FLAG_STRING, &run.pull, "Always, IfNotPresent or Never."},
                {"labels", 'l', CX_FLAG_STRING, &run.labels, "Labels of the pod."},
                {"env", 0, CX_FLAG_LIST, &run.env, "NAME=VALUE; may be repeated."},
                {"annotations", 0, CX_FLAG_LIST, &run.annotations, "KEY=VALUE; may be repeated."},
                {"overrides", 0, CX_FLAG_STRING, &run.overrides, "JSON that overrides the pod that is made."},
                {"override-type", 0, CX_FLAG_STRING, &run.override_type, "json, merge or strategic."},
                {"command", 0, CX_FLAG_BOOL, &run.command, "The words after -- are the command, not its arguments."},
                {"stdin", 'i', CX_FLAG_BOOL, &run.in, "Keep standard input of the container open."},
                {"tty", 't', CX_FLAG_BOOL, &run.tty, "Give the container a terminal."},
                {"attach", 0, CX_FLAG_BOOL, &run.attach, "Attach to the container; so does -i.", NULL,
                 &run.attach_given},
                {"leave-stdin-open", 0, CX_FLAG_BOOL, &run.leave_stdin,
                 "Keep standard input open after the first attach."},
                {"rm", 0, CX_FLAG_BOOL, &run.remove, "Delete the pod when an attached session ends."},
                {"privileged", 0, CX_FLAG_BOOL, &run.privileged, "Run the container privileged."},
                {"quiet", 'q', CX_FLAG_BOOL, &run.quiet, "Only show what the container writes."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &run.timeout, "How long to wait until the pod runs."},
                {0}};
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0 && !run.image)
                r = cx_error_set(err, -EINVAL, "required flag(s) \"image\" not set");
        if (r == 0 && !args.count)
                r = ctl_usage_error(ctl, err, "NAME is required for run");
        if (r == 0)
                r = create_prepare(ctl, &run.create, err);
        if (r == 0 && !run.attach_given)
                run.attach = run.in;
        if (r == 0)
                r = check(ctl, &run, err);
        json_auto_t *pod = NULL;
        if (r == 0)
                r = make_pod(&run, &args, &pod, err);
        if (r < 0)
                return r;
        if (run.expose)
                r = ctl_create_object(ctl, &run.create, make_service(&run, pod), err);
        if (r < 0)
                return r;
        return run.attach ? run_attached(ctl, &run, json_incref(pod), err)
                          : ctl_create_object(ctl, &run.create, json_incref(pod), err);
}
