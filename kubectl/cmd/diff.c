// SPDX-License-Identifier: Apache-2.0
// kubectl diff: writes what is live and what an apply would make of it (asked of the server as a dry run) into two
// folders, and lets a diff program compare them. Exit code 1: there are differences; above: something failed.
#include "kubectl/cmd/apply.h"
#include "kubectl/ctl/spawn.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/yaml.h"

#define MAX_RETRIES 4

struct diff {
        struct apply_run apply;
        bool show_managed_fields;
        int64_t concurrency;
        char *from, *to; // folders
};

static void release_diff(struct diff *diff)
{
        apply_release(&diff->apply);
        char *const folders[] = {diff->from, diff->to};
        for (size_t i = 0; i < CX_ARRAY_SIZE(folders); i++) {
                if (folders[i])
                        (void)!cx_remove_tree(folders[i], NULL);
                free(folders[i]);
        }
}

static int make_folder(const char *name, char **ret_path, struct cx_error *err)
{
        const char *parent = getenv("TMPDIR");
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s-XXXXXX", parent && *parent ? parent : "/tmp", name);
        if (!mkdtemp(path))
                return cx_error_set(err, -errno, "cannot make a temporary folder: %s", strerror(errno));
        *ret_path = cx_steal(&path);
        return 0;
}

// --- secrets ----------------------------------------------------------------------------------------------------------
// What is secret is not shown, only whether it differs. `from` and `to` are copies; either may be NULL.
static void mask(json_t *from, json_t *to)
{
        json_t *before = json_object_get(from, "data"), *after = json_object_get(to, "data");
        const char *key;
        json_t *value;
        void *next;
        json_object_foreach_safe (before, next, key, value) {
                json_t *other = json_object_get(after, key);
                bool differs = other && !json_equal(value, other);
                if (other)
                        json_object_set_new(after, key, json_string(differs ? "*** (after)" : "***"));
                json_object_set_new(before, key, json_string(differs ? "*** (before)" : "***"));
        }
        json_object_foreach_safe (after, next, key, value)
                if (!json_object_get(before, key))
                        json_object_set_new(after, key, json_string("***"));
}

// --- files ------------------------------------------------------------------------------------------------------------
static int write_version(const struct diff *diff, const char *folder, const struct info *info, json_t *object,
                         struct cx_error *err)
{
        const struct mapping *m = info->mapping;
        CX_BUF text = CX_BUF_INIT;
        CX_CLEANUP(cx_freep)
        char *path = cx_sprintf("%s/%s%s%s.%s.%s.%s", folder, m->group, *m->group ? "." : "", m->version, m->kind,
                                cx_str(info->namespace), info->name);
        if (!diff->show_managed_fields)
                json_object_del(json_object_get(object, "metadata"), "managedFields");
        int r = object ? cx_yaml_dump(object, &text, err) : 0;
        return r < 0 ? r : cx_write_file(path, text.data, text.length, 0600, false, err);
}

static int write_both(const struct diff *diff, const struct info *info, const json_t *live, const json_t *merged,
                      struct cx_error *err)
{
        json_auto_t *from = live ? json_deep_copy(live) : NULL, *to = json_deep_copy(merged);
        if (strcmp(info->mapping->kind, "Secret") == 0 && strcmp(info->mapping->version, "v1") == 0)
                mask(from, to);
        int r = write_version(diff, diff->from, info, from, err);
        return r < 0 ? r : write_version(diff, diff->to, info, to, err);
}

// --- versions ---------------------------------------------------------------------------------------------------------
// What an apply would make of info->object, which is what the file says.
static int merge(struct diff *diff, struct info *info, const json_t *live, struct cx_error *err)
{
        struct apply_run *apply = &diff->apply;
        json_auto_t *local = json_deep_copy(info->object);
        bool unchanged = false;
        if (apply->server_side)
                return apply_send(apply, "PATCH", info, local, cx_patch_content_type(CX_PATCH_APPLY), true, err);
        if (!live)
                return apply_send(apply, "POST", info, local, NULL, false, err);
        json_decref(info->object);
        info->object = json_incref((json_t *)live);
        cx_json_object_at(cx_json_object_at(local, "metadata"), "annotations"); // those that are live stay
        return apply_merge(apply, info, local, &unchanged, err);
}

static void warn_changing(const struct info *info)
{
        char kind[256];
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("Object (%s: %s) keeps changing, diffing without lock",
                                mapping_kind_text(info->mapping, kind), info->name);
        ctl_log_warning(text);
}

