// SPDX-License-Identifier: Apache-2.0
// kubectl create -f and replace, and sending the objects that the other create commands make.
#include "kubectl/cmd/commands.h"

const char *cx_field_validation(const char *flag)
{
        if (!flag || cx_streq(flag, "strict") || cx_streq(flag, "true"))
                return "Strict";
        if (cx_streq(flag, "warn"))
                return "Warn";
        return "Ignore";
}

int cx_check_validation(const char *flag, struct cx_error *err)
{
        static const char *const values[] = {"strict", "true", "warn", "ignore", "false"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(values); i++)
                if (!flag || strcmp(flag, values[i]) == 0)
                        return 0;
        return cx_error_set(
                err, -EINVAL,
                "invalid - validate option \"%s\"; must be one of: strict (or true), warn, ignore (or false)", flag);
}

int cx_create_prepare(struct cx_ctl *ctl, struct cx_create *create, struct cx_error *err)
{
        int r = cx_output_parse(ctl, &create->output, err);
        if (r == 0)
                r = cx_dry_run_parse(create->dry_run, &create->mode, err);
        return r == 0 ? cx_check_validation(create->validate, err) : r;
}

void cx_create_release(struct cx_create *create)
{
        cx_output_release(&create->output);
}

static int check_required(const struct cx_required *required, struct cx_error *err)
{
        CX_BUF missing = CX_BUF_INIT;
        for (; required && required->flag; required++)
                if (required->text ? !*required->text : !required->list->count)
                        cx_buf_printf(&missing, "%s\"%s\"", missing.length ? ", " : "", required->flag);
        return missing.length ? cx_error_set(err, -EINVAL, "required flag(s) %s not set", missing.data) : 0;
}

int cx_create_begin(struct cx_ctl *ctl, struct cx_create *create, const struct cx_flag *flags,
                    const struct cx_required *required, int argc, char **argv, struct cx_strings *args, int *ret_dash,
                    struct cx_error *err)
{
        int dash = -1, r = cx_ctl_parse(ctl, flags, argc, argv, args, &dash, err);
        if (r == 0)
                r = check_required(required, err);
        if (r < 0)
                return r;
        size_t names = ret_dash && dash >= 0 ? (size_t)dash : args->count;
        if (names != 1)
                return cx_ctl_usage_error(ctl, err, "exactly one NAME is required, got %zu", names);
        if (ret_dash)
                *ret_dash = dash;
        return cx_create_prepare(ctl, create, err);
}

json_t *cx_words_after(const struct cx_strings *args, int dash)
{
        json_t *words = json_array();
        for (size_t i = (size_t)dash; dash >= 0 && i < args->count; i++)
                json_array_append_new(words, json_string(args->items[i]));
        return words;
}

json_t *cx_strings_json(const struct cx_strings *list)
{
        return cx_words_after(list, 0);
}

static void collection_path(const struct cx_info *info, struct cx_buf *path)
{
        struct cx_info collection = *info;
        collection.name = NULL;
        cx_info_path(&collection, NULL, path);
}

// Sends info->object; the answer takes its place.
static int send_object(struct cx_ctl *ctl, const char *method, const char *path, struct cx_info *info,
                       struct cx_error *err)
{
        json_t *object = NULL;
        int r = cx_ctl_json(ctl, method, path, NULL, info->object, &object, err);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = object;
        return 0;
}

static void add_write_options(const struct cx_create *create, const char *manager, struct cx_buf *path)
{
        cx_rest_query(path, "fieldManager", create->manager ? create->manager : manager);
        cx_rest_query(path, "fieldValidation", cx_field_validation(create->validate));
        cx_rest_query(path, "dryRun", create->mode == CX_DRY_SERVER ? "All" : NULL);
}

