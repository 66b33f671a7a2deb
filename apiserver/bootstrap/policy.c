// SPDX-License-Identifier: Apache-2.0
// Writes the default roles and bindings (bootstrap.policy) into the store: what is missing is made, and roles that are
// still marked for automatic update get the rules that they lack.
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/bootstrap/ensure.h"
#include "apiserver/registry/registry.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

#define GROUP "rbac.authorization.k8s.io"
#define AUTOUPDATE "rbac.authorization.kubernetes.io/autoupdate"

__asm__(".section .rodata\n"
        "policy_text: .incbin \"apiserver/bootstrap/bootstrap.policy\"\n"
        ".byte 0\n"
        ".previous\n");
extern const char policy_text[];

static const struct {
        const char *kind, *resource;
} kinds[] = {{"ClusterRole", "clusterroles"},
             {"Role", "roles"},
             {"ClusterRoleBinding", "clusterrolebindings"},
             {"RoleBinding", "rolebindings"}};

static const char *trim(char *text)
{
        text += strspn(text, " ");
        size_t length = strlen(text);
        while (length && text[length - 1] == ' ')
                text[--length] = '\0';
        return text;
}

static json_t *list_of(const char *text)
{
        json_t *list = json_array();
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, text, ',');
        for (size_t i = 0; i < parts.count; i++)
                json_array_append_new(list, json_string(parts.items[i]));
        return list;
}

static void add_labels(json_t *object, const char *text)
{
        CX_STRINGS words = CX_STRINGS_INIT;
        cx_strings_split(&words, text, ' ');
        json_t *labels = cx_json_object_at(cx_json_object_at(object, "metadata"), "labels");
        bool aggregates = false;
        for (size_t i = 0; i < words.count; i++) {
                char *equals = strchr(words.items[i], '=');
                if (strcmp(words.items[i], "aggregates") == 0) {
                        aggregates = true;
                } else if (equals) {
                        *equals = '\0';
                        if (aggregates)
                                json_object_set_new(object, "aggregationRule",
                                                    json_pack("{s:[{s:{s:s}}]}", "clusterRoleSelectors", "matchLabels",
                                                              words.items[i], equals + 1));
                        else
                                json_object_set_new(labels, words.items[i], json_string(equals + 1));
                        aggregates = false;
                }
        }
}

static void add_rule(json_t *object, const char *text)
{
        static const char *const names[] = {"verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"};
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, text, '|');
        const char *values[5] = {"", "", "", "", ""};
        for (size_t i = 0; i < parts.count && i < 5; i++)
                values[i] = trim(parts.items[i]);
        if (!*values[0])
                return;
        json_t *rule = json_object();
        for (size_t i = 0; i < 5; i++)
                // an empty group is the core group where there are resources
                if (*values[i] || (i == 1 && *values[2]))
                        json_object_set_new(rule, names[i], list_of(values[i]));
        json_array_append_new(cx_json_array_at(object, "rules"), rule);
}

static void add_subjects(json_t *object, const char *text)
{
        static const char arrow[] = "→";
        const char *target = strstr(text, arrow);
        if (!target)
                return;
        CX_CLEANUP(cx_freep) char *subjects = cx_strndup(text, (size_t)(target - text));
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, subjects, ',');
        for (size_t i = 0; i < parts.count; i++) {
                const char *part = trim(parts.items[i]), *colon = strchr(part, ':');
                if (!colon)
                        continue;
                json_t *subject = json_pack("{s:s%}", "kind", part, (size_t)(colon - part));
                const char *slash = strncmp(part, "ServiceAccount", 14) == 0 ? strchr(colon, '/') : NULL;
                if (slash)
                        json_object_set_new(subject, "namespace", json_stringn(colon + 1, (size_t)(slash - colon - 1)));
                else
                        json_object_set_new(subject, "apiGroup", json_string(GROUP));
                json_object_set_new(subject, "name", json_string(slash ? slash + 1 : colon + 1));
                json_array_append_new(cx_json_array_at(object, "subjects"), subject);
        }
        target += sizeof arrow - 1;
        target += strspn(target, " ");
        const char *slash = strchr(target, '/');
        if (slash)
                json_object_set_new(object, "roleRef",
                                    json_pack("{s:s,s:s%,s:s}", "apiGroup", GROUP, "kind", target,
                                              (size_t)(slash - target), "name", slash + 1));
}

static void decref(void *json)
{
        json_decref(json);
}

