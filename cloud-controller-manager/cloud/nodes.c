// SPDX-License-Identifier: Apache-2.0
// Looking at nodes, and changing their taints.
#include "cloud-controller-manager/cloud/nodes.h"

static void take_glance(void *part, const json_t *node)
{
        struct node_glance *glance = part;
        const json_t *taints = cx_json_get(node, "spec.taints");
        glance->uninitialized = cx_json_find(taints, "key", TAINT_UNINITIALIZED);
        glance->shut_down = cx_json_find(taints, "key", TAINT_SHUTDOWN);
        glance->ready = condition_is(node, "Ready", "True");
}

const struct object_part node_glance_part = {sizeof(struct node_glance), take_glance, NULL};

int node_fetch(struct cx_rest *rest, const struct cx_object *object, json_t **ret_node, struct cx_error *err)
{
        json_auto_t *node = NULL;
        int r = cx_rest_get(rest, CX_REF("", "v1", "nodes", NULL, object->name), &node, err);
        if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                return r;
        if (r < 0 || !cx_streq(cx_json_string(node, "metadata.uid"), object->uid)) {
                cx_error_release(err);
                return 1;
        }
        *ret_node = json_incref(node);
        return 0;
}

int node_patch(struct cx_rest *rest, const json_t *node, const char *subresource, json_t *patch, struct cx_error *err)
{
        json_t *metadata = cx_json_object_at(patch, "metadata");
        json_object_set(metadata, "uid", cx_json_get(node, "metadata.uid"));
        json_object_set(metadata, "resourceVersion", cx_json_get(node, "metadata.resourceVersion"));
        int r = cx_rest_patch(rest, CX_REF("", "v1", "nodes", NULL, cx_json_string(node, "metadata.name")), subresource,
                              CX_PATCH_MERGE, patch, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                r = 0;
        }
        return r;
}

json_t *taints_with(const json_t *node, const char *key, const char *effect)
{
        json_t *kept = json_array(), *taint;
        size_t i;
        json_array_foreach (cx_json_get(node, "spec.taints"), i, taint)
                if (!cx_streq(cx_json_string(taint, "key"), key))
                        json_array_append(kept, taint);
        if (effect)
                json_array_append_new(kept, json_pack("{s:s, s:s}", "key", key, "effect", effect));
        if (json_array_size(kept))
                return kept;
        json_decref(kept);
        return json_null();
}

void nodes_enqueue(struct cx_informer *nodes, struct cx_workqueue *queue)
{
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(nodes, NULL, &all);
        for (size_t i = 0; i < all.count; i++)
                cx_workqueue_add(queue, all.items[i]->key);
}
