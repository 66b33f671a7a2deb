// SPDX-License-Identifier: Apache-2.0
// kubectl apply: makes live objects as the files say. By default a three-way merge of what was applied before (kept in an
// annotation), what is to be applied now and the live object; with --server-side the server does it.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/selector.h"
#include "libcommon/schema/engine.h"

#define MAX_CONFLICTS 5

struct apply_run {
        struct ctl *ctl;
        struct builder builder;
        struct output output;
        const char *dry_run, *manager, *validate;
        bool server_side, force_conflicts, force;
        struct deletion deletion;
        int mode;
        json_t *printed; // for -o: all objects
};

char *apply_annotation(const json_t *object)
{
        json_auto_t *copy = json_deep_copy(object);
        json_t *metadata = cx_json_object_at(copy, "metadata");
        json_t *annotations = cx_json_object_at(metadata, "annotations");
        json_object_del(annotations, LAST_APPLIED);
        CX_BUF out = CX_BUF_INIT;
        json_dump_escaped(copy, JSON_COMPACT, &out);
        cx_buf_add_char(&out, '\n');
        return cx_buf_detach(&out);
}

static void annotate(json_t *object)
{
        CX_CLEANUP(cx_freep) char *text = apply_annotation(object);
        json_t *annotations = cx_json_object_at(cx_json_object_at(object, "metadata"), "annotations");
        json_object_set_new(annotations, LAST_APPLIED, json_string(text));
}

int apply_patch(const struct cx_resource *schema, const json_t *original, const json_t *modified, const json_t *current,
                json_t **ret_patch, struct cx_error *err)
{
        json_auto_t *none = json_object();
        if (!original)
                original = none;
        if (schema)
                return cx_patch_strategic_three_way(schema->kind->type, original, modified, current, ret_patch, err);
        static const char *const fixed[] = {"apiVersion", "kind", "metadata.name"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fixed); i++)
                if (!cx_streq(cx_json_string(modified, fixed[i]), cx_json_string(current, fixed[i])))
                        return cx_error_set(err, -EINVAL, "at least one of apiVersion, kind and name was changed");
        *ret_patch = cx_patch_merge_three_way(original, modified, current);
        return 0;
}

// What the annotation of a live object says was applied last; NULL when it has none.
static int last_applied(const json_t *current, json_t **ret_original, struct cx_error *err)
{
        const json_t *annotations = cx_json_get(current, "metadata.annotations");
        const char *text = json_string_value(json_object_get(annotations, LAST_APPLIED));
        *ret_original = NULL;
        if (!text)
                return 0;
        int r = cx_json_parse(text, strlen(text), false, ret_original, err);
        if (r < 0 && err)
                err->reason = CX_REASON_UNKNOWN;
        return r;
}

static int send(struct apply_run *apply, const char *method, struct info *info, const json_t *body,
                const char *content_type, bool by_name, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        struct info target = *info;
        if (!by_name)
                target.name = NULL;
        info_path(&target, NULL, &path);
        cx_rest_query(&path, "fieldManager",
                      apply->manager       ? apply->manager
                      : apply->server_side ? "kubectl"
                                           : "kubectl-client-side-apply");
        cx_rest_query(&path, "fieldValidation", field_validation(apply->validate));
        cx_rest_query(&path, "dryRun", apply->mode == DRY_SERVER ? "All" : NULL);
        if (apply->server_side)
                cx_rest_query(&path, "force", apply->force_conflicts ? "true" : "false");
        json_t *object = NULL;
        int r = ctl_json(apply->ctl, method, path.data, content_type, body, &object, err);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = object;
        return 0;
}

static int show(struct apply_run *apply, const struct info *info, const char *operation, struct cx_error *err)
{
        if (apply->output.form == OUTPUT_DEFAULT || apply->output.form == OUTPUT_NAME)
                return output_result(&apply->output, info, operation, apply->mode, err);
        json_array_append(apply->printed, info->object);
        return 0;
}

static int create(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        if (apply->mode != DRY_CLIENT) {
                json_auto_t *body = json_incref(info->object);
                int r = send(apply, "POST", info, body, NULL, false, err);
                if (r < 0)
                        return info_wrap(info, "creating", err);
        }
        return show(apply, info, "created", err);
}

