// SPDX-License-Identifier: Apache-2.0
#include "libcommon/base/time.h"
#include "test/unit/libcommon/schema_test.h"

// Every printer makes a cell for every column, also of an object that has nothing.
static void test_every_resource_has_a_row(void **state)
{
        (void)state;
        size_t count;
        const struct cx_resource *all = cx_schema_resources(&count);
        json_auto_t *nothing = quoted_json("{'metadata':{'name':'x'}}");
        for (size_t i = 0; i < count; i++) {
                json_auto_t *columns = cx_table_columns(&all[i]), *cells = cx_table_cells(&all[i], nothing);
                if (json_array_size(columns) != json_array_size(cells))
                        fail_msg("%s: %zu columns, %zu cells", all[i].resource, json_array_size(columns),
                                 json_array_size(cells));
        }
}

#define RUNNING "'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}],'podIP':'10.0.0.1',"

static const struct {
        const char *word, *object, *cells;
} rows[] = {
        {"pods",
         "{'metadata':{'name':'p'},'spec':{'nodeName':'n','containers':[{},{}]}," RUNNING
         "'containerStatuses':[{'ready':true,'restartCount':0,'state':{'running':{}}},{'ready':true,'state':{'running':"
         "{"
         "}}}]}}",
         "['p','2/2','Running','0','<unknown>','10.0.0.1','n','<none>','<none>']"},
        {"pods",
         "{'metadata':{'name':'p'},'spec':{'containers':[{}]},'status':{'phase':'Running','containerStatuses':[{'ready'"
         ":false,'restartCount':3,'state':{'waiting':{'reason':'CrashLoopBackOff'}},'lastState':{'terminated':{"
         "'finishedAt':'@5m'}}}]}}",
         "['p','0/1','CrashLoopBackOff','3 (5m ago)','<unknown>','<none>','<none>','<none>','<none>']"},
        {"pods",
         "{'metadata':{'name':'p'},'spec':{'containers':[{}],'initContainers':[{'name':'a'},{'name':'b'}]},'status':{"
         "'phase':'Pending','initContainerStatuses':[{'name':'a','state':{'terminated':{'exitCode':0}}},{'name':'b',"
         "'state':{'running':{}}}]}}",
         "['p','0/1','Init:1/2','0','<unknown>','<none>','<none>','<none>','<none>']"},
        {"pods",
         "{'metadata':{'name':'p'},'spec':{'containers':[{}],'initContainers':[{'name':'a'}]},'status':{'phase':"
         "'Pending','initContainerStatuses':[{'name':'a','state':{'terminated':{'exitCode':2,'reason':'Error'}}}]}}",
         "['p','0/1','Init:Error','0','<unknown>','<none>','<none>','<none>','<none>']"},
        {"pods",
         "{'metadata':{'name':'p','deletionTimestamp':'2020-01-01T00:00:00Z'},'spec':{'containers':[{}]}," RUNNING
         "'containerStatuses':[{'ready':true,'state':{'running':{}}}]}}",
         "['p','1/1','Terminating','0','<unknown>','10.0.0.1','<none>','<none>','<none>']"},
        {"pods", "{'metadata':{'name':'p'},'spec':{'containers':[{}]},'status':{'phase':'Failed','reason':'Evicted'}}",
         "['p','0/1','Evicted','0','<unknown>','<none>','<none>','<none>','<none>']"},
        {"pods",
         "{'metadata':{'name':'p'},'spec':{'containers':[{}],'readinessGates':[{'conditionType':'g'}]},'status':{'"
         "phase'"
         ":'Succeeded','containerStatuses':[{'state':{'terminated':{'reason':'Completed'}}}]}}",
         "['p','0/1','Completed','0','<unknown>','<none>','<none>','<none>','0/1']"},
        {"pods",
         "{'metadata':{'name':'p'},'spec':{'containers':[{}],'initContainers':[{'name':'s','restartPolicy':'Always'}]}"
         "," RUNNING "'initContainerStatuses':[{'name':'s','started':true,'ready':true,'restartCount':1,'state':{"
         "'running':{}}}],'containerStatuses':[{'ready':true,'restartCount':1,'state':{'running':{}}}]}}",
         "['p','2/2','Running','2','<unknown>','10.0.0.1','<none>','<none>','<none>']"},
        {"deployments",
         "{'metadata':{'name':'d','creationTimestamp':'@2d'},'spec':{'replicas':3,'selector':{'matchLabels':{'a':'b'}},"
         "'template':{'spec':{'containers':[{'name':'x','image':'i:1'},{'name':'y','image':'j'}]}}},'status':{"
         "'readyReplicas':2,'updatedReplicas':3,'availableReplicas':1}}",
         "['d','2/3',3,1,'2d','x,y','i:1,j','a=b']"},
        {"services",
         "{'metadata':{'name':'s'},'spec':{'type':'LoadBalancer','clusterIP':'10.1.1.1','ports':[{'port':80,'nodePort':"
         "31234,'protocol':'TCP'},{'port':53,'protocol':'UDP'}],'selector':{'b':'2','a':'1'}}}",
         "['s','LoadBalancer','10.1.1.1','<pending>','80:31234/TCP,53/UDP','<unknown>','a=1,b=2']"},
        {"services",
         "{'metadata':{'name':'s'},'spec':{'type':'LoadBalancer','clusterIP':'x'},'status':{'loadBalancer':{'ingress':["
         "{"
         "'ip':'1.2.3.4'},{'hostname':'h'}]}}}",
         "['s','LoadBalancer','x','1.2.3.4,h','<none>','<unknown>','<none>']"},
        {"services", "{'metadata':{'name':'s'},'spec':{'type':'ExternalName','externalName':'e.x'}}",
         "['s','ExternalName','<none>','e.x','<none>','<unknown>','<none>']"},
        {"nodes",
         "{'metadata':{'name':'n','labels':{'node-role.kubernetes.io/control-plane':'','node-role.kubernetes.io/"
         "a':''}},"
         "'spec':{'unschedulable':true},'status':{'conditions':[{'type':'Ready','status':'True'}],'addresses':[{'type':"
         "'InternalIP','address':'1.1.1.1'}],'nodeInfo':{'kubeletVersion':'v1.35.0'}}}",
         "['n','Ready,SchedulingDisabled','a,control-plane','<unknown>','v1.35.0','1.1.1.1','<none>','<unknown>',"
         "'<unknown>','<unknown>']"},
        {"endpoints",
         "{'metadata':{'name':'e'},'subsets':[{'addresses':[{'ip':'1.1.1.1'},{'ip':'::1'}],'ports':[{'port':80},{'port'"
         ":"
         "81}]}]}",
         "['e','1.1.1.1:80,[::1]:80,1.1.1.1:81 + 1 more...','<unknown>']"},
        {"endpointslices.discovery.k8s.io",
         "{'metadata':{'name':'e'},'addressType':'IPv4','ports':[{'port':80},{}],'endpoints':[{'addresses':['a']},{"
         "'addresses':['b']},{'addresses':['c']},{'addresses':['d']}]}",
         "['e','IPv4','80,*','a,b,c + 1 more...','<unknown>']"},
        {"events",
         "{'metadata':{'name':'e'},'involvedObject':{'kind':'Pod','name':'p'},'reason':'R','type':'Normal','message':"
         "'m\\n','source':{'component':'kubelet','host':'n'},'lastTimestamp':'@10s','firstTimestamp':'@3m','count':4}",
         "['10s','Normal','R','pod/p','','kubelet, n','m','3m',4,'e']"},
        {"jobs",
         "{'metadata':{'name':'j'},'spec':{'completions':2,'parallelism':1},'status':{'succeeded':2,'startTime':"
         "'2020-01-01T00:00:00Z','completionTime':'2020-01-01T00:00:09Z','conditions':[{'type':'Complete','status':"
         "'True'}]}}",
         "['j','Complete','2/2','9s','<unknown>','','','<none>']"},
        {"cronjobs", "{'metadata':{'name':'c'},'spec':{'schedule':'* * * * *','suspend':false}}",
         "['c','* * * * *','<none>','False',0,'<none>','<unknown>','','','<none>']"},
        {"persistentvolumeclaims",
         "{'metadata':{'name':'c'},'spec':{'volumeName':'v','storageClassName':'s','volumeMode':'Filesystem'},'status':"
         "{"
         "'phase':'Bound','capacity':{'storage':'1Gi'},'accessModes':['ReadWriteMany','ReadWriteOnce']}}",
         "['c','Bound','v','1Gi','RWO,RWX','s','<unset>','<unknown>','Filesystem']"},
        {"horizontalpodautoscalers",
         "{'metadata':{'name':'h'},'spec':{'scaleTargetRef':{'kind':'Deployment','name':'d'},'minReplicas':1,"
         "'maxReplicas':3,'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{'averageUtilization':80}}}]}"
         "}",
         "['h','Deployment/d','cpu: <unknown>/80%','1',3,0,'<unknown>']"},
        {"roles", "{'metadata':{'name':'r','creationTimestamp':'2020-01-01T00:00:00Z'}}",
         "['r','2020-01-01T00:00:00Z']"},
        {"rolebindings",
         "{'metadata':{'name':'r'},'roleRef':{'kind':'Role','name':'x'},'subjects':[{'kind':'User','name':'u'},{'kind':"
         "'ServiceAccount','namespace':'n','name':'s'}]}",
         "['r','Role/x','<unknown>','u','','n/s']"},
        {"leases", "{'metadata':{'name':'l'},'spec':{'holderIdentity':'me'}}", "['l','me','<unknown>']"},
};

