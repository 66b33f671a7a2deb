// SPDX-License-Identifier: Apache-2.0
// Watches the nodes' heartbeats (their leases, and their status): a node that is silent for the grace period becomes
// Unknown, its conditions become taints, its pods become NotReady. What then leaves the node is the taint-eviction
// controller's business; how fast nodes are given up follows from the health of their zones (node_zones.h). Silence is
// measured by our own clock, from the last change that we saw.
#include "controller-manager/core/options.h"
#include "controller-manager/nodes/node_zones.h"
#include "controller-manager/pods/pods.h"
#include "libcommon/base/map.h"
#include "libcontroller/manager.h"

#include <pthread.h>

struct heartbeat {
        char *lease, *status; // the last values seen
        char *uid;            // the node's
        int64_t seen;         // monotonic
};
struct lifecycle {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *nodes, *leases, *pods;
        struct cx_events *events;
        pthread_mutex_t lock;     // guards heartbeats
        struct cx_map heartbeats; // by node
        struct node_zones zones;
        pthread_mutex_t priming; // guards primed
        bool primed;
};

static void free_heartbeat(void *value)
{
        struct heartbeat *heartbeat = value;
        free(heartbeat->lease);
        free(heartbeat->status);
        free(heartbeat->uid);
        free(heartbeat);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct lifecycle *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->nodes = manager_informer(manager, "", "nodes");
        self->leases = manager_informer(manager, "coordination.k8s.io", "leases");
        self->pods = pods_informer(manager);
        self->events = manager_recorder(manager, "node-controller");
        self->heartbeats.free_value = free_heartbeat;
        pthread_mutex_init(&self->lock, NULL);
        pthread_mutex_init(&self->priming, NULL);
        node_zones_init(&self->zones, &options_of(manager)->zones);
        manager_enqueue_all(self->nodes, queue);
        return self;
}

static void release(void *context)
{
        struct lifecycle *self = context;
        cx_map_release(&self->heartbeats);
        node_zones_release(&self->zones);
        pthread_mutex_destroy(&self->lock);
        pthread_mutex_destroy(&self->priming);
        free(self);
}

static char *zone_of(const struct cx_object *node)
{
        return cx_sprintf("%s:%s", cx_str(cx_object_label(node, "topology.kubernetes.io/region")),
                          cx_str(cx_object_label(node, "topology.kubernetes.io/zone")));
}

static void note_health(struct lifecycle *self, const struct cx_object *object, const json_t *node)
{
        CX_CLEANUP(cx_freep) char *zone = zone_of(object);
        node_zones_note(&self->zones, object->name, zone, condition_is(node, "Ready", "True"));
}

// All nodes must be known before the first is judged, or a silent one would look like all of them.
static void prime(struct lifecycle *self)
{
        pthread_mutex_lock(&self->priming);
        if (!self->primed) {
                CX_OBJECTS all = CX_OBJECTS_INIT;
                cx_informer_list(self->nodes, NULL, &all);
                for (size_t i = 0; i < all.count; i++) {
                        json_auto_t *node = cx_object_json(all.items[i]);
                        note_health(self, all.items[i], node);
                }
                self->primed = true;
        }
        pthread_mutex_unlock(&self->priming);
}

static void node_gone(struct lifecycle *self, const char *name)
{
        node_zones_forget(&self->zones, name);
        pthread_mutex_lock(&self->lock);
        struct heartbeat *heartbeat = cx_map_take(&self->heartbeats, name);
        pthread_mutex_unlock(&self->lock);
        if (!heartbeat)
                return;
        cx_event(self->events,
                 &(struct cx_event_about){.api_version = "v1", .kind = "Node", .name = name, .uid = heartbeat->uid},
                 "Normal", "RemovingNode", "Node %s event: Removing Node %s from Controller", name, name);
        free_heartbeat(heartbeat);
}

static char *status_beat(const json_t *node)
{
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *condition;
        json_array_foreach (cx_json_get(node, "status.conditions"), i, condition)
                cx_buf_printf(&text, "%s;", cx_json_string_or(condition, "lastHeartbeatTime", ""));
        return cx_buf_detach(&text);
}

// Since when the node has been silent (ns).
static int64_t silence(struct lifecycle *self, const struct cx_object *object, const json_t *node)
{
        CX_OBJECT *lease_object = cx_informer_get(self->leases, "kube-node-lease", object->name);
        json_auto_t *lease = lease_object ? cx_object_json(lease_object) : NULL;
        const char *renewed = cx_json_string_or(lease, "spec.renewTime", "");
        CX_CLEANUP(cx_freep) char *status = status_beat(node);
        int64_t now = cx_time_monotonic();
        bool fresh = false;
        pthread_mutex_lock(&self->lock);
        struct heartbeat *heartbeat = cx_map_get(&self->heartbeats, object->name);
        if (!heartbeat) {
                fresh = true;
                heartbeat = cx_alloc(sizeof *heartbeat);
                heartbeat->seen = now;
                heartbeat->uid = cx_strdup(object->uid);
                cx_map_set(&self->heartbeats, object->name, heartbeat);
        }
        if (!cx_streq(heartbeat->lease, renewed) || !cx_streq(heartbeat->status, status)) {
                free(heartbeat->lease);
                free(heartbeat->status);
                heartbeat->lease = cx_strdup(renewed);
                heartbeat->status = cx_steal(&status);
                heartbeat->seen = now;
        }
        int64_t silent = now - heartbeat->seen;
        pthread_mutex_unlock(&self->lock);
        if (fresh)
                cx_event_object(self->events, "v1", "Node", object, "Normal", "RegisteredNode",
                                "Node %s event: Registered Node %s in Controller", object->name, object->name);
        return silent;
}

