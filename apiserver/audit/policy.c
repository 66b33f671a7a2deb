// SPDX-License-Identifier: Apache-2.0
// The file is decoded by the schema, checked in upstream's words, and turned into lists that are cheap to compare with.
#include "apiserver/audit/policy.h"

#include "libcommon/api/names.h"
#include "libcommon/client/config.h"
#include "libcommon/format/json.h"

const char *const audit_stage_names[AUDIT_STAGES] = {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"};
const char *const audit_level_names[AUDIT_LEVELS] = {"None", "Metadata", "Request", "RequestResponse"};

struct group_rule {
        char *group;
        struct cx_strings resources, names;
};

struct audit_rule {
        struct audit_verdict verdict;
        struct cx_strings users, groups, verbs, namespaces, urls;
        struct group_rule *resources;
        size_t n_resources;
};

struct audit_policy {
        struct audit_rule *rules;
        size_t count;
        struct audit_verdict otherwise;
};

static void release_rule(struct audit_rule *rule)
{
        cx_strings_release(&rule->users);
        cx_strings_release(&rule->groups);
        cx_strings_release(&rule->verbs);
        cx_strings_release(&rule->namespaces);
        cx_strings_release(&rule->urls);
        for (size_t i = 0; i < rule->n_resources; i++) {
                free(rule->resources[i].group);
                cx_strings_release(&rule->resources[i].resources);
                cx_strings_release(&rule->resources[i].names);
        }
        free(rule->resources);
}

void audit_policy_free(struct audit_policy *policy)
{
        if (!policy)
                return;
        for (size_t i = 0; i < policy->count; i++)
                release_rule(&policy->rules[i]);
        free(policy->rules);
        free(policy);
}

// --- what a policy may say ---

static int index_of(const char *const *names, size_t count, const char *name)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(names[i], name) == 0)
                        return (int)i;
        return -1;
}

static void check_level(const json_t *rule, const char *path, struct cx_error *causes)
{
        CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s.level", path);
        const char *level = cx_json_string_or(rule, "level", "");
        if (!*level)
                cx_error_cause(causes, "FieldValueRequired", field, "Required value");
        else if (index_of(audit_level_names, AUDIT_LEVELS, level) < 0)
                cx_error_cause(causes, "FieldValueNotSupported", field,
                               "Unsupported value: \"%s\": supported values: \"None\", \"Metadata\", \"Request\", "
                               "\"RequestResponse\"",
                               level);
}

static void check_stages(const json_t *of, const char *path, struct cx_error *causes)
{
        const json_t *stages = json_object_get(of, "omitStages");
        size_t i;
        json_t *stage;
        json_array_foreach (stages, i, stage) {
                const char *name = cx_str(json_string_value(stage));
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s%somitStages[%zu]", path, *path ? "." : "", i);
                if (index_of(audit_stage_names, AUDIT_STAGES, name) < 0)
                        cx_error_cause(causes, "FieldValueInvalid", field,
                                       "Invalid value: \"%s\": allowed stages are "
                                       "RequestReceived,ResponseStarted,ResponseComplete,Panic",
                                       name);
        }
}

static void check_urls(const json_t *rule, const char *path, struct cx_error *causes)
{
        const json_t *urls = json_object_get(rule, "nonResourceURLs");
        size_t i;
        json_t *item;
        json_array_foreach (urls, i, item) {
                const char *url = cx_str(json_string_value(item)), *star = strchr(url, '*');
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s.nonResourceURLs[%zu]", path, i);
                if (strcmp(url, "*") == 0)
                        continue;
                if (*url != '/')
                        cx_error_cause(causes, "FieldValueInvalid", field,
                                       "Invalid value: \"%s\": non-resource URL rules must begin with a '/' character",
                                       url);
                if (star && star[1])
                        cx_error_cause(causes, "FieldValueInvalid", field,
                                       "Invalid value: \"%s\": non-resource URL wildcards '*' must be the final "
                                       "character of the rule",
                                       url);
        }
        if (json_array_size(urls) && (cx_json_count(rule, "resources") || cx_json_count(rule, "namespaces"))) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s.nonResourceURLs", path), *text = cx_json_text(urls);
                cx_error_cause(causes, "FieldValueInvalid", field,
                               "Invalid value: %s: rules cannot apply to both regular resources and non-resource URLs",
                               text);
        }
}

