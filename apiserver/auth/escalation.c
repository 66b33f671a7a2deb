// SPDX-License-Identifier: Apache-2.0
// Takes rules apart into single verbs on single resources and asks the authorizer for each: wildcards need no
// arithmetic of their own then, as who has a wildcard is allowed the wildcard's name.
#include "apiserver/auth/escalation.h"

#include "apiserver/auth/authorizer.h"

// Does one of the user's rules allow everything that the single (verb, group, resource) of a rule asks for?
static bool user_has(struct apiserver *api, const struct user *user, const char *namespace, const char *verb,
                     const char *group, const char *resource, const char *name, const char *path)
{
        char plain[256];
        cx_copy_string(plain, sizeof plain, cx_str(resource));
        char *slash = strchr(plain, '/');
        if (slash)
                *slash = '\0';
        struct attributes attributes = {.user = user,
                                        .is_resource = path == NULL,
                                        .verb = verb,
                                        .group = cx_str(group),
                                        .resource = plain,
                                        .subresource = slash ? slash + 1 : "",
                                        .namespace = namespace,
                                        .name = cx_str(name),
                                        .path = path};
        return authorize(api, &attributes, NULL);
}

static const char *item(const json_t *list, size_t i)
{
        return cx_str(json_string_value(json_array_get(list, i)));
}

static char *missing_in_rule(struct apiserver *api, const struct user *user, const char *namespace, const json_t *rule)
{
        const json_t *verbs = json_object_get(rule, "verbs"), *groups = json_object_get(rule, "apiGroups");
        const json_t *kinds = json_object_get(rule, "resources"), *names = json_object_get(rule, "resourceNames");
        const json_t *paths = json_object_get(rule, "nonResourceURLs");
        size_t n_names = json_array_size(names) ? json_array_size(names) : 1;
        for (size_t v = 0; v < json_array_size(verbs); v++) {
                for (size_t p = 0; p < json_array_size(paths); p++)
                        if (!user_has(api, user, namespace, item(verbs, v), NULL, NULL, NULL, item(paths, p)))
                                return cx_sprintf("{NonResourceURLs:[\"%s\"], Verbs:[\"%s\"]}", item(paths, p),
                                                  item(verbs, v));
                for (size_t g = 0; g < json_array_size(groups); g++)
                        for (size_t k = 0; k < json_array_size(kinds); k++)
                                for (size_t n = 0; n < n_names; n++)
                                        if (!user_has(api, user, namespace, item(verbs, v), item(groups, g),
                                                      item(kinds, k), item(names, n), NULL))
                                                return cx_sprintf(
                                                        "{APIGroups:[\"%s\"], Resources:[\"%s\"], Verbs:[\"%s\"]}",
                                                        item(groups, g), item(kinds, k), item(verbs, v));
        }
        return NULL;
}

char *rbac_escalation(struct apiserver *api, const struct user *user, const char *namespace, const json_t *rules)
{
        if (user_in_group(user, "system:masters"))
                return NULL;
        for (size_t i = 0; i < json_array_size(rules); i++) {
                char *missing = missing_in_rule(api, user, namespace, json_array_get(rules, i));
                if (missing)
                        return missing;
        }
        return NULL;
}
