// SPDX-License-Identifier: Apache-2.0
#include "test/unit/libcommon/schema_test.h"

#define TEMPLATE                                                                                                       \
        "'template':{'metadata':{},'spec':{'containers':[{'name':'c','image':'i','imagePullPolicy':'Always',"          \
        "'resources':{},'terminationMessagePath':'/dev/termination-log','terminationMessagePolicy':'File'}],"          \
        "'dnsPolicy':'ClusterFirst','restartPolicy':'Always','schedulerName':'default-scheduler',"                     \
        "'securityContext':{},'terminationGracePeriodSeconds':30}}"
#define GIVEN "'template':{'spec':{'containers':[{'name':'c','image':'i'}]}}"
#define FILE_MESSAGES "'terminationMessagePath':'/dev/termination-log','terminationMessagePolicy':'File'"
#define POD_DEFAULTS                                                                                                   \
        "'dnsPolicy':'ClusterFirst','restartPolicy':'Always','schedulerName':'default-scheduler','securityContext':{}" \
        ","                                                                                                            \
        "'terminationGracePeriodSeconds':30,'enableServiceLinks':true"

static const struct {
        const char *group, *version, *kind, *object, *wanted;
} cases[] = {
        {"apps", "v1", "Deployment", "{'spec':{" GIVEN "}}",
         "{'spec':{'replicas':1,'revisionHistoryLimit':10,'progressDeadlineSeconds':600,'strategy':{'type':"
         "'RollingUpdate','rollingUpdate':{'maxSurge':'25%','maxUnavailable':'25%'}}," TEMPLATE "},'status':{}}"},
        {"apps", "v1", "Deployment", "{'spec':{'replicas':0,'strategy':{'type':'Recreate'}," GIVEN "}}",
         "{'spec':{'replicas':0,'revisionHistoryLimit':10,'progressDeadlineSeconds':600,'strategy':{'type':"
         "'Recreate'}," TEMPLATE "},'status':{}}"},
        {"apps", "v1", "DaemonSet", "{'spec':{" GIVEN "}}",
         "{'spec':{'revisionHistoryLimit':10,'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':0,"
         "'maxUnavailable':1}}," TEMPLATE
         "},'status':{'currentNumberScheduled':0,'numberMisscheduled':0,'desiredNumberScheduled':0,'numberReady':0}}"},
        {"apps", "v1", "ReplicaSet", "{'spec':{" GIVEN "}}",
         "{'spec':{'replicas':1," TEMPLATE "},'status':{'replicas':0}}"},
        {"apps", "v1", "StatefulSet", "{'spec':{'serviceName':'s'," GIVEN ",'volumeClaimTemplates':[{}]}}",
         "{'spec':{'serviceName':'s','replicas':1,'revisionHistoryLimit':10,'podManagementPolicy':'OrderedReady',"
         "'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Retain','whenScaled':'Retain'},"
         "'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'partition':0}}," TEMPLATE
         ",'volumeClaimTemplates':[{'apiVersion':'v1','kind':'PersistentVolumeClaim','spec':{'resources':{},'"
         "volumeMode'"
         ":'Filesystem'},'status':{'phase':'Pending'}}]},'status':{'replicas':0,'availableReplicas':0}}"},
        {"batch", "v1", "Job", "{'spec':{" GIVEN "}}",
         "{'metadata':{},'spec':{'backoffLimit':6,'completions':1,'parallelism':1,'completionMode':'NonIndexed',"
         "'suspend':false,'manualSelector':false,'podReplacementPolicy':'TerminatingOrFailed'," TEMPLATE
         "},'status':{}}"},
        {"batch", "v1", "CronJob",
         "{'spec':{'schedule':'* * * * *','jobTemplate':{'spec':{'parallelism':2," GIVEN "}}}}",
         "{'spec':{'schedule':'* * * * *','concurrencyPolicy':'Allow','failedJobsHistoryLimit':1,"
         "'successfulJobsHistoryLimit':3,'suspend':false,'jobTemplate':{'metadata':{},'spec':{'backoffLimit':6,"
         "'parallelism':2,'completionMode':'NonIndexed','suspend':false,'manualSelector':false,"
         "'podReplacementPolicy':'TerminatingOrFailed'," TEMPLATE "}}},'status':{}}"},
        {"", "v1", "Pod",
         "{'spec':{'hostNetwork':true,'serviceAccountName':'a','volumes':[{'name':'v'},{'name':'s','secret':{}},{'name'"
         ":"
         "'h','hostPath':{'path':'/x'}}],'containers':[{'name':'c','image':'r:5000/i','ports':[{'containerPort':80}],"
         "'resources':{'limits':{'cpu':'1'}},'livenessProbe':{'timeoutSeconds':0,'httpGet':{'port':80}}}]}}",
         "{'spec':{'hostNetwork':true,'serviceAccountName':'a','serviceAccount':'a','volumes':[{'name':'v','emptyDir':{"
         "}"
         "},{'name':'s','secret':{'defaultMode':420}},{'name':'h','hostPath':{'path':'/x','type':''}}],'containers':[{"
         "'name':'c','image':'r:5000/i','imagePullPolicy':'Always','ports':[{'containerPort':80,'hostPort':80,"
         "'protocol':'TCP'}],'resources':{'limits':{'cpu':'1'},'requests':{'cpu':'1'}},'livenessProbe':{"
         "'timeoutSeconds':1,'periodSeconds':10,'successThreshold':1,'failureThreshold':3,'httpGet':{'port':80,'path':"
         "'/','scheme':'HTTP'}}," FILE_MESSAGES "}]," POD_DEFAULTS "},'status':{}}"},
        {"", "v1", "Pod",
         "{'spec':{'containers':[{'image':'a:latest'},{'image':'a:1'},{'image':'a@sha256:b'},{'image':'a',"
         "'imagePullPolicy':'Never'}]}}",
         "{'spec':{'containers':[{'image':'a:latest','imagePullPolicy':'Always','resources':{}," FILE_MESSAGES
         "},{'image':'a:1','imagePullPolicy':'IfNotPresent','resources':{}," FILE_MESSAGES
         "},{'image':'a@sha256:b','imagePullPolicy':'IfNotPresent','resources':{}," FILE_MESSAGES
         "},{'image':'a','imagePullPolicy':'Never','resources':{}," FILE_MESSAGES "}]," POD_DEFAULTS "},'status':{}}"},
        {"", "v1", "Service", "{'spec':{'ports':[{'port':80}]}}",
         "{'spec':{'type':'ClusterIP','sessionAffinity':'None','internalTrafficPolicy':'Cluster','ports':[{'port':80,"
         "'protocol':'TCP','targetPort':80}]},'status':{'loadBalancer':{}}}"},
        {"", "v1", "Service",
         "{'spec':{'type':'LoadBalancer','sessionAffinity':'ClientIP'},'status':{'loadBalancer':{'ingress':[{'ip':'1'}]"
         "}}}",
         "{'spec':{'type':'LoadBalancer','sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{"
         "'timeoutSeconds':10800}},'externalTrafficPolicy':'Cluster','internalTrafficPolicy':'Cluster',"
         "'allocateLoadBalancerNodePorts':true},'status':{'loadBalancer':{'ingress':[{'ip':'1','ipMode':'VIP'}]}}}"},
        {"", "v1", "Secret", "{}", "{'type':'Opaque'}"},
        {"", "v1", "ConfigMap", "{}", "{}"},
        {"", "v1", "Namespace", "{'metadata':{'name':'n'}}",
         "{'metadata':{'name':'n','labels':{'kubernetes.io/metadata.name':'n'}},'spec':{},'status':{}}"},
        {"", "v1", "LimitRange", "{'spec':{'limits':[{'type':'Container','max':{'cpu':'2'},'min':{'memory':'1Mi'}}]}}",
         "{'spec':{'limits':[{'type':'Container','max':{'cpu':'2'},'min':{'memory':'1Mi'},'default':{'cpu':'2'},"
         "'defaultRequest':{'cpu':'2','memory':'1Mi'}}]}}"},
        {"networking.k8s.io", "v1", "NetworkPolicy", "{'spec':{'egress':[{}]}}",
         "{'spec':{'podSelector':{},'egress':[{}],'policyTypes':['Ingress','Egress']}}"},
        {"rbac.authorization.k8s.io", "v1", "RoleBinding",
         "{'roleRef':{'kind':'Role','name':'r'},'subjects':[{'kind':'User','name':'u'},{'kind':'ServiceAccount',"
         "'name':'s'}]}",
         "{'roleRef':{'kind':'Role','name':'r','apiGroup':'rbac.authorization.k8s.io'},'subjects':[{'kind':'User',"
         "'name':'u','apiGroup':'rbac.authorization.k8s.io'},{'kind':'ServiceAccount','name':'s'}]}"},
        {"storage.k8s.io", "v1", "StorageClass", "{'provisioner':'p'}",
         "{'provisioner':'p','reclaimPolicy':'Delete','volumeBindingMode':'Immediate'}"},
        {"coordination.k8s.io", "v1", "Lease", "{}", "{'spec':{}}"},
        {"autoscaling", "v2", "HorizontalPodAutoscaler", "{'spec':{'maxReplicas':3,'behavior':{'scaleDown':{}}}}",
         "{'spec':{'maxReplicas':3,'minReplicas':1,'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{"
         "'type':'Utilization','averageUtilization':80}}}],'behavior':{'scaleUp':{'selectPolicy':'Max','policies':[{"
         "'type':'Pods','value':4,'periodSeconds':15},{'type':'Percent','value':100,'periodSeconds':15}],"
         "'stabilizationWindowSeconds':0},'scaleDown':{'selectPolicy':'Max','policies':[{'type':'Percent','value':100,"
         "'periodSeconds':15}]}}},'status':{'desiredReplicas':0}}"},
        {"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "{'spec':{'names':{'kind':'Foo','plural':'foos'}}}",
         "{'spec':{'names':{'kind':'Foo','plural':'foos','singular':'foo','listKind':'FooList'},'conversion':{'"
         "strategy'"
         ":'None'}},'status':{}}"},
};

static void test_defaults(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                const struct cx_kind *kind = cx_schema_kind(cases[i].group, cases[i].version, cases[i].kind);
                assert_non_null(kind);
                json_auto_t *object = quoted_json(cases[i].object);
                cx_schema_default(kind, object);
                assert_json(object, cases[i].wanted);
                cx_schema_default(kind, object); // once more changes nothing
                assert_json(object, cases[i].wanted);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