// "@5m" stands for five minutes ago.
static json_t *parse_with_ages(const char *text)
{
        CX_BUF out = CX_BUF_INIT;
        for (const char *c = text; *c; c++) {
                int64_t ns;
                const char *end = *c == '@' ? strchr(c, '\'') : NULL;
                if (!end) {
                        cx_buf_add_char(&out, *c);
                        continue;
                }
                CX_CLEANUP(cx_freep) char *age = cx_strndup(c + 1, (size_t)(end - c - 1));
                if (strcmp(age, "2d") == 0)
                        ns = 48 * 3600 * CX_NS_PER_S;
                else
                        assert_int_equal(cx_duration_parse(age, &ns), 0);
                char moment[CX_TIME_TEXT];
                cx_time_format(cx_time_now() - ns / 1000, moment);
                cx_buf_add(&out, moment);
                c = end - 1;
        }
        return quoted_json(out.data);
}

static void test_rows(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                const struct cx_resource *resource = cx_schema_find(rows[i].word);
                assert_non_null(resource);
                json_auto_t *object = parse_with_ages(rows[i].object), *cells = cx_table_cells(resource, object);
                assert_json(cells, rows[i].cells);
        }
}

static void test_table(void **state)
{
        (void)state;
        json_auto_t *object = quoted_json("{'metadata':{'name':'l'},'spec':{}}"),
                    *list = quoted_json("{'resourceVersion':'5'}");
        const json_t *objects[] = {object};
        json_auto_t *table = cx_table(cx_schema_find("leases"), objects, 1, CX_INCLUDE_METADATA, list);
        assert_json(
                table,
                "{'kind':'Table','apiVersion':'meta.k8s.io/v1','metadata':{'resourceVersion':'5'},"
                "'columnDefinitions':[{'name':'Name','type':'string','format':'name','description':'','priority':0},"
                "{'name':'Holder','type':'string','format':'','description':'','priority':0},{'name':'Age','type':"
                "'string','format':'','description':'','priority':0}],'rows':[{'cells':['l','','<unknown>'],'object'"
                ":{'kind':'PartialObjectMetadata','apiVersion':'meta.k8s.io/v1','metadata':{'name':'l'}}}]}");
}

