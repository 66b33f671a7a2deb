// SPDX-License-Identifier: Apache-2.0
// kubectl create -f and replace, and sending the objects that the other create commands make.
#include "kubectl/cmd/commands.h"
#include "kubectl/cmd/edit.h"

const char *field_validation(const char *flag)
{
        if (!flag || cx_streq(flag, "strict") || cx_streq(flag, "true"))
                return "Strict";
        if (cx_streq(flag, "warn"))
                return "Warn";
        return "Ignore";
}

bool validates(const char *flag)
{
        return strcmp(field_validation(flag), "Ignore") != 0;
}

int check_validation(const char *flag, struct cx_error *err)
{
        static const char *const values[] = {"strict", "true", "warn", "ignore", "false"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(values); i++)
                if (!flag || strcmp(flag, values[i]) == 0)
                        return 0;
        return cx_error_set(
                err, -EINVAL,
                "invalid - validate option \"%s\"; must be one of: strict (or true), warn, ignore (or false)", flag);
}

int create_prepare(struct ctl *ctl, struct create *create, struct cx_error *err)
{
        int r = output_parse(ctl, &create->output, err);
        if (r == 0)
                r = dry_run_parse(create->dry_run, &create->mode, err);
        return r == 0 ? check_validation(create->validate, err) : r;
}

void create_release(struct create *create)
{
        output_release(&create->output);
}

static int check_required(const struct required *required, struct cx_error *err)
{
        CX_BUF missing = CX_BUF_INIT;
        for (; required && required->flag; required++)
                if (required->text ? !*required->text : !required->list->count)
                        cx_buf_printf(&missing, "%s\"%s\"", missing.length ? ", " : "", required->flag);
        return missing.length ? cx_error_set(err, -EINVAL, "required flag(s) %s not set", missing.data) : 0;
}

int create_begin(struct ctl *ctl, struct create *create, const struct cx_flag *flags, const struct required *required,
                 int argc, char **argv, struct cx_strings *args, int *ret_dash, struct cx_error *err)
{
        int dash = -1, r = ctl_parse(ctl, flags, argc, argv, args, &dash, err);
        if (r == 0)
                r = check_required(required, err);
        if (r < 0)
                return r;
        size_t names = ret_dash && dash >= 0 ? (size_t)dash : args->count;
        if (names != 1)
                return ctl_usage_error(ctl, err, "exactly one NAME is required, got %zu", names);
        if (ret_dash)
                *ret_dash = dash;
        return create_prepare(ctl, create, err);
}

json_t *words_after(const struct cx_strings *args, int dash)
{
        json_t *words = json_array();
        for (size_t i = (size_t)dash; dash >= 0 && i < args->count; i++)
                json_array_append_new(words, json_string(args->items[i]));
        return words;
}

json_t *strings_json(const struct cx_strings *list)
{
        return words_after(list, 0);
}

static void collection_path(const struct info *info, struct cx_buf *path)
{
        struct info collection = *info;
        collection.name = NULL;
        info_path(&collection, NULL, path);
}

// Sends info->object; the answer takes its place.
static int send_object(struct ctl *ctl, const char *method, const char *path, struct info *info, struct cx_error *err)
{
        json_t *object = NULL;
        int r = ctl_json(ctl, method, path, NULL, info->object, &object, err);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = object;
        return 0;
}

static void add_write_options(const struct create *create, const char *manager, struct cx_buf *path)
{
        cx_rest_query(path, "fieldManager", create->manager ? create->manager : manager);
        cx_rest_query(path, "fieldValidation", field_validation(create->validate));
        cx_rest_query(path, "dryRun", create->mode == DRY_SERVER ? "All" : NULL);
}

int create_info(struct ctl *ctl, struct create *create, struct info *info, struct cx_error *err)
{
        if (create->save_config) {
                CX_CLEANUP(cx_freep) char *text = apply_annotation(info->object);
                json_t *annotations = cx_json_object_at(cx_json_object_at(info->object, "metadata"), "annotations");
                json_object_set_new(annotations, LAST_APPLIED, json_string(text));
        }
        if (create->mode != DRY_CLIENT) {
                CX_BUF path = CX_BUF_INIT;
                collection_path(info, &path);
                add_write_options(create, "kubectl-create", &path);
                if (send_object(ctl, "POST", path.data, info, err) < 0)
                        return info_wrap(info, "creating", err);
                const char *name = cx_json_string(info->object, "metadata.name"); // generateName
                free(info->name);
                info->name = cx_strdup(name);
        }
        return output_result(&create->output, info, create->operation ? create->operation : "created", create->mode,
                             err);
}

