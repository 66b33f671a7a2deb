// SPDX-License-Identifier: Apache-2.0
// Roles and bindings compiled from the caches into flat arrays. A set is immutable and reference-counted; the first
// request after a change compiles a new one.
#include "apiserver/auth/rbac.h"

#include "libcommon/api/selector.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

enum { ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, N_KINDS };
static const char *const resources[N_KINDS] = {"roles", "clusterroles", "rolebindings", "clusterrolebindings"};

struct binding {
        const json_t *subjects;
        const json_t *rules;
        char *namespace; // NULL: the whole cluster
        char *name;
};

struct rule_set {
        atomic_int references;
        json_t *objects; // array that owns all parsed objects
        struct binding *bindings;
        size_t count;
        uint64_t generations[N_KINDS];
};

struct rbac {
        struct cache *caches[N_KINDS];
        pthread_mutex_t lock; // guards set
        struct rule_set *set;
};

static void unref_set(struct rule_set *set)
{
        if (!set || atomic_fetch_sub(&set->references, 1) != 1)
                return;
        for (size_t i = 0; i < set->count; i++) {
                free(set->bindings[i].namespace);
                free(set->bindings[i].name);
        }
        free(set->bindings);
        json_decref(set->objects);
        free(set);
}

struct rbac *rbac_new(const struct kinds *kinds)
{
        struct rbac *rbac = cx_alloc(sizeof *rbac);
        pthread_mutex_init(&rbac->lock, NULL);
        for (int i = 0; i < N_KINDS; i++)
                rbac->caches[i] = kinds_builtin(kinds, "rbac.authorization.k8s.io", "v1", resources[i])->cache;
        return rbac;
}

void rbac_free(struct rbac *rbac)
{
        if (!rbac)
                return;
        unref_set(rbac->set);
        pthread_mutex_destroy(&rbac->lock);
        free(rbac);
}

// --- compiling ---

static json_t *load(struct rule_set *set, struct cache *cache)
{
        STORED_LIST list = {0};
        struct filter all = {0};
        json_t *objects = json_array();
        cache_list(cache, &all, &list);
        for (size_t i = 0; i < list.count; i++)
                json_array_append_new(objects, stored_parse(list.items[i]));
        json_array_append_new(set->objects, objects);
        return objects;
}

static void index_roles(struct cx_map *to, const json_t *roles)
{
        for (size_t i = 0; i < json_array_size(roles); i++) {
                json_t *role = json_array_get(roles, i);
                CX_CLEANUP(cx_freep)
                char *key = cx_sprintf("%s/%s", cx_json_string_or(role, "metadata.namespace", ""),
                                       cx_json_string_or(role, "metadata.name", ""));
                cx_map_set(to, key, role);
        }
}

static void add_bindings(struct rule_set *set, const json_t *bindings, const struct cx_map *roles)
{
        for (size_t i = 0; i < json_array_size(bindings); i++) {
                const json_t *binding = json_array_get(bindings, i);
                const char *namespace = cx_json_string(binding, "metadata.namespace");
                bool to_role = cx_streq(cx_json_string(binding, "roleRef.kind"), "Role");
                CX_CLEANUP(cx_freep)
                char *key = cx_sprintf("%s/%s", to_role ? cx_str(namespace) : "",
                                       cx_json_string_or(binding, "roleRef.name", ""));
                const json_t *rules = json_object_get(cx_map_get(roles, key), "rules");
                if (!json_array_size(rules))
                        continue;
                set->bindings = cx_realloc_array(set->bindings, set->count + 1, sizeof *set->bindings);
                set->bindings[set->count++] =
                        (struct binding){.subjects = json_object_get(binding, "subjects"),
                                         .rules = rules,
                                         .namespace = cx_strdup(namespace),
                                         .name = cx_strdup(cx_json_string(binding, "metadata.name"))};
        }
}

static struct rule_set *compile(struct rbac *rbac)
{
        struct rule_set *set = cx_alloc(sizeof *set);
        json_t *objects[N_KINDS];
        CX_MAP roles = CX_MAP_INIT;
        atomic_init(&set->references, 1);
        set->objects = json_array();
        for (int i = 0; i < N_KINDS; i++) {
                set->generations[i] = cache_version(rbac->caches[i]);
                objects[i] = load(set, rbac->caches[i]);
        }
        index_roles(&roles, objects[ROLES]);
        index_roles(&roles, objects[CLUSTER_ROLES]);
        add_bindings(set, objects[CLUSTER_ROLE_BINDINGS], &roles);
        add_bindings(set, objects[ROLE_BINDINGS], &roles);
        return set;
}

static struct rule_set *current_set(struct rbac *rbac)
{
        pthread_mutex_lock(&rbac->lock);
        bool fresh = rbac->set != NULL;
        for (int i = 0; fresh && i < N_KINDS; i++)
                fresh = rbac->set->generations[i] == cache_version(rbac->caches[i]);
        if (!fresh) {
                unref_set(rbac->set);
                rbac->set = compile(rbac);
        }
        struct rule_set *set = rbac->set;
        atomic_fetch_add(&set->references, 1);
        pthread_mutex_unlock(&rbac->lock);
        return set;
}

