// SPDX-License-Identifier: Apache-2.0
// ResourceQuota and LimitRanger: what is charged, refused and completed, and in which words.
#include "apiserver/admission/plugin.h"
#include "test/unit/apiserver/fixture.h"

#include <pthread.h>

static struct fixture fixture;

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        json_decref(must_create(&fixture, "serviceaccounts",
                                "{'metadata':{'name':'default'},'automountServiceAccountToken':false}"));
        return 0;
}

static int end(void **state CX_UNUSED)
{
        fixture_end(&fixture);
        return 0;
}

// A quota whose usage is known. `hard` and `used` are JSON.
static void quota(const char *name, const char *spec, const char *used)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'metadata':{'name':'%s'},'spec':%s}", name, spec);
        json_auto_t *made = must_create(&fixture, "resourcequotas", text);
        struct scope scope = scope_of(&fixture, "resourcequotas/status", name);
        CX_CLEANUP(cx_freep) char *hard = cx_json_text(cx_json_get(made, "spec.hard"));
        CX_CLEANUP(cx_freep) char *status = cx_sprintf("{'status':{'hard':%s,'used':%s}}", hard, used);
        assert_int_equal(patch(&scope, PATCH_MERGE, status, NULL, NULL), 0);
}

static void drop(const char *what, const char *name)
{
        struct scope scope = scope_of(&fixture, what, name);
        struct delete_options options = DELETE_OPTIONS_INIT;
        STORED *left = NULL;
        options.grace_period = 0;
        assert_int_equal(registry_delete(&scope, &options, &left, NULL, NULL), 0);
}

static void assert_used(const char *name, const char *resource, const char *amount)
{
        json_auto_t *object = get(&fixture, "resourcequotas", name);
        const char *found = json_string_value(json_object_get(cx_json_get(object, "status.used"), resource));
        assert_string_equal(cx_str(found), amount);
}

static void refused(const char *what, const char *text, const char *message)
{
        struct scope scope = scope_of(&fixture, what, "");
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(create(&scope, text, NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_FORBIDDEN));
        assert_string_equal(cx_error_text(&err), message);
}

#define POD(name, resources)                                                                                           \
        "{'metadata':{'name':'" name "'},'spec':{'containers':[{'name':'c','image':'i','resources':" resources "}]}}"
#define ASK(cpu) "{'requests':{'cpu':'" cpu "'}}"

static void test_charges(void **state CX_UNUSED)
{
        quota("a", "{'hard':{'pods':'2','requests.cpu':'1'}}", "{'pods':'0','requests.cpu':'0'}");
        quota("b", "{'hard':{'count/pods':'9'},'scopes':['NotBestEffort']}", "{'count/pods':'0'}");
        json_decref(must_create(&fixture, "pods", POD("one", ASK("300m"))));
        assert_used("a", "pods", "1");
        assert_used("a", "requests.cpu", "300m");
        assert_used("b", "count/pods", "1");
        refused("pods", POD("two", ASK("800m")),
                "pods \"two\" is forbidden: exceeded quota: a, requested: requests.cpu=800m, used: requests.cpu=300m, "
                "limited: requests.cpu=1");
        refused("pods", POD("two", "{}"),
                "pods \"two\" is forbidden: failed quota: a: must specify requests.cpu for: c");
        assert_used("b", "count/pods", "1"); // all of them or none
        json_decref(must_create(&fixture, "pods", POD("two", ASK("1m"))));
        refused("pods", POD("three", ASK("900m")),
                "pods \"three\" is forbidden: exceeded quota: a, requested: pods=1,requests.cpu=900m, used: "
                "pods=2,requests.cpu=301m, limited: pods=2,requests.cpu=1");
        drop("pods", "one");
        drop("pods", "two");
        drop("resourcequotas", "a");
        drop("resourcequotas", "b");
}

static void test_nothing_is_charged_that_was_not_written(void **state CX_UNUSED)
{
        quota("a", "{'hard':{'secrets':'5'}}", "{'secrets':'0'}");
        json_decref(must_create(&fixture, "secrets", "{'metadata':{'name':'s'}}"));
        struct scope scope = scope_of(&fixture, "secrets", "");
        CX_ERROR exists = CX_ERROR_INIT, away = CX_ERROR_INIT;
        assert_int_equal(create(&scope, "{'metadata':{'name':'s'}}", NULL, &exists), -EEXIST);
        fixture.api.etcd->fail_at = 1;
        assert_true(create(&scope, "{'metadata':{'name':'t'}}", NULL, &away) < 0);
        scope.dry_run = true;
        assert_int_equal(create(&scope, "{'metadata':{'name':'t'}}", NULL, NULL), 0);
        assert_used("a", "secrets", "1");
        quota("full", "{'hard':{'count/secrets':'1'}}", "{'count/secrets':'1'}");
        CX_ERROR full = CX_ERROR_INIT;
        assert_int_equal(create(&scope, "{'metadata':{'name':'t'}}", NULL, &full), -EPERM); // also when dry
        drop("secrets", "s");
        drop("resourcequotas", "a");
        drop("resourcequotas", "full");
}

