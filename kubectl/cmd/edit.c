// SPDX-License-Identifier: Apache-2.0
// kubectl edit. What is not valid is shown again with the reasons; a file whose contents are not taken in the end is kept
// and named, so that no work is lost.
#include "kubectl/cmd/edit.h"
#include "kubectl/cmd/apply.h"
#include "kubectl/ctl/spawn.h"
#include "libcommon/base/process.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/engine.h"

#include <unistd.h>

static int run_editor(const char *file, struct cx_error *err)
{
        const char *editor = getenv("KUBE_EDITOR");
        if (!editor || !*editor)
                editor = getenv("EDITOR");
        if (!editor || !*editor)
                editor = "vi";
        CX_STRINGS words = CX_STRINGS_INIT;
        for (const char *p = editor; *p;) {
                p += strspn(p, " \t");
                size_t length = strcspn(p, " \t");
                if (length)
                        cx_strings_add_length(&words, p, length);
                p += length;
        }
        cx_strings_add(&words, file);
        CX_CLEANUP(cx_freep) char **arguments = cx_alloc_array(words.count + 1, sizeof *arguments);
        memcpy(arguments, words.items, words.count * sizeof *arguments);
        int status = 0, r = ctl_spawn(arguments, &status);
        if (r < 0)
                return cx_error_set(err, r,
                                    r == -ENOENT ? "there was a problem with the editor \"%s\""
                                                 : "unable to launch the editor \"%s\"",
                                    editor);
        return status ? cx_error_set(err, -EIO, "there was a problem with the editor \"%s\"", editor) : 0;
}

// --- the file ---------------------------------------------------------------------------------------------------------
static char *without_comments(const char *text)
{
        CX_BUF clean = CX_BUF_INIT;
        while (*text) {
                size_t length = strcspn(text, "\n"), end = length;
                if (*text != '#') {
                        end -= end && text[end - 1] == '\r';
                        cx_buf_append(&clean, text, end);
                        if (text[length])
                                cx_buf_add_char(&clean, '\n');
                }
                text += length + (text[length] == '\n');
        }
        return cx_buf_detach(&clean);
}

struct edit_attempt {
        char *file;            // of the attempt; NULL: none yet
        char *edited;          // what it says, without comments
        struct cx_buf reasons; // why it was not taken: lines of comments
        bool failed;
        size_t not_found, retryable;
};

static void attempt_release(struct edit_attempt *attempt)
{
        free(attempt->file);
        free(attempt->edited);
        cx_buf_release(&attempt->reasons);
}

static const char header[] = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
                             "# and an empty file will abort the edit. If an error occurs while saving this file will "
                             "be\n# reopened with the relevant failures.\n#\n";
static const char last_applied_header[] =
        "# Please edit the 'last-applied-configuration' annotations below.\n"
        "# Lines beginning with a '#' will be ignored, and an empty file will abort the edit.\n#\n";

static int write_file(const struct editing *edit, const struct edit_attempt *attempt, const char *body, char **ret_file,
                      struct cx_error *err)
{
        const char *folder = getenv("TMPDIR");
        bool json = edit->output.form == OUTPUT_JSON;
        CX_BUF text = CX_BUF_INIT, lines = CX_BUF_INIT;
        CX_CLEANUP(cx_freep)
        char *file =
                cx_sprintf("%s/kubectl-edit-XXXXXX.%s", folder && *folder ? folder : "/tmp", json ? "json" : "yaml");
        int fd = mkstemps(file, 5);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make a temporary file: %s", strerror(errno));
        close(fd);
        if (!json)
                cx_buf_printf(&text, "%s%s", edit->mode == EDIT_LAST_APPLIED ? last_applied_header : header,
                              attempt->reasons.data);
        cx_buf_add(&text, body);
        for (const char *p = text.data; *p; p++) {
                if (*p == '\n' && edit->windows)
                        cx_buf_add_char(&lines, '\r');
                cx_buf_add_char(&lines, *p);
        }
        *ret_file = cx_strdup(file);
        return cx_write_file(file, lines.data, lines.length, 0600, false, err);
}

