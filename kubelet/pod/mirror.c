// SPDX-License-Identifier: Apache-2.0
// Mirror pods: pictures in the apiserver of the static pods that run here, so that users of the API see them. For every
// "namespace/name" the picture that the watch shows is compared with the static pod: a missing one is made, one of another
// version, of no static pod or marked for deletion is removed (and then made again), a good one gets the status.
#include "kubelet/pod/mirror.h"

#include "kubelet/pod/api.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

#define HASH "kubernetes.io/config.hash"
#define MIRROR "kubernetes.io/config.mirror"

struct mirror {
        char *uid, *hash;
        bool deleting;
};

void mirror_free(void *p)
{
        struct mirror *mirror = p;
        free(mirror->uid);
        free(mirror->hash);
        free(mirror);
}

#define PREFIX "mirror:"

static void enqueue(struct pods *pods, const char *key)
{
        CX_CLEANUP(cx_freep) char *item = cx_sprintf(PREFIX "%s", key);
        cx_workqueue_add(pods->status_queue, item);
}

void mirror_seen(struct pods *pods, const json_t *object, bool gone)
{
        const json_t *metadata = json_object_get(object, "metadata");
        CX_CLEANUP(cx_freep)
        char *key = cx_sprintf("%s/%s", cx_json_string_or(metadata, "namespace", ""),
                               cx_json_string_or(metadata, "name", ""));
        const char *uid = cx_json_string_or(metadata, "uid", "");
        pthread_mutex_lock(&pods->lock);
        const struct mirror *old = cx_map_get(&pods->mirrors, key);
        if (gone && old && strcmp(old->uid, uid) == 0) {
                cx_map_remove(&pods->mirrors, key);
        } else if (!gone) {
                struct mirror *mirror = cx_alloc(sizeof *mirror);
                mirror->uid = cx_strdup(uid);
                mirror->hash = cx_strdup(
                        cx_str(json_string_value(json_object_get(json_object_get(metadata, "annotations"), MIRROR))));
                mirror->deleting = cx_pod_is_terminating(object);
                cx_map_set(&pods->mirrors, key, mirror);
        }
        pthread_mutex_unlock(&pods->lock);
        enqueue(pods, key);
}

void mirror_changed(struct pod *pod)
{
        enqueue(pod->pods, pod->key);
}

void mirror_all(struct pods *pods)
{
        CX_STRINGS keys = CX_STRINGS_INIT;
        pthread_mutex_lock(&pods->lock);
        CX_MAP_FOREACH (&pods->mirrors, entry) {
                cx_strings_add(&keys, entry->key);
        }
        pthread_mutex_unlock(&pods->lock);
        for (size_t i = 0; i < keys.count; i++)
                enqueue(pods, keys.items[i]);
}

static int create(const struct kubelet *k, const json_t *object, struct cx_error *err)
{
        CX_OBJECT *node = cx_informer_get(k->nodes, NULL, k->node_name);
        if (!node)
                return cx_error_set(err, -EAGAIN, "node \"%s\" is not there yet to own its mirror pods", k->node_name);
        json_auto_t *copy = json_deep_copy(object);
        json_t *metadata = json_object_get(copy, "metadata"), *annotations = json_object_get(metadata, "annotations");
        json_object_set(annotations, MIRROR, json_object_get(annotations, HASH));
        json_object_set_new(metadata, "ownerReferences",
                            json_pack("[{s:s, s:s, s:s, s:s, s:b}]", "apiVersion", "v1", "kind", "Node", "name",
                                      k->node_name, "uid", node->uid, "controller", 1));
        json_object_del(metadata, "uid");
        json_object_del(copy, "status");
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_create(
                k->rest,
                CX_REF(.version = "v1", .resource = "pods", .namespace = cx_json_string(metadata, "namespace")), copy,
                NULL, &failure);
        if (r < 0 && failure.reason != CX_REASON_ALREADY_EXISTS) { // else the watch will tell
                (void)cx_error_move(err, &failure);
                return cx_error_wrap(err, "cannot create mirror pod %s", cx_json_string_or(metadata, "name", ""));
        }
        return 0;
}

// The static pod of that name; with `lock` held.
static struct pod *find_static(struct pods *pods, const char *key)
{
        CX_MAP_FOREACH (&pods->map, entry) {
                struct pod *pod = entry->value;
                if (pod->is_static && !pod->gone && strcmp(pod->key, key) == 0)
                        return pod;
        }
        return NULL;
}

bool mirror_is_key(const char *key)
{
        return cx_has_prefix(key, PREFIX);
}

int mirror_sync(struct pods *pods, const char *item, struct cx_error *err)
{
        const char *key = item + strlen(PREFIX);
        pthread_mutex_lock(&pods->lock);
        struct pod *pod = find_static(pods, key);
        const struct mirror *mirror = cx_map_get(&pods->mirrors, key);
        if (!pods->sources_ready) { // which static pods there are is not known yet: mirror_all comes
                pthread_mutex_unlock(&pods->lock);
                return 0;
        }
        json_auto_t *object = pod ? json_incref(pod->object) : NULL;
        json_auto_t *status = pod && pod->status ? json_incref(pod->status) : NULL;
        CX_CLEANUP(cx_freep) char *uid = mirror ? cx_strdup(mirror->uid) : NULL;
        bool good = pod && mirror && !mirror->deleting && strcmp(mirror->hash, pod->uid) == 0;
        bool write = good && status && (pod->status_dirty || !cx_streq(pod->mirror_uid, uid));
        CX_CLEANUP(pod_unrefp) struct pod *held = pod;
        if (pod)
                pod->refs++;
        if (write)
                pod->status_dirty = false;
        pthread_mutex_unlock(&pods->lock);
        if (!mirror)
                return pod ? create(pods->kubelet, object, err) : 0;
        if (!good)
                return pod_delete_object(pods->kubelet, key, uid, err);
        if (!write)
                return 0;
        int r = pod_patch_status(pods->kubelet, object, uid, status, err);
        pthread_mutex_lock(&pods->lock);
        pod->status_dirty = pod->status_dirty || r < 0;
        free(pod->mirror_uid);
        pod->mirror_uid = r < 0 ? NULL : cx_steal(&uid);
        pthread_mutex_unlock(&pods->lock);
        return r < 0 ? cx_error_wrap(err, "cannot report the status of mirror pod %s", key) : 0;
}
