// SPDX-License-Identifier: Apache-2.0
// The registry without a request: creating, changing, applying and deleting, alone and against somebody who is faster.
#include "test/unit/apiserver/fixture.h"

static struct fixture fixture;

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        json_decref(must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'default'}}"));
        return 0;
}

static int end(void **state CX_UNUSED)
{
        fixture_end(&fixture);
        return 0;
}

static const char deployment[] =
        "{'metadata':{'name':'web'},'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':"
        "{'a':'b'}},'spec':{'containers':[{'name':'c','image':'i'}]}}}}";

// --- create ---

static void test_create_fills_in(void **state CX_UNUSED)
{
        json_auto_t *object = must_create(
                &fixture, "configmaps",
                "{'metadata':{'name':'a','uid':'mine','creationTimestamp':'2000-01-01T00:00:00Z','managedFields':[{}]},"
                "'data':{'k':'v'}}");
        assert_string_at(object, "metadata.namespace", "default");
        assert_string_not_equal(cx_json_string(object, "metadata.uid"), "mine");
        assert_string_not_equal(cx_json_string(object, "metadata.creationTimestamp"), "2000-01-01T00:00:00Z");
        assert_null(cx_json_get(object, "metadata.managedFields"));
        assert_non_null(cx_json_string(object, "metadata.resourceVersion"));
}

static void test_create_refuses(void **state CX_UNUSED)
{
        static const struct {
                const char *what, *text;
                enum cx_reason reason;
                const char *message;
        } cases[] = {
                {"configmaps", "{'metadata':{'name':'taken'}}", CX_REASON_ALREADY_EXISTS,
                 "configmaps \"taken\" already exists"},
                {"configmaps", "{'metadata':{'name':'x','resourceVersion':'7'}}", CX_REASON_BAD_REQUEST,
                 "resourceVersion should not be set on objects to be created"},
                {"configmaps", "{'metadata':{'name':'x','namespace':'other'}}", CX_REASON_BAD_REQUEST, NULL},
                {"configmaps", "{'metadata':{}}", CX_REASON_INVALID,
                 "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"},
                {"configmaps", "{'metadata':{'name':'Not_a_name'}}", CX_REASON_INVALID, NULL},
                {"pods", "{'metadata':{'name':'p'},'spec':{'containers':[]}}", CX_REASON_INVALID, NULL},
                {"pods",
                 "{'metadata':{'name':'p'},'spec':{'containers':[{'name':'c','image':'i','securityContext':{"
                 "'privileged':true}}]}}",
                 CX_REASON_INVALID,
                 "Pod \"p\" is invalid: spec.containers[0].securityContext.privileged: Forbidden: disallowed by "
                 "cluster policy"},
        };
        json_decref(must_create(&fixture, "configmaps", "{'metadata':{'name':'taken'}}"));
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, cases[i].what, "");
                CX_ERROR err = CX_ERROR_INIT;
                assert_true(create(&scope, cases[i].text, NULL, &err) < 0);
                assert_true(cx_error_is(&err, cases[i].reason));
                if (cases[i].message)
                        assert_string_equal(cx_error_text(&err), cases[i].message);
        }
}

static void test_generated_names(void **state CX_UNUSED)
{
        json_auto_t *a = must_create(&fixture, "configmaps", "{'metadata':{'generateName':'gen-'}}");
        json_auto_t *b = must_create(&fixture, "configmaps", "{'metadata':{'generateName':'gen-'}}");
        assert_int_equal(strlen(cx_json_string(a, "metadata.name")), strlen("gen-") + 5);
        assert_string_not_equal(cx_json_string(a, "metadata.name"), cx_json_string(b, "metadata.name"));
}

static void test_dry_run_writes_nothing(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "services", "");
        int64_t before = store_revision(fixture.api.store);
        json_auto_t *object = NULL;
        scope.dry_run = true;
        assert_int_equal(create(&scope, "{'metadata':{'name':'s'},'spec':{'ports':[{'port':80}]}}", &object, NULL), 0);
        assert_string_at(object, "metadata.name", "s");
        assert_int_equal(store_revision(fixture.api.store), before);
}

