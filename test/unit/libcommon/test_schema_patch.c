// SPDX-License-Identifier: Apache-2.0
#include "test/unit/libcommon/schema_test.h"

static const struct {
        const char *type, *original, *patch, *wanted; // wanted: a result, or an error's message
} strategic[] = {
        // scalars, maps, nulls
        {"core.v1.Pod", "{'metadata':{'name':'a'}}", "{'metadata':{'labels':{'x':'y'}}}",
         "{'metadata':{'name':'a','labels':{'x':'y'}}}"},
        {"core.v1.Pod", "{'metadata':{'labels':{'x':'y','z':'1'}}}", "{'metadata':{'labels':{'x':null,'q':null}}}",
         "{'metadata':{'labels':{'z':'1'}}}"},
        {"core.v1.Pod", "{'spec':{'nodeName':'a'}}", "{'spec':null}", "{}"},
        {"core.v1.Pod", "{}", "{'spec':{'nodeName':'a','hostname':null}}", "{'spec':{'nodeName':'a'}}"},
        {"core.v1.Pod", "{'spec':{'nodeName':'a','hostname':'h'}}", "{'spec':{'$patch':'replace','nodeName':'b'}}",
         "{'spec':{'nodeName':'b'}}"},
        {"core.v1.Pod", "{'spec':{'nodeName':'a'}}", "{'spec':{'$patch':'delete'}}", "{'spec':{}}"},
        {"core.v1.Pod", "{'spec':{}}", "{'spec':{'$patch':'explode'}}", "unknown patch type: \"explode\" in map"},
        // lists merged by key
        {"core.v1.PodSpec", "{'containers':[{'name':'a','image':'1'},{'name':'b'}]}",
         "{'containers':[{'name':'a','image':'2'}]}", "{'containers':[{'name':'a','image':'2'},{'name':'b'}]}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'}]}", "{'containers':[{'name':'b','image':'x'}]}",
         "{'containers':[{'name':'b','image':'x'},{'name':'a'}]}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'},{'name':'b'}]}",
         "{'containers':[{'name':'a','$patch':'delete'}]}", "{'containers':[{'name':'b'}]}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'},{'name':'b'}]}",
         "{'containers':[{'$patch':'replace'},{'name':'c'}]}", "{'containers':[{'name':'c'}]}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'}]}", "{'containers':[{'image':'x'}]}",
         "map: {\"image\":\"x\"} does not contain declared merge key: name"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'}]}", "{'containers':[{'name':'a','$patch':'merge'}]}",
         "merging lists cannot yet be specified in the patch"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a','env':[{'name':'x','value':'1'}]}]}",
         "{'containers':[{'name':'a','env':[{'name':'x','value':'2'},{'name':'y','value':'3'}]}]}",
         "{'containers':[{'name':'a','env':[{'name':'x','value':'2'},{'name':'y','value':'3'}]}]}"},
        {"core.v1.ServiceSpec", "{'ports':[{'port':80,'name':'a'},{'port':81}]}", "{'ports':[{'port':81,'name':'b'}]}",
         "{'ports':[{'port':80,'name':'a'},{'port':81,'name':'b'}]}"},
        {"core.v1.NodeStatus", "{'conditions':[{'type':'Ready','status':'True','reason':'r'}]}",
         "{'conditions':[{'type':'Ready','status':'False'}]}",
         "{'conditions':[{'type':'Ready','status':'False','reason':'r'}]}"},
        // atomic lists
        {"core.v1.Container", "{'args':['a','b']}", "{'args':['c']}", "{'args':['c']}"},
        {"core.v1.PodSpec", "{'tolerations':[{'key':'a'}]}", "{'tolerations':[{'key':'b'}]}",
         "{'tolerations':[{'key':'b'}]}"},
        // lists of scalars
        {"meta.v1.ObjectMeta", "{'finalizers':['a']}", "{'finalizers':['b','a']}", "{'finalizers':['b','a']}"},
        {"meta.v1.ObjectMeta", "{'finalizers':['a','b','c']}", "{'$deleteFromPrimitiveList/finalizers':['b','x']}",
         "{'finalizers':['a','c']}"},
        {"meta.v1.ObjectMeta", "{'finalizers':['a','b']}",
         "{'$setElementOrder/finalizers':['c','b','a'],'finalizers':['c']}", "{'finalizers':['c','b','a']}"},
        // order
        {"core.v1.PodSpec", "{'containers':[{'name':'a'},{'name':'b'},{'name':'s'}]}",
         "{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}",
         "{'containers':[{'name':'b'},{'name':'a'},{'name':'s'}]}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'},{'name':'b'}]}",
         "{'$setElementOrder/"
         "containers':[{'name':'c'},{'name':'a'}],'containers':[{'name':'c','image':'i'},{'name':'b',"
         "'$patch':'delete'}]}",
         "{'containers':[{'name':'c','image':'i'},{'name':'a'}]}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'}]}",
         "{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'z'}]}",
         "invalid patch format: the order in the patch list"},
        {"core.v1.PodSpec", "{'nodeName':'x'}", "{'$setElementOrder/containers':'x'}", "invalid patch format"},
        {"core.v1.PodSpec", "{}", "{'$setElementOrder/containers':[{'name':'c'}],'containers':[{'name':'c'}]}",
         "{'containers':[{'name':'c'}]}"},
        // retainKeys
        {"apps.v1.DeploymentSpec", "{'strategy':{'type':'RollingUpdate','rollingUpdate':{}}}",
         "{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}", "{'strategy':{'type':'Recreate'}}"},
        {"core.v1.PodSpec", "{'volumes':[{'name':'v','emptyDir':{}}]}",
         "{'volumes':[{'name':'v','$retainKeys':['name','hostPath'],'hostPath':{'path':'/'}}]}",
         "{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}"},
        {"apps.v1.DeploymentSpec", "{'strategy':{}}", "{'strategy':{'$retainKeys':['a'],'type':'Recreate'}}",
         "invalid patch format of retainKeys"},
        // directives inside what is taken over whole
        {"core.v1.PodSpec", "{}",
         "{'containers':[{'name':'a','$patch':'delete'},{'name':'b','$retainKeys':['name'],'image':null}]}",
         "{'containers':[{'name':'b'}]}"},
        {"core.v1.Pod", "{}", "[]", "invalid JSON document"},
        // unknown types: maps merge, lists are replaced
        {"apps.v1.ControllerRevision", "{'data':{'a':[1],'b':{'c':1}}}", "{'data':{'a':[2],'b':{'d':2}}}",
         "{'data':{'a':[2],'b':{'c':1,'d':2}}}"},
};