static int keep_file(const char *file, int r)
{
        if (file) {
                fflush(stdout);
                fprintf(stderr, "A copy of your changes has been stored to \"%s\"\n", file);
        }
        return r;
}

// --- taking what was edited -------------------------------------------------------------------------------------------
static void not_taken(struct edit_attempt *attempt, const struct info *info, const struct cx_error *why)
{
        char resource[512];
        snprintf(resource, sizeof resource, "%s%s%s", info->mapping->resource, *info->mapping->group ? "." : "",
                 info->mapping->group);
        fflush(stdout);
        if (why->reason == CX_REASON_INVALID) {
                attempt->failed = true;
                cx_buf_printf(&attempt->reasons, "# %s \"%s\" was not valid:\n", resource, info->name);
                for (size_t i = 0; i < why->n_causes; i++)
                        cx_buf_printf(&attempt->reasons, "# * %s: %s\n", cx_str(why->causes[i].field),
                                      cx_str(why->causes[i].message));
                cx_buf_add(&attempt->reasons, "#\n");
                fprintf(stderr, "error: %s \"%s\" is invalid\n", resource, info->name);
        } else if (why->reason == CX_REASON_NOT_FOUND) {
                attempt->not_found++;
                fprintf(stderr, "error: %s \"%s\" could not be found on the server\n", resource, info->name);
        } else {
                attempt->retryable++;
                fprintf(stderr, "error: %s \"%s\" could not be patched: %s\n", resource, info->name,
                        cx_error_text(why));
        }
}

static bool same_object(const json_t *a, const json_t *b)
{
        static const char *const fixed[] = {"apiVersion", "kind", "metadata.name"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fixed); i++)
                if (!cx_streq(cx_json_string(a, fixed[i]), cx_json_string(b, fixed[i])))
                        return false;
        return true;
}

static int send(struct editing *edit, struct info *info, enum cx_patch_type type, const json_t *patch,
                struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        json_t *object = NULL;
        info_path(info, edit->subresource, &path);
        cx_rest_query(&path, "fieldManager", edit->manager);
        cx_rest_query(&path, "fieldValidation", field_validation(edit->validate));
        int r = ctl_json(edit->ctl, "PATCH", path.data, cx_patch_content_type(type), patch, &object, err);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = object;
        return 0;
}

static void save_configuration(json_t *object)
{
        CX_CLEANUP(cx_freep) char *text = apply_annotation(object);
        json_object_set_new(cx_json_object_at(cx_json_object_at(object, "metadata"), "annotations"), LAST_APPLIED,
                            json_string(text));
}

// `before` is what was shown.
static int take(struct editing *edit, struct edit_attempt *attempt, struct info *info, const json_t *before,
                json_t *now, struct cx_error *err)
{
        struct output words = {0};
        json_auto_t *patch = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        int r = 0;
        if (edit->mode == EDIT_BEFORE_CREATE) {
                json_decref(info->object);
                info->object = json_incref(now);
                free(info->name);
                info->name = cx_strdup(cx_json_string_or(now, "metadata.name", ""));
                return create_info(edit->ctl, edit->create, info, err);
        }
        if (edit->save_config)
                save_configuration(now);
        if (json_equal(before, now))
                return output_result(&words, info, "skipped", DRY_NONE, err);
        if (!same_object(before, now))
                return cx_error_set(err, -EINVAL, "At least one of apiVersion, kind and name was changed");
        if (edit->mode == EDIT_LAST_APPLIED) {
                CX_CLEANUP(cx_freep) char *text = json_dumps(now, JSON_COMPACT | JSON_SORT_KEYS);
                patch = json_pack("{s:{s:{s:s}}}", "metadata", "annotations", LAST_APPLIED, cx_str(text));
        } else {
                r = info_diff(info, now, &patch, err);
        }
        if (r < 0)
                return r;
        if (edit->show_patch) {
                CX_BUF text = CX_BUF_INIT;
                json_dump_escaped(patch, JSON_COMPACT, &text);
                OUT("Patch: %s\n", text.data);
        }
        bool merges = edit->mode == EDIT_LAST_APPLIED;
        if (send(edit, info, merges ? CX_PATCH_MERGE : info_patch_type(info), patch, &why) < 0) {
                not_taken(attempt, info, &why);
                return 0;
        }
        return output_result(&words, info, "edited", DRY_NONE, err);
}

