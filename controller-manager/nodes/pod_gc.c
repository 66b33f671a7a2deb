// SPDX-License-Identifier: Apache-2.0
// Removes pods that nobody will finish: on nodes that are gone, deleted before they were scheduled, on nodes out of
// service, and terminated ones beyond the threshold. One key, worked every twenty seconds and when a node goes.
#include "controller-manager/core/options.h"
#include "controller-manager/pods/disruption.h"

#include "libcommon/base/map.h"

#define PERIOD (20 * CX_NS_PER_S)
#define QUARANTINE (40 * CX_NS_PER_S)
#define KEY "sweep"

struct sweeper {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes, *pods;
        struct cx_map missing; // node -> int64_t *: since when it is known to be missing
};

// Whether a node is out of service: somebody says so, and it does not answer (bool).
static void take_out_of_service(void *part, const json_t *node)
{
        *(bool *)part = cx_json_find(cx_json_get(node, "spec.taints"), "key", "node.kubernetes.io/out-of-service") &&
                        !condition_is(node, "Ready", "True");
}

static const struct object_part out_of_service_part = {sizeof(bool), take_out_of_service, NULL};

static void on_node(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct sweeper *self = context;
        if (!now)
                cx_workqueue_add(self->queue, KEY);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct sweeper *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->nodes = manager_part_informer(manager, "", "nodes", &out_of_service_part);
        self->pods = pods_informer(manager);
        self->missing.free_value = free;
        cx_informer_on_event(self->nodes, on_node, self);
        cx_workqueue_add(queue, KEY);
        return self;
}

static void release(void *context)
{
        struct sweeper *self = context;
        cx_map_release(&self->missing);
        free(self);
}

static int remove_pod(struct sweeper *self, const struct cx_object *pod, const char *message, struct cx_error *err)
{
        const struct disruption end = {.reason = "DeletionByPodGC", .message = message, .failed = true, .grace = 0};
        return pod_disrupt(self->manager->rest, pod, &end, err);
}

// True when the node has been missing for long enough and the API server confirms it.
static bool is_gone(struct sweeper *self, const char *node, int64_t *retry_after)
{
        int64_t now = cx_time_monotonic();
        int64_t *since = cx_map_get(&self->missing, node);
        if (!since) {
                since = cx_alloc(sizeof *since);
                *since = now;
                cx_map_set(&self->missing, node, since);
        }
        if (now - *since < QUARANTINE) {
                int64_t left = QUARANTINE - (now - *since);
                *retry_after = left < *retry_after ? left : *retry_after;
                return false;
        }
        CX_ERROR err = CX_ERROR_INIT;
        return cx_rest_get(self->manager->rest, CX_REF("", "v1", "nodes", NULL, node), NULL, &err) < 0 &&
               cx_error_is(&err, CX_REASON_NOT_FOUND);
}

static int compare_created(const void *a, const void *b)
{
        const struct cx_object *x = *(const struct cx_object *const *)a, *y = *(const struct cx_object *const *)b;
        return x->created < y->created ? -1 : x->created > y->created;
}

static int remove_terminated(struct sweeper *self, const struct cx_objects *pods, struct cx_error *err)
{
        int64_t threshold = options_of(self->manager)->terminated_pod_threshold;
        CX_OBJECTS ended = CX_OBJECTS_INIT;
        for (size_t i = 0; threshold > 0 && i < pods->count; i++)
                if (pod_is_terminal(pods->items[i]))
                        cx_objects_add(&ended, pods->items[i]);
        if (!ended.items || (int64_t)ended.count <= threshold)
                return 0;
        qsort(ended.items, ended.count, sizeof *ended.items, compare_created);
        for (size_t i = 0; (int64_t)(ended.count - i) > threshold; i++) {
                int r = remove_pod(self, ended.items[i], "", err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int reconcile(void *context, const char *key CX_UNUSED, int64_t *retry_after, struct cx_error *err)
{
        struct sweeper *self = context;
        *retry_after = PERIOD;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_list(self->pods, NULL, &pods);
        int r = remove_terminated(self, &pods, err);
        for (size_t i = 0; i < pods.count && r == 0; i++) {
                const struct cx_object *pod = pods.items[i];
                const char *name = POD_STATE(pod)->node;
                if (!name) {
                        if (pod->deleted)
                                r = remove_pod(self, pod, "PodGC: terminating and never scheduled", err);
                        continue;
                }
                CX_OBJECT *node = cx_informer_get(self->nodes, NULL, name);
                if (node) {
                        cx_map_remove(&self->missing, name);
                        if (pod->deleted && *(const bool *)object_part(node, &out_of_service_part))
                                r = remove_pod(self, pod, "PodGC: node is out of service", err);
                } else if (is_gone(self, name, retry_after)) {
                        r = remove_pod(self, pod, "PodGC: node no longer exists", err);
                }
        }
        return r;
}

const struct controller pod_gc_controller = {.name = "pod-garbage-collector-controller",
                                             .account = "pod-garbage-collector",
                                             .workers = 1,
                                             .init = init,
                                             .reconcile = reconcile,
                                             .free = release};
