// SPDX-License-Identifier: Apache-2.0
// What upstream answers, field by field: the defaults that it adds to small objects of every kind (kubernetes-defaults.tsv,
// read off a running server), and the zero values that its structs leave out.
#include "test/unit/libcommon/schema_test.h"

#include <stdio.h>

#define FACTS "test/unit/libcommon/kubernetes-defaults.tsv"
#define CONTAINER "{'name':'c','image':'i'}"
#define POD_SPEC "'spec':{'containers':[" CONTAINER "]}"
#define TEMPLATE "'template':{'metadata':{'labels':{'app':'x'}}," POD_SPEC "}"
#define WEBHOOK                                                                                                        \
        "{'webhooks':[{'name':'a.b.c','clientConfig':{'service':{'name':'s','namespace':'n'}},'sideEffects':'None',"   \
        "'admissionReviewVersions':['v1'],'rules':[{'operations':['*'],'apiGroups':['*'],'apiVersions':['*'],"         \
        "'resources':['*']}]}]}"

// Small objects; a fact must hold of one of those of its kind.
static const struct {
        const char *api_version, *kind, *object;
} objects[] = {
        {"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", WEBHOOK},
        {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", WEBHOOK},
        {"apiextensions.k8s.io/v1", "CustomResourceDefinition", "{'spec':{'names':{'kind':'K','plural':'ks'}}}"},
        {"apiregistration.k8s.io/v1", "APIService", "{'spec':{'service':{'name':'s','namespace':'n'}}}"},
        {"apps/v1", "DaemonSet", "{'spec':{" TEMPLATE "}}"},
        {"apps/v1", "Deployment", "{'spec':{" TEMPLATE "}}"},
        {"apps/v1", "ReplicaSet", "{'spec':{" TEMPLATE "}}"},
        {"apps/v1", "StatefulSet", "{'spec':{" TEMPLATE ",'volumeClaimTemplates':[{'metadata':{'name':'d'}}]}}"},
        {"autoscaling/v1", "HorizontalPodAutoscaler", "{'spec':{'maxReplicas':3}}"},
        {"autoscaling/v2", "HorizontalPodAutoscaler", "{'spec':{'maxReplicas':3,'behavior':{}}}"},
        {"batch/v1", "Job", "{'spec':{" TEMPLATE "}}"},
        {"batch/v1", "CronJob", "{'spec':{'jobTemplate':{'spec':{'template':{" POD_SPEC "}}}}}"},
        {"coordination.k8s.io/v1", "Lease", "{}"},
        {"discovery.k8s.io/v1", "EndpointSlice", "{'endpoints':[{'addresses':['1.2.3.4']}],'ports':[{'port':80}]}"},
        {"networking.k8s.io/v1", "Ingress", "{}"},
        {"networking.k8s.io/v1", "NetworkPolicy", "{'spec':{'ingress':[{'ports':[{'port':80}]}],'egress':[{}]}}"},
        {"policy/v1", "PodDisruptionBudget", "{}"},
        {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding",
         "{'subjects':[{'kind':'User','name':'u'}],'roleRef':{}}"},
        {"rbac.authorization.k8s.io/v1", "RoleBinding", "{'subjects':[{'kind':'Group','name':'u'}],'roleRef':{}}"},
        {"scheduling.k8s.io/v1", "PriorityClass", "{}"},
        {"storage.k8s.io/v1", "CSIDriver", "{}"},
        {"storage.k8s.io/v1", "CSIDriver", "{'spec':{}}"},
        {"storage.k8s.io/v1", "StorageClass", "{}"},
        {"v1", "Endpoints", "{'subsets':[{'ports':[{'port':80}]}]}"},
        {"v1", "LimitRange", "{'spec':{'limits':[{'type':'Container','max':{'cpu':'1'},'min':{'memory':'1Mi'}}]}}"},
        {"v1", "Node", "{}"},
        {"v1", "PersistentVolume", "{'spec':{'hostPath':{'path':'/x'}}}"},
        {"v1", "PersistentVolumeClaim", "{}"},
        {"v1", "Pod", "{" POD_SPEC "}"},
        {"v1", "Pod",
         "{'spec':{'containers':[{'name':'c','image':'i:1','env':[{'name':'E','valueFrom':{'fieldRef':{'fieldPath':"
         "'metadata.name'}}}],'ports':[{'containerPort':80}],'livenessProbe':{'httpGet':{'port':80}},'resources':"
         "{'limits':{'cpu':'1'}}}],'volumes':[{'name':'v0'},{'name':'v1','configMap':{'name':'c'}},{'name':'v2','"
         "secret':"
         "{'secretName':'s'}},{'name':'v3','hostPath':{'path':'/x'}},{'name':'v4','downwardAPI':{'items':[{'path':'p',"
         "'fieldRef':{'fieldPath':'metadata.name'}}]}},{'name':'v5','projected':{'sources':[]}},{'name':'v6','iscsi':{"
         "'targetPortal':'t','iqn':'q','lun':0}},{'name':'v7','rbd':{'monitors':['m'],'image':'i'}},{'name':'v8',"
         "'azureDisk':{'diskName':'d','diskURI':'u'}},{'name':'v9','scaleIO':{'gateway':'g','system':'s','secretRef':{}"
         ","
         "'volumeName':'v'}}]}}"},
        {"v1", "ReplicationController", "{'spec':{" TEMPLATE "}}"},
        {"v1", "ResourceQuota", "{}"},
        {"v1", "Secret", "{}"},
        {"v1", "Service", "{'spec':{'ports':[{'port':80}]}}"},
        {"v1", "Service", "{'spec':{'ports':[{'port':80}],'type':'NodePort','sessionAffinity':'ClientIP'}}"},
};

// What does not come from defaults, but from what the server decides and admits; and what has changed since.
static const struct {
        const char *kind, *path, *api_version; // NULL: any
} elsewhere[] = {
        {"*", "metadata.namespace"},
        {"DaemonSet", "metadata.annotations"},
        {"CustomResourceDefinition", "status"}, // its stored versions
        {"Job", "metadata.labels"},
        {"Job", "spec.selector"},
        {"Job", "spec.template.metadata"},
        // The controller's own default now.
        {"HorizontalPodAutoscaler", "spec.targetCPUUtilizationPercentage"},
        // The present replicas may be absent now.
        {"HorizontalPodAutoscaler", "status", "autoscaling/v2beta2"},
        {"Namespace", "spec"},
        {"Namespace", "status"},
        {"Node", "spec"}, // a taint
        {"PersistentVolume", "metadata.finalizers"},
        {"PersistentVolumeClaim", "metadata.finalizers"},
        {"Pod", "spec.containers[0].volumeMounts"},
        {"Pod", "spec.preemptionPolicy"},
        {"Pod", "spec.priority"},
        {"Pod", "spec.tolerations"},
        {"Pod", "status"},
};

static bool is_elsewhere(const char *api_version, const char *kind, const char *path)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(elsewhere); i++)
                if ((*elsewhere[i].kind == '*' || strcmp(elsewhere[i].kind, kind) == 0) &&
                    strcmp(elsewhere[i].path, path) == 0 &&
                    (!elsewhere[i].api_version || strcmp(elsewhere[i].api_version, api_version) == 0))
                        return true;
        return false;
}