static void test_strategic(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(strategic); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *original = quoted_json(strategic[i].original), *patch = quoted_json(strategic[i].patch);
                json_auto_t *result = NULL;
                int r = cx_patch_strategic(cx_schema_type(strategic[i].type), original, patch, &result, &err);
                if (*strategic[i].wanted == '{') {
                        assert_int_equal(r, 0);
                        assert_json(result, strategic[i].wanted);
                } else {
                        assert_true(r < 0);
                        assert_true(cx_has_prefix(err.message, strategic[i].wanted));
                }
                assert_json(original, strategic[i].original);
                assert_json(patch, strategic[i].patch);
        }
}

static const struct {
        const char *type, *original, *modified, *current, *patch, *result;
} three_way[] = {
        {"core.v1.Pod", "{'metadata':{'labels':{'a':'1','b':'2'}}}", "{'metadata':{'labels':{'a':'3'}}}",
         "{'metadata':{'labels':{'a':'1','b':'2','c':'server'}}}", "{'metadata':{'labels':{'a':'3','b':null}}}",
         "{'metadata':{'labels':{'a':'3','c':'server'}}}"},
        {"core.v1.PodSpec", "{'containers':[{'name':'a'},{'name':'b'}]}", "{'containers':[{'name':'a','image':'2'}]}",
         "{'containers':[{'name':'a','image':'1','tty':true},{'name':'b'},{'name':'sidecar'}]}",
         "{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'a','image':'2'},{'name':'b','$patch':"
         "'delete'}]}",
         "{'containers':[{'name':'a','image':'2','tty':true},{'name':'sidecar'}]}"},
        {"core.v1.PodSpec", "{}", "{'containers':[{'name':'a'}]}", "{'containers':[{'name':'a','tty':true}]}", "{}",
         "{'containers':[{'name':'a','tty':true}]}"},
        {"core.v1.PodSpec", "{}", "{'containers':[{'name':'b'},{'name':'a'}]}",
         "{'containers':[{'name':'a'},{'name':'b'}]}", "{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}",
         "{'containers':[{'name':'b'},{'name':'a'}]}"},
        {"meta.v1.ObjectMeta", "{'finalizers':['a','b']}", "{'finalizers':['a','c']}", "{'finalizers':['a','b','s']}",
         "{'$setElementOrder/finalizers':['a','c'],'$deleteFromPrimitiveList/finalizers':['b'],'finalizers':['c']}",
         "{'finalizers':['a','c','s']}"},
        {"apps.v1.DeploymentSpec", "{'strategy':{'type':'RollingUpdate'}}", "{'strategy':{'type':'Recreate'}}",
         "{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}",
         "{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}", "{'strategy':{'type':'Recreate'}}"},
        {"core.v1.PodSpec", "{'volumes':[{'name':'v','emptyDir':{}}]}",
         "{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}", "{'volumes':[{'name':'v','emptyDir':{}}]}",
         "{'$setElementOrder/volumes':[{'name':'v'}],'volumes':[{'name':'v','$retainKeys':['hostPath','name'],"
         "'emptyDir':null,'hostPath':{'path':'/'}}]}",
         "{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}"},
        {"core.v1.Container", "{'args':['a']}", "{'args':['b']}", "{'args':['a']}", "{'args':['b']}", "{'args':['b']}"},
        {"core.v1.Container", "{'args':['a']}", "{}", "{'args':['a']}", "{'args':null}", "{}"},
        {"core.v1.Container", "{'args':['a']}", "{}", "{}", "{}", "{}"},
        {"core.v1.Container", "null", "{'image':null}", "{'image':'x'}", "{'image':null}", "{}"},
};

