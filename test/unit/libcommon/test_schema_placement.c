// SPDX-License-Identifier: Apache-2.0
// Where pods and volumes may be: every rule of node selectors, affinity, spreading and topologies at write.
#include "test/unit/libcommon/schema_test.h"

#define POD(spec) "{'metadata':{'name':'p'},'spec':{'containers':[{'name':'c','image':'i'}]," spec "}}"
#define NODE(terms)                                                                                                    \
        POD("'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':"       \
            "[" terms "]}}}")
#define EXPRESSION(rest) NODE("{'matchExpressions':[{'key':'k'," rest "}]}")
#define FIELD(rest) NODE("{'matchFields':[{" rest "}]}")
#define PREFERRED(item)                                                                                                \
        POD("'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{" item "}]}}")
#define NEAR(item) POD("'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{" item "}]}}")
#define APART(item)                                                                                                    \
        POD("'affinity':{'podAntiAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{" item "}]}}")
#define SPREAD(item) POD("'topologySpreadConstraints':[{" item "}]")
#define VOLUME(affinity)                                                                                               \
        "{'metadata':{'name':'p'},'spec':{'capacity':{'storage':'1Gi'},'accessModes':['ReadWriteOnce'],'hostPath':"    \
        "{'path':'/x'},'nodeAffinity':{" affinity "}}}"
#define REQUIRED                                                                                                       \
        "Pod \"p\" is invalid: "                                                                                       \
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
#define AT_EXPRESSION REQUIRED "[0].matchExpressions[0]."
#define AT_FIELD REQUIRED "[0].matchFields[0]."
#define AT_SPREAD "Pod \"p\" is invalid: spec.topologySpreadConstraints[0]."
#define AT_NEAR "Pod \"p\" is invalid: spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]."
#define TEXT_NAME                                                                                                      \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "          \
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "           \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define TEXT_VALUE                                                                                                     \
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "      \
        "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "   \
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define TEXT_SUBDOMAIN                                                                                                 \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

static const struct validate_case nodes[] = {
        {"", "Pod", NODE(""), REQUIRED ": Required value: must have at least one node selector term"},
        {"", "Pod", NODE("{}"), NULL},
        {"", "Pod", EXPRESSION("'operator':'In','values':['a','b','']"), NULL},
        {"", "Pod", EXPRESSION("'operator':'In'"),
         AT_EXPRESSION "values: Required value: must be specified when `operator` is 'In' or 'NotIn'"},
        {"", "Pod", EXPRESSION("'operator':'NotIn'"),
         AT_EXPRESSION "values: Required value: must be specified when `operator` is 'In' or 'NotIn'"},
        {"", "Pod", EXPRESSION("'operator':'Exists'"), NULL},
        {"", "Pod", EXPRESSION("'operator':'DoesNotExist','values':['a']"),
         AT_EXPRESSION "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"},
        {"", "Pod", EXPRESSION("'operator':'Gt','values':['5']"), NULL},
        {"", "Pod", EXPRESSION("'operator':'Lt','values':['5','6']"),
         AT_EXPRESSION "values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"},
        {"", "Pod", EXPRESSION("'operator':'Is','values':['5']"),
         AT_EXPRESSION "operator: Unsupported value: \"Is\": supported values: \"DoesNotExist\", \"Exists\", \"Gt\", "
                       "\"In\", \"Lt\", \"NotIn\""},
        {"", "Pod", EXPRESSION("'operator':'In','values':['a','b c']"),
         AT_EXPRESSION "values[1]: Invalid value: \"b c\": " TEXT_VALUE},
        {"", "Pod", NODE("{'matchExpressions':[{'key':'a b','operator':'Exists'}]}"),
         AT_EXPRESSION "key: Invalid value: \"a b\": " TEXT_NAME},
        {"", "Pod", FIELD("'key':'metadata.name','operator':'In','values':['n']"), NULL},
        {"", "Pod", FIELD("'key':'metadata.name','operator':'NotIn','values':['n']"), NULL},
        {"", "Pod", FIELD("'key':'metadata.name','operator':'In','values':['n','m']"),
         AT_FIELD "values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field "
                  "selector"},
        {"", "Pod", FIELD("'key':'metadata.name','operator':'Exists'"),
         AT_FIELD "operator: Invalid value: \"Exists\": not a valid selector operator"},
        {"", "Pod", FIELD("'key':'metadata.namespace','operator':'In','values':['n']"),
         AT_FIELD "key: Invalid value: \"metadata.namespace\": not a valid field selector key"},
        {"", "Pod", FIELD("'key':'metadata.name','operator':'In','values':['N']"),
         AT_FIELD "values[0]: Invalid value: \"N\": " TEXT_SUBDOMAIN},
        {"", "Pod",
         PREFERRED("'weight':100,'preference':{'matchExpressions':[{'key':'k','operator':'In','values':['b c']}]}"),
         NULL},
        {"", "Pod", PREFERRED("'weight':0,'preference':{}"),
         "Pod \"p\" is invalid: spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
         "Invalid value: 0: must be in the range 1-100"},
        {"", "Pod", PREFERRED("'weight':101,'preference':{}"),
         "Pod \"p\" is invalid: spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
         "Invalid value: 101: must be in the range 1-100"},
        {"", "Pod", PREFERRED("'preference':{}"),
         "Pod \"p\" is invalid: spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
         "Invalid value: 0: must be in the range 1-100"},
        {"", "PersistentVolume", VOLUME("'required':{'nodeSelectorTerms':[{}]}"), NULL},
        {"", "PersistentVolume", VOLUME(""),
         "PersistentVolume \"p\" is invalid: spec.nodeAffinity.required: Required value: must specify required node "
         "constraints"},
        {"", "PersistentVolume",
         VOLUME("'required':{'nodeSelectorTerms':[{'matchFields':[{'key':'x','operator':'In',"
                "'values':['n']}]}]}"),
         "PersistentVolume \"p\" is invalid: spec.nodeAffinity.required.nodeSelectorTerms[0].matchFields[0].key: "
         "Invalid "
         "value: \"x\": not a valid field selector key"},
};

