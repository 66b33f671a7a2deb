// SPDX-License-Identifier: Apache-2.0
// The node's thread: it registers, reports, renews the lease, follows the other nodes, and keeps house.
#include "kubelet/node/node.h"

#include "kubelet/image/registry.h"
#include "kubelet/image/store.h"
#include "kubelet/network/cni.h"
#include "kubelet/network/node_routes.h"
#include "kubelet/network/routes.h"
#include "kubelet/node/log_rotation.h"
#include "kubelet/pod/pods.h"
#include "kubelet/volume/in_use.h"
#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/statvfs.h>

#define ROTATE_PERIOD (10 * CX_NS_PER_S)
#define LOG_MAX_FILES 5
#define LEASE_PERIOD (10 * CX_NS_PER_S)
#define REPORT_PERIOD (300 * CX_NS_PER_S)
#define PATIENCE (600 * CX_NS_PER_S) // a few calls to an API server that accepts them and does not answer

struct node_agent {
        const struct kubelet *kubelet;
        const struct kubelet_settings *settings;
        struct pods *pods;
        struct in_use *in_use;
        void (*made)(void *);
        void *context;
        struct cx_informer *nodes;
        pthread_t thread;
        struct cx_pulse pulse; // of the thread
        pthread_mutex_t lock;  // guards stopping and woken
        pthread_cond_t wake;
        bool stopping, woken;
        bool report;  // at once
        json_t *said; // the status that the apiserver last took from us
        int64_t said_at;
        char *pod_cidr;             // that the network is set up for
        struct node_routes *routes; // NULL: every node is a neighbour
};

static struct cx_ref node_ref(const struct node_agent *n)
{
        return (struct cx_ref){.version = "v1", .resource = "nodes", .name = n->kubelet->node_name};
}

static json_t *labels_of(const struct node_agent *n)
{
        const char *arch = registry_architecture();
        json_t *labels = json_pack("{s:s, s:s, s:s, s:s, s:s}", "kubernetes.io/hostname", n->kubelet->node_name,
                                   "kubernetes.io/os", "linux", "kubernetes.io/arch", arch, "beta.kubernetes.io/os",
                                   "linux", "beta.kubernetes.io/arch", arch);
        for (size_t i = 0; i < n->settings->node_labels.count; i++) {
                const char *pair = n->settings->node_labels.items[i];
                size_t key = strcspn(pair, "=");
                CX_CLEANUP(cx_freep) char *name = cx_strndup(pair, key);
                if (*name)
                        json_object_set_new(labels, name, json_string(pair[key] ? pair + key + 1 : ""));
        }
        return labels;
}

static json_t *taints_of(const struct node_agent *n)
{
        json_t *taints = json_array();
        for (size_t i = 0; i < n->settings->taints.count; i++) {
                const char *text = n->settings->taints.items[i]; // key[=value]:effect
                const char *colon = strrchr(text, ':');
                if (!colon || colon == text)
                        continue;
                size_t key = strcspn(text, "=:");
                CX_CLEANUP(cx_freep) char *name = cx_strndup(text, key);
                CX_CLEANUP(cx_freep)
                char *value = text[key] == '=' ? cx_strndup(text + key + 1, (size_t)(colon - text) - key - 1) : NULL;
                json_t *taint = json_pack("{s:s, s:s}", "key", name, "effect", colon + 1);
                if (value && *value)
                        json_object_set_new(taint, "value", json_string(value));
                json_array_append_new(taints, taint);
        }
        return taints;
}

// The node waits for a cloud-controller-manager, which is to know the address that it was given.
static bool waits_for_provider(const struct node_agent *n)
{
        return cx_streq(n->settings->cloud_provider, "external");
}

