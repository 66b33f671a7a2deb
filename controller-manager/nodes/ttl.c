// SPDX-License-Identifier: Apache-2.0
// Tells every node how long its kubelet may keep Secrets and ConfigMaps without asking, in an annotation: the more nodes
// there are, the longer. The steps overlap, so that a cluster on the edge does not go up and down.
#include "controller-manager/nodes/ttl.h"

#include "libcontroller/manager.h"

#include <stdatomic.h>

#define ANNOTATION "node.alpha.kubernetes.io/ttl"

static const struct {
        int64_t min, max; // nodes: below, one step down; above, one step up
        int64_t seconds;
} steps[] = {{0, 100, 0}, {90, 500, 15}, {450, 1000, 30}, {900, 2000, 60}, {1800, INT32_MAX, 300}};

size_t ttl_step(size_t step, int64_t nodes)
{
        while (nodes > steps[step].max)
                step++;
        while (nodes < steps[step].min)
                step--;
        return step;
}

int64_t ttl_seconds(size_t step)
{
        return steps[step].seconds;
}

struct ttl {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes;
        atomic_size_t step; // changed by the informers' thread
};

static int64_t annotated(const json_t *node)
{
        static const char *const path[] = {"metadata", "annotations", ANNOTATION};
        int64_t seconds;
        const char *text = json_string_value(cx_json_at(node, path, CX_ARRAY_SIZE(path)));
        return text && cx_parse_int(text, 0, INT32_MAX, &seconds) == 0 ? seconds : -1;
}

// What the node was told (int64_t); -1: nothing.
static void take_ttl(void *part, const json_t *node)
{
        *(int64_t *)part = annotated(node);
}

static const struct object_part ttl_part = {sizeof(int64_t), take_ttl, NULL};

static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct ttl *self = context;
        size_t before = atomic_load(&self->step);
        size_t step = ttl_step(before, (int64_t)cx_informer_count(self->nodes));
        atomic_store(&self->step, step);
        if (now)
                cx_workqueue_add(self->queue, now->key);
        if (step == before || (old && now))
                return;
        CX_OBJECTS nodes = CX_OBJECTS_INIT;
        cx_informer_list(self->nodes, NULL, &nodes);
        for (size_t i = 0; i < nodes.count; i++)
                cx_workqueue_add(self->queue, nodes.items[i]->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct ttl *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->nodes = manager_part_informer(manager, "", "nodes", &ttl_part);
        cx_informer_on_event(self->nodes, on_node, self);
        return self;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct ttl *self = context;
        CX_OBJECT *node = cx_informer_get_key(self->nodes, key);
        int64_t wanted = ttl_seconds(atomic_load(&self->step));
        if (!node || *(const int64_t *)object_part(node, &ttl_part) == wanted)
                return 0;
        json_auto_t *patch = json_pack("{s:{s:s, s:{s:s}}}", "metadata", "uid", node->uid, "annotations", ANNOTATION,
                                       CX_INT(wanted));
        int r = cx_rest_patch(self->manager->rest, CX_REF("", "v1", "nodes", NULL, node->name), NULL,
                              CX_PATCH_STRATEGIC, patch, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

const struct controller ttl_controller = {.name = "ttl-controller",
                                          .account = "ttl-controller",
                                          .workers = 5,
                                          .init = init,
                                          .reconcile = reconcile,
                                          .free = free};
