// SPDX-License-Identifier: Apache-2.0
// Approves what upstream leaves to people: kubelets' requests for serving certificates. Off unless --controllers names it. A
// node gets one for its own name, and for addresses that its Node registered and no other Node has: a node writes its own
// addresses, so a claim on another's, on those of Services or on the one that the cluster is known by must not be enough. What does not
// fit is left for somebody to decide, and said in an event of the request.
#include "controller-manager/cluster/certificate_requests.h"
#include "controller-manager/core/options.h"
#include "libcommon/format/yaml.h"

#define MASTER_LABEL "node-role.kubernetes.io/control-plane" // which no node may give itself

struct approver {
        struct manager *manager;
        struct cx_informer *requests, *nodes;
        struct cx_workqueue *queue;
};

static json_t *addresses_of(const struct cx_object *node)
{
        json_auto_t *object = cx_object_json(node);
        const json_t *list = cx_json_get(object, "status.addresses");
        json_t *texts = json_array(), *entry;
        size_t i;
        json_array_foreach ((json_t *)list, i, entry)
                if (cx_json_string(entry, "address"))
                        json_array_append(texts, json_object_get(entry, "address"));
        return texts;
}

static bool has_text(const json_t *list, const char *text)
{
        size_t i;
        json_t *entry;
        json_array_foreach ((json_t *)list, i, entry)
                if (cx_streq(json_string_value(entry), text))
                        return true;
        return false;
}

// The name of another node that has registered the address; owned by the caller, NULL: none.
static char *other_owner(const struct approver *self, const char *node, const char *address)
{
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->nodes, NULL, &all);
        for (size_t i = 0; i < all.count; i++) {
                if (strcmp(all.items[i]->name, node) == 0)
                        continue;
                json_auto_t *addresses = addresses_of(all.items[i]);
                if (has_text(addresses, address))
                        return cx_strdup(all.items[i]->name);
        }
        return NULL;
}

static bool is_master(const struct cx_object *node)
{
        json_auto_t *object = cx_object_json(node);
        return json_object_get(cx_json_get(object, "metadata.labels"), MASTER_LABEL);
}

// The name or address by which the ConfigMap cluster-info leads to the API servers; NULL where there is none.
static int read_endpoint(const struct approver *self, char **ret_host, struct cx_error *err)
{
        json_auto_t *map = NULL, *documents = NULL;
        int r = cx_rest_get(self->manager->rest, CX_REF("", "v1", "configmaps", "kube-public", "cluster-info"), &map,
                            err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        const char *text = cx_json_string(map, "data.kubeconfig");
        if (r < 0 || !text || cx_yaml_parse(text, strlen(text), &documents, NULL) < 0)
                return r;
        const json_t *clusters = json_object_get(json_array_get(documents, 0), "clusters");
        const json_t *cluster = json_object_get(json_array_get(clusters, 0), "cluster");
        *ret_host = csr_host_of(cx_json_string_or(cluster, "server", ""));
        return 0;
}

static bool has_name(const struct cx_csr_info *info, const char *name)
{
        return cx_strings_has(&info->dns_names, name) || cx_strings_has(&info->ip_addresses, name);
}

// Why these names are not the node's to have; NULL: they are. Owned by the caller.
static char *foreign_name(const struct approver *self, const char *node, const struct cx_csr_info *info,
                          const char *endpoint)
{
        CX_OBJECT *object = cx_informer_get(self->nodes, NULL, node);
        if (!object)
                return cx_sprintf("there is no Node \"%.253s\" yet", node);
        json_auto_t *own = addresses_of(object);
        if (info->dns_names.count && csr_is_server_name(node))
                return cx_sprintf("\"%.253s\" is a name of the API server", node);
        if (endpoint && has_name(info, endpoint) && !is_master(object))
                return cx_sprintf("\"%.253s\" is where the API servers are, and the Node is no master", endpoint);
        for (size_t i = 0; i < info->dns_names.count; i++)
                if (strcmp(info->dns_names.items[i], node) != 0)
                        return cx_sprintf("\"%.253s\" is not the name of the node", info->dns_names.items[i]);
        for (size_t i = 0; i < info->ip_addresses.count; i++) {
                const char *address = info->ip_addresses.items[i];
                CX_CLEANUP(cx_freep) char *other = other_owner(self, node, address);
                if (!has_text(own, address))
                        return cx_sprintf("the Node has not registered the address %s", address);
                if (csr_is_server_address(address, &options_of(self->manager)->service_cidrs))
                        return cx_sprintf("the address %s is none that a node has: it is a Service's, or special",
                                          address);
                if (other)
                        return cx_sprintf("the address %s is that of Node \"%s\", too", address, other);
        }
        return NULL;
}

static char *why_not(const struct approver *self, const json_t *request, const struct cx_csr_info *info,
                     const char *endpoint)
{
        const char *user = cx_json_string_or(request, "spec.username", "");
        if (!csr_is_node(info) || info->odd || !csr_has_usages(request, "server auth"))
                return cx_strdup(
                        "it is not what a kubelet asks for: subject, kinds of names and usages must be its own");
        if (strcmp(user, info->common_name) != 0)
                return cx_sprintf("\"%.253s\" asks for the certificate of \"%.253s\"", user, info->common_name);
        if (!has_text(cx_json_get(request, "spec.groups"), "system:nodes"))
                return cx_sprintf("\"%.253s\" is not in the group system:nodes", user);
        if (!info->dns_names.count && !info->ip_addresses.count)
                return cx_strdup("it names neither the node nor an address");
        return foreign_name(self, info->common_name + strlen(NODE_USER_PREFIX), info, endpoint);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct approver *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->requests, key);
        json_auto_t *request = object ? cx_object_json(object) : NULL;
        CX_CLEANUP(cx_csr_info_release) struct cx_csr_info info = {0};
        CX_CLEANUP(cx_freep) char *pem = NULL, *endpoint = NULL;
        if (!request || !csr_is_open(request, KUBELET_SERVING_SIGNER) || csr_parse(request, &pem, &info, NULL) < 0)
                return 0;
        int r = read_endpoint(self, &endpoint, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *why = why_not(self, request, &info, endpoint);
        if (!why)
                return csr_approve(self->manager->rest, key, request,
                                   "Auto approving kubelet serving certificate: its "
                                   "names are the node's own.",
                                   err);
        csr_say_not_approved(self->manager, object, why);
        *retry_after = 10 * CX_NS_PER_S; // the Node may come to have the address
        return 0;
}

// A node that has just registered, or become a master, may be what a request waits for.
static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct approver *self = context;
        CX_OBJECTS all = CX_OBJECTS_INIT;
        if (!now || (old && is_master(old) == is_master(now)))
                return;
        cx_informer_list(self->requests, NULL, &all);
        for (size_t i = 0; i < all.count; i++)
                cx_workqueue_add(self->queue, all.items[i]->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct approver *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->requests = manager_informer(manager, "certificates.k8s.io", "certificatesigningrequests");
        self->nodes = manager_informer(manager, "", "nodes");
        manager_enqueue_all(self->requests, queue);
        cx_informer_on_event(self->nodes, on_node, self);
        return self;
}

const struct controller serving_approver_controller = {.name = "kubelet-serving-approver-controller",
                                                       .account = "kubelet-serving-approver",
                                                       .off_by_default = true,
                                                       .workers = 1,
                                                       .init = init,
                                                       .reconcile = reconcile,
                                                       .free = free};
