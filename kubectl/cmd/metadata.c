// SPDX-License-Identifier: Apache-2.0
// kubectl label and annotate.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/names.h"
#include "libcommon/api/selector.h"
#include "libcommon/schema/engine.h"

struct metadata_edit {
        bool labels, overwrite, local, list, several;
        const char *resource_version, *manager, *dry_run;
        struct cx_strings set, values, removed; // keys, their values, keys to remove
        int mode;
};

static void release_edit(struct metadata_edit *edit)
{
        cx_strings_release(&edit->set);
        cx_strings_release(&edit->values);
        cx_strings_release(&edit->removed);
}

static const char *what(const struct metadata_edit *edit)
{
        return edit->labels ? "label" : "annotation";
}

// Splits the words into what names objects and what is KEY=VALUE or KEY-.
static int split_words(struct metadata_edit *edit, const struct cx_strings *args, struct cx_strings *resources,
                       struct cx_error *err)
{
        bool changes = false;
        for (size_t i = 0; i < args->count; i++) {
                const char *word = args->items[i], *equals = strchr(word, '=');
                size_t length = strlen(word);
                bool removal = !equals && length > 1 && word[length - 1] == '-';
                if (!equals && !removal) {
                        if (changes)
                                return cx_error_set(err, -EINVAL,
                                                    "all resources must be specified before %s changes: %s", what(edit),
                                                    word);
                        cx_strings_add(resources, word);
                        continue;
                }
                changes = true;
                CX_CLEANUP(cx_freep) char *key = cx_strndup(word, equals ? (size_t)(equals - word) : length - 1);
                const char *why = removal || !edit->labels ? NULL : cx_check_label_value(equals + 1);
                if (why)
                        return cx_error_set(err, -EINVAL, "invalid label value: \"%s\": %s", word, why);
                if (removal) {
                        cx_strings_add(&edit->removed, key);
                } else {
                        cx_strings_add(&edit->set, key);
                        cx_strings_add(&edit->values, equals + 1);
                }
        }
        for (size_t i = 0; i < edit->removed.count; i++)
                if (cx_strings_has(&edit->set, edit->removed.items[i]))
                        return edit->labels
                                       ? cx_error_set(err, -EINVAL,
                                                      "can not both modify and remove a label in the same command")
                                       : cx_error_set(
                                                 err, -EINVAL,
                                                 "can not both modify and remove the following annotation(s) in the "
                                                 "same command: %s",
                                                 edit->removed.items[i]);
        return 0;
}

// The patch for one object; ret_changed: whether it changes anything.
static int make_patch(const struct metadata_edit *edit, const json_t *object, json_t **ret_patch,
                      const char **ret_operation, struct cx_error *err)
{
        const char *member = edit->labels ? "labels" : "annotations";
        const json_t *now = json_object_get(json_object_get(object, "metadata"), member);
        json_auto_t *map = json_object();
        bool set = false, removed = false;
        CX_BUF taken = CX_BUF_INIT;
        for (size_t i = 0; i < edit->set.count; i++) {
                const char *key = edit->set.items[i], *value = edit->values.items[i];
                const char *old = json_string_value(json_object_get(now, key));
                if (old && strcmp(old, value) == 0)
                        continue;
                if (old && !edit->overwrite)
                        cx_buf_printf(&taken, "%s'%s' already has a value (%s)%s", taken.length ? ", " : "", key, old,
                                      edit->labels ? ", and --overwrite is false" : "");
                json_object_set_new(map, key, json_string(value));
                set = true;
        }
        if (taken.length)
                return edit->labels ? cx_error_set(err, -EEXIST, "%s", taken.data)
                                    : cx_error_set(err, -EEXIST,
                                                   "--overwrite is false but found the following declared "
                                                   "annotation(s): %s",
                                                   taken.data);
        for (size_t i = 0; i < edit->removed.count; i++) {
                const char *key = edit->removed.items[i];
                if (!json_object_get(now, key)) {
                        if (edit->labels)
                                OUT("label \"%s\" not found.\n", key);
                        continue;
                }
                json_object_set_new(map, key, json_null());
                removed = true;
        }
        *ret_operation = !set && !removed                  ? edit->labels ? "not labeled" : "annotated"
                         : removed && !set && edit->labels ? "unlabeled"
                         : edit->labels                    ? "labeled"
                                                           : "annotated";
        *ret_patch = set || removed ? json_pack("{s:{s:O}}", "metadata", member, map) : NULL;
        if (*ret_patch && edit->resource_version)
                (void)cx_json_set(*ret_patch, "metadata.resourceVersion", json_string(edit->resource_version));
        return 0;
}

