// SPDX-License-Identifier: Apache-2.0
// What kinds do beyond their tables: what is taken and given back, what the server says instead of the client, what may
// not change.
#include "test/unit/apiserver/fixture.h"

static struct fixture fixture;

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        CX_ERROR err = CX_ERROR_INIT;
        if (bootstrap_service(&fixture.api, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        return 0;
}

static int end(void **state CX_UNUSED)
{
        fixture_end(&fixture);
        return 0;
}

static void remove_it(const char *what, const char *name)
{
        struct scope scope = scope_of(&fixture, what, name);
        struct delete_options options = DELETE_OPTIONS_INIT;
        STORED *left = NULL;
        assert_int_equal(registry_delete(&scope, &options, &left, NULL, NULL), 0);
}

static void test_addresses(void **state CX_UNUSED)
{
        json_auto_t *service =
                must_create(&fixture, "services", "{'metadata':{'name':'s'},'spec':{'ports':[{'port':80}]}}");
        CX_CLEANUP(cx_freep) char *address = cx_strdup(cx_json_string(service, "spec.clusterIP"));
        json_auto_t *taken = get(&fixture, "ipaddresses", address);
        assert_string_at(taken, "spec.parentRef.name", "s");
        assert_non_null(cx_json_string(taken, "metadata.uid")); // it came the way of every object
        struct scope scope = scope_of(&fixture, "services", "");
        CX_CLEANUP(cx_freep)
        char *same = cx_sprintf("{'metadata':{'name':'t'},'spec':{'clusterIP':'%s','ports':[{'port':80}]}}", address);
        CX_ERROR err = CX_ERROR_INIT, outside = CX_ERROR_INIT;
        assert_true(create(&scope, same, NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_INVALID));
        assert_string_equal(err.causes[0].field, "spec.clusterIPs");
        assert_true(create(&scope, "{'metadata':{'name':'t'},'spec':{'clusterIP':'10.0.0.1','ports':[{'port':80}]}}",
                           NULL, &outside) < 0);
        remove_it("services", "s");
        assert_null(get(&fixture, "ipaddresses", address));
        assert_int_equal(create(&scope, same, NULL, NULL), 0);
        remove_it("services", "t");
}

static void test_failed_writes_give_back(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "services", "");
        static const char text[] = "{'metadata':{'name':'port'},'spec':{'type':'NodePort','clusterIP':'10.96.0.77',"
                                   "'ports':[{'port':80,'nodePort':30005}]}}";
        CX_ERROR err = CX_ERROR_INIT;
        json_decref(must_create(&fixture, "services",
                                "{'metadata':{'name':'holder'},'spec':{'type':'NodePort','clusterIP':'10.96.0.78','"
                                "ports':[{'port':80,'nodePort'"
                                ":30006}]}}"));
        // the second port is another's: the address and the first port go back
        assert_true(create(&scope,
                           "{'metadata':{'name':'port'},'spec':{'type':'NodePort','clusterIP':'10.96.0.77','ports':[{"
                           "'name':'a','port':80,'nodePort':30005},{'name':'b','port':81,'nodePort':30006}]}}",
                           NULL, &err) < 0);
        assert_null(get(&fixture, "ipaddresses", "10.96.0.77"));
        fixture.api.etcd->fail_at = 3; // address, port, and then the service itself
        assert_true(create(&scope, text, NULL, NULL) < 0);
        assert_null(get(&fixture, "ipaddresses", "10.96.0.77"));
        assert_int_equal(create(&scope, text, NULL, NULL), 0);
}

static void test_the_first_address_is_reserved(void **state CX_UNUSED)
{
        json_auto_t *service = get(&fixture, "services", "kubernetes");
        assert_string_at(service, "spec.clusterIP", "10.96.0.1");
        assert_string_at(service, "spec.internalTrafficPolicy", "Cluster"); // by the schema, as of any other
        struct scope scope = scope_of(&fixture, "services", "");
        assert_true(create(&scope,
                           "{'metadata':{'name':'thief'},'spec':{'clusterIP':'10.96.0.1','ports':[{'port':80}]}"
                           "}",
                           NULL, NULL) < 0);
        remove_it("services", "kubernetes");
        json_auto_t *kept = get(&fixture, "ipaddresses", "10.96.0.1");
        assert_non_null(kept);
        assert_int_equal(bootstrap_service(&fixture.api, NULL), 0);
        json_auto_t *again = get(&fixture, "services", "kubernetes");
        assert_string_at(again, "spec.clusterIP", "10.96.0.1");
}

