// SPDX-License-Identifier: Apache-2.0
// kubectl debug: what the command line says, what is sent to the server, and the session with the new container.
#include "kubectl/cmd/debug.h"
#include "kubectl/printer/tabs.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/yaml.h"

static void release_debug(struct debug *d)
{
        cx_strings_release(&d->env);
        cx_strings_release(&d->set_image);
        json_decref(d->args);
        json_decref(d->custom);
}

// --- sending ---------------------------------------------------------------------------------------------------------

static void warn(const json_t *pod, const char *container)
{
        fflush(stdout);
        if (debug_wants_root(pod, container))
                fprintf(stderr,
                        "Warning: Non-root user is configured for the entire target Pod, and some capabilities "
                        "granted by debug profile may not work. Please consider using \"--custom\" with a custom "
                        "profile that specifies \"securityContext.runAsUser: 0\".\n");
}

static int add_ephemeral(struct ctl *ctl, const struct debug *d, struct info *info, char **ret_container,
                         struct cx_error *err)
{
        json_auto_t *wanted = NULL, *patch = NULL;
        int r = debug_ephemeral(d, info->object, &wanted, ret_container, err);
        if (r < 0)
                return r;
        warn(wanted, *ret_container);
        r = info_diff(info, wanted, &patch, err);
        return r < 0 ? r : info_patch(ctl, info, "ephemeralcontainers", CX_PATCH_STRATEGIC, patch, DRY_NONE, NULL, err);
}

static int create_pod(struct ctl *ctl, const char *namespace, json_t *pod, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, CX_REF(.group = "", .version = "v1", .resource = "pods", .namespace = namespace), NULL);
        return ctl_json(ctl, "POST", path.data, NULL, pod, NULL, err);
}

static int delete_original(struct ctl *ctl, const struct info *info, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        json_auto_t *options =
                json_pack("{s:s,s:s,s:i}", "apiVersion", "v1", "kind", "DeleteOptions", "gracePeriodSeconds", 0);
        info_path(info, NULL, &path);
        return ctl_json(ctl, "DELETE", path.data, NULL, options, NULL, err);
}

// Makes what the object asks for. `ret_container` stays NULL when there is none to look at.
static int make(struct ctl *ctl, const struct debug *d, struct info *info, char **ret_pod, char **ret_container,
                struct cx_error *err)
{
        json_auto_t *pod = NULL;
        bool is_node = strcmp(info->mapping->kind, "Node") == 0 && !*info->mapping->group;
        if (!is_node && (strcmp(info->mapping->kind, "Pod") != 0 || *info->mapping->group)) {
                char text[256];
                return cx_error_set(err, -EINVAL, "\"%s\" not supported by debug",
                                    mapping_kind_text(info->mapping, text));
        }
        if (!is_node && !d->copy_to) {
                *ret_pod = cx_strdup(info->name);
                return add_ephemeral(ctl, d, info, ret_container, err);
        }
        int r = is_node ? debug_node(d, info->object, &pod, ret_container, err)
                        : debug_copy(d, info->object, &pod, ret_container, err);
        if (r < 0)
                return r;
        if (!is_node)
                warn(pod, *ret_container);
        r = create_pod(ctl, is_node ? ctl->namespace : info->namespace, pod, err);
        if (r == 0 && !is_node && d->replace)
                r = delete_original(ctl, info, err);
        *ret_pod = cx_strdup(cx_json_string_or(pod, "metadata.name", ""));
        return r;
}

// --- the session -----------------------------------------------------------------------------------------------------

struct waiting_for {
        const struct debug *debug;
        const char *container;
        json_t *pod;
        char *said; // the last that it waits for
};

static int runs_or_is_over(void *context, const json_t *pod, struct cx_error *err)
{
        struct waiting_for *w = context;
        if (!pod) {
                cx_error_set(err, -ENOENT, "pods \"\" not found");
                err->reason = CX_REASON_NOT_FOUND;
                return -ENOENT;
        }
        json_decref(w->pod);
        w->pod = json_incref((json_t *)pod);
        const json_t *state = json_object_get(cx_pod_container_status(pod, w->container), "state");
        if (json_object_get(state, "running") || json_object_get(state, "terminated"))
                return 1;
        const char *why = cx_json_string_or(state, "waiting.message", "");
        if (!w->debug->quiet && *why && !cx_streq(w->said, why)) {
                CX_BUF text = CX_BUF_INIT;
                text_for_terminal(why, &text);
                fprintf(stderr, "Warning: container %s: %s\n", w->container, text.data);
        }
        free(w->said);
        w->said = cx_strdup(why);
        return 0;
}