// Newer servers add members; none of what was there went away.
static bool holds(const json_t *got, const json_t *fact)
{
        const char *key;
        const json_t *value;
        size_t i;
        if (json_is_object(fact)) {
                json_object_foreach ((json_t *)fact, key, value)
                        if (!holds(json_object_get(got, key), value))
                                return false;
                return json_is_object(got);
        }
        if (json_is_array(fact)) {
                json_array_foreach (fact, i, value)
                        if (!holds(json_array_get(got, i), value))
                                return false;
                return json_array_size(got) == json_array_size(fact);
        }
        return got && json_equal(got, fact);
}

// "spec.containers[0].image"
static const json_t *at(const json_t *json, const char *path)
{
        char name[64];
        while (json && *path) {
                size_t length = strcspn(path, ".[");
                assert_true(length < sizeof name);
                memcpy(name, path, length);
                name[length] = 0;
                path += length;
                if (length)
                        json = json_object_get(json, name);
                if (*path == '[') {
                        json = json_array_get(json, strtoul(path + 1, NULL, 10));
                        path = strchr(path, ']') + 1;
                }
                path += *path == '.';
        }
        return json;
}

static json_t *make(const struct cx_kind *kind, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_t *object = quoted_json(text);
        if (cx_schema_decode(kind->type, object, CX_FIELDS_STRICT, NULL, NULL, &err) < 0)
                fail_msg("%s: %s", text, err.message);
        cx_schema_default(kind, object);
        return object;
}

// Versions that are not served any more have become v1, or v2.
static const struct cx_kind *kind_of(const char *api_version, const char *name)
{
        char group[64], version[32];
        assert_true(cx_split_api_version(api_version, group, version));
        const char *now = strncmp(version, "v2", 2) == 0 ? "v2" : "v1";
        return cx_schema_kind(group, now, name);
}