static void warn_unmanaged(const struct info *info)
{
        fflush(stdout);
        fprintf(stderr,
                "Warning: resource %s/%s is missing the %s annotation which is required by kubectl apply. kubectl "
                "apply "
                "should only be used on resources created declaratively by either kubectl create --save-config or "
                "kubectl apply. The missing annotation will be patched automatically.\n",
                info->mapping->resource, info->name, LAST_APPLIED);
}

static int replace_by_force(struct apply_run *apply, struct info *info, json_t *modified, struct cx_error *err)
{
        INFOS one = INFOS_INIT;
        infos_add(&one, info->mapping, info->namespace, info->name);
        struct deletion how = apply->deletion;
        how.wait = true;
        how.quiet_output = true;
        int r = delete_infos(apply->ctl, &one, &how, err);
        if (r < 0)
                return r;
        return send(apply, "POST", info, modified, NULL, false, err);
}

static int patch(struct apply_run *apply, struct info *info, json_t *modified, struct cx_error *err)
{
        for (int attempt = 1;; attempt++) {
                json_auto_t *original = NULL, *change = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                int r = last_applied(info->object, &original, err);
                if (r == 0)
                        r = apply_patch(info->mapping->schema, original, modified, info->object, &change, err);
                if (r < 0)
                        return info_wrap(info, "creating patch with", err);
                if (!json_object_size(change) && apply->mode != DRY_CLIENT)
                        return show(apply, info, "unchanged", err);
                if (apply->mode == DRY_CLIENT) {
                        json_t *patched = NULL;
                        if (info->mapping->schema)
                                r = cx_patch_strategic(info->mapping->schema->kind->type, info->object, change,
                                                       &patched, err);
                        else
                                patched = cx_patch_merge(info->object, change);
                        if (r < 0)
                                return r;
                        json_decref(info->object);
                        info->object = patched;
                        return show(apply, info, "configured", err);
                }
                r = send(apply, "PATCH", info, change, cx_patch_content_type(info_patch_type(info)), true, &failure);
                if (r == 0)
                        return show(apply, info, "configured", err);
                bool conflict = failure.reason == CX_REASON_CONFLICT;
                if (conflict && attempt < MAX_CONFLICTS && info_fetch(apply->ctl, info, NULL) == 0)
                        continue;
                if (apply->force && (conflict || failure.reason == CX_REASON_INVALID)) {
                        r = replace_by_force(apply, info, modified, err);
                        return r < 0 ? r : show(apply, info, "configured", err);
                }
                if (failure.reason != CX_REASON_INVALID && info->source) {
                        CX_BUF text = CX_BUF_INIT;
                        char resource[256], kind[256];
                        json_dump_escaped(change, JSON_COMPACT, &text);
                        cx_error_wrap(&failure,
                                      "error when applying patch:\n%s\nto:\nResource: \"%s\", GroupVersionKind: "
                                      "\"%s\"\nName: "
                                      "\"%s\", Namespace: \"%s\"\nfor: \"%s\": error when patching \"%s\"",
                                      text.data, mapping_resource_text(info->mapping, resource),
                                      mapping_kind_text(info->mapping, kind), info->name, cx_str(info->namespace),
                                      info->source, info->source);
                }
                return cx_error_move(err, &failure);
        }
}

static int apply_one(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        if (apply->server_side) {
                json_auto_t *body = json_incref(info->object);
                int r = send(apply, "PATCH", info, body, cx_patch_content_type(CX_PATCH_APPLY), true, err);
                return r < 0 ? r : show(apply, info, "serverside-applied", err);
        }
        annotate(info->object);
        json_auto_t *modified = json_incref(info->object);
        CX_ERROR failure = CX_ERROR_INIT;
        int r = info_fetch(apply->ctl, info, &failure);
        if (r < 0 && failure.reason == CX_REASON_NOT_FOUND)
                return create(apply, info, err);
        if (r < 0) {
                if (failure.reason != CX_REASON_UNKNOWN)
                        cx_error_wrap(&failure, "error when retrieving current configuration of:\nResource: \"%s\"",
                                      info->mapping->resource);
                return cx_error_move(err, &failure);
        }
        const json_t *annotations = cx_json_get(info->object, "metadata.annotations");
        if (!json_object_get(annotations, LAST_APPLIED))
                warn_unmanaged(info);
        return patch(apply, info, modified, err);
}