static void test_paths_of_custom_columns(void **state)
{
        (void)state;
        static const struct cx_column columns[] = {
                {.name = "Name", .type = "string"},
                {.name = "Plain", .type = "string", .path = ".spec.a"},
                {.name = "Index", .type = "integer", .path = ".spec.list[1]"},
                {.name = "Quoted", .type = "string", .path = ".metadata.labels['a.b']"},
                {.name = "Filter", .type = "string", .path = ".status.conditions[?(@.type==\"Ready\")].status"},
                {.name = "Absent", .type = "string", .path = ".spec.nothing.deep"},
                {.name = "Number", .type = "string", .path = ".spec.n"},
                {.name = "Broken", .type = "string", .path = ".spec[x"},
                {.name = "Since", .type = "date", .path = ".spec.when"},
                {0},
        };
        static const struct cx_type type = {.name = "Custom"};
        static const struct cx_kind kind = {"g", "v1", "Custom", &type};
        const struct cx_resource resource = {.kind = &kind, .columns = columns};
        json_auto_t *object =
                parse_with_ages("{'metadata':{'name':'x','labels':{'a.b':'c'}},'spec':{'a':'v','list':[1,2],'n':5,'"
                                "when':'@7m'},'status'"
                                ":{'conditions':[{'type':'Other','status':'no'},{'type':'Ready','status':'True'}]}}");
        json_auto_t *cells = cx_table_cells(&resource, object);
        assert_json(cells, "['x','v',2,'c','True',null,'5',null,'7m']");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_resource_has_a_row),
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_paths_of_custom_columns),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
