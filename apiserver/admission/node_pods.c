// SPDX-License-Identifier: Apache-2.0
// NodeRestriction of pods: a kubelet makes mirror pods, which may refer to nothing else in the API, as what a pod refers to
// is what its node may read; it changes the status of its own pods, deletes and evicts them, and gets tokens that die with
// them, for audiences that they ask for.
#include "apiserver/admission/node_restriction.h"

#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/references.h"
#include "apiserver/request/errors.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

static bool is_on_node(const json_t *pod, const char *node)
{
        return cx_streq(cx_json_string(pod, "spec.nodeName"), node);
}

// --- mirror pods ---

static bool note_reference(void *context, const char *resource, const char *namespace CX_UNUSED,
                           const char *name CX_UNUSED)
{
        *(const char **)context = resource;
        return true;
}

static int check_owner(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *owners = cx_json_get(request->object, "metadata.ownerReferences");
        const json_t *owner = json_array_get(owners, 0);
        if (json_array_size(owners) != 1 || !cx_streq(cx_json_string(owner, "apiVersion"), "v1") ||
            !cx_streq(cx_json_string(owner, "kind"), "Node") || !cx_streq(cx_json_string(owner, "name"), node))
                return node_refuse(request, node, "can only create pods with a single owner reference set to itself",
                                   err);
        if (!cx_json_bool(owner, "controller", false))
                return node_refuse(request, node,
                                   "can only create pods with a controller owner reference set to itself", err);
        if (cx_json_bool(owner, "blockOwnerDeletion", false))
                return node_refuse(request, node, "must not set blockOwnerDeletion on an owner reference", err);
        json_auto_t *object = node_find(request, "nodes", NULL, node);
        if (!cx_streq(cx_json_string(owner, "uid"), cx_json_string_or(object, "metadata.uid", "")))
                return node_refuse(request, node, "UID mismatch: the owner reference has not the node's", err);
        return 0;
}

static int check_new_pod(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *refers = NULL;
        if (!cx_pod_is_mirror(request->object))
                return node_refuse(request, node, "can only create mirror pods", err);
        if (!is_on_node(request->object, node))
                return node_refuse(request, node, "can only create pods with spec.nodeName set to itself", err);
        int r = check_owner(request, node, err);
        if (r < 0 || !pod_references(request->object, note_reference, &refers))
                return r;
        CX_CLEANUP(cx_freep) char *what = cx_sprintf("can not create pods that reference %s", refers);
        return node_refuse(request, node, what, err);
}

// --- pods ---

static int check_pod(const struct admission_request *request, const char *node, struct cx_error *err)
{
        if (request->operation == ADMIT_CREATE)
                return check_new_pod(request, node, err);
        if (request->operation == ADMIT_UPDATE)
                return node_refuse(request, node, "may only update pod status", err);
        return is_on_node(request->old, node)
                       ? 0
                       : node_refuse(request, node, "can only delete pods with spec.nodeName set to itself", err);
}

static bool is_same(const struct admission_request *request, const char *path)
{
        const json_t *before = cx_json_get(request->old, path), *after = cx_json_get(request->object, path);
        bool both_empty = !cx_json_count(request->old, path) && !cx_json_count(request->object, path);
        return both_empty || json_equal(before, after);
}

static int check_status(const struct admission_request *request, const char *node, struct cx_error *err)
{
        if (!is_on_node(request->old, node))
                return node_refuse(request, node,
                                   "can only update pod status for pods with spec.nodeName set to itself", err);
        if (!is_same(request, "metadata.labels"))
                return node_refuse(request, node, "cannot update labels through pod status", err);
        if (!is_same(request, "metadata.ownerReferences"))
                return node_refuse(request, node, "cannot update owner references through pod status", err);
        if (!is_same(request, "status.resourceClaimStatuses"))
                return node_refuse(request, node, "cannot update resource claim statuses", err);
        return 0;
}

static int check_eviction(const struct admission_request *request, const char *node, struct cx_error *err)
{
        json_auto_t *pod = node_find(request, "pods", request->scope->namespace, request->scope->name);
        if (pod && !is_on_node(pod, node)) // of one that is not there others will say so
                return node_refuse(request, node, "can only evict pods with spec.nodeName set to itself", err);
        return 0;
}

int node_check_pod(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const char *subresource = request->scope->subresource;
        if (!subresource)
                return check_pod(request, node, err);
        if (strcmp(subresource, "status") == 0)
                return check_status(request, node, err);
        if (strcmp(subresource, "eviction") == 0)
                return check_eviction(request, node, err);
        CX_CLEANUP(cx_freep)
        char *what =
                cx_sprintf("may use no other subresource of pods than status and eviction, not \"%s\"", subresource);
        return node_refuse(request, node, what, err);
}

// --- tokens ---

// A CSI driver asks for tokens in its CSIDriver object, for every volume that it mounts.
static bool driver_asks(const struct admission_request *request, const char *driver, const char *audience)
{
        const struct served_kind *drivers = builtin(request->scope->api, "storage.k8s.io", "v1", "csidrivers");
        json_auto_t *object = driver ? cache_find_json(drivers->cache, NULL, driver) : NULL;
        const json_t *wanted = cx_json_get(object, "spec.tokenRequests");
        for (size_t i = 0; i < json_array_size(wanted); i++)
                if (strcmp(cx_json_string_or(json_array_get(wanted, i), "audience", ""), audience) == 0)
                        return true;
        return false;
}

static bool claim_asks(const struct admission_request *request, const char *claim, const char *audience)
{
        json_auto_t *object = node_find(request, "persistentvolumeclaims", request->scope->namespace, claim);
        const char *name = cx_json_string_or(object, "spec.volumeName", "");
        json_auto_t *volume = *name ? node_find(request, "persistentvolumes", NULL, name) : NULL;
        return driver_asks(request, cx_json_string(volume, "spec.csi.driver"), audience);
}

