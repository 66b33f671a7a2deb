// SPDX-License-Identifier: Apache-2.0
// The node authorizer: a kubelet (user system:node:<name> in group system:nodes) may read the Secrets, ConfigMaps, claims
// and volumes that pods bound to its node refer to, ask tokens for those pods' service accounts, and keep its own lease.
// Everything else that kubelets need is in the role system:node's rules, applied here as upstream applies them.
#include "apiserver/auth/node.h"

#include "apiserver/auth/references.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/selector.h"
#include "libcommon/format/json.h"

struct wanted_object {
        const char *resource, *namespace, *name;
};

static bool is_wanted(void *context, const char *resource, const char *namespace, const char *name)
{
        const struct wanted_object *wanted = context;
        return strcmp(resource, wanted->resource) == 0 && strcmp(name, wanted->name) == 0 &&
               (!namespace || strcmp(namespace, wanted->namespace) == 0);
}

// Is there a pod on the node, in the namespace, that refers to the object? What a mirror pod refers to is for the kubelet
// to say, so it opens nothing.
static bool node_uses(const struct apiserver *api, const char *node, const char *namespace, const char *resource,
                      const char *name)
{
        CX_SELECTOR fields = CX_SELECTOR_INIT;
        STORED_LIST list = {0};
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("spec.nodeName=%s", node);
        if (!*namespace || cx_selector_parse_fields(text, &fields, NULL) < 0) // no namespace would mean all of them
                return false;
        bool claim = strcmp(resource, "persistentvolumeclaims") == 0;
        struct filter filter = {.namespace = namespace, .fields = &fields};
        struct wanted_object wanted = {resource, namespace, name};
        cache_list(builtin(api, "", "v1", "pods")->cache, &filter, &list);
        for (size_t i = 0; i < list.count; i++) {
                // Most pods do not even hold the name: spare the parsing. Of an ephemeral claim it is put together.
                if (!claim && !memmem(list.items[i]->json, list.items[i]->length, name, strlen(name)))
                        continue;
                json_auto_t *pod = stored_parse(list.items[i]);
                if (!cx_pod_is_mirror(pod) && pod_references(pod, is_wanted, &wanted))
                        return true;
        }
        return false;
}

struct claimed {
        const struct apiserver *api;
        const char *node;
};

static bool is_claimed(void *context, const char *resource, const char *namespace, const char *name)
{
        const struct claimed *claimed = context;
        return strcmp(resource, "persistentvolumeclaims") == 0 &&
               node_uses(claimed->api, claimed->node, namespace, resource, name);
}

static bool node_uses_volume(const struct apiserver *api, const char *node, const json_t *volume)
{
        struct claimed claimed = {api, node};
        return volume_references(volume, is_claimed, &claimed);
}

// A volume's secrets may be anywhere: those of volumes whose claims the node's pods use.
static bool volume_on_node_uses(const struct apiserver *api, const char *node, const char *namespace,
                                const char *secret)
{
        STORED_LIST list = {0};
        struct filter all = {0};
        struct wanted_object wanted = {"secrets", namespace, secret};
        cache_list(builtin(api, "", "v1", "persistentvolumes")->cache, &all, &list);
        for (size_t i = 0; i < list.count; i++) {
                if (!memmem(list.items[i]->json, list.items[i]->length, secret, strlen(secret)))
                        continue;
                json_auto_t *volume = stored_parse(list.items[i]);
                if (volume_references(volume, is_wanted, &wanted) && node_uses_volume(api, node, volume))
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

// Rules of upstream's system:node role that need no look at pods.
static const struct {
        const char *group, *resource, *subresource;
        const char *const *verbs;
} fixed_rules[] = {
#define VERBS(...) ((const char *const[]){__VA_ARGS__, NULL})
        {"", "nodes", "", VERBS("create", "list", "watch", "update", "patch")}, // no kubelet deletes a node
        {"", "nodes", "status", VERBS("update", "patch")},
        {"", "services", "", VERBS("get", "list", "watch")},
        {"", "pods", "", VERBS("create", "delete")},
        {"", "pods", "status", VERBS("update", "patch")},
        {"", "pods", "eviction", VERBS("create")},
        {"", "events", "", VERBS("create", "patch", "update")},
        {"events.k8s.io", "events", "", VERBS("create", "patch", "update")},
        {"authentication.k8s.io", "tokenreviews", "", VERBS("create")},
        {"authorization.k8s.io", "subjectaccessreviews", "", VERBS("create")},
        {"authorization.k8s.io", "localsubjectaccessreviews", "", VERBS("create")},
        {"certificates.k8s.io", "certificatesigningrequests", "", VERBS("create", "get", "list", "watch")},
        {"storage.k8s.io", "csidrivers", "", VERBS("get", "list", "watch")},
        {"node.k8s.io", "runtimeclasses", "", VERBS("get", "list", "watch")},
};

static bool fixed_rule(const struct attributes *a)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(fixed_rules); i++)
                if (strcmp(a->group, fixed_rules[i].group) == 0 && strcmp(a->resource, fixed_rules[i].resource) == 0 &&
                    strcmp(a->subresource, fixed_rules[i].subresource) == 0 && is_one_of(a->verb, fixed_rules[i].verbs))
                        return true;
        return false;
}

