// SPDX-License-Identifier: Apache-2.0
#include "test/unit/libcommon/schema_test.h"

#define POD(spec) "{'metadata':{'name':'p'},'spec':{" spec "}}"
#define CONTAINER(rest) "'containers':[{'name':'c','image':'i'" rest "}]"
#define DEPLOYMENT(labels, rest)                                                                                       \
        "{'metadata':{'name':'d'},'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':"      \
        "{" labels "}},'spec':{" CONTAINER("") "}}" rest "}}"
#define SERVICE(spec) "{'metadata':{'name':'s'},'spec':{" spec "}}"
#define AUTOSCALER(rest)                                                                                               \
        "{'metadata':{'name':'a'},'spec':{'scaleTargetRef':{'kind':'Deployment','name':'d'},'maxReplicas':3," rest "}" \
        "}"
#define AUTOSCALER_IS "HorizontalPodAutoscaler.autoscaling \"a\" is invalid: "
#define TEXT_LABEL                                                                                                     \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
        "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "             \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

static const struct validate_case cases[] = {
        {"", "Pod", POD(CONTAINER("")), NULL},
        {"", "Pod", "{'spec':{" CONTAINER("") "}}",
         "Pod \"\" is invalid: metadata.name: Required value: name or generateName is required"},
        {"", "Pod", "{'metadata':{'generateName':'x-'},'spec':{" CONTAINER("") "}}", NULL},
        {"", "Pod", POD(""), "Pod \"p\" is invalid: spec.containers: Required value"},
        {"", "Pod", POD("'containers':[{'name':'c'}]"),
         "Pod \"p\" is invalid: spec.containers[0].image: Required value"},
        {"", "Pod", POD("'containers':[{'image':'i'},{'name':'A','image':'i'}]"),
         "Pod \"p\" is invalid: [spec.containers[0].name: Required value, spec.containers[1].name: Invalid value: "
         "\"A\": " TEXT_LABEL "]"},
        {"", "Pod", POD("'containers':[{'name':'c','image':'i'},{'name':'c','image':'i'}]"),
         "Pod \"p\" is invalid: spec.containers[1].name: Duplicate value: \"c\""},
        {"", "Pod", POD(CONTAINER("") ",'initContainers':[{'name':'c','image':'i'}]"),
         "Pod \"p\" is invalid: spec.containers[0].name: Duplicate value: \"c\""},
        {"", "Pod", POD(CONTAINER("") ",'restartPolicy':'Sometimes'"),
         "Pod \"p\" is invalid: spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
         "\"Never\", \"OnFailure\""},
        {"", "Pod", POD(CONTAINER(",'volumeMounts':[{'name':'v','mountPath':'/x'}]")),
         "Pod \"p\" is invalid: spec.containers[0].volumeMounts[0].name: Not found: \"v\""},
        {"", "Pod", POD(CONTAINER(",'volumeMounts':[{'name':'v','mountPath':'/x'}]") ",'volumes':[{'name':'v'}]"),
         NULL},
        {"", "Pod",
         POD(CONTAINER(
                 ",'volumeMounts':[{'name':'v','mountPath':'/x','mountPropagation':'Bidirectional'}]") ",'volumes':[{'"
                                                                                                       "name':'v'}]"),
         "Pod \"p\" is invalid: spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount "
         "propagation is available only to privileged containers"},
        {"", "Pod",
         POD(CONTAINER(",'securityContext':{'privileged':true},'volumeMounts':[{'name':'v','mountPath':'/x',"
                       "'mountPropagation':'Bidirectional'}]") ",'volumes':[{'name':'v'}]"),
         NULL},
        {"", "Pod",
         POD(CONTAINER(
                 ",'volumeMounts':[{'name':'v','mountPath':'/x','mountPropagation':'HostToContainer'}]") ",'volumes':[{"
                                                                                                         "'name':'v'}"
                                                                                                         "]"),
         NULL},
        {"", "Pod", POD(CONTAINER("") ",'volumes':[{'name':'v','emptyDir':{},'secret':{'secretName':'s'}}]"),
         "Pod \"p\" is invalid: spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"},
        {"", "Pod", POD(CONTAINER(",'ports':[{'containerPort':70000}]")),
         "Pod \"p\" is invalid: spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
         "65535, inclusive"},
        {"", "Pod", POD(CONTAINER(",'ports':[{'containerPort':80,'hostPort':80},{'containerPort':81,'hostPort':80}]")),
         "Pod \"p\" is invalid: spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\""},
        {"", "Pod", POD(CONTAINER(",'resources':{'requests':{'cpu':'2'},'limits':{'cpu':'1'}}")),
         "Pod \"p\" is invalid: spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or "
         "equal "
         "to cpu limit of 1"},
        {"", "Pod",
         POD(CONTAINER(",'securityContext':{'capabilities':{'add':['SYS_ADMIN']},'privileged':true}") ",'os':{'name':"
                                                                                                      "'windows'}"),
         "Pod \"p\" is invalid: [spec.containers[0].securityContext.capabilities: Forbidden: cannot be set for a "
         "windows "
         "pod, spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod]"},
        {"", "Pod", POD(CONTAINER("") ",'os':{'name':'windows'},'hostPID':true,'securityContext':{'runAsUser':0}"),
         "Pod \"p\" is invalid: [spec.hostPID: Forbidden: cannot be set for a windows pod, "
         "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod]"},
        {"", "Pod",
         POD(CONTAINER(",'securityContext':{'runAsNonRoot':true,'windowsOptions':{}}") ",'os':{'name':'windows'}"),
         NULL},
        {"", "Pod", POD(CONTAINER(",'securityContext':{'windowsOptions':{}}") ",'os':{'name':'linux'}"),
         "Pod \"p\" is invalid: spec.containers[0].securityContext.windowsOptions: Forbidden: windows options cannot "
         "be "
         "set for a linux pod"},
        {"", "Pod", POD(CONTAINER(",'securityContext':{'windowsOptions':{}}")), NULL},
        {"", "Pod", POD(CONTAINER(",'livenessProbe':{}")),
         "Pod \"p\" is invalid: spec.containers[0].livenessProbe: Required value: must specify a handler type"},
        {"", "Pod", POD(CONTAINER(",'livenessProbe':{'successThreshold':2,'exec':{'command':['x']}}")),
         "Pod \"p\" is invalid: spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"},
        {"", "Pod", POD(CONTAINER(",'livenessProbe':{'periodSeconds':-1,'tcpSocket':{'port':1}}")),
         "Pod \"p\" is invalid: spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater "
         "than "
         "or equal to 0"},
        {"", "Pod", POD(CONTAINER(",'env':[{'name':'a','value':'1'},{'name':'a','value':'2'}]")), NULL},
        {"", "Pod", "{'metadata':{'name':'p','labels':{'a':'-'}},'spec':{" CONTAINER("") "}}",
         "Pod \"p\" is invalid: metadata.labels: Invalid value: \"-\": a valid label must be an empty string or "
         "consist "
         "of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
         "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
         "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ""), NULL},
        {"apps", "Deployment", DEPLOYMENT("'a':'c'", ""),
         "Deployment.apps \"d\" is invalid: spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` "
         "does "
         "not match template `labels`"},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ",'replicas':-1"),
         "Deployment.apps \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ",'strategy':{'rollingUpdate':{'maxSurge':0,'maxUnavailable':0}}"),
         "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 "
         "when `maxSurge` is 0"},
        {"apps", "Deployment", "{'metadata':{'name':'d'},'spec':{'template':{'spec':{" CONTAINER("") "}}}}",
         "Deployment.apps \"d\" is invalid: spec.selector: Required value"},
        {"apps", "StatefulSet", DEPLOYMENT("'a':'b'", ""), NULL},
        {"apps", "DaemonSet", DEPLOYMENT("'a':'b'", ""), NULL},
        {"batch", "Job", "{'metadata':{'name':'j'},'spec':{'template':{'spec':{" CONTAINER("") "}}}}",
         "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", "
         "\"Never\""},
        {"", "Service", SERVICE("'ports':[{'port':80}],'selector':{'a':'b'}"), NULL},
        {"", "Service", SERVICE("'selector':{'a':'b'}"), "Service \"s\" is invalid: spec.ports: Required value"},
        {"", "Service", SERVICE("'clusterIP':'None'"), NULL},
        {"", "Service", SERVICE("'type':'ExternalName'"),
         "Service \"s\" is invalid: spec.externalName: Required value"},
        {"", "Service", SERVICE("'ports':[{'port':80},{'port':81,'name':'b'}]"),
         "Service \"s\" is invalid: spec.ports[0].name: Required value"},
        {"", "Service", SERVICE("'ports':[{'port':80,'name':'a'},{'port':80,'name':'b'}]"),
         "Service \"s\" is invalid: spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}"},
        {"", "Service", SERVICE("'clusterIP':'x','ports':[{'port':80}]"),
         "Service \"s\" is invalid: spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. "
         "10.9.8.7 or 2001:db8::ffff)"},
        {"", "ConfigMap", "{'metadata':{'name':'c'},'data':{'a b':'1'}}",
         "ConfigMap \"c\" is invalid: data[a b]: Invalid value: \"a b\": a valid config key must consist of "
         "alphanumeric "
         "characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
         "'[-._a-zA-Z0-9]+')"},
        {"", "Secret", "{'metadata':{'name':'c'},'type':'kubernetes.io/tls','data':{'tls.crt':''}}",
         "Secret \"c\" is invalid: data[tls.key]: Required value"},
        {"", "Namespace", "{'metadata':{'name':'a.b'}}",
         "Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": " TEXT_LABEL},
        {"", "Node", "{'metadata':{'name':'n','namespace':'x'}}",
         "Node \"n\" is invalid: metadata.namespace: Forbidden: not allowed on this type"},
        {"", "Node", "{'metadata':{'name':'n'},'status':{'conditions':[{}]}}", NULL},
        {"rbac.authorization.k8s.io", "ClusterRole", "{'metadata':{'name':'system:x'},'rules':[]}", NULL},
        {"rbac.authorization.k8s.io", "RoleBinding", "{'metadata':{'name':'r'},'roleRef':{'kind':'User','name':'x'}}",
         "RoleBinding.rbac.authorization.k8s.io \"r\" is invalid: roleRef.kind: Unsupported value: \"User\": supported "
         "values: \"ClusterRole\", \"Role\""},
        {"discovery.k8s.io", "EndpointSlice", "{'metadata':{'name':'e'},'addressType':'IPv4'}", NULL},
        {"coordination.k8s.io", "Lease", "{'metadata':{'name':'l'}}", NULL},
        {"authentication.k8s.io", "TokenReview", "{'spec':{'token':'x'}}", NULL},
        {"apiextensions.k8s.io", "CustomResourceDefinition",
         "{'metadata':{'name':'x'},'spec':{'group':'g.io','scope':'Namespaced','names':{'plural':'foos','kind':'Foo'},"
         "'versions':[{'name':'v1','served':true,'storage':true}]}}",
         "CustomResourceDefinition.apiextensions.k8s.io \"x\" is invalid: metadata.name: Invalid value: \"x\": must be "
         "spec.names.plural+\".\"+spec.group"},
};

