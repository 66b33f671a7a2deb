// SPDX-License-Identifier: Apache-2.0
// The pod map, its sources, and the worker that every event leads to.
#include "kubelet/pod/pods.h"

#include "kubelet/pod/cgroups.h"
#include "kubelet/pod/kill.h"
#include "kubelet/pod/mirror.h"
#include "kubelet/pod/publish.h"
#include "kubelet/pod/sync.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#define WORKERS 16

void pods_changed(void *context, const char *uid)
{
        cx_workqueue_add(((struct pods *)context)->queue, uid);
}

void pods_set(struct pods *pods, json_t *object_steal, bool is_static)
{
        const char *uid = cx_json_string(object_steal, "metadata.uid");
        if (!uid) {
                json_decref(object_steal);
                return;
        }
        CX_CLEANUP(cx_freep) char *key = cx_strdup(uid);
        pthread_mutex_lock(&pods->lock);
        struct pod *pod = cx_map_get(&pods->map, key);
        if (!pod) {
                pod = pod_new(pods, key, object_steal);
                pod->is_static = is_static;
                cx_map_set(&pods->map, key, pod);
        } else {
                json_decref(pod->object);
                pod->object = object_steal;
                pod->gone = false;
        }
        pthread_mutex_unlock(&pods->lock);
        pods_changed(pods, key);
}

void pods_remove(struct pods *pods, const char *uid)
{
        pthread_mutex_lock(&pods->lock);
        struct pod *pod = cx_map_get(&pods->map, uid);
        if (pod) {
                pod->gone = true;
                pod->refs++;
        }
        pthread_mutex_unlock(&pods->lock);
        if (!pod)
                return;
        pod_enqueue(pod);
        if (pod->is_static)
                mirror_changed(pod);
        pod_unref(pod);
}

// What a pod that nobody knows any more needs to be stopped: its names, from the records of what runs.
static void adopt_orphan(struct pods *pods, const char *uid)
{
        const char *namespace = "", *name = "";
        CONTAINERS list = {0};
        runtime_containers(pods->kubelet->runtime, uid, &list);
        CX_CLEANUP(sandbox_unrefp) struct sandbox *sandbox = runtime_sandbox(pods->kubelet->runtime, uid);
        if (list.count) {
                namespace = list.items[0]->pod_namespace;
                name = list.items[0]->pod_name;
        } else if (sandbox) {
                namespace = sandbox->pod_namespace;
                name = sandbox->pod_name;
        }
        json_t *object = json_pack("{s:{s:s, s:s, s:s}, s:{s:[], s:i}}", "metadata", "namespace", namespace, "name",
                                   name, "uid", uid, "spec", "containers", "terminationGracePeriodSeconds", 30);
        struct pod *pod = pod_new(pods, uid, object);
        pod->gone = true;
        pthread_mutex_lock(&pods->lock);
        bool known = cx_map_has(&pods->map, uid);
        if (!known)
                cx_map_set(&pods->map, uid, pod);
        pthread_mutex_unlock(&pods->lock);
        if (known) {
                pod_unref(pod);
                return;
        }
        cx_info("Removing what is left of a pod that no longer exists", "pod", name, "namespace", namespace, "uid",
                uid);
        pods_changed(pods, uid);
}

static bool knows(void *context, const char *uid)
{
        CX_CLEANUP(pod_unrefp) struct pod *pod = pod_find(context, uid);
        return pod != NULL;
}

void pods_mirror(struct pods *pods, const json_t *object, bool gone)
{
        mirror_seen(pods, object, gone);
}

void pods_sources_ready(struct pods *pods)
{
        CX_STRINGS uids = CX_STRINGS_INIT;
        runtime_pods(pods->kubelet->runtime, &uids);
        volumes_pods(pods->volumes, &uids);
        for (size_t i = 0; i < uids.count; i++)
                adopt_orphan(pods, uids.items[i]);
        pod_cgroups_remove_orphans(pods->kubelet, knows, pods);
        pthread_mutex_lock(&pods->lock);
        pods->sources_ready = true;
        pthread_mutex_unlock(&pods->lock);
        mirror_all(pods);
}

static int drop_pod(struct pods *pods, struct pod *pod, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *logs = pod_log_folder(pods->kubelet, pod->object);
        int r = pod_forget_containers(pod, err);
        if (r == 0)
                r = cx_remove_tree(logs, err);
        if (r < 0)
                return r; // tried again
        pthread_mutex_lock(&pods->lock);
        cx_map_take(&pods->map, pod->uid);
        pthread_mutex_unlock(&pods->lock);
        cx_debug(2, "Pod removed", "pod", pod->key);
        pod_unref(pod); // the map's; the caller has its own
        return 0;
}