static void check_resources(const json_t *rule, const char *path, struct cx_error *causes)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(rule, "resources"), i, item) {
                const char *group = cx_json_string_or(item, "group", "");
                const char *why = *group ? cx_check_dns1123_subdomain(group) : NULL;
                if (why) {
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s.resources.group", path);
                        cx_error_cause(causes, "FieldValueInvalid", field, "Invalid value: \"%s\": %s", group, why);
                }
                if (cx_json_count(item, "resourceNames") && !cx_json_count(item, "resources")) {
                        CX_CLEANUP(cx_freep)
                        char *field = cx_sprintf("%s.resources.resourceNames", path),
                             *text = cx_json_text(json_object_get(item, "resourceNames"));
                        cx_error_cause(causes, "FieldValueInvalid", field,
                                       "Invalid value: %s: using resourceNames requires at least one resource", text);
                }
        }
}

static int check(const json_t *policy, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        size_t i;
        json_t *rule;
        check_stages(policy, "", &causes);
        json_array_foreach (json_object_get(policy, "rules"), i, rule) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("rules[%zu]", i);
                check_level(rule, path, &causes);
                check_urls(rule, path, &causes);
                check_resources(rule, path, &causes);
                check_stages(rule, path, &causes);
        }
        for (i = 0; i < causes.n_causes; i++)
                cx_buf_printf(&text, "%s%s: %s", i ? ", " : "", causes.causes[i].field, causes.causes[i].message);
        if (causes.n_causes)
                return cx_error_set(err, -EINVAL, "%s%s%s", causes.n_causes > 1 ? "[" : "", text.data,
                                    causes.n_causes > 1 ? "]" : "");
        if (!cx_json_count(policy, "rules"))
                return cx_error_set(err, -EINVAL, "loaded illegal policy with 0 rules");
        return 0;
}

// --- from the file to the lists ---

static void take_strings(const json_t *of, const char *member, struct cx_strings *to)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(of, member), i, item)
                cx_strings_add(to, cx_str(json_string_value(item)));
}

static unsigned stages_of(const json_t *of)
{
        unsigned bits = 0;
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(of, "omitStages"), i, item)
                bits |= 1U << index_of(audit_stage_names, AUDIT_STAGES, cx_str(json_string_value(item)));
        return bits;
}

static void take_rule(const json_t *from, const struct audit_verdict *otherwise, struct audit_rule *rule)
{
        const json_t *resources = json_object_get(from, "resources");
        size_t i;
        json_t *item;
        rule->verdict.level =
                (enum audit_level)index_of(audit_level_names, AUDIT_LEVELS, cx_json_string_or(from, "level", ""));
        rule->verdict.omitted = otherwise->omitted | stages_of(from);
        rule->verdict.omit_managed_fields = cx_json_bool(from, "omitManagedFields", otherwise->omit_managed_fields);
        take_strings(from, "users", &rule->users);
        take_strings(from, "userGroups", &rule->groups);
        take_strings(from, "verbs", &rule->verbs);
        take_strings(from, "namespaces", &rule->namespaces);
        take_strings(from, "nonResourceURLs", &rule->urls);
        rule->resources = cx_alloc_array(json_array_size(resources), sizeof *rule->resources);
        json_array_foreach (resources, i, item) {
                struct group_rule *to = &rule->resources[rule->n_resources++];
                to->group = cx_strdup(cx_json_string_or(item, "group", ""));
                take_strings(item, "resources", &to->resources);
                take_strings(item, "resourceNames", &to->names);
        }
}

static int take(const json_t *from, struct audit_policy **ret_policy, struct cx_error *err)
{
        int r = check(from, err);
        if (r < 0)
                return r;
        const json_t *rules = json_object_get(from, "rules");
        struct audit_policy *policy = cx_alloc(sizeof *policy);
        size_t i;
        json_t *rule;
        policy->otherwise = (struct audit_verdict){
                .omitted = stages_of(from), .omit_managed_fields = cx_json_bool(from, "omitManagedFields", false)};
        policy->rules = cx_alloc_array(json_array_size(rules), sizeof *policy->rules);
        json_array_foreach (rules, i, rule)
                take_rule(rule, &policy->otherwise, &policy->rules[policy->count++]);
        *ret_policy = policy;
        return 0;
}