#define TEXT_PERCENT                                                                                                   \
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used " \
        "for validation is '[0-9]+%')"
#define ROLLING(field, values) ",'" field "':{'rollingUpdate':{" values "}}"
#define BUDGET(spec) "{'metadata':{'name':'b'},'spec':{" spec "}}"

// Bounds of rolling updates and of budgets.
static const struct validate_case bounds[] = {
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxUnavailable':'100%'")), NULL},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxSurge':'200%'")), NULL},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxUnavailable':101")), NULL},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxUnavailable':'101%'")),
         "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must "
         "not be greater than 100%"},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxUnavailable':'5'")),
         "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "
         "\"5\": " TEXT_PERCENT},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxSurge':'-5%'")),
         "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxSurge: Invalid value: "
         "\"-5%\": " TEXT_PERCENT},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxSurge':-1")),
         "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater "
         "than or equal to 0"},
        {"apps", "Deployment", DEPLOYMENT("'a':'b'", ROLLING("strategy", "'maxUnavailable':'00%','maxSurge':0")),
         "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"00%\": may "
         "not "
         "be 0 when `maxSurge` is 0"},
        {"apps", "DaemonSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':'50%'")), NULL},
        {"apps", "DaemonSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':0,'maxSurge':1")),
         NULL},
        {"apps", "DaemonSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':1,'maxSurge':'1%'")),
         "DaemonSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"1%\": may not "
         "be "
         "set when maxUnavailable is non-zero"},
        {"apps", "DaemonSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':'0%'")),
         "DaemonSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be "
         "0 "
         "when maxSurge is 0"},
        {"apps", "DaemonSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':0,'maxSurge':'101%'")),
         "DaemonSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"101%\": must "
         "not "
         "be greater than 100%"},
        {"apps", "StatefulSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'partition':3,'maxUnavailable':2")),
         NULL},
        {"apps", "StatefulSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':0")),
         "StatefulSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: "
         "cannot "
         "be 0"},
        {"apps", "StatefulSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'maxUnavailable':'101%'")),
         "StatefulSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "
         "\"101%\": "
         "must not be greater than 100%"},
        {"apps", "StatefulSet", DEPLOYMENT("'a':'b'", ROLLING("updateStrategy", "'partition':-1")),
         "StatefulSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be "
         "greater than or equal to 0"},
        {"apps", "StatefulSet",
         DEPLOYMENT("'a':'b'", ",'updateStrategy':{'type':'OnDelete','rollingUpdate':{'partition':1}}"),
         "StatefulSet.apps \"d\" is invalid: spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only "
         "allowed for updateStrategy 'RollingUpdate'"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization','"
                    "averageUtilization':1}}}]"),
         NULL},
        {"autoscaling", "HorizontalPodAutoscaler", AUTOSCALER("'minReplicas':4"),
         AUTOSCALER_IS "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'minReplicas':0,'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{'type':'"
                    "AverageValue','averageValue':1}}}]"),
         AUTOSCALER_IS
         "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero "
         "replicas"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'minReplicas':0,'metrics':[{'type':'External','external':{'metric':{'name':'m'},'target':{'type':'"
                    "Value','value':1}}}]"),
         NULL},
        {"autoscaling", "HorizontalPodAutoscaler", AUTOSCALER("'metrics':[{'type':'Pods'}]"),
         AUTOSCALER_IS "spec.metrics[0].pods: Required value: must populate information for the given metric source"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'metrics':[{'type':'Pods','pods':{'metric':{'name':'m'},'target':{'type':'AverageValue','"
                    "averageValue':1}},"
                    "'resource':{'name':'cpu','target':{'type':'AverageValue','averageValue':1}}}]"),
         AUTOSCALER_IS "spec.metrics[0].resource: Forbidden: must populate the given metric source only"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization'}}}]"),
         AUTOSCALER_IS
         "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a "
         "target utilization"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{'type':'AverageValue','"
                    "averageValue':0}}}]"),
         AUTOSCALER_IS "spec.metrics[0].resource.target.averageValue: Invalid value: \"0\": must be positive"},
        {"autoscaling", "HorizontalPodAutoscaler",
         AUTOSCALER("'metrics':[{'type':'External','external':{'metric':{'name':'m'},'target':{'type':'Value','value':"
                    "1,'averageValue':1}}}]"),
         AUTOSCALER_IS
         "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod "
         "target"},
        {"policy", "PodDisruptionBudget", BUDGET("'maxUnavailable':'100%'"), NULL},
        {"policy", "PodDisruptionBudget", BUDGET("'maxUnavailable':0"), NULL},
        {"policy", "PodDisruptionBudget", BUDGET("'minAvailable':'101%'"),
         "PodDisruptionBudget.policy \"b\" is invalid: spec.minAvailable: Invalid value: \"101%\": must not be greater "
         "than 100%"},
        {"policy", "PodDisruptionBudget", BUDGET("'maxUnavailable':'101%'"),
         "PodDisruptionBudget.policy \"b\" is invalid: spec.maxUnavailable: Invalid value: \"101%\": must not be "
         "greater "
         "than 100%"},
        {"policy", "PodDisruptionBudget", BUDGET("'maxUnavailable':-1"),
         "PodDisruptionBudget.policy \"b\" is invalid: spec.maxUnavailable: Invalid value: -1: must be greater than or "
         "equal to 0"},
};

#define TEMPLATE(kind_spec, pod_spec)                                                                                  \
        "{'metadata':{'name':'d'},'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':"      \
        "{'a':'b'}},'spec':{" pod_spec "}}" kind_spec "}}"
#define CLAIMS                                                                                                         \
        ",'volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{'accessModes':['ReadWriteOnce'],'resources':"    \
        "{'requests':{'storage':'1Gi'}}}}]"

// Resources that come in whole units.
static const struct validate_case amounts[] = {
        {"", "Pod", POD(CONTAINER(",'resources':{'limits':{'cpu':'1500u','memory':'0.5','example.com/gpu':'2'}}")),
         NULL},
        {"", "Pod", POD(CONTAINER(",'resources':{'limits':{'example.com/gpu':'1500m'}}")),
         "Pod \"p\" is invalid: [spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"1500m\": must "
         "be "
         "an integer, spec.containers[0].resources.requests[example.com/gpu]: Invalid value: \"1500m\": must be an "
         "integer]"},
        {"", "ResourceQuota",
         "{'metadata':{'name':'q'},'spec':{'hard':{'pods':'10','cpu':'1500m','count/jobs.batch':'3',"
         "'requests.nvidia.com/gpu':'4'}}}",
         NULL},
        {"", "ResourceQuota", "{'metadata':{'name':'q'},'spec':{'hard':{'pods':'1500m'}}}",
         "ResourceQuota \"q\" is invalid: spec.hard[pods]: Invalid value: \"1500m\": must be an integer"},
        {"", "ResourceQuota", "{'metadata':{'name':'q'},'spec':{'hard':{'count/jobs.batch':'500u'}}}",
         "ResourceQuota \"q\" is invalid: spec.hard[count/jobs.batch]: Invalid value: \"1m\": must be an integer"},
        {"", "ResourceQuota", "{'metadata':{'name':'q'},'spec':{'hard':{'cpu':'-1'}}}",
         "ResourceQuota \"q\" is invalid: spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"},
};

// What an owner adds to its pods, and what it cannot have in them.
static const struct validate_case templates[] = {
        {"apps", "StatefulSet", TEMPLATE(CLAIMS, CONTAINER(",'volumeMounts':[{'name':'data','mountPath':'/x'}]")),
         NULL},
        {"apps", "StatefulSet", TEMPLATE(CLAIMS, CONTAINER(",'volumeDevices':[{'name':'data','devicePath':'/x'}]")),
         NULL},
        {"apps", "StatefulSet", TEMPLATE(CLAIMS, CONTAINER(",'volumeMounts':[{'name':'other','mountPath':'/x'}]")),
         "StatefulSet.apps \"d\" is invalid: spec.template.spec.containers[0].volumeMounts[0].name: Not found: "
         "\"other\""},
        {"apps", "DaemonSet", TEMPLATE("", CONTAINER(",'volumeDevices':[{'name':'data','devicePath':'/x'}]")),
         "DaemonSet.apps \"d\" is invalid: spec.template.spec.containers[0].volumeDevices[0].name: Not found: "
         "\"data\""},
        {"apps", "Deployment",
         TEMPLATE("", CONTAINER(",'volumeMounts':[{'name':'e','mountPath':'/x'}]") ",'volumes':[{'name':'e','ephemeral'"
                                                                                   ":{'volumeClaimTemplate':{'spec':{'"
                                                                                   "accessModes':['ReadWriteOnce'],'"
                                                                                   "resources':{'requests':"
                                                                                   "{'storage':'1Gi'}}}}}}]"),
         NULL},
        {"apps", "Deployment", TEMPLATE("", CONTAINER("") ",'activeDeadlineSeconds':5"),
         "Deployment.apps \"d\" is invalid: spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds "
         "in ReplicaSet is not Supported"},
        {"apps", "StatefulSet", TEMPLATE("", CONTAINER("") ",'activeDeadlineSeconds':5"),
         "StatefulSet.apps \"d\" is invalid: spec.template.spec.activeDeadlineSeconds: Forbidden: "
         "activeDeadlineSeconds "
         "in StatefulSet is not Supported"},
        {"apps", "DaemonSet", TEMPLATE("", CONTAINER("") ",'restartPolicy':'Never'"),
         "DaemonSet.apps \"d\" is invalid: spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported "
         "values: \"Always\""},
        {"", "ReplicationController",
         "{'metadata':{'name':'d'},'spec':{'template':{'metadata':{'labels':{'a':'b'}},'spec':{" CONTAINER(
                 "") ",'restartPolicy':'Never'}}}}",
         "ReplicationController \"d\" is invalid: spec.template.spec.restartPolicy: Unsupported value: \"Never\": "
         "supported values: \"Always\""},
        {"batch", "Job",
         "{'metadata':{'name':'d'},'spec':{'template':{'spec':{" CONTAINER(
                 "") ",'restartPolicy':'Never','activeDeadlineSeconds':5}}}}",
         NULL},
        {"apps", "Deployment", TEMPLATE("", CONTAINER("") ",'ephemeralContainers':[{'name':'e','image':'i'}]"),
         "Deployment.apps \"d\" is invalid: spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers "
         "not "
         "allowed in pod template"},
};

#define JOB(spec)                                                                                                      \
        "{'metadata':{'name':'j'},'spec':{" spec "'template':{'spec':{" CONTAINER("") ",'restartPolicy':'Never'}}}}"
#define CODES(codes) "'podFailurePolicy':{'rules':[{'action':'Count','onExitCodes':{" codes "}}]},"
#define RULES "Job.batch \"j\" is invalid: spec.podFailurePolicy.rules[0]"
#define INDEXED(rest) "'completionMode':'Indexed','completions':5," rest
#define SUCCESS(rule) INDEXED("'successPolicy':{'rules':[{" rule "}]},")
#define SUCCESSES "Job.batch \"j\" is invalid: spec.successPolicy.rules[0]"
#define CRON(schedule, job)                                                                                            \
        "{'metadata':{'name':'c'},'spec':{'schedule':'" schedule "','jobTemplate':{'spec':{" job                       \
        "'template':{'spec':{" CONTAINER("") ",'restartPolicy':'Never'}}}}}}"
static const struct validate_case jobs[] = {
        {"batch", "Job", JOB("'completionMode':'Indexed','parallelism':2,"),
         "Job.batch \"j\" is invalid: spec.completions: Required value: when completion mode is Indexed"},
        {"batch", "Job", JOB(INDEXED("'parallelism':100001,")),
         "Job.batch \"j\" is invalid: spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 "
         "when completion mode is Indexed"},
        {"batch", "Job", JOB(INDEXED("'maxFailedIndexes':6,'backoffLimitPerIndex':1,")),
         "Job.batch \"j\" is invalid: spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to "
         "completions"},
        {"batch", "Job", JOB(INDEXED("'maxFailedIndexes':1,")),
         "Job.batch \"j\" is invalid: spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"},
        {"batch", "Job", JOB("'backoffLimitPerIndex':1,"),
         "Job.batch \"j\" is invalid: spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"},
        {"batch", "Job",
         JOB("'completionMode':'Indexed','completions':100001,'parallelism':10001,'backoffLimitPerIndex':1,'"
             "maxFailedIndexes':10001,"),
         "Job.batch \"j\" is invalid: [spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 "
         "when "
         "completions are above 100000 and used with backoff limit per index, spec.maxFailedIndexes: Invalid value: "
         "10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per "
         "index]"},
        {"batch", "Job", JOB("'managedBy':'example.com/x',"), NULL},
        {"batch", "Job", JOB("'managedBy':'me',"),
         "Job.batch \"j\" is invalid: spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as "
         "\"acme.io/foo\")"},
        {"batch", "Job", JOB(CODES("'operator':'In','values':[1,2]")), NULL},
        {"batch", "Job", JOB(CODES("'operator':'In','values':[0,2]")),
         RULES ".onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"},
        {"batch", "Job", JOB(CODES("'operator':'NotIn','values':[2,1]")),
         RULES ".onExitCodes.values: Invalid value: [2,1]: must be ordered"},
        {"batch", "Job", JOB(CODES("'operator':'NotIn','values':[1],'containerName':'other'")),
         RULES ".onExitCodes.containerName: Invalid value: \"other\": must be one of the container or initContainer "
               "names in the pod template"},
        {"batch", "Job", JOB("'podFailurePolicy':{'rules':[{'action':'Ignore'}]},"),
         RULES ": Invalid value: specifying one of OnExitCodes and OnPodConditions is required"},
        {"batch", "Job",
         JOB("'podFailurePolicy':{'rules':[{'action':'FailIndex','onPodConditions':[{'type':'X','status':'Maybe'}]}]}"
             ","),
         "Job.batch \"j\" is invalid: [spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires "
         "the "
         "backoffLimitPerIndex to be set, spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: "
         "\"Maybe\": supported values: \"False\", \"True\", \"Unknown\"]"},
        {"batch", "Job", JOB(CODES("'operator':'In','values':[1]") "'podReplacementPolicy':'TerminatingOrFailed',"),
         "Job.batch \"j\" is invalid: spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported "
         "values: \"Failed\""},
        {"batch", "Job",
         "{'metadata':{'name':'j'},'spec':{" CODES("'operator':'In','values':[1]") "'template':{'spec':{" CONTAINER(
                 "") ",'restartPolicy':'OnFailure'}}}}",
         "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" "
         "is "
         "supported when podFailurePolicy is specified"},
        {"batch", "Job", JOB(SUCCESS("'succeededIndexes':'0,2-4','succeededCount':2")), NULL},
        {"batch", "Job", JOB(SUCCESS("")),
         SUCCESSES ": Required value: at least one of succeededCount or succeededIndexes must be specified"},
        {"batch", "Job", JOB(SUCCESS("'succeededIndexes':'0,9'")),
         SUCCESSES ".succeededIndexes: Invalid value: \"0,9\": error parsing succeededIndexes: too large index: \"9\""},
        {"batch", "Job", JOB(SUCCESS("'succeededIndexes':'0,2','succeededCount':3")),
         SUCCESSES ".succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the "
                   "specified succeededIndexes field)"},
        {"batch", "Job", JOB("'successPolicy':{'rules':[{'succeededCount':1}]},"),
         "Job.batch \"j\" is invalid: spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: "
         "requires "
         "indexed completion mode"},
        {"batch", "CronJob", CRON("*/5 9-17 * * mon-fri", ""), NULL},
        {"batch", "CronJob", CRON("@hourly", ""), NULL},
        {"batch", "CronJob", CRON("* * * *", ""),
         "CronJob.batch \"c\" is invalid: spec.schedule: Invalid value: \"* * * *\": expected exactly 5 fields, found "
         "4: "
         "[* * * *]"},
        {"batch", "CronJob", CRON("CRON_TZ=UTC 0 * * * *", ""),
         "CronJob.batch \"c\" is invalid: spec.schedule: Invalid value: \"CRON_TZ=UTC 0 * * * *\": cannot use TZ or "
         "CRON_TZ in schedule, use timeZone field instead"},
        {"batch", "CronJob", CRON("@hourly", "'selector':{'matchLabels':{'a':'b'}},"),
         "CronJob.batch \"c\" is invalid: spec.jobTemplate.spec.selector: Invalid value: "
         "{\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated"},
        {"batch", "CronJob", CRON("@hourly", "'backoffLimitPerIndex':1,"),
         "CronJob.batch \"c\" is invalid: spec.jobTemplate.spec.backoffLimitPerIndex: Invalid value: 1: requires "
         "indexed "
         "completion mode"},
};

static void test_messages(void **state)
{
        (void)state;
        check_messages(cases, CX_ARRAY_SIZE(cases));
        check_messages(bounds, CX_ARRAY_SIZE(bounds));
        check_messages(amounts, CX_ARRAY_SIZE(amounts));
        check_messages(templates, CX_ARRAY_SIZE(templates));
        check_messages(jobs, CX_ARRAY_SIZE(jobs));
}

static void test_causes(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *object = quoted_json("{'metadata':{'name':'p'},'spec':{'containers':[{'name':'c'}]}}");
        assert_int_equal(cx_schema_validate(cx_schema_kind("", "v1", "Pod"), object, &err), -EINVAL);
        assert_string_equal(err.kind, "Pod");
        assert_string_equal(err.name, "p");
        assert_string_equal(err.causes[0].reason, "FieldValueRequired");
        assert_string_equal(err.causes[0].field, "spec.containers[0].image");
        assert_string_equal(err.causes[0].message, "Required value");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages), cmocka_unit_test(test_causes)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
