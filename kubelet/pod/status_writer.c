// SPDX-License-Identifier: Apache-2.0
// Reports statuses: the worker publishes the newest, this queue's threads send it when it differs from what the apiserver
// has, and delete the object of a pod whose end is complete. Several changes in a row become one call.
#include "kubelet/pod/pods_internal.h"

#include "base/log.h"
#include "base/time.h"
#include "format/json.h"

void cx_pod_publish(struct cx_pod *pod, const json_t *object, struct cx_sandbox *sandbox)
{
        json_t *status = cx_pod_make_status(pod, object, sandbox);
        pthread_mutex_lock(&pod->pods->lock);
        bool changed = !pod->status || !json_equal(pod->status, status);
        json_decref(pod->status);
        pod->status = status;
        pod->status_dirty = pod->status_dirty || changed;
        // An object that the source shows otherwise (another's patch, a fresh list) is put right too.
        bool write = pod->status_dirty || pod->torn_down;
        pthread_mutex_unlock(&pod->pods->lock);
        if (write && pod->pods->kubelet->rest)
                cx_workqueue_add(pod->pods->status_queue, pod->uid);
}

static void null_if_gone(json_t *patch, const json_t *old, const json_t *status, const char *key)
{
        if (json_object_get(old, key) && !json_object_get(status, key))
                json_object_set_new(patch, key, json_null());
}

static json_t *make_patch(const json_t *object, const json_t *status)
{
        json_t *fields = json_copy((json_t *)status);
        const json_t *old = json_object_get(object, "status");
        static const char *const keys[] = {"reason", "message", "initContainerStatuses", "nominatedNodeName"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++)
                null_if_gone(fields, old, status, keys[i]);
        // Lists of addresses are merged by key: what was there before would stay.
        static const char *const lists[] = {"podIPs", "hostIPs"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                json_t *was = json_object_get(old, lists[i]), *now = json_object_get(status, lists[i]);
                if (!was || !now || json_equal(was, now))
                        continue;
                json_t *replaced = json_copy(now);
                json_array_append_new(replaced, json_pack("{s:s}", "$patch", "replace"));
                json_object_set_new(fields, lists[i], replaced);
        }
        return json_pack("{s:{s:O}, s:o}", "metadata", "uid", cx_json_get(object, "metadata.uid"), "status", fields);
}

// The pod as the apiserver has it may have another uid under the same name by now.
static int write_one(struct cx_pod *pod, const json_t *object, const json_t *status, struct cx_error *err)
{
        struct cx_kubelet *k = pod->pods->kubelet;
        json_auto_t *patch = make_patch(object, status);
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_patch(k->rest,
                              CX_REF(.version = "v1", .resource = "pods",
                                     .namespace = cx_json_string(object, "metadata.namespace"),
                                     .name = cx_json_string(object, "metadata.name")),
                              "status", CX_PATCH_STRATEGIC, patch, NULL, &failure);
        if (r < 0 && failure.reason == CX_REASON_NOT_FOUND)
                return 0;
        return r < 0 ? cx_error_move(err, &failure) : 0;
}

static int delete_one(struct cx_pod *pod, const json_t *object, struct cx_error *err)
{
        struct cx_kubelet *k = pod->pods->kubelet;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_delete(k->rest,
                               CX_REF(.version = "v1", .resource = "pods",
                                      .namespace = cx_json_string(object, "metadata.namespace"),
                                      .name = cx_json_string(object, "metadata.name")),
                               &(struct cx_delete_options){.grace = 0, .uid = pod->uid}, &failure);
        if (r < 0 && (failure.reason == CX_REASON_NOT_FOUND || failure.reason == CX_REASON_CONFLICT))
                return 0; // gone already, or another pod has the name
        return r < 0 ? cx_error_move(err, &failure) : 0;
}

int cx_pod_write_status(void *context, const char *uid, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct cx_pods *pods = context;
        CX_CLEANUP(cx_pod_unrefp) struct cx_pod *pod = cx_pod_ref(pods, uid);
        if (!pod || pod->is_static)
                return 0;
        pthread_mutex_lock(&pods->lock);
        json_auto_t *object = json_incref(pod->object);
        json_auto_t *status = pod->status ? json_incref(pod->status) : NULL;
        bool dirty = pod->status_dirty, torn_down = pod->torn_down, gone = pod->gone;
        pod->status_dirty = false;
        pthread_mutex_unlock(&pods->lock);
        if (!status || gone)
                return 0;
        int r = dirty ? write_one(pod, object, status, err) : 0;
        if (r < 0) {
                pthread_mutex_lock(&pods->lock);
                pod->status_dirty = true;
                pthread_mutex_unlock(&pods->lock);
                return cx_error_wrap(err, "cannot report the status of pod %s", pod->key);
        }
        if (torn_down && cx_json_get(object, "metadata.deletionTimestamp"))
                return delete_one(pod, object, err);
        return 0;
}