// One look at one pod.
static int reconcile(void *context, const char *uid, int64_t *retry_after, struct cx_error *err)
{
        struct pods *pods = context;
        CX_CLEANUP(pod_unrefp) struct pod *pod = pod_find(pods, uid);
        if (!pod)
                return 0;
        pthread_mutex_lock(&pods->lock);
        json_auto_t *object = json_incref(pod->object);
        bool torn_down = pod->torn_down;
        pthread_mutex_unlock(&pods->lock);
        pod->again = INT64_MAX;
        int r = torn_down ? 0 : pod_sync(pod, object, err);
        pthread_mutex_lock(&pods->lock);
        torn_down = pod->torn_down;
        bool gone = pod->gone;
        pthread_mutex_unlock(&pods->lock);
        if (r == 0 && gone && torn_down)
                return drop_pod(pods, pod, err);
        if (torn_down && pods->kubelet->rest) // it may have been marked for deletion since
                cx_workqueue_add(pods->status_queue, uid);
        if (pod->again < INT64_MAX)
                *retry_after = pod->again > 0 ? pod->again : 1;
        return r;
}

struct pods *pods_new(const struct kubelet *kubelet)
{
        struct pods *pods = cx_alloc(sizeof *pods);
        pods->kubelet = kubelet;
        pods->mirrors = (struct cx_map)CX_MAP_INIT_FREE(mirror_free);
        pthread_mutex_init(&pods->lock, NULL);
        pthread_mutex_init(&pods->admission, NULL);
        pthread_mutex_init(&pods->tiers, NULL);
        pods->queue = cx_workqueue_new("pods");
        pods->status_queue = cx_workqueue_new("pod_status");
        return pods;
}

void pods_start(struct pods *pods, const struct pods_parts *parts)
{
        pods->refs = parts->refs;
        pods->volumes = parts->volumes;
        pods->probes = parts->probes;
        pods->workers = cx_workers_start(pods->queue, WORKERS, reconcile, pods);
        if (pods->kubelet->rest)
                pods->status_workers = cx_workers_start(pods->status_queue, 6, pod_write_status, pods);
}

void pods_stop(struct pods *pods)
{
        if (pods->workers)
                cx_workers_stop(pods->workers);
        if (pods->status_workers)
                cx_workers_stop(pods->status_workers);
        pods->workers = pods->status_workers = NULL;
}

void pods_free(struct pods *pods)
{
        if (!pods)
                return;
        pods_stop(pods);
        cx_workqueue_free(pods->queue);
        cx_workqueue_free(pods->status_queue);
        CX_MAP_FOREACH (&pods->map, entry) {
                pod_unref(entry->value);
        }
        cx_map_release(&pods->map);
        cx_map_release(&pods->mirrors);
        pthread_mutex_destroy(&pods->lock);
        pthread_mutex_destroy(&pods->admission);
        pthread_mutex_destroy(&pods->tiers);
        free(pods);
}

// Under the lock.
static json_t *with_status(const struct pod *pod)
{
        json_t *copy = json_copy(pod->object);
        if (pod->status)
                json_object_set(copy, "status", pod->status);
        json_object_set_new(copy, "apiVersion", json_string("v1"));
        json_object_set_new(copy, "kind", json_string("Pod"));
        return copy;
}

json_t *pods_find(struct pods *pods, const char *namespace, const char *name)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", namespace, name);
        json_t *found = NULL;
        pthread_mutex_lock(&pods->lock);
        CX_MAP_FOREACH (&pods->map, entry) {
                struct pod *pod = entry->value;
                if (strcmp(pod->key, key) == 0 && (!found || !pod->gone)) {
                        json_decref(found);
                        found = with_status(pod);
                }
        }
        pthread_mutex_unlock(&pods->lock);
        return found;
}

json_t *pods_list(struct pods *pods)
{
        json_t *list = json_array();
        pthread_mutex_lock(&pods->lock);
        CX_MAP_FOREACH (&pods->map, entry) {
                json_array_append_new(list, with_status(entry->value));
        }
        pthread_mutex_unlock(&pods->lock);
        return list;
}

void pods_images_in_use(struct pods *pods, struct cx_strings *ret_ids)
{
        CONTAINERS list = {0};
        volumes_images(pods->volumes, ret_ids);
        runtime_containers(pods->kubelet->runtime, NULL, &list);
        for (size_t i = 0; i < list.count; i++)
                if (!cx_strings_has(ret_ids, list.items[i]->image_id))
                        cx_strings_add(ret_ids, list.items[i]->image_id);
        pthread_mutex_lock(&pods->lock);
        CX_MAP_FOREACH (&pods->map, entry) {
                CX_MAP_FOREACH (&((struct pod *)entry->value)->slots, other) {
                        const char *id = cx_json_string(((struct slot *)other->value)->image, "id");
                        if (id)
                                cx_strings_add(ret_ids, id);
                }
        }
        pthread_mutex_unlock(&pods->lock);
}
