// SPDX-License-Identifier: Apache-2.0
// Who may do what: roles and bindings, the node authorizer, and that nobody gives away more than they have.
#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/escalation.h"
#include "test/unit/apiserver/fixture.h"

static struct fixture fixture;

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        CX_ERROR err = CX_ERROR_INIT;
        if (bootstrap_policy(&fixture.api, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        return 0;
}

static int end(void **state CX_UNUSED)
{
        fixture_end(&fixture);
        return 0;
}

static struct user user_of(const char *name, const char *group)
{
        struct user user = {.name = cx_strdup(name)};
        cx_strings_add(&user.groups, "system:authenticated");
        if (group)
                cx_strings_add(&user.groups, group);
        return user;
}

static bool allowed(const struct user *user, const char *verb, const char *group, const char *resource,
                    const char *name)
{
        CX_CLEANUP(cx_freep) char *plain = cx_strndup(resource, strcspn(resource, "/"));
        const char *slash = strchr(resource, '/');
        struct attributes attributes = {.user = user,
                                        .is_resource = true,
                                        .verb = verb,
                                        .group = group,
                                        .resource = plain,
                                        .subresource = slash ? slash + 1 : "",
                                        .namespace = "default",
                                        .name = name};
        return authorize(&fixture.api, &attributes, NULL);
}

static void test_roles(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "roles",
                                "{'metadata':{'name':'reader'},'rules':[{'verbs':['get','list'],'apiGroups':[''],"
                                "'resources':['pods','*/log']},{'verbs':['update'],'apiGroups':[''],'resources':["
                                "'configmaps'],'resourceNames':['mine']}]}"));
        struct user user = user_of("jane", "readers"), other = user_of("joe", NULL);
        assert_false(allowed(&user, "get", "", "pods", "x"));
        json_decref(must_create(&fixture, "rolebindings",
                                "{'metadata':{'name':'readers'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io',"
                                "'kind':'Role','name':'reader'},'subjects':[{'kind':'Group','name':'readers'}]}"));
        static const struct {
                const char *verb, *group, *resource, *name;
                bool allowed;
        } cases[] = {
                {"get", "", "pods", "x", true},
                {"delete", "", "pods", "x", false},
                {"get", "apps", "pods", "x", false},
                {"get", "", "pods/log", "x", true},
                {"get", "", "pods/exec", "x", false},
                {"update", "", "configmaps", "mine", true},
                {"update", "", "configmaps", "not-mine", false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                assert_int_equal(allowed(&user, cases[i].verb, cases[i].group, cases[i].resource, cases[i].name),
                                 cases[i].allowed);
                assert_false(allowed(&other, cases[i].verb, cases[i].group, cases[i].resource, cases[i].name));
        }
        user_release(&user);
        user_release(&other);
}

static void test_escalation(void **state CX_UNUSED)
{
        struct user user = user_of("editor", NULL);
        json_decref(must_create(&fixture, "clusterroles",
                                "{'metadata':{'name':'role-writer'},'rules':[{'verbs':['*'],'apiGroups':["
                                "'rbac.authorization.k8s.io'],'resources':['roles','rolebindings']},{'verbs':['get'],"
                                "'apiGroups':[''],'resources':['pods']}]}"));
        json_decref(must_create(&fixture, "clusterrolebindings",
                                "{'metadata':{'name':'role-writer'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io',"
                                "'kind':'ClusterRole','name':'role-writer'},'subjects':[{'kind':'User','name':"
                                "'editor'}]}"));
        // "*" of verbs on roles holds escalate and bind: without them
        struct scope change = scope_of(&fixture, "clusterroles", "role-writer");
        assert_int_equal(patch(&change, PATCH_MERGE,
                               "{'rules':[{'verbs':['create','update','patch'],'apiGroups':["
                               "'rbac.authorization.k8s.io'],'resources':['roles','rolebindings']},{'verbs':['get'],"
                               "'apiGroups':[''],'resources':['pods']}]}",
                               NULL, NULL),
                         0);
        struct scope scope = scope_of(&fixture, "roles", "");
        CX_ERROR err = CX_ERROR_INIT, bind = CX_ERROR_INIT;
        scope.user = &user;
        assert_int_equal(create(&scope,
                                "{'metadata':{'name':'less'},'rules':[{'verbs':['get'],'apiGroups':[''],'resources':["
                                "'pods']}]}",
                                NULL, NULL),
                         0);
        assert_true(create(&scope,
                           "{'metadata':{'name':'more'},'rules':[{'verbs':['delete'],'apiGroups':[''],'resources':["
                           "'pods']}]}",
                           NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_FORBIDDEN));
        struct scope binding = scope_of(&fixture, "rolebindings", "");
        binding.user = &user;
        assert_true(create(&binding,
                           "{'metadata':{'name':'x'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io','kind':"
                           "'ClusterRole','name':'cluster-admin'},'subjects':[{'kind':'User','name':'editor'}]}",
                           NULL, &bind) < 0);
        assert_true(cx_error_is(&bind, CX_REASON_FORBIDDEN));
        user_release(&user);
}

static void test_nodes(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'default'}}"));
        json_decref(
                must_create(&fixture, "pods",
                            "{'metadata':{'name':'p'},'spec':{'nodeName':'a','volumes':[{'name':'v','secret':{"
                            "'secretName':'by-volume'}},{'name':'c','persistentVolumeClaim':{'claimName':'claim'}}],"
                            "'containers':[{'name':'c','image':'i','env':[{'name':'E','valueFrom':{"
                            "'configMapKeyRef':{'name':'by-env','key':'k'}}}]}]}}"));
        struct user a = user_of("system:node:a", "system:nodes"), b = user_of("system:node:b", "system:nodes");
        static const struct {
                const char *verb, *group, *resource, *name;
                bool a, b;
        } cases[] = {
                {"get", "", "secrets", "by-volume", true, false},
                {"get", "", "secrets", "other", false, false},
                {"update", "", "secrets", "by-volume", false, false},
                {"get", "", "configmaps", "by-env", true, false},
                {"get", "", "persistentvolumeclaims", "claim", true, false},
                {"create", "", "serviceaccounts/token", "default", true, false},
                {"update", "", "pods/status", "p", true, true}, // which pod is admission's to say
                {"create", "", "pods/binding", "p", false, false},
                {"create", "", "pods/exec", "p", false, false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                assert_int_equal(allowed(&a, cases[i].verb, cases[i].group, cases[i].resource, cases[i].name),
                                 cases[i].a);
                assert_int_equal(allowed(&b, cases[i].verb, cases[i].group, cases[i].resource, cases[i].name),
                                 cases[i].b);
        }
        user_release(&a);
        user_release(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_roles), cmocka_unit_test(test_escalation),
                                           cmocka_unit_test(test_nodes)};
        return cmocka_run_group_tests(tests, start, end);
}