static void ask_provider(const struct node_agent *n, json_t *node)
{
        json_t *taints = cx_json_array_at(cx_json_object_at(node, "spec"), "taints");
        CX_CLEANUP(cx_freep) char *addresses = cx_strings_join(&n->kubelet->node_ips, ",");
        json_array_append_new(taints,
                              json_pack("{s:s, s:s, s:s}", "key", "node.cloudprovider.kubernetes.io/uninitialized",
                                        "value", "true", "effect", "NoSchedule"));
        json_object_set_new(cx_json_get(node, "metadata.annotations"), "alpha.kubernetes.io/provided-node-ip",
                            json_string(addresses));
}

// Makes the Node, or brings our labels on it up to date. ret_node: as it was, when it was there; else NULL.
static int register_node(struct node_agent *n, json_t **ret_node, struct cx_error *err)
{
        struct cx_ref ref = node_ref(n);
        json_auto_t *status = node_status(n->kubelet, n->settings, NULL);
        json_auto_t *node =
                json_pack("{s:s, s:s, s:{s:s, s:o, s:{s:s}}, s:{}, s:O}", "apiVersion", "v1", "kind", "Node",
                          "metadata", "name", n->kubelet->node_name, "labels", labels_of(n), "annotations",
                          "volumes.kubernetes.io/controller-managed-attach-detach", "true", "spec", "status", status);
        json_t *spec = json_object_get(node, "spec"), *taints = taints_of(n);
        if (json_array_size(taints))
                json_object_set(spec, "taints", taints);
        json_decref(taints);
        if (n->settings->provider_id && *n->settings->provider_id)
                json_object_set_new(spec, "providerID", json_string(n->settings->provider_id));
        if (waits_for_provider(n))
                ask_provider(n, node);
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_create(n->kubelet->rest, CX_REF(.version = "v1", .resource = "nodes"), node, NULL, &failure);
        if (r == 0) {
                cx_info("Node registered", "node", n->kubelet->node_name);
                n->made(n->context);
        }
        if (r < 0 && failure.reason != CX_REASON_ALREADY_EXISTS)
                return cx_error_move(err, &failure);
        if (r < 0) { // it was there: our labels are brought up to date, others' stay
                json_auto_t *patch = json_pack("{s:{s:o}}", "metadata", "labels", labels_of(n));
                return cx_rest_patch(n->kubelet->rest, &ref, NULL, CX_PATCH_STRATEGIC, patch, ret_node, err);
        }
        *ret_node = NULL;
        return 0;
}

// Without what changes at every look.
static json_t *comparable(const json_t *status)
{
        json_t *copy = json_deep_copy(status), *condition;
        size_t i;
        json_array_foreach (json_object_get(copy, "conditions"), i, condition)
                json_object_del(condition, "lastHeartbeatTime");
        return copy;
}

static void set_pod_cidr(struct node_agent *n, const char *cidr)
{
        if (!cidr || !*cidr || cx_streq(cidr, n->pod_cidr))
                return;
        CX_ERROR err = CX_ERROR_INIT;
        const char *outside = n->settings->non_masquerade_cidr;
        if (outside && *outside && network_masquerade(cidr, outside, &err) < 0)
                cx_err(&err, "Pods will not reach outside of the cluster");
        if (n->routes && node_routes_set_own(n->routes, cidr, &err) < 0) {
                cx_err(&err, "The overlay is not set up, will try again");
                return;
        }
        cni_set_pod_cidr(n->kubelet->cni, cidr);
        free(n->pod_cidr);
        n->pod_cidr = cx_strdup(cidr);
        cx_info("Pod network is set", "podCIDR", cidr);
}

