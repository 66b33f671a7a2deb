// SPDX-License-Identifier: Apache-2.0
// kubectl api-resources and api-versions.
#include "kubectl/cmd/commands.h"
#include "kubectl/printer/tabs.h"

static int compare_mappings(const void *left, const void *right)
{
        const struct mapping *a = *(struct mapping *const *)left, *b = *(struct mapping *const *)right;
        int c = strcmp(a->group, b->group);
        return c ? c : strcmp(a->resource, b->resource);
}

static int compare_names(const void *left, const void *right)
{
        const struct mapping *a = *(struct mapping *const *)left, *b = *(struct mapping *const *)right;
        int c = strcmp(a->resource, b->resource);
        return c ? c : strcmp(a->group, b->group);
}

static int compare_kinds(const void *left, const void *right)
{
        const struct mapping *a = *(struct mapping *const *)left, *b = *(struct mapping *const *)right;
        int c = strcmp(a->kind, b->kind);
        return c ? c : compare_names(left, right);
}

static char *verbs_text(unsigned verbs)
{
        static const struct {
                const char *name;
                unsigned bit;
        } all[] = {
                {"create", CX_VERB_CREATE}, {"delete", CX_VERB_DELETE}, {"deletecollection", CX_VERB_DELETE_COLLECTION},
                {"get", CX_VERB_GET},       {"list", CX_VERB_LIST},     {"patch", CX_VERB_PATCH},
                {"update", CX_VERB_UPDATE}, {"watch", CX_VERB_WATCH}};
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(all); i++)
                if (verbs & all[i].bit)
                        cx_buf_printf(&text, "%s%s", text.length ? "," : "", all[i].name);
        return cx_buf_detach(&text);
}

static bool has_verbs(const struct mapping *m, const struct cx_strings *wanted)
{
        CX_CLEANUP(cx_freep) char *text = verbs_text(m->verbs);
        CX_STRINGS have = CX_STRINGS_INIT;
        cx_strings_split(&have, text, ',');
        for (size_t i = 0; i < wanted->count; i++)
                if (!cx_strings_has(&have, wanted->items[i]))
                        return false;
        return true;
}

// As an APIResourceList.
static int show_resource_list(struct ctl *ctl, const char *form, struct mapping *const *list, size_t n,
                              struct cx_error *err)
{
        json_auto_t *all = json_pack("{s:s,s:s,s:s,s:[]}", "kind", "APIResourceList", "apiVersion", "v1",
                                     "groupVersion", "", "resources");
        for (size_t i = 0; i < n; i++) {
                const struct mapping *m = list[i];
                CX_STRINGS verbs = CX_STRINGS_INIT;
                CX_CLEANUP(cx_freep) char *text = verbs_text(m->verbs);
                cx_strings_split(&verbs, text, ',');
                json_t *entry = json_pack("{s:s,s:s,s:b,s:s,s:s,s:o}", "name", m->resource, "singularName", m->singular,
                                          "namespaced", (int)m->namespaced, "version", m->version, "kind", m->kind,
                                          "verbs", strings_json(&verbs));
                if (*m->group)
                        json_object_set_new(entry, "group", json_string(m->group));
                if (m->short_names.count)
                        json_object_set_new(entry, "shortNames", strings_json(&m->short_names));
                if (m->categories.count)
                        json_object_set_new(entry, "categories", strings_json(&m->categories));
                json_array_append_new(json_object_get(all, "resources"), entry);
        }
        OUTPUT output = {.text = form};
        CX_BUF text = CX_BUF_INIT;
        int r = output_parse(ctl, &output, err);
        if (r == 0)
                r = output_object(&output, all, &text, err);
        OUT("%s", text.data);
        return r;
}

struct api_resources {
        const char *group, *output, *sort_by;
        bool namespaced, namespaced_given, no_headers, cached, group_given;
        struct cx_strings verbs, categories;
};

static void release_api_resources(struct api_resources *a)
{
        cx_strings_release(&a->verbs);
        cx_strings_release(&a->categories);
}

static bool is_document(const char *output)
{
        return strcmp(output, "json") == 0 || strcmp(output, "yaml") == 0 || strcmp(output, "kyaml") == 0;
}

static int check(struct ctl *ctl, const struct api_resources *a, const struct cx_strings *args, struct cx_error *err)
{
        if (*a->output && strcmp(a->output, "wide") != 0 && strcmp(a->output, "name") != 0 && !is_document(a->output))
                return cx_error_set(
                        err, -EINVAL,
                        "unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                        "json,kyaml,name,wide,yaml",
                        a->output);
        if (args->count)
                return ctl_usage_error(ctl, err, "unexpected arguments: [%s]", args->items[0]);
        if (a->sort_by && strcmp(a->sort_by, "name") != 0 && strcmp(a->sort_by, "kind") != 0)
                return cx_error_set(err, -EINVAL, "--sort-by accepts only name or kind");
        return 0;
}