// --- rules that look at the object ---

struct node_question {
        const struct apiserver *api;
        const struct attributes *a;
        const char *node;
};

static json_t *find(const struct node_question *q, const char *group, const char *resource, const char *namespace)
{
        return cache_find_json(builtin(q->api, group, "v1", resource)->cache, namespace, q->a->name);
}

// Does the request ask for nothing but what this field of says of the node?
static bool is_selected(const struct node_question *q, const char *field)
{
        const struct cx_selector *fields = q->a->fields;
        for (size_t i = 0; fields && i < fields->count; i++) {
                const struct cx_requirement *r = &fields->requirements[i];
                if (r->op == CX_OP_EQUALS && strcmp(r->key, field) == 0 && r->n_values == 1 &&
                    strcmp(r->values[0], q->node) == 0)
                        return true;
        }
        return false;
}

static bool may_use(const struct node_question *q)
{
        return *q->a->name && node_uses(q->api, q->node, q->a->namespace, q->a->resource, q->a->name);
}

static bool may_read_secret(const struct node_question *q)
{
        return may_use(q) ||
               (*q->a->name && *q->a->namespace && volume_on_node_uses(q->api, q->node, q->a->namespace, q->a->name));
}

static bool may_read_volume(const struct node_question *q)
{
        json_auto_t *volume = find(q, "", "persistentvolumes", NULL);
        return volume && node_uses_volume(q->api, q->node, volume);
}

static bool may_read_pod(const struct node_question *q)
{
        json_auto_t *pod = *q->a->name && *q->a->namespace ? find(q, "", "pods", q->a->namespace) : NULL;
        return is_selected(q, "spec.nodeName") || cx_streq(cx_json_string(pod, "spec.nodeName"), q->node);
}

static bool may_read_attachment(const struct node_question *q)
{
        json_auto_t *attachment = find(q, "storage.k8s.io", "volumeattachments", NULL);
        return cx_streq(cx_json_string(attachment, "spec.nodeName"), q->node);
}

// Of a new object only admission knows the name.
static bool is_own_name(const struct node_question *q)
{
        return strcmp(q->a->verb, "create") == 0 || strcmp(q->a->name, q->node) == 0;
}

static bool is_own_lease(const struct node_question *q)
{
        return cx_streq(q->a->namespace, "kube-node-lease") && is_own_name(q);
}

static bool is_own_slice(const struct node_question *q)
{
        if (strcmp(q->a->verb, "create") == 0 || is_selected(q, "spec.nodeName"))
                return true;
        json_auto_t *slice = *q->a->name ? find(q, "resource.k8s.io", "resourceslices", NULL) : NULL;
        return cx_streq(cx_json_string(slice, "spec.nodeName"), q->node);
}

static const struct {
        const char *group, *resource, *subresource;
        const char *const *verbs;
        bool (*allows)(const struct node_question *q);
} rules_by_object[] = {
        {"", "nodes", "", VERBS("get"), is_own_name},
        {"", "pods", "", VERBS("get", "list", "watch"), may_read_pod},
        {"", "secrets", "", VERBS("get", "list", "watch"), may_read_secret},
        {"", "configmaps", "", VERBS("get", "list", "watch"), may_use},
        {"", "persistentvolumeclaims", "", VERBS("get"), may_use},
        {"", "persistentvolumeclaims", "status", VERBS("get", "update", "patch"), may_use},
        {"", "persistentvolumes", "", VERBS("get"), may_read_volume},
        {"", "serviceaccounts", "", VERBS("get"), may_use},
        {"", "serviceaccounts", "token", VERBS("create"), may_use},
        {"coordination.k8s.io", "leases", "", VERBS("create", "get", "patch", "update", "delete"), is_own_lease},
        {"storage.k8s.io", "csinodes", "", VERBS("create", "get", "patch", "update", "delete"), is_own_name},
        {"storage.k8s.io", "volumeattachments", "", VERBS("get"), may_read_attachment},
        {"resource.k8s.io", "resourceclaims", "", VERBS("get"), may_use},
        {"resource.k8s.io", "resourceslices", "",
         VERBS("create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"), is_own_slice},
};

bool authorize_node(const struct apiserver *api, const struct attributes *a)
{
        const struct node_question question = {api, a, user_node(a->user)};
        if (!question.node || !a->is_resource)
                return false;
        if (fixed_rule(a))
                return true;
        for (size_t i = 0; i < CX_ARRAY_SIZE(rules_by_object); i++)
                if (strcmp(a->group, rules_by_object[i].group) == 0 &&
                    strcmp(a->resource, rules_by_object[i].resource) == 0 &&
                    strcmp(a->subresource, rules_by_object[i].subresource) == 0 &&
                    is_one_of(a->verb, rules_by_object[i].verbs))
                        return rules_by_object[i].allows(&question);
        return false;
}
