// SPDX-License-Identifier: Apache-2.0
// Roles and their bindings. Rules are shown one resource a line, those of the same resource joined.
#include "kubectl/cmd/describe.h"

struct described_rule {
        char *shown;      // "deployments.apps/scale"
        json_t *verbs;    // array
        const char *only; // resource name; NULL: any
        const char *url;
        char *order; // what rules are sorted by
};
struct rules {
        struct described_rule *items;
        size_t count;
};

static void release_rules(struct rules *rules)
{
        for (size_t i = 0; i < rules->count; i++) {
                free(rules->items[i].shown);
                free(rules->items[i].order);
                json_decref(rules->items[i].verbs);
        }
        free(rules->items);
}

static void add_verbs(json_t *to, const json_t *verbs)
{
        size_t i, j;
        json_t *verb, *have;
        json_array_foreach (verbs, i, verb) {
                bool known = false;
                json_array_foreach (to, j, have)
                        known = known || json_equal(have, verb);
                if (!known)
                        json_array_append(to, verb);
        }
}

static void put_words(const json_t *list, struct cx_buf *to)
{
        size_t i;
        json_t *word;
        cx_buf_add_char(to, '[');
        json_array_foreach (list, i, word)
                cx_buf_printf(to, "%s%s", i ? " " : "", cx_str(json_string_value(word)));
        cx_buf_add_char(to, ']');
}

static void add_rule(struct rules *rules, const json_t *verbs, const char *group, const char *resource,
                     const char *only, const char *url)
{
        CX_BUF shown = CX_BUF_INIT;
        if (resource) {
                size_t plain = strcspn(resource, "/");
                cx_buf_printf(&shown, "%.*s%s%s%s", (int)plain, resource, *group ? "." : "", group, resource + plain);
        }
        for (size_t i = 0; resource && i < rules->count; i++)
                if (strcmp(rules->items[i].shown, shown.data) == 0 && !rules->items[i].url &&
                    cx_streq(cx_str(rules->items[i].only), cx_str(only))) {
                        add_verbs(rules->items[i].verbs, verbs);
                        return;
                }
        rules->items = cx_realloc_array(rules->items, rules->count + 1, sizeof *rules->items);
        struct described_rule *made = &rules->items[rules->count++];
        *made = (struct described_rule){
                .shown = cx_buf_detach(&shown), .verbs = json_array(), .only = only, .url = url};
        add_verbs(made->verbs, verbs);
        CX_BUF order = CX_BUF_INIT;
        cx_buf_printf(&order, ",[%s],[%s],[%s],[%s]", cx_str(group), cx_str(resource), cx_str(only), cx_str(url));
        made->order = cx_buf_detach(&order);
}

static void break_down(const json_t *rule, struct rules *to)
{
        size_t g, r, n, u;
        json_t *group, *resource, *name, *url;
        const json_t *verbs = json_object_get(rule, "verbs"), *names = json_object_get(rule, "resourceNames");
        json_array_foreach (json_object_get(rule, "apiGroups"), g, group)
                json_array_foreach (json_object_get(rule, "resources"), r, resource) {
                        json_array_foreach (names, n, name)
                                add_rule(to, verbs, cx_str(json_string_value(group)),
                                         cx_str(json_string_value(resource)), json_string_value(name), NULL);
                        if (!json_array_size(names))
                                add_rule(to, verbs, cx_str(json_string_value(group)),
                                         cx_str(json_string_value(resource)), NULL, NULL);
                }
        json_array_foreach (json_object_get(rule, "nonResourceURLs"), u, url)
                add_rule(to, verbs, "", NULL, NULL, json_string_value(url));
}

static int compare_rules(const void *left, const void *right)
{
        const struct described_rule *a = left, *b = right;
        CX_BUF x = CX_BUF_INIT, y = CX_BUF_INIT;
        put_words(a->verbs, &x);
        put_words(b->verbs, &y);
        int c = strcmp(x.data, y.data);
        return c ? c : strcmp(a->order, b->order);
}

void rule_rows(struct describe *d, int level, const json_t *list)
{
        CX_CLEANUP(release_rules) struct rules rules = {0};
        size_t i;
        json_t *rule;
        json_array_foreach (list, i, rule)
                break_down(rule, &rules);
        if (rules.count)
                qsort(rules.items, rules.count, sizeof *rules.items, compare_rules);
        for (i = 0; i < rules.count; i++) {
                const struct described_rule *one = &rules.items[i];
                CX_BUF verbs = CX_BUF_INIT;
                put_words(one->verbs, &verbs);
                describe_line(d, level, "%s\t[%s]\t[%s]\t%s\n", one->shown, cx_str(one->url), cx_str(one->only),
                              verbs.data);
        }
}

static int describe_role(struct describe *d, const json_t *role, struct cx_error *err CX_UNUSED)
{
        describe_head(d, role, false);
        describe_line(d, 0, "PolicyRule:\n");
        describe_line(d, 1, "Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
        describe_line(d, 1, "---------\t-----------------\t--------------\t-----\n");
        rule_rows(d, 1, json_object_get(role, "rules"));
        return 0;
}

static int describe_binding(struct describe *d, const json_t *binding, struct cx_error *err CX_UNUSED)
{
        size_t i;
        json_t *subject;
        describe_head(d, binding, false);
        describe_line(d, 0, "Role:\n");
        describe_line(d, 1, "Kind:\t%s\n", cx_json_string_or(binding, "roleRef.kind", ""));
        describe_line(d, 1, "Name:\t%s\n", cx_json_string_or(binding, "roleRef.name", ""));
        describe_line(d, 0, "Subjects:\n");
        describe_line(d, 1, "Kind\tName\tNamespace\n");
        describe_line(d, 1, "----\t----\t---------\n");
        json_array_foreach (json_object_get(binding, "subjects"), i, subject)
                describe_line(d, 1, "%s\t%s\t%s\n", cx_json_string_or(subject, "kind", ""),
                              cx_json_string_or(subject, "name", ""), cx_json_string_or(subject, "namespace", ""));
        return 0;
}

#define RBAC "rbac.authorization.k8s.io"
const struct describer describers_rbac[] = {{RBAC, "Role", describe_role},
                                            {RBAC, "ClusterRole", describe_role},
                                            {RBAC, "RoleBinding", describe_binding},
                                            {RBAC, "ClusterRoleBinding", describe_binding},
                                            {0}};