static bool volume_asks(const struct admission_request *request, const json_t *pod, const json_t *volume,
                        const char *audience)
{
        const json_t *sources = cx_json_get(volume, "projected.sources");
        for (size_t i = 0; i < json_array_size(sources); i++) {
                const json_t *token = json_object_get(json_array_get(sources, i), "serviceAccountToken");
                if (token && strcmp(cx_json_string_or(token, "audience", ""), audience) == 0)
                        return true;
        }
        CX_CLEANUP(cx_freep)
        char *ephemeral =
                cx_sprintf("%s-%s", cx_json_string_or(pod, "metadata.name", ""), cx_json_string_or(volume, "name", ""));
        const char *claim = cx_json_string(volume, "persistentVolumeClaim.claimName");
        if (!claim && json_object_get(volume, "ephemeral"))
                claim = ephemeral;
        return driver_asks(request, cx_json_string(volume, "csi.driver"), audience) ||
               (claim && claim_asks(request, claim, audience));
}

// Whether RBAC lets the node ask for the audience on its own (credential providers of registries).
static bool may_ask(const struct admission_request *request, const char *audience)
{
        const struct attributes attributes = {.user = request->scope->user,
                                              .is_resource = true,
                                              .verb = "request-serviceaccounts-token-audience",
                                              .group = "",
                                              .resource = audience,
                                              .subresource = "",
                                              .namespace = request->scope->namespace,
                                              .name = request->scope->name};
        return *audience && authorize(request->scope->api, &attributes, NULL);
}

static int check_audience(const struct admission_request *request, const json_t *pod, const char *node,
                          struct cx_error *err)
{
        const json_t *audiences = cx_json_get(request->object, "spec.audiences");
        const json_t *volumes = cx_json_get(pod, "spec.volumes");
        if (json_array_size(audiences) > 1)
                return node_refuse(request, node, "may only request 0 or 1 audiences", err);
        const char *audience = cx_str(json_string_value(json_array_get(audiences, 0)));
        for (size_t i = 0; i < json_array_size(volumes); i++)
                if (volume_asks(request, pod, json_array_get(volumes, i), audience))
                        return 0;
        if (may_ask(request, audience))
                return 0;
        CX_CLEANUP(cx_freep)
        char *what = cx_sprintf("requested a token whose audience \"%s\" is not found in pod spec volumes", audience);
        return node_refuse(request, node, what, err);
}

static int check_bound_node(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *bound = cx_json_get(request->object, "spec.boundObjectRef");
        json_auto_t *self = node_find(request, "nodes", NULL, node);
        if (strcmp(cx_json_string_or(bound, "name", ""), node) != 0 ||
            !cx_streq(cx_json_string_or(bound, "uid", ""), cx_json_string(self, "metadata.uid")))
                return node_refuse(request, node, "requested token bound to another node, or without its uid", err);
        return 0;
}

// Of an account that a unit of the node acts as. Which accounts these are is RBAC's to say: that a pod of the node uses one is
// enough for a token that dies with the pod, and for none that outlives it.
static int check_node_token(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const struct attributes attributes = {.user = request->scope->user,
                                              .is_resource = true,
                                              .verb = "create",
                                              .group = "",
                                              .resource = "serviceaccounts",
                                              .subresource = "token",
                                              .namespace = request->scope->namespace,
                                              .name = request->scope->name};
        const json_t *audiences = cx_json_get(request->object, "spec.audiences");
        if (!authorize_beside_node(request->scope->api, &attributes, NULL))
                return node_refuse(request, node, "requested token not bound to a pod", err);
        for (size_t i = 0; i < json_array_size(audiences); i++)
                if (!may_ask(request, cx_str(json_string_value(json_array_get(audiences, i)))))
                        return node_refuse(request, node, "requested token bound to itself for another audience", err);
        return check_bound_node(request, node, err);
}

// What an account makes of its token is bound as the token is.
int node_check_account_token(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *bound = cx_json_get(request->object, "spec.boundObjectRef");
        if (!cx_streq(cx_json_string(bound, "kind"), "Node"))
                return node_refuse(request, node, "bound the token of the account, which may ask for no other tokens",
                                   err);
        return check_bound_node(request, node, err);
}

int node_check_token(const struct admission_request *request, const char *node, struct cx_error *err)
{
        const json_t *bound = cx_json_get(request->object, "spec.boundObjectRef");
        const char *name = cx_json_string_or(bound, "name", ""), *uid = cx_json_string_or(bound, "uid", "");
        bool core = cx_streq(cx_json_string(bound, "apiVersion"), "v1");
        if (core && cx_streq(cx_json_string(bound, "kind"), "Node"))
                return check_node_token(request, node, err);
        if (!core || !cx_streq(cx_json_string(bound, "kind"), "Pod") || !*name)
                return node_refuse(request, node, "requested token not bound to a pod", err);
        if (!*uid)
                return node_refuse(request, node, "requested token with a pod binding without a uid", err);
        json_auto_t *pod = node_find(request, "pods", request->scope->namespace, name);
        if (!pod)
                return object_not_found(builtin(request->scope->api, "", "v1", "pods")->resource, name, err);
        if (strcmp(uid, cx_json_string_or(pod, "metadata.uid", "")) != 0)
                return node_refuse(request, node,
                                   "requested token bound to a pod of another uid, which may have been deleted and "
                                   "then recreated",
                                   err);
        if (!is_on_node(pod, node))
                return node_refuse(request, node, "requested token bound to a pod scheduled on a different node", err);
        return check_audience(request, pod, node, err);
}