// Our own write is not a heartbeat of the node.
static void forget_own_write(struct lifecycle *self, const char *name, const json_t *node)
{
        char *status = status_beat(node);
        pthread_mutex_lock(&self->lock);
        struct heartbeat *heartbeat = cx_map_get(&self->heartbeats, name);
        if (heartbeat) {
                free(heartbeat->status);
                heartbeat->status = cx_steal(&status);
        }
        pthread_mutex_unlock(&self->lock);
        free(status);
}

static int mark_unknown(struct lifecycle *self, const struct cx_object *object, json_t *node, struct cx_error *err)
{
        static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
        json_t *conditions = cx_json_array_at(cx_json_object_at(node, "status"), "conditions");
        bool changed = false;
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++) {
                json_t *condition = cx_json_find(conditions, "type", types[i]);
                if (!condition) {
                        char created[CX_TIME_TEXT];
                        cx_time_format(object->created, created);
                        json_array_append_new(conditions,
                                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "type", types[i], "status",
                                                        "Unknown", "reason", "NodeStatusNeverUpdated", "message",
                                                        "Kubelet never posted node status.", "lastHeartbeatTime",
                                                        created, "lastTransitionTime", json_now()));
                        changed = true;
                } else if (!cx_streq(cx_json_string(condition, "status"), "Unknown")) {
                        json_object_set_new(condition, "status", json_string("Unknown"));
                        json_object_set_new(condition, "reason", json_string("NodeStatusUnknown"));
                        json_object_set_new(condition, "message", json_string("Kubelet stopped posting node status."));
                        json_object_set_new(condition, "lastTransitionTime", json_now());
                        changed = true;
                }
        }
        if (!changed)
                return 0;
        json_auto_t *patch = json_pack("{s:{s:s}, s:{s:O}}", "metadata", "resourceVersion", object->resource_version,
                                       "status", "conditions", conditions);
        int r = cx_rest_patch(self->manager->rest, CX_REF("", "v1", "nodes", NULL, object->name), "status",
                              CX_PATCH_MERGE, patch, NULL, err);
        if (r == 0) {
                forget_own_write(self, object->name, node);
                cx_info("Node stopped reporting", "node", object->name);
                cx_event_object(self->events, "v1", "Node", object, "Normal", "NodeNotReady",
                                "Node %s status is now: NodeNotReady", object->name);
        }
        return r;
}

struct wanted_taint {
        const char *key, *effect;
        bool wanted;
};

// Whether the node is to be given up: it was already, or its zone may lose one now.
static bool give_up(struct lifecycle *self, const struct cx_object *object, const json_t *node, const char *key,
                    int64_t *retry_after)
{
        if (node_zones_all_down(&self->zones))
                return false;
        size_t i;
        const json_t *taint;
        json_array_foreach (cx_json_get(node, "spec.taints"), i, taint)
                if (cx_streq(cx_json_string(taint, "key"), key) &&
                    cx_streq(cx_json_string(taint, "effect"), "NoExecute"))
                        return true;
        CX_CLEANUP(cx_freep) char *zone = zone_of(object);
        int64_t wait;
        if (node_zones_may_give_up(&self->zones, zone, cx_time_monotonic(), &wait))
                return true;
        *retry_after = wait < *retry_after ? wait : *retry_after;
        return false;
}

// The node's taints with those of the table as they should be, and the others as they are; NULL when that is how they
// are.
static json_t *merge_taints(const json_t *node, const struct wanted_taint *taints, size_t n_taints)
{
        json_auto_t *next = json_array();
        bool changed = false;
        size_t i;
        json_t *taint;
        CX_CLEANUP(cx_freep) bool *have = cx_alloc_array(n_taints, sizeof *have);
        json_array_foreach (cx_json_get(node, "spec.taints"), i, taint) {
                bool drop = false;
                for (size_t j = 0; j < n_taints; j++) {
                        if (!cx_streq(cx_json_string(taint, "key"), taints[j].key) ||
                            !cx_streq(cx_json_string(taint, "effect"), taints[j].effect))
                                continue;
                        have[j] = true;
                        drop = !taints[j].wanted;
                }
                changed = changed || drop;
                if (!drop)
                        json_array_append(next, taint);
        }
        for (size_t j = 0; j < n_taints; j++) {
                if (!taints[j].wanted || have[j])
                        continue;
                changed = true;
                json_array_append_new(next, json_pack("{s:s, s:s, s:o}", "key", taints[j].key, "effect",
                                                      taints[j].effect, "timeAdded", json_now()));
        }
        return changed ? json_incref(next) : NULL;
}