// --- update ---

static json_t *body; // what update() puts

static int put_body(void *context CX_UNUSED, const struct scope *scope CX_UNUSED, const json_t *current CX_UNUSED,
                    json_t **ret_object, struct cx_error *err CX_UNUSED)
{
        *ret_object = json_deep_copy(body);
        return 0;
}

static int update(const struct scope *scope, const json_t *object, json_t **ret_object, struct cx_error *err)
{
        struct change change = {.compute = put_body};
        struct stored *stored = NULL;
        body = (json_t *)object;
        int r = registry_update(scope, &change, &stored, NULL, err);
        json_t *answer = take(stored);
        if (ret_object)
                *ret_object = answer;
        else
                json_decref(answer);
        return r;
}

static void test_update(void **state CX_UNUSED)
{
        json_auto_t *first = must_create(&fixture, "configmaps", "{'metadata':{'name':'up'},'data':{'k':'1'}}");
        json_auto_t *second = NULL;
        struct scope scope = scope_of(&fixture, "configmaps", "up");
        (void)cx_json_set(first, "data.k", json_string("2"));
        assert_int_equal(update(&scope, first, &second, NULL), 0);
        assert_string_at(second, "data.k", "2");
        assert_string_at(second, "metadata.uid", cx_json_string(first, "metadata.uid"));
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_json_set(first, "data.k", json_string("3")); // with the first version: stale
        assert_true(update(&scope, first, NULL, &err) < 0);
        assert_string_equal(cx_error_text(&err),
                            "Operation cannot be fulfilled on configmaps \"up\": the object has been modified; please "
                            "apply your changes to the latest version and try again");
        CX_ERROR absent = CX_ERROR_INIT;
        struct scope nowhere = scope_of(&fixture, "configmaps", "nowhere");
        assert_true(patch(&nowhere, PATCH_MERGE, "{}", NULL, &absent) < 0);
        assert_true(cx_error_is(&absent, CX_REASON_NOT_FOUND));
}

static void test_what_changes_nothing_writes_nothing(void **state CX_UNUSED)
{
        json_auto_t *object = must_create(&fixture, "deployments", deployment);
        struct scope scope = scope_of(&fixture, "deployments", "web");
        int64_t before = store_revision(fixture.api.store);
        json_auto_t *again = NULL, *same = parse(deployment);
        // without all that was defaulted: defaults come before the comparison
        json_object_set_new(same, "kind", json_string("Deployment"));
        json_object_set_new(same, "apiVersion", json_string("apps/v1"));
        assert_int_equal(update(&scope, same, &again, NULL), 0);
        assert_int_equal(cx_json_int(again, "metadata.generation", 0), 1);
        assert_int_equal(store_revision(fixture.api.store), before);
}

static void test_generation_counts_the_spec(void **state CX_UNUSED)
{
        static const struct {
                const char *what, *patch;
                int generation;
        } steps[] = {
                {"deployments", "{'metadata':{'labels':{'x':'y'}}}", 1},
                {"deployments", "{'spec':{'replicas':3}}", 2},
                {"deployments/status", "{'status':{'replicas':3},'spec':{'replicas':9}}", 2},
                {"deployments", "{'status':{'replicas':5}}", 2}, // not by way of the object
                {"deployments", "{'metadata':{'annotations':{'of':'a deployment'}}}", 3},
        };
        json_auto_t *created = must_create(&fixture, "deployments",
                                           "{'metadata':{'name':'counted'},'spec':{'selector':{"
                                           "'matchLabels':{'a':'b'}},'template':{'metadata':{"
                                           "'labels':{'a':'b'}},'spec':{'containers':[{'name':"
                                           "'c','image':'i'}]}}}}");
        for (size_t i = 0; i < CX_ARRAY_SIZE(steps); i++) {
                struct scope scope = scope_of(&fixture, steps[i].what, "counted");
                json_auto_t *object = NULL;
                assert_int_equal(patch(&scope, PATCH_MERGE, steps[i].patch, &object, NULL), 0);
                assert_int_equal(cx_json_int(object, "metadata.generation", 0), steps[i].generation);
        }
        json_auto_t *object = get(&fixture, "deployments", "counted");
        assert_int_equal(cx_json_int(object, "status.replicas", 0), 3);
        assert_int_equal(cx_json_int(object, "spec.replicas", 0), 3);
}

