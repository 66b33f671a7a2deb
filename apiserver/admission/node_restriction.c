// SPDX-License-Identifier: Apache-2.0
// NodeRestriction: a kubelet changes its own Node and what else has its name, and of that nothing by which it could draw
// other pods to itself; its own pods are in node_pods.c. It reaches into none of them through the API. Accounts that units of
// the node act as hold tokens bound to it, and are kept to its own volumes: node_volumes.c.
#include "apiserver/admission/node_restriction.h"

#include "apiserver/request/object.h"
#include "libcommon/format/json.h"

int node_refuse(const struct admission_request *request, const char *node, const char *what, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *why = cx_sprintf("node \"%s\" %s", node, what);
        return admission_forbid(request, why, err);
}

json_t *node_find(const struct admission_request *request, const char *resource, const char *namespace,
                  const char *name)
{
        STORED *stored = admission_lookup(request, builtin(request->scope->api, "", "v1", resource), namespace, name);
        return stored ? stored_parse(stored) : NULL;
}

static const char *name_of(const struct admission_request *request)
{
        const char *name = request->scope->name;
        return *name ? name : cx_json_string_or(request->object, "metadata.name", "");
}

// --- nodes ---

// "example.com" and what ends in ".example.com".
static bool is_domain(const char *prefix, const char *domain)
{
        size_t length = strlen(prefix), wanted = strlen(domain);
        return length >= wanted && strcmp(prefix + length - wanted, domain) == 0 &&
               (length == wanted || prefix[length - wanted - 1] == '.');
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
        if (is_domain(prefix, "node-restriction.kubernetes.io"))
                return false;
        bool reserved = is_domain(prefix, "kubernetes.io") || is_domain(prefix, "k8s.io");
        return !reserved || is_domain(prefix, "kubelet.kubernetes.io") || is_domain(prefix, "node.kubernetes.io");
}

// Adds the labels of `from` that `other` has not, or has otherwise, and that a node may not choose.
static void add_forbidden(const json_t *from, const json_t *other, struct cx_strings *to)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)from, key, value)
                if (!json_equal(value, json_object_get(other, key)) && !may_set_label(key) && !cx_strings_has(to, key))
                        cx_strings_add(to, key);
}

static int check_labels(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *labels = cx_json_get(request->object, "metadata.labels");
        const json_t *old = cx_json_get(request->old, "metadata.labels");
        CX_STRINGS forbidden = CX_STRINGS_INIT;
        add_forbidden(labels, old, &forbidden);
        add_forbidden(old, labels, &forbidden);
        if (!forbidden.count)
                return 0;
        cx_strings_sort(&forbidden);
        CX_CLEANUP(cx_freep) char *keys = cx_strings_join(&forbidden, ", ");
        CX_CLEANUP(cx_freep)
        char *what = cx_sprintf(request->old ? "is not allowed to modify labels: %s"
                                             : "is not allowed to set the following labels: %s",
                                keys);
        return node_refuse(request, node, what, err);
}

static bool is_same_list(const struct admission_request *request, const char *path)
{
        const json_t *now = cx_json_get(request->object, path), *before = cx_json_get(request->old, path);
        return json_array_size(now) + json_array_size(before) == 0 || json_equal(now, before);
}

static int check_node(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *name = name_of(request);
        if (strcmp(name, node) != 0) {
                CX_CLEANUP(cx_freep) char *what = cx_sprintf("is not allowed to modify node \"%s\"", name);
                return node_refuse(request, node, what, err);
        }
        if (request->operation == ADMIT_DELETE)
                return node_refuse(request, node, "is not allowed to delete itself", err);
        if (request->operation == ADMIT_CONNECT)
                return 0;
        if (!is_same_list(request, "metadata.ownerReferences")) // the garbage collector would delete it
                return node_refuse(request, node, "is not allowed to modify ownerReferences", err);
        if (request->operation == ADMIT_UPDATE && !is_same_list(request, "spec.taints"))
                return node_refuse(request, node, "is not allowed to modify taints", err);
        return check_labels(request, node, err);
}

// --- what has the node's name, or its name in it ---

static int check_named(const struct admission_request *request, const char *node, struct cx_error *err)
{
        return strcmp(name_of(request), node) == 0
                       ? 0
                       : node_refuse(request, node, "can only access an object with the same name as itself", err);
}

