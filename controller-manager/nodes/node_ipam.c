// SPDX-License-Identifier: Apache-2.0
// Gives every node its podCIDRs, one of each cluster CIDR. There is one worker, so the sets need no lock. What nodes
// have already is marked before the first subnet is given out.
#include "controller-manager/core/cidr.h"
#include "controller-manager/core/options.h"
#include "libcommon/base/map.h"
#include "libcontroller/manager.h"

struct ipam {
        struct manager *manager;
        struct cx_informer *nodes;
        struct cx_events *events;
        struct cidr_set sets[2];
        size_t n_sets;
        struct cx_map given; // node -> "cidr,cidr"
        bool primed;
};

static void release(void *context)
{
        struct ipam *self = context;
        for (size_t i = 0; i < self->n_sets; i++)
                cidr_set_release(&self->sets[i]);
        cx_map_release(&self->given);
        free(self);
}

static int init_sets(struct ipam *self, const struct manager_options *options, struct cx_error *err)
{
        for (size_t i = 0; i < options->cluster_cidrs.count && self->n_sets < CX_ARRAY_SIZE(self->sets); i++) {
                const char *network = options->cluster_cidrs.items[i];
                struct cidr_set *set = &self->sets[self->n_sets];
                int mask = (int)(strchr(network, ':') ? options->node_mask_v6 : options->node_mask_v4);
                int r = cidr_set_init(set, network, mask, err);
                if (r < 0)
                        return r;
                self->n_sets++;
                for (size_t j = 0; j < options->service_cidrs.count; j++) {
                        r = cidr_set_exclude(set, options->service_cidrs.items[j], err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        const struct manager_options *options = options_of(manager);
        if (!options->allocate_node_cidrs)
                return NULL;
        struct ipam *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->given.free_value = free;
        CX_ERROR err = CX_ERROR_INIT;
        if (init_sets(self, options, &err) < 0) {
                cx_err(&err, "Node addresses are not allocated");
                release(self);
                return NULL;
        }
        self->nodes = manager_informer(manager, "", "nodes");
        self->events = manager_recorder(manager, "cidrAllocator");
        manager_enqueue_all(self->nodes, queue);
        return self;
}

static void mark(struct ipam *self, const char *list, bool used)
{
        CX_STRINGS subnets = CX_STRINGS_INIT;
        cx_strings_split(&subnets, list, ',');
        for (size_t i = 0; i < subnets.count; i++)
                for (size_t j = 0; j < self->n_sets; j++)
                        if (cidr_set_mark(&self->sets[j], subnets.items[i], used))
                                break;
}

static char *subnets_of(const json_t *node)
{
        CX_BUF list = CX_BUF_INIT;
        size_t i;
        json_t *subnet;
        json_array_foreach (cx_json_get(node, "spec.podCIDRs"), i, subnet)
                cx_buf_printf(&list, "%s%s", i ? "," : "", cx_str(json_string_value(subnet)));
        const char *one = cx_json_string(node, "spec.podCIDR");
        if (!list.length && one && *one)
                cx_buf_add(&list, one);
        return list.length ? cx_buf_detach(&list) : NULL;
}

static void prime(struct ipam *self)
{
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->nodes, NULL, &all);
        for (size_t i = 0; i < all.count; i++) {
                json_auto_t *node = cx_object_json(all.items[i]);
                char *subnets = subnets_of(node);
                if (!subnets)
                        continue;
                mark(self, subnets, true);
                cx_map_set(&self->given, all.items[i]->name, subnets);
        }
        self->primed = true;
}

static int give(struct ipam *self, const struct cx_object *node, struct cx_error *err)
{
        json_auto_t *list = json_array();
        CX_BUF text = CX_BUF_INIT;
        const char *had = cx_map_get(&self->given, node->name);
        if (had) { // given before, and the node does not show it yet (or was made anew)
                CX_STRINGS subnets = CX_STRINGS_INIT;
                cx_strings_split(&subnets, had, ',');
                for (size_t i = 0; i < subnets.count; i++)
                        json_array_append_new(list, json_string(subnets.items[i]));
                cx_buf_add(&text, had);
        }
        for (size_t i = 0; i < self->n_sets && !had; i++) {
                char subnet[64];
                if (!cidr_set_take(&self->sets[i], subnet)) {
                        mark(self, text.data, false);
                        cx_event_object(self->events, "v1", "Node", node, "Normal", "CIDRNotAvailable",
                                        "Node %s status is now: CIDRNotAvailable", node->name);
                        return cx_error_set(err, -ENOSPC, "there is no free range for node %s", node->name);
                }
                json_array_append_new(list, json_string(subnet));
                cx_buf_printf(&text, "%s%s", i ? "," : "", subnet);
        }
        if (!had)
                cx_map_set(&self->given, node->name, cx_strdup(text.data));
        json_auto_t *patch = json_pack("{s:{s:O, s:O}}", "spec", "podCIDR", json_array_get(list, 0), "podCIDRs", list);
        return cx_rest_patch(self->manager->rest, CX_REF("", "v1", "nodes", NULL, node->name), NULL, CX_PATCH_MERGE,
                             patch, NULL, err);
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct ipam *self = context;
        if (!self->primed)
                prime(self);
        CX_OBJECT *object = cx_informer_get_key(self->nodes, key);
        if (!object) {
                const char *had = cx_map_get(&self->given, key);
                if (had)
                        mark(self, had, false);
                cx_map_remove(&self->given, key);
                return 0;
        }
        json_auto_t *node = cx_object_json(object);
        char *subnets = subnets_of(node);
        if (!subnets)
                return self->n_sets ? give(self, object, err) : 0;
        mark(self, subnets, true);
        cx_map_set(&self->given, key, subnets);
        return 0;
}

const struct controller node_ipam_controller = {.name = "node-ipam-controller",
                                                .account = "node-controller",
                                                .workers = 1,
                                                .init = init,
                                                .reconcile = reconcile,
                                                .free = release};
