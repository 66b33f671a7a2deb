// SPDX-License-Identifier: Apache-2.0
// Field sets and merging of server-side apply.
#include "libcommon/schema/fields.h"
#include "test/unit/libcommon/schema_test.h"

static json_t *fields_of(const char *type, const char *object)
{
        json_auto_t *value = quoted_json(object);
        json_t *fields = NULL;
        assert_int_equal(cx_fields_of(cx_schema_type(type), value, true, &fields, NULL), 0);
        return fields;
}

static void test_sets(void **state)
{
        static const struct {
                const char *type, *object, *fields;
        } table[] = {
                {"core.v1.ConfigMap", "{'data':{'a':'1','b':'2'}}", "{'f:data':{'f:a':{},'f:b':{}}}"},
                {"core.v1.ConfigMap", "{'data':{}}", "{'f:data':{}}"},
                {"core.v1.ConfigMap", "{'unknown':1}", "{}"},
                // an atomic type, an atomic list, a map list, a set, defaults of keys
                {"apps.v1.DeploymentSpec", "{'selector':{'matchLabels':{'a':'b'}}}", "{'f:selector':{}}"},
                {"core.v1.Container", "{'args':['a','b']}", "{'f:args':{}}"},
                {"core.v1.PodSpec", "{'containers':[{'name':'c','image':'i'}]}",
                 "{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:image':{},'f:name':{}}}}"},
                {"core.v1.Container", "{'ports':[{'containerPort':80}]}",
                 "{'f:ports':{'k:{\\'containerPort\\':80,\\'protocol\\':\\'TCP\\'}':{'.':{},'f:containerPort':{}}}}"},
                {"meta.v1.ObjectMeta", "{'finalizers':['x/y']}", "{'f:finalizers':{'v:\\'x/y\\'':{}}}"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *fields = fields_of(table[i].type, table[i].object);
                assert_json(fields, table[i].fields);
        }
}

static void test_duplicates(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *twice = quoted_json("{'containers':[{'name':'c'},{'name':'c','image':'i'}]}");
        json_auto_t *fields = NULL;
        assert_int_equal(cx_fields_of(cx_schema_type("core.v1.PodSpec"), twice, true, &fields, &err), -EINVAL);
        assert_string_equal(cx_error_text(&err), "containers: duplicate entries for key [{\"name\":\"c\"}]");
        assert_int_equal(cx_fields_of(cx_schema_type("core.v1.PodSpec"), twice, false, &fields, NULL), 0);
}

static void test_changed(void **state)
{
        static const struct {
                const char *now, *old, *fields;
        } table[] = {
                {"{'replicas':2}", "{'replicas':2}", "{}"},
                {"{'replicas':3}", "{'replicas':2}", "{'f:replicas':{}}"},
                {"{'replicas':3}", "{'replicas':3,'paused':true}", "{}"}, // what is gone is not changed
                {"{'template':{'spec':{'containers':[{'name':'a','image':'2'},{'name':'b'}]}}}",
                 "{'template':{'spec':{'containers':[{'name':'a','image':'1'}]}}}",
                 "{'f:template':{'f:spec':{'f:containers':{'k:{\\'name\\':\\'a\\'}':{'f:image':{}},"
                 "'k:{\\'name\\':\\'b\\'}':{'.':{},'f:name':{}}}}}}"},
                {"{'selector':{'matchLabels':{'a':'c'}}}", "{'selector':{'matchLabels':{'a':'b'}}}",
                 "{'f:selector':{}}"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *now = quoted_json(table[i].now);
                json_auto_t *old = quoted_json(table[i].old);
                json_auto_t *fields = cx_fields_changed(cx_schema_type("apps.v1.DeploymentSpec"), now, old);
                assert_json(fields, table[i].fields);
        }
}

static void test_operations(void **state)
{
        static const struct {
                json_t *(*operation)(const json_t *a, const json_t *b);
                const char *a, *b, *result;
        } table[] = {
                {cx_fields_union, "{'f:a':{}}", "{}", "{'f:a':{}}"},
                {cx_fields_union, "{'f:a':{'f:b':{}}}", "{'f:a':{'f:c':{}}}", "{'f:a':{'f:b':{},'f:c':{}}}"},
                {cx_fields_union, "{'f:a':{}}", "{'f:a':{'f:c':{}}}", "{'f:a':{'.':{},'f:c':{}}}"},
                {cx_fields_minus, "{'f:a':{'f:b':{},'f:c':{}}}", "{'f:a':{'f:c':{}}}", "{'f:a':{'f:b':{}}}"},
                {cx_fields_minus, "{'f:a':{'f:b':{}}}", "{'f:a':{'f:b':{}}}", "{}"},
                {cx_fields_minus, "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{'f:b':{}}}", "{'f:a':{}}"},
                {cx_fields_minus_above, "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{'f:b':{}}}", "{}"},
                {cx_fields_minus_above, "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{'f:c':{}}}", "{'f:a':{'f:b':{}}}"},
                {cx_fields_both, "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{'f:b':{}}}", "{'f:a':{'f:b':{}}}"},
                {cx_fields_both, "{'f:a':{}}", "{'f:a':{'f:b':{}}}", "{}"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *a = quoted_json(table[i].a);
                json_auto_t *b = quoted_json(table[i].b);
                json_auto_t *result = table[i].operation(a, b);
                assert_json(result, table[i].result);
        }
}

static void test_paths(void **state)
{
        (void)state;
        json_auto_t *fields = fields_of("core.v1.PodSpec",
                                        "{'hostname':'h','containers':[{'name':'c','ports':[{'containerPort':8}]}]}");
        json_auto_t *paths = json_array();
        cx_fields_paths(fields, paths);
        assert_json(paths, "['.hostname','.containers[name=\\'c\\']','.containers[name=\\'c\\'].name',"
                           "'.containers[name=\\'c\\'].ports[containerPort=8,protocol=\\'TCP\\']',"
                           "'.containers[name=\\'c\\'].ports[containerPort=8,protocol=\\'TCP\\'].containerPort']");
        // keys as a client may have written them
        json_auto_t *odd = quoted_json("{'':{},'x':{},'k:':{},'k:{':{},'v:1':{},'f:':1}");
        cx_fields_paths(odd, paths);
}

static void test_merge(void **state)
{
        static const struct {
                const char *type, *live, *config, *merged;
        } table[] = {
                {"core.v1.ConfigMap", "{'data':{'a':'1'}}", "{'data':{'b':'2'}}", "{'data':{'a':'1','b':'2'}}"},
                {"core.v1.ConfigMap", "{'data':{'a':'1'}}", "{'data':{}}", "{'data':{'a':'1'}}"},
                {"apps.v1.DeploymentSpec", "{'selector':{'matchLabels':{'a':'b'}}}",
                 "{'selector':{'matchLabels':{'c':'d'}}}", "{'selector':{'matchLabels':{'c':'d'}}}"},
                // what only the live list has stays in front of what it was in front of
                {"core.v1.PodSpec", "{'containers':[{'name':'x'},{'name':'a','image':'1'},{'name':'z'}]}",
                 "{'containers':[{'name':'a','image':'2'},{'name':'b'}]}",
                 "{'containers':[{'name':'x'},{'name':'a','image':'2'},{'name':'b'},{'name':'z'}]}"},
                {"meta.v1.ObjectMeta", "{'finalizers':['a']}", "{'finalizers':['b','a']}", "{'finalizers':['b','a']}"},
                {"core.v1.Container", "{'args':['a']}", "{'args':['b']}", "{'args':['b']}"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *live = quoted_json(table[i].live);
                json_auto_t *config = quoted_json(table[i].config);
                json_auto_t *merged = cx_fields_merge(cx_schema_type(table[i].type), live, config);
                assert_json(merged, table[i].merged);
        }
}

static void test_remove(void **state)
{
        static const struct {
                const char *object, *fields, *left;
        } table[] = {
                {"{'hostname':'h','nodeName':'n'}", "{'f:hostname':{}}", "{'nodeName':'n'}"},
                {"{'hostname':'h'}", "{'f:nodeName':{}}", "{'hostname':'h'}"},
                {"{'containers':[{'name':'a'},{'name':'b'}]}",
                 "{'f:containers':{'k:{\\'name\\':\\'b\\'}':{'.':{},'f:name':{}}}}", "{'containers':[{'name':'a'}]}"},
                {"{'containers':[{'name':'a','image':'i'}]}",
                 "{'f:containers':{'k:{\\'name\\':\\'a\\'}':{'f:image':{}}}}", "{'containers':[{'name':'a'}]}"},
                {"{'securityContext':{'runAsUser':1},'hostname':'h'}", "{'f:securityContext':{'f:runAsUser':{}}}",
                 "{'hostname':'h'}"},
                {"{'hostname':'h'}", "{'f:hostname':{}}", "{}"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                json_auto_t *object = quoted_json(table[i].object);
                json_auto_t *fields = quoted_json(table[i].fields);
                json_auto_t *left = cx_fields_remove(cx_schema_type("core.v1.PodSpec"), object, fields);
                assert_json(left, table[i].left);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sets),       cmocka_unit_test(test_duplicates), cmocka_unit_test(test_changed),
                cmocka_unit_test(test_operations), cmocka_unit_test(test_paths),      cmocka_unit_test(test_merge),
                cmocka_unit_test(test_remove),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
