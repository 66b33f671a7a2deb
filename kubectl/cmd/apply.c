// SPDX-License-Identifier: Apache-2.0
// kubectl apply: makes live objects as the files say. By default a three-way merge of what was applied before (kept in an
// annotation), what is to be applied now and the live object; with --server-side the server does it.
#include "kubectl/cmd/apply.h"
#include "libcommon/schema/engine.h"

#define MAX_CONFLICTS 5

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

int last_applied(const json_t *current, json_t **ret_original, struct cx_error *err)
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

int apply_send(struct apply_run *apply, const char *method, struct info *info, const json_t *body,
               const char *content_type, bool by_name, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        struct info target = *info;
        if (!by_name)
                target.name = NULL;
        info_path(&target, apply->subresource, &path);
        cx_rest_query(&path, "fieldManager",
                      apply->manager       ? apply->manager
                      : apply->server_side ? "kubectl"
                                           : "kubectl-client-side-apply");
        cx_rest_query(&path, "fieldValidation", field_validation(apply->validate));
        cx_rest_query(&path, "dryRun", apply->mode == DRY_SERVER ? "All" : NULL);
        if (cx_streq(content_type, cx_patch_content_type(CX_PATCH_APPLY)))
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
        const char *uid = cx_json_string(info->object, "metadata.uid");
        if (uid)
                cx_strings_add(&apply->uids, uid);
        if (apply->output.form == OUTPUT_DEFAULT || apply->output.form == OUTPUT_NAME)
                return output_result(&apply->output, info, operation, apply->mode, err);
        json_array_append(apply->printed, info->object);
        return 0;
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

static void warn_if_deleting(const struct info *info)
{
        if (!cx_json_get(info->object, "metadata.deletionTimestamp"))
                return;
        fflush(stdout);
        fprintf(stderr, "Warning: Detected changes to resource %s which is currently being deleted.\n", info->name);
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
        return apply_send(apply, "POST", info, modified, NULL, false, err);
}

// What was to be done to what, before what the server says.
static void wrap_patch_failure(const struct info *info, const json_t *change, struct cx_error *failure)
{
        CX_BUF text = CX_BUF_INIT;
        char resource[256], kind[256];
        if (!info->source)
                return;
        json_dump_escaped(change, JSON_COMPACT, &text);
        cx_error_wrap(failure,
                      "error when applying patch:\n%s\nto:\nResource: \"%s\", GroupVersionKind: \"%s\"\nName: "
                      "\"%s\", Namespace: \"%s\"\nfor: \"%s\": error when patching \"%s\"",
                      text.data, mapping_resource_text(info->mapping, resource), mapping_kind_text(info->mapping, kind),
                      info->name, cx_str(info->namespace), info->source, info->source);
}

int apply_merge(struct apply_run *apply, struct info *info, json_t *modified, bool *ret_unchanged, struct cx_error *err)
{
        for (int attempt = 1;; attempt++) {
                json_auto_t *original = NULL, *change = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                int r = last_applied(info->object, &original, err);
                if (r == 0)
                        r = apply_patch(info->mapping->schema, original, modified, info->object, &change, err);
                if (r < 0)
                        return info_wrap(info, "creating patch with", err);
                *ret_unchanged = !json_object_size(change);
                if (*ret_unchanged)
                        return 0;
                r = apply_send(apply, "PATCH", info, change, cx_patch_content_type(info_patch_type(info)), true,
                               &failure);
                if (r == 0)
                        return 0;
                bool conflict = failure.reason == CX_REASON_CONFLICT;
                if (conflict && attempt < MAX_CONFLICTS && info_fetch(apply->ctl, info, NULL) == 0)
                        continue;
                if (apply->force && (conflict || failure.reason == CX_REASON_INVALID))
                        return replace_by_force(apply, info, modified, err);
                wrap_patch_failure(info, change, &failure);
                return cx_error_move(err, &failure);
        }
}

static int create(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        if (apply->mode != DRY_CLIENT) {
                json_auto_t *body = json_incref(info->object);
                int r = apply_send(apply, "POST", info, body, NULL, false, err);
                if (r < 0)
                        return info_wrap(info, "creating", err);
        }
        return show(apply, info, "created", err);
}

static int apply_here(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        annotate(info->object);
        json_auto_t *modified = json_incref(info->object);
        CX_ERROR failure = CX_ERROR_INIT;
        bool unchanged = false;
        int r = info_fetch(apply->ctl, info, &failure);
        if (r < 0 && failure.reason == CX_REASON_NOT_FOUND)
                return create(apply, info, err);
        if (r < 0) {
                if (failure.reason != CX_REASON_UNKNOWN)
                        cx_error_wrap(&failure, "error when retrieving current configuration of:\nResource: \"%s\"",
                                      info->mapping->resource);
                return cx_error_move(err, &failure);
        }
        if (apply->mode == DRY_CLIENT)
                return show(apply, info, "configured", err);
        if (!json_object_get(cx_json_get(info->object, "metadata.annotations"), LAST_APPLIED))
                warn_unmanaged(info);
        r = apply_merge(apply, info, modified, &unchanged, err);
        if (r < 0)
                return r;
        warn_if_deleting(info);
        return show(apply, info, unchanged ? "unchanged" : "configured", err);
}

static int apply_one(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        if (info->namespace && !cx_strings_has(&apply->namespaces, info->namespace))
                cx_strings_add(&apply->namespaces, info->namespace);
        if (!apply->server_side)
                return apply_here(apply, info, err);
        int r = apply_on_server(apply, info, err);
        if (r < 0)
                return r;
        warn_if_deleting(info);
        return show(apply, info, "serverside-applied", err);
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

static int prune(struct apply_run *apply, const struct infos *kinds, struct cx_error *err)
{
        INFOS gone = INFOS_INIT;
        struct deletion how = apply->deletion;
        how.quiet_output = true;
        how.dry_run = apply->mode;
        int r = prune_find(apply, kinds, &gone, err);
        for (size_t i = 0; r == 0 && i < gone.count; i++) {
                struct infos one = {&gone.items[i], 1};
                r = delete_infos(apply->ctl, &one, &how, err);
                if (r == 0)
                        r = output_result(&apply->output, gone.items[i], "pruned", apply->mode, err);
        }
        return r;
}

void apply_release(struct apply_run *apply)
{
        builder_release(&apply->builder);
        output_release(&apply->output);
        cx_strings_release(&apply->prune_allowlist);
        cx_strings_release(&apply->namespaces);
        cx_strings_release(&apply->uids);
        json_decref(apply->printed);
}

static int check(const struct apply_run *apply, struct cx_error *err)
{
        const char *wrong = NULL;
        if (apply->force_conflicts && !apply->server_side)
                wrong = "--force-conflicts only works with --server-side";
        else if (apply->mode == DRY_CLIENT && apply->server_side)
                wrong = "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)";
        else if (apply->force && apply->server_side)
                wrong = "--force cannot be used with --server-side";
        else if (apply->mode == DRY_SERVER && apply->force)
                wrong = "--dry-run=server cannot be used with --force";
        else if (apply->subresource && !apply->server_side)
                wrong = "--subresource can only be specified for --server-side";
        else if (!apply->overwrite)
                wrong = "--overwrite=false is not supported: what the files say always replaces what is live";
        else if (apply->builder.all && apply->builder.selector)
                wrong = "cannot set --all and --selector at the same time";
        else if (apply->prune && !apply->builder.all && !apply->builder.selector)
                wrong = "all resources selected for prune without explicitly passing --all. To prune all resources, "
                        "pass the --all flag. If you did not mean to prune all resources, specify a label selector";
        else if (apply->prune && apply->server_side)
                wrong = "--prune is in alpha and doesn't currently work on objects created by server-side apply";
        return wrong ? cx_error_set(err, -EINVAL, "%s", wrong) : 0;
}

static int apply_all(struct apply_run *apply, struct infos *infos, struct cx_error *err)
{
        for (size_t i = 0; i < infos->count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                int r = apply_one(apply, infos->items[i], &failure);
                if (r < 0 && failure.reason == CX_REASON_UNKNOWN && infos->count == 1 && !apply->ctl->status)
                        return cx_error_move(err, &failure);
                if (r < 0)
                        ctl_report(apply->ctl, &failure);
        }
        return 0;
}

COMMAND(apply)
{
        CX_CLEANUP(apply_release)
        struct apply_run apply = {.ctl = ctl,
                                  .builder = {.applies = true},
                                  .deletion = {.grace = -1},
                                  .overwrite = true,
                                  .printed = json_array()};
        // False asks for the kinds that kubectl itself knows, and for merge patches of all others: that is what is always done.
        bool openapi_patch = true;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&apply.builder),
                OUTPUT_FLAGS(&apply.output),
                DRY_RUN_FLAG(&apply.dry_run),
                SERVER_SIDE_FLAGS(&apply),
                PRUNE_FLAGS(&apply),
                {"selector", 'l', CX_FLAG_STRING, &apply.builder.selector,
                 "Only the objects of the files with these labels."},
                {"all", 0, CX_FLAG_BOOL, &apply.builder.all, "Let --prune look at all objects."},
                {"subresource", 0, CX_FLAG_STRING, &apply.subresource, "Apply to this subresource (--server-side)."},
                {"overwrite", 0, CX_FLAG_BOOL, &apply.overwrite, "Replace what is live; must be true."},
                {"openapi-patch", 0, CX_FLAG_BOOL, &openapi_patch,
                 "True and false are alike: kinds of Kubernetes are patched by the schema in kubectl, others by "
                 "merge."},
                {"force", 0, CX_FLAG_BOOL, &apply.force, "Delete and create what cannot be patched."},
                {"grace-period", 0, CX_FLAG_INT, &apply.deletion.grace, "Seconds for --force's deletion.", NULL, NULL,
                 -1, INT32_MAX},
                {"timeout", 0, CX_FLAG_DURATION, &apply.deletion.timeout, "How long --force waits for a deletion."},
                {"wait", 0, CX_FLAG_BOOL, &apply.deletion.wait, "Wait until what was pruned is gone."},
                {"cascade", 0, CX_FLAG_STRING, &apply.deletion.cascade, "How --force treats dependents.", "background"},
                {"validate", 0, CX_FLAG_STRING, &apply.validate, "Field validation: strict, warn or ignore.", "strict"},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT, kinds = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &apply.output, &apply.dry_run, &apply.mode, err);
        if (r == 0)
                r = check_validation(apply.validate, err);
        if (r < 0)
                return r;
        if (args.count)
                return ctl_unexpected_args(ctl, &args, err);
        if (!apply.builder.files.count && !apply.builder.kustomize)
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        apply.builder.validates = validates(apply.validate);
        r = check(&apply, err);
        if (r == 0 && apply.prune)
                r = prune_parse(&apply, &kinds, err);
        if (r == 0)
                r = builder_targets(ctl, &apply.builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status)
                return cx_error_set(err, -EINVAL, "no objects passed to apply");
        size_t unread = json_array_size(ctl->errors);
        r = apply_all(&apply, &infos, err);
        ctl_join_errors(ctl, unread);
        if (r == 0)
                r = show_printed(&apply, err);
        if (r == 0 && apply.prune && !ctl->status)
                r = prune(&apply, &kinds, err);
        return r;
}
