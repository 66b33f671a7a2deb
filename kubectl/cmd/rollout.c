// SPDX-License-Identifier: Apache-2.0
// kubectl rollout history, undo, restart, pause and resume. Revisions are a Deployment's ReplicaSets, and ControllerRevisions
// of DaemonSets and StatefulSets.
#include "kubectl/cmd/rollout.h"

#include "kubectl/cmd/describe.h"
#include "kubectl/printer/tabs.h"
#include "libcommon/schema/engine.h"

#include <time.h>

#define REVISION "deployment.kubernetes.io/revision"

struct revision {
        int64_t number;
        json_t *object; // ReplicaSet or ControllerRevision; owned
};
struct revisions {
        struct revision *items;
        size_t count;
};

static void release_revisions(struct revisions *all)
{
        for (size_t i = 0; i < all->count; i++)
                json_decref(all->items[i].object);
        free(all->items);
}

static int compare_revisions(const void *a, const void *b)
{
        const struct revision *x = a, *y = b;
        return (x->number > y->number) - (x->number < y->number);
}

static bool is_deployment(const struct info *info)
{
        return strcmp(info->mapping->kind, "Deployment") == 0;
}

static bool has_owner(const json_t *object, const char *uid)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, owner)
                if (cx_json_bool(owner, "controller", false) && cx_streq(cx_json_string(owner, "uid"), uid))
                        return true;
        return false;
}

static int list_revisions(struct ctl *ctl, const struct info *info, struct revisions *ret_all, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *selector = selector_of(info->object);
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path,
                     CX_REF(.group = "apps", .version = "v1",
                            .resource = is_deployment(info) ? "replicasets" : "controllerrevisions",
                            .namespace = info->namespace),
                     NULL);
        cx_rest_query(&path, "labelSelector", selector);
        json_auto_t *items = list_objects(ctl, path.data, err);
        if (!items)
                return err ? err->code : -EIO;
        const char *uid = cx_json_string(info->object, "metadata.uid");
        size_t i;
        json_t *item;
        ret_all->items = cx_alloc_array(json_array_size(items) + 1, sizeof *ret_all->items);
        json_array_foreach (items, i, item) {
                if (!has_owner(item, uid))
                        continue;
                int64_t number = cx_json_int(item, "revision", 0);
                const json_t *annotations = cx_json_get(item, "metadata.annotations");
                const char *text = json_string_value(json_object_get(annotations, REVISION));
                if (is_deployment(info) && cx_parse_int(cx_str(text), 0, INT64_MAX, &number) < 0)
                        continue;
                ret_all->items[ret_all->count++] = (struct revision){number, json_incref(item)};
        }
        qsort(ret_all->items, ret_all->count, sizeof *ret_all->items, compare_revisions);
        return 0;
}

static const struct revision *find_revision(const struct revisions *all, int64_t number)
{
        for (size_t i = 0; i < all->count; i++)
                if (all->items[i].number == number)
                        return &all->items[i];
        return NULL;
}

static bool is_one_of(const char *kind, const char *const *kinds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(kind, kinds[i]) == 0)
                        return true;
        return false;
}

// Whether the kind has rollouts; `what` it would be asked for.
static int check_kind(const struct info *info, const char *what, struct cx_error *err)
{
        static const char *const kinds[] = {"Deployment", "DaemonSet", "StatefulSet"};
        static const char *const without[] = {"CronJob", "Job", "Pod", "ReplicaSet", "ReplicationController"};
        const struct mapping *mapping = info->mapping;
        if (is_one_of(mapping->kind, kinds, CX_ARRAY_SIZE(kinds)))
                return 0;
        const char *dot = *mapping->group ? "." : "";
        if (is_one_of(mapping->kind, without, CX_ARRAY_SIZE(without)))
                return cx_error_set(err, -EINVAL, "no %s%s has been implemented for \"%s%s%s\"", what,
                                    strcmp(what, "history") == 0 ? " viewer" : "", mapping->kind, dot, mapping->group);
        return cx_error_set(err, -EINVAL, "error retrieving %s for \"%s%s%s\", no visitor method exists for {%s %s}",
                            what, mapping->kind, dot, mapping->group, mapping->group, mapping->kind);
}