int cx_create_info(struct cx_ctl *ctl, struct cx_create *create, struct cx_info *info, struct cx_error *err)
{
        if (create->save_config) {
                CX_CLEANUP(cx_freep) char *text = cx_apply_annotation(info->object);
                json_t *annotations = cx_json_object_at(cx_json_object_at(info->object, "metadata"), "annotations");
                json_object_set_new(annotations, CX_LAST_APPLIED, json_string(text));
        }
        if (create->mode != CX_DRY_CLIENT) {
                CX_BUF path = CX_BUF_INIT;
                collection_path(info, &path);
                add_write_options(create, "kubectl-create", &path);
                if (send_object(ctl, "POST", path.data, info, err) < 0)
                        return cx_info_wrap(info, "creating", err);
                const char *name = cx_json_string(info->object, "metadata.name"); // generateName
                free(info->name);
                info->name = cx_strdup(name);
        }
        return cx_output_result(&create->output, info, create->operation ? create->operation : "created", create->mode,
                                err);
}

// For some kinds upstream words the server's answer anew: "failed to create deployment: ...".
static int name_failure(const struct cx_ctl *ctl, const json_t *object, struct cx_error *err)
{
        static const char *const kinds[] = {"Deployment", "ConfigMap",      "Secret",
                                            "Service",    "ServiceAccount", "Job",
                                            "CronJob",    "RoleBinding",    "ClusterRoleBinding"};
        const char *kind = cx_json_string_or(object, "kind", "");
        if (!err || err->reason == CX_REASON_UNKNOWN || !cx_has_prefix(ctl->path, "create "))
                return err ? err->code : -EIO;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++) {
                if (strcmp(kind, kinds[i]) != 0)
                        continue;
                bool service = strcmp(kind, "Service") == 0, secret = strcmp(kind, "Secret") == 0;
                CX_CLEANUP(cx_freep) char *word = cx_strdup(kind);
                for (char *p = word; *p; p++)
                        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
                CX_ERROR local = CX_ERROR_INIT;
                cx_error_set(&local, err->code, "failed to create %s%s%s%s %s",
                             service ? cx_json_string_or(object, "spec.type", "") : "", service ? " " : "", word,
                             secret ? "" : ":", cx_error_text(err));
                cx_error_release(err);
                return cx_error_move(err, &local);
        }
        return err->code;
}

int cx_create_object(struct cx_ctl *ctl, struct cx_create *create, json_t *object_steal, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        const struct cx_mapping *mapping = NULL;
        CX_INFOS infos = CX_INFOS_INIT;
        int r = cx_ctl_config(ctl, err);
        if (r == 0)
                r = cx_ctl_connect(ctl, err);
        if (r == 0)
                r = cx_mapping_by_kind(ctl, cx_json_string_or(object, "apiVersion", "v1"),
                                       cx_json_string_or(object, "kind", ""), &mapping, err);
        if (r < 0 || !mapping)
                return err && err->code ? r
                                        : cx_error_set(err, -ENOENT, "the server has no kind %s",
                                                       cx_json_string_or(object, "kind", ""));
        if (mapping->namespaced &&
            (create->mode != CX_DRY_CLIENT || ctl->namespace_flag || create->output.form == CX_OUTPUT_DEFAULT)) {
                json_t *metadata = cx_json_object_at(object, "metadata");
                if (!json_object_get(metadata, "namespace"))
                        json_object_set_new(metadata, "namespace", json_string(ctl->namespace));
        }
        struct cx_info *info = cx_infos_add(&infos, mapping, ctl->namespace, cx_json_string(object, "metadata.name"));
        info->object = json_incref(object);
        r = cx_create_info(ctl, create, info, err);
        return r < 0 ? name_failure(ctl, object, err) : r;
}

static int create_raw(struct cx_ctl *ctl, const struct cx_builder *builder, const char *raw, const char *method,
                      struct cx_error *err)
{
        CX_BUF body = CX_BUF_INIT_MAX((size_t)64 << 20);
        if (builder->files.count != 1)
                return cx_error_set(err, -EINVAL, "--raw can only use a single local file or stdin");
        int r = cx_file_read_text(ctl, builder->files.items[0], &body, err);
        if (r < 0)
                return r;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        r = cx_ctl_call(ctl,
                        &(struct cx_ctl_call){.method = method, .path = raw, .body = body.data, .length = body.length},
                        &reply, err);
        if (r == 0)
                fwrite(reply.body.data, 1, reply.body.length, stdout);
        return r;
}