int audit_policy_parse(const char *text, size_t length, struct audit_policy **ret_policy, struct cx_error *err)
{
        json_auto_t *json = NULL;
        int r = cx_config_parse(text, length, cx_schema_kind("audit.k8s.io", "v1", "Policy"), &json, err);
        return r < 0 ? r : take(json, ret_policy, err);
}

int audit_policy_load(const char *path, struct audit_policy **ret_policy, struct cx_error *err)
{
        json_auto_t *json = NULL;
        int r = cx_config_load(path, cx_schema_kind("audit.k8s.io", "v1", "Policy"), &json, err);
        if (r == 0) {
                r = take(json, ret_policy, err);
                if (r < 0)
                        r = cx_error_wrap(err, "from file %s", path);
        }
        return r < 0 ? cx_error_wrap(err, "loading audit policy file") : 0;
}

// --- matching ---

static bool is_among(const struct cx_strings *list, const char *text)
{
        return !list->count || cx_strings_has(list, text);
}

static bool in_group(const struct cx_strings *wanted, const struct cx_strings *groups)
{
        for (size_t i = 0; groups && i < groups->count; i++)
                if (cx_strings_has(wanted, groups->items[i]))
                        return true;
        return !wanted->count;
}

// "pods", "pods/log", "pods/*" (pods themselves, too), "*/log", "*".
static bool is_resource(const char *pattern, const struct audit_subject *s)
{
        size_t length = strlen(s->resource);
        if (strcmp(pattern, "*") == 0 ||
            (*s->subresource && cx_has_prefix(pattern, "*/") && strcmp(pattern + 2, s->subresource) == 0))
                return true;
        if (strncmp(pattern, s->resource, length) != 0)
                return false;
        const char *rest = pattern + length;
        return strcmp(rest, "/*") == 0 ||
               (*s->subresource ? *rest == '/' && strcmp(rest + 1, s->subresource) == 0 : !*rest);
}

static bool of_group(const struct group_rule *rule, const struct audit_subject *s)
{
        if (strcmp(rule->group, s->group) != 0)
                return false;
        if (!rule->resources.count)
                return true;
        for (size_t i = 0; i < rule->resources.count; i++)
                if (is_resource(rule->resources.items[i], s))
                        return is_among(&rule->names, s->name);
        return false;
}

static bool of_resources(const struct audit_rule *rule, const struct audit_subject *s)
{
        if (!s->is_resource || !is_among(&rule->namespaces, s->namespace))
                return false;
        for (size_t i = 0; i < rule->n_resources; i++)
                if (of_group(&rule->resources[i], s))
                        return true;
        return !rule->n_resources;
}

static bool of_urls(const struct audit_rule *rule, const struct audit_subject *s)
{
        for (size_t i = 0; !s->is_resource && i < rule->urls.count; i++) {
                const char *url = rule->urls.items[i];
                size_t length = strlen(url);
                bool open = length && url[length - 1] == '*';
                if (open ? strncmp(url, s->path, length - 1) == 0 : strcmp(url, s->path) == 0)
                        return true;
        }
        return false;
}

static bool matches(const struct audit_rule *rule, const struct audit_subject *s)
{
        if ((rule->users.count || rule->groups.count) && !s->user)
                return false;
        if (!is_among(&rule->users, cx_str(s->user)) || !in_group(&rule->groups, s->groups) ||
            !is_among(&rule->verbs, s->verb))
                return false;
        if (rule->namespaces.count || rule->n_resources)
                return of_resources(rule, s);
        return !rule->urls.count || of_urls(rule, s);
}

struct audit_verdict audit_policy_judge(const struct audit_policy *policy, const struct audit_subject *subject)
{
        for (size_t i = 0; i < policy->count; i++)
                if (matches(&policy->rules[i], subject))
                        return policy->rules[i].verdict;
        return policy->otherwise;
}