// For some kinds upstream words the server's answer anew: "failed to create deployment: ...".
static int name_failure(const struct ctl *ctl, const json_t *object, struct cx_error *err)
{
        static const char *const kinds[][2] = {{"Deployment", "deployment"},
                                               {"ConfigMap", "configmap"},
                                               {"Secret", "secret"},
                                               {"Service", "service"},
                                               {"ServiceAccount", "serviceaccount"},
                                               {"Job", "job"},
                                               {"CronJob", "cronjob"},
                                               {"RoleBinding", "rolebinding"},
                                               {"ClusterRoleBinding", "clusterrolebinding"},
                                               {"ResourceQuota", "quota"}};
        const char *kind = cx_json_string_or(object, "kind", "");
        if (!err || err->reason == CX_REASON_UNKNOWN || !cx_has_prefix(ctl->path, "create "))
                return err ? err->code : -EIO;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++) {
                if (strcmp(kind, kinds[i][0]) != 0)
                        continue;
                bool service = strcmp(kind, "Service") == 0, secret = strcmp(kind, "Secret") == 0;
                CX_ERROR local = CX_ERROR_INIT;
                cx_error_set(&local, err->code, "failed to create %s%s%s%s %s",
                             service ? cx_json_string_or(object, "spec.type", "") : "", service ? " " : "", kinds[i][1],
                             secret ? "" : ":", cx_error_text(err));
                cx_error_release(err);
                return cx_error_move(err, &local);
        }
        return err->code;
}

int ctl_create_object(struct ctl *ctl, struct create *create, json_t *object_steal, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        const struct mapping *mapping = NULL;
        INFOS infos = INFOS_INIT;
        int r = ctl_config(ctl, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r == 0)
                r = mapping_by_kind(ctl, cx_json_string_or(object, "apiVersion", "v1"),
                                    cx_json_string_or(object, "kind", ""), &mapping, err);
        if (r < 0 || !mapping)
                return err && err->code ? r
                                        : cx_error_set(err, -ENOENT, "the server has no kind %s",
                                                       cx_json_string_or(object, "kind", ""));
        if (mapping->namespaced &&
            (create->mode != DRY_CLIENT || ctl->namespace_flag || create->output.form == OUTPUT_DEFAULT)) {
                json_t *metadata = cx_json_object_at(object, "metadata");
                if (!json_object_get(metadata, "namespace"))
                        json_object_set_new(metadata, "namespace", json_string(ctl->namespace));
        }
        struct info *info = infos_add(&infos, mapping, ctl->namespace, cx_json_string(object, "metadata.name"));
        info->object = json_incref(object);
        r = create_info(ctl, create, info, err);
        return r < 0 ? name_failure(ctl, object, err) : r;
}

static int create_raw(struct ctl *ctl, const struct create *create, const struct builder *builder, const char *raw,
                      const char *method, struct cx_error *err)
{
        CX_BUF body = CX_BUF_INIT_MAX((size_t)64 << 20);
        if (builder->files.count != 1)
                return cx_error_set(err, -EINVAL, "--raw can only use a single local file or stdin");
        if (builder->recursive)
                return cx_error_set(err, -EINVAL, "--raw and --recursive are mutually exclusive");
        if (create->output.text)
                return cx_error_set(err, -EINVAL, "--raw and --output are mutually exclusive");
        int r = file_read_text(ctl, builder->files.items[0], &body, err);
        if (r < 0)
                return r;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        r = ctl_call(ctl, &(struct ctl_call){.method = method, .path = raw, .body = body.data, .length = body.length},
                     &reply, err);
        if (r == 0)
                fwrite(reply.body.data, 1, reply.body.length, stdout);
        return r;
}