static void test_service_types(void **state CX_UNUSED)
{
        json_auto_t *service = must_create(&fixture, "services",
                                           "{'metadata':{'name':'typed'},'spec':{'type':'NodePort','ports':[{'port':80}"
                                           "]}}");
        int64_t port = cx_json_int(json_array_get(cx_json_get(service, "spec.ports"), 0), "nodePort", 0);
        assert_in_range(port, 30000, 30009);
        struct scope scope = scope_of(&fixture, "services", "typed");
        json_auto_t *plain = NULL;
        assert_int_equal(patch(&scope, PATCH_MERGE, "{'spec':{'type':'ClusterIP'}}", &plain, NULL), 0);
        assert_null(json_object_get(json_array_get(cx_json_get(plain, "spec.ports"), 0), "nodePort"));
        assert_string_at(plain, "spec.clusterIP", cx_json_string(service, "spec.clusterIP"));
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(patch(&scope, PATCH_MERGE, "{'spec':{'clusterIP':'10.96.0.99'}}", NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_INVALID));
}

static void test_namespaces(void **state CX_UNUSED)
{
        json_auto_t *namespace = must_create(&fixture, "namespaces", "{'metadata':{'name':'n'}}");
        assert_string_at(namespace, "status.phase", "Active");
        assert_int_equal(cx_json_count(namespace, "spec.finalizers"), 1);
        const char *const label[] = {"metadata", "labels", "kubernetes.io/metadata.name"};
        assert_string_equal(json_string_value(cx_json_at(namespace, label, 3)), "n");
        struct scope scope = scope_of(&fixture, "namespaces", "n");
        json_auto_t *patched = NULL;
        assert_int_equal(patch(&scope, PATCH_MERGE, "{'spec':{'finalizers':[]}}", &patched, NULL), 0);
        assert_int_equal(cx_json_count(patched, "spec.finalizers"), 1); // only through /finalize
}

static void test_secrets(void **state CX_UNUSED)
{
        json_auto_t *secret = must_create(&fixture, "secrets",
                                          "{'metadata':{'name':'s'},'stringData':{'k':'v'},'data':{'d':'ZA=='}}");
        assert_string_at(secret, "data.k", "dg==");
        assert_string_at(secret, "data.d", "ZA==");
        assert_null(json_object_get(secret, "stringData"));
        struct scope scope = scope_of(&fixture, "secrets", "");
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(create(&scope, "{'metadata':{'name':'t'},'type':'kubernetes.io/tls'}", NULL, &err) < 0);
        assert_string_equal(err.causes[0].field, "data[tls.crt]");
}

static void assert_generation(const json_t *set, const char *wanted)
{
        const json_t *annotations = cx_json_get(set, "metadata.annotations");
        const json_t *have = json_object_get(annotations, "deprecated.daemonset.template.generation");
        assert_string_equal(json_string_value(have), wanted);
}

// Templates are counted, whatever clients say.
static void test_daemon_sets(void **state CX_UNUSED)
{
        static const struct {
                const char *patch, *wanted;
        } table[] = {
                {"{'spec':{'minReadySeconds':1}}", "1"},
                {"{'spec':{'template':{'spec':{'hostNetwork':true}}}}", "2"},
                {"{'metadata':{'annotations':{'deprecated.daemonset.template.generation':'7'}}}", "2"},
                {"{'metadata':{'annotations':null}}", "2"},
                {"{'spec':{'template':{'metadata':{'labels':{'b':'c'}}}}}", "3"},
        };
        json_auto_t *set =
                must_create(&fixture, "daemonsets",
                            "{'metadata':{'name':'d','annotations':{'deprecated.daemonset.template.generation'"
                            ":'9'}},'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{"
                            "'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','image':'i'}]}}}}");
        assert_generation(set, "1");
        struct scope scope = scope_of(&fixture, "daemonsets", "d");
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                assert_int_equal(patch(&scope, PATCH_MERGE, table[i].patch, NULL, NULL), 0);
                json_auto_t *now = get(&fixture, "daemonsets", "d");
                assert_generation(now, table[i].wanted);
        }
}

