// SPDX-License-Identifier: Apache-2.0
// kubectl delete, and waiting until the deleted objects are gone.
#include "kubectl/cmd/commands.h"
#include "libcommon/base/time.h"

#include <strings.h>

static json_t *delete_body(const struct deletion *how, struct cx_error *err)
{
        json_t *body = json_pack("{s:s,s:s}", "kind", "DeleteOptions", "apiVersion", "v1");
        const char *cascade = how->cascade ? how->cascade : "background";
        const char *policy = cx_streq(cascade, "background") || cx_streq(cascade, "true") ? "Background"
                             : cx_streq(cascade, "orphan") || cx_streq(cascade, "false")  ? "Orphan"
                             : cx_streq(cascade, "foreground")                            ? "Foreground"
                                                                                          : NULL;
        if (!policy) {
                json_decref(body);
                cx_error_set(err, -EINVAL,
                             "invalid cascade value (%s). Must be \"background\", \"foreground\", or \"orphan\"",
                             cascade);
                return NULL;
        }
        json_object_set_new(body, "propagationPolicy", json_string(policy));
        int64_t grace = how->force && how->grace < 0 ? 0 : how->now ? 1 : how->grace;
        if (grace >= 0)
                json_object_set_new(body, "gracePeriodSeconds", json_integer(grace));
        if (how->dry_run == DRY_SERVER)
                json_object_set_new(body, "dryRun", json_pack("[s]", "All"));
        return body;
}

static void show_deleted(const struct info *info, const struct deletion *how)
{
        char label[512];
        if (how->name_output) {
                OUT("%s\n", info_label(info, label));
                return;
        }
        OUT("%s \"%s\" %sdeleted", mapping_label(info->mapping, label), info->name, how->force ? "force " : "");
        if (info->namespace)
                OUT(" from %s namespace", info->namespace);
        OUT("%s\n", dry_run_suffix(how->dry_run));
}

struct gone {
        const char *uid;
};

static int is_gone(void *context, const json_t *object, struct cx_error *err CX_UNUSED)
{
        const struct gone *gone = context;
        return !object || (gone->uid && !cx_streq(gone->uid, cx_json_string(object, "metadata.uid")));
}