static int report(struct node_agent *n, struct cx_error *err)
{
        struct cx_ref ref = node_ref(n);
        CX_OBJECT *object = cx_informer_get(n->nodes, NULL, n->kubelet->node_name);
        json_auto_t *old = object ? cx_object_json(object) : NULL;
        if (!old && n->settings->register_node) {
                int r = register_node(n, &old, err);
                if (r < 0)
                        return cx_error_wrap(err, "cannot register the node");
                // A kubelet that starts again knows its network at once: its node need not be unready in between.
                set_pod_cidr(n, cx_json_string(old, "spec.podCIDR"));
        }
        json_auto_t *status = node_status(n->kubelet, n->settings, old);
        json_auto_t *in_use = in_use_list(n->in_use);
        if (json_array_size(in_use) || cx_json_get(old, "status.volumesInUse"))
                json_object_set(status, "volumesInUse", json_array_size(in_use) ? in_use : json_null());
        json_auto_t *now = comparable(status);
        bool same = n->said && json_equal(n->said, now) && old;
        if (same && cx_time_monotonic() - n->said_at < REPORT_PERIOD) {
                in_use_reported(n->in_use, in_use);
                return 0;
        }
        json_auto_t *patch = json_pack("{s:O}", "status", status);
        int r = cx_rest_patch(n->kubelet->rest, &ref, "status", CX_PATCH_STRATEGIC, patch, NULL, err);
        if (r < 0)
                return cx_error_wrap(err, "cannot report the node's status");
        in_use_reported(n->in_use, in_use);
        json_decref(n->said);
        n->said = json_incref(now);
        n->said_at = cx_time_monotonic();
        return 0;
}

static int renew_lease(struct node_agent *n, struct cx_error *err)
{
        const struct kubelet *k = n->kubelet;
        char now[CX_TIME_TEXT];
        cx_time_format_micro(cx_time_now(), now);
        const struct cx_ref ref = {.group = "coordination.k8s.io",
                                   .version = "v1",
                                   .resource = "leases",
                                   .namespace = "kube-node-lease",
                                   .name = k->node_name};
        json_auto_t *patch =
                json_pack("{s:{s:s, s:I, s:s}}", "spec", "holderIdentity", k->node_name, "leaseDurationSeconds",
                          (json_int_t)n->settings->lease_seconds, "renewTime", now);
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_patch(k->rest, &ref, NULL, CX_PATCH_MERGE, patch, NULL, &failure);
        if (r == 0 || failure.reason != CX_REASON_NOT_FOUND)
                return r < 0 ? cx_error_move(err, &failure) : 0;
        json_auto_t *lease = json_pack("{s:s, s:s, s:{s:s, s:s}, s:O}", "apiVersion", "coordination.k8s.io/v1", "kind",
                                       "Lease", "metadata", "name", k->node_name, "namespace", "kube-node-lease",
                                       "spec", json_object_get(patch, "spec"));
        CX_OBJECT *object = cx_informer_get(n->nodes, NULL, k->node_name);
        if (object)
                json_object_set_new(json_object_get(lease, "metadata"), "ownerReferences",
                                    json_pack("[{s:s, s:s, s:s, s:s}]", "apiVersion", "v1", "kind", "Node", "name",
                                              k->node_name, "uid", object->uid));
        return cx_rest_create(k->rest,
                              CX_REF(.group = "coordination.k8s.io", .version = "v1", .resource = "leases",
                                     .namespace = "kube-node-lease"),
                              lease, NULL, err);
}

static const char *address_of(const json_t *node)
{
        return cx_json_string(cx_json_find(cx_json_get(node, "status.addresses"), "type", "InternalIP"), "address");
}

// Where the network knows no other way than through the nodes themselves.
static void apply_overlay(struct node_agent *n, const struct cx_objects *list)
{
        CX_CLEANUP(cx_freep) struct other_node *others = cx_alloc_array(list->count + 1, sizeof *others);
        size_t count = 0;
        for (size_t i = 0; i < list->count; i++) {
                json_auto_t *node = cx_object_json(list->items[i]);
                const char *cidr = cx_json_string(node, "spec.podCIDR"), *address = address_of(node);
                struct other_node *other = &others[count];
                if (strcmp(list->items[i]->name, n->kubelet->node_name) != 0 && cidr && address &&
                    cx_network_parse(cidr, &other->pods) == 0 && cx_address_parse(address, &other->address) == 0)
                        count++;
        }
        CX_ERROR err = CX_ERROR_INIT;
        if (node_routes_apply(n->routes, others, count, &err) < 0)
                cx_err(&err, "Pods of another node cannot be reached");
}