// The edited object that is this one: by uid, or by its place.
static json_t *edited_one(const json_t *edited, const json_t *before, size_t at)
{
        const json_t *items = json_object_get(edited, "items");
        const char *uid = cx_json_string(before, "metadata.uid");
        size_t i;
        json_t *item;
        if (!json_is_array(items))
                return (json_t *)edited;
        json_array_foreach (items, i, item)
                if (uid && cx_streq(cx_json_string(item, "metadata.uid"), uid))
                        return item;
        return uid ? NULL : json_array_get(items, at);
}

static int take_all(struct editing *edit, struct edit_attempt *attempt, struct infos *infos, const json_t *shown,
                    struct cx_error *err)
{
        json_auto_t *documents = NULL;
        CX_ERROR bad = CX_ERROR_INIT;
        int r = cx_yaml_parse_lax(attempt->edited, strlen(attempt->edited), &documents, &bad);
        const json_t *edited = json_array_get(documents, 0);
        if (r == 0 && (!json_is_object(edited) || !cx_json_string(edited, "kind"))) {
                cx_error_set(&bad, -EINVAL, "%s",
                             json_is_object(edited) ? "kind not set" : "invalid object to validate");
                r = -EINVAL;
        }
        if (r < 0) {
                CX_ERROR why = CX_ERROR_INIT;
                cx_error_reason(&why, CX_REASON_INVALID, "the file is not valid");
                cx_error_cause(&why, "FieldValueInvalid", "<nil>",
                               "Invalid value: \"The edited file failed validation\": %s", cx_error_text(&bad));
                not_taken(attempt, infos->items[0], &why);
                return 0;
        }
        for (size_t i = 0; i < infos->count && r == 0; i++) {
                const json_t *before = json_array_get(shown, i);
                json_t *now = edited_one(edited, before, i);
                if (now)
                        r = take(edit, attempt, infos->items[i], before, now, err);
        }
        return r;
}

// --- the loop ---------------------------------------------------------------------------------------------------------
// What is edited of each object, and all of it as text.
static int show(const struct editing *edit, const struct infos *infos, json_t **ret_shown, struct cx_buf *text,
                struct cx_error *err)
{
        json_auto_t *shown = json_array(), *whole = NULL;
        for (size_t i = 0; i < infos->count; i++) {
                json_t *metadata = json_object_get(infos->items[i]->object, "metadata"), *original = NULL;
                json_object_del(metadata, "managedFields");
                if (edit->mode == EDIT_LAST_APPLIED) {
                        int r = last_applied(infos->items[i]->object, &original, err);
                        if (r < 0)
                                return r;
                        if (!original)
                                return cx_error_set(err, -ENOENT,
                                                    "no last-applied-configuration annotation found on resources, to "
                                                    "create the annotation, use command `kubectl apply "
                                                    "set-last-applied --create-annotation`");
                        json_array_append_new(shown, original);
                } else {
                        json_array_append(shown, infos->items[i]->object);
                }
        }
        whole = infos->count == 1 ? json_incref(json_array_get(shown, 0))
                                  : json_pack("{s:s,s:O,s:s,s:{}}", "apiVersion", "v1", "items", shown, "kind", "List",
                                              "metadata");
        *ret_shown = cx_steal(&shown);
        if (edit->output.form != OUTPUT_JSON)
                return cx_yaml_dump(whole, text, err);
        output_json(whole, text);
        return 0;
}

