// SPDX-License-Identifier: Apache-2.0
// Reports statuses: the worker publishes the newest, this queue's threads send it when it differs from what the apiserver
// has, and delete the object of a pod whose end is complete. Several changes in a row become one call.
#include "kubelet/pod/publish.h"

#include "kubelet/pod/api.h"
#include "kubelet/pod/mirror.h"
#include "kubelet/pod/status.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define START_PATIENCE (150 * CX_NS_PER_MS)

// Somebody else has said otherwise of a condition since: the node lifecycle controller of a node that it missed.
static bool overruled(const json_t *object, const json_t *status)
{
        size_t i;
        const json_t *condition;
        json_array_foreach (json_object_get(status, "conditions"), i, condition) {
                const json_t *other = cx_pod_condition(object, cx_json_string_or(condition, "type", ""));
                if (other && !cx_streq(cx_json_string(other, "status"), cx_json_string(condition, "status")))
                        return true;
        }
        return false;
}

void pod_publish(struct pod *pod, const json_t *object, const struct sandbox *sandbox)
{
        json_t *status = pod_make_status(pod, object, sandbox);
        bool wrong = overruled(object, status);
        pthread_mutex_lock(&pod->pods->lock);
        bool changed = wrong || !pod->status || !json_equal(pod->status, status);
        json_decref(pod->status);
        pod->status = status;
        pod->status_dirty = pod->status_dirty || changed;
        bool write = pod->status_dirty || pod->torn_down;
        pthread_mutex_unlock(&pod->pods->lock);
        if (!write || !pod->pods->kubelet->rest)
                return;
        if (pod->is_static) {
                mirror_changed(pod);
                return;
        }
        // That a pod was taken on is news only when its start takes a while: else it goes with what comes next.
        bool starting = !pod->was_up && !sandbox && strcmp(cx_json_string_or(status, "phase", ""), "Pending") == 0;
        if (starting)
                cx_workqueue_add_after(pod->pods->status_queue, pod->uid, START_PATIENCE);
        else
                cx_workqueue_add(pod->pods->status_queue, pod->uid);
}

int pod_write_status(void *context, const char *uid, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct pods *pods = context;
        if (mirror_is_key(uid))
                return mirror_sync(pods, uid, err);
        CX_CLEANUP(pod_unrefp) struct pod *pod = pod_find(pods, uid);
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
        int r = dirty ? pod_patch_status(pods->kubelet, object, uid, status, err) : 0;
        if (r < 0) {
                pthread_mutex_lock(&pods->lock);
                pod->status_dirty = true;
                pthread_mutex_unlock(&pods->lock);
                return cx_error_wrap(err, "cannot report the status of pod %s", pod->key);
        }
        if (torn_down && cx_pod_is_terminating(object))
                return pod_delete_object(pods->kubelet, pod->key, uid, err);
        return 0;
}
