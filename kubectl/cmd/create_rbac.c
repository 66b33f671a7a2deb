// SPDX-License-Identifier: Apache-2.0
// create role, clusterrole, rolebinding and clusterrolebinding.
#include "kubectl/cmd/commands.h"
#include "kubectl/cmd/subjects.h"

#define RBAC "rbac.authorization.k8s.io"

struct role_flags {
        struct cx_strings verbs, resources, names, urls;
};

static void release_role(struct role_flags *flags)
{
        cx_strings_release(&flags->verbs);
        cx_strings_release(&flags->resources);
        cx_strings_release(&flags->names);
        cx_strings_release(&flags->urls);
}

// Verbs that only some resources know.
static int check_special_verbs(const struct role_flags *f, const char *group, const char *resource,
                               struct cx_error *err)
{
        static const struct {
                const char *verb, *group, *resources;
        } special[] = {{"use", "policy", " podsecuritypolicies "},
                       {"use", "extensions", " podsecuritypolicies "},
                       {"bind", "rbac.authorization.k8s.io", " roles clusterroles "},
                       {"escalate", "rbac.authorization.k8s.io", " roles clusterroles "},
                       {"impersonate", "", " users serviceaccounts groups "},
                       {"impersonate", "authentication.k8s.io", " userextras "}};
        CX_CLEANUP(cx_freep) char *word = cx_sprintf(" %s ", resource);
        for (size_t i = 0; i < f->verbs.count; i++) {
                bool is_special = false, fits = false;
                for (size_t j = 0; j < CX_ARRAY_SIZE(special); j++) {
                        if (strcmp(special[j].verb, f->verbs.items[i]) != 0)
                                continue;
                        is_special = true;
                        fits = fits || (strcmp(special[j].group, group) == 0 && strstr(special[j].resources, word));
                }
                if (is_special && !fits)
                        return cx_error_set(err, -EINVAL, "can not perform '%s' on '%s' in group '%s'",
                                            f->verbs.items[i], resource, group);
        }
        return 0;
}

static void warn_unknown_verbs(const struct role_flags *f)
{
        static const char *const known[] = {
                "*",     "get",   "delete", "list", "create",   "update",      "patch",
                "watch", "proxy", "use",    "bind", "escalate", "impersonate", "deletecollection"};
        for (size_t i = 0; i < f->verbs.count; i++) {
                bool is_known = false;
                for (size_t j = 0; j < CX_ARRAY_SIZE(known); j++)
                        is_known = is_known || strcmp(known[j], f->verbs.items[i]) == 0;
                if (!is_known)
                        fprintf(stderr, "Warning: '%s' is not a standard resource verb\n", f->verbs.items[i]);
        }
}

// Group and resource of a --resource word such as "deployments.apps"; "*" is every one.
static int role_resource(struct ctl *ctl, const char *type, const char **ret_group, const char **ret_resource,
                         struct cx_error *err)
{
        const struct mapping *mapping = NULL;
        *ret_group = "";
        *ret_resource = "*";
        if (*type == '*') {
                *ret_group = type[1] == '.' ? type + 2 : "";
                return 0;
        }
        int r = mapping_find(ctl, type, &mapping, err);
        if (r == -ENOENT && err && err->reason == CX_REASON_UNKNOWN) { // said without "error: "
                fprintf(stderr, "%s\n", cx_error_text(err));
                cx_error_release(err);
                ctl->status = 1;
                return r;
        }
        if (r < 0)
                return r;
        *ret_group = mapping->group;
        *ret_resource = mapping->resource;
        return 0;
}