// Sets and removes the taints that follow from the conditions; the others stay.
static int sync_taints(struct lifecycle *self, const struct cx_object *object, const json_t *node, int64_t *retry_after,
                       struct cx_error *err)
{
        static const char not_ready[] = "node.kubernetes.io/not-ready",
                          unreachable[] = "node.kubernetes.io/unreachable";
        // A node that has not said anything yet is neither.
        const char *ready = cx_json_string_or(find_condition(node, "Ready"), "status", "");
        bool unknown = cx_streq(ready, "Unknown"), down = cx_streq(ready, "False");
        bool leave = (unknown || down) && give_up(self, object, node, unknown ? unreachable : not_ready, retry_after);
        const struct wanted_taint taints[] = {
                {not_ready, "NoSchedule", down},
                {not_ready, "NoExecute", down && leave},
                {unreachable, "NoSchedule", unknown},
                {unreachable, "NoExecute", unknown && leave},
                {"node.kubernetes.io/memory-pressure", "NoSchedule", condition_is(node, "MemoryPressure", "True")},
                {"node.kubernetes.io/disk-pressure", "NoSchedule", condition_is(node, "DiskPressure", "True")},
                {"node.kubernetes.io/pid-pressure", "NoSchedule", condition_is(node, "PIDPressure", "True")},
                {"node.kubernetes.io/network-unavailable", "NoSchedule",
                 condition_is(node, "NetworkUnavailable", "True")},
                {"node.kubernetes.io/unschedulable", "NoSchedule", cx_json_bool(node, "spec.unschedulable", false)},
        };
        json_auto_t *next = merge_taints(node, taints, CX_ARRAY_SIZE(taints));
        if (!next)
                return 0;
        json_auto_t *patch = json_pack("{s:{s:s}, s:{s:O}}", "metadata", "resourceVersion", object->resource_version,
                                       "spec", "taints", json_array_size(next) ? next : json_null());
        return cx_rest_patch(self->manager->rest, CX_REF("", "v1", "nodes", NULL, object->name), NULL, CX_PATCH_MERGE,
                             patch, NULL, err);
}

// The pods of a node that does not answer serve nobody: their Ready condition says so, and endpoints follow.
static int mark_pods_not_ready(struct lifecycle *self, const char *node, struct cx_error *err)
{
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_by_index(self->pods, POD_INDEX_NODE, node, &pods);
        for (size_t i = 0; i < pods.count; i++) {
                const struct cx_object *pod = pods.items[i];
                if (!POD_STATE(pod)->ready || pod_is_terminal(pod))
                        continue;
                json_auto_t *patch =
                        json_pack("{s:{s:s}, s:{s:[{s:s, s:s, s:o}]}}", "metadata", "uid", pod->uid, "status",
                                  "conditions", "type", "Ready", "status", "False", "lastTransitionTime", json_now());
                int r = cx_rest_patch(self->manager->rest, CX_REF("", "v1", "pods", pod->namespace, pod->name),
                                      "status", CX_PATCH_STRATEGIC, patch, NULL, err);
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND) && !cx_error_is(err, CX_REASON_CONFLICT))
                        return r;
                cx_error_release(err);
                if (r == 0)
                        cx_event_object(self->events, "v1", "Pod", pod, "Warning", "NodeNotReady", "Node is not ready");
        }
        return 0;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct lifecycle *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->nodes, key);
        if (!object) {
                node_gone(self, key);
                return 0;
        }
        prime(self);
        json_auto_t *node = cx_object_json(object);
        const struct manager_options *options = options_of(self->manager);
        int64_t grace = find_condition(node, "Ready") ? options->monitor_grace : options->startup_grace;
        if (silence(self, object, node) > grace) {
                int r = mark_unknown(self, object, node, err);
                if (r < 0)
                        return r;
        }
        *retry_after = options->monitor_period;
        CX_OBJECT *latest = cx_informer_get_key(self->nodes, key);
        if (latest && strcmp(latest->resource_version, object->resource_version) != 0)
                return 0; // its event brings us back with the new version
        note_health(self, object, node);
        int r = sync_taints(self, object, node, retry_after, err);
        if (r < 0)
                return r;
        bool lost = find_condition(node, "Ready") && !condition_is(node, "Ready", "True");
        return lost ? mark_pods_not_ready(self, key, err) : 0;
}

const struct controller node_lifecycle_controller = {.name = "node-lifecycle-controller",
                                                     .account = "node-controller",
                                                     .workers = 4,
                                                     .init = init,
                                                     .reconcile = reconcile,
                                                     .free = release};