static int wait_gone(struct ctl *ctl, const struct infos *infos, json_t *const *answers, int64_t timeout,
                     struct cx_error *err)
{
        int64_t deadline = cx_time_monotonic() + timeout;
        for (size_t i = 0; i < infos->count; i++) {
                if (!answers[i])
                        continue;
                // the answer is the object that is on its way out, or a Status
                const char *uid = cx_json_string(answers[i], "metadata.uid");
                if (!uid)
                        uid = cx_json_string(answers[i], "details.uid");
                struct gone gone = {uid};
                int64_t left = timeout > 0 ? deadline - cx_time_monotonic() : -1;
                int r = timeout > 0 && left <= 0 ? -ETIMEDOUT
                                                 : watch_object(ctl, infos->items[i], left, is_gone, &gone, err);
                if (r == -ETIMEDOUT && (!err || !err->code))
                        return cx_error_set(err, r, "timed out waiting for the condition on %s/%s",
                                            infos->items[i]->mapping->resource, infos->items[i]->name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int delete_infos(struct ctl *ctl, struct infos *infos, const struct deletion *how, struct cx_error *err)
{
        json_auto_t *body = delete_body(how, err);
        if (!body)
                return err ? err->code : -EINVAL;
        json_t **answers = cx_alloc_array(infos->count + 1, sizeof *answers);
        int r = 0;
        for (size_t i = 0; r == 0 && i < infos->count; i++) {
                const struct info *info = infos->items[i];
                CX_BUF path = CX_BUF_INIT;
                CX_ERROR failure = CX_ERROR_INIT;
                ctl->position = -1; // before what could not be read
                info_path(info, NULL, &path);
                if (how->dry_run != DRY_CLIENT) {
                        int status = ctl_json(ctl, "DELETE", path.data, NULL, body, &answers[i], &failure);
                        if (status < 0 && failure.reason == CX_REASON_UNKNOWN) {
                                r = cx_error_move(err, &failure);
                                break;
                        }
                        if (status < 0 && failure.reason == CX_REASON_NOT_FOUND && how->ignore_not_found)
                                continue;
                        if (status < 0) {
                                if (failure.reason == CX_REASON_NOT_FOUND && info->source)
                                        info_wrap(info, "deleting", &failure);
                                ctl_report(ctl, &failure);
                                continue;
                        }
                }
                if (!how->quiet_output)
                        show_deleted(info, how);
        }
        fflush(stdout);
        if (r == 0 && how->wait && how->dry_run == DRY_NONE)
                r = wait_gone(ctl, infos, answers, how->timeout, err);
        for (size_t i = 0; i < infos->count; i++)
                json_decref(answers[i]);
        free(answers);
        return r;
}

static int check(struct deletion *how, const struct builder *builder, struct cx_error *err)
{
        if (how->now && how->grace >= 0)
                return cx_error_set(err, -EINVAL, "--now and --grace-period cannot be specified together");
        if (how->grace == 0 && !how->force)
                how->grace = 1; // an immediate deletion needs --force
        if (how->force && how->grace > 0)
                return cx_error_set(err, -EINVAL,
                                    "--force and --grace-period greater than 0 cannot be specified together");
        if (builder->all && (builder->selector || builder->field_selector))
                return cx_error_set(err, -EINVAL, "setting 'all' parameter but found a non empty selector. ");
        if (how->force && how->dry_run == DRY_NONE)
                fprintf(stderr, "Warning: Immediate deletion does not wait for confirmation that the running resource "
                                "has been terminated. The resource may continue to run on the cluster indefinitely.\n");
        return 0;
}

// Asks; only "y" and "yes" go on.
static bool confirm(const struct infos *infos)
{
        char label[512], answer[16];
        OUT("You are about to delete the following %zu resource(s):\n", infos->count);
        for (size_t i = 0; i < infos->count; i++)
                OUT("%s\n", info_label(infos->items[i], label));
        OUT("Do you want to continue? (y/N): ");
        fflush(stdout);
        if (!fgets(answer, sizeof answer, stdin))
                return false;
        answer[strcspn(answer, "\n")] = 0;
        return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

COMMAND(delete)
{
        bool interactive = false;
        BUILDER builder = {0};
        OUTPUT output = {0};
        struct deletion how = {.grace = -1, .wait = true};
        const char *dry_run = NULL, *raw = NULL;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                SELECTOR_FLAGS(&builder),
                DRY_RUN_FLAG(&dry_run),
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types in the namespace."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &builder.all_namespaces, "Objects of all namespaces."},
                {"cascade", 0, CX_FLAG_STRING, &how.cascade, "background, foreground or orphan.", "background"},
                {"force", 0, CX_FLAG_BOOL, &how.force, "Delete at once, without a graceful end."},
                {"grace-period", 0, CX_FLAG_INT, &how.grace, "Seconds for a graceful end.", NULL, NULL, -1, INT32_MAX},
                {"ignore-not-found", 0, CX_FLAG_BOOL, &how.ignore_not_found, "A missing object is not an error."},
                {"interactive", 'i', CX_FLAG_BOOL, &interactive, "Ask before deleting."},
                {"now", 0, CX_FLAG_BOOL, &how.now, "End after one second."},
                {"output", 'o', CX_FLAG_STRING, &output.text, "\"name\" for shorter output."},
                {"raw", 0, CX_FLAG_STRING, &raw, "URI to DELETE as it is."},
                {"timeout", 0, CX_FLAG_DURATION, &how.timeout, "How long to wait; 0: by the size of the object."},
                {"wait", 0, CX_FLAG_BOOL, &how.wait, "Wait until the objects are gone."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = dry_run_parse(dry_run, &how.dry_run, err);
        if (r == 0)
                r = check(&how, &builder, err);
        if (r < 0)
                return r;
        if (output.text && strcmp(output.text, "name") != 0)
                return cx_error_set(err, -EINVAL, "unexpected -o output mode: %s. We only support '-o name'",
                                    output.text);
        how.name_output = output.text != NULL;
        if (raw && args.count)
                return cx_error_set(err, -EINVAL, "arguments may not be passed when --raw is specified");
        if (raw && output.text)
                return cx_error_set(err, -EINVAL, "--raw and --output are mutually exclusive");
        if (raw)
                return ctl_json(ctl, "DELETE", raw, NULL, NULL, NULL, err);
        bool picks = builder.selector || builder.field_selector || builder.all;
        json_auto_t *checked = delete_body(&how, err); // before anything is looked for
        if (!checked)
                return err ? err->code : -EINVAL;
        how.ignore_not_found = how.ignore_not_found || builder.all || builder.selector;
        INFOS targets = INFOS_INIT, infos = INFOS_INIT;
        r = builder_targets(ctl, &builder, &args, &targets, err);
        if (r == 0)
                r = builder_expand(ctl, &builder, &targets, &infos, err);
        if (r < 0)
                return r;
        if (picks && !infos.count) {
                OUT("No resources found\n");
                return 0;
        }
        if (interactive && how.dry_run == DRY_NONE && !confirm(&infos)) {
                OUT("deletion is cancelled\n");
                return 0;
        }
        return delete_infos(ctl, &infos, &how, err);
}
