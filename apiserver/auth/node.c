// SPDX-License-Identifier: Apache-2.0
// The node authorizer: a kubelet (user system:node:<name> in group system:nodes) may read the Secrets, ConfigMaps,
// claims and volumes that pods bound to its node refer to, ask tokens for those pods' service accounts, and keep its
// own lease. Everything else that kubelets need is in the role system:node's rules, applied here as upstream applies
// them.
#include "apiserver/auth/node.h"

#include "libcommon/format/json.h"

static bool source_refers(const json_t *source, const char *resource, const char *name)
{
        bool secret = strcmp(resource, "secrets") == 0;
        const char *part = secret ? "secret" : "configMap";
        const json_t *ref = json_object_get(source, part);
        return ref &&
               (cx_streq(cx_json_string(ref, "name"), name) || cx_streq(cx_json_string(ref, "secretName"), name));
}

static bool volume_refers(const json_t *volume, const char *pod_name, const char *resource, const char *name)
{
        if (strcmp(resource, "persistentvolumeclaims") == 0) {
                CX_CLEANUP(cx_freep)
                char *ephemeral = cx_sprintf("%s-%s", pod_name, cx_json_string_or(volume, "name", ""));
                return cx_streq(cx_json_string(volume, "persistentVolumeClaim.claimName"), name) ||
                       (json_object_get(volume, "ephemeral") && cx_streq(ephemeral, name));
        }
        if (source_refers(volume, resource, name))
                return true;
        const json_t *sources = cx_json_get(volume, "projected.sources");
        for (size_t i = 0; i < json_array_size(sources); i++)
                if (source_refers(json_array_get(sources, i), resource, name))
                        return true;
        const char *key;
        json_t *plugin;
        json_object_foreach ((json_t *)volume, key, plugin) {
                if (strcmp(resource, "secrets") == 0 &&
                    (cx_streq(cx_json_string(plugin, "secretRef.name"), name) ||
                     cx_streq(cx_json_string(plugin, "nodePublishSecretRef.name"), name)))
                        return true;
        }
        return false;
}

static bool container_refers(const json_t *container, const char *resource, const char *name)
{
        bool secret = strcmp(resource, "secrets") == 0;
        const json_t *env = json_object_get(container, "env"), *from = json_object_get(container, "envFrom");
        for (size_t i = 0; i < json_array_size(env); i++)
                if (cx_streq(cx_json_string(json_array_get(env, i),
                                            secret ? "valueFrom.secretKeyRef.name" : "valueFrom.configMapKeyRef.name"),
                             name))
                        return true;
        for (size_t i = 0; i < json_array_size(from); i++)
                if (cx_streq(cx_json_string(json_array_get(from, i), secret ? "secretRef.name" : "configMapRef.name"),
                             name))
                        return true;
        return false;
}

static bool pod_refers(const json_t *pod, const char *resource, const char *name)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers", "spec.ephemeralContainers"};
        if (strcmp(resource, "serviceaccounts") == 0)
                return cx_streq(cx_json_string(pod, "spec.serviceAccountName"), name);
        const json_t *volumes = cx_json_get(pod, "spec.volumes");
        for (size_t i = 0; i < json_array_size(volumes); i++)
                if (volume_refers(json_array_get(volumes, i), cx_json_string_or(pod, "metadata.name", ""), resource,
                                  name))
                        return true;
        if (strcmp(resource, "persistentvolumeclaims") == 0)
                return false;
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                const json_t *containers = cx_json_get(pod, lists[l]);
                for (size_t i = 0; i < json_array_size(containers); i++)
                        if (container_refers(json_array_get(containers, i), resource, name))
                                return true;
        }
        const json_t *pull = cx_json_get(pod, "spec.imagePullSecrets");
        return strcmp(resource, "secrets") == 0 && cx_json_find(pull, "name", name);
}

// Is there a pod on the node, in the namespace, that refers to the object?
static bool node_uses(const struct apiserver *api, const char *node, const char *namespace, const char *resource,
                      const char *name)
{
        CX_SELECTOR fields = CX_SELECTOR_INIT;
        STORED_LIST list = {0};
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("spec.nodeName=%s", node);
        if (cx_selector_parse_fields(text, &fields, NULL) < 0)
                return false;
        struct filter filter = {.namespace = namespace, .fields = &fields};
        cache_list(builtin(api, "", "v1", "pods")->cache, &filter, &list);
        for (size_t i = 0; i < list.count; i++) {
                // Most pods do not even hold the name: spare the parsing.
                if (!memmem(list.items[i]->json, list.items[i]->length, name, strlen(name)) &&
                    strcmp(resource, "persistentvolumeclaims") != 0)
                        continue;
                json_auto_t *pod = stored_parse(list.items[i]);
                if (pod_refers(pod, resource, name))
                        return true;
        }
        return false;
}

