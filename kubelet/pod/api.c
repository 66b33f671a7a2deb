// SPDX-License-Identifier: Apache-2.0
// The kubelet's two writes to pods of the apiserver: a patch of the status, which takes away what no longer holds, and the
// removal of an object by its uid.
#include "kubelet/pod/api.h"

#include "libcommon/format/json.h"

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
        static const char *const passing[] = {"PodResizePending", "PodResizeInProgress"};
        for (i = 0; i < CX_ARRAY_SIZE(passing); i++)
                if (cx_json_find(old, "type", passing[i]) && !cx_json_find(conditions, "type", passing[i]))
                        json_array_append_new(out, json_pack("{s:s, s:s}", "$patch", "delete", "type", passing[i]));
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
