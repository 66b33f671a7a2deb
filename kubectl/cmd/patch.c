// SPDX-License-Identifier: Apache-2.0
// kubectl patch.
#include "kubectl/cmd/commands.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/engine.h"

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