static bool is_one_of(const char *text, const char *const *list)
{
        for (; *list; list++)
                if (strcmp(text, *list) == 0)
                        return true;
        return false;
}

static bool claim_of_volume(const struct apiserver *api, const char *node, const char *volume)
{
        json_auto_t *object = cache_find_json(builtin(api, "", "v1", "persistentvolumes")->cache, NULL, volume);
        const char *namespace = cx_json_string(object, "spec.claimRef.namespace");
        const char *name = cx_json_string(object, "spec.claimRef.name");
        return namespace && name && node_uses(api, node, namespace, "persistentvolumeclaims", name);
}

// Rules of upstream's system:node role that need no look at pods.
static const struct {
        const char *group, *resource, *subresource;
        const char *const *verbs;
} fixed_rules[] = {
#define VERBS(...) ((const char *const[]){__VA_ARGS__, NULL})
        {"", "nodes", "", VERBS("create", "get", "list", "watch", "update", "patch", "delete")},
        {"", "nodes", "status", VERBS("update", "patch")},
        {"", "services", "", VERBS("get", "list", "watch")},
        {"", "pods", "", VERBS("get", "list", "watch", "create", "delete")},
        {"", "pods", "status", VERBS("update", "patch")},
        {"", "pods", "eviction", VERBS("create")},
        {"", "events", "", VERBS("create", "patch", "update")},
        {"events.k8s.io", "events", "", VERBS("create", "patch", "update")},
        {"authentication.k8s.io", "tokenreviews", "", VERBS("create")},
        {"authorization.k8s.io", "subjectaccessreviews", "", VERBS("create")},
        {"authorization.k8s.io", "localsubjectaccessreviews", "", VERBS("create")},
        {"certificates.k8s.io", "certificatesigningrequests", "", VERBS("create", "get", "list", "watch")},
        {"storage.k8s.io", "csidrivers", "", VERBS("get", "list", "watch")},
        {"storage.k8s.io", "volumeattachments", "", VERBS("get")},
        {"storage.k8s.io", "csinodes", "", VERBS("create", "get", "patch", "update", "delete")},
        {"node.k8s.io", "runtimeclasses", "", VERBS("get", "list", "watch")},
        {"resource.k8s.io", "resourceclaims", "", VERBS("get")},
        {"resource.k8s.io", "resourceslices", "",
         VERBS("create", "get", "list", "watch", "update", "patch", "delete", "deletecollection")},
};

static bool fixed_rule(const struct attributes *a)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(fixed_rules); i++)
                if (strcmp(a->group, fixed_rules[i].group) == 0 && strcmp(a->resource, fixed_rules[i].resource) == 0 &&
                    strcmp(a->subresource, fixed_rules[i].subresource) == 0 && is_one_of(a->verb, fixed_rules[i].verbs))
                        return true;
        return false;
}

bool authorize_node(const struct apiserver *api, const struct attributes *a)
{
        const char *node = user_node(a->user);
        if (!node || !a->is_resource)
                return false;
        if (fixed_rule(a))
                return true;
        if (strcmp(a->group, "coordination.k8s.io") == 0 && strcmp(a->resource, "leases") == 0)
                return cx_streq(a->namespace, "kube-node-lease") &&
                       (strcmp(a->name, node) == 0 || strcmp(a->verb, "create") == 0);
        if (*a->group || !*a->name)
                return false;
        bool reads = is_one_of(a->verb, VERBS("get", "list", "watch"));
        if (strcmp(a->resource, "serviceaccounts") == 0)
                return (strcmp(a->subresource, "token") == 0 ? strcmp(a->verb, "create") == 0 : reads) &&
                       node_uses(api, node, a->namespace, a->resource, a->name);
        if (*a->subresource)
                return strcmp(a->resource, "persistentvolumeclaims") == 0 && strcmp(a->subresource, "status") == 0 &&
                       is_one_of(a->verb, VERBS("get", "update", "patch")) &&
                       node_uses(api, node, a->namespace, a->resource, a->name);
        if (!reads)
                return false;
        if (strcmp(a->resource, "persistentvolumes") == 0)
                return claim_of_volume(api, node, a->name);
        return is_one_of(a->resource, VERBS("secrets", "configmaps", "persistentvolumeclaims")) &&
               node_uses(api, node, a->namespace, a->resource, a->name);
}
