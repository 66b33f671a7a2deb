// SPDX-License-Identifier: Apache-2.0
// Deletes pods from nodes with NoExecute taints: at once when they do not tolerate one, after their tolerationSeconds when
// they tolerate it for a while.
#include "controller-manager/core/manager.h"
#include "controller-manager/nodes/taints.h"

struct evictions {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes, *pods;
        struct cx_events *events;
};

static bool tolerates(const struct pod_toleration *toleration, const json_t *taint)
{
        const char *key = cx_json_string_or(taint, "key", "");
        if (*toleration->key && strcmp(toleration->key, key) != 0)
                return false;
        if (!*toleration->key && !toleration->exists)
                return false;
        return toleration->exists || strcmp(toleration->value, cx_json_string_or(taint, "value", "")) == 0;
}

int64_t taints_until_eviction(const json_t *taints, const struct pod_info *pod, int64_t now)
{
        int64_t earliest = -1, until = -1;
        size_t i;
        json_t *taint;
        json_array_foreach (taints, i, taint) {
                if (!cx_streq(cx_json_string(taint, "effect"), "NoExecute"))
                        continue;
                bool tolerated = false;
                for (size_t j = 0; j < pod->n_tolerations; j++) {
                        if (!tolerates(&pod->tolerations[j], taint))
                                continue;
                        tolerated = true;
                        int64_t seconds = pod->tolerations[j].seconds;
                        if (seconds >= 0 && (earliest < 0 || seconds < earliest))
                                earliest = seconds;
                }
                if (!tolerated)
                        return 0;
                const char *added = cx_json_string(taint, "timeAdded");
                int64_t since = now;
                if (added && cx_time_parse(added, &since) < 0)
                        since = now;
                if (earliest >= 0) {
                        int64_t left = (since + earliest * CX_US_PER_S - now) * 1000;
                        left = left > 0 ? left : 0;
                        until = until < 0 || left < until ? left : until;
                }
        }
        return until;
}

static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct evictions *self = context;
        const struct cx_object *node = now ? now : old;
        bool tainted = now && now->bytes && memmem(now->bytes, now->length, "\"NoExecute\"", 11);
        if (!tainted)
                return;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_by_index(self->pods, POD_INDEX_NODE, node->name, &pods);
        for (size_t i = 0; i < pods.count; i++)
                cx_workqueue_add(self->queue, pods.items[i]->key);
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct evictions *self = context;
        if (!now || now->deleted || !POD_INFO(now)->node || (old && POD_INFO(old)->node))
                return;
        CX_OBJECT *node = cx_informer_get(self->nodes, NULL, POD_INFO(now)->node);
        if (node && node->bytes && memmem(node->bytes, node->length, "\"NoExecute\"", 11))
                cx_workqueue_add(self->queue, now->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct evictions *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->nodes = manager_informer(manager, "", "nodes");
        self->pods = manager_informer(manager, "", "pods");
        self->events = manager_recorder(manager, "taint-eviction-controller");
        cx_informer_on_event(self->nodes, on_node, self);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static int evict(struct evictions *self, const struct cx_object *pod, struct cx_error *err)
{
        const struct cx_ref *ref = CX_REF("", "v1", "pods", pod->namespace, pod->name);
        cx_event_object(self->events, "v1", "Pod", pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod %s",
                        pod->key);
        json_auto_t *patch = json_pack(
                "{s:{s:s}, s:{s:[{s:s, s:s, s:s, s:s, s:o}]}}", "metadata", "uid", pod->uid, "status", "conditions",
                "type", "DisruptionTarget", "status", "True", "reason", "DeletionByTaintManager", "message",
                "Taint manager: deleting due to NoExecute taint", "lastTransitionTime", json_now());
        struct cx_delete_options options = {.grace = -1, .uid = pod->uid};
        int r = cx_rest_patch(self->manager->rest, ref, "status", CX_PATCH_STRATEGIC, patch, NULL, err);
        if (r == 0)
                r = cx_rest_delete(self->manager->rest, ref, &options, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct evictions *self = context;
        CX_OBJECT *pod = cx_informer_get_key(self->pods, key);
        if (!pod || pod->deleted || pod_is_terminal(pod) || !POD_INFO(pod)->node)
                return 0;
        CX_OBJECT *object = cx_informer_get(self->nodes, NULL, POD_INFO(pod)->node);
        if (!object)
                return 0;
        json_auto_t *node = cx_object_json(object);
        int64_t left = taints_until_eviction(cx_json_get(node, "spec.taints"), POD_INFO(pod), cx_time_now());
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
