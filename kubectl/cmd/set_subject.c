// SPDX-License-Identifier: Apache-2.0
// kubectl set subject: adds subjects to role bindings.
#include "kubectl/cmd/commands.h"
#include "kubectl/cmd/subjects.h"

static int add_subjects(struct ctl *ctl, struct output *output, const struct subject_flags *subjects, struct info *info,
                        bool local, int mode, const char *manager, struct cx_error *err)
{
        bool cluster = strcmp(info->mapping->kind, "ClusterRoleBinding") == 0;
        if (!cluster && strcmp(info->mapping->kind, "RoleBinding") != 0)
                return cx_error_set(err, -EINVAL,
                                    "%s/%s setting subjects is only supported for RoleBinding/ClusterRoleBinding",
                                    info->mapping->resource, info->name);
        json_auto_t *wanted = NULL, *now = json_deep_copy(info->object), *patch = NULL;
        int r = subjects_make(subjects, cluster ? NULL : ctl->namespace, &wanted, err);
        if (r < 0)
                return r;
        json_t *list = cx_json_array_at(now, "subjects");
        size_t before = json_array_size(list);
        subjects_add(list, wanted);
        if (json_array_size(list) == before)
                return 0;
        r = info_diff(info, now, &patch, err);
        if (r == 0 && !local && mode != DRY_CLIENT) {
                r = info_patch(ctl, info, NULL, info_patch_type(info), patch, mode, manager, err);
        } else if (r == 0) {
                json_decref(info->object);
                info->object = json_incref(now);
        }
        return r < 0 ? r : output_result(output, info, "subjects updated", mode, err);
}

COMMAND(set_subject)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        CX_CLEANUP(subject_flags_release) struct subject_flags subjects = {0};
        const char *dry_run = NULL, *manager = "kubectl-set";
        bool local = false;
        int mode = DRY_NONE;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                DRY_RUN_FLAG(&dry_run),
                SUBJECT_FLAGS(&subjects),
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types in the namespace."},
                {"local", 0, CX_FLAG_BOOL, &local, "Do not contact the server."},
                {"field-manager", 0, CX_FLAG_STRING, &manager, "Name of the manager of the fields."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, &dry_run, &mode, err);
        builder.local = local;
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        if (r == 0 && !subjects.users.count && !subjects.groups.count && !subjects.accounts.count)
                r = cx_error_set(err, -EINVAL, "you must specify at least one value of user, group or serviceaccount");
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                if (add_subjects(ctl, &output, &subjects, infos.items[i], local, mode, manager, &failure) < 0)
                        ctl_report(ctl, &failure);
        }
        return r;
}