static const struct validate_case pods[] = {
        {"", "Pod", NEAR("'topologyKey':'zone','labelSelector':{'matchLabels':{'a':'b'}},'matchLabelKeys':['c']"),
         NULL},
        {"", "Pod", NEAR("'labelSelector':{}"),
         "Pod \"p\" is invalid: "
         "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can "
         "not be empty"},
        {"", "Pod", NEAR("'topologyKey':'a b'"), AT_NEAR "topologyKey: Invalid value: \"a b\": " TEXT_NAME},
        {"", "Pod", NEAR("'topologyKey':'z','matchLabelKeys':['c']"),
         AT_NEAR "matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"},
        {"", "Pod", NEAR("'topologyKey':'z','labelSelector':{'matchLabels':{'c':'d'}},'matchLabelKeys':['c']"),
         AT_NEAR "matchLabelKeys[0]: Invalid value: \"c\": exists in both matchLabelKeys and labelSelector"},
        {"", "Pod", NEAR("'topologyKey':'z','labelSelector':{'matchLabels':{'c':'d'}},'mismatchLabelKeys':['c']"),
         NULL},
        {"", "Pod", NEAR("'topologyKey':'z','labelSelector':{},'matchLabelKeys':['c'],'mismatchLabelKeys':['d','c']"),
         AT_NEAR "matchLabelKeys[0]: Invalid value: \"c\": exists in both matchLabelKeys and mismatchLabelKeys"},
        {"", "Pod",
         NEAR("'topologyKey':'z','labelSelector':{'matchExpressions':[{'key':'k','operator':'In','values':"
              "['b c']}]}"),
         AT_NEAR "labelSelector.matchExpressions[0].values[0]: Invalid value: \"b c\": " TEXT_VALUE},
        {"", "Pod", APART("'weight':5,'podAffinityTerm':{'topologyKey':'z'}"), NULL},
        {"", "Pod", APART("'weight':200,'podAffinityTerm':{'topologyKey':'z'}"),
         "Pod \"p\" is invalid: "
         "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
         "Invalid value: 200: must be in the range 1-100"},
        {"", "Pod", SPREAD("'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'ScheduleAnyway'"), NULL},
        {"", "Pod", SPREAD("'topologyKey':'z','whenUnsatisfiable':'ScheduleAnyway'"),
         AT_SPREAD "maxSkew: Invalid value: 0: must be greater than zero"},
        {"", "Pod", SPREAD("'maxSkew':1,'whenUnsatisfiable':'ScheduleAnyway'"),
         AT_SPREAD "topologyKey: Required value: can not be empty"},
        {"", "Pod", SPREAD("'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'Never'"),
         AT_SPREAD "whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", "
                   "\"ScheduleAnyway\""},
        {"", "Pod", SPREAD("'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'DoNotSchedule','minDomains':2"), NULL},
        {"", "Pod", SPREAD("'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'DoNotSchedule','minDomains':0"),
         AT_SPREAD "minDomains: Invalid value: 0: must be greater than zero"},
        {"", "Pod", SPREAD("'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'ScheduleAnyway','minDomains':2"),
         AT_SPREAD "minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
                   "ScheduleAnyway"},
        {"", "Pod", SPREAD("'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'DoNotSchedule','matchLabelKeys':['k']"),
         AT_SPREAD "matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"},
        {"storage.k8s.io", "StorageClass",
         "{'metadata':{'name':'s'},'provisioner':'p','allowedTopologies':[{'matchLabelExpressions':[{'key':'z','values'"
         ":"
         "['a','a']}]}]}",
         "StorageClass.storage.k8s.io \"s\" is invalid: allowedTopologies[0].matchLabelExpressions[0].values[1]: "
         "Duplicate value: \"a\""},
};

static void test_nodes(void **state)
{
        (void)state;
        check_messages(nodes, CX_ARRAY_SIZE(nodes));
}

static void test_pods(void **state)
{
        (void)state;
        check_messages(pods, CX_ARRAY_SIZE(pods));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_nodes), cmocka_unit_test(test_pods)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