static void test_three_way(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(three_way); i++) {
                const struct cx_type *type = cx_schema_type(three_way[i].type);
                json_auto_t *original = quoted_json(three_way[i].original),
                            *modified = quoted_json(three_way[i].modified);
                json_auto_t *current = quoted_json(three_way[i].current), *patch = NULL, *result = NULL;
                assert_int_equal(cx_patch_strategic_three_way(type, original, modified, current, &patch, NULL), 0);
                assert_json(patch, three_way[i].patch);
                assert_int_equal(cx_patch_strategic(type, current, patch, &result, NULL), 0);
                assert_json(result, three_way[i].result);
        }
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *bad = quoted_json("{'containers':[{'image':'x'}]}"), *patch = NULL;
        assert_true(cx_patch_strategic_three_way(cx_schema_type("core.v1.PodSpec"), bad, bad, bad, &patch, &err) < 0);
        assert_null(patch);
}

static const struct {
        const char *document, *patch, *wanted; // wanted NULL: rejected
} json_patches[] = {
        {"{'a':1}", "[{'op':'add','path':'/b','value':2}]", "{'a':1,'b':2}"},
        {"{'a':[1,3]}", "[{'op':'add','path':'/a/1','value':2}]", "{'a':[1,2,3]}"},
        {"{'a':[1]}", "[{'op':'add','path':'/a/-','value':2}]", "{'a':[1,2]}"},
        {"{'a':[1]}", "[{'op':'add','path':'/a/1','value':2}]", "{'a':[1,2]}"},
        {"{'a':[1]}", "[{'op':'add','path':'/a/2','value':2}]", NULL},
        {"{'a':[1]}", "[{'op':'add','path':'/a/01','value':2}]", NULL},
        {"{'a':[1]}", "[{'op':'add','path':'/a/-1','value':2}]", NULL},
        {"{'a':[1]}", "[{'op':'add','path':'/a/x','value':2}]", NULL},
        {"{}", "[{'op':'add','path':'/a/b','value':2}]", NULL},
        {"{}", "[{'op':'add','path':'/a'}]", NULL},
        {"{}", "[{'op':'add','path':'','value':[1]}]", "[1]"},
        {"{'a/b':1,'m~n':2}", "[{'op':'remove','path':'/a~1b'},{'op':'replace','path':'/m~0n','value':3}]",
         "{'m~n':3}"},
        {"{'~1':1}", "[{'op':'remove','path':'/~01'}]", "{}"},
        {"{'':1}", "[{'op':'remove','path':'/'}]", "{}"},
        {"{'a':1}", "[{'op':'remove','path':'/b'}]", NULL},
        {"{'a':1}", "[{'op':'remove','path':''}]", NULL},
        {"{'a':[1,2]}", "[{'op':'remove','path':'/a/0'}]", "{'a':[2]}"},
        {"{'a':[1,2]}", "[{'op':'remove','path':'/a/-'}]", NULL},
        {"{'a':1}", "[{'op':'replace','path':'/a','value':null}]", "{'a':null}"},
        {"{'a':1}", "[{'op':'replace','path':'/b','value':1}]", NULL},
        {"{'a':1}", "[{'op':'replace','path':'','value':{}}]", "{}"},
        {"{'a':{'b':1}}", "[{'op':'move','from':'/a/b','path':'/c'}]", "{'a':{},'c':1}"},
        {"{'a':{'b':1}}", "[{'op':'move','from':'/a','path':'/a/b'}]", NULL},
        {"{'a':1}", "[{'op':'move','from':'/x','path':'/c'}]", NULL},
        {"{'a':1}", "[{'op':'move','path':'/c'}]", NULL},
        {"{'a':{'b':1}}", "[{'op':'copy','from':'/a','path':'/a/c'}]", "{'a':{'b':1,'c':{'b':1}}}"},
        {"{'a':1}", "[{'op':'copy','from':'','path':'/c'}]", "{'a':1,'c':{'a':1}}"},
        {"{'a':1}", "[{'op':'test','path':'/a','value':1},{'op':'remove','path':'/a'}]", "{}"},
        {"{'a':1}", "[{'op':'test','path':'/a','value':2},{'op':'remove','path':'/a'}]", NULL},
        {"{'a':1}", "[{'op':'test','path':'/b','value':null}]", "{'a':1}"},
        {"{'a':{'x':1,'y':2}}", "[{'op':'test','path':'/a','value':{'y':2,'x':1}}]", "{'a':{'x':1,'y':2}}"},
        {"{'a':1}", "[{'op':'explode','path':'/a'}]", NULL},
        {"{'a':1}", "[{'path':'/a'}]", NULL},
        {"{'a':1}", "[{'op':'remove','path':'a'}]", NULL},
        {"{'a':1}", "[3]", NULL},
        {"{'a':1}", "{}", NULL},
        {"{'a':1}", "[]", "{'a':1}"},
};