static int show_printed(struct apply_run *apply, struct cx_error *err)
{
        if (!json_array_size(apply->printed))
                return 0;
        json_auto_t *shown = json_array_size(apply->printed) == 1
                                     ? json_incref(json_array_get(apply->printed, 0))
                                     : json_pack("{s:s,s:O,s:s,s:{}}", "apiVersion", "v1", "items", apply->printed,
                                                 "kind", "List", "metadata");
        CX_BUF text = CX_BUF_INIT;
        int r = output_object(&apply->output, shown, &text, err);
        fputs(text.data, stdout);
        return r;
}

static void release_apply(struct apply_run *apply)
{
        builder_release(&apply->builder);
        output_release(&apply->output);
        json_decref(apply->printed);
}

COMMAND(apply)
{
        CX_CLEANUP(release_apply)
        struct apply_run apply = {
                .ctl = ctl, .builder = {.applies = true}, .deletion = {.grace = -1}, .printed = json_array()};
        const struct cx_flag flags[] = {
                FILE_FLAGS(&apply.builder),
                OUTPUT_FLAGS(&apply.output),
                DRY_RUN_FLAG(&apply.dry_run),
                {"selector", 'l', CX_FLAG_STRING, &apply.builder.selector,
                 "Only the objects of the files with these labels."},
                {"server-side", 0, CX_FLAG_BOOL, &apply.server_side, "Let the server merge."},
                {"force-conflicts", 0, CX_FLAG_BOOL, &apply.force_conflicts, "Take fields over from other managers."},
                {"field-manager", 0, CX_FLAG_STRING, &apply.manager, "Name of the manager of the fields."},
                {"force", 0, CX_FLAG_BOOL, &apply.force, "Delete and create what cannot be patched."},
                {"grace-period", 0, CX_FLAG_INT, &apply.deletion.grace, "Seconds for --force's deletion.", NULL, NULL,
                 -1, INT32_MAX},
                {"timeout", 0, CX_FLAG_DURATION, &apply.deletion.timeout, "How long --force waits for a deletion."},
                {"cascade", 0, CX_FLAG_STRING, &apply.deletion.cascade, "How --force treats dependents.", "background"},
                {"validate", 0, CX_FLAG_STRING, &apply.validate, "Field validation: strict, warn or ignore.", "strict"},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &apply.output, &apply.dry_run, &apply.mode, err);
        if (r == 0)
                r = check_validation(apply.validate, err);
        if (r < 0)
                return r;
        if (args.count)
                return ctl_usage_error(ctl, err, "Unexpected args: [%s]", args.items[0]);
        if (!apply.builder.files.count && !apply.builder.kustomize)
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        if (apply.force_conflicts && !apply.server_side)
                return cx_error_set(err, -EINVAL, "--force-conflicts only works with --server-side");
        if (apply.mode == DRY_CLIENT && apply.server_side)
                return cx_error_set(err, -EINVAL,
                                    "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server "
                                    "instead?)");
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        if (apply.builder.selector && (r = cx_selector_parse_labels(apply.builder.selector, &selector, err)) < 0)
                return r;
        INFOS infos = INFOS_INIT;
        r = builder_targets(ctl, &apply.builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status)
                return cx_error_set(err, -EINVAL, "no objects passed to apply");
        for (size_t i = 0; i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                if (apply.builder.selector &&
                    !cx_selector_matches(&selector, cx_json_get(infos.items[i]->object, "metadata.labels")))
                        continue;
                r = apply_one(&apply, infos.items[i], &failure);
                if (r < 0 && (failure.reason == CX_REASON_UNKNOWN && infos.count == 1))
                        return cx_error_move(err, &failure);
                if (r < 0)
                        ctl_report(ctl, &failure);
        }
        return show_printed(&apply, err);
}

COMMAND(apply_view_last)
{
        BUILDER builder = {0};
        OUTPUT output = {.text = "yaml"};
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                SELECTOR_FLAGS(&builder),
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
