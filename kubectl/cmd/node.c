// SPDX-License-Identifier: Apache-2.0
// kubectl taint.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"

// --- taint ----------------------------------------------------------------------------------------------------------
// key=value:effect, key:effect, key=value:effect-, key:effect-, key-
struct taint {
        char key[320], value[64], effect[32];
        bool remove;
};

static int parse_taint(const char *text, struct taint *taint, struct cx_error *err)
{
        *taint = (struct taint){0};
        size_t length = strlen(text);
        taint->remove = length && text[length - 1] == '-';
        CX_CLEANUP(cx_freep) char *rest = cx_strndup(text, length - taint->remove);
        char *colon = strchr(rest, ':'), *equals = strchr(rest, '=');
        if (colon)
                *colon++ = 0;
        if (equals && (!colon || equals < colon))
                *equals++ = 0;
        bool fits = cx_copy_string(taint->key, sizeof taint->key, rest) &&
                    cx_copy_string(taint->value, sizeof taint->value, equals ? equals : "") &&
                    cx_copy_string(taint->effect, sizeof taint->effect, colon ? colon : "");
        bool known = strcmp(taint->effect, "NoSchedule") == 0 || strcmp(taint->effect, "PreferNoSchedule") == 0 ||
                     strcmp(taint->effect, "NoExecute") == 0;
        if (fits && *rest && *taint->effect && !known)
                return cx_error_set(err, -EINVAL,
                                    "invalid taint effect: %s, unsupported taint effect\nSee 'kubectl taint -h' for "
                                    "help and examples",
                                    taint->effect);
        if (!fits || !*rest || (!taint->remove && !known) || (taint->remove && *taint->effect && !known))
                return cx_error_set(err, -EINVAL, "invalid taint spec: %s", text);
        return 0;
}

struct tainting {
        struct output output;
        const char *dry_run, *manager, *validate;
        bool overwrite;
        int mode;
};

static int taint_node(struct ctl *ctl, struct tainting *how, struct info *node, const struct taint *taints, size_t n,
                      struct cx_error *err)
{
        json_t *spec = cx_json_object_at(node->object, "spec");
        json_auto_t *list = json_deep_copy(json_object_get(spec, "taints"));
        if (!list)
                list = json_array();
        size_t added = 0;
        for (size_t i = 0; i < n; i++) {
                bool found = false;
                for (size_t j = json_array_size(list); j-- > 0;) {
                        const json_t *old = json_array_get(list, j);
                        if (!cx_streq(cx_json_string(old, "key"), taints[i].key) ||
                            (*taints[i].effect && !cx_streq(cx_json_string(old, "effect"), taints[i].effect)))
                                continue;
                        if (!taints[i].remove && !how->overwrite)
                                return cx_error_set(
                                        err, -EEXIST,
                                        "node %s already has %s taint(s) with same effect(s) and --overwrite is false",
                                        node->name, taints[i].key);
                        json_array_remove(list, j);
                        found = true;
                }
                if (taints[i].remove && !found)
                        return cx_error_set(err, -ENOENT, "taint \"%s%s%s\" not found", taints[i].key,
                                            *taints[i].effect ? ":" : "", taints[i].effect);
                if (taints[i].remove)
                        continue;
                json_t *entry = json_pack("{s:s,s:s}", "key", taints[i].key, "effect", taints[i].effect);
                if (*taints[i].value)
                        json_object_set_new(entry, "value", json_string(taints[i].value));
                json_array_insert_new(list, added++, entry); // the new ones come first
        }
        json_auto_t *patch =
                json_pack("{s:{s:s?},s:{s:O}}", "metadata", "resourceVersion",
                          cx_json_string(node->object, "metadata.resourceVersion"), "spec", "taints", list);
        if (how->mode != DRY_CLIENT) {
                int r = info_patch(ctl, node, NULL, CX_PATCH_MERGE, patch, how->mode, how->manager, err);
                if (r < 0)
                        return r;
        } else {
                json_object_set(spec, "taints", list);
        }
        return output_result(&how->output, node, added ? how->overwrite ? "modified" : "tainted" : "untainted",
                             how->mode == DRY_CLIENT ? DRY_CLIENT : DRY_NONE, err);
}

static void release_tainting(struct tainting *how)
{
        output_release(&how->output);
}

COMMAND(taint)
{
        BUILDER builder = {0};
        CX_CLEANUP(release_tainting) struct tainting how = {.manager = "kubectl-taint"};
        const struct cx_flag flags[] = {
                OUTPUT_FLAGS(&how.output),
                VALIDATE_FLAG(&how.validate),
                {"field-manager", 0, CX_FLAG_STRING, &how.manager, "Name of the manager of the fields."},
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) of nodes."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All nodes."},
                {"overwrite", 0, CX_FLAG_BOOL, &how.overwrite, "Allow taints to be changed."},
                DRY_RUN_FLAG(&how.dry_run),
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT, words = CX_STRINGS_INIT;
        INFOS nodes = INFOS_INIT;
        struct taint taints[64];
        size_t n = 0;
        int r = output_begin(ctl, flags, argc, argv, &args, &how.output, &how.dry_run, &how.mode, err);
        if (r == 0)
                r = check_validation(how.validate, err);
        for (size_t i = 0; r == 0 && i < args.count; i++) {
                size_t length = strlen(args.items[i]);
                bool is_taint = i > 0 && (strpbrk(args.items[i], "=:") || args.items[i][length - 1] == '-');
                if (!is_taint)
                        cx_strings_add(&words, args.items[i]);
                else if (n < CX_ARRAY_SIZE(taints))
                        r = parse_taint(args.items[i], &taints[n++], err);
                else
                        r = cx_error_set(err, -E2BIG, "more than %zu taints", CX_ARRAY_SIZE(taints));
        }
        if (r < 0)
                return r;
        if (!n)
                return cx_error_set(err, -EINVAL, "at least one taint update is required");
        r = builder_objects(ctl, &builder, &words, &nodes, err);
        for (size_t i = 0; r == 0 && i < nodes.count; i++)
                r = taint_node(ctl, &how, nodes.items[i], taints, n, err);
        return r;
}