// Rules, one for each API group; "deployments.apps/scale" is resource, group and subresource.
static int role_rules(struct ctl *ctl, const struct role_flags *f, json_t *rules, struct cx_error *err)
{
        warn_unknown_verbs(f);
        for (size_t i = 0; i < f->resources.count; i++) {
                const char *word = f->resources.items[i], *slash = strchr(word, '/'), *group, *resource;
                CX_CLEANUP(cx_freep) char *type = cx_strndup(word, slash ? (size_t)(slash - word) : strlen(word));
                int r = role_resource(ctl, type, &group, &resource, err);
                if (r == 0)
                        r = check_special_verbs(f, group, resource, err);
                if (r < 0)
                        return r;
                CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s%s", resource, slash ? slash : "");
                json_t *rule = NULL;
                for (size_t j = 0; j < json_array_size(rules) && !rule; j++) {
                        json_t *other = json_array_get(rules, j);
                        if (cx_streq(json_string_value(json_array_get(json_object_get(other, "apiGroups"), 0)), group))
                                rule = other;
                }
                if (!rule) {
                        rule = json_pack("{s:[s],s:[],s:o}", "apiGroups", group, "resources", "verbs",
                                         strings_json(&f->verbs));
                        if (f->names.count)
                                json_object_set_new(rule, "resourceNames", strings_json(&f->names));
                        json_array_append_new(rules, rule);
                }
                json_array_append_new(json_object_get(rule, "resources"), json_string(whole));
        }
        if (f->urls.count)
                json_array_append_new(rules, json_pack("{s:o,s:o}", "nonResourceURLs", strings_json(&f->urls), "verbs",
                                                       strings_json(&f->verbs)));
        return 0;
}

static void remove_repeated(struct cx_strings *list)
{
        struct cx_strings once = CX_STRINGS_INIT;
        for (size_t i = 0; i < list->count; i++)
                if (!cx_strings_has(&once, list->items[i]))
                        cx_strings_add(&once, list->items[i]);
        cx_strings_release(list);
        *list = once;
}

static int create_any_role(struct ctl *ctl, int argc, char **argv, const char *kind, struct cx_error *err)
{
        CREATE create = {0};
        CX_CLEANUP(release_role) struct role_flags f = {0};
        CX_STRINGS args = CX_STRINGS_INIT, aggregate = CX_STRINGS_INIT;
        bool cluster = strcmp(kind, "ClusterRole") == 0;
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create),
                {"verb", 0, CX_FLAG_CSV, &f.verbs, "Verbs that the role allows."},
                {"resource", 0, CX_FLAG_CSV, &f.resources, "Resources that it is about."},
                {"resource-name", 0, CX_FLAG_CSV, &f.names, "Names that it is limited to."},
                {cluster ? "non-resource-url" : NULL, 0, CX_FLAG_CSV, &f.urls,
                 "URLs that it is about (cluster roles)."},
                {"aggregation-rule", 0, CX_FLAG_CSV, &aggregate, "Labels of the cluster roles to be combined."},
                {0}};
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        remove_repeated(&f.verbs);
        remove_repeated(&f.resources);
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:[]}", "apiVersion", "rbac.authorization.k8s.io/v1", "kind", kind,
                                   "metadata", "name", args.items[0], "rules");
        if (aggregate.count) {
                json_t *labels = json_object();
                for (size_t i = 0; i < aggregate.count; i++) {
                        char *equals = strchr(aggregate.items[i], '=');
                        if (equals)
                                *equals = 0;
                        json_object_set_new(labels, aggregate.items[i], json_string(equals ? equals + 1 : ""));
                }
                json_object_set_new(object, "rules", json_null());
                json_object_set_new(object, "aggregationRule",
                                    json_pack("{s:[{s:o}]}", "clusterRoleSelectors", "matchLabels", labels));
                return ctl_create_object(ctl, &create, object, err);
        }
        if (!f.verbs.count)
                r = cx_error_set(err, -EINVAL, "at least one verb must be specified");
        else if (!f.resources.count && !f.urls.count)
                r = cx_error_set(err, -EINVAL,
                                 strcmp(kind, "Role") == 0 ? "at least one resource must be specified"
                                                           : "one of resource or nonResourceURL must be specified");
        else
                r = role_rules(ctl, &f, json_object_get(object, "rules"), err);
        if (r < 0) {
                json_decref(object);
                return r;
        }
        return ctl_create_object(ctl, &create, object, err);
}