// A quota that was not counted yet limits nothing, but hears of what is made meanwhile; one that is half known refuses.
static void test_uncounted(void **state CX_UNUSED)
{
        json_auto_t *made =
                must_create(&fixture, "resourcequotas", "{'metadata':{'name':'new'},'spec':{'hard':{'secrets':'0'}}}");
        json_decref(must_create(&fixture, "secrets", "{'metadata':{'name':'s'}}"));
        json_auto_t *touched = get(&fixture, "resourcequotas", "new");
        assert_string_not_equal(cx_json_string(made, "metadata.resourceVersion"),
                                cx_json_string(touched, "metadata.resourceVersion"));
        json_decref(must_create(&fixture, "configmaps", "{'metadata':{'name':'c'}}"));
        json_auto_t *same = get(&fixture, "resourcequotas", "new");
        assert_true(json_equal(touched, same)); // not concerned
        struct scope scope = scope_of(&fixture, "resourcequotas/status", "new");
        assert_int_equal(patch(&scope, PATCH_MERGE, "{'status':{'hard':{'secrets':'0'}}}", NULL, NULL), 0);
        refused("secrets", "{'metadata':{'name':'t'}}",
                "secrets \"t\" is forbidden: status unknown for quota: new, resources: secrets");
        drop("secrets", "s");
        drop("configmaps", "c");
        drop("resourcequotas", "new");
}

static void test_updates(void **state CX_UNUSED)
{
        quota("a", "{'hard':{'services.nodeports':'1','requests.storage':'3Gi'}}",
              "{'services.nodeports':'0','requests.storage':'0'}");
        json_decref(must_create(
                &fixture, "services",
                "{'metadata':{'name':'s'},'spec':{'ports':[{'name':'a','port':1},{'name':'b','port':2}]}}"));
        struct scope service = scope_of(&fixture, "services", "s");
        CX_ERROR over = CX_ERROR_INIT;
        assert_int_equal(patch(&service, PATCH_MERGE, "{'spec':{'type':'NodePort'}}", NULL, &over), -EPERM);
        assert_string_equal(cx_error_text(&over),
                            "services \"s\" is forbidden: exceeded quota: a, requested: services.nodeports=2, used: "
                            "services.nodeports=0, limited: services.nodeports=1");
        assert_int_equal(patch(&service, PATCH_MERGE, "{'spec':{'type':'NodePort','ports':[{'name':'a','port':1}]}}",
                               NULL, NULL),
                         0);
        assert_used("a", "services.nodeports", "1");
        assert_int_equal(patch(&service, PATCH_MERGE, "{'metadata':{'labels':{'x':'y'}}}", NULL, NULL), 0);
        assert_used("a", "services.nodeports", "1"); // it had it before
        json_decref(must_create(&fixture, "storageclasses",
                                "{'metadata':{'name':'grows'},'provisioner':'p','allowVolumeExpansion':true}"));
        json_decref(must_create(&fixture, "persistentvolumeclaims",
                                "{'metadata':{'name':'c'},'spec':{'storageClassName':'grows','accessModes':["
                                "'ReadWriteOnce'],'volumeName':'v','resources':{'requests':{'storage':'1Gi'}}}}"));
        assert_used("a", "requests.storage", "1Gi");
        struct scope status = scope_of(&fixture, "persistentvolumeclaims/status", "c");
        assert_int_equal(patch(&status, PATCH_MERGE,
                               "{'status':{'phase':'Bound','allocatedResources':{'storage':'5Gi'}}}", NULL, NULL),
                         0); // what has happened is counted
        assert_used("a", "requests.storage", "5Gi");
        drop("services", "s");
        drop("resourcequotas", "a");
}

struct racer {
        pthread_t thread;
        int index, made;
};

static void *race(void *context)
{
        struct racer *racer = context;
        for (int i = 0; i < 20; i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'metadata':{'name':'r-%d-%d'}}", racer->index, i);
                struct scope scope = scope_of(&fixture, "secrets", "");
                CX_ERROR err = CX_ERROR_INIT;
                racer->made += create(&scope, text, NULL, &err) == 0;
                assert_true(!err.code || cx_error_is(&err, CX_REASON_FORBIDDEN));
        }
        return NULL;
}

static void test_race(void **state CX_UNUSED)
{
        struct racer racers[16];
        int made = 0;
        quota("a", "{'hard':{'secrets':'100'}}", "{'secrets':'0'}");
        quota("b", "{'hard':{'count/secrets':'101'}}", "{'count/secrets':'0'}");
        for (int i = 0; i < 16; i++) {
                racers[i] = (struct racer){.index = i};
                assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < 16; i++) {
                pthread_join(racers[i].thread, NULL);
                made += racers[i].made;
        }
        assert_int_equal(made, 100);
        assert_used("a", "secrets", "100");
        assert_used("b", "count/secrets", "100");
        drop("resourcequotas", "a");
        drop("resourcequotas", "b");
}

// --- LimitRanger ---

#define LIMITS(items) "{'metadata':{'name':'l'},'spec':{'limits':[" items "]}}"

