// SPDX-License-Identifier: Apache-2.0
// kubectl tree TYPE NAME: an addition of ours. Who owns the object, and what it owns, down to the last.
#include "kubectl/cmd/commands.h"
#include "kubectl/printer/tabs.h"
#include "libcommon/base/time.h"

#define MAX_DEPTH 32

struct tree {
        json_t *objects; // of the namespace, and those without one
        struct cx_buf rows;
};

static const json_t *find_by_uid(const json_t *objects, const char *uid)
{
        size_t i;
        json_t *object;
        json_array_foreach (objects, i, object)
                if (cx_streq(cx_json_string(object, "metadata.uid"), uid))
                        return object;
        return NULL;
}

static bool is_owned_by(const json_t *object, const char *uid)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, owner)
                if (cx_streq(cx_json_string(owner, "uid"), uid))
                        return true;
        return false;
}

static void put_row(struct tree *tree, const json_t *object, const char *indent, const char *branch, bool marked)
{
        char age[CX_TIME_TEXT] = "<unknown>";
        int64_t us = 0;
        const json_t *ready = cx_json_find(cx_json_get(object, "status.conditions"), "type", "Ready");
        if (!ready)
                ready = cx_json_find(cx_json_get(object, "status.conditions"), "type", "Available");
        if (cx_time_parse(cx_json_string_or(object, "metadata.creationTimestamp", ""), &us) == 0)
                cx_duration_human((cx_time_now() - us) * 1000, age);
        cx_buf_printf(&tree->rows, "%s%s%s/%s%s\t%s\t%s\t%s\n", indent, branch, cx_json_string_or(object, "kind", ""),
                      cx_json_string_or(object, "metadata.name", ""), marked ? " *" : "",
                      cx_json_string_or(ready, "status", "-"), cx_json_string_or(ready, "reason", ""), age);
}

static void put_below(struct tree *tree, const json_t *object, const char *indent, const char *marked, int depth)
{
        const char *uid = cx_json_string_or(object, "metadata.uid", "");
        size_t i, left = 0;
        json_t *child;
        json_array_foreach (tree->objects, i, child)
                left += is_owned_by(child, uid);
        if (depth >= MAX_DEPTH)
                return;
        json_array_foreach (tree->objects, i, child) {
                if (!is_owned_by(child, uid))
                        continue;
                bool last = --left == 0;
                CX_CLEANUP(cx_freep) char *below = cx_sprintf("%s%s", indent, last ? "  " : "| ");
                put_row(tree, child, indent, last ? "`-" : "|-",
                        cx_streq(cx_json_string(child, "metadata.uid"), marked));
                put_below(tree, child, below, marked, depth + 1);
        }
}

static int list_all(struct ctl *ctl, const char *namespace, json_t *objects, struct cx_error *err)
{
        int r = discovery_load(ctl, false, err);
        CX_STRINGS seen = CX_STRINGS_INIT;
        for (size_t i = 0; r == 0 && i < ctl->discovery->n_all; i++) {
                const struct mapping *m = ctl->discovery->all[i];
                const struct info all = {.mapping = m, .namespace = m->namespaced ? (char *)namespace : NULL};
                CX_ERROR ignored = CX_ERROR_INIT;
                CX_BUF path = CX_BUF_INIT;
                CX_CLEANUP(cx_freep) char *id = cx_sprintf("%s.%s", m->resource, m->group);
                if (!(m->verbs & CX_VERB_LIST) || cx_strings_has(&seen, id) || (m->namespaced && !namespace) ||
                    strcmp(m->resource, "events") == 0)
                        continue;
                cx_strings_add(&seen, id);
                info_path(&all, NULL, &path);
                json_auto_t *items = list_objects(ctl, path.data, &ignored); // what may not be seen is not shown
                cx_error_release(&ignored);
                size_t j;
                json_t *item;
                json_array_foreach (items, j, item)
                        if (!find_by_uid(objects, cx_json_string_or(item, "metadata.uid", ""))) {
                                json_object_set_new(item, "kind", json_string(m->kind));
                                json_array_append(objects, item);
                        }
        }
        return r;
}

static int show_tree(struct ctl *ctl, const struct info *info, struct cx_error *err)
{
        struct tree tree = {.objects = json_array(), .rows = CX_BUF_INIT};
        json_auto_t *objects = tree.objects;
        const json_t *top = info->object;
        const char *marked = cx_json_string_or(info->object, "metadata.uid", "");
        CX_BUF text = CX_BUF_INIT;
        int r = list_all(ctl, info->namespace, objects, err);
        if (r < 0)
                return r;
        for (int depth = 0; depth < MAX_DEPTH; depth++) { // up, by the first owner that is there
                const json_t *owner = json_array_get(cx_json_get(top, "metadata.ownerReferences"), 0);
                const json_t *above = owner ? find_by_uid(objects, cx_json_string_or(owner, "uid", "")) : NULL;
                if (!above)
                        break;
                top = above;
        }
        cx_buf_add(&tree.rows, "NAME\tREADY\tREASON\tAGE\n");
        put_row(&tree, top, "", "", top != info->object && cx_streq(cx_json_string(top, "metadata.uid"), marked));
        put_below(&tree, top, "", top == info->object ? "" : marked, 0);
        tabs_align(tree.rows.data, 6, 3, &text);
        fputs(text.data, stdout);
        cx_buf_release(&tree.rows);
        return 0;
}

COMMAND(tree)
{
        BUILDER builder = {0};
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++)
                r = show_tree(ctl, infos.items[i], err);
        return r;
}
