// SPDX-License-Identifier: Apache-2.0
// kubectl auth can-i and whoami.
#include "kubectl/cmd/describe.h"
#include "kubectl/printer/tabs.h"

static int list_rules(struct ctl *ctl, bool no_headers, struct cx_error *err)
{
        json_auto_t *review = json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                        "SelfSubjectRulesReview", "spec", "namespace", ctl->namespace),
                    *answer = NULL;
        int r = ctl_json(ctl, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", NULL, review, &answer,
                         err);
        if (r < 0)
                return r;
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (!no_headers)
                cx_buf_add(&text, "Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
        struct describe d = {.ctl = ctl, .to = &text};
        json_auto_t *rules = json_array();
        size_t i;
        json_t *rule;
        json_array_extend(rules, cx_json_get(answer, "status.resourceRules"));
        json_array_foreach (cx_json_get(answer, "status.nonResourceRules"), i, rule)
                json_array_append(rules, rule);
        rule_rows(&d, 0, rules);
        tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
        return 0;
}

struct question {
        const char *verb, *resource, *name,
                *subresource; // resource: "pods", "pods/NAME", "*" or a path that begins with /
        bool all_namespaces;
};

// The SelfSubjectAccessReview that asks it.
static int make_review(struct ctl *ctl, const struct question *q, json_t **ret_review, struct cx_error *err)
{
        if (*q->resource == '/') {
                *ret_review = json_pack("{s:s,s:s,s:{s:{s:s,s:s}}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                                        "SelfSubjectAccessReview", "spec", "nonResourceAttributes", "verb", q->verb,
                                        "path", q->resource);
                return 0;
        }
        const char *slash = strchr(q->resource, '/'), *name = slash ? slash + 1 : q->name;
        CX_CLEANUP(cx_freep) char *type = cx_strndup(q->resource, strcspn(q->resource, "/"));
        const bool any = strcmp(type, "*") == 0;
        const struct mapping *m = NULL;
        CX_ERROR unknown = CX_ERROR_INIT;
        if (!any && mapping_find(ctl, type, &m, &unknown) < 0) {
                if (unknown.code != -ENOENT)
                        return cx_error_move(err, &unknown);
                fprintf(stderr, "Warning: the server doesn't have a resource type '%s'\n\n", type);
        }
        if (m && !m->namespaced && !q->all_namespaces && !ctl->namespace_flag)
                fprintf(stderr, "Warning: resource '%s' is not namespace scoped%s%s%s\n\n", m->resource,
                        *m->group ? " in group '" : "", m->group, *m->group ? "'" : "");
        *ret_review =
                json_pack("{s:s,s:s,s:{s:{s:s,s:s,s:s,s:s,s:s*,s:s*}}}", "apiVersion", "authorization.k8s.io/v1",
                          "kind", "SelfSubjectAccessReview", "spec", "resourceAttributes", "verb", q->verb, "group",
                          m     ? m->group
                          : any ? "*"
                                : "",
                          "resource", m ? m->resource : type, "namespace", q->all_namespaces ? "" : ctl->namespace,
                          "name", name, "subresource", q->subresource);
        return 0;
}

COMMAND(auth_can_i)
{
        struct question q = {0};
        bool list = false, quiet = false, no_headers = false;
        const struct cx_flag flags[] = {
                {"list", 0, CX_FLAG_BOOL, &list, "Show everything that is allowed."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &q.all_namespaces, "In all namespaces."},
                {"quiet", 'q', CX_FLAG_BOOL, &quiet, "Only the exit code."},
                {"no-headers", 0, CX_FLAG_BOOL, &no_headers, "Do not print headers."},
                {"subresource", 0, CX_FLAG_STRING, &q.subresource, "Subresource, such as log or scale."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        if (list)
                return list_rules(ctl, no_headers, err);
        if (args.count != 2 && args.count != 3)
                return cx_error_set(err, -EINVAL,
                                    "you must specify two arguments: verb resource or verb resource/resourceName.\nSee "
                                    "'kubectl auth can-i -h' for help and examples.");
        q.verb = args.items[0];
        q.resource = args.items[1];
        q.name = args.count == 3 ? args.items[2] : NULL;
        json_auto_t *review = NULL, *answer = NULL;
        r = make_review(ctl, &q, &review, err);
        if (r == 0)
                r = ctl_json(ctl, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", NULL, review,
                             &answer, err);
        if (r < 0)
                return r;
        bool allowed = cx_json_bool(answer, "status.allowed", false);
        const char *reason = cx_json_string_or(answer, "status.reason", "");
        if (!quiet)
                OUT("%s%s%s\n", allowed ? "yes" : "no", !allowed && *reason ? " - " : "", allowed ? "" : reason);
        ctl->status = !allowed;
        return 0;
}

COMMAND(auth_whoami)
{
        OUTPUT output = {0};
        const struct cx_flag flags[] = {OUTPUT_FLAGS(&output), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *review =
                json_pack("{s:s,s:s}", "apiVersion", "authentication.k8s.io/v1", "kind", "SelfSubjectReview");
        json_auto_t *answer = NULL;
        r = ctl_json(ctl, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", NULL, review, &answer, err);
        if (r < 0)
                return r;
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (output.form != OUTPUT_DEFAULT) {
                r = output_object(&output, answer, &text, err);
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
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(extra);
        for (size_t k = 0; keys[k]; k++) {
                CX_BUF values = CX_BUF_INIT;
                json_array_foreach (json_object_get(extra, keys[k]), i, item)
                        cx_buf_printf(&values, "%s%s", i ? " " : "", cx_str(json_string_value(item)));
                cx_buf_printf(&text, "Extra: %s\t[%s]\n", keys[k], values.data);
        }
        tabs_align(text.data, 6, 3, &aligned);
        fputs(aligned.data, stdout);
        return 0;
}
