// SPDX-License-Identifier: Apache-2.0
// NodeRestriction: a kubelet changes its own Node, its own pods and its own lease, evicts and gets tokens for its own
// pods only, and reaches into none of them through the API.
#include "apiserver/admission/plugin.h"
#include "apiserver/request/object.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

static int refuse(const struct admission_request *request, const char *node, const char *what, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *why = cx_sprintf("node \"%s\" %s", node, what);
        return admission_forbid(request, why, err);
}

static bool is_on_node(const json_t *pod, const char *node)
{
        return cx_streq(cx_json_string(pod, "spec.nodeName"), node);
}

// --- pods ---

static int check_pod(const struct admission_request *request, const char *node, struct cx_error *err)
{
        if (request->operation == ADMIT_UPDATE)
                return refuse(request, node, "may only update pod status", err);
        if (request->operation == ADMIT_DELETE)
                return is_on_node(request->old, node)
                               ? 0
                               : refuse(request, node, "can only delete pods with spec.nodeName set to itself", err);
        if (!cx_pod_is_mirror(request->object))
                return refuse(request, node, "can only create mirror pods", err);
        if (!is_on_node(request->object, node))
                return refuse(request, node, "can only create pods with spec.nodeName set to itself", err);
        return 0;
}

static int check_pod_status(const struct admission_request *request, const char *node, struct cx_error *err)
{
        if (!is_on_node(request->old, node))
                return refuse(request, node, "can only update pod status for pods with spec.nodeName set to itself",
                              err);
        const json_t *before = cx_json_get(request->old, "metadata.labels");
        const json_t *after = cx_json_get(request->object, "metadata.labels");
        if (json_object_size(before) + json_object_size(after) && !json_equal(before, after))
                return refuse(request, node, "cannot update labels through pod status", err);
        return 0;
}

static json_t *find_pod(const struct admission_request *request, const char *name)
{
        STORED *stored = admission_lookup(request, builtin(request->scope->api, "", "v1", "pods"),
                                          request->scope->namespace, name);
        return stored ? stored_parse(stored) : NULL;
}

static int check_eviction(const struct admission_request *request, const char *node, struct cx_error *err)
{
        json_auto_t *pod = find_pod(request, request->scope->name);
        if (pod && !is_on_node(pod, node)) // of one that is not there others will say so
                return refuse(request, node, "can only evict pods with spec.nodeName set to itself", err);
        return 0;
}

static int check_pod_part(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *subresource = request->scope->subresource;
        if (!subresource)
                return check_pod(request, node, err);
        if (strcmp(subresource, "status") == 0)
                return check_pod_status(request, node, err);
        if (strcmp(subresource, "eviction") == 0)
                return check_eviction(request, node, err);
        CX_CLEANUP(cx_freep)
        char *what =
                cx_sprintf("may use no other subresource of pods than status and eviction, not \"%s\"", subresource);
        return refuse(request, node, what, err);
}

// --- tokens ---

// A token that a kubelet asks for is for a pod that runs on its node.
static int check_token(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *bound = cx_json_get(request->object, "spec.boundObjectRef");
        const char *name = cx_json_string_or(bound, "name", ""), *uid = cx_json_string_or(bound, "uid", "");
        if (!cx_streq(cx_json_string(bound, "kind"), "Pod") || !*name)
                return refuse(request, node, "requested token not bound to a pod", err);
        if (!*uid)
                return refuse(request, node, "requested token with a pod binding without a uid", err);
        json_auto_t *pod = find_pod(request, name);
        if (pod && !is_on_node(pod, node))
                return refuse(request, node, "requested token bound to a pod scheduled on a different node", err);
        return 0;
}

// --- nodes ---

static bool may_set_label(const char *key)
{
        static const char *const own[] = {"kubernetes.io/hostname",
                                          "kubernetes.io/arch",
                                          "kubernetes.io/os",
                                          "beta.kubernetes.io/instance-type",
                                          "node.kubernetes.io/instance-type",
                                          "failure-domain.beta.kubernetes.io/region",
                                          "failure-domain.beta.kubernetes.io/zone",
                                          "topology.kubernetes.io/region",
                                          "topology.kubernetes.io/zone",
                                          "beta.kubernetes.io/arch",
                                          "beta.kubernetes.io/os"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(own); i++)
                if (strcmp(key, own[i]) == 0)
                        return true;
        const char *slash = strchr(key, '/');
        CX_CLEANUP(cx_freep) char *prefix = slash ? cx_strndup(key, (size_t)(slash - key)) : cx_strdup("");
        bool reserved = cx_has_suffix(prefix, "kubernetes.io") || cx_has_suffix(prefix, "k8s.io");
        return !reserved || cx_has_suffix(prefix, "kubelet.kubernetes.io") ||
               cx_has_suffix(prefix, "node.kubernetes.io");
}

static int check_labels(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *labels = cx_json_get(request->object, "metadata.labels");
        const json_t *old = cx_json_get(request->old, "metadata.labels");
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)labels, key, value) {
                if (json_equal(value, json_object_get(old, key)) || may_set_label(key))
                        continue;
                CX_CLEANUP(cx_freep) char *what = cx_sprintf("is not allowed to modify labels: %s", key);
                return refuse(request, node, what, err);
        }
        return 0;
}

static bool same_taints(const json_t *object, const json_t *old)
{
        const json_t *now = cx_json_get(object, "spec.taints"), *before = cx_json_get(old, "spec.taints");
        return json_array_size(now) + json_array_size(before) == 0 || json_equal(now, before);
}

static int check_node(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *name = request->scope->name;
        if (!*name)
                name = cx_json_string_or(request->object, "metadata.name", "");
        if (strcmp(name, node) != 0) {
                CX_CLEANUP(cx_freep) char *what = cx_sprintf("is not allowed to modify node \"%s\"", name);
                return refuse(request, node, what, err);
        }
        if (request->operation == ADMIT_DELETE || request->operation == ADMIT_CONNECT)
                return 0;
        if (request->operation == ADMIT_UPDATE && !request->scope->subresource &&
            !same_taints(request->object, request->old))
                return refuse(request, node, "is not allowed to modify taints", err);
        return check_labels(request, node, err);
}

static int check_lease(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *name = request->scope->name;
        if (!*name)
                name = cx_json_string_or(request->object, "metadata.name", "");
        return strcmp(name, node) == 0
                       ? 0
                       : refuse(request, node, "can only access node lease with the same name as the requesting node",
                                err);
}

static int validate(const struct admission_request *request, struct cx_error *err)
{
        const char *node = user_node(request->scope->user);
        const struct cx_resource *resource = request->scope->resource;
        if (!node)
                return 0;
        if (is_resource(resource, "", "pods"))
                return check_pod_part(request, node, err);
        if (is_resource(resource, "", "nodes"))
                return check_node(request, node, err);
        if (is_resource(resource, "", "serviceaccounts"))
                return check_token(request, node, err);
        return check_lease(request, node, err);
}

static const struct admission_want wants[] = {{ADMIT_ALL, "", "pods", "*"},
                                              {ADMIT_ALL, "", "nodes", "*"},
                                              {ADMIT_CREATE, "", "serviceaccounts", "token"},
                                              {ADMIT_ALL, "coordination.k8s.io", "leases", ""},
                                              {0}};
const struct admission_plugin admission_node_restriction = {
        .name = "NodeRestriction", .wants = wants, .validate = validate};
