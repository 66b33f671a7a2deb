// SPDX-License-Identifier: Apache-2.0
// Plugins that complete pods: ServiceAccount, DefaultTolerationSeconds, Priority; and TaintNodesByCondition for nodes.
#include "apiserver/admission/plugin.h"
#include "apiserver/auth/references.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/priority.h"
#include "libcommon/base/random.h"
#include "libcommon/format/json.h"

#define TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_SECONDS 3607 // upstream's: an hour, recognisably the default

static const struct admission_want new_pods[] = {{ADMIT_CREATE, "", "pods", ""}, {0}};

// --- ServiceAccount ---

static bool mounts_at(const json_t *container, const char *path)
{
        const json_t *mounts = json_object_get(container, "volumeMounts");
        return cx_json_find(mounts, "mountPath", path);
}

static json_t *token_volume(const char *name)
{
        return json_pack("{s:s,s:{s:i,s:[{s:{s:i,s:s}},{s:{s:s,s:[{s:s,s:s}]}},{s:{s:[{s:s,s:{s:s,s:s}}]}}]}}", "name",
                         name, "projected", "defaultMode", 0644, "sources", "serviceAccountToken", "expirationSeconds",
                         TOKEN_SECONDS, "path", "token", "configMap", "name", "kube-root-ca.crt", "items", "key",
                         "ca.crt", "path", "ca.crt", "downwardAPI", "items", "path", "namespace", "fieldRef",
                         "apiVersion", "v1", "fieldPath", "metadata.namespace");
}

#define VOLUME_PREFIX "kube-api-access-"

// The volume of the token, when the pod has come here before; owned.
static char *present_volume(const json_t *spec)
{
        size_t i;
        const json_t *volume;
        json_array_foreach (json_object_get(spec, "volumes"), i, volume)
                if (cx_has_prefix(cx_json_string_or(volume, "name", ""), VOLUME_PREFIX))
                        return cx_strdup(cx_json_string(volume, "name"));
        return NULL;
}

static void mount_token(json_t *pod)
{
        json_t *spec = cx_json_object_at(pod, "spec");
        CX_CLEANUP(cx_freep) char *volume = present_volume(spec);
        bool present = volume, used = false;
        if (!present) {
                char suffix[6];
                cx_random_suffix(suffix, 5);
                volume = cx_sprintf(VOLUME_PREFIX "%s", suffix);
        }
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        {
                if (mounts_at(walk.container, TOKEN_PATH))
                        continue;
                json_array_append_new(
                        cx_json_array_at(walk.container, "volumeMounts"),
                        json_pack("{s:s,s:b,s:s}", "name", volume, "readOnly", 1, "mountPath", TOKEN_PATH));
                used = true;
        }
        if (used && !present)
                json_array_append_new(cx_json_array_at(spec, "volumes"), token_volume(volume));
}

static bool is_secret(void *context CX_UNUSED, const char *resource, const char *namespace CX_UNUSED,
                      const char *name CX_UNUSED)
{
        return strcmp(resource, "serviceaccounts") == 0 || strcmp(resource, "secrets") == 0;
}

static int mutate_service_account(const struct admission_request *request, struct cx_error *err)
{
        const char *namespace = request->scope->namespace;
        json_t *pod = request->object;
        if (cx_pod_is_mirror(pod))
                return pod_references(pod, is_secret, NULL)
                               ? admission_forbid(request, "a mirror pod may not reference service accounts or secrets",
                                                  err)
                               : 0;
        json_t *spec = cx_json_object_at(pod, "spec");
        const char *name = cx_json_string(spec, "serviceAccountName");
        if (!name || !*name)
                name = "default";
        json_object_set_new(spec, "serviceAccountName", json_string(name));
        name = cx_json_string(spec, "serviceAccountName");
        json_object_set_new(spec, "serviceAccount", json_string(name));
        STORED *stored =
                admission_lookup(request, builtin(request->scope->api, "", "v1", "serviceaccounts"), namespace, name);
        if (!stored) {
                CX_CLEANUP(cx_freep)
                char *why = cx_sprintf("error looking up service account %s/%s: serviceaccount \"%s\" not found",
                                       namespace, name, name);
                return admission_forbid(request, why, err);
        }
        json_auto_t *account = stored_parse(stored);
        bool wanted = cx_json_bool(account, "automountServiceAccountToken", true);
        if (cx_json_bool(spec, "automountServiceAccountToken", wanted))
                mount_token(pod);
        const json_t *secrets = json_object_get(account, "imagePullSecrets");
        if (json_array_size(secrets) && !json_array_size(json_object_get(spec, "imagePullSecrets")))
                json_object_set_new(spec, "imagePullSecrets", json_deep_copy(secrets));
        return 0;
}

const struct admission_plugin admission_service_account = {
        .name = "ServiceAccount", .wants = new_pods, .mutate = mutate_service_account};

// --- DefaultTolerationSeconds ---