static void test_json_patch(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(json_patches); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *document = quoted_json(json_patches[i].document),
                            *patch = quoted_json(json_patches[i].patch);
                json_auto_t *result = NULL;
                int r = cx_patch_json(document, patch, &result, &err);
                assert_int_equal(r == 0, json_patches[i].wanted != NULL);
                if (r == 0)
                        assert_json(result, json_patches[i].wanted);
                else
                        assert_true(err.code < 0);
                assert_json(document, json_patches[i].document);
        }
}

static void test_json_patch_is_bounded(void **state)
{
        (void)state;
        json_auto_t *document = quoted_json("{'a':{'b':'0123456789'}}"), *patch = json_array(), *result = NULL;
        for (int i = 0; i < 60; i++) // doubles each time
                json_array_append_new(patch, json_pack("{s:s,s:s,s:o}", "op", "copy", "from", "/a", "path",
                                                       json_sprintf("/a/%d", i)));
        assert_true(cx_patch_json(document, patch, &result, NULL) < 0);
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *many = json_array();
        for (int i = 0; i < 10001; i++)
                json_array_append_new(many, json_object());
        assert_true(cx_patch_json(document, many, &result, &err) < 0);
        assert_int_equal(err.reason, CX_REASON_TOO_LARGE);
}

static void test_merge_patch(void **state)
{
        (void)state;
        static const struct {
                const char *original, *patch, *wanted;
        } cases[] = {
                // those of RFC 7386
                {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
                {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
                {"{'a':'b'}", "{'a':null}", "{}"},
                {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
                {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
                {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
                {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
                {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
                {"['a','b']", "['c','d']", "['c','d']"},
                {"{'a':'b'}", "['c']", "['c']"},
                {"{'a':'foo'}", "null", "null"},
                {"{'a':'foo'}", "'bar'", "'bar'"},
                {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
                {"[1,2]", "{'a':'b','c':null}", "{'a':'b'}"},
                {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *original = quoted_json(cases[i].original), *patch = quoted_json(cases[i].patch);
                json_auto_t *result = cx_patch_merge(original, patch);
                assert_json(result, cases[i].wanted);
                assert_json(original, cases[i].original);
        }
}

static void test_merge_diffs(void **state)
{
        (void)state;
        json_auto_t *from = quoted_json("{'a':1,'b':{'c':1,'d':2},'e':[1],'f':0}");
        json_auto_t *to = quoted_json("{'a':1,'b':{'c':1,'d':3},'e':[2],'g':{'h':1}}");
        json_auto_t *patch = cx_patch_merge_diff(from, to), *result = cx_patch_merge(from, patch);
        assert_json(patch, "{'b':{'d':3},'e':[2],'f':null,'g':{'h':1}}");
        assert_true(json_equal(result, to));
        json_auto_t *nothing = cx_patch_merge_diff(to, to);
        assert_json(nothing, "{}");
        json_auto_t *original = quoted_json("{'a':1,'b':{'c':1}}"), *modified = quoted_json("{'b':{'d':1}}");
        json_auto_t *current = quoted_json("{'a':1,'b':{'c':1,'s':1},'t':1}");
        json_auto_t *three = cx_patch_merge_three_way(original, modified, current);
        assert_json(three, "{'a':null,'b':{'c':null,'d':1}}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strategic),   cmocka_unit_test(test_three_way),
                cmocka_unit_test(test_json_patch),  cmocka_unit_test(test_json_patch_is_bounded),
                cmocka_unit_test(test_merge_patch), cmocka_unit_test(test_merge_diffs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
