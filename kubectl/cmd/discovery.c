// SPDX-License-Identifier: Apache-2.0
// kubectl api-resources, api-versions, version, cluster-info, options, auth can-i, auth whoami, events.
#include "format/yaml.h"
#include "kubectl/cmd/describe.h"
#include "kubectl/printer/table.h"
#include "kubectl/printer/tabs.h"

#define CLIENT_VERSION "v1.35.0"
#define KUSTOMIZE_VERSION "v5.7.1" // that kubectl of this version has; its directories (-k) are refused

// --- api-resources --------------------------------------------------------------------------------------------------
static int compare_mappings(const void *left, const void *right)
{
        const struct cx_mapping *a = *(struct cx_mapping *const *)left, *b = *(struct cx_mapping *const *)right;
        int c = strcmp(a->group, b->group);
        return c ? c : strcmp(a->resource, b->resource);
}

static int compare_names(const void *left, const void *right)
{
        const struct cx_mapping *a = *(struct cx_mapping *const *)left, *b = *(struct cx_mapping *const *)right;
        int c = strcmp(a->resource, b->resource);
        return c ? c : strcmp(a->group, b->group);
}

static int compare_kinds(const void *left, const void *right)
{
        const struct cx_mapping *a = *(struct cx_mapping *const *)left, *b = *(struct cx_mapping *const *)right;
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

static bool has_verbs(const struct cx_mapping *m, const struct cx_strings *wanted)
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
static int show_resource_list(struct cx_ctl *ctl, const char *form, struct cx_mapping *const *list, size_t n,
                              struct cx_error *err)
{
        json_auto_t *all = json_pack("{s:s,s:s,s:s,s:[]}", "kind", "APIResourceList", "apiVersion", "v1",
                                     "groupVersion", "", "resources");
        for (size_t i = 0; i < n; i++) {
                const struct cx_mapping *m = list[i];
                CX_STRINGS verbs = CX_STRINGS_INIT;
                CX_CLEANUP(cx_freep) char *text = verbs_text(m->verbs);
                cx_strings_split(&verbs, text, ',');
                json_t *entry = json_pack("{s:s,s:s,s:b,s:s,s:s,s:o}", "name", m->resource, "singularName", m->singular,
                                          "namespaced", (int)m->namespaced, "version", m->version, "kind", m->kind,
                                          "verbs", cx_strings_json(&verbs));
                if (*m->group)
                        json_object_set_new(entry, "group", json_string(m->group));
                if (m->short_names.count)
                        json_object_set_new(entry, "shortNames", cx_strings_json(&m->short_names));
                if (m->categories.count)
                        json_object_set_new(entry, "categories", cx_strings_json(&m->categories));
                json_array_append_new(json_object_get(all, "resources"), entry);
        }
        CX_OUTPUT output = {.text = form};
        CX_BUF text = CX_BUF_INIT;
        int r = cx_output_parse(ctl, &output, err);
        if (r == 0)
                r = cx_output_object(&output, all, &text, err);
        CX_OUT("%s", text.data);
        return r;
}

CX_COMMAND(api_resources)
{
        const char *group = NULL, *output = "", *sort_by = NULL;
        bool namespaced = true, namespaced_given = false, no_headers = false, cached = false, group_given = false;
        CX_STRINGS args = CX_STRINGS_INIT, verbs = CX_STRINGS_INIT, categories = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {
                {"api-group", 0, CX_FLAG_STRING, &group, "Only resources of this group.", NULL, &group_given},
                {"namespaced", 0, CX_FLAG_BOOL, &namespaced, "Only resources that are (not) namespaced.", NULL,
                 &namespaced_given},
                {"verbs", 0, CX_FLAG_CSV, &verbs, "Only resources with these verbs."},
                {"categories", 0, CX_FLAG_CSV, &categories, "Only resources of these categories."},
                {"output", 'o', CX_FLAG_STRING, &output, "name or wide."},
                {"sort-by", 0, CX_FLAG_STRING, &sort_by, "name or kind."},
                {"no-headers", 0, CX_FLAG_BOOL, &no_headers, "Do not print headers."},
                {"cached", 0, CX_FLAG_BOOL, &cached, "Use what was discovered before."},
                {0},
        };
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        bool wide = strcmp(output, "wide") == 0, name = strcmp(output, "name") == 0;
        bool object = strcmp(output, "json") == 0 || strcmp(output, "yaml") == 0 || strcmp(output, "kyaml") == 0;
        if (*output && !wide && !name && !object)
                return cx_error_set(
                        err, -EINVAL,
                        "unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                        "json,kyaml,name,wide,yaml",
                        output);
        if (args.count)
                return cx_ctl_usage_error(ctl, err, "unexpected arguments: [%s]", args.items[0]);
        if (sort_by && strcmp(sort_by, "name") != 0 && strcmp(sort_by, "kind") != 0)
                return cx_error_set(err, -EINVAL, "--sort-by accepts only name or kind");
        r = cx_discovery_load(ctl, !cached, err);
        if (r < 0)
                return r;
        struct cx_discovery *d = ctl->discovery;
        CX_CLEANUP(cx_freep) struct cx_mapping **shown = cx_alloc_array(d->n_all + 1, sizeof *shown);
        size_t n = 0;
        for (size_t i = 0; i < d->n_all; i++) {
                struct cx_mapping *m = d->all[i];
                bool skip = !m->verbs || (group_given && strcmp(group, m->group) != 0) ||
                            (namespaced_given && namespaced != m->namespaced) || !has_verbs(m, &verbs);
                for (size_t k = 0; k < categories.count; k++)
                        skip = skip || !cx_strings_has(&m->categories, categories.items[k]);
                for (size_t k = 0; k < n; k++) // the preferred version only
                        skip = skip ||
                               (strcmp(shown[k]->group, m->group) == 0 && strcmp(shown[k]->resource, m->resource) == 0);
                if (!skip)
                        shown[n++] = m;
        }
        qsort(shown, n, sizeof *shown,
              cx_streq(sort_by, "kind")   ? compare_kinds
              : cx_streq(sort_by, "name") ? compare_names
                                          : compare_mappings);
        if (object)
                return show_resource_list(ctl, output, shown, n, err);
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (!no_headers && !name)
                cx_buf_printf(&text, "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND%s\n",
                              wide ? "\tVERBS\tCATEGORIES" : "");
        for (size_t i = 0; i < n; i++) {
                const struct cx_mapping *m = shown[i];
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
        cx_tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
        return 0;
}

CX_COMMAND(api_versions)
{
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0 && args.count) {
                CX_CLEANUP(cx_freep) char *words = cx_strings_join(&args, " ");
                return cx_ctl_usage_error(ctl, err, "unexpected arguments: [%s]", words);
        }
        if (r == 0)
                r = cx_discovery_load(ctl, true, err);
        if (r < 0)
                return r;
        cx_strings_sort(&ctl->discovery->versions);
        for (size_t i = 0; i < ctl->discovery->versions.count; i++)
                CX_OUT("%s\n", ctl->discovery->versions.items[i]);
        return 0;
}

// --- version --------------------------------------------------------------------------------------------------------
CX_COMMAND(version)
{
        bool client_only = false;
        const char *output = "";
        const struct cx_flag flags[] = {
                {"client", 0, CX_FLAG_BOOL, &client_only, "Only the version of kubectl itself."},
                {"output", 'o', CX_FLAG_STRING, &output, "yaml or json."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count) {
                CX_CLEANUP(cx_freep) char *words = cx_strings_join(&args, " ");
                return cx_error_set(err, -EINVAL, "extra arguments: [%s]", words);
        }
        if (*output && strcmp(output, "json") != 0 && strcmp(output, "yaml") != 0)
                return cx_error_set(err, -EINVAL, "--output must be 'yaml' or 'json'");
        json_auto_t *server = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        if (!client_only)
                r = cx_ctl_json(ctl, "GET", "/version", NULL, NULL, &server, &failure);
        json_auto_t *all = json_pack("{s:{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s},s:s}", "clientVersion", "major", "1",
                                     "minor", "35", "gitVersion", CLIENT_VERSION, "gitCommit", "", "gitTreeState",
                                     "clean", "buildDate", "1970-01-01T00:00:00Z", "goVersion", "none", "compiler",
                                     "gcc", "platform", "linux/amd64", "kustomizeVersion", KUSTOMIZE_VERSION);
        if (server)
                json_object_set(all, "serverVersion", server);
        CX_BUF text = CX_BUF_INIT;
        if (strcmp(output, "json") == 0) {
                char *dump = json_dumps(all, JSON_INDENT(2));
                cx_buf_printf(&text, "%s\n", dump);
                free(dump);
        } else if (*output) {
                r = cx_yaml_dump(all, &text, err);
                cx_buf_add_char(&text, '\n');
        } else {
                cx_buf_add(&text, "Client Version: " CLIENT_VERSION "\nKustomize Version: " KUSTOMIZE_VERSION "\n");
                if (server)
                        cx_buf_printf(&text, "Server Version: %s\n", cx_json_string_or(server, "gitVersion", ""));
        }
        fputs(text.data, stdout);
        return failure.code ? cx_error_move(err, &failure) : 0;
}

CX_COMMAND(cluster_info)
{
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_ctl_connect(ctl, err);
        if (r < 0)
                return r;
        json_auto_t *services = cx_list_objects(
                ctl, "/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue",
                err);
        if (!services)
                return err ? err->code : -EIO;
        bool color = isatty(STDOUT_FILENO);
        const char *green = color ? "\033[0;32m" : "", *yellow = color ? "\033[0;33m" : "",
                   *off = color ? "\033[0m" : "";
        CX_OUT("%sKubernetes control plane%s is running at %s%s%s\n", green, off, yellow, cx_rest_server(ctl->rest),
               off);
        size_t i;
        json_t *service;
        json_array_foreach (services, i, service) {
                const char *name = cx_json_string_or(service, "metadata.name", "");
                const json_t *labels = cx_json_get(service, "metadata.labels");
                const char *shown = json_string_value(json_object_get(labels, "kubernetes.io/name"));
                const char *port = cx_json_string_or(json_array_get(cx_json_get(service, "spec.ports"), 0), "name", "");
                CX_OUT("%s%s%s is running at %s%s/api/v1/namespaces/kube-system/services/%s%s%s/proxy%s\n", green,
                       shown ? shown : name, off, yellow, cx_rest_server(ctl->rest), name, *port ? ":" : "", port, off);
        }
        CX_OUT("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
        return 0;
}

CX_COMMAND(options)
{
        (void)argc;
        (void)argv;
        (void)err;
        CX_BUF text = CX_BUF_INIT;
        cx_buf_add(&text, "The following options can be passed to any command:\n\n");
        cx_flags_help(cx_ctl_global_flags(ctl), &text);
        fputs(text.data, stdout);
        return 0;
}

// --- auth -----------------------------------------------------------------------------------------------------------
static int list_rules(struct cx_ctl *ctl, bool no_headers, struct cx_error *err)
{
        json_auto_t *review = json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                        "SelfSubjectRulesReview", "spec", "namespace", ctl->namespace),
                    *answer = NULL;
        int r = cx_ctl_json(ctl, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", NULL, review, &answer,
                            err);
        if (r < 0)
                return r;
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (!no_headers)
                cx_buf_add(&text, "Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
        struct cx_describe d = {.ctl = ctl, .to = &text};
        json_auto_t *rules = json_array();
        size_t i;
        json_t *rule;
        json_array_extend(rules, cx_json_get(answer, "status.resourceRules"));
        json_array_foreach (cx_json_get(answer, "status.nonResourceRules"), i, rule)
                json_array_append(rules, rule);
        cx_rule_rows(&d, 0, rules);
        cx_tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
        return 0;
}

CX_COMMAND(auth_can_i)
{
        bool list = false, all = false, quiet = false, no_headers = false;
        const char *subresource = NULL;
        const struct cx_flag flags[] = {
                {"list", 0, CX_FLAG_BOOL, &list, "Show everything that is allowed."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &all, "In all namespaces."},
                {"quiet", 'q', CX_FLAG_BOOL, &quiet, "Only the exit code."},
                {"no-headers", 0, CX_FLAG_BOOL, &no_headers, "Do not print headers."},
                {"subresource", 0, CX_FLAG_STRING, &subresource, "Subresource, such as log or scale."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_ctl_connect(ctl, err);
        if (r < 0)
                return r;
        if (list)
                return list_rules(ctl, no_headers, err);
        if (args.count != 2 && args.count != 3)
                return cx_error_set(err, -EINVAL,
                                    "you must specify two arguments: verb resource or verb resource/resourceName.\nSee "
                                    "'kubectl auth can-i -h' for help and examples.");
        const char *word = args.items[1], *slash = strchr(word, '/');
        json_auto_t *review = NULL, *answer = NULL;
        if (*word == '/') {
                review = json_pack("{s:s,s:s,s:{s:{s:s,s:s}}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                   "SelfSubjectAccessReview", "spec", "nonResourceAttributes", "verb", args.items[0],
                                   "path", word);
        } else {
                CX_CLEANUP(cx_freep) char *type = cx_strndup(word, slash ? (size_t)(slash - word) : strlen(word));
                const struct cx_mapping *m = NULL;
                CX_ERROR unknown = CX_ERROR_INIT;
                if (strcmp(type, "*") != 0 && cx_mapping_find(ctl, type, &m, &unknown) < 0) {
                        if (unknown.code != -ENOENT)
                                return cx_error_move(err, &unknown);
                        fprintf(stderr, "Warning: the server doesn't have a resource type '%s'\n\n", type);
                }
                if (m && !m->namespaced && !all && !ctl->namespace_flag)
                        fprintf(stderr, "Warning: resource '%s' is not namespace scoped%s%s%s\n\n", m->resource,
                                *m->group ? " in group '" : "", m->group, *m->group ? "'" : "");
                review = json_pack("{s:s,s:s,s:{s:{s:s,s:s,s:s,s:s}}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                   "SelfSubjectAccessReview", "spec", "resourceAttributes", "verb", args.items[0],
                                   "group",
                                   m                        ? m->group
                                   : strcmp(type, "*") == 0 ? "*"
                                                            : "",
                                   "resource", m ? m->resource : type, "namespace", all ? "" : ctl->namespace);
                json_t *attributes = cx_json_get(review, "spec.resourceAttributes");
                if (slash || args.count == 3)
                        json_object_set_new(attributes, "name", json_string(slash ? slash + 1 : args.items[2]));
                if (subresource)
                        json_object_set_new(attributes, "subresource", json_string(subresource));
        }
        r = cx_ctl_json(ctl, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", NULL, review, &answer,
                        err);
        if (r < 0)
                return r;
        bool allowed = cx_json_bool(answer, "status.allowed", false);
        const char *reason = cx_json_string_or(answer, "status.reason", "");
        if (!quiet)
                CX_OUT("%s%s%s\n", allowed ? "yes" : "no", !allowed && *reason ? " - " : "", allowed ? "" : reason);
        ctl->status = !allowed;
        return 0;
}

CX_COMMAND(auth_whoami)
{
        CX_OUTPUT output = {0};
        const struct cx_flag flags[] = {CX_OUTPUT_FLAGS(&output), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *review =
                json_pack("{s:s,s:s}", "apiVersion", "authentication.k8s.io/v1", "kind", "SelfSubjectReview");
        json_auto_t *answer = NULL;
        r = cx_ctl_json(ctl, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", NULL, review, &answer, err);
        if (r < 0)
                return r;
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (output.form != CX_OUTPUT_DEFAULT) {
                r = cx_output_object(&output, answer, &text, err);
                fputs(text.data, stdout);
                return r;
        }
        const json_t *user = cx_json_get(answer, "status.userInfo");
        cx_buf_printf(&text, "ATTRIBUTE\tVALUE\nUsername\t%s\n", cx_json_string_or(user, "username", ""));
        if (*cx_json_string_or(user, "uid", ""))
                cx_buf_printf(&text, "UID\t%s\n", cx_json_string(user, "uid"));
        size_t i;
        json_t *item;
        CX_BUF groups = CX_BUF_INIT;
        json_array_foreach (json_object_get(user, "groups"), i, item)
                cx_buf_printf(&groups, "%s%s", i ? " " : "", cx_str(json_string_value(item)));
        if (groups.length)
                cx_buf_printf(&text, "Groups\t[%s]\n", groups.data);
        const json_t *extra = json_object_get(user, "extra");
        CX_CLEANUP(cx_freep) const char **keys = cx_sorted_keys(extra);
        for (size_t k = 0; keys[k]; k++) {
                CX_BUF values = CX_BUF_INIT;
                json_array_foreach (json_object_get(extra, keys[k]), i, item)
                        cx_buf_printf(&values, "%s%s", i ? " " : "", cx_str(json_string_value(item)));
                cx_buf_printf(&text, "Extra: %s\t[%s]\n", keys[k], values.data);
        }
        cx_tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
        return 0;
}