#define JOB(name, spec)                                                                                                \
        "{'metadata':{'name':'" name "'},'spec':{" spec                                                                \
        "'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}"

// The message of a refusal, or "" when the write went through.
static char *refusal(int r, struct cx_error *err)
{
        return cx_strdup(r < 0 ? cx_error_text(err) : "");
}

static void expect_part(const char *text, const char *part)
{
        if (*part ? !strstr(text, part) : *text)
                fail_msg("\"%s\" has no \"%s\"", text, part);
}

static void test_jobs(void **state CX_UNUSED)
{
        json_auto_t *job = must_create(&fixture, "jobs", JOB("j", ""));
        const char *const selector[] = {"spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"};
        assert_string_equal(json_string_value(cx_json_at(job, selector, 4)), cx_json_string(job, "metadata.uid"));
        static const struct {
                const char *job, *refusal;
        } created[] = {
                {JOB("a", "'selector':{'matchLabels':{'x':'y'}},"), "spec.selector: Invalid value: "},
                {JOB("b", "'selector':{'matchLabels':{'batch.kubernetes.io/controller-uid':'mine'}},"),
                 "`selector` not auto-generated"},
                {"{'metadata':{'name':'c'},'spec':{'template':{'metadata':{'labels':{'job-name':'other'}},'spec':{"
                 "'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}",
                 "spec.template.metadata.labels[job-name]: Invalid value: "},
                {JOB("d", "'manualSelector':true,"), "spec.selector: Required value"},
                {JOB("e", "'manualSelector':true,'selector':{'matchLabels':{'x':'y'}},"),
                 "`selector` does not match template `labels`"},
                {JOB("a-name-of-sixty-characters-is-fine-as-long-as-nothing-is-added",
                     "'completionMode':'Indexed','completions':10,"),
                 "will not able to create pod with invalid DNS label: a-name-of"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(created); i++) {
                struct scope scope = scope_of(&fixture, "jobs", "");
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep) char *text = refusal(create(&scope, created[i].job, NULL, &err), &err);
                expect_part(text, created[i].refusal);
        }
}

static void test_changed_jobs(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "jobs", JOB("fixed", "")));
        json_decref(must_create(&fixture, "jobs",
                                JOB("grows", "'completionMode':'Indexed','completions':3,'parallelism':3,")));
        json_decref(must_create(&fixture, "jobs", JOB("waits", "'suspend':true,")));
        static const struct {
                const char *name, *patch, *refusal;
        } cases[] = {
                {"fixed", "{'spec':{'completions':5}}", "spec.completions: Invalid value: 5: field is immutable"},
                {"fixed", "{'spec':{'parallelism':5}}", ""},
                {"fixed", "{'spec':{'backoffLimitPerIndex':5}}", "spec.backoffLimitPerIndex: Invalid value: 5"},
                {"fixed", "{'spec':{'template':{'spec':{'nodeSelector':{'a':'b'}}}}}", "field is immutable"},
                {"grows", "{'spec':{'completions':5}}",
                 "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"},
                {"grows", "{'spec':{'completions':5,'parallelism':5}}", ""},
                {"waits",
                 "{'spec':{'template':{'metadata':{'annotations':{'a':'b'}},'spec':{'nodeSelector':{'a':'b'},"
                 "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms'"
                 ":[{'matchExpressions':[{'key':'a','operator':'Exists'}]}]}}},'schedulingGates':[{'name':'a/b'}]"
                 "}}}}",
                 ""},
                {"waits", "{'spec':{'template':{'spec':{'hostNetwork':true}}}}", "field is immutable"},
                {"waits", "{'spec':{'template':{'metadata':{'labels':{'job-name':'x'}}}}}", "must be 'waits'"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, "jobs", cases[i].name);
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep) char *text = refusal(patch(&scope, PATCH_MERGE, cases[i].patch, NULL, &err), &err);
                expect_part(text, cases[i].refusal);
        }
}