// All objects of the policy, keyed by "kind/namespace/name".
static void parse_policy(struct cx_map *ret_objects)
{
        CX_STRINGS lines = CX_STRINGS_INIT;
        cx_strings_split(&lines, policy_text, '\n');
        for (size_t i = 0; i < lines.count; i++) {
                CX_STRINGS cells = CX_STRINGS_INIT;
                if (lines.items[i][0] == '#')
                        continue;
                cx_strings_split(&cells, lines.items[i], '\t');
                if (cells.count < 5)
                        continue;
                const char *namespace = strcmp(cells.items[1], "-") == 0 ? "" : cells.items[1];
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s/%s", cells.items[0], namespace, cells.items[2]);
                json_t *object = cx_map_get(ret_objects, key);
                if (!object) {
                        object = json_pack("{s:s,s:s,s:{s:s,s:{s:s},s:{s:s}}}", "kind", cells.items[0], "apiVersion",
                                           GROUP "/v1", "metadata", "name", cells.items[2], "annotations", AUTOUPDATE,
                                           "true", "labels", "kubernetes.io/bootstrapping", "rbac-defaults");
                        if (*namespace)
                                (void)cx_json_set(object, "metadata.namespace", json_string(namespace));
                        cx_map_set(ret_objects, key, object);
                }
                add_labels(object, cells.items[3]);
                if (cx_has_suffix(cells.items[0], "Binding"))
                        add_subjects(object, cells.items[4]);
                else
                        add_rule(object, cells.items[4]);
        }
}

static void add_missing(json_t *to, const json_t *from, const char *list)
{
        const json_t *wanted = json_object_get(from, list);
        for (size_t i = 0; i < json_array_size(wanted); i++) {
                bool found = false;
                json_t *present = cx_json_array_at(to, list);
                for (size_t j = 0; !found && j < json_array_size(present); j++)
                        found = json_equal(json_array_get(present, j), json_array_get(wanted, i));
                if (!found)
                        json_array_append(present, json_array_get(wanted, i));
        }
}

// A role or binding that is there is completed when it is still marked for it.
static int complete(void *context, const struct scope *scope CX_UNUSED, const json_t *current, json_t **ret_object,
                    struct cx_error *err CX_UNUSED)
{
        const json_t *wanted = context;
        const char *const marked[] = {"metadata", "annotations", AUTOUPDATE};
        json_t *object = json_deep_copy(current);
        if (cx_streq(json_string_value(cx_json_at(current, marked, 3)), "true")) {
                if (!json_object_get(wanted, "aggregationRule"))
                        add_missing(object, wanted, "rules");
                add_missing(object, wanted, "subjects");
        }
        *ret_object = object;
        return 0;
}

static int ensure_or_complete(struct apiserver *api, const struct served_kind *kind, json_t *wanted,
                              struct cx_error *err)
{
        struct scope scope = scope_own(api, kind, cx_json_string(wanted, "metadata.namespace"),
                                       cx_json_string(wanted, "metadata.name"));
        STORED *present = scope_find(&scope), *stored = NULL;
        if (!present)
                return ensure_object(api, kind, json_incref(wanted), err);
        struct change change = {.compute = complete, .context = wanted};
        return registry_update(&scope, &change, &stored, NULL, err);
}

int bootstrap_policy(struct apiserver *api, struct cx_error *err)
{
        CX_MAP objects = CX_MAP_INIT_FREE(decref);
        parse_policy(&objects);
        for (size_t k = 0; k < CX_ARRAY_SIZE(kinds); k++) {
                const struct served_kind *kind = builtin(api, GROUP, "v1", kinds[k].resource);
                CX_MAP_FOREACH (&objects, entry) {
                        if (!cx_streq(cx_json_string(entry->value, "kind"), kinds[k].kind))
                                continue;
                        int r = ensure_or_complete(api, kind, entry->value, err);
                        if (r < 0)
                                return cx_error_wrap(err, "default role or binding %s", entry->key);
                }
        }
        return 0;
}

// Roles and bindings of all kinds, as often as one of them has changed.
static uint64_t policy_version(struct apiserver *api)
{
        uint64_t sum = 0;
        for (size_t k = 0; k < CX_ARRAY_SIZE(kinds); k++)
                sum += cache_version(builtin(api, GROUP, "v1", kinds[k].resource)->cache);
        return sum;
}

void policy_heartbeat(struct apiserver *api, uint64_t *seen)
{
        CX_ERROR err = CX_ERROR_INIT;
        uint64_t version = policy_version(api);
        if (version == *seen)
                return;
        CX_MAP objects = CX_MAP_INIT_FREE(decref);
        parse_policy(&objects);
        int r = 0;
        CX_MAP_FOREACH (&objects, entry)
                for (size_t k = 0; r == 0 && k < CX_ARRAY_SIZE(kinds); k++)
                        if (cx_streq(cx_json_string(entry->value, "kind"), kinds[k].kind))
                                r = ensure_object(api, builtin(api, GROUP, "v1", kinds[k].resource),
                                                  json_incref(entry->value), &err);
        if (r < 0)
                cx_err(&err, "Cannot keep the default roles");
        else
                *seen = version;
}
