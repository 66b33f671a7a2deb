// SPDX-License-Identifier: Apache-2.0
// NodeRestriction: a kubelet changes its own Node, its own pods and its own lease, and asks tokens for its pods only.
#include "apiserver/admission/admission.h"
#include "apiserver/registry/metadata.h"
#include "libcommon/format/json.h"

static const char *node_of(const struct user *user)
{
        return cx_has_prefix(user->name, "system:node:") && user_in_group(user, "system:nodes")
                       ? user->name + strlen("system:node:")
                       : NULL;
}

static int refuse(struct admission_request *request, const char *node, const char *what, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *why = cx_sprintf("node \"%s\" %s", node, what);
        return admission_forbid(request, why, err);
}

static int check_pod(struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *pod = request->old ? request->old : request->object;
        const char *bound = cx_json_string(pod, "spec.nodeName");
        if (request->operation == ADMIT_CREATE && !request->subresource) {
                const json_t *annotations = cx_json_get(pod, "metadata.annotations");
                if (!json_object_get(annotations, "kubernetes.io/config.mirror"))
                        return refuse(request, node, "can only create mirror pods", err);
                if (!cx_streq(bound, node))
                        return refuse(request, node, "can only create pods with spec.nodeName set to itself", err);
                return 0;
        }
        if (!cx_streq(bound, node)) {
                if (cx_streq(request->subresource, "status"))
                        return refuse(request, node,
                                      "can only update pod status for pods with spec.nodeName set to itself", err);
                return refuse(request, node, "can only delete pods with spec.nodeName set to itself", err);
        }
        if (request->operation == ADMIT_UPDATE && !cx_streq(request->subresource, "status"))
                return refuse(request, node, "may only update pod status", err);
        json_t *before = cx_json_get(request->old, "metadata.labels"),
               *after = cx_json_get(request->object, "metadata.labels");
        if (request->operation == ADMIT_UPDATE && (before || after) && !json_equal(before, after))
                return refuse(request, node, "cannot update labels through pod status", err);
        return 0;
}

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

static int check_labels(struct admission_request *request, const char *node, struct cx_error *err)
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

static int check_node(struct admission_request *request, const char *node, struct cx_error *err)
{
        if (!cx_streq(request->name, node)) {
                CX_CLEANUP(cx_freep)
                char *what = cx_sprintf("is not allowed to modify node \"%s\"", cx_str(request->name));
                return refuse(request, node, what, err);
        }
        if (request->operation == ADMIT_DELETE)
                return 0;
        if (request->operation == ADMIT_UPDATE && !request->subresource &&
            !json_equal(cx_json_get(request->object, "spec.taints"), cx_json_get(request->old, "spec.taints")))
                return refuse(request, node, "is not allowed to modify taints", err);
        return check_labels(request, node, err);
}

static int validate(struct admission_request *request, struct cx_error *err)
{
        const char *node = node_of(&request->call->user);
        const struct cx_resource *resource = request->call->resource;
        if (!node)
                return 0;
        if (!*resource->group && strcmp(resource->resource, "pods") == 0)
                return check_pod(request, node, err);
        if (!*resource->group && strcmp(resource->resource, "nodes") == 0)
                return check_node(request, node, err);
        if (strcmp(resource->resource, "leases") == 0 && !cx_streq(request->name, node))
                return refuse(request, node, "can only access node lease with the same name as the requesting node",
                              err);
        return 0;
}

const struct admission_plugin admission_node_restriction = {
        .name = "NodeRestriction",
        .operations = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE,
        .validate = validate,
};