static int edit_one(struct ctl *ctl, const struct metadata_edit *edit, struct output *output, struct info *info,
                    struct cx_error *err)
{
        json_auto_t *patch = NULL;
        const char *operation = NULL;
        if (edit->list) {
                const json_t *map = json_object_get(json_object_get(info->object, "metadata"),
                                                    edit->labels ? "labels" : "annotations");
                CX_STRINGS lines = CX_STRINGS_INIT;
                cx_labels_list(map, &lines);
                if (edit->several)
                        OUT("Listing %s for %s.%s/%s:\n", edit->labels ? "labels" : "annotations", info->mapping->kind,
                            info->mapping->group, info->name);
                for (size_t i = 0; i < lines.count; i++)
                        OUT("%s%s\n", edit->several ? " " : "", lines.items[i]);
                return 0;
        }
        int r = make_patch(edit, info->object, &patch, &operation, err);
        if (r < 0)
                return r;
        if (patch && (edit->local || edit->mode == DRY_CLIENT)) {
                json_t *patched = cx_patch_merge(info->object, patch);
                json_decref(info->object);
                info->object = patched;
        } else if (patch) {
                r = info_patch(ctl, info, NULL, CX_PATCH_MERGE, patch, edit->mode,
                               edit->manager  ? edit->manager
                               : edit->labels ? "kubectl-label"
                                              : "kubectl-annotate",
                               err);
                if (r < 0)
                        return r;
        }
        return output_result(output, info, operation, edit->mode, err);
}

static int edit_metadata(struct ctl *ctl, int argc, char **argv, bool labels, struct cx_error *err)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        CX_CLEANUP(release_edit) struct metadata_edit edit = {.labels = labels};
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                SELECTOR_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                DRY_RUN_FLAG(&edit.dry_run),
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types in the namespace."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &builder.all_namespaces, "Objects of all namespaces."},
                {"overwrite", 0, CX_FLAG_BOOL, &edit.overwrite, "Allow values to be changed."},
                {"list", 0, CX_FLAG_BOOL, &edit.list, "Show what there is."},
                {"local", 0, CX_FLAG_BOOL, &edit.local, "Do not contact the server."},
                {"resource-version", 0, CX_FLAG_STRING, &edit.resource_version,
                 "Only change this version of the object."},
                {"field-manager", 0, CX_FLAG_STRING, &edit.manager, "Name of the manager of the fields."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT, resources = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, &edit.dry_run, &edit.mode, err);
        if (r == 0)
                r = split_words(&edit, &args, &resources, err);
        if (r < 0)
                return r;
        if (builder_empty(&builder, &resources))
                return cx_error_set(
                        err, -EINVAL,
                        "one or more resources must be specified as <resource> <name> or <resource>/<name>");
        if (!edit.set.count && !edit.removed.count && !edit.list)
                return cx_error_set(err, -EINVAL, "at least one %s update is required", what(&edit));
        if (edit.local && !builder.files.count && !builder.kustomize)
                return cx_error_set(
                        err, -EINVAL,
                        "can only use local files by -f rsrc.yaml or --filename=rsrc.json when --local=true "
                        "is set");
        builder.local = edit.local;
        r = builder_objects(ctl, &builder, &resources, &infos, err);
        if (r < 0)
                return r;
        edit.several = infos.count > 1 || builder.all || builder.selector || builder.all_namespaces;
        for (size_t i = 0; i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                ctl->position = infos.items[i]->position;
                r = edit_one(ctl, &edit, &output, infos.items[i], &failure);
                if (r < 0)
                        ctl_report(ctl, &failure);
        }
        return 0;
}

COMMAND(label)
{
        return edit_metadata(ctl, argc, argv, true, err);
}

COMMAND(annotate)
{
        return edit_metadata(ctl, argc, argv, false, err);
}