static int attach(struct ctl *ctl, const struct debug *d, const struct info *info, const char *container,
                  struct cx_error *err)
{
        struct waiting_for w = {.debug = d, .container = container};
        CX_ERROR failure = CX_ERROR_INIT;
        int r = watch_object(ctl, info, -1, runs_or_is_over, &w, err);
        bool over = r >= 0 && cx_json_get(cx_pod_container_status(w.pod, container), "state.terminated");
        if (r >= 0)
                r = over ? -ESRCH : attach_pod(ctl, w.pod, container, d->in, d->tty, d->quiet, &failure);
        if (r < 0 && !over && failure.code)
                fprintf(stderr, "warning: couldn't attach to pod/%s, falling back to streaming logs: %s\n", info->name,
                        cx_error_text(&failure));
        if (over || failure.code)
                r = follow_logs(ctl, w.pod, container, err);
        json_decref(w.pod);
        free(w.said);
        return r < 0 ? r : 0;
}

static int debug_one(struct ctl *ctl, const struct debug *d, struct info *info, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *pod = NULL;
        CX_CLEANUP(cx_freep) char *container = NULL;
        INFOS infos = INFOS_INIT;
        const struct mapping *pods;
        int r = make(ctl, d, info, &pod, &container, err);
        if (r < 0 || !d->attach || !container)
                return r;
        fflush(stdout);
        r = mapping_by_kind(ctl, "v1", "Pod", &pods, err);
        if (r < 0)
                return r;
        bool is_node = strcmp(info->mapping->kind, "Node") == 0;
        return attach(ctl, d, infos_add(&infos, pods, is_node ? ctl->namespace : info->namespace, pod), container, err);
}

// --- the command line ------------------------------------------------------------------------------------------------

static int read_custom(struct debug *d, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        json_auto_t *documents = NULL;
        if (!*d->custom_file)
                return 0;
        if (cx_buf_read_file(&text, d->custom_file) < 0)
                return cx_error_set(err, -errno,
                                    "must pass a container spec json file for custom profile: open %s: no such file or "
                                    "directory",
                                    d->custom_file);
        int r = cx_yaml_parse(text.data, text.length, &documents, err);
        if (r == 0 && (json_array_size(documents) != 1 || !json_is_object(json_array_get(documents, 0))))
                r = cx_error_set(err, -EINVAL, "not one object");
        if (r < 0)
                return cx_error_wrap(err, "%s does not contain a valid container spec", d->custom_file);
        d->custom = json_incref(json_array_get(documents, 0));
        return 0;
}

// Each is NAME=VALUE.
static int check_pairs(const struct cx_strings *words, const char *flag, struct ctl *ctl, struct cx_error *err)
{
        for (size_t i = 0; i < words->count; i++)
                if (!strchr(words->items[i], '='))
                        return cx_error_set(err, -EINVAL,
                                            "invalid argument \"%s\" for \"--%s\" flag: %s must be formatted as "
                                            "key=value\nSee 'kubectl %s --help' for usage.",
                                            words->items[i], flag, words->items[i], ctl->path);
        return 0;
}

static int check_words(struct ctl *ctl, struct debug *d, const struct cx_strings *names, bool files,
                       struct cx_error *err)
{
        int r = check_pairs(&d->env, "env", ctl, err);
        if (r == 0)
                r = check_pairs(&d->set_image, "set-image", ctl, err);
        if (d->copy_to && !*d->copy_to)
                d->copy_to = NULL;
        if (r == 0 && !debug_knows_profile(d->profile))
                r = cx_error_set(err, -EINVAL, "unknown profile: %s", d->profile);
        if (r == 0)
                r = read_custom(d, err);
        if (r == 0 && !d->attach_given && d->in)
                d->attach = true;
        if (r == 0)
                r = debug_check(d, err);
        if (r == 0 && !names->count && !files)
                r = cx_error_set(err, -EINVAL, "NAME or filename is required for debug");
        fflush(stdout);
        if (r == 0 && strcmp(d->profile, "legacy") == 0)
                fprintf(stderr,
                        "--profile=legacy is deprecated and will be removed in the future. It is recommended to "
                        "explicitly specify a profile, for example \"--profile=general\".\n");
        return r;
}