CX_COMMAND(create)
{
        CX_BUILDER builder = {.local = true, .ignore_unnamed = true};
        CX_CREATE create = {0};
        const char *raw = NULL, *selector = NULL;
        const struct cx_flag flags[] = {
                CX_FILE_FLAGS(&builder),
                CX_CREATE_FLAGS(&create),
                {"selector", 'l', CX_FLAG_STRING, &selector, "Only the objects of the files with these labels."},
                {"raw", 0, CX_FLAG_STRING, &raw, "URI to POST the file to as it is."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_create_prepare(ctl, &create, err);
        if (r < 0)
                return r;
        if (!builder.files.count && !builder.kustomize) {
                if (args.count)
                        return cx_ctl_usage_error(ctl, err, "Unexpected args: [%s]", args.items[0]);
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        }
        if (raw)
                return create_raw(ctl, &builder, raw, "POST", err);
        CX_INFOS infos = CX_INFOS_INIT;
        r = cx_builder_targets(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status)
                return cx_error_set(err, -EINVAL, "no objects passed to create");
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                if (cx_create_info(ctl, &create, infos.items[i], &failure) < 0)
                        r = cx_ctl_report_or_end(ctl, &failure, err);
        }
        return r;
}

// --- replace --------------------------------------------------------------------------------------------------------
static int replace_one(struct cx_ctl *ctl, struct cx_create *create, struct cx_info *info, const char *subresource,
                       struct cx_error *err)
{
        if (create->mode != CX_DRY_CLIENT) {
                CX_BUF path = CX_BUF_INIT;
                cx_info_path(info, subresource, &path);
                add_write_options(create, "kubectl-replace", &path);
                if (send_object(ctl, "PUT", path.data, info, err) < 0)
                        return cx_info_wrap(info, "replacing", err);
        }
        return cx_output_result(&create->output, info, "replaced", create->mode, err);
}

static int force_replace(struct cx_ctl *ctl, struct cx_create *create, struct cx_infos *infos, struct cx_deletion *how,
                         struct cx_error *err)
{
        how->wait = how->ignore_not_found = true;
        int r = cx_delete_infos(ctl, infos, how, err);
        for (size_t i = 0; r == 0 && i < infos->count; i++) {
                struct cx_info *info = infos->items[i];
                CX_BUF path = CX_BUF_INIT;
                collection_path(info, &path);
                cx_rest_query(&path, "fieldManager", "kubectl-replace");
                json_object_del(json_object_get(info->object, "metadata"), "resourceVersion");
                r = send_object(ctl, "POST", path.data, info, err);
                if (r < 0)
                        return r;
                r = cx_output_result(&create->output, info, "replaced", CX_DRY_NONE, err);
        }
        return r;
}

CX_COMMAND(replace)
{
        CX_BUILDER builder = {.local = true, .verb = "replacing"};
        CX_CREATE create = {0};
        struct cx_deletion how = {.grace = -1};
        bool force = false;
        const char *subresource = NULL, *raw = NULL;
        const struct cx_flag flags[] = {
                CX_FILE_FLAGS(&builder),
                CX_CREATE_FLAGS(&create),
                {"force", 0, CX_FLAG_BOOL, &force, "Delete the objects and create them again."},
                {"grace-period", 0, CX_FLAG_INT, &how.grace, "Seconds for --force's deletion.", NULL, NULL, -1,
                 INT32_MAX},
                {"timeout", 0, CX_FLAG_DURATION, &how.timeout, "How long --force waits for the deletion."},
                {"cascade", 0, CX_FLAG_STRING, &how.cascade, "How --force treats dependents.", "background"},
                {"subresource", 0, CX_FLAG_STRING, &subresource, "Replace this subresource."},
                {"raw", 0, CX_FLAG_STRING, &raw, "URI to PUT the file to as it is."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_create_prepare(ctl, &create, err);
        if (r < 0)
                return r;
        if (!builder.files.count && !builder.kustomize)
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        if (raw)
                return create_raw(ctl, &builder, raw, "PUT", err);
        CX_INFOS infos = CX_INFOS_INIT;
        r = cx_builder_targets(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (force)
                return force_replace(ctl, &create, &infos, &how, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                if (replace_one(ctl, &create, infos.items[i], subresource, &failure) < 0)
                        r = cx_ctl_report_or_end(ctl, &failure, err);
        }
        return r;
}