// What all rollout commands begin with.
static int begin(struct ctl *ctl, const struct cx_flag *flags, struct builder *builder, struct output *output, int argc,
                 char **argv, struct infos *infos, struct cx_error *err)
{
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, output, NULL, NULL, err);
        if (r < 0)
                return r;
        if (builder_empty(builder, &args))
                return cx_error_set(err, -EINVAL, "required resource not specified");
        builder->may_list = true;
        return builder_objects(ctl, builder, &args, infos, err);
}
#define COMMON_FLAGS                                                                                                   \
        FILE_FLAGS(&builder), OUTPUT_FLAGS(&output),                                                                   \
        {                                                                                                              \
                "selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."             \
        }

// --- history --------------------------------------------------------------------------------------------------------
static const json_t *template_of(const struct revision *revision)
{
        const json_t *template = cx_json_get(revision->object, "spec.template");
        return template ? template : cx_json_get(revision->object, "data.spec.template");
}

// With the tabs as they are.
static void put_template(struct ctl *ctl, const struct revision *revision, struct cx_buf *to)
{
        struct describe d = {.ctl = ctl, .to = to, .now = cx_time_now(), .bare_labels = true};
        describe_line(&d, 0, "Pod Template:\n");
        describe_template(&d, template_of(revision));
}

static void show_revision(struct ctl *ctl, const struct info *info, const struct revision *revision)
{
        CX_BUF text = CX_BUF_INIT;
        char label[512];
        put_template(ctl, revision, &text);
        OUT("%s with revision #%lld\n%s\n", info_label(info, label), (long long)revision->number, text.data);
}

// As objects a Deployment's revisions are its ReplicaSets, a StatefulSet's its ControllerRevisions, and a DaemonSet's the set
// as it was.
static int put_revision(const struct info *info, const struct revision *revision, struct output *output,
                        struct cx_error *err)
{
        CX_BUF shown = CX_BUF_INIT;
        json_auto_t *object = json_incref(revision->object);
        if (strcmp(info->mapping->kind, "DaemonSet") == 0) {
                json_t *template = json_deep_copy(template_of(revision));
                json_object_del(template, "$patch");
                json_decref(object);
                object = json_deep_copy(info->object);
                (void)!cx_json_set(object, "spec.template", template);
        }
        int r = output_object(output, object, &shown, err);
        fputs(shown.data, stdout);
        return r;
}

static void put_history(const struct info *info, const struct revisions *all)
{
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        char label[512];
        for (size_t i = 0; i < all->count; i++) {
                const json_t *annotations = cx_json_get(all->items[i].object, "metadata.annotations");
                const char *cause = json_string_value(json_object_get(annotations, CHANGE_CAUSE));
                cx_buf_printf(&text, "%lld\t%s\n", (long long)all->items[i].number, cause && *cause ? cause : "<none>");
        }
        CX_CLEANUP(cx_freep) char *table = cx_sprintf("REVISION\tCHANGE-CAUSE\n%s", text.data);
        tabs_align(table, 0, 2, &aligned);
        OUT("%s \n%s\n", info_label(info, label), all->count ? aligned.data : "No rollout history found.\n");
}

static int history_of(struct ctl *ctl, const struct info *info, int64_t wanted, struct output *output,
                      struct cx_error *err)
{
        CX_CLEANUP(release_revisions) struct revisions all = {0};
        int r = check_kind(info, "history", err);
        if (r == 0)
                r = list_revisions(ctl, info, &all, err);
        if (r < 0)
                return r;
        const struct revision *found = wanted ? find_revision(&all, wanted) : NULL;
        if (wanted && !found)
                return cx_error_set(err, -ENOENT, "unable to find the specified revision");
        if (output->form == OUTPUT_DEFAULT) {
                if (found)
                        show_revision(ctl, info, found);
                else
                        put_history(info, &all);
                return 0;
        }
        for (size_t i = 0; r == 0 && i < all.count; i++)
                if (!found || found == &all.items[i])
                        r = put_revision(info, &all.items[i], output, err);
        return r;
}

COMMAND(rollout_history)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        INFOS infos = INFOS_INIT;
        int64_t wanted = 0;
        const struct cx_flag flags[] = {
                COMMON_FLAGS,
                {"revision", 0, CX_FLAG_INT, &wanted, "Show this revision in full.", NULL, NULL, 0, INT64_MAX},
                {0}};
        int r = begin(ctl, flags, &builder, &output, argc, argv, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                r = history_of(ctl, infos.items[i], wanted, &output, err);
        return r;
}

