// SPDX-License-Identifier: Apache-2.0
// kubectl patch and edit.
#include "kubectl/cmd/commands.h"
#include "kubectl/ctl/spawn.h"
#include "libcommon/base/process.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/engine.h"

#include <fcntl.h>
#include <strings.h>

static int parse_type(const char *text, enum cx_patch_type *ret_type, struct cx_error *err)
{
        static const struct {
                const char *name;
                enum cx_patch_type type;
        } types[] = {{"json", CX_PATCH_JSON}, {"merge", CX_PATCH_MERGE}, {"strategic", CX_PATCH_STRATEGIC}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++)
                if (strcasecmp(text, types[i].name) == 0)
                        return *ret_type = types[i].type, 0;
        return cx_error_set(err, -EINVAL, "--type must be one of [json merge strategic], not \"%s\"", text);
}

static int patch_locally(struct info *info, enum cx_patch_type type, const json_t *patch, struct cx_error *err)
{
        json_t *patched = NULL;
        int r = 0;
        if (type == CX_PATCH_JSON)
                r = cx_patch_json(info->object, patch, &patched, err);
        else if (type == CX_PATCH_STRATEGIC && info->mapping->schema)
                r = cx_patch_strategic(info->mapping->schema->kind->type, info->object, patch, &patched, err);
        else
                patched = cx_patch_merge(info->object, patch);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = patched;
        return 0;
}

// The mapping with the kind and the group that the object itself says.
static struct mapping mapping_of(const struct info *info)
{
        struct mapping made = *info->mapping;
        char *version = (char *)cx_json_string_or(info->object, "apiVersion", ""), *slash = strchr(version, '/');
        const char *kind = cx_json_string(info->object, "kind");
        if (!kind || strcmp(kind, made.kind) == 0)
                return made;
        static char group[128];
        snprintf(group, sizeof group, "%.*s", slash ? (int)(slash - version) : 0, version);
        made.kind = (char *)kind;
        made.group = group;
        return made;
}

// The patch, from the flag or the file, as the first of an array.
static int read_patch(const char *text, const char *file, json_t **ret_documents, struct cx_error *err)
{
        CX_BUF contents = CX_BUF_INIT_MAX(16 << 20);
        CX_ERROR bad = CX_ERROR_INIT;
        json_auto_t *documents = NULL;
        int r;
        if (!text == !file)
                return cx_error_set(err, -EINVAL, "%s",
                                    text ? "cannot specify --patch and --patch-file together"
                                         : "must specify --patch or --patch-file containing the "
                                           "contents of the patch");
        if (file && (r = cx_buf_read_file(&contents, file)) < 0)
                return cx_error_set(err, r, "unable to read patch file: open %s: %s", file,
                                    r == -ENOENT ? "no such file or directory" : strerror(-r));
        if (text)
                cx_buf_add(&contents, text);
        r = cx_yaml_parse_lax(contents.data, contents.length, &documents, &bad);
        if (r < 0)
                return cx_error_set(err, r, "unable to parse \"%s\": %s", contents.data, cx_error_text(&bad));
        if (!json_array_size(documents))
                return cx_error_set(err, -EINVAL, "unable to parse \"%s\": it is empty", contents.data);
        *ret_documents = cx_steal(&documents);
        return 0;
}

