// SPDX-License-Identifier: Apache-2.0
// namespace, namePrefix, nameSuffix, labels, annotations and replicas.
#include "kubectl/kustomize/internal.h"

// Where labels and annotations are, besides metadata.
struct label_place {
        const char *kind, *path;
        bool create;
};
#define WORKLOADS(path, create)                                                                                        \
        {"Deployment", path, create}, {"ReplicaSet", path, create}, {"DaemonSet", path, create},                       \
        {                                                                                                              \
                "StatefulSet", path, create                                                                            \
        }
static const struct label_place template_labels[] = {
        WORKLOADS("spec/template/metadata/labels", true),
        {"ReplicationController", "spec/template/metadata/labels", true},
        {"Job", "spec/template/metadata/labels", true},
        {"CronJob", "spec/jobTemplate/metadata/labels", true},
        {"CronJob", "spec/jobTemplate/spec/template/metadata/labels", true},
        {"StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true},
        {0},
};
#define TERMS(affinity)                                                                                                \
        {NULL,                                                                                                         \
         "POD/affinity/" affinity "/preferredDuringSchedulingIgnoredDuringExecution[]/podAffinityTerm/"                \
         "labelSelector/matchLabels",                                                                                  \
         false},                                                                                                       \
        {                                                                                                              \
                NULL,                                                                                                  \
                        "POD/affinity/" affinity "/requiredDuringSchedulingIgnoredDuringExecution[]/labelSelector/"    \
                        "matchLabels",                                                                                 \
                        false                                                                                          \
        }
static const struct label_place selectors[] = {
        {"Service", "spec/selector", true},
        {"ReplicationController", "spec/selector", true},
        WORKLOADS("spec/selector/matchLabels", true),
        TERMS("podAffinity"),
        TERMS("podAntiAffinity"),
        {NULL, "POD/topologySpreadConstraints[]/labelSelector/matchLabels", false},
        {"Job", "spec/selector/matchLabels", false},
        {"CronJob", "spec/jobTemplate/spec/selector/matchLabels", false},
        {"PodDisruptionBudget", "spec/selector/matchLabels", false},
        {"NetworkPolicy", "spec/podSelector/matchLabels", false},
        {"NetworkPolicy", "spec/ingress[]/from[]/podSelector/matchLabels", false},
        {"NetworkPolicy", "spec/egress[]/to[]/podSelector/matchLabels", false},
        {0},
};
static const struct label_place template_annotations[] = {
        WORKLOADS("spec/template/metadata/annotations", true),
        {"ReplicationController", "spec/template/metadata/annotations", true},
        {"Job", "spec/template/metadata/annotations", true},
        {"CronJob", "spec/jobTemplate/metadata/annotations", true},
        {"CronJob", "spec/jobTemplate/spec/template/metadata/annotations", true},
        {0},
};

static void add_pairs(void *context, json_t *parent, const char *key)
{
        json_t *map = json_object_get(parent, key);
        if (!json_is_object(map))
                json_object_set_new(parent, key, map = json_object());
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)context, name, value)
                json_object_set_new(map, name, json_is_string(value) ? json_incref(value) : json_string(""));
}

static void add_at(struct kustoms *items, const struct label_place *places, const json_t *pairs)
{
        for (size_t i = 0; i < items->count; i++)
                for (const struct label_place *place = places; place->path; place++)
                        if (!place->kind || strcmp(place->kind, item_kind(&items->list[i])) == 0)
                                places_visit(items->list[i].object, place->path, place->create, add_pairs,
                                             (void *)pairs);
}

static void add_metadata(struct kustoms *items, const char *member, const json_t *pairs)
{
        for (size_t i = 0; json_object_size(pairs) && i < items->count; i++)
                add_pairs((void *)pairs, cx_json_object_at(items->list[i].object, "metadata"), member);
}

