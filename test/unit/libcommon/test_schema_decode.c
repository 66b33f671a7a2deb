// SPDX-License-Identifier: Apache-2.0
#include "test/unit/libcommon/schema_test.h"

static void test_wrong_types(void **state)
{
        (void)state;
        static const struct {
                const char *type, *object, *message;
        } cases[] = {
                {"apps.v1.Deployment", "{'spec':{'replicas':'3'}}",
                 "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into "
                 "Go "
                 "struct field DeploymentSpec.spec.replicas of type int32"},
                {"apps.v1.Deployment", "{'spec':{'template':{'spec':{'containers':[{'image':5}]}}}}",
                 "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal number into "
                 "Go "
                 "struct field Container.spec.template.spec.containers.image of type string"},
                {"core.v1.Pod", "{'spec':{'containers':{}}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field "
                 "PodSpec.spec.containers of type []v1.Container"},
                {"core.v1.Pod", "{'spec':'x'}",
                 "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field "
                 "Pod.spec of type v1.PodSpec"},
                {"core.v1.Pod", "{'metadata':{'labels':{'a':1}}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field "
                 "ObjectMeta.metadata.labels of type string"},
                {"core.v1.Pod", "{'spec':{'priority':3000000000}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number 3000000000 into Go "
                 "struct field PodSpec.spec.priority of type int32"},
                {"core.v1.Pod", "{'spec':{'priority':1.5}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number 1.5 into Go struct "
                 "field PodSpec.spec.priority of type int32"},
                {"core.v1.Pod", "{'spec':{'hostNetwork':'true'}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field "
                 "PodSpec.spec.hostNetwork of type bool"},
                {"core.v1.Pod", "{'metadata':{'creationTimestamp':'yesterday'}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: parsing time \"yesterday\" as "
                 "\"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\""},
                {"core.v1.Secret", "{'data':{'a':'!!!'}}",
                 "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0"},
                {"core.v1.Pod", "{'spec':{'containers':[{'resources':{'limits':{'cpu':'much'}}}]}}",
                 "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression "
                 "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
                {"core.v1.Service", "{'spec':{'ports':[{'targetPort':true}]}}",
                 "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal bool into Go value "
                 "of type int32"},
                {"core.v1.Service", "[]",
                 "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal array into Go value "
                 "of type v1.Service"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *object = quoted_json(cases[i].object);
                assert_int_equal(
                        cx_schema_decode(cx_schema_type(cases[i].type), object, CX_FIELDS_STRICT, NULL, NULL, &err),
                        -EINVAL);
                assert_int_equal(err.reason, CX_REASON_BAD_REQUEST);
                assert_string_equal(err.message, cases[i].message);
        }
}

static void test_unknown_fields(void **state)
{
        (void)state;
        const struct cx_type *type = cx_schema_type("apps.v1.Deployment");
        const char *text = "{'spec':{'foo':1,'template':{'spec':{'containers':[{'name':'a'},{'name':'b','bar':{}}]}}}}";
        const char *pruned = "{'spec':{'template':{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}}}";
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *strict = quoted_json(text);
        assert_int_equal(cx_schema_decode(type, strict, CX_FIELDS_STRICT, NULL, NULL, &err), -EINVAL);
        assert_string_equal(err.message,
                            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: "
                            "unknown field \"spec.foo\", unknown field \"spec.template.spec.containers[1].bar\"");
        CX_STRINGS warnings = CX_STRINGS_INIT;
        json_auto_t *warn = quoted_json(text);
        assert_int_equal(cx_schema_decode(type, warn, CX_FIELDS_WARN, NULL, &warnings, NULL), 0);
        assert_int_equal(warnings.count, 2);
        assert_string_equal(warnings.items[0], "unknown field \"spec.foo\"");
        assert_json(warn, pruned);
        json_auto_t *ignored = quoted_json(text);
        assert_int_equal(cx_schema_decode(type, ignored, CX_FIELDS_IGNORE, NULL, &warnings, NULL), 0);
        assert_int_equal(warnings.count, 2);
        assert_json(ignored, pruned);
}

static void test_values_are_normalised(void **state)
{
        (void)state;
        static const struct {
                const char *type, *object, *wanted;
        } cases[] = {
                {"core.v1.Pod", "{'metadata':{'creationTimestamp':null,'labels':{'a':null}}}",
                 "{'metadata':{'labels':{'a':''}}}"},
                {"core.v1.Container", "{'args':['a',null],'env':[null]}", "{'args':['a',''],'env':[{}]}"},
                {"core.v1.ResourceRequirements", "{'limits':{'cpu':'0.5','memory':'1024Mi','x':2,'y':null}}",
                 "{'limits':{'cpu':'500m','memory':'1Gi','x':'2','y':'0'}}"},
                {"meta.v1.ManagedFieldsEntry", "{'fieldsV1':{'f:a':{'.':null}}}", "{'fieldsV1':{'f:a':{'.':null}}}"},
                {"authentication.v1.UserInfo", "{'extra':{'a':null,'b':['x']}}", "{'extra':{'a':[],'b':['x']}}"},
                // optional lists and maps go when they are empty; objects, required ones and a few others stay
                {"meta.v1.ObjectMeta", "{'name':'x','finalizers':[],'labels':{},'ownerReferences':[]}", "{'name':'x'}"},
                {"core.v1.PodSpec", "{'containers':[],'volumes':[],'securityContext':{},'nodeSelector':{}}",
                 "{'containers':[],'securityContext':{}}"},
                {"rbac.v1.Role", "{'rules':[]}", "{'rules':[]}"},
                {"core.v1.EmptyDirVolumeSource", "{'sizeLimit':7}", "{'sizeLimit':'7'}"}, // the number is gone then
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *object = quoted_json(cases[i].object);
                assert_int_equal(
                        cx_schema_decode(cx_schema_type(cases[i].type), object, CX_FIELDS_STRICT, NULL, NULL, NULL), 0);
                assert_json(object, cases[i].wanted);
        }
}

// Lists of resources are kept in thousandths, rounded up; a quantity by itself and those of devices are exact.
static void test_resource_lists(void **state)
{
        (void)state;
        static const struct stored_case cases[] = {
                {"core.v1.ResourceRequirements",
                 "{'limits':{'cpu':'500u'},'requests':{'cpu':'100.0005','memory':'1Gi'}}",
                 "{'limits':{'cpu':'1m'},'requests':{'cpu':'100001m','memory':'1Gi'}}"},
                {"core.v1.ResourceRequirements", "{'limits':{'cpu':'1n','memory':'0.1Ki','a/b':'-500u'}}",
                 "{'limits':{'cpu':'1m','memory':'102400m','a/b':'-1m'}}"},
                {"core.v1.PodSpec", "{'overhead':{'cpu':'1100u'}}", "{'overhead':{'cpu':'2m'}}"},
                {"core.v1.NodeStatus", "{'capacity':{'cpu':'1n'},'allocatable':{'cpu':1e-6}}",
                 "{'capacity':{'cpu':'1m'},'allocatable':{'cpu':'1m'}}"},
                {"core.v1.LimitRangeItem", "{'max':{'cpu':'1u'},'min':{'cpu':'1u'},'default':{'cpu':'1u'}}",
                 "{'max':{'cpu':'1m'},'min':{'cpu':'1m'},'default':{'cpu':'1m'}}"},
                {"core.v1.ResourceQuotaSpec", "{'hard':{'cpu':'1001u'}}", "{'hard':{'cpu':'2m'}}"},
                {"core.v1.PersistentVolumeSpec", "{'capacity':{'storage':'1u'}}", "{'capacity':{'storage':'1m'}}"},
                {"core.v1.VolumeResourceRequirements", "{'requests':{'storage':'1u'}}",
                 "{'requests':{'storage':'1m'}}"},
                {"node.v1.Overhead", "{'podFixed':{'cpu':'1u'}}", "{'podFixed':{'cpu':'1m'}}"},
                {"core.v1.EmptyDirVolumeSource", "{'sizeLimit':'1u'}", "{'sizeLimit':'1u'}"},
                {"resource.v1.CapacityRequirements", "{'requests':{'a':'1u'}}", "{'requests':{'a':'1u'}}"},
        };
        check_stored(cases, CX_ARRAY_SIZE(cases));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wrong_types),
                cmocka_unit_test(test_resource_lists),
                cmocka_unit_test(test_unknown_fields),
                cmocka_unit_test(test_values_are_normalised),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