// Somebody else writes in the middle of the first try.
static int interrupted(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                       struct cx_error *err CX_UNUSED)
{
        int *tries = context;
        if (++*tries == 1)
                assert_int_equal(patch(scope, PATCH_MERGE, "{'data':{'theirs':'1'}}", NULL, NULL), 0);
        json_t *object = json_deep_copy(current);
        (void)cx_json_set(object, "data.mine", json_string("1"));
        *ret_object = object;
        return 0;
}

static void test_conflicts_are_tried_again(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "configmaps", "{'metadata':{'name':'busy'},'data':{'k':'v'}}"));
        struct scope scope = scope_of(&fixture, "configmaps", "busy");
        int tries = 0;
        struct change change = {.compute = interrupted, .context = &tries};
        STORED *stored = NULL;
        assert_int_equal(registry_update(&scope, &change, &stored, NULL, NULL), 0);
        assert_int_equal(tries, 2);
        json_auto_t *object = get(&fixture, "configmaps", "busy");
        assert_string_at(object, "data.theirs", "1");
        assert_string_at(object, "data.mine", "1");
}

static void test_frozen_parts(void **state CX_UNUSED)
{
        static const struct {
                const char *what, *create, *patch, *field;
        } cases[] = {
                {"configmaps", "{'metadata':{'name':'frozen'},'immutable':true,'data':{'k':'v'}}", "{'data':{'k':'w'}}",
                 "data"},
                {"secrets", "{'metadata':{'name':'frozen'},'type':'a'}", "{'type':'b'}", "type"},
                {"pods", "{'metadata':{'name':'frozen'},'spec':{'containers':[{'name':'c','image':'i'}]}}",
                 "{'spec':{'restartPolicy':'Never'}}", "spec"},
                {"storageclasses", "{'metadata':{'name':'frozen'},'provisioner':'a'}", "{'provisioner':'b'}",
                 "provisioner"},
                {"nodes", "{'metadata':{'name':'frozen'},'spec':{'podCIDR':'10.0.0.0/24'}}",
                 "{'spec':{'podCIDR':'10.0.1.0/24'}}", "spec.podCIDRs"},
                {"priorityclasses", "{'metadata':{'name':'frozen'},'value':1}", "{'value':2}", "value"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_decref(must_create(&fixture, cases[i].what, cases[i].create));
                struct scope scope = scope_of(&fixture, cases[i].what, "frozen");
                CX_ERROR err = CX_ERROR_INIT;
                if (patch(&scope, PATCH_MERGE, cases[i].patch, NULL, &err) == 0)
                        fail_msg("%s changed", cases[i].what);
                assert_true(cx_error_is(&err, CX_REASON_INVALID));
                assert_string_equal(err.causes[0].field, cases[i].field);
        }
}

// --- apply ---

static int delete_it(const char *what, const char *name, struct delete_options *options, json_t **ret_left,
                     struct cx_error *err)
{
        struct scope scope = scope_of(&fixture, what, name);
        struct stored *left = NULL;
        int r = registry_delete(&scope, options, &left, NULL, err);
        json_t *answer = take(left);
        if (ret_left)
                *ret_left = answer;
        else
                json_decref(answer);
        return r;
}

static int apply(const char *manager, const char *text, bool force, json_t **ret_object, struct cx_error *err)
{
        struct scope scope = scope_of(&fixture, "configmaps", "applied");
        json_auto_t *config = parse(text);
        json_object_set_new(config, "kind", json_string("ConfigMap"));
        json_object_set_new(config, "apiVersion", json_string("v1"));
        scope.manager = manager;
        struct apply_config what = {.config = config, .force = force};
        struct change change = {.compute = apply_compute, .context = &what, .create_if_absent = true, .applying = true};
        struct stored *stored = NULL;
        int r = apply_check(&scope, config, err);
        if (r == 0)
                r = registry_update(&scope, &change, &stored, NULL, err);
        json_t *answer = take(stored);
        if (ret_object)
                *ret_object = answer;
        else
                json_decref(answer);
        return r;
}

static void test_apply(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *object = NULL;
        assert_int_equal(apply("one", "{'metadata':{'name':'applied'},'data':{'a':'1','b':'1'}}", false, NULL, NULL),
                         0);
        assert_true(apply("two", "{'metadata':{'name':'applied'},'data':{'a':'2'}}", false, NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_CONFLICT));
        assert_string_equal(err.causes[0].field, ".data.a");
        assert_int_equal(apply("two", "{'metadata':{'name':'applied'},'data':{'a':'2'}}", true, NULL, NULL), 0);
        // what the first no longer applies goes, unless another owns it
        assert_int_equal(apply("one", "{'metadata':{'name':'applied'},'data':{}}", false, &object, NULL), 0);
        assert_null(cx_json_get(object, "data.b"));
        assert_string_at(object, "data.a", "2");
        CX_ERROR wrong = CX_ERROR_INIT;
        assert_true(apply("one", "{'metadata':{'name':'other'}}", false, NULL, &wrong) < 0);
        assert_true(cx_error_is(&wrong, CX_REASON_BAD_REQUEST));
}

// What `kubectl apply` has applied is kubectl's own, to be taken over without conflicts, but for what somebody changed
// since; the annotation follows.
static void test_apply_after_client_side(void **state CX_UNUSED)
{
        static const struct {
                const char *live_b, *manager, *config; // `a` is as it was applied; `b` was applied as 1
                const char *conflict;                  // the field; NULL: none
        } cases[] = {
                {"1", "kubectl", "{'metadata':{'name':'applied'},'data':{'a':'2','b':'2'}}", NULL},
                {"9", "kubectl", "{'metadata':{'name':'applied'},'data':{'a':'2','b':'9'}}", NULL},
                {"9", "kubectl", "{'metadata':{'name':'applied'},'data':{'a':'2','b':'2'}}", ".data.b"},
                {"1", "other", "{'metadata':{'name':'applied'},'data':{'a':'2'}}", ".data.a"},
                {"1", "kubectl", "{'metadata':{'name':'applied'},'data':{'c':'2'}}", ".data.c"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct delete_options none = {0};
                CX_ERROR err = CX_ERROR_INIT, ignored = CX_ERROR_INIT;
                json_auto_t *object = NULL;
                (void)delete_it("configmaps", "applied", &none, NULL, &ignored);
                CX_CLEANUP(cx_freep)
                char *live =
                        cx_sprintf("{'metadata':{'name':'applied','annotations':{'kubectl.kubernetes.io/"
                                   "last-applied-configuration':'{\\'data\\':{\\'a\\':\\'1\\',\\'b\\':\\'1\\'}}'}},"
                                   "'data':{'a':'1','b':'%s','c':'1'}}",
                                   cases[i].live_b);
                json_auto_t *made = must_create(&fixture, "configmaps", live);
                assert_non_null(made);
                int r = apply(cases[i].manager, cases[i].config, false, &object, &err);
                if (cases[i].conflict) {
                        assert_true(cx_error_is(&err, CX_REASON_CONFLICT));
                        assert_int_equal(err.n_causes, 1);
                        assert_string_equal(err.causes[0].field, cases[i].conflict);
                        continue;
                }
                assert_int_equal(r, 0);
                assert_string_at(object, "data.a", "2");
                const json_t *annotations = cx_json_get(object, "metadata.annotations");
                assert_non_null(strstr(json_string_value(json_object_get(
                                               annotations, "kubectl.kubernetes.io/last-applied-configuration")),
                                       "\"a\":\"2\""));
        }
}

// --- delete ---

static void test_delete(void **state CX_UNUSED)
{
        struct delete_options plain = DELETE_OPTIONS_INIT, other = DELETE_OPTIONS_INIT;
        json_decref(must_create(&fixture, "configmaps", "{'metadata':{'name':'gone'}}"));
        CX_ERROR err = CX_ERROR_INIT, absent = CX_ERROR_INIT;
        other.uid = cx_strdup("another");
        assert_true(delete_it("configmaps", "gone", &other, NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_CONFLICT));
        delete_options_release(&other);
        assert_int_equal(delete_it("configmaps", "gone", &plain, NULL, NULL), 0);
        assert_null(get(&fixture, "configmaps", "gone"));
        assert_true(delete_it("configmaps", "gone", &plain, NULL, &absent) < 0);
        assert_true(cx_error_is(&absent, CX_REASON_NOT_FOUND));
}

static void test_delete_waits_for_finalizers(void **state CX_UNUSED)
{
        struct delete_options plain = DELETE_OPTIONS_INIT;
        json_decref(must_create(&fixture, "configmaps", "{'metadata':{'name':'kept','finalizers':['a.b/c']}}"));
        json_auto_t *left = NULL;
        assert_int_equal(delete_it("configmaps", "kept", &plain, &left, NULL), 0);
        assert_non_null(cx_json_string(left, "metadata.deletionTimestamp"));
        struct scope scope = scope_of(&fixture, "configmaps", "kept");
        assert_int_equal(patch(&scope, PATCH_MERGE, "{'metadata':{'finalizers':null}}", NULL, NULL), 0);
        assert_null(get(&fixture, "configmaps", "kept"));
}

static void test_delete_with_grace(void **state CX_UNUSED)
{
        struct delete_options plain = DELETE_OPTIONS_INIT, now = DELETE_OPTIONS_INIT;
        json_decref(must_create(&fixture, "pods",
                                "{'metadata':{'name':'going'},'spec':{'nodeName':'n','containers':[{"
                                "'name':'c','image':'i'}]}}"));
        json_auto_t *left = NULL;
        assert_int_equal(delete_it("pods", "going", &plain, &left, NULL), 0);
        assert_int_equal(cx_json_int(left, "metadata.deletionGracePeriodSeconds", 0), 30);
        now.grace_period = 0;
        assert_int_equal(delete_it("pods", "going", &now, NULL, NULL), 0);
        assert_null(get(&fixture, "pods", "going"));
}

static void test_dry_run_deletes_nothing(void **state CX_UNUSED)
{
        struct delete_options plain = DELETE_OPTIONS_INIT;
        json_decref(must_create(&fixture, "configmaps", "{'metadata':{'name':'stays'}}"));
        struct scope scope = scope_of(&fixture, "configmaps", "stays");
        STORED *left = NULL;
        scope.dry_run = true;
        assert_int_equal(registry_delete(&scope, &plain, &left, NULL, NULL), 0);
        json_auto_t *object = get(&fixture, "configmaps", "stays");
        assert_non_null(object);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_create_fills_in),
                cmocka_unit_test(test_create_refuses),
                cmocka_unit_test(test_generated_names),
                cmocka_unit_test(test_dry_run_writes_nothing),
                cmocka_unit_test(test_update),
                cmocka_unit_test(test_what_changes_nothing_writes_nothing),
                cmocka_unit_test(test_generation_counts_the_spec),
                cmocka_unit_test(test_conflicts_are_tried_again),
                cmocka_unit_test(test_frozen_parts),
                cmocka_unit_test(test_apply),
                cmocka_unit_test(test_apply_after_client_side),
                cmocka_unit_test(test_delete),
                cmocka_unit_test(test_delete_waits_for_finalizers),
                cmocka_unit_test(test_delete_with_grace),
                cmocka_unit_test(test_dry_run_deletes_nothing),
        };
        return cmocka_run_group_tests(tests, start, end);
}