// All routes each time one node changed: there are few, and the kernel takes a replacement of the same as nothing.
static void update_routes(struct node_agent *n)
{
        CX_OBJECTS list = CX_OBJECTS_INIT;
        cx_informer_list(n->nodes, NULL, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_auto_t *node = cx_object_json(list.items[i]);
                const char *cidr = cx_json_string(node, "spec.podCIDR");
                if (strcmp(list.items[i]->name, n->kubelet->node_name) == 0) {
                        set_pod_cidr(n, cidr ? cidr : n->settings->pod_cidr);
                        continue;
                }
                const char *address = address_of(node);
                CX_ERROR err = CX_ERROR_INIT;
                if (!n->routes && cidr && address && network_route(cidr, address, &err) < 0)
                        cx_err(&err, "Pods of another node cannot be reached", "node", list.items[i]->name);
        }
        if (n->routes && cx_informer_synced(n->nodes)) // what is missing in half a list is not gone
                apply_overlay(n, &list);
}

static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct node_agent *n = context;
        if (old && !now && !n->routes) {
                json_auto_t *node = cx_object_json(old);
                const char *cidr = cx_json_string(node, "spec.podCIDR");
                CX_ERROR err = CX_ERROR_INIT;
                if (cidr && strcmp(old->name, n->kubelet->node_name) != 0 && network_route(cidr, NULL, &err) < 0)
                        cx_err(&err, "Cannot remove a node's route", "node", old->name);
        }
        pthread_mutex_lock(&n->lock);
        n->woken = true;
        pthread_cond_signal(&n->wake);
        pthread_mutex_unlock(&n->lock);
}

static void on_in_use(void *context)
{
        struct node_agent *n = context;
        pthread_mutex_lock(&n->lock);
        n->woken = n->report = true;
        pthread_cond_signal(&n->wake);
        pthread_mutex_unlock(&n->lock);
}

static bool take_report(struct node_agent *n)
{
        pthread_mutex_lock(&n->lock);
        bool report_now = n->report;
        n->report = false;
        pthread_mutex_unlock(&n->lock);
        return report_now;
}

static void collect_images(struct node_agent *n)
{
        struct statvfs fs;
        if (statvfs(n->kubelet->root, &fs) < 0 || !fs.f_blocks)
                return;
        int64_t total = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize,
                free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
        int64_t used = (total - free_bytes) * 100 / total;
        bool full = used >= n->settings->image_gc_high;
        int64_t wanted = full ? total * (100 - n->settings->image_gc_low) / 100 - free_bytes : 0, freed = 0;
        CX_STRINGS in_use = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        pods_images_in_use(n->pods, &in_use);
        if (image_store_collect(n->kubelet->images, &in_use, wanted, n->settings->min_image_age, &freed, &err) < 0)
                cx_err(&err, "Image garbage collection failed");
        if (!full)
                return;
        cx_info("Images were removed to free the disk", "usedPercent", CX_INT(used), "freedBytes", CX_INT(freed));
        if (freed < wanted && n->kubelet->events)
                cx_event(n->kubelet->events,
                         &(struct cx_event_about){.api_version = "v1",
                                                  .kind = "Node",
                                                  .name = n->kubelet->node_name,
                                                  .uid = n->kubelet->node_name},
                         "Warning", "FreeDiskSpaceFailed",
                         "Failed to garbage collect required amount of images. Attempted to free %lld bytes, but only "
                         "found %lld bytes eligible to free.",
                         (long long)wanted, (long long)freed);
}

static void wait_until(struct node_agent *n, int64_t until)
{
        struct timespec t = {.tv_sec = until / CX_NS_PER_S, .tv_nsec = until % CX_NS_PER_S};
        pthread_mutex_lock(&n->lock);
        while (!n->stopping && !n->woken && pthread_cond_timedwait(&n->wake, &n->lock, &t) != ETIMEDOUT)
                ;
        n->woken = false;
        pthread_mutex_unlock(&n->lock);
}