static bool tolerates(const json_t *tolerations, const char *key)
{
        for (size_t i = 0; i < json_array_size(tolerations); i++) {
                const json_t *toleration = json_array_get(tolerations, i);
                const char *own = cx_json_string(toleration, "key"), *effect = cx_json_string(toleration, "effect");
                if ((!own || !*own || strcmp(own, key) == 0) &&
                    (!effect || !*effect || strcmp(effect, "NoExecute") == 0))
                        return true;
        }
        return false;
}

static int mutate_tolerations(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        static const char *const keys[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
        json_t *spec = cx_json_object_at(request->object, "spec");
        for (size_t i = 0; i < CX_ARRAY_SIZE(keys); i++)
                if (!tolerates(json_object_get(spec, "tolerations"), keys[i]))
                        json_array_append_new(cx_json_array_at(spec, "tolerations"),
                                              json_pack("{s:s,s:s,s:s,s:i}", "key", keys[i], "operator", "Exists",
                                                        "effect", "NoExecute", "tolerationSeconds", 300));
        return 0;
}

const struct admission_plugin admission_default_toleration_seconds = {
        .name = "DefaultTolerationSeconds", .wants = new_pods, .mutate = mutate_tolerations};

// --- Priority ---

static json_t *default_class(struct cache *classes)
{
        struct filter all = {0};
        STORED_LIST list = {0};
        cache_list(classes, &all, &list);
        for (size_t i = 0; i < list.count; i++) {
                struct cx_slice text = {list.items[i]->json, list.items[i]->length};
                if (cx_slice_equals(cx_scan_path(text, "globalDefault"), "true"))
                        return stored_parse(list.items[i]);
        }
        return NULL;
}

// Of two defaults, nobody could say which counts.
static int check_class(const struct admission_request *request, struct cx_error *err)
{
        const struct scope *scope = request->scope;
        if (request->operation == ADMIT_DELETE)
                return cx_system_priority_class(scope->name)
                               ? admission_forbid(request, "this is a system priority class and cannot be deleted", err)
                               : 0;
        if (!cx_json_bool(request->object, "globalDefault", false))
                return 0;
        json_auto_t *other = default_class(builtin(scope->api, "scheduling.k8s.io", "v1", "priorityclasses")->cache);
        const char *name = cx_json_string_or(other, "metadata.name", "");
        if (!other || cx_streq(name, cx_json_string(request->object, "metadata.name")))
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("PriorityClass %s is already marked as default. Only one default can exist", name);
        return admission_forbid(request, why, err);
}

static int mutate_priority(const struct admission_request *request, struct cx_error *err)
{
        if (strcmp(request->scope->resource->resource, "priorityclasses") == 0)
                return check_class(request, err);
        struct cache *classes = builtin(request->scope->api, "scheduling.k8s.io", "v1", "priorityclasses")->cache;
        json_t *spec = cx_json_object_at(request->object, "spec");
        const char *name = cx_json_string(spec, "priorityClassName");
        json_auto_t *class = NULL;
        if (name && *name) {
                class = cache_find_json(classes, NULL, name);
                if (!class) {
                        CX_CLEANUP(cx_freep) char *why = cx_sprintf("no PriorityClass with name %s was found", name);
                        return admission_forbid(request, why, err);
                }
        } else {
                class = default_class(classes);
                if (class)
                        json_object_set(spec, "priorityClassName", cx_json_get(class, "metadata.name"));
        }
        int64_t value = cx_json_int(class, "value", 0);
        const json_t *asked = json_object_get(spec, "priority");
        if (json_is_integer(asked) && json_integer_value(asked) != value)
                return admission_forbid(request,
                                        "the integer value of priority must not be provided in pod spec; priority "
                                        "admission controller computed it from the given PriorityClass name",
                                        err);
        json_object_set_new(spec, "priority", json_integer(value));
        if (!json_object_get(spec, "preemptionPolicy"))
                json_object_set_new(spec, "preemptionPolicy",
                                    json_string(cx_json_string_or(class, "preemptionPolicy", "PreemptLowerPriority")));
        return 0;
}

static const struct admission_want pods_and_classes[] = {
        {ADMIT_CREATE, "", "pods", ""},
        {ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE, "scheduling.k8s.io", "priorityclasses", ""},
        {0}};
const struct admission_plugin admission_priority = {
        .name = "Priority", .wants = pods_and_classes, .mutate = mutate_priority};

// --- TaintNodesByCondition: a node that registers is not ready yet ---

static int mutate_node(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        json_t *taints = cx_json_array_at(cx_json_object_at(request->object, "spec"), "taints");
        if (!cx_json_find(taints, "key", "node.kubernetes.io/not-ready"))
                json_array_append_new(
                        taints, json_pack("{s:s,s:s}", "key", "node.kubernetes.io/not-ready", "effect", "NoSchedule"));
        return 0;
}

static const struct admission_want new_nodes[] = {{ADMIT_CREATE, "", "nodes", ""}, {0}};
const struct admission_plugin admission_taint_nodes = {
        .name = "TaintNodesByCondition", .wants = new_nodes, .mutate = mutate_node};
