// SPDX-License-Identifier: Apache-2.0
// cloud-node-lifecycle-controller: a node that is not Ready, and whose machine the provider does not have any more, is
// deleted; one whose machine is shut down is tainted until it is Ready again. Nodes that are well are not asked about.
#include "cloud-controller-manager/cloud/nodes.h"

struct cloud_lifecycle {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes;
        struct cx_events *events;
        struct cloud *cloud;
};

static void on_change(void *context)
{
        struct cloud_lifecycle *self = context;
        nodes_enqueue(self->nodes, self->queue);
}

static void on_node(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct cloud_lifecycle *self = context;
        if (now && (!node_glance(now)->ready || node_glance(now)->shut_down))
                cx_workqueue_add(self->queue, now->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct cloud *cloud = cloud_of(manager);
        if (!cloud->provider->instances)
                return NULL;
        struct cloud_lifecycle *self = cx_alloc(sizeof *self);
        *self = (struct cloud_lifecycle){.manager = manager,
                                         .queue = queue,
                                         .nodes = manager_part_informer(manager, "", "nodes", &node_glance_part),
                                         .events = manager_recorder(manager, "cloud-node-lifecycle-controller"),
                                         .cloud = cloud};
        cx_informer_on_event(self->nodes, on_node, self);
        cloud_listen(cloud, on_change, self);
        return self;
}

static int set_shut_down(struct cloud_lifecycle *self, const json_t *node, bool on, struct cx_error *err)
{
        bool is = cx_json_find(cx_json_get(node, "spec.taints"), "key", TAINT_SHUTDOWN);
        if (is == on)
                return 0;
        json_auto_t *patch =
                json_pack("{s:{s:o}}", "spec", "taints", taints_with(node, TAINT_SHUTDOWN, on ? "NoSchedule" : NULL));
        return node_patch(self->manager->rest, node, NULL, patch, err);
}

static int remove_node(struct cloud_lifecycle *self, const struct cx_object *object, const json_t *node,
                       struct cx_error *err)
{
        cx_info("Deleting a node that the provider does not have", "node", object->name);
        cx_event_object(self->events, "v1", "Node", object, "Normal", "DeletingNode",
                        "Deleting node %s because it does not exist in the cloud provider", object->name);
        // Not one that has become Ready meanwhile.
        const struct cx_delete_options options = {
                .grace = -1, .uid = object->uid, .resource_version = cx_json_string(node, "metadata.resourceVersion")};
        int r = cx_rest_delete(self->manager->rest, CX_REF("", "v1", "nodes", NULL, object->name), &options, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                r = 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct cloud_lifecycle *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->nodes, key);
        if (!object || (node_glance(object)->ready && !node_glance(object)->shut_down))
                return 0;
        json_auto_t *node = NULL;
        int r = node_fetch(self->manager->rest, object, &node, err);
        if (r != 0)
                return r < 0 ? r : 0;
        if (condition_is(node, "Ready", "True"))
                return set_shut_down(self, node, false, err);
        CLOUD_MACHINE machine = {0};
        *retry_after = cloud_options_of(self->manager)->monitor_period;
        r = self->cloud->provider->instances->look(self->cloud->self, node, &machine, err);
        if (r < 0)
                return r;
        return machine.exists ? set_shut_down(self, node, machine.shut_down, err)
                              : remove_node(self, object, node, err);
}

const struct controller cloud_node_lifecycle_controller = {.name = "cloud-node-lifecycle-controller",
                                                           .account = "node-controller",
                                                           .workers = 1,
                                                           .init = init,
                                                           .reconcile = reconcile,
                                                           .free = free};