// --- undo -----------------------------------------------------------------------------------------------------------
// Annotations after a rollback: the deployment's own bookkeeping stays, the rest comes from the replica set.
static json_t *rolled_back_annotations(const json_t *deployment, const json_t *rs)
{
        static const char *const keep[] = {LAST_APPLIED,
                                           REVISION,
                                           "deployment.kubernetes.io/revision-history",
                                           "deployment.kubernetes.io/desired-replicas",
                                           "deployment.kubernetes.io/max-replicas",
                                           "deprecated.deployment.rollback.to"};
        json_t *result = json_object();
        const char *key;
        json_t *value;
        for (size_t i = 0; i < CX_ARRAY_SIZE(keep); i++) {
                value = json_object_get(cx_json_get(deployment, "metadata.annotations"), keep[i]);
                if (value)
                        json_object_set(result, keep[i], value);
        }
        json_object_foreach (cx_json_get(rs, "metadata.annotations"), key, value) {
                bool skip = false;
                for (size_t i = 0; i < CX_ARRAY_SIZE(keep); i++)
                        skip = skip || strcmp(key, keep[i]) == 0;
                if (!skip)
                        json_object_set(result, key, value);
        }
        return result;
}

static int undo_one(struct ctl *ctl, struct info *info, int64_t wanted, int mode, struct output *output,
                    struct cx_error *err)
{
        CX_CLEANUP(release_revisions) struct revisions all = {0};
        int r = check_kind(info, "rollbacker", err);
        if (r == 0)
                r = list_revisions(ctl, info, &all, err);
        if (r < 0)
                return r;
        const struct revision *before = all.count > 1 ? &all.items[all.count - 2] : NULL;
        const struct revision *to = wanted ? find_revision(&all, wanted) : before;
        if (!to && wanted)
                return cx_error_set(err, -ENOENT, "unable to find specified revision %lld in history",
                                    (long long)wanted);
        if (!to && !is_deployment(info))
                return cx_error_set(err, -ENOENT, "no last revision to roll back to");
        if (!to)
                return cx_error_set(err, -ENOENT, "no rollout history found for %s \"%s\"", info->mapping->singular,
                                    info->name);
        if (cx_json_bool(info->object, "spec.paused", false))
                return cx_error_set(err, -EINVAL,
                                    "you cannot rollback a paused %s; resume it first with 'kubectl rollout "
                                    "resume' and try again",
                                    info->mapping->singular);
        json_auto_t *template = json_deep_copy(template_of(to)), *patch = NULL;
        json_object_del(cx_json_get(template, "metadata.labels"), "pod-template-hash");
        json_object_del(template, "$patch");
        if (json_equal(template, cx_json_get(info->object, "spec.template"))) {
                CX_CLEANUP(cx_freep)
                char *words = cx_sprintf("skipped rollback (current template already matches revision %lld)",
                                         (long long)to->number);
                return output_result(output, info, words, DRY_NONE, err);
        }
        if (mode == DRY_CLIENT && output->form == OUTPUT_DEFAULT) {
                CX_BUF shown = CX_BUF_INIT;
                put_template(ctl, to, &shown);
                return output_result(output, info, shown.data, mode, err);
        }
        if (mode != DRY_CLIENT) {
                enum cx_patch_type type = CX_PATCH_STRATEGIC;
                if (is_deployment(info)) {
                        type = CX_PATCH_JSON;
                        patch = json_pack("[{s:s,s:s,s:O},{s:s,s:s,s:o}]", "op", "replace", "path", "/spec/template",
                                          "value", template, "op", "replace", "path", "/metadata/annotations", "value",
                                          rolled_back_annotations(info->object, to->object));
                } else {
                        patch = json_incref(json_object_get(to->object, "data"));
                }
                r = info_patch(ctl, info, NULL, type, patch, mode, "kubectl-rollout", err);
                if (r < 0)
                        return cx_error_wrap(err, "failed restoring revision %lld", (long long)to->number);
        }
        return output_result(output, info, "rolled back", mode, err);
}

COMMAND(rollout_undo)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        INFOS infos = INFOS_INIT;
        int64_t wanted = 0;
        const char *dry_run = NULL;
        int mode = 0;
        const struct cx_flag flags[] = {COMMON_FLAGS,
                                        DRY_RUN_FLAG(&dry_run),
                                        {"to-revision", 0, CX_FLAG_INT, &wanted,
                                         "The revision to go back to; 0: the one before.", NULL, NULL, 0, INT64_MAX},
                                        {0}};
        int r = begin(ctl, flags, &builder, &output, argc, argv, &infos, err);
        if (r == 0)
                r = dry_run_parse(dry_run, &mode, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                r = undo_one(ctl, infos.items[i], wanted, mode, &output, err);
        return r;
}