COMMAND(create_role)
{
        return create_any_role(ctl, argc, argv, "Role", err);
}

COMMAND(create_clusterrole)
{
        return create_any_role(ctl, argc, argv, "ClusterRole", err);
}

void subject_flags_release(struct subject_flags *flags)
{
        cx_strings_release(&flags->users);
        cx_strings_release(&flags->groups);
        cx_strings_release(&flags->accounts);
}

int subjects_make(const struct subject_flags *flags, const char *namespace, json_t **ret_subjects, struct cx_error *err)
{
        json_auto_t *subjects = json_array();
        for (size_t i = 0; i < flags->users.count; i++)
                json_array_append_new(subjects, json_pack("{s:s,s:s,s:s}", "apiGroup", RBAC, "kind", "User", "name",
                                                          flags->users.items[i]));
        for (size_t i = 0; i < flags->groups.count; i++)
                json_array_append_new(subjects, json_pack("{s:s,s:s,s:s}", "apiGroup", RBAC, "kind", "Group", "name",
                                                          flags->groups.items[i]));
        for (size_t i = 0; i < flags->accounts.count; i++) {
                const char *text = flags->accounts.items[i], *colon = strchr(text, ':');
                if (!colon || !colon[1] || strchr(colon + 1, ':') || (colon == text && !namespace))
                        return cx_error_set(err, -EINVAL, "serviceaccount must be <namespace>:<name>");
                CX_CLEANUP(cx_freep) char *given = cx_strndup(text, (size_t)(colon - text));
                json_array_append_new(subjects, json_pack("{s:s,s:s,s:s}", "kind", "ServiceAccount", "name", colon + 1,
                                                          "namespace", *given ? given : namespace));
        }
        *ret_subjects = cx_steal(&subjects);
        return 0;
}

void subjects_add(json_t *list, const json_t *wanted)
{
        size_t i, j;
        json_t *subject, *other;
        json_array_foreach (wanted, i, subject) {
                bool there = false;
                json_array_foreach (list, j, other)
                        there = there || json_equal(subject, other);
                if (!there)
                        json_array_append(list, subject);
        }
}

static int create_binding(struct ctl *ctl, int argc, char **argv, bool cluster, struct cx_error *err)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_CLEANUP(subject_flags_release) struct subject_flags bound = {0};
        const char *role = NULL, *cluster_role = NULL;
        const struct cx_flag flags[] = {CREATE_FLAGS(&create),
                                        {"clusterrole", 0, CX_FLAG_STRING, &cluster_role, "ClusterRole to bind."},
                                        SUBJECT_FLAGS(&bound),
                                        {cluster ? NULL : "role", 0, CX_FLAG_STRING, &role, "Role to bind."},
                                        {0}};
        const struct required required[] = {{cluster ? "clusterrole" : NULL, &cluster_role, NULL}, {0}};
        int r = create_begin(ctl, &create, flags, required, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (!cluster && !role == !cluster_role)
                return cx_error_set(err, -EINVAL, "exactly one of clusterrole or role must be specified");
        json_auto_t *subjects = NULL;
        r = subjects_make(&bound, NULL, &subjects, err);
        if (r < 0)
                return r;
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:s,s:s}}", "apiVersion", "rbac.authorization.k8s.io/v1",
                                   "kind", cluster ? "ClusterRoleBinding" : "RoleBinding", "metadata", "name",
                                   args.items[0], "roleRef", "apiGroup", "rbac.authorization.k8s.io", "kind",
                                   role ? "Role" : "ClusterRole", "name", role ? role : cluster_role);
        if (json_array_size(subjects))
                json_object_set(object, "subjects", subjects);
        return ctl_create_object(ctl, &create, object, err);
}

COMMAND(create_rolebinding)
{
        return create_binding(ctl, argc, argv, false, err);
}

COMMAND(create_clusterrolebinding)
{
        return create_binding(ctl, argc, argv, true, err);
}
