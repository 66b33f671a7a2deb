// SPDX-License-Identifier: Apache-2.0
#include "test/unit/libcommon/schema_test.h"

#define POD(spec) "{'metadata':{'name':'p'},'spec':{" spec "}}"
#define CONTAINER(rest) "'containers':[{'name':'c','image':'i'" rest "}]"
#define DEPLOYMENT(labels, rest)                                                                                       \
        "{'metadata':{'name':'d'},'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':"      \
        "{" labels "}},'spec':{" CONTAINER("") "}}" rest "}}"
#define SERVICE(spec) "{'metadata':{'name':'s'},'spec':{" spec "}}"
#define TEXT_LABEL                                                                                                     \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
        "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "             \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

static const struct {
        const char *group, *kind, *object, *message; // message NULL: valid
} cases[] = {
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

static void test_messages(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                const struct cx_kind *kind = cx_schema_kind(cases[i].group, "v1", cases[i].kind);
                assert_non_null(kind);
                json_auto_t *object = quoted_json(cases[i].object);
                assert_int_equal(cx_schema_decode(kind->type, object, CX_FIELDS_STRICT, NULL, NULL, NULL), 0);
                cx_schema_default(kind, object);
                int r = cx_schema_validate(kind, object, &err);
                if (!cases[i].message && r < 0)
                        fail_msg("%s: %s", cases[i].object, err.message);
                if (!cases[i].message)
                        continue;
                assert_int_equal(r, -EINVAL);
                assert_int_equal(err.reason, CX_REASON_INVALID);
                assert_string_equal(err.message, cases[i].message);
                assert_true(err.n_causes >= 1);
        }
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