// The files, then the names, each of which is a pod's unless it says of what kind it is.
static int find_targets(struct ctl *ctl, struct builder *builder, const struct cx_strings *names, struct infos *infos,
                        struct cx_error *err)
{
        CX_STRINGS none = CX_STRINGS_INIT;
        BUILDER by_name = {.default_type = "pods"};
        int r = builder->files.count ? builder_targets(ctl, builder, &none, infos, err) : 0;
        for (size_t i = 0; r == 0 && i < names->count; i++) {
                struct cx_strings one = {.items = &names->items[i], .count = 1};
                r = builder_targets(ctl, &by_name, &one, infos, err);
        }
        return r;
}

COMMAND(debug)
{
        CX_CLEANUP(release_debug)
        struct debug d = {.container = "",
                          .image = "",
                          .pull_policy = "",
                          .target = "",
                          .profile = "legacy",
                          .custom_file = "",
                          .share_processes = true,
                          .keep_init = true};
        BUILDER builder = {0};
        const struct cx_flag flags[] = {
                {"container", 'c', CX_FLAG_STRING, &d.container, "Name of the debugging container."},
                {"image", 0, CX_FLAG_STRING, &d.image, "Image of the debugging container."},
                {"image-pull-policy", 0, CX_FLAG_STRING, &d.pull_policy, "Always, IfNotPresent or Never."},
                {"target", 0, CX_FLAG_STRING, &d.target, "Container whose processes an ephemeral container sees."},
                {"copy-to", 0, CX_FLAG_STRING, &d.copy_to, "Name of a copy of the pod to debug instead."},
                {"replace", 0, CX_FLAG_BOOL, &d.replace, "Delete the pod that was copied."},
                {"same-node", 0, CX_FLAG_BOOL, &d.same_node, "Run the copy on the pod's node."},
                {"share-processes", 0, CX_FLAG_BOOL, &d.share_processes,
                 "The containers of the copy see each other's "
                 "processes.",
                 NULL, &d.share_given},
                {"set-image", 0, CX_FLAG_CSV, &d.set_image, "Images of the copy, CONTAINER=IMAGE; * is all."},
                {"keep-labels", 0, CX_FLAG_BOOL, &d.keep_labels, "The copy has the labels."},
                {"keep-annotations", 0, CX_FLAG_BOOL, &d.keep_annotations, "The copy has the annotations."},
                {"keep-liveness", 0, CX_FLAG_BOOL, &d.keep_liveness, "The copy has the liveness probes."},
                {"keep-readiness", 0, CX_FLAG_BOOL, &d.keep_readiness, "The copy has the readiness probes."},
                {"keep-startup", 0, CX_FLAG_BOOL, &d.keep_startup, "The copy has the startup probes."},
                {"keep-init-containers", 0, CX_FLAG_BOOL, &d.keep_init, "The copy has the init containers."},
                {"profile", 0, CX_FLAG_STRING, &d.profile,
                 "Rights of the container: legacy, general, baseline, netadmin, restricted or sysadmin."},
                {"custom", 0, CX_FLAG_STRING, &d.custom_file, "File with a part of a container, to change it."},
                {"env", 0, CX_FLAG_CSV, &d.env, "NAME=VALUE; may be repeated."},
                {"arguments-only", 0, CX_FLAG_BOOL, &d.args_only, "The words after -- are arguments, not the command."},
                {"stdin", 'i', CX_FLAG_BOOL, &d.in, "Keep standard input of the container open, and attach."},
                {"tty", 't', CX_FLAG_BOOL, &d.tty, "Give the container a terminal."},
                {"attach", 0, CX_FLAG_BOOL, &d.attach, "Attach to the container; so does -i.", NULL, &d.attach_given},
                {"quiet", 'q', CX_FLAG_BOOL, &d.quiet, "Only show what the container writes."},
                {"filename", 'f', CX_FLAG_CSV, &builder.files, "File that names what to debug."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int dash;
        int r = ctl_parse(ctl, flags, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < (dash < 0 ? args.count : (size_t)dash); i++)
                cx_strings_add(&names, args.items[i]);
        d.args = dash < 0 ? json_array() : words_after(&args, dash);
        r = check_words(ctl, &d, &names, builder.files.count > 0, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r == 0)
                r = find_targets(ctl, &builder, &names, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                r = info_fetch(ctl, infos.items[i], err);
                if (r == 0)
                        r = debug_one(ctl, &d, infos.items[i], err);
        }
        return r;
}