COMMAND(patch)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        const char *type_text = "strategic", *text = NULL, *file = NULL, *subresource = NULL, *dry_run = NULL;
        const char *manager = "kubectl-patch";
        bool local = false;
        int mode = DRY_NONE;
        enum cx_patch_type type = CX_PATCH_STRATEGIC;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                DRY_RUN_FLAG(&dry_run),
                {"patch", 'p', CX_FLAG_STRING, &text, "The patch, JSON or YAML."},
                {"patch-file", 0, CX_FLAG_STRING, &file, "A file that holds the patch."},
                {"type", 0, CX_FLAG_STRING, &type_text, "json, merge or strategic."},
                {"subresource", 0, CX_FLAG_STRING, &subresource, "Patch this subresource."},
                {"local", 0, CX_FLAG_BOOL, &local, "Patch what the file says, not what the server has."},
                {"field-manager", 0, CX_FLAG_STRING, &manager, "Name of the manager of the fields."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        json_auto_t *documents = NULL;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, &dry_run, &mode, err);
        if (r == 0)
                r = parse_type(type_text, &type, err);
        if (r < 0)
                return r;
        r = read_patch(text, file, &documents, err);
        if (r < 0)
                return r;
        const json_t *patch = json_array_get(documents, 0);
        builder.local = local;
        r = builder_objects(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < infos.count; i++) {
                struct info *info = infos.items[i];
                json_auto_t *before = json_incref(info->object);
                if (local || mode == DRY_CLIENT)
                        r = patch_locally(info, type, patch, err);
                else
                        r = info_patch(ctl, info, subresource, type, patch, mode, manager, err);
                if (r < 0)
                        return r;
                bool changed = !json_equal(before, info->object);
                // A subresource may be of a kind of its own (Scale).
                struct info shown = *info;
                const struct mapping answered = subresource ? mapping_of(info) : *info->mapping;
                shown.mapping = &answered;
                if (subresource)
                        changed = !cx_streq(cx_json_string(before, "metadata.resourceVersion"),
                                            cx_json_string(info->object, "metadata.resourceVersion"));
                r = output_result(&output, &shown, changed ? "patched" : "patched (no change)", DRY_NONE, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

// --- edit -----------------------------------------------------------------------------------------------------------
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
        for (size_t i = 0; i < words.count; i++)
                arguments[i] = words.items[i];
        int status = 0, r = ctl_spawn(arguments, &status);
        if (r < 0)
                return cx_error_set(err, r,
                                    r == -ENOENT ? "there was a problem with the editor \"%s\""
                                                 : "unable to launch the editor \"%s\"",
                                    editor);
        if (status)
                return cx_error_set(err, -EIO, "there was a problem with the editor \"%s\"", editor);
        return 0;
}

// The object as text for the editor; what a failed attempt said comes first.
static int write_buffer(const char *file, const json_t *object, const char *edited, const char *why, bool json,
                        struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        if (!json)
                cx_buf_add(&text, "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
                                  "# and an empty file will abort the edit. If an error occurs while saving this file "
                                  "will be\n# reopened with the relevant failures.\n#\n");
        if (why)
                cx_buf_printf(&text, "# %s\n#\n", why);
        int r = 0;
        if (edited)
                cx_buf_add(&text, edited);
        else if (json)
                output_json(object, &text);
        else
                r = cx_yaml_dump(object, &text, err);
        return r < 0 ? r : cx_write_file(file, text.data, text.length, 0600, false, err);
}

static char *without_comments(const char *text)
{
        CX_BUF clean = CX_BUF_INIT;
        while (*text) {
                size_t length = strcspn(text, "\n");
                length += text[length] == '\n';
                if (*text != '#')
                        cx_buf_append(&clean, text, length);
                text += length;
        }
        return cx_buf_detach(&clean);
}

static int send_edit(struct ctl *ctl, struct info *info, const char *edited, const char *subresource, bool *ret_changed,
                     bool show_patch, struct cx_error *err)
{
        json_auto_t *documents = NULL, *patch = NULL;
        int r = cx_yaml_parse(edited, strlen(edited), &documents, err);
        if (r < 0)
                return r;
        const json_t *now = json_array_get(documents, 0);
        if (!json_is_object(now))
                return cx_error_set(err, -EINVAL, "the edited file holds no object");
        r = info_diff(info, now, &patch, err);
        if (r < 0)
                return r;
        *ret_changed = json_object_size(patch) > 0;
        if (!*ret_changed)
                return 0;
        if (show_patch) {
                CX_BUF text = CX_BUF_INIT;
                json_dump_escaped(patch, JSON_COMPACT, &text);
                OUT("Patch: %s\n", text.data);
        }
        return info_patch(ctl, info, subresource, info_patch_type(info), patch, DRY_NONE, "kubectl-edit", err);
}

static int edit_one(struct ctl *ctl, struct info *info, bool json, const char *subresource, bool show_patch,
                    struct cx_error *err)
{
        struct output words = {0};
        const char *folder = getenv("TMPDIR");
        CX_CLEANUP(cx_freep)
        char *file = cx_sprintf("%s/kubectl-edit-XXXXXX.yaml", folder && *folder ? folder : "/tmp");
        int fd = mkstemps(file, 5);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make a temporary file: %s", strerror(errno));
        close(fd);
        json_auto_t *shown = json_deep_copy(info->object);
        json_object_del(json_object_get(shown, "metadata"), "managedFields");
        json_object_del(json_object_get(info->object, "metadata"), "managedFields");
        CX_CLEANUP(cx_freep) char *edited = NULL, *why = NULL;
        int r = 0;
        for (;;) {
                CX_BUF text = CX_BUF_INIT_MAX(16 << 20);
                CX_ERROR failure = CX_ERROR_INIT;
                bool changed = false;
                r = write_buffer(file, shown, edited, why, json, err);
                if (r == 0)
                        r = run_editor(file, err);
                if (r == 0 && (r = cx_buf_read_file(&text, file)) < 0)
                        cx_error_set(err, r, "cannot read %s: %s", file, strerror(-r));
                if (r < 0)
                        break;
                char *now = without_comments(text.data);
                bool same_again = edited && strcmp(now, edited) == 0;
                free(edited);
                edited = now;
                if (!edited[strspn(edited, " \t\n")]) {
                        fprintf(stderr, "Edit cancelled, saved file was empty.\n");
                        break;
                }
                r = send_edit(ctl, info, edited, subresource, &changed, show_patch, &failure);
                if (r == 0 && !changed)
                        fprintf(stderr, "Edit cancelled, no changes made.\n");
                else if (r == 0)
                        r = output_result(&words, info, "edited", DRY_NONE, err);
                if (r == 0)
                        break;
                if (same_again) { // no further try: the text is kept
                        ctl_report(ctl, &failure);
                        fprintf(stderr, "A copy of your changes has been stored to \"%s\"\n", file);
                        return cx_error_set(err, -EINVAL, "Edit cancelled, no valid changes were saved.");
                }
                free(why);
                why = cx_strdup(cx_error_text(&failure));
                for (char *p = why; *p; p++)
                        *p = *p == '\n' ? ' ' : *p;
        }
        unlink(file);
        return r;
}

COMMAND(edit)
{
        BUILDER builder = {.may_list = true};
        OUTPUT output = {0};
        const char *subresource = NULL;
        bool show_patch = false;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                {"subresource", 0, CX_FLAG_STRING, &subresource, "Edit this subresource."},
                {"output-patch", 0, CX_FLAG_BOOL, &show_patch, "Print the patch that is sent."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        if (r == 0 && !infos.count && !ctl->status)
                return cx_error_set(err, -ENOENT, "edit cancelled, no objects found");
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                r = edit_one(ctl, infos.items[i], output.form == OUTPUT_JSON, subresource, show_patch, err);
        return r;
}
