// SPDX-License-Identifier: Apache-2.0
// ClusterRoles with an aggregationRule get the rules of the ClusterRoles that it selects.
#include "libcontroller/manager.h"

#include "libcommon/api/selector.h"

struct aggregation {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *roles;
};

// Whether a role takes the rules of others (bool).
static void take_aggregates(void *part, const json_t *role)
{
        *(bool *)part = json_object_get(role, "aggregationRule");
}

static const struct object_part aggregates_part = {sizeof(bool), take_aggregates, NULL};

static void on_role(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        struct aggregation *self = context;
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->roles, NULL, &all);
        for (size_t i = 0; i < all.count; i++)
                if (*(const bool *)object_part(all.items[i], &aggregates_part))
                        cx_workqueue_add(self->queue, all.items[i]->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct aggregation *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->roles = manager_informer(manager, "rbac.authorization.k8s.io", "clusterroles");
        manager_part_informer(manager, "rbac.authorization.k8s.io", "clusterroles", &aggregates_part);
        cx_informer_on_event(self->roles, on_role, self);
        return self;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp((*(const struct cx_object *const *)a)->name, (*(const struct cx_object *const *)b)->name);
}

static void add_rules(json_t *rules, const struct cx_object *role)
{
        json_auto_t *json = cx_object_json(role);
        size_t i, j;
        json_t *rule, *have;
        json_array_foreach (json_object_get(json, "rules"), i, rule) {
                bool seen = false;
                json_array_foreach (rules, j, have)
                        seen = seen || json_equal(have, rule);
                if (!seen)
                        json_array_append(rules, rule);
        }
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct aggregation *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->roles, key);
        if (!object || object->deleted)
                return 0;
        json_auto_t *role = cx_object_json(object), *rules = json_array();
        const json_t *selectors = cx_json_get(role, "aggregationRule.clusterRoleSelectors");
        if (!selectors)
                return 0;
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->roles, NULL, &all);
        if (all.count)
                qsort(all.items, all.count, sizeof *all.items, compare_names);
        size_t i;
        json_t *entry;
        json_array_foreach (selectors, i, entry) {
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                int r = cx_selector_from_json(entry, &selector, err);
                if (r < 0)
                        return r;
                for (size_t j = 0; j < all.count; j++)
                        if (all.items[j] != object && cx_object_matches(all.items[j], &selector))
                                add_rules(rules, all.items[j]);
        }
        const json_t *have = json_object_get(role, "rules");
        if (have ? json_equal(have, rules) : !json_array_size(rules))
                return 0;
        json_auto_t *patch = json_pack("{s:O}", "rules", rules);
        return cx_rest_patch(self->manager->rest, CX_REF("rbac.authorization.k8s.io", "v1", "clusterroles", NULL, key),
                             NULL, CX_PATCH_MERGE, patch, NULL, err);
}

const struct controller clusterrole_aggregation_controller = {.name = "clusterrole-aggregation-controller",
                                                              .account = "clusterrole-aggregation-controller",
                                                              .workers = 1,
                                                              .init = init,
                                                              .reconcile = reconcile,
                                                              .free = free};
