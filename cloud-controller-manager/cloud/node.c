// SPDX-License-Identifier: Apache-2.0
// cloud-node-controller: a node whose kubelet runs with --cloud-provider=external comes with a taint. It goes once the
// node has what the provider knows: its id, type, zone, region and addresses. Addresses are looked at again from time to
// time, and when the provider says that something has changed.
#include "cloud-controller-manager/cloud/nodes.h"

#define RETRY (20 * CX_NS_PER_S)

struct cloud_nodes {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes;
        struct cx_events *events;
        struct cloud *cloud;
};

static void on_change(void *context)
{
        struct cloud_nodes *self = context;
        nodes_enqueue(self->nodes, self->queue);
}

static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct cloud_nodes *self = context;
        if (now && (!old || node_glance(now)->uninitialized))
                cx_workqueue_add(self->queue, now->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct cloud *cloud = cloud_of(manager);
        if (!cloud->provider->instances)
                return NULL;
        struct cloud_nodes *self = cx_alloc(sizeof *self);
        *self = (struct cloud_nodes){.manager = manager,
                                     .queue = queue,
                                     .nodes = manager_part_informer(manager, "", "nodes", &node_glance_part),
                                     .events = manager_recorder(manager, "cloud-node-controller"),
                                     .cloud = cloud};
        cx_informer_on_event(self->nodes, on_node, self);
        cloud_listen(cloud, on_change, self);
        return self;
}

static void set_label(json_t *labels, const json_t *node, const char *key, const char *value)
{
        if (value && !cx_streq(json_string_value(json_object_get(cx_json_get(node, "metadata.labels"), key)), value))
                json_object_set_new(labels, key, json_string(value));
}

// What the provider knows as labels; those that are to change.
static int labels_of_machine(struct cloud_nodes *self, const json_t *node, const struct cloud_machine *machine,
                             json_t *labels, struct cx_error *err)
{
        CLOUD_ZONE zone = {0};
        const struct cloud_zones *zones = self->cloud->provider->zones;
        int r = zones ? zones->look(self->cloud->self, node, &zone, err) : 0;
        if (r < 0)
                return r;
        set_label(labels, node, "node.kubernetes.io/instance-type", machine->type);
        set_label(labels, node, "beta.kubernetes.io/instance-type", machine->type);
        set_label(labels, node, "topology.kubernetes.io/zone", zone.zone);
        set_label(labels, node, "failure-domain.beta.kubernetes.io/zone", zone.zone);
        set_label(labels, node, "topology.kubernetes.io/region", zone.region);
        set_label(labels, node, "failure-domain.beta.kubernetes.io/region", zone.region);
        return 0;
}

static int set_addresses(struct cloud_nodes *self, const json_t *node, const struct cloud_machine *machine,
                         struct cx_error *err)
{
        if (!machine->addresses || json_equal(machine->addresses, cx_json_get(node, "status.addresses")))
                return 0;
        json_auto_t *patch = json_pack("{s:{s:O}}", "status", "addresses", machine->addresses);
        return node_patch(self->manager->rest, node, "status", patch, err);
}

// Everything in one write, the taint's end included; addresses have been there before.
static int initialize(struct cloud_nodes *self, const struct cx_object *object, const json_t *node,
                      const struct cloud_machine *machine, struct cx_error *err)
{
        json_auto_t *labels = json_object();
        int r = labels_of_machine(self, node, machine, labels, err);
        if (r < 0)
                return r;
        json_auto_t *patch = json_pack("{s:{s:O}, s:{s:o}}", "metadata", "labels", labels, "spec", "taints",
                                       taints_with(node, TAINT_UNINITIALIZED, NULL));
        const char *has = cx_json_string(node, "spec.providerID");
        if (machine->provider_id && !(has && *has))
                json_object_set_new(json_object_get(patch, "spec"), "providerID", json_string(machine->provider_id));
        r = node_patch(self->manager->rest, node, NULL, patch, err);
        if (r == 0) {
                cx_info("Node initialized", "node", object->name);
                cx_event_object(self->events, "v1", "Node", object, "Normal", "Synced", "Node synced successfully");
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct cloud_nodes *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->nodes, key);
        json_auto_t *node = NULL;
        CLOUD_MACHINE machine = {0};
        if (!object || object->deleted)
                return 0;
        *retry_after = cloud_options_of(self->manager)->status_period;
        int r = node_fetch(self->manager->rest, object, &node, err);
        if (r != 0)
                return r < 0 ? r : 0;
        r = self->cloud->provider->instances->look(self->cloud->self, node, &machine, err);
        if (r < 0)
                return r;
        bool waits = cx_json_find(cx_json_get(node, "spec.taints"), "key", TAINT_UNINITIALIZED);
        if (!machine.exists) {
                if (waits) {
                        cx_warn("The provider does not know a node, which stays tainted", "node", object->name);
                        *retry_after = RETRY;
                }
                return 0;
        }
        r = set_addresses(self, node, &machine, err);
        if (r < 0 || !waits)
                return r;
        json_decref(cx_steal(&node)); // the addresses have changed its version
        r = node_fetch(self->manager->rest, object, &node, err);
        return r != 0 ? (r < 0 ? r : 0) : initialize(self, object, node, &machine, err);
}

const struct controller cloud_node_controller = {.name = "cloud-node-controller",
                                                 .account = "node-controller",
                                                 .workers = 1,
                                                 .init = init,
                                                 .reconcile = reconcile,
                                                 .free = free};