// --- restart, pause, resume -----------------------------------------------------------------------------------------
// A second restart within a second has the same moment.
static bool changes_nothing(const json_t *object, const json_t *patch)
{
        static const char when[] = "kubectl.kubernetes.io/restartedAt";
        const json_t *wanted = json_object_get(cx_json_get(patch, "spec.template.metadata.annotations"), when);
        return wanted &&
               json_equal(wanted, json_object_get(cx_json_get(object, "spec.template.metadata.annotations"), when));
}

static int change(struct ctl *ctl, int argc, char **argv, const char *operation,
                  int (*make)(const struct info *info, json_t **ret_patch, struct cx_error *err), struct cx_error *err)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        INFOS infos = INFOS_INIT;
        const char *manager = "kubectl-rollout";
        const struct cx_flag flags[] = {
                COMMON_FLAGS,
                {"field-manager", 0, CX_FLAG_STRING, &manager, "Name of the manager of the fields."},
                {0}};
        int r = begin(ctl, flags, &builder, &output, argc, argv, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status) {
                fprintf(stderr, "No resources found in %s namespace.\n", ctl->namespace);
                return 0;
        }
        for (size_t i = 0; i < infos.count; i++) {
                json_auto_t *patch = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                r = make(infos.items[i], &patch, &failure);
                if (r == 0 && changes_nothing(infos.items[i]->object, patch))
                        r = cx_error_set(
                                &failure, -EALREADY,
                                "failed to create patch for %s: if restart has already been triggered within the "
                                "past second, please wait before attempting to trigger another",
                                infos.items[i]->name);
                if (r == 0)
                        r = info_patch(ctl, infos.items[i], NULL, CX_PATCH_STRATEGIC, patch, DRY_NONE, manager,
                                       &failure);
                if (r == 0)
                        r = output_result(&output, infos.items[i], operation, DRY_NONE, &failure);
                if (r < 0)
                        ctl_report(ctl, &failure);
        }
        return 0;
}

static int refuse(const struct info *info, const char *why, struct cx_error *err)
{
        return cx_error_set(err, -EINVAL, "%s%s%s \"%s\" %s", info->mapping->resource, *info->mapping->group ? "." : "",
                            info->mapping->group, info->name, why);
}

static int make_restart(const struct info *info, json_t **ret_patch, struct cx_error *err)
{
        int r = check_kind(info, "restarter", err);
        if (r < 0)
                return refuse(info, "restarting is not supported", (cx_error_release(err), err));
        if (cx_json_bool(info->object, "spec.paused", false))
                return refuse(info, "can't restart paused deployment (run rollout resume first)", err);
        time_t now = time(NULL);
        struct tm tm;
        char when[40], zone[8];
        localtime_r(&now, &tm);
        size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
        strftime(zone, sizeof zone, "%z", &tm); // +0100 → +01:00, +0000 → Z
        if (strcmp(zone, "+0000") == 0)
                snprintf(when + n, sizeof when - n, "Z");
        else
                snprintf(when + n, sizeof when - n, "%.3s:%s", zone, zone + 3);
        *ret_patch = json_pack("{s:{s:{s:{s:{s:s}}}}}", "spec", "template", "metadata", "annotations",
                               "kubectl.kubernetes.io/restartedAt", when);
        return 0;
}

static int make_pause(const struct info *info, json_t **ret_patch, struct cx_error *err)
{
        if (!is_deployment(info))
                return refuse(info, "pausing is not supported", err);
        if (cx_json_bool(info->object, "spec.paused", false))
                return refuse(info, "is already paused", err);
        *ret_patch = json_pack("{s:{s:b}}", "spec", "paused", 1);
        return 0;
}

static int make_resume(const struct info *info, json_t **ret_patch, struct cx_error *err)
{
        if (!is_deployment(info))
                return refuse(info, "resuming is not supported", err);
        if (!cx_json_bool(info->object, "spec.paused", false))
                return refuse(info, "is not paused", err);
        *ret_patch = json_pack("{s:{s:n}}", "spec", "paused");
        return 0;
}

COMMAND(rollout_restart)
{
        return change(ctl, argc, argv, "restarted", make_restart, err);
}

COMMAND(rollout_pause)
{
        return change(ctl, argc, argv, "paused", make_pause, err);
}

COMMAND(rollout_resume)
{
        return change(ctl, argc, argv, "resumed", make_resume, err);
}
