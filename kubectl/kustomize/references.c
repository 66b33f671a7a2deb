// SPDX-License-Identifier: Apache-2.0
// Names that objects have of each other follow when they change.
#include "kubectl/kustomize/internal.h"

static const struct {
        const char *to;   // kind that is named
        const char *from; // kind that names it; NULL: any
        const char *path;
} references[] = {
        {"ConfigMap", NULL, "POD/volumes[]/configMap/name"},
        {"ConfigMap", NULL, "POD/volumes[]/projected/sources[]/configMap/name"},
        {"ConfigMap", NULL, "POD/containers[]/env[]/valueFrom/configMapKeyRef/name"},
        {"ConfigMap", NULL, "POD/initContainers[]/env[]/valueFrom/configMapKeyRef/name"},
        {"ConfigMap", NULL, "POD/containers[]/envFrom[]/configMapRef/name"},
        {"ConfigMap", NULL, "POD/initContainers[]/envFrom[]/configMapRef/name"},
        {"ConfigMap", "Node", "spec/configSource/configMap/name"},
        {"Secret", NULL, "POD/volumes[]/secret/secretName"},
        {"Secret", NULL, "POD/volumes[]/projected/sources[]/secret/name"},
        {"Secret", NULL, "POD/containers[]/env[]/valueFrom/secretKeyRef/name"},
        {"Secret", NULL, "POD/initContainers[]/env[]/valueFrom/secretKeyRef/name"},
        {"Secret", NULL, "POD/containers[]/envFrom[]/secretRef/name"},
        {"Secret", NULL, "POD/initContainers[]/envFrom[]/secretRef/name"},
        {"Secret", NULL, "POD/imagePullSecrets[]/name"},
        {"Secret", "Ingress", "spec/tls[]/secretName"},
        {"Secret", "ServiceAccount", "imagePullSecrets[]/name"},
        {"Secret", "ServiceAccount", "secrets[]/name"},
        {"Service", "StatefulSet", "spec/serviceName"},
        {"Service", "Ingress", "spec/rules[]/http/paths[]/backend/service/name"},
        {"Service", "Ingress", "spec/defaultBackend/service/name"},
        {"Service", "APIService", "spec/service/name"},
        {"Service", "ValidatingWebhookConfiguration", "webhooks[]/clientConfig/service/name"},
        {"Service", "MutatingWebhookConfiguration", "webhooks[]/clientConfig/service/name"},
        {"PersistentVolumeClaim", NULL, "POD/volumes[]/persistentVolumeClaim/claimName"},
        {"PersistentVolume", "PersistentVolumeClaim", "spec/volumeName"},
        {"PersistentVolume", "ClusterRole", "rules[]/resourceNames"},
        {"StorageClass", "PersistentVolumeClaim", "spec/storageClassName"},
        {"StorageClass", "PersistentVolume", "spec/storageClassName"},
        {"StorageClass", "StatefulSet", "spec/volumeClaimTemplates[]/spec/storageClassName"},
        {"ServiceAccount", NULL, "POD/serviceAccountName"},
        {"PriorityClass", NULL, "POD/priorityClassName"},
        {"IngressClass", "Ingress", "spec/ingressClassName"},
        {"ConfigMap", "Role", "rules[]/resourceNames"},
        {"ConfigMap", "ClusterRole", "rules[]/resourceNames"},
        {"Secret", "Role", "rules[]/resourceNames"},
        {"Secret", "ClusterRole", "rules[]/resourceNames"},
};