// Says what is wrong about it.
static bool check_fact(const char *api_version, const char *name, const char *path, const char *value)
{
        const struct cx_kind *kind = kind_of(api_version, name);
        json_auto_t *fact = json_loads(value, JSON_DECODE_ANY, NULL);
        bool held = false, tried = false;
        if (!kind || !fact)
                fail_msg("%s %s %s %s", api_version, name, path, value);
        for (size_t i = 0; i < CX_ARRAY_SIZE(objects) && !held; i++) {
                if (kind_of(objects[i].api_version, objects[i].kind) != kind)
                        continue;
                json_auto_t *object = make(kind, objects[i].object);
                tried = true;
                held = holds(at(object, path), fact);
        }
        bool other = is_elsewhere(api_version, name, path);
        if (!other && !tried)
                print_error("no object of %s\n", name);
        if (held == other)
                print_error("%s %s %s %s: %s\n", api_version, name, path, value,
                            other ? "is a default after all" : "is not added");
        return held != other;
}

static void test_defaults(void **state)
{
        (void)state;
        FILE *file = fopen(FACTS, "re");
        char line[1024];
        size_t facts = 0, good = 0;
        assert_non_null(file); // tests run at the root
        while (fgets(line, sizeof line, file)) {
                char *rest = line, *parts[4];
                if (*line == '#')
                        continue;
                line[strcspn(line, "\n")] = 0;
                for (size_t i = 0; i < CX_ARRAY_SIZE(parts); i++)
                        assert_non_null(parts[i] = strsep(&rest, "\t"));
                good += check_fact(parts[0], parts[1], parts[2], parts[3]);
                facts++;
        }
        fclose(file);
        assert_true(facts > 200);
        assert_int_equal(good, facts);
}

// Every kind that has them answers with spec and status, whatever the client sent.
static void test_parts(void **state)
{
        (void)state;
        size_t count;
        const struct cx_resource *all = cx_schema_resources(&count);
        for (size_t i = 0; i < count; i++) {
                const struct cx_kind *kind = all[i].kind;
                const struct cx_field *spec = cx_type_field(kind->type, "spec");
                json_auto_t *object = make(kind, "{}");
                if (spec && !(spec->flags & CX_FIELD_NONEMPTY) && !json_is_object(json_object_get(object, "spec")))
                        fail_msg("%s has no spec", kind->kind);
        }
}

static void test_zero_values(void **state)
{
        static const struct stored_case cases[] = {
                {"core.v1.PodSpec", "{'serviceAccount':'','serviceAccountName':'','hostNetwork':false,'nodeName':''}",
                 "{}"},
                {"core.v1.PodSpec",
                 "{'automountServiceAccountToken':false,'priority':0,'terminationGracePeriodSeconds':0}",
                 "{'automountServiceAccountToken':false,'priority':0,'terminationGracePeriodSeconds':0}"},
                {"core.v1.PodTemplateSpec", "{'metadata':{'name':'','generation':0},'spec':{'serviceAccount':''}}",
                 "{'metadata':{},'spec':{}}"},
                {"core.v1.EnvVar", "{'name':'','value':''}", "{'name':''}"},
                {"core.v1.ContainerPort", "{'containerPort':0,'hostPort':0}", "{'containerPort':0}"},
                {"core.v1.PersistentVolumeClaimSpec", "{'storageClassName':'','volumeName':''}",
                 "{'storageClassName':''}"},
                {"core.v1.ConfigMap", "{'data':{'a':''},'immutable':false}", "{'data':{'a':''},'immutable':false}"},
                {"core.v1.FCVolumeSource", "{'lun':0,'readOnly':false}", "{'lun':0}"},
                {"apps.v1.DeploymentSpec", "{'replicas':0,'minReadySeconds':0,'paused':false}", "{'replicas':0}"},
                {"apps.v1.RollingUpdateDeployment", "{'maxSurge':0}", "{'maxSurge':0}"},
                {"core.v1.ServiceSpec", "{'clusterIP':'','publishNotReadyAddresses':false}", "{}"},
                {"apps.v1.ReplicaSetStatus", "{'replicas':0,'readyReplicas':0}", "{'replicas':0}"},
                {"discovery.v1.EndpointConditions", "{'ready':false}", "{'ready':false}"},
                {"coordination.v1.LeaseSpec", "{'holderIdentity':'','leaseTransitions':0}",
                 "{'holderIdentity':'','leaseTransitions':0}"},
        };
        (void)state;
        check_stored(cases, CX_ARRAY_SIZE(cases));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults), cmocka_unit_test(test_parts),
                                           cmocka_unit_test(test_zero_values)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