static void test_defaults(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "limitranges",
                                LIMITS("{'type':'Container','default':{'cpu':'2','memory':'1Gi'},'defaultRequest':{"
                                       "'cpu':'100m'}}")));
        json_auto_t *pod = must_create(&fixture, "pods",
                                       "{'metadata':{'name':'p'},'spec':{'initContainers':[{'name':'i','image':'i','"
                                       "resources':{'limits':{'cpu'"
                                       ":'1'}}}],'containers':[{'name':'a','image':'i'},{'name':'b','image':'i','"
                                       "resources':{'requests':{'cpu':"
                                       "'1','memory':'1Mi'},'limits':{'cpu':'1','memory':'1Gi'}}}]}}");
        const json_t *a = json_array_get(cx_json_get(pod, "spec.containers"), 0);
        assert_string_at(a, "resources.requests.cpu", "100m");
        assert_string_at(a, "resources.requests.memory", "1Gi"); // as the default of the limit is
        assert_string_at(a, "resources.limits.cpu", "2");
        assert_string_at(pod, "status.qosClass", "Burstable");
        assert_string_equal(json_string_value(json_object_get(cx_json_get(pod, "metadata.annotations"),
                                                              "kubernetes.io/limit-ranger")),
                            "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for "
                            "container a; memory "
                            "request for init container i; memory limit for init container i");
        drop("pods", "p");
        drop("limitranges", "l");
}

static void test_bounds(void **state CX_UNUSED)
{
#define NEEDS(text) "pods \"p\" is forbidden: " text
        static const struct {
                const char *item, *resources, *message; // NULL: it fits
        } cases[] = {
                {"{'type':'Container','min':{'cpu':'1'},'default':{'cpu':'3'}}", ASK("1500m"), NULL},
                {"{'type':'Container','min':{'cpu':'1'},'default':{'cpu':'3'}}", ASK("500m"),
                 NEEDS("minimum cpu usage per Container is 1, but request is 500m")},
                {"{'type':'Container','max':{'memory':'1Gi'},'default':{'memory':'1Gi'}}",
                 "{'requests':{'memory':'1Mi'},'limits':{'memory':'2Gi'}}",
                 NEEDS("maximum memory usage per Container is 1Gi, but limit is 2Gi")},
                {"{'type':'Container','maxLimitRequestRatio':{'cpu':'2'}}",
                 "{'requests':{'cpu':'1'},'limits':{'cpu':'3'}}",
                 NEEDS("cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000")},
                {"{'type':'Container','maxLimitRequestRatio':{'cpu':'3'}}",
                 "{'requests':{'cpu':'1'},'limits':{'cpu':'3'}}", NULL},
                {"{'type':'Container','maxLimitRequestRatio':{'cpu':'3'}}", ASK("1"),
                 NEEDS("cpu max limit to request ratio per Container is 3, but no limit is specified or limit is 0")},
                {"{'type':'Pod','max':{'cpu':'2'}}", ASK("1"),
                 NEEDS("maximum cpu usage per Pod is 2.  No limit is specified")},
                {"{'type':'Pod','max':{'cpu':'2'},'min':{'cpu':'1'}}", "{'limits':{'cpu':'500m'}}",
                 NEEDS("minimum cpu usage per Pod is 1, but request is 500m")},
                {"{'type':'Pod','max':{'cpu':'2','memory':'1'}}", "{'limits':{'cpu':'3'}}",
                 NEEDS("[maximum cpu usage per Pod is 2, but limit is 3, maximum memory usage per Pod is 1.  No limit "
                       "is "
                       "specified]")},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *range = cx_sprintf(LIMITS("%s"), cases[i].item);
                CX_CLEANUP(cx_freep) char *pod = cx_sprintf(POD("p", "%s"), cases[i].resources);
                json_decref(must_create(&fixture, "limitranges", range));
                if (cases[i].message)
                        refused("pods", pod, cases[i].message);
                else
                        json_decref(must_create(&fixture, "pods", pod)), drop("pods", "p");
                drop("limitranges", "l");
        }
        json_decref(must_create(
                &fixture, "limitranges",
                LIMITS("{'type':'PersistentVolumeClaim','min':{'storage':'1Gi'},'max':{'storage':'2Gi'}}")));
#define STORE(size)                                                                                                    \
        "{'metadata':{'name':'p'},'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'" size   \
        "'}}}}"
        refused("persistentvolumeclaims", STORE("1Mi"),
                "persistentvolumeclaims \"p\" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, "
                "but "
                "request is 1Mi");
        refused("persistentvolumeclaims", STORE("3Gi"),
                "persistentvolumeclaims \"p\" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, "
                "but "
                "request is 3Gi");
        json_decref(must_create(&fixture, "persistentvolumeclaims", STORE("2Gi")));
        drop("limitranges", "l");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_charges),   cmocka_unit_test(test_nothing_is_charged_that_was_not_written),
                cmocka_unit_test(test_uncounted), cmocka_unit_test(test_updates),
                cmocka_unit_test(test_race),      cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_bounds),
        };
        return cmocka_run_group_tests(tests, start, end);
}