static int diff_one(struct diff *diff, struct info *info, struct cx_error *err)
{
        json_auto_t *local = json_incref(info->object);
        for (int attempt = 1;; attempt++) {
                json_auto_t *live = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                if (attempt == MAX_RETRIES)
                        warn_changing(info);
                int r = info_fetch(diff->apply.ctl, info, &failure);
                if (r < 0 && failure.reason != CX_REASON_NOT_FOUND)
                        return cx_error_move(err, &failure);
                if (r == 0)
                        live = json_incref(info->object);
                cx_error_release(&failure);
                json_decref(info->object);
                info->object = json_incref(local);
                if (live)
                        cx_strings_add(&diff->apply.uids, cx_json_string_or(live, "metadata.uid", ""));
                r = merge(diff, info, live, &failure);
                if (r == 0)
                        return write_both(diff, info, live, info->object, err);
                if (failure.reason != CX_REASON_CONFLICT || attempt >= MAX_RETRIES)
                        return cx_error_move(err, &failure);
        }
}

static int diff_pruned(struct diff *diff, const struct infos *kinds, struct cx_error *err)
{
        INFOS gone = INFOS_INIT;
        int r = prune_find(&diff->apply, kinds, &gone, err);
        for (size_t i = 0; r == 0 && i < gone.count; i++)
                r = write_version(diff, diff->from, gone.items[i], gone.items[i]->object, err);
        return r;
}

// --- the program ------------------------------------------------------------------------------------------------------
static bool is_plain(const char *word)
{
        for (; *word; word++)
                if (!strchr("-=", *word) && !(*word >= '0' && *word <= '9') &&
                    !((*word | 32) >= 'a' && (*word | 32) <= 'z'))
                        return false;
        return true;
}

static int run_program(const struct diff *diff, struct cx_error *err)
{
        const char *external = getenv("KUBECTL_EXTERNAL_DIFF");
        CX_STRINGS words = CX_STRINGS_INIT, all = CX_STRINGS_INIT;
        cx_strings_split(&words, external && *external ? external : "diff", ' ');
        cx_strings_add(&all, words.items[0]);
        if (!external || !*external) {
                cx_strings_add(&all, "-u");
                cx_strings_add(&all, "-N");
        }
        cx_strings_add(&all, diff->from);
        cx_strings_add(&all, diff->to);
        for (size_t i = 1; i < words.count; i++) {
                if (*words.items[i] && is_plain(words.items[i]))
                        cx_strings_add(&all, words.items[i]);
                else
                        fprintf(stderr,
                                "Warning: invalid argument is ignored: %s, only Alphanumeric (case-insensitive), "
                                "dash and equal are allowed\n",
                                words.items[i]);
        }
        CX_CLEANUP(cx_freep) char **argv = cx_alloc_array(all.count + 1, sizeof *argv);
        memcpy(argv, all.items, all.count * sizeof *argv);
        int status = 0, r = ctl_spawn(argv, &status);
        if (r == -ENOENT)
                return cx_error_set(err, r, "failed to run \"%s\": executable file not found in $PATH", argv[0]);
        if (r < 0)
                return cx_error_set(err, r, "failed to run \"%s\": %s", argv[0], strerror(-r));
        if (status > 1)
                return cx_error_set(err, -EIO, "failed to run \"%s\": exit status %d", argv[0], status);
        diff->apply.ctl->status = status;
        return 0;
}

COMMAND(diff)
{
        CX_CLEANUP(release_diff)
        struct diff diff = {.apply = {.ctl = ctl, .builder = {.applies = true, .stops = true}, .mode = DRY_SERVER},
                            .concurrency = 1};
        struct apply_run *apply = &diff.apply;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&apply->builder),
                SERVER_SIDE_FLAGS(apply),
                PRUNE_FLAGS(apply),
                {"selector", 'l', CX_FLAG_STRING, &apply->builder.selector,
                 "Only the objects of the files with these labels."},
                {"concurrency", 0, CX_FLAG_INT, &diff.concurrency,
                 "Taken, and not needed: objects are asked for in turn.", NULL, NULL, 1, INT32_MAX},
                {"show-managed-fields", 0, CX_FLAG_BOOL, &diff.show_managed_fields, "Compare the managedFields too."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT, kinds = INFOS_INIT;
        ctl->failure_status = 2; // 1 means that there are differences
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        apply->validate = "ignore";
        if (args.count)
                return ctl_unexpected_args(ctl, &args, err);
        if (!apply->builder.files.count && !apply->builder.kustomize)
                return cx_error_set(err, -EINVAL, "must specify one of -f and -k");
        if (apply->force_conflicts && !apply->server_side)
                return cx_error_set(err, -EINVAL, "--force-conflicts only works with --server-side");
        r = apply->prune ? prune_parse(apply, &kinds, err) : 0;
        if (r == 0)
                r = builder_targets(ctl, &apply->builder, &args, &infos, err);
        if (r == 0)
                r = make_folder("LIVE", &diff.from, err);
        if (r == 0)
                r = make_folder("MERGED", &diff.to, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                const char *namespace = infos.items[i]->namespace;
                if (namespace && !cx_strings_has(&apply->namespaces, namespace))
                        cx_strings_add(&apply->namespaces, namespace);
                r = diff_one(&diff, infos.items[i], err);
        }
        if (r == 0 && apply->prune)
                r = diff_pruned(&diff, &kinds, err);
        return r == 0 && !ctl->status ? run_program(&diff, err) : r;
}