static int add_labels(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        const json_t *common = json_object_get(k->fields, "commonLabels");
        size_t i;
        json_t *entry;
        if (json_object_size(common)) {
                add_metadata(items, "labels", common);
                add_at(items, template_labels, common);
                add_at(items, selectors, common);
        }
        json_array_foreach (json_object_get(k->fields, "labels"), i, entry) {
                const json_t *pairs = json_object_get(entry, "pairs");
                bool selects = cx_json_bool(entry, "includeSelectors", false);
                if (json_array_size(json_object_get(entry, "fields")))
                        return cx_error_set(err, -ENOTSUP, "kustomization field \"labels.fields\" is not supported");
                add_metadata(items, "labels", pairs);
                if (selects || cx_json_bool(entry, "includeTemplates", false))
                        add_at(items, template_labels, pairs);
                if (selects)
                        add_at(items, selectors, pairs);
        }
        return 0;
}

static bool keeps_its_name(const struct kustom *item)
{
        static const char *const kinds[] = {"CustomResourceDefinition", "APIService", "Namespace"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++)
                if (strcmp(kinds[i], item_kind(item)) == 0)
                        return true;
        return false;
}

static void set_namespace(struct kustom *item, const char *namespace)
{
        const char *kind = item_kind(item);
        if (strcmp(kind, "Namespace") == 0)
                item_rename(item, namespace);
        else if (!item_is_cluster_scoped(item))
                (void)cx_json_set(item->object, "metadata.namespace", json_string(namespace));
        size_t i;
        json_t *subject;
        if (strcmp(kind, "RoleBinding") == 0 || strcmp(kind, "ClusterRoleBinding") == 0)
                json_array_foreach (json_object_get(item->object, "subjects"), i, subject)
                        if (cx_streq(cx_json_string(subject, "kind"), "ServiceAccount") &&
                            cx_streq(cx_json_string(subject, "name"), "default"))
                                json_object_set_new(subject, "namespace", json_string(namespace));
}

int transform(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        const char *namespace = cx_json_string_or(k->fields, "namespace", "");
        const char *prefix = cx_json_string_or(k->fields, "namePrefix", ""),
                   *suffix = cx_json_string_or(k->fields, "nameSuffix", "");
        for (size_t i = 0; i < items->count; i++) {
                struct kustom *item = &items->list[i];
                if (*namespace)
                        set_namespace(item, namespace);
                if (*prefix || *suffix) {
                        char *affixes = cx_sprintf("%s%s/%s/", cx_str(item->affixes), prefix, suffix);
                        free(item->affixes);
                        item->affixes = affixes;
                }
                if (keeps_its_name(item))
                        continue;
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%s%s", prefix, item_name(item), suffix);
                item_rename(item, name);
        }
        int r = add_labels(k, items, err);
        const json_t *annotations = json_object_get(k->fields, "commonAnnotations");
        if (r == 0 && json_object_size(annotations)) {
                add_metadata(items, "annotations", annotations);
                add_at(items, template_annotations, annotations);
        }
        return r;
}

int set_counts(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        static const char *const kinds[] = {"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"};
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(k->fields, "replicas"), i, entry) {
                const char *name = cx_json_string_or(entry, "name", "");
                bool found = false;
                for (size_t j = 0; j < items->count; j++)
                        for (size_t n = 0; n < CX_ARRAY_SIZE(kinds); n++)
                                if (strcmp(kinds[n], item_kind(&items->list[j])) == 0 &&
                                    item_was_called(&items->list[j], name)) {
                                        found = true;
                                        (void)cx_json_set(items->list[j].object, "spec.replicas",
                                                          json_integer(cx_json_int(entry, "count", 0)));
                                }
                if (!found)
                        return cx_error_set(err, -ENOENT,
                                            "resource with name %s does not match a config with the following GVK "
                                            "[Deployment.[noVer].[noGrp] ReplicationController.[noVer].[noGrp] "
                                            "ReplicaSet.[noVer].[noGrp] StatefulSet.[noVer].[noGrp]]",
                                            name);
        }
        return 0;
}
