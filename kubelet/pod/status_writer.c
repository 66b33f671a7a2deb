// SPDX-License-Identifier: Apache-2.0
// Reports statuses: the worker publishes the newest, this queue's threads send it when it differs from what the apiserver
// has, and delete the object of a pod whose end is complete. Several changes in a row become one call.
#include "kubelet/pod/pods_internal.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define START_PATIENCE (150 * CX_NS_PER_MS)

// Somebody else has said otherwise of a condition since: the node lifecycle controller of a node that it missed.
static bool overruled(const json_t *object, const json_t *status)
{
        size_t i;
        const json_t *condition, *shown = cx_json_get(object, "status.conditions");
        json_array_foreach (json_object_get(status, "conditions"), i, condition) {
                const json_t *other = cx_json_find(shown, "type", cx_json_string_or(condition, "type", ""));
                if (other && !cx_streq(cx_json_string(other, "status"), cx_json_string(condition, "status")))
                        return true;
        }
        return false;
}

void pod_publish(struct pod *pod, const json_t *object, struct sandbox *sandbox)
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
                pod_mirror_changed(pod);
                return;
        }
        // That a pod was taken on is news only when its start takes a while: else it goes with what comes next.
        bool starting = !pod->was_up && !sandbox && strcmp(cx_json_string_or(status, "phase", ""), "Pending") == 0;
        if (starting)
                cx_workqueue_add_after(pod->pods->status_queue, pod->uid, START_PATIENCE);
        else
                cx_workqueue_add(pod->pods->status_queue, pod->uid);
}

static void null_if_gone(json_t *patch, const json_t *old, const json_t *status, const char *key)
{
        if (json_object_get(old, key) && !json_object_get(status, key))
                json_object_set_new(patch, key, json_null());
}

// Conditions are merged by type: a reason or message that no longer holds must be taken away.
static json_t *conditions_patch(const json_t *old, const json_t *conditions)
{
        json_t *out = json_array(), *condition;
        size_t i;
        json_array_foreach ((json_t *)conditions, i, condition) {
                const json_t *was = cx_json_find(old, "type", cx_json_string_or(condition, "type", ""));
                json_t *copy = json_copy(condition);
                null_if_gone(copy, was, condition, "reason");
                null_if_gone(copy, was, condition, "message");
                json_array_append_new(out, copy);
        }
        return out;
}

static json_t *make_patch(const json_t *object, const char *uid, const json_t *status)
{
        json_t *fields = json_copy((json_t *)status);
        const json_t *old = json_object_get(object, "status");
        static const char *const keys[] = {"reason", "message", "initContainerStatuses", "nominatedNodeName"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++)
                null_if_gone(fields, old, status, keys[i]);
        json_object_set_new(
                fields, "conditions",
                conditions_patch(json_object_get(old, "conditions"), json_object_get(status, "conditions")));
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
        return json_pack("{s:{s:s}, s:o}", "metadata", "uid", uid, "status", fields);
}

// The pod as the apiserver has it may have another uid under the same name by now.
int pod_patch_status(const struct kubelet *k, const json_t *object, const char *uid, const json_t *status,
                     struct cx_error *err)
{
        json_auto_t *patch = make_patch(object, uid, status);
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

int pod_delete_object(const struct kubelet *k, const char *key, const char *uid, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *namespace = cx_strndup(key, strcspn(key, "/"));
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_delete(k->rest,
                               CX_REF(.version = "v1", .resource = "pods", .namespace = namespace,
                                      .name = key + strlen(namespace) + 1),
                               &(struct cx_delete_options){.grace = 0, .uid = uid}, &failure);
        if (r < 0 && (failure.reason == CX_REASON_NOT_FOUND || failure.reason == CX_REASON_CONFLICT))
                return 0; // gone already, or another pod has the name
        return r < 0 ? cx_error_move(err, &failure) : 0;
}

int pod_write_status(void *context, const char *uid, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct pods *pods = context;
        if (cx_has_prefix(uid, MIRROR_PREFIX))
                return mirror_sync(pods, uid + strlen(MIRROR_PREFIX), err);
        CX_CLEANUP(pod_unrefp) struct pod *pod = pod_ref(pods, uid);
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
        if (torn_down && cx_json_get(object, "metadata.deletionTimestamp"))
                return pod_delete_object(pods->kubelet, pod->key, uid, err);
        return 0;
}
