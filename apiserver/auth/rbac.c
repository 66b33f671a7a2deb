// SPDX-License-Identifier: Apache-2.0
// Roles and bindings compiled from the caches into flat arrays. A set is immutable and reference-counted; the first
// request after a change compiles a new one.
#include "apiserver/auth/rbac.h"

#include "apiserver/registry/metadata.h"
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
        struct apiserver *api;
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

int rbac_new(struct apiserver *api, struct rbac **ret_rbac, struct cx_error *err CX_UNUSED)
{
        struct rbac *rbac = cx_alloc(sizeof *rbac);
        rbac->api = api;
        pthread_mutex_init(&rbac->lock, NULL);
        for (int i = 0; i < N_KINDS; i++)
                rbac->caches[i] =
                        store_cache(api->store, cx_schema_resource("rbac.authorization.k8s.io", "v1", resources[i]));
        *ret_rbac = rbac;
        return 0;
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

// Events and reloads so far: changes whenever the cache's contents do.
static uint64_t generation_of(struct cache *cache)
{
        pthread_rwlock_rdlock(&cache->lock);
        uint64_t generation = cache->next_event + (cache->generation << 40) + 1;
        pthread_rwlock_unlock(&cache->lock);
        return generation;
}

static json_t *load(struct rule_set *set, struct cache *cache)
{
        STORED_LIST list = {0};
        struct filter all = {.resource = cache->resource};
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
                set->generations[i] = generation_of(rbac->caches[i]);
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
                fresh = rbac->set->generations[i] == generation_of(rbac->caches[i]);
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

bool authorize(struct apiserver *api, const struct attributes *a, char **ret_why)
{
        const struct cx_strings *modes = &api->options.authorization_modes;
        if (ret_why)
                *ret_why = NULL;
        if (user_in_group(a->user, "system:masters") || cx_strings_has(modes, "AlwaysAllow"))
                return true;
        if (cx_strings_has(modes, "Node") && authorize_node(api, a))
                return true;
        if (!cx_strings_has(modes, "RBAC"))
                return false;
        struct rule_set *set = current_set(api->rbac);
        const char *binding = NULL;
        bool allowed = set_allows(set, a, &binding);
        if (allowed && ret_why)
                *ret_why = cx_sprintf("RBAC: allowed by binding \"%s\"", binding);
        unref_set(set);
        return allowed;
}

// The name that a list or watch is narrowed to by its field selector: reading one object so needs no more than to get it.
static const char *selected_name(const struct call *call, struct cx_selector *selector)
{
        const char *text = cx_http_query(call->request, "fieldSelector");
        if (*call->info.name || !text || cx_selector_parse_fields(text, selector, NULL) < 0)
                return call->info.name;
        for (size_t i = 0; i < selector->count; i++) {
                const struct cx_requirement *r = &selector->requirements[i];
                if (r->op == CX_OP_EQUALS && r->n_values == 1 && strcmp(r->key, "metadata.name") == 0)
                        return r->values[0];
        }
        return call->info.name;
}

bool authorize_call(struct call *call, struct cx_error *err)
{
        const struct request_info *info = &call->info;
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        struct attributes attributes = {.user = &call->user,
                                        .is_resource = info->is_resource,
                                        .verb = info->verb,
                                        .group = info->group,
                                        .resource = info->resource,
                                        .subresource = info->subresource,
                                        .namespace = info->namespace,
                                        .name = selected_name(call, &selector),
                                        .path = info->path};
        if (authorize(call->api, &attributes, NULL))
                return true;
        if (!info->is_resource) {
                (void)cx_error_reason(err, CX_REASON_FORBIDDEN, "forbidden: User \"%s\" cannot %s path \"%s\"",
                                      call->user.name, info->verb, info->path);
                return false;
        }
        CX_CLEANUP(cx_freep)
        char *where = *info->namespace ? cx_sprintf("in the namespace \"%s\"", info->namespace)
                                       : cx_strdup("at the cluster scope");
        (void)cx_error_reason(
                err, CX_REASON_FORBIDDEN,
                "%s%s%s%s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" "
                "%s",
                info->resource, *info->group ? "." : "", info->group, *info->name ? " \"" : "", info->name,
                *info->name ? "\"" : "", "", call->user.name, info->verb, info->resource, *info->subresource ? "/" : "",
                info->subresource, info->group, where);
        cx_error_about(err, info->group, info->resource, info->name);
        return false;
}

// --- rules of a user ---

json_t *rbac_rules(struct apiserver *api, const struct user *user, const char *namespace)
{
        json_t *rules = json_array();
        struct rule_set *set = current_set(api->rbac);
        if (user_in_group(user, "system:masters"))
                json_array_append_new(
                        rules, json_pack("{s:[s],s:[s],s:[s]}", "verbs", "*", "apiGroups", "*", "resources", "*"));
        for (size_t i = 0; i < set->count; i++)
                if (binds(&set->bindings[i], user, namespace))
                        json_array_extend(rules, (json_t *)set->bindings[i].rules);
        unref_set(set);
        return rules;
}

// Does one of the user's rules allow everything that the single (verb, group, resource) of a rule asks for?
static bool user_has(struct apiserver *api, const struct user *user, const char *namespace, const char *verb,
                     const char *group, const char *resource, const char *name, const char *path)
{
        char plain[INFO_PART];
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