COMMAND(create)
{
        BUILDER builder = {.local = true, .ignore_unnamed = true};
        CREATE create = {0};
        const char *raw = NULL;
        bool edited = false, windows = false;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                CREATE_FLAGS(&create),
                {"edit", 0, CX_FLAG_BOOL, &edited, "Edit each object before it is created."},
                {"windows-line-endings", 0, CX_FLAG_BOOL, &windows, "End lines as Windows does, with --edit."},
                {"selector", 'l', CX_FLAG_STRING, &builder.selector,
                 "Only the objects of the files with these labels."},
                {"raw", 0, CX_FLAG_STRING, &raw, "URI to POST the file to as it is."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = create_prepare(ctl, &create, err);
        if (r < 0)
                return r;
        if (!builder.files.count && !builder.kustomize) {
                if (args.count)
                        return ctl_unexpected_args(ctl, &args, err);
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        }
        if (raw && edited)
                return cx_error_set(err, -EINVAL, "--raw and --edit are mutually exclusive");
        if (raw)
                return create_raw(ctl, &create, &builder, raw, "POST", err);
        INFOS infos = INFOS_INIT;
        builder.validates = validates(create.validate);
        r = builder_targets(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status)
                return cx_error_set(err, -EINVAL, "no objects passed to create");
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                ctl->position = -1; // before what could not be read
                struct infos one = {&infos.items[i], 1};
                struct editing edit = {.ctl = ctl, .mode = EDIT_BEFORE_CREATE, .create = &create, .windows = windows};
                if (edited) {
                        r = edit_infos(&edit, &one, err);
                        continue;
                }
                if (create_info(ctl, &create, infos.items[i], &failure) < 0)
                        r = ctl_report_or_end(ctl, &failure, err);
        }
        return r;
}

// --- replace --------------------------------------------------------------------------------------------------------
static int replace_one(struct ctl *ctl, struct create *create, struct info *info, const char *subresource,
                       struct cx_error *err)
{
        if (create->mode != DRY_CLIENT) {
                CX_BUF path = CX_BUF_INIT;
                info_path(info, subresource, &path);
                add_write_options(create, "kubectl-replace", &path);
                if (send_object(ctl, "PUT", path.data, info, err) < 0)
                        return info_wrap(info, "replacing", err);
        }
        return output_result(&create->output, info, "replaced", create->mode, err);
}

static int force_replace(struct ctl *ctl, struct create *create, struct infos *infos, struct deletion *how,
                         struct cx_error *err)
{
        how->wait = how->ignore_not_found = true;
        int r = delete_infos(ctl, infos, how, err);
        for (size_t i = 0; r == 0 && i < infos->count; i++) {
                struct info *info = infos->items[i];
                CX_BUF path = CX_BUF_INIT;
                collection_path(info, &path);
                cx_rest_query(&path, "fieldManager", "kubectl-replace");
                json_object_del(json_object_get(info->object, "metadata"), "resourceVersion");
                r = send_object(ctl, "POST", path.data, info, err);
                if (r < 0)
                        return r;
                r = output_result(&create->output, info, "replaced", DRY_NONE, err);
        }
        return r;
}

COMMAND(replace)
{
        BUILDER builder = {.local = true, .verb = "replacing"};
        CREATE create = {0};
        struct deletion how = {.grace = -1};
        bool force = false;
        const char *subresource = NULL, *raw = NULL;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                CREATE_FLAGS(&create),
                {"force", 0, CX_FLAG_BOOL, &force, "Delete the objects and create them again."},
                {"grace-period", 0, CX_FLAG_INT, &how.grace, "Seconds for --force's deletion.", NULL, NULL, -1,
                 INT32_MAX},
                {"wait", 0, CX_FLAG_BOOL, &how.wait,
                 "Without effect: --force always waits until the old object is gone."},
                {"timeout", 0, CX_FLAG_DURATION, &how.timeout, "How long --force waits for the deletion."},
                {"cascade", 0, CX_FLAG_STRING, &how.cascade, "How --force treats dependents.", "background"},
                {"subresource", 0, CX_FLAG_STRING, &subresource, "Replace this subresource."},
                {"raw", 0, CX_FLAG_STRING, &raw, "URI to PUT the file to as it is."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = create_prepare(ctl, &create, err);
        if (r < 0)
                return r;
        if (!builder.files.count && !builder.kustomize)
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        if (raw)
                return create_raw(ctl, &create, &builder, raw, "PUT", err);
        INFOS infos = INFOS_INIT;
        builder.validates = validates(create.validate);
        r = builder_targets(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (force)
                return force_replace(ctl, &create, &infos, &how, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                ctl->position = -1; // before what could not be read
                if (replace_one(ctl, &create, infos.items[i], subresource, &failure) < 0)
                        r = ctl_report_or_end(ctl, &failure, err);
        }
        return r;
}