#define CONDITION(type) "{'type':'" type "','status':'True'}"

// One status after another; what is refused leaves the one before.
static void test_status_of_jobs(void **state CX_UNUSED)
{
        json_decref(must_create(
                &fixture, "jobs",
                JOB("st", "'completionMode':'Indexed','completions':5,'parallelism':2,'backoffLimitPerIndex':1,")));
        static const struct {
                const char *status, *refusal;
        } cases[] = {
                {"'active':-1", "status.active: Invalid value: -1: must be greater than or equal to 0"},
                {"'active':1,'ready':2", "cannot set more ready pods than active"},
                {"'active':2,'ready':1,'succeeded':2,'failed':2,'startTime':'2026-01-01T00:00:00Z'", ""},
                {"'failed':1", "cannot decrease the failed counter"},
                {"'succeeded':1", "cannot decrease the succeeded counter"},
                {"'completedIndexes':'7'", "error parsing completedIndexes: too large index"},
                {"'completedIndexes':'1,3','failedIndexes':'3'", "failedIndexes and completedIndexes overlap"},
                {"'completedIndexes':'1,3','failedIndexes':'2'", ""},
                {"'uncountedTerminatedPods':{'succeeded':['a'],'failed':['a']}", "Duplicate value: \"a\""},
                {"'uncountedTerminatedPods':{'succeeded':['']}", "must not be empty"},
                {"'completionTime':'2026-01-02T00:00:00Z'",
                 "cannot set completionTime when there is no Complete=True condition"},
                {"'conditions':[" CONDITION("Failed") "]", "without the FailureTarget=true condition"},
                {"'conditions':[" CONDITION("SuccessCriteriaMet") "," CONDITION("FailureTarget") "]",
                 "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
                {"'conditions':[" CONDITION("SuccessCriteriaMet") "]", ""},
                {"'conditions':[]", "cannot disable the SuccessCriteriaMet=True condition"},
                {"'conditions':[" CONDITION("SuccessCriteriaMet") "," CONDITION("Complete") "]",
                 "completionTime is required for Complete jobs"},
                {"'active':1,'ready':0,'completionTime':'2026-01-02T00:00:00Z','conditions':[" CONDITION(
                         "SuccessCriteriaMet") "," CONDITION("Complete") "]",
                 "active>0 is invalid for finished job"},
                {"'active':0,'ready':0,'completionTime':'2025-01-02T00:00:00Z','conditions':[" CONDITION(
                         "SuccessCriteriaMet") "," CONDITION("Complete") "]",
                 "completionTime cannot be set before startTime"},
                {"'active':0,'ready':0,'uncountedTerminatedPods':{'failed':['a']},'completionTime':'2026-01-02T00:00:"
                 "00Z','conditions':[" CONDITION("SuccessCriteriaMet") "," CONDITION("Complete") "]",
                 "uncountedTerminatedPods needs to be empty for finished job"},
                {"'active':0,'ready':0,'completionTime':'2026-01-02T00:00:00Z','conditions':[" CONDITION(
                         "SuccessCriteriaMet") "," CONDITION("Complete") "]",
                 ""},
                {"'completionTime':'2026-01-03T00:00:00Z'", "completionTime cannot be mutated"},
                {"'terminating':1", "terminating>0 is invalid for finished job"},
                {"'startTime':null", "startTime is required for finished job"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, "jobs/status", "st");
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep) char *body = cx_sprintf("{'status':{%s}}", cases[i].status);
                CX_CLEANUP(cx_freep) char *text = refusal(patch(&scope, PATCH_MERGE, body, NULL, &err), &err);
                expect_part(text, cases[i].refusal);
        }
}