// --- matching ---

static bool has(const json_t *list, const char *value)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *item = json_string_value(json_array_get(list, i));
                if (item && (strcmp(item, "*") == 0 || strcmp(item, value) == 0))
                        return true;
        }
        return false;
}

static bool has_resource(const json_t *list, const char *resource, const char *subresource)
{
        size_t length = strlen(resource);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *item = cx_str(json_string_value(json_array_get(list, i)));
                if (strcmp(item, "*") == 0)
                        return true;
                if (!*subresource && strcmp(item, resource) == 0)
                        return true;
                if (*subresource && strncmp(item, resource, length) == 0 && item[length] == '/' &&
                    strcmp(item + length + 1, subresource) == 0)
                        return true;
                if (*subresource && cx_has_prefix(item, "*/") && strcmp(item + 2, subresource) == 0)
                        return true;
        }
        return false;
}

static bool has_path(const json_t *list, const char *path)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *item = cx_str(json_string_value(json_array_get(list, i)));
                size_t length = strlen(item);
                if (strcmp(item, path) == 0 ||
                    (length && item[length - 1] == '*' && strncmp(item, path, length - 1) == 0))
                        return true;
        }
        return false;
}

static bool rule_allows(const json_t *rule, const struct attributes *a)
{
        if (!has(json_object_get(rule, "verbs"), a->verb))
                return false;
        if (!a->is_resource)
                return has_path(json_object_get(rule, "nonResourceURLs"), a->path);
        const json_t *names = json_object_get(rule, "resourceNames");
        if (!has(json_object_get(rule, "apiGroups"), a->group) ||
            !has_resource(json_object_get(rule, "resources"), a->resource, a->subresource))
                return false;
        if (!json_array_size(names))
                return true;
        for (size_t i = 0; i < json_array_size(names); i++)
                if (cx_streq(json_string_value(json_array_get(names, i)), a->name))
                        return true;
        return false;
}

static bool subject_is(const json_t *subject, const struct user *user, const char *namespace)
{
        const char *kind = cx_json_string(subject, "kind"), *name = cx_json_string(subject, "name");
        if (!kind || !name)
                return false;
        if (strcmp(kind, "User") == 0)
                return strcmp(name, user->name) == 0;
        if (strcmp(kind, "Group") == 0)
                return user_in_group(user, name);
        if (strcmp(kind, "ServiceAccount") != 0 || !cx_has_prefix(user->name, "system:serviceaccount:"))
                return false;
        const char *own = cx_json_string_or(subject, "namespace", cx_str(namespace));
        const char *rest = user->name + strlen("system:serviceaccount:");
        size_t length = strlen(own);
        return strncmp(rest, own, length) == 0 && rest[length] == ':' && strcmp(rest + length + 1, name) == 0;
}

static bool binds(const struct binding *binding, const struct user *user, const char *namespace)
{
        if (binding->namespace && !cx_streq(binding->namespace, namespace))
                return false;
        for (size_t i = 0; i < json_array_size(binding->subjects); i++)
                if (subject_is(json_array_get(binding->subjects, i), user, binding->namespace))
                        return true;
        return false;
}

static bool set_allows(const struct rule_set *set, const struct attributes *a, const char **ret_binding)
{
        for (size_t i = 0; i < set->count; i++) {
                if (!binds(&set->bindings[i], a->user, a->is_resource ? a->namespace : NULL))
                        continue;
                for (size_t j = 0; j < json_array_size(set->bindings[i].rules); j++)
                        if (rule_allows(json_array_get(set->bindings[i].rules, j), a)) {
                                *ret_binding = set->bindings[i].name;
                                return true;
                        }
        }
        return false;
}

bool rbac_allows(struct rbac *rbac, const struct attributes *a, char **ret_why)
{
        struct rule_set *set = current_set(rbac);
        const char *binding = NULL;
        bool allowed = set_allows(set, a, &binding);
        if (allowed && ret_why)
                *ret_why = cx_sprintf("RBAC: allowed by binding \"%s\"", binding);
        unref_set(set);
        return allowed;
}

// --- rules of a user ---

json_t *rbac_rules(struct rbac *rbac, const struct user *user, const char *namespace)
{
        json_t *rules = json_array();
        struct rule_set *set = current_set(rbac);
        if (user_in_group(user, "system:masters"))
                json_array_append_new(
                        rules, json_pack("{s:[s],s:[s],s:[s]}", "verbs", "*", "apiGroups", "*", "resources", "*"));
        for (size_t i = 0; i < set->count; i++)
                if (binds(&set->bindings[i], user, namespace))
                        json_array_extend(rules, (json_t *)set->bindings[i].rules);
        unref_set(set);
        return rules;
}