// Members that say kind and name of what they are about.
static const struct {
        const char *from, *path; // of the object that has kind and name
} kinded[] = {
        {"HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
        {"RoleBinding", "roleRef/name"},
        {"ClusterRoleBinding", "roleRef/name"},
        {"RoleBinding", "subjects[]/name"},
        {"ClusterRoleBinding", "subjects[]/name"},
};

struct reference_search {
        const struct kustoms *items;
        const struct kustom *from;
        const char *kind; // NULL: the kind stands beside the name
};

static const char *first_namespace(const struct kustom *item)
{
        return item->namespace ? item->namespace : "default";
}

// The object of the kind that had the name: one that came the same way, when there are several.
static const struct kustom *find(const struct reference_search *s, const char *kind, const char *name,
                                 const char *namespace)
{
        const struct kustom *found = NULL;
        for (size_t i = 0; i < s->items->count; i++) {
                const struct kustom *item = &s->items->list[i];
                if (strcmp(item_kind(item), kind) != 0 || !item->names.count || !cx_strings_has(&item->names, name))
                        continue;
                if (!item_is_cluster_scoped(item) && *namespace && !cx_streq(namespace, first_namespace(item)) &&
                    !cx_streq(namespace, cx_json_string(item->object, "metadata.namespace")))
                        continue;
                bool near = cx_streq(cx_str(item->namespace), cx_str(s->from->namespace)) &&
                            cx_streq(cx_str(item->affixes), cx_str(s->from->affixes));
                if (!found || near)
                        found = item;
        }
        return found;
}

static json_t *renamed(const struct reference_search *s, const char *kind, const json_t *name, const char *namespace)
{
        const struct kustom *to = json_is_string(name) ? find(s, kind, json_string_value(name), namespace) : NULL;
        return to ? json_string(item_name(to)) : NULL;
}

static void follow(void *context, json_t *parent, const char *key)
{
        const struct reference_search *s = context;
        json_t *value = json_object_get(parent, key), *new;
        const char *kind = s->kind ? s->kind : cx_json_string_or(parent, "kind", "");
        const char *namespace = cx_json_string_or(parent, "namespace", "");
        size_t i;
        json_t *element;
        json_array_foreach (value, i, element)
                if ((new = renamed(s, kind, element, "")))
                        json_array_set_new(value, i, new);
        if (s->kind)
        namespace = "";
        const struct kustom *to = json_is_string(value) ? find(s, kind, json_string_value(value), namespace) : NULL;
        if (!to)
                return;
        if (!s->kind && strcmp(kind, "ServiceAccount") == 0 && cx_json_get(to->object, "metadata.namespace"))
                json_object_set(parent, "namespace", cx_json_get(to->object, "metadata.namespace"));
        json_object_set_new(parent, key, json_string(item_name(to)));
}

// A service account's namespace changes also when its name does not.
static void follow_accounts(struct kustoms *items, struct kustom *from)
{
        size_t i;
        json_t *subject;
        json_array_foreach (json_object_get(from->object, "subjects"), i, subject)
                for (size_t j = 0; j < items->count; j++) {
                        const struct kustom *item = &items->list[j];
                        if (cx_streq(cx_json_string(subject, "kind"), "ServiceAccount") &&
                            strcmp(item_kind(item), "ServiceAccount") == 0 &&
                            cx_streq(cx_json_string(subject, "name"), item_name(item)) &&
                            cx_streq(cx_json_string_or(subject, "namespace", "default"), first_namespace(item)) &&
                            cx_json_get(item->object, "metadata.namespace"))
                                json_object_set(subject, "namespace", cx_json_get(item->object, "metadata.namespace"));
                }
}

void fix_references(struct kustoms *items)
{
        for (size_t i = 0; i < items->count; i++) {
                struct kustom *item = &items->list[i];
                struct reference_search search = {items, item, NULL};
                for (size_t j = 0; j < CX_ARRAY_SIZE(references); j++) {
                        if (references[j].from && strcmp(references[j].from, item_kind(item)) != 0)
                                continue;
                        search.kind = references[j].to;
                        places_visit(item->object, references[j].path, false, follow, &search);
                }
                search.kind = NULL;
                for (size_t j = 0; j < CX_ARRAY_SIZE(kinded); j++)
                        if (strcmp(kinded[j].from, item_kind(item)) == 0)
                                places_visit(item->object, kinded[j].path, false, follow, &search);
                if (strcmp(item_kind(item), "RoleBinding") == 0 || strcmp(item_kind(item), "ClusterRoleBinding") == 0)
                        follow_accounts(items, item);
        }
}