static void *run(void *context)
{
        struct node_agent *n = context;
        int64_t next_report = 0, next_lease = 0, next_collect = cx_time_monotonic() + n->settings->collect_period;
        int64_t next_rotate = cx_time_monotonic() + ROTATE_PERIOD;
        int64_t period = n->settings->status_frequency;
        bool was_ready = false;
        while (!n->stopping) {
                CX_ERROR err = CX_ERROR_INIT;
                int64_t now = cx_time_monotonic();
                cx_pulse_begin(&n->pulse);
                if (n->nodes)
                        update_routes(n);
                bool ready = !cni_not_ready(n->kubelet->cni);
                if (n->nodes && (take_report(n) || now >= next_report || ready != was_ready)) {
                        int r = report(n, &err);
                        if (r < 0)
                                cx_err(&err, "Node status was not taken");
                        cx_error_release(&err);
                        was_ready = ready;
                        next_report = now + (r < 0 ? 2 * CX_NS_PER_S : period);
                }
                if (n->nodes && now >= next_lease) {
                        int r = renew_lease(n, &err);
                        if (r < 0)
                                cx_err(&err, "Node lease was not renewed");
                        next_lease = now + (r < 0 ? 2 * CX_NS_PER_S : LEASE_PERIOD);
                        malloc_trim(0); // what a burst of pods took goes back
                }
                if (now >= next_collect) {
                        collect_images(n);
                        next_collect = now + n->settings->collect_period;
                }
                if (now >= next_rotate) {
                        logs_rotate(n->kubelet, n->settings->log_max_bytes, LOG_MAX_FILES);
                        next_rotate = now + ROTATE_PERIOD;
                }
                int64_t until = next_collect < next_rotate ? next_collect : next_rotate;
                if (n->nodes && next_report < until)
                        until = next_report;
                if (n->nodes && next_lease < until)
                        until = next_lease;
                cx_pulse_end(&n->pulse);
                wait_until(n, until);
        }
        return NULL;
}

static int start_overlay(struct node_agent *n, struct cx_error *err)
{
        if (strcmp(n->settings->overlay, "vxlan") != 0)
                return 0;
        const struct cx_strings *ips = &n->kubelet->node_ips;
        int r = node_routes_new(ips->count ? ips->items[0] : NULL, &n->routes, err);
        if (r == 0)
                cni_set_mtu(n->kubelet->cni, node_routes_mtu(n->routes));
        return r;
}

int node_start(const struct kubelet *k, const struct kubelet_settings *settings, const struct node_parts *parts,
               struct node_agent **ret_node, struct cx_error *err)
{
        struct node_agent *n = cx_alloc(sizeof *n);
        n->kubelet = k;
        n->settings = settings;
        n->pods = parts->pods;
        n->in_use = parts->in_use;
        n->made = parts->made;
        n->context = parts->context;
        pthread_mutex_init(&n->lock, NULL);
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&n->wake, &attributes);
        pthread_condattr_destroy(&attributes);
        network_prepare();
        int r = start_overlay(n, err);
        if (r < 0) {
                free(n);
                return r;
        }
        if (settings->pod_cidr && *settings->pod_cidr)
                set_pod_cidr(n, settings->pod_cidr);
        if (k->rest) {
                n->nodes = k->nodes;
                cx_informer_on_event(n->nodes, on_node, n);
                cx_informer_start(n->nodes);
        }
        in_use_on_change(n->in_use, on_in_use, n);
        r = -pthread_create(&n->thread, NULL, run, n);
        if (r < 0)
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        *ret_node = n;
        return 0;
}

bool node_alive(const struct node_agent *n, int64_t limit)
{
        return cx_pulse_alive(&n->pulse, limit > PATIENCE ? limit : PATIENCE);
}

void node_free(struct node_agent *n)
{
        if (!n)
                return;
        pthread_mutex_lock(&n->lock);
        n->stopping = true;
        pthread_cond_signal(&n->wake);
        pthread_mutex_unlock(&n->lock);
        pthread_join(n->thread, NULL);
        json_decref(n->said);
        free(n->pod_cidr);
        node_routes_free(n->routes);
        free(n);
}