// Who deletes a Job and says nothing about its pods leaves them there.
static void test_deleted_jobs(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "jobs", JOB("left", "")));
        struct scope scope = scope_of(&fixture, "jobs", "left");
        struct delete_options plain = DELETE_OPTIONS_INIT;
        STORED *left = NULL;
        assert_int_equal(registry_delete(&scope, &plain, &left, NULL, NULL), 0);
        json_auto_t *job = get(&fixture, "jobs", "left");
        assert_string_equal(json_string_value(json_array_get(cx_json_get(job, "metadata.finalizers"), 0)), "orphan");
}

static void test_cronjobs(void **state CX_UNUSED)
{
        static const struct {
                const char *name, *zone, *refusal;
        } cases[] = {
                {"ok", "Europe/Berlin", ""},
                {"ok2", "Etc/GMT+5", ""},
                {"a", "", "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"},
                {"b", "Mars/Base", "spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"},
                {"c", "../etc/passwd", "unknown time zone ../etc/passwd"},
                {"d", "/etc/localtime", "unknown time zone /etc/localtime"},
                {"e", "local", "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"},
                {"f", "Europe//Berlin", "unknown time zone Europe//Berlin"},
                {"a-name-of-fifty-three-characters-is-one-over-the-most", "UTC", "must be no more than 52 characters"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, "cronjobs", "");
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep)
                char *body =
                        cx_sprintf("{'metadata':{'name':'%s'},'spec':{'schedule':'* * * * *','timeZone':'%s',"
                                   "'jobTemplate':{'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[{"
                                   "'name':'c','image':'i'}]}}}}}}",
                                   cases[i].name, cases[i].zone);
                CX_CLEANUP(cx_freep) char *text = refusal(create(&scope, body, NULL, &err), &err);
                expect_part(text, cases[i].refusal);
        }
}

static void test_csrs(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "certificatesigningrequests", "");
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(create(&scope,
                           "{'metadata':{'name':'c'},'spec':{'request':'bm8=','signerName':'a.b/c','usages':['client "
                           "auth'],'username':'somebody-else'}}",
                           NULL, &err) < 0);
        assert_string_equal(err.causes[0].field, "spec.request");
}

// Started again, or beside another: what is there stays, what is missing comes.
static void test_bootstrap_twice(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(bootstrap_policy(&fixture.api, &err), 0);
        int64_t before = store_revision(fixture.api.store);
        assert_int_equal(bootstrap_objects(&fixture.api, &err), 0);
        assert_int_equal(bootstrap_policy(&fixture.api, &err), 0);
        assert_int_equal(bootstrap_service(&fixture.api, &err), 0);
        assert_int_equal(store_revision(fixture.api.store), before);
        struct scope scope = scope_of(&fixture, "clusterroles", "view");
        json_auto_t *role = get(&fixture, "clusterroles", "system:discovery");
        assert_non_null(role);
        scope.name = "system:discovery";
        assert_int_equal(patch(&scope, PATCH_MERGE, "{'rules':[]}", NULL, NULL), 0);
        assert_int_equal(bootstrap_policy(&fixture.api, &err), 0);
        json_auto_t *completed = get(&fixture, "clusterroles", "system:discovery");
        assert_true(json_equal(json_object_get(completed, "rules"), json_object_get(role, "rules")));
        service_heartbeat(&fixture.api);
        json_auto_t *endpoints = get(&fixture, "endpoints", "kubernetes");
        const json_t *subset = json_array_get(json_object_get(endpoints, "subsets"), 0);
        assert_string_equal(cx_json_string(json_array_get(json_object_get(subset, "addresses"), 0), "ip"),
                            "192.168.1.1");
        before = store_revision(fixture.api.store);
        service_heartbeat(&fixture.api);
        assert_int_equal(store_revision(fixture.api.store), before + 1); // its own lease, nothing else
        service_goodbye(&fixture.api);
}

