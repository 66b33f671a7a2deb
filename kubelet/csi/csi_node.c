// SPDX-License-Identifier: Apache-2.0
// An update goes over the version that was read, and is made again when somebody was faster.
#include "kubelet/csi/csi_node.h"

#include "libcommon/format/json.h"

#define TRIES 5
#define NODE_IDS "csi.volume.kubernetes.io/nodeid"
#define SEGMENTS_MAX 64
#define COUNT_MAX 1000000 // of volumes; more means no limit

static struct cx_ref ref_of(const struct kubelet *k)
{
        return (struct cx_ref){
                .group = "storage.k8s.io", .version = "v1", .resource = "csinodes", .name = k->node_name};
}

static int make(const struct kubelet *k, json_t **ret_object, struct cx_error *err)
{
        json_auto_t *node = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_get(k->rest, CX_REF(.version = "v1", .resource = "nodes", .name = k->node_name), &node,
                            &failure);
        if (r < 0)
                return failure.reason == CX_REASON_NOT_FOUND ? 1 : cx_error_move(err, &failure);
        json_auto_t *object = json_pack("{s:s, s:s, s:{s:s, s:[{s:s, s:s, s:s, s:s}]}, s:{s:[]}}", "apiVersion",
                                        "storage.k8s.io/v1", "kind", "CSINode", "metadata", "name", k->node_name,
                                        "ownerReferences", "apiVersion", "v1", "kind", "Node", "name", k->node_name,
                                        "uid", cx_json_string_or(node, "metadata.uid", ""), "spec", "drivers");
        return cx_rest_create(k->rest, CX_REF(.group = "storage.k8s.io", .version = "v1", .resource = "csinodes"),
                              object, ret_object, err);
}

// Gets it, or makes it.
static int get(const struct kubelet *k, json_t **ret_object, struct cx_error *err)
{
        struct cx_ref ref = ref_of(k);
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_rest_get(k->rest, &ref, ret_object, &failure);
        if (r < 0 && failure.reason == CX_REASON_NOT_FOUND)
                return make(k, ret_object, err);
        return r < 0 ? cx_error_move(err, &failure) : 0;
}

int csi_node_ensure(const struct kubelet *k, struct cx_error *err)
{
        json_auto_t *object = NULL;
        return get(k, &object, err);
}

// Steals the entry; NULL: the driver goes.
static int put(const struct kubelet *k, const char *driver, json_t *entry_steal, struct cx_error *err)
{
        json_auto_t *entry = entry_steal;
        struct cx_ref ref = ref_of(k);
        for (int i = 0;; i++) {
                json_auto_t *object = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                int r = get(k, &object, err);
                if (r != 0)
                        return r < 0 ? r : cx_error_set(err, -EAGAIN, "the node is not registered yet");
                json_t *list = cx_json_array_at(cx_json_object_at(object, "spec"), "drivers"), *other;
                json_t *old = cx_json_find(list, "name", driver);
                if (entry ? json_equal(old, entry) : !old)
                        return 0;
                size_t n;
                json_array_foreach (list, n, other)
                        if (other == old) {
                                json_array_remove(list, n);
                                break;
                        }
                if (entry)
                        json_array_append(list, entry);
                r = cx_rest_update(k->rest, &ref, object, NULL, &failure);
                if (r == 0 || failure.reason != CX_REASON_CONFLICT || i >= TRIES)
                        return r < 0 ? cx_error_move(err, &failure) : 0;
        }
}

// The id, and where the node is. A label that means something else already is not the driver's to change.
static int mark_node(const struct kubelet *k, const char *driver, const Csi__NodeInfo *info, struct cx_error *err)
{
        struct cx_ref ref = {.version = "v1", .resource = "nodes", .name = k->node_name};
        json_auto_t *node = NULL;
        int r = cx_rest_get(k->rest, &ref, &node, err);
        if (r < 0)
                return r;
        const json_t *annotations = cx_json_get(node, "metadata.annotations");
        const char *text = cx_str(json_string_value(json_object_get(annotations, NODE_IDS)));
        json_auto_t *ids = NULL;
        if (cx_json_parse(text, strlen(text), false, &ids, NULL) < 0 || !json_is_object(ids)) {
                json_decref(ids);
                ids = json_object();
        }
        json_object_set_new(ids, driver, json_string(info->node_id));
        CX_CLEANUP(cx_freep) char *all = cx_json_text(ids);
        json_auto_t *patch = json_pack("{s:{s:{s:s}, s:{}}}", "metadata", "annotations", NODE_IDS, all, "labels");
        json_t *labels = cx_json_get(patch, "metadata.labels");
        for (size_t i = 0; info->accessible_topology && i < info->accessible_topology->n_segments; i++) {
                const Csi__Pair *segment = info->accessible_topology->segments[i];
                const char *there =
                        json_string_value(json_object_get(cx_json_get(node, "metadata.labels"), segment->key));
                if (there && strcmp(there, segment->value) != 0)
                        return cx_error_set(err, -EEXIST,
                                            "detected topology value collision: driver reported \"%s\":\"%s\" but "
                                            "existing label is \"%s\":\"%s\"",
                                            segment->key, segment->value, segment->key, there);
                json_object_set_new(labels, segment->key, json_string(segment->value));
        }
        return cx_rest_patch(k->rest, &ref, NULL, CX_PATCH_STRATEGIC, patch, NULL, err);
}

int csi_node_add(const struct kubelet *k, const char *driver, const Csi__NodeInfo *info, struct cx_error *err)
{
        const Csi__Topology *topology = info->accessible_topology;
        if (!*info->node_id || strlen(info->node_id) > 256)
                return cx_error_set(err, -EBADMSG, "the driver's node id is empty or longer than 256 bytes");
        if (topology && topology->n_segments > SEGMENTS_MAX)
                return cx_error_set(err, -EBADMSG, "the driver tells more than %d topology segments", SEGMENTS_MAX);
        int r = mark_node(k, driver, info, err);
        if (r < 0)
                return r;
        json_t *entry = json_pack("{s:s, s:s, s:[]}", "name", driver, "nodeID", info->node_id, "topologyKeys");
        if (!entry)
                return cx_error_set(err, -EBADMSG, "the driver's node id is not valid UTF-8");
        for (size_t i = 0; topology && i < topology->n_segments; i++)
                json_array_append_new(json_object_get(entry, "topologyKeys"), json_string(topology->segments[i]->key));
        if (!json_array_size(json_object_get(entry, "topologyKeys")))
                json_object_set_new(entry, "topologyKeys", json_null());
        if (info->max_volumes_per_node > 0 && info->max_volumes_per_node <= COUNT_MAX)
                json_object_set_new(entry, "allocatable",
                                    json_pack("{s:I}", "count", (json_int_t)info->max_volumes_per_node));
        return put(k, driver, entry, err);
}

int csi_node_remove(const struct kubelet *k, const char *driver, struct cx_error *err)
{
        return put(k, driver, NULL, err);
}
