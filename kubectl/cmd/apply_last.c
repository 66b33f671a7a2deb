// SPDX-License-Identifier: Apache-2.0
// kubectl apply view-last-applied and set-last-applied: the annotation that a client-side apply leaves.
#include "kubectl/cmd/apply.h"
#include "libcommon/schema/engine.h"

COMMAND(apply_view_last)
{
        BUILDER builder = {0};
        OUTPUT output = {.text = "yaml"};
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types."},
                {"output", 'o', CX_FLAG_STRING, &output.text, "yaml or json."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                json_auto_t *original = NULL;
                CX_BUF text = CX_BUF_INIT;
                r = last_applied(infos.items[i]->object, &original, err);
                if (r == 0 && !original)
                        return cx_error_set(err, -ENOENT,
                                            "no last-applied-configuration annotation found on resource: %s",
                                            infos.items[i]->name);
                if (r == 0 && output.form == OUTPUT_JSON) {
                        json_dump_escaped(original, JSON_INDENT(2), &text);
                        cx_buf_add_char(&text, '\n');
                } else if (r == 0) {
                        r = output_object(&output, original, &text, err);
                }
                fputs(text.data, stdout);
        }
        return r;
}

// The merge patch that makes the annotation tell of the object. Owned text in *ret_text.
static json_t *annotation_patch(const json_t *object, char **ret_text)
{
        CX_BUF text = CX_BUF_INIT;
        json_dump_escaped(object, JSON_COMPACT, &text);
        *ret_text = cx_buf_detach(&text);
        return json_pack("{s:{s:{s:s}}}", "metadata", "annotations", LAST_APPLIED, *ret_text);
}

// Compares what the live object says with info->object, which is what the file says.
static int compare_last(struct ctl *ctl, struct info *info, bool create, json_t **ret_patch, struct cx_error *err)
{
        json_auto_t *configuration = json_incref(info->object), *original = NULL;
        CX_CLEANUP(cx_freep) char *text = NULL;
        int r = info_fetch(ctl, info, err);
        if (r == 0)
                r = last_applied(info->object, &original, err);
        if (r < 0)
                return r;
        *ret_patch = NULL;
        if (!original && !create)
                return cx_error_set(err, -ENOENT,
                                    "no last-applied-configuration annotation found on resource: %s, to create the "
                                    "annotation, run the command with --create-annotation",
                                    info->name);
        if (original && json_equal(original, configuration))
                OUT("set-last-applied %s: no changes required.\n", info->name);
        else
                *ret_patch = annotation_patch(configuration, &text);
        return 0;
}

static int set_last(struct ctl *ctl, struct info *info, const json_t *patch, struct output *output, int mode,
                    struct cx_error *err)
{
        int r = 0;
        if (mode == DRY_CLIENT) {
                json_t *patched = cx_patch_merge(info->object, patch);
                json_decref(info->object);
                info->object = patched;
        } else {
                r = info_patch(ctl, info, NULL, CX_PATCH_MERGE, patch, mode, NULL, err);
        }
        return r < 0 ? r : output_result(output, info, "configured", mode, err);
}

COMMAND(apply_set_last)
{
        BUILDER builder = {.local = true};
        OUTPUT output = {0};
        bool create = false;
        const char *dry_run = NULL;
        int mode = DRY_NONE;
        const struct cx_flag flags[] = {
                {"filename", 'f', CX_FLAG_CSV, &builder.files, "Files that hold the configuration; - is stdin."},
                OUTPUT_FLAGS(&output),
                DRY_RUN_FLAG(&dry_run),
                {"create-annotation", 0, CX_FLAG_BOOL, &create, "Also for an object that has no annotation yet."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, &dry_run, &mode, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        json_auto_t *patches = json_array(); // null: nothing is to be done
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                json_t *patch = NULL;
                r = compare_last(ctl, infos.items[i], create, &patch, err);
                json_array_append_new(patches, patch ? patch : json_null());
        }
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                if (!json_is_null(json_array_get(patches, i)))
                        r = set_last(ctl, infos.items[i], json_array_get(patches, i), &output, mode, err);
        return r;
}
