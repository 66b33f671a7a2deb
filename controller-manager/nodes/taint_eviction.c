// SPDX-License-Identifier: Apache-2.0
// Deletes pods from nodes with NoExecute taints: at once when they do not tolerate one, after their tolerationSeconds
// when they tolerate it for a while.
#include "controller-manager/nodes/taints.h"
#include "controller-manager/pods/disruption.h"
#include "libcontroller/manager.h"

struct evictions {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes, *pods;
        struct cx_events *events;
};

// The tolerations of a pod.
static void take_tolerations(void *part, const json_t *pod)
{
        cx_tolerations_parse(cx_json_get(pod, "spec.tolerations"), part);
}

static void release_tolerations(void *part)
{
        cx_tolerations_release(part);
}

static const struct object_part tolerations_part = {sizeof(struct cx_tolerations), take_tolerations,
                                                    release_tolerations};

// Whether a node has a NoExecute taint (bool).
static void take_evicts(void *part, const json_t *node)
{
        *(bool *)part = cx_json_find(cx_json_get(node, "spec.taints"), "effect", "NoExecute");
}

static const struct object_part evicts_part = {sizeof(bool), take_evicts, NULL};

static bool evicts(const struct cx_object *node)
{
        return *(const bool *)object_part(node, &evicts_part);
}

// The shortest time (seconds) for which the tolerations bear the taint; -1: for ever. False when none does.
static bool is_tolerated(const struct cx_tolerations *tolerations, const struct cx_taint *taint, int64_t *ret_seconds)
{
        bool tolerated = false;
        int64_t shortest = -1;
        for (size_t i = 0; i < tolerations->count; i++) {
                if (!cx_tolerates(&tolerations->items[i], taint))
                        continue;
                tolerated = true;
                int64_t seconds = tolerations->items[i].seconds;
                if (seconds >= 0 && (shortest < 0 || seconds < shortest))
                        shortest = seconds;
        }
        *ret_seconds = shortest;
        return tolerated;
}

int64_t taints_until_eviction(const json_t *taints, const struct cx_tolerations *tolerations, int64_t now)
{
        int64_t earliest = -1, until = -1;
        size_t i;
        json_t *entry;
        json_array_foreach (taints, i, entry) {
                if (!cx_streq(cx_json_string(entry, "effect"), "NoExecute"))
                        continue;
                const struct cx_taint taint = {.key = (char *)cx_json_string_or(entry, "key", ""),
                                               .value = (char *)cx_json_string_or(entry, "value", ""),
                                               .effect = CX_EFFECT_NO_EXECUTE};
                int64_t seconds;
                if (!is_tolerated(tolerations, &taint, &seconds))
                        return 0;
                if (seconds >= 0 && (earliest < 0 || seconds < earliest))
                        earliest = seconds;
                if (earliest < 0)
                        continue;
                const char *added = cx_json_string(entry, "timeAdded");
                int64_t since = now;
                if (added && cx_time_parse(added, &since) < 0)
                        since = now;
                int64_t left = (since + earliest * CX_US_PER_S - now) * 1000;
                left = left > 0 ? left : 0;
                until = until < 0 || left < until ? left : until;
        }
        return until;
}

static void on_node(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct evictions *self = context;
        if (!now || !evicts(now))
                return;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_by_index(self->pods, POD_INDEX_NODE, now->name, &pods);
        for (size_t i = 0; i < pods.count; i++)
                cx_workqueue_add(self->queue, pods.items[i]->key);
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct evictions *self = context;
        if (!now || now->deleted || !POD_STATE(now)->node || (old && POD_STATE(old)->node))
                return;
        CX_OBJECT *node = cx_informer_get(self->nodes, NULL, POD_STATE(now)->node);
        if (node && evicts(node))
                cx_workqueue_add(self->queue, now->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct evictions *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->nodes = manager_informer(manager, "", "nodes");
        manager_part_informer(manager, "", "nodes", &evicts_part);
        self->pods = pods_informer(manager);
        manager_part_informer(manager, "", "pods", &tolerations_part);
        self->events = manager_recorder(manager, "taint-eviction-controller");
        cx_informer_on_event(self->nodes, on_node, self);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static int evict(struct evictions *self, const struct cx_object *pod, struct cx_error *err)
{
        static const struct disruption end = {.reason = "DeletionByTaintManager",
                                              .message = "Taint manager: deleting due to NoExecute taint",
                                              .grace = -1};
        cx_event_object(self->events, "v1", "Pod", pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod %s",
                        pod->key);
        return pod_disrupt(self->manager->rest, pod, &end, err);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct evictions *self = context;
        CX_OBJECT *pod = cx_informer_get_key(self->pods, key);
        if (!pod || pod->deleted || pod_is_terminal(pod) || !POD_STATE(pod)->node)
                return 0;
        CX_OBJECT *object = cx_informer_get(self->nodes, NULL, POD_STATE(pod)->node);
        if (!object)
                return 0;
        json_auto_t *node = cx_object_json(object);
        int64_t left = taints_until_eviction(cx_json_get(node, "spec.taints"), object_part(pod, &tolerations_part),
                                             cx_time_now());
        if (left == 0)
                return evict(self, pod, err);
        if (left > 0)
                *retry_after = left + CX_NS_PER_MS;
        return 0;
}

const struct controller taint_eviction_controller = {.name = "taint-eviction-controller",
                                                     .account = "node-controller",
                                                     .workers = 8,
                                                     .init = init,
                                                     .reconcile = reconcile,
                                                     .free = free};