static void test_dry_run_of_services(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "services", "");
        scope.dry_run = true;
        for (int i = 0; i < 20; i++) { // there are ten ports: nothing is taken, nor shown twice
                json_auto_t *shown = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                if (create(&scope,
                           "{'metadata':{'name':'dry'},'spec':{'type':'NodePort','ports':[{'name':'a','port':80},{'"
                           "name':"
                           "'b','port':81}]}}",
                           &shown, &err) < 0)
                        fail_msg("%s", cx_error_text(&err));
                const json_t *ports = cx_json_get(shown, "spec.ports");
                int64_t first = cx_json_int(json_array_get(ports, 0), "nodePort", 0);
                int64_t second = cx_json_int(json_array_get(ports, 1), "nodePort", 0);
                assert_true(first >= 30000 && first <= 30009 && second >= 30000 && second <= 30009 && first != second);
                json_auto_t *taken = get(&fixture, "ipaddresses", cx_json_string(shown, "spec.clusterIP"));
                assert_non_null(cx_json_string(shown, "spec.clusterIP"));
                assert_null(taken);
        }
        json_decref(
                must_create(&fixture, "services",
                            "{'metadata':{'name':'held'},'spec':{'type':'NodePort','clusterIP':'10.96.0.203','ports':["
                            "{'port':80,'nodePort':30003}]}}"));
        assert_true(create(&scope,
                           "{'metadata':{'name':'dry'},'spec':{'clusterIP':'10.96.0.203','ports':[{'port':80}]}}", NULL,
                           NULL) < 0);
        assert_true(
                create(&scope,
                       "{'metadata':{'name':'dry'},'spec':{'type':'NodePort','ports':[{'port':80,'nodePort':30003}]}}",
                       NULL, NULL) < 0);
        remove_it("services", "held");
}

// Labels and annotations sent with a status: kept out where upstream's strategy keeps them out.
static void test_status_writes(void **state CX_UNUSED)
{
        static const struct {
                const char *what, *name, *object;
                bool labels, annotations; // are changed
        } cases[] = {
                {"deployments.apps", "d",
                 "'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':{'a':'b'}},'spec':{"
                 "'containers':[{'name':'c','image':'i'}]}}}",
                 false, true},
                {"replicasets.apps", "r",
                 "'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':{'a':'b'}},'spec':{"
                 "'containers':[{'name':'c','image':'i'}]}}}",
                 true, true},
                {"nodes", "status-of-node", "'spec':{}", true, true},
                {"volumeattachments.storage.k8s.io", "v",
                 "'spec':{'attacher':'d','nodeName':'n','source':{'persistentVolumeName':'v'}}", false, false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'metadata':{'name':'%s'},%s}", cases[i].name, cases[i].object);
                CX_CLEANUP(cx_freep) char *part = cx_sprintf("%s/status", cases[i].what);
                struct scope scope = scope_of(&fixture, part, cases[i].name);
                json_auto_t *now = NULL;
                json_decref(must_create(&fixture, cases[i].what, text));
                assert_int_equal(patch(&scope, PATCH_MERGE,
                                       "{'metadata':{'labels':{'new':'l'},'annotations':{'new':'a'},'finalizers':["
                                       "'example.com/x']}}",
                                       &now, NULL),
                                 0);
                assert_int_equal(cx_json_get(now, "metadata.labels.new") != NULL, cases[i].labels);
                assert_int_equal(cx_json_get(now, "metadata.annotations.new") != NULL, cases[i].annotations);
                assert_null(cx_json_get(now, "metadata.finalizers"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_failed_writes_give_back),
                cmocka_unit_test(test_service_types),
                cmocka_unit_test(test_the_first_address_is_reserved),
                cmocka_unit_test(test_namespaces),
                cmocka_unit_test(test_secrets),
                cmocka_unit_test(test_daemon_sets),
                cmocka_unit_test(test_jobs),
                cmocka_unit_test(test_changed_jobs),
                cmocka_unit_test(test_status_of_jobs),
                cmocka_unit_test(test_deleted_jobs),
                cmocka_unit_test(test_cronjobs),
                cmocka_unit_test(test_csrs),
                cmocka_unit_test(test_status_writes),
                cmocka_unit_test(test_dry_run_of_services),
                cmocka_unit_test(test_bootstrap_twice),
        };
        return cmocka_run_group_tests(tests, start, end);
}
