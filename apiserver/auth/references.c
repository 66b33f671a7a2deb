// SPDX-License-Identifier: Apache-2.0
// The one walk over all that a pod refers to: Secrets, ConfigMaps, claims and service accounts, wherever in its spec.
#include "apiserver/auth/references.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"

struct visit {
        reference_fn found;
        void *context;
};

static bool tell(const struct visit *visit, const char *resource, const json_t *name)
{
        return name && visit->found(visit->context, resource, NULL, cx_str(json_string_value(name)));
}

// --- pods ---

// Sources that are found alike in an environment, in a volume and in a part of a projected volume.
static const struct {
        const char *path, *resource;
} in_environment[] = {{"valueFrom.secretKeyRef.name", "secrets"},
                      {"valueFrom.configMapKeyRef.name", "configmaps"},
                      {"secretRef.name", "secrets"},
                      {"configMapRef.name", "configmaps"}},
  in_volumes[] = {{"secret.secretName", "secrets"},
                  {"configMap.name", "configmaps"},
                  {"persistentVolumeClaim.claimName", "persistentvolumeclaims"},
                  {"azureFile.secretName", "secrets"}},
  in_projections[] = {{"secret.name", "secrets"},
                      {"configMap.name", "configmaps"},
                      {"clusterTrustBundle.path", "clustertrustbundles"},
                      {"podCertificate.signerName", "podcertificaterequests"}};
#define TELL_ALL(visit, object, table)                                                                                 \
        for (size_t t = 0; t < CX_ARRAY_SIZE(table); t++)                                                              \
                if (tell(visit, (table)[t].resource, cx_json_get(object, (table)[t].path)))                            \
                        return true;

static bool visit_environment(const struct visit *visit, const json_t *container)
{
        static const char *const lists[] = {"env", "envFrom"};
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                const json_t *list = json_object_get(container, lists[l]);
                for (size_t i = 0; i < json_array_size(list); i++)
                        TELL_ALL(visit, json_array_get(list, i), in_environment)
        }
        return false;
}

static bool visit_projections(const struct visit *visit, const json_t *pod, const json_t *sources)
{
        for (size_t i = 0; i < json_array_size(sources); i++) {
                const json_t *source = json_array_get(sources, i);
                TELL_ALL(visit, source, in_projections)
                if (json_object_get(source, "serviceAccountToken") &&
                    visit->found(visit->context, "serviceaccounts", NULL,
                                 cx_json_string_or(pod, "spec.serviceAccountName", "")))
                        return true;
        }
        return false;
}

static bool visit_volume(const struct visit *visit, const json_t *pod, const json_t *volume)
{
        TELL_ALL(visit, volume, in_volumes)
        if (json_object_get(volume, "ephemeral")) {
                CX_CLEANUP(cx_freep)
                char *claim = cx_sprintf("%s-%s", cx_json_string_or(pod, "metadata.name", ""),
                                         cx_json_string_or(volume, "name", ""));
                if (visit->found(visit->context, "persistentvolumeclaims", NULL, claim))
                        return true;
        }
        const char *key;
        json_t *plugin;
        json_object_foreach ((json_t *)volume, key, plugin)
                if (tell(visit, "secrets", cx_json_get(plugin, "secretRef.name")) ||
                    tell(visit, "secrets", cx_json_get(plugin, "nodePublishSecretRef.name")))
                        return true;
        return visit_projections(visit, pod, cx_json_get(volume, "projected.sources"));
}

// Of a template's claim the name is in the status.
static bool visit_claim(const struct visit *visit, const json_t *pod, const json_t *claim)
{
        const json_t *made = cx_json_find(cx_json_get(pod, "status.resourceClaimStatuses"), "name",
                                          cx_json_string_or(claim, "name", ""));
        return visit->found(
                visit->context, "resourceclaims", NULL,
                cx_json_string_or(claim, "resourceClaimName", cx_json_string_or(made, "resourceClaimName", "")));
}

bool pod_references(const json_t *pod, reference_fn found, void *context)
{
        const struct visit visit = {found, context};
        const json_t *volumes = cx_json_get(pod, "spec.volumes"), *pull = cx_json_get(pod, "spec.imagePullSecrets");
        const json_t *claims = cx_json_get(pod, "spec.resourceClaims");
        const char *account = cx_json_string_or(pod, "spec.serviceAccountName", "");
        if (*account && found(context, "serviceaccounts", NULL, account))
                return true;
        for (size_t i = 0; i < json_array_size(pull); i++)
                if (tell(&visit, "secrets", json_object_get(json_array_get(pull, i), "name")))
                        return true;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_ALL)
        if (visit_environment(&visit, walk.container))
                return true;
        for (size_t i = 0; i < json_array_size(volumes); i++)
                if (visit_volume(&visit, pod, json_array_get(volumes, i)))
                        return true;
        for (size_t i = 0; i < json_array_size(claims); i++)
                if (visit_claim(&visit, pod, json_array_get(claims, i)))
                        return true;
        return false;
}

// --- volumes ---

bool volume_references(const json_t *volume, reference_fn found, void *context)
{
        // What a controller attaches and expands with is none of a kubelet's.
        static const char *const refs[] = {"secretRef", "nodePublishSecretRef", "nodeStageSecretRef",
                                           "nodeExpandSecretRef"};
        const json_t *spec = json_object_get(volume, "spec");
        const char *namespace = cx_json_string_or(spec, "claimRef.namespace", ""), *key;
        const char *claim = cx_json_string(spec, "claimRef.name"),
                   *azure = cx_json_string(spec, "azureFile.secretName");
        json_t *plugin;
        if (!claim || !*namespace)
                return false;
        if (found(context, "persistentvolumeclaims", namespace, claim))
                return true;
        if (azure && found(context, "secrets", cx_json_string_or(spec, "azureFile.secretNamespace", namespace), azure))
                return true;
        json_object_foreach ((json_t *)spec, key, plugin)
                for (size_t i = 0; i < CX_ARRAY_SIZE(refs); i++) {
                        const json_t *ref = json_object_get(plugin, refs[i]);
                        const char *name = cx_json_string(ref, "name");
                        if (name && found(context, "secrets", cx_json_string_or(ref, "namespace", namespace), name))
                                return true;
                }
        return false;
}