static int check_lease(const struct admission_request *request, const char *node, struct cx_error *err)
{
        return strcmp(request->scope->namespace, "kube-node-lease") == 0
                       ? check_named(request, node, err)
                       : node_refuse(request, node, "can only access leases in the namespace \"kube-node-lease\"", err);
}

static int check_slice(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *slice = request->operation == ADMIT_DELETE ? request->old : request->object;
        return cx_streq(cx_json_string(slice, "spec.nodeName"), node)
                       ? 0
                       : node_refuse(request, node, "can only access ResourceSlices with its own nodeName", err);
}

static int check_certificate(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *signer = cx_json_string_or(request->object, "spec.signerName", "");
        if (strcmp(signer, "kubernetes.io/kubelet-serving") != 0 &&
            strcmp(signer, "kubernetes.io/kube-apiserver-client-kubelet") != 0)
                return 0;
        CX_CLEANUP(cx_csr_info_release) struct cx_csr_info info = {0};
        if (admission_read_csr(request->object, &info) < 0)
                return node_refuse(request, node, "sent a request for a certificate that cannot be read", err);
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("system:node:%s", node);
        return cx_streq(info.common_name, own)
                       ? 0
                       : node_refuse(request, node, "can only ask for a certificate of its own name", err);
}

// --- the status of a claim, whose volume grows on the node ---

static json_t *without_sizes(const json_t *claim)
{
        static const char *const own[] = {"status.capacity",           "status.conditions",
                                          "status.allocatedResources", "status.allocatedResourceStatuses",
                                          "metadata.resourceVersion",  "metadata.managedFields"};
        json_t *copy = json_deep_copy(claim);
        for (size_t i = 0; i < CX_ARRAY_SIZE(own); i++)
                cx_json_remove(copy, own[i]);
        return copy;
}

static int check_claim(const struct admission_request *request, const char *node, struct cx_error *err)
{
        if (!cx_streq(request->scope->subresource, "status") || request->operation != ADMIT_UPDATE)
                return node_refuse(request, node, "may only update PVC status", err);
        json_auto_t *now = without_sizes(request->object), *before = without_sizes(request->old);
        return json_equal(now, before) ? 0
                                       : node_refuse(request, node,
                                                     "is not allowed to update fields other than status.capacity and "
                                                     "status.conditions",
                                                     err);
}

// --- the table ---

#define ADMIT_WRITES (ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE)
static const struct admission_want wants[] = {{ADMIT_ALL, "", "pods", "*"},
                                              {ADMIT_ALL, "", "nodes", "*"},
                                              {ADMIT_CREATE, "", "serviceaccounts", "token"},
                                              {ADMIT_WRITES, "", "persistentvolumeclaims", "*"},
                                              {ADMIT_WRITES, "", "persistentvolumes", "*"},
                                              {ADMIT_WRITES, "coordination.k8s.io", "leases", ""},
                                              {ADMIT_WRITES, "storage.k8s.io", "csinodes", ""},
                                              {ADMIT_WRITES, "resource.k8s.io", "resourceslices", ""},
                                              {ADMIT_CREATE, "certificates.k8s.io", "certificatesigningrequests", ""},
                                              {0}};
typedef int check_fn(const struct admission_request *request, const char *node, struct cx_error *err);
// In the order of wants: what kubelets have to observe, and accounts that are bound to a node.
static const struct {
        check_fn *kubelet, *account;
} checks[] = {
        {node_check_pod, NULL},
        {check_node, NULL},
        {node_check_token, node_check_account_token},
        {check_claim, node_check_claim},
        {NULL, node_check_volume},
        {check_lease, NULL},
        {check_named, NULL},
        {check_slice, NULL},
        {check_certificate, NULL},
};

static int validate(const struct admission_request *request, struct cx_error *err)
{
        const char *node = user_node(request->scope->user), *bound = user_bound_node(request->scope->user);
        for (size_t i = 0; (node || bound) && i < CX_ARRAY_SIZE(checks); i++) {
                if (!is_resource(request->scope->resource, wants[i].group, wants[i].resource))
                        continue;
                check_fn *check = node ? checks[i].kubelet : checks[i].account;
                return check ? check(request, node ? node : bound, err) : 0;
        }
        return 0;
}

const struct admission_plugin admission_node_restriction = {
        .name = "NodeRestriction", .wants = wants, .validate = validate};