// One look at the file. 1: it is over.
static int try_once(struct editing *edit, struct edit_attempt *attempt, struct infos *infos, const json_t *shown,
                    const char *original, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(16 << 20);
        CX_CLEANUP(cx_freep) char *file = NULL;
        bool again = attempt->failed;
        int r = write_file(edit, attempt, again ? attempt->edited : original, &file, err);
        if (r == 0)
                r = run_editor(file, err);
        if (r == 0 && (r = cx_buf_read_file(&text, file)) < 0)
                cx_error_set(err, r, "cannot read %s: %s", file, strerror(-r));
        if (r < 0) {
                if (file)
                        unlink(file);
                return keep_file(attempt->file, r);
        }
        CX_CLEANUP(cx_freep) char *before = cx_steal(&attempt->edited), *first = without_comments(original);
        attempt->edited = without_comments(text.data);
        if (again && cx_streq(before, attempt->edited)) {
                cx_error_set(err, -EINVAL, "Edit cancelled, no valid changes were saved.");
                return keep_file(file, -EINVAL);
        }
        if (attempt->file)
                unlink(attempt->file);
        free(attempt->file);
        attempt->file = cx_steal(&file);
        attempt->failed = false;
        cx_buf_clear(&attempt->reasons);
        if (strcmp(first, attempt->edited) == 0 && edit->mode != EDIT_BEFORE_CREATE) {
                unlink(attempt->file);
                fprintf(stderr, "Edit cancelled, no changes made.\n");
                return 1;
        }
        r = take_all(edit, attempt, infos, shown, err);
        if (r < 0)
                return keep_file(attempt->file, r);
        if (attempt->retryable) {
                fprintf(stderr, "You can run `kubectl replace -f %s` to try this update again.\n", attempt->file);
                edit->ctl->status = 1;
        } else if (attempt->not_found) {
                fprintf(stderr, "The edits you made on deleted resources have been saved to \"%s\"\n", attempt->file);
                edit->ctl->status = 1;
        } else if (!attempt->failed) {
                unlink(attempt->file);
        }
        return attempt->retryable || attempt->not_found || !attempt->failed;
}

int edit_infos(struct editing *edit, struct infos *infos, struct cx_error *err)
{
        CX_CLEANUP(attempt_release) struct edit_attempt attempt = {.reasons = CX_BUF_INIT};
        json_auto_t *shown = NULL;
        CX_BUF original = CX_BUF_INIT;
        int r = show(edit, infos, &shown, &original, err);
        while (r == 0)
                r = try_once(edit, &attempt, infos, shown, original.data, err);
        return r < 0 ? r : 0;
}

static int edit_command(struct ctl *ctl, int argc, char **argv, struct editing *edit, struct cx_error *err)
{
        BUILDER builder = {.may_list = true};
        bool live = edit->mode == EDIT_LIVE;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                OUTPUT_FLAGS(&edit->output),
                VALIDATE_FLAG(&edit->validate),
                {"field-manager", 0, CX_FLAG_STRING, &edit->manager, "Name of the manager of the fields."},
                {"windows-line-endings", 0, CX_FLAG_BOOL, &edit->windows, "End lines as Windows does."},
                {live ? "subresource" : NULL, 0, CX_FLAG_STRING, &edit->subresource, "Edit this subresource."},
                {"output-patch", 0, CX_FLAG_BOOL, &edit->show_patch, "Print the patch that is sent."},
                {"save-config", 0, CX_FLAG_BOOL, &edit->save_config, "Keep the configuration in an annotation."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &edit->output, NULL, NULL, err);
        if (r == 0)
                r = check_validation(edit->validate, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && edit->subresource && i < infos.count; i++)
                r = info_fetch_from(ctl, infos.items[i], edit->subresource, err);
        if (r == 0 && !infos.count && !ctl->status)
                r = cx_error_set(err, -ENOENT, "edit cancelled, no objects found");
        if (r == 0 && infos.count)
                r = edit_infos(edit, &infos, err);
        output_release(&edit->output);
        return r;
}

COMMAND(edit)
{
        struct editing edit = {.ctl = ctl, .manager = "kubectl-edit"};
        return edit_command(ctl, argc, argv, &edit, err);
}

COMMAND(apply_edit_last)
{
        struct editing edit = {.ctl = ctl, .mode = EDIT_LAST_APPLIED, .manager = "kubectl-client-side-apply"};
        return edit_command(ctl, argc, argv, &edit, err);
}