static bool is_shown(const struct api_resources *a, const struct mapping *m, struct mapping *const *shown, size_t n)
{
        if (!m->verbs || (a->group_given && strcmp(a->group, m->group) != 0) ||
            (a->namespaced_given && a->namespaced != m->namespaced) || !has_verbs(m, &a->verbs))
                return false;
        for (size_t i = 0; i < a->categories.count; i++)
                if (!cx_strings_has(&m->categories, a->categories.items[i]))
                        return false;
        for (size_t i = 0; i < n; i++) // the preferred version only
                if (strcmp(shown[i]->group, m->group) == 0 && strcmp(shown[i]->resource, m->resource) == 0)
                        return false;
        return true;
}

static void show_rows(const struct api_resources *a, struct mapping *const *shown, size_t n)
{
        const bool wide = strcmp(a->output, "wide") == 0, name = strcmp(a->output, "name") == 0;
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (!a->no_headers && !name)
                cx_buf_printf(&text, "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND%s\n",
                              wide ? "\tVERBS\tCATEGORIES" : "");
        for (size_t i = 0; i < n; i++) {
                const struct mapping *m = shown[i];
                char api_version[128];
                if (name) {
                        cx_buf_printf(&text, "%s%s%s\n", m->resource, *m->group ? "." : "", m->group);
                        continue;
                }
                CX_CLEANUP(cx_freep) char *shorts = cx_strings_join(&m->short_names, ",");
                CX_CLEANUP(cx_freep) char *all = cx_strings_join(&m->categories, ",");
                CX_CLEANUP(cx_freep) char *can = verbs_text(m->verbs);
                cx_buf_printf(&text, "%s\t%s\t%s\t%s\t%s", m->resource, shorts,
                              cx_join_api_version(api_version, m->group, m->version), m->namespaced ? "true" : "false",
                              m->kind);
                cx_buf_printf(&text, wide ? "\t%s\t%s\n" : "\n", can, all);
        }
        tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
}

COMMAND(api_resources)
{
        CX_CLEANUP(release_api_resources) struct api_resources a = {.output = "", .namespaced = true};
        CX_STRINGS args = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {
                {"api-group", 0, CX_FLAG_STRING, &a.group, "Only resources of this group.", NULL, &a.group_given},
                {"namespaced", 0, CX_FLAG_BOOL, &a.namespaced, "Only resources that are (not) namespaced.", NULL,
                 &a.namespaced_given},
                {"verbs", 0, CX_FLAG_CSV, &a.verbs, "Only resources with these verbs."},
                {"categories", 0, CX_FLAG_CSV, &a.categories, "Only resources of these categories."},
                {"output", 'o', CX_FLAG_STRING, &a.output, "name or wide."},
                {"sort-by", 0, CX_FLAG_STRING, &a.sort_by, "name or kind."},
                {"no-headers", 0, CX_FLAG_BOOL, &a.no_headers, "Do not print headers."},
                {"cached", 0, CX_FLAG_BOOL, &a.cached, "Use what was discovered before."},
                {0},
        };
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        r = check(ctl, &a, &args, err);
        if (r == 0)
                r = discovery_load(ctl, !a.cached, err);
        if (r < 0)
                return r;
        const struct discovery *d = ctl->discovery;
        CX_CLEANUP(cx_freep) struct mapping **shown = cx_alloc_array(d->n_all + 1, sizeof *shown);
        size_t n = 0;
        for (size_t i = 0; i < d->n_all; i++)
                if (is_shown(&a, d->all[i], shown, n))
                        shown[n++] = d->all[i];
        qsort(shown, n, sizeof *shown,
              cx_streq(a.sort_by, "kind")   ? compare_kinds
              : cx_streq(a.sort_by, "name") ? compare_names
                                            : compare_mappings);
        if (is_document(a.output))
                return show_resource_list(ctl, a.output, shown, n, err);
        show_rows(&a, shown, n);
        return 0;
}

COMMAND(api_versions)
{
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0 && args.count) {
                CX_CLEANUP(cx_freep) char *words = cx_strings_join(&args, " ");
                return ctl_usage_error(ctl, err, "unexpected arguments: [%s]", words);
        }
        if (r == 0)
                r = discovery_load(ctl, true, err);
        if (r < 0)
                return r;
        cx_strings_sort(&ctl->discovery->versions);
        for (size_t i = 0; i < ctl->discovery->versions.count; i++)
                OUT("%s\n", ctl->discovery->versions.items[i]);
        return 0;
}
