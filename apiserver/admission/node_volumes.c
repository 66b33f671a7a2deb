// SPDX-License-Identifier: Apache-2.0
// NodeRestriction for accounts whose token is bound to a Node, as the one that makes volumes of a node's folders: whoever
// takes over the node gets them, too. They write volumes that are local to the node, for claims whose pods run there, and
// draw no pod to it.
#include "apiserver/admission/node_restriction.h"
#include "libcommon/api/storage.h"
#include "libcommon/format/json.h"

// --- volumes ---

// A folder or device of the node, which no other node can reach: what a volume may be that is not the whole cluster's.
static bool is_local(const json_t *volume, const char *node)
{
        const json_t *terms = cx_json_get(volume, "spec.nodeAffinity.required.nodeSelectorTerms");
        const json_t *term = json_array_get(terms, 0), *expressions = json_object_get(term, "matchExpressions");
        const json_t *expression = json_array_get(expressions, 0), *values = json_object_get(expression, "values");
        return cx_json_get(volume, "spec.local") && json_array_size(terms) == 1 && json_array_size(expressions) == 1 &&
               !json_array_size(json_object_get(term, "matchFields")) &&
               cx_streq(cx_json_string(expression, "key"), "kubernetes.io/hostname") &&
               cx_streq(cx_json_string(expression, "operator"), "In") && json_array_size(values) == 1 &&
               cx_streq(json_string_value(json_array_get(values, 0)), node);
}

static const char *selected_node(const json_t *claim)
{
        return cx_str(json_string_value(json_object_get(cx_json_get(claim, "metadata.annotations"), CX_SELECTED_NODE)));
}

static json_t *class_of(const struct admission_request *request, const json_t *claim)
{
        const char *class = cx_json_string_or(claim, "spec.storageClassName", "");
        STORED *stored = admission_lookup(
                request, builtin(request->scope->api, "storage.k8s.io", "v1", "storageclasses"), NULL, class);
        return stored ? stored_parse(stored) : NULL;
}

// What a CSI driver makes volumes for waits for no folder of a node, which would only draw its pods there.
static bool is_of_driver(const struct admission_request *request, const json_t *class)
{
        const char *provisioner = cx_json_string_or(class, "provisioner", "");
        STORED *driver = admission_lookup(request, builtin(request->scope->api, "storage.k8s.io", "v1", "csidrivers"),
                                          NULL, provisioner);
        return driver;
}

// Is the volume for a claim that waits for one on this node?
static bool is_wanted(const struct admission_request *request, const char *node)
{
        const json_t *ref = cx_json_get(request->object, "spec.claimRef");
        json_auto_t *claim = node_find(request, "persistentvolumeclaims", cx_json_string_or(ref, "namespace", ""),
                                       cx_json_string_or(ref, "name", ""));
        json_auto_t *class = claim ? class_of(request, claim) : NULL;
        return claim && cx_streq(cx_json_string(claim, "metadata.uid"), cx_json_string_or(ref, "uid", "")) &&
               strcmp(selected_node(claim), node) == 0 && !is_of_driver(request, class);
}

static bool has_same_claim(const struct admission_request *request)
{
        const json_t *now = cx_json_get(request->object, "spec.claimRef");
        const json_t *before = cx_json_get(request->old, "spec.claimRef");
        return now == before || json_equal(now, before); // both may be absent
}

int node_check_volume(const struct admission_request *request, const char *node, struct cx_error *err)
{
        bool here = (!request->object || request->operation == ADMIT_DELETE || is_local(request->object, node)) &&
                    (!request->old || is_local(request->old, node));
        if (!here)
                return node_refuse(request, node, "is not allowed to write volumes that are not local to it", err);
        if (request->operation == ADMIT_CREATE && !is_wanted(request, node))
                return node_refuse(request, node, "may only create volumes for claims that its pods wait for", err);
        if (request->operation == ADMIT_UPDATE && !has_same_claim(request))
                return node_refuse(request, node, "is not allowed to modify the claimRef of volumes", err);
        return 0;
}

// --- claims ---

// Without what the account may write.
static json_t *without(const json_t *claim, const char *field)
{
        json_t *copy = json_deep_copy(claim), *annotations = cx_json_get(copy, "metadata.annotations");
        if (field)
                cx_json_remove(copy, field);
        else
                json_object_del(annotations, CX_SELECTED_NODE);
        if (!json_object_size(annotations))
                cx_json_remove(copy, "metadata.annotations");
        cx_json_remove(copy, "metadata.resourceVersion");
        cx_json_remove(copy, "metadata.managedFields");
        return copy;
}

static bool is_same_without(const struct admission_request *request, const char *field)
{
        json_auto_t *now = without(request->object, field), *before = without(request->old, field);
        return json_equal(now, before);
}

static bool binds_at_once(const struct admission_request *request)
{
        json_auto_t *class = class_of(request, request->old);
        return class && !cx_streq(cx_json_string(class, "volumeBindingMode"), "WaitForFirstConsumer") &&
               !is_of_driver(request, class);
}

// A claim that waits for a pod is the scheduler's: the account gives it back, from here or from a node that is gone. One that
// binds at once it may take when nobody has.
static bool may_select(const struct admission_request *request, const char *node)
{
        const char *before = selected_node(request->old), *now = selected_node(request->object);
        if (strcmp(before, now) == 0)
                return true;
        if (*now)
                return strcmp(now, node) == 0 && !*before && binds_at_once(request);
        json_auto_t *other = strcmp(before, node) == 0 ? NULL : node_find(request, "nodes", NULL, before);
        return !other;
}

static bool has_local_volume(const struct admission_request *request, const char *node)
{
        const char *name = cx_json_string_or(request->old, "spec.volumeName", "");
        json_auto_t *volume = *name ? node_find(request, "persistentvolumes", NULL, name) : NULL;
        return volume && is_local(volume, node);
}

int node_check_claim(const struct admission_request *request, const char *node, struct cx_error *err)
{
        bool status = cx_streq(request->scope->subresource, "status");
        if (request->operation != ADMIT_UPDATE)
                return node_refuse(request, node, "is not allowed to create or delete claims", err);
        if (!is_same_without(request, status ? "status.capacity" : NULL))
                return node_refuse(request, node,
                                   status ? "is not allowed to update fields of a claim's status other than capacity"
                                          : "may only change which node is selected for a claim",
                                   err);
        if (status ? !has_local_volume(request, node) : !may_select(request, node))
                return node_refuse(request, node, "is not allowed to modify claims of other nodes", err);
        return 0;
}
