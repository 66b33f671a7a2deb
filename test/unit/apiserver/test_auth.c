// SPDX-License-Identifier: Apache-2.0
// Who may do what: roles and bindings, the node authorizer, and that nobody gives away more than they have.
#include "apiserver/auth/authenticator.h"
#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/escalation.h"
#include "apiserver/auth/tokens.h"
#include "libcommon/api/selector.h"
#include "libcommon/net/pki.h"
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

static void bind_cluster_role(const char *name, const char *user, const char *rules)
{
        CX_CLEANUP(cx_freep) char *role = cx_sprintf("{'metadata':{'name':'%s'},'rules':[%s]}", name, rules);
        CX_CLEANUP(cx_freep)
        char *binding = cx_sprintf("{'metadata':{'name':'%s'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io','kind':"
                                   "'ClusterRole','name':'%s'},'subjects':[{'kind':'User','name':'%s'}]}",
                                   name, name, user);
        json_decref(must_create(&fixture, "clusterroles", role));
        json_decref(must_create(&fixture, "clusterrolebindings", binding));
}

#define RBAC_WRITES "{'verbs':['create','update','patch'],'apiGroups':['rbac.authorization.k8s.io'],'resources':['*']}"
#define EVERYTHING "{'verbs':['*'],'apiGroups':['*'],'resources':['*']},{'verbs':['*'],'nonResourceURLs':['*']}"

// What a writer of roles, who may read pods and scale everything, can and cannot make of a new role.
static void test_escalation_rules(void **state CX_UNUSED)
{
        bind_cluster_role("writer", "writer",
                          RBAC_WRITES ",{'verbs':['get'],'apiGroups':[''],'resources':['pods','pods/log']},"
                                      "{'verbs':['update'],'apiGroups':['*'],'resources':['*/scale']},"
                                      "{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a',"
                                      "'b']},{'verbs':['get'],'nonResourceURLs':['/logs/*']}");
        bind_cluster_role("writer-of-all", "root", EVERYTHING);
        struct user writer = user_of("writer", NULL), root = user_of("root", NULL);
        static const struct {
                const char *role; // behind its metadata
                bool allowed;
        } cases[] = {
                {"'rules':[]", true},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['pods','pods/log']}]", true},
                {"'rules':[{'verbs':['get','list'],'apiGroups':[''],'resources':['pods']}]", false},
                {"'rules':[{'verbs':['*'],'apiGroups':[''],'resources':['pods']}]", false},
                {"'rules':[{'verbs':['get'],'apiGroups':['*'],'resources':['pods']}]", false},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['*']}]", false},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['pods/exec']}]", false},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['*/log']}]", false},
                {"'rules':[{'verbs':['update'],'apiGroups':['apps'],'resources':['deployments/scale']}]", true},
                {"'rules':[{'verbs':['update'],'apiGroups':['*'],'resources':['*/scale']}]", true},
                {"'rules':[{'verbs':['update'],'apiGroups':['apps'],'resources':['deployments']}]", false},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a']}]", true},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a','c']}]",
                 false},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['secrets']}]", false},
                {"'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':[]}]", false},
                {"'rules':[{'verbs':['get'],'nonResourceURLs':['/logs/x','/logs/*']}]", true},
                {"'rules':[{'verbs':['get'],'nonResourceURLs':['/logs']}]", false},
                {"'rules':[{'verbs':['get'],'nonResourceURLs':['*']}]", false},
                {"'aggregationRule':{'clusterRoleSelectors':[{}]}", false},
                {"'aggregationRule':{'clusterRoleSelectors':[{'matchLabels':{'a':'b'}}]}", false},
                {"'aggregationRule':{'clusterRoleSelectors':[]}", true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, "clusterroles", "");
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'metadata':{'generateName':'made-'},%s}", cases[i].role);
                scope.user = &writer;
                if ((create(&scope, text, NULL, NULL) == 0) != cases[i].allowed)
                        fail_msg("%s", cases[i].role);
                scope.user = &root;
                assert_int_equal(create(&scope, text, NULL, NULL), 0);
        }
        user_release(&writer);
        user_release(&root);
}

// A role that is there already must not become more, nor be gathered into others, by who could not have made it.
static void test_escalation_by_change(void **state CX_UNUSED)
{
        bind_cluster_role("changer", "changer", RBAC_WRITES);
        bind_cluster_role("escalator", "escalator",
                          RBAC_WRITES ",{'verbs':['escalate'],'apiGroups':['*'],'resources':['clusterroles'],"
                                      "'resourceNames':['strong']}");
        json_decref(must_create(&fixture, "clusterroles", "{'metadata':{'name':'empty'},'rules':[]}"));
        json_decref(must_create(&fixture, "clusterroles", "{'metadata':{'name':'strong'},'rules':[" EVERYTHING "]}"));
        json_decref(
                must_create(&fixture, "clusterroles",
                            "{'metadata':{'name':'gathers'},'aggregationRule':{'clusterRoleSelectors':[{'matchLabels'"
                            ":{'x':'y'}}]}}"));
        struct user changer = user_of("changer", NULL), escalator = user_of("escalator", NULL);
        static const struct {
                const char *role, *patch;
                bool changer, escalator;
        } cases[] = {
                {"empty", "{'aggregationRule':{'clusterRoleSelectors':[{}]}}", false, false},
                {"empty", "{'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]}", false, false},
                {"empty", "{'metadata':{'labels':{'a':'b'}}}", true, true},
                {"strong", "{'metadata':{'labels':{'rbac.authorization.k8s.io/aggregate-to-view':'true'}}}", false,
                 true},
                {"strong", "{'metadata':{'finalizers':['example.com/x']}}", true, true},
                {"gathers", "{'aggregationRule':null}", false, false},
                {"gathers", "{'metadata':{'annotations':{'a':'b'}}}", false, false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, "clusterroles", cases[i].role);
                scope.user = &changer;
                if ((patch(&scope, PATCH_MERGE, cases[i].patch, NULL, NULL) == 0) != cases[i].changer)
                        fail_msg("changer: %s", cases[i].patch);
                scope.user = &escalator;
                if ((patch(&scope, PATCH_MERGE, cases[i].patch, NULL, NULL) == 0) != cases[i].escalator)
                        fail_msg("escalator: %s", cases[i].patch);
        }
        user_release(&changer);
        user_release(&escalator);
}

static void test_nodes(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'default'}}"));
        json_decref(must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'other'}}"));
        json_decref(
                must_create(&fixture, "pods",
                            "{'metadata':{'name':'p'},'spec':{'nodeName':'a','volumes':[{'name':'v','secret':{"
                            "'secretName':'by-volume'}},{'name':'c','persistentVolumeClaim':{'claimName':'claim'}},{"
                            "'name':'e','ephemeral':{'volumeClaimTemplate':{'spec':{'accessModes':['ReadWriteOnce'],"
                            "'resources':{'requests':{'storage':'1Gi'}}}}}}],"
                            "'containers':[{'name':'c','image':'i','env':[{'name':'E','valueFrom':{"
                            "'configMapKeyRef':{'name':'by-env','key':'k'}}}]}]}}"));
        json_decref(
                must_create(&fixture, "pods",
                            "{'metadata':{'name':'mirror','annotations':{'kubernetes.io/config.mirror':'x'}},'spec':"
                            "{'nodeName':'a','volumes':[{'name':'v','configMap':{'name':'by-mirror'}}],"
                            "'containers':[{'name':'c','image':'i'}]}}"));
        json_decref(must_create(&fixture, "persistentvolumes",
                                "{'metadata':{'name':'volume'},'spec':{'capacity':{'storage':'1Gi'},'accessModes':["
                                "'ReadWriteOnce'],'claimRef':{'namespace':'default','name':'claim'},'csi':{'driver':"
                                "'d','volumeHandle':'h','nodeStageSecretRef':{'name':'by-stage','namespace':'default'},"
                                "'controllerExpandSecretRef':{'name':'by-expand','namespace':'default'}}}}"));
        struct user a = user_of("system:node:a", "system:nodes"), b = user_of("system:node:b", "system:nodes");
        static const struct {
                const char *verb, *group, *resource, *name;
                bool a, b;
        } cases[] = {
                {"get", "", "secrets", "by-volume", true, false},
                {"watch", "", "secrets", "by-volume", true, false},
                {"list", "", "secrets", "", false, false},
                {"get", "", "secrets", "other", false, false},
                {"update", "", "secrets", "by-volume", false, false},
                {"get", "", "configmaps", "by-mirror", false, false}, // a node cannot give itself what it names
                {"get", "", "secrets", "by-stage", true, false},
                {"get", "", "secrets", "by-expand", false, false}, // the controller's
                {"get", "", "configmaps", "by-env", true, false},
                {"get", "", "persistentvolumeclaims", "claim", true, false},
                {"get", "", "persistentvolumeclaims", "p-e", true, false},
                {"list", "", "persistentvolumeclaims", "claim", false, false},
                {"patch", "", "persistentvolumeclaims/status", "claim", true, false},
                {"get", "", "persistentvolumes", "volume", true, false},
                {"get", "", "serviceaccounts", "default", true, false},
                {"create", "", "serviceaccounts/token", "default", true, false},
                {"create", "", "serviceaccounts/token", "other", false, false},
                {"update", "", "pods/status", "p", true, true}, // which pod is admission's to say
                {"get", "", "pods", "p", true, false},
                {"list", "", "pods", "", false, false},
                {"update", "", "pods", "p", false, false},
                {"create", "", "pods/binding", "p", false, false},
                {"create", "", "pods/exec", "p", false, false},
                {"delete", "", "nodes", "a", false, false},
                {"get", "storage.k8s.io", "csinodes", "a", true, false},
                {"create", "storage.k8s.io", "csinodes", "", true, true},
                {"list", "storage.k8s.io", "csinodes", "", false, false},
                {"list", "resource.k8s.io", "resourceslices", "", false, false},
                {"get", "coordination.k8s.io", "leases", "a", false, false}, // in another namespace
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                if (allowed(&a, cases[i].verb, cases[i].group, cases[i].resource, cases[i].name) != cases[i].a ||
                    allowed(&b, cases[i].verb, cases[i].group, cases[i].resource, cases[i].name) != cases[i].b)
                        fail_msg("%s %s %s", cases[i].verb, cases[i].resource, cases[i].name);
        }
        // What is there in one namespace is not there in all of them.
        struct attributes attributes = {.user = &a,
                                        .is_resource = true,
                                        .verb = "list",
                                        .group = "",
                                        .resource = "secrets",
                                        .subresource = "",
                                        .namespace = "",
                                        .name = "by-volume"};
        assert_false(authorize(&fixture.api, &attributes, NULL));
        CX_SELECTOR own = CX_SELECTOR_INIT, others = CX_SELECTOR_INIT;
        assert_int_equal(cx_selector_parse_fields("spec.nodeName=a", &own, NULL), 0);
        assert_int_equal(cx_selector_parse_fields("spec.nodeName!=a", &others, NULL), 0);
        attributes.resource = "pods";
        attributes.name = "";
        attributes.fields = &others;
        assert_false(authorize(&fixture.api, &attributes, NULL));
        attributes.fields = &own;
        assert_true(authorize(&fixture.api, &attributes, NULL));
        attributes.user = &b;
        assert_false(authorize(&fixture.api, &attributes, NULL));
        user_release(&a);
        user_release(&b);
}

static int give(void *context, const struct scope *scope CX_UNUSED, const json_t *current CX_UNUSED,
                json_t **ret_object, struct cx_error *err CX_UNUSED)
{
        *ret_object = parse(context);
        return 0;
}

static int put(const struct scope *scope, const char *text, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *copy = cx_strdup(text);
        struct change change = {.compute = give, .context = copy, .create_if_absent = true};
        STORED *stored = NULL;
        return registry_update(scope, &change, &stored, NULL, err);
}

// PUT and apply make an object that is absent: that asks for `create`, too.
static void test_creating_by_update(void **state CX_UNUSED)
{
        json_decref(must_create(&fixture, "roles",
                                "{'metadata':{'name':'updater'},'rules':[{'verbs':['update','patch'],'apiGroups':["
                                "'coordination.k8s.io'],'resources':['leases']}]}"));
        json_decref(must_create(&fixture, "rolebindings",
                                "{'metadata':{'name':'updater'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io',"
                                "'kind':'Role','name':'updater'},'subjects':[{'kind':'User','name':'updater'}]}"));
        struct user user = user_of("updater", NULL);
        struct scope scope = scope_of(&fixture, "leases", "absent");
        scope.user = &user;
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(put(&scope, "{'metadata':{'name':'absent'}}", &err) < 0);
        assert_string_equal(cx_error_text(&err),
                            "leases.coordination.k8s.io \"absent\" is forbidden: User \"updater\" cannot create "
                            "resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"default\"");
        json_decref(must_create(&fixture, "leases", "{'metadata':{'name':'absent'}}"));
        assert_int_equal(put(&scope, "{'metadata':{'name':'absent','labels':{'a':'b'}}}", NULL), 0);
        user_release(&user);
}

// --- tokens ---

#define BOOTSTRAP_ID "abcdef"
#define BOOTSTRAP_SECRET "0123456789abcdef"
#define BOOTSTRAP BOOTSTRAP_ID "." BOOTSTRAP_SECRET

static bool authenticates(const char *token, const char *audience, struct user *ret_user)
{
        struct user user = USER_INIT;
        CX_STRINGS wanted = CX_STRINGS_INIT, shared = CX_STRINGS_INIT;
        if (audience)
                cx_strings_add(&wanted, audience);
        bool known = authenticate_token(&fixture.api, token, &wanted, &user, &shared, NULL) == 0;
        if (known && audience)
                assert_true(shared.count == 1 && cx_strings_has(&shared, audience));
        if (known && ret_user)
                *ret_user = user;
        else
                user_release(&user);
        return known;
}

static void test_bootstrap_tokens(void **state CX_UNUSED)
{
        static const struct {
                const char *key, *value; // changed from a good token; NULL: as it is
                bool good;
        } cases[] = {
                {NULL, NULL, true},
                {"usage-bootstrap-authentication", "false", false},
                {"token-secret", "fedcba9876543210", false},
                {"token-id", "fedcba", false},
                {"token-id", NULL, false},
                {"expiration", "2999-01-01T00:00:00Z", true},
                {"expiration", "2020-01-01T00:00:00Z", false},
                {"expiration", "tomorrow", false},
                {"expiration", "", false},
                {"expiration", "2999-01-01T00:00:00Z and much more than fits where a time is expected to be", false},
                {"auth-extra-groups", "system:bootstrappers:a,system:bootstrappers:b-c:d", true},
                {"auth-extra-groups", "system:masters", false},
                {"auth-extra-groups", "system:bootstrappers:a,system:masters", false},
                {"auth-extra-groups", "system:bootstrappers", false},
                {"auth-extra-groups", "system:bootstrappers:", false},
                {"auth-extra-groups", "system:bootstrappers:A", false},
                {"auth-extra-groups", "system:bootstrappers:a-", false},
                {"type", "Opaque", false},
        };
        fixture.api.options.enable_bootstrap_token_auth = true;
        cx_strings_add(&fixture.api.options.api_audiences, "api");
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, "secrets", "bootstrap-token-" BOOTSTRAP_ID);
                scope.namespace = "kube-system";
                json_auto_t *data = json_pack("{s:s,s:s,s:s}", "token-id", BOOTSTRAP_ID, "token-secret",
                                              BOOTSTRAP_SECRET, "usage-bootstrap-authentication", "true");
                bool type = cx_streq(cases[i].key, "type");
                if (cases[i].key && !type && cases[i].value)
                        json_object_set_new(data, cases[i].key, json_string(cases[i].value));
                else if (cases[i].key && !type)
                        json_object_del(data, cases[i].key);
                json_auto_t *secret = json_pack("{s:{s:s},s:s,s:O}", "metadata", "name", scope.name, "type",
                                                type ? "Opaque" : "bootstrap.kubernetes.io/token", "stringData", data);
                CX_CLEANUP(cx_freep) char *text = json_dumps(secret, 0);
                scope.name = "";
                assert_int_equal(create(&scope, text, NULL, NULL), 0);
                if (authenticates(BOOTSTRAP, NULL, NULL) != cases[i].good)
                        fail_msg("%s: %s", cx_str(cases[i].key), cx_str(cases[i].value));
                // It is for the API server and for nobody else
                assert_int_equal(authenticates(BOOTSTRAP, "api", NULL), cases[i].good);
                assert_false(authenticates(BOOTSTRAP, "vault", NULL));
                struct delete_options options = DELETE_OPTIONS_INIT;
                STORED *left = NULL;
                scope.name = "bootstrap-token-" BOOTSTRAP_ID;
                assert_int_equal(registry_delete(&scope, &options, &left, NULL, NULL), 0);
        }
}

static const char *uid_of(const json_t *object)
{
        return cx_json_string(object, "metadata.uid");
}

static char *issue(const char *account_uid, const char *kind, const json_t *bound, const json_t *node)
{
        CX_STRINGS audiences = CX_STRINGS_INIT;
        cx_strings_add(&audiences, "api");
        struct token_request request = {.namespace = "default",
                                        .service_account = "bound",
                                        .uid = account_uid,
                                        .audiences = &audiences,
                                        .seconds = 3600,
                                        .bound_kind = kind,
                                        .bound_name = cx_json_string(bound, "metadata.name"),
                                        .bound_uid = uid_of(bound),
                                        .node_name = cx_json_string(node, "metadata.name"),
                                        .node_uid = uid_of(node)};
        char *token = NULL;
        int64_t until;
        assert_int_equal(token_issue(fixture.api.tokens, &request, &token, &until, NULL), 0);
        return token;
}

static void remove_object(const char *what, const char *name)
{
        struct scope scope = scope_of(&fixture, what, name);
        struct delete_options options = DELETE_OPTIONS_INIT;
        STORED *left = NULL;
        options.grace_period = 0;
        assert_int_equal(registry_delete(&scope, &options, &left, NULL, NULL), 0);
        assert_null(left);
}

// A token lives as long as what it is bound to, and no longer than its service account.
static void test_bound_tokens(void **state CX_UNUSED)
{
        char path[] = "/tmp/test_auth.XXXXXX";
        CX_CLEANUP(cx_freep) char *key = NULL;
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(cx_pki_new_key(&key, NULL), 0);
        assert_int_equal(write(fd, key, strlen(key)), (ssize_t)strlen(key));
        close(fd);
        struct apiserver_options *o = &fixture.api.options;
        o->service_account_issuer = "https://issuer";
        o->service_account_signing_key_file = path;
        cx_strings_add(&o->service_account_key_files, path);
        assert_int_equal(token_service_new(&fixture.api, &fixture.api.tokens, NULL), 0);
        unlink(path);
        json_auto_t *account = must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'bound'}}");
        json_auto_t *node = must_create(&fixture, "nodes", "{'metadata':{'name':'n'}}");
        json_auto_t *secret = must_create(&fixture, "secrets", "{'metadata':{'name':'s'}}");
        json_auto_t *pod =
                must_create(&fixture, "pods",
                            "{'metadata':{'name':'bound'},'spec':{'nodeName':'n','serviceAccountName':'bound',"
                            "'containers':[{'name':'c','image':'i'}]}}");
        CX_CLEANUP(cx_freep) char *free_token = issue(uid_of(account), NULL, NULL, NULL);
        CX_CLEANUP(cx_freep) char *of_pod = issue(uid_of(account), "Pod", pod, node);
        CX_CLEANUP(cx_freep) char *of_secret = issue(uid_of(account), "Secret", secret, NULL);
        CX_CLEANUP(cx_freep) char *of_node = issue(uid_of(account), "Node", node, NULL);
        const char *tokens[] = {free_token, of_secret, of_node, of_pod};
        static const char *const gone[][2] = {{NULL, NULL}, {"secrets", "s"}, {"nodes", "n"}, {"pods", "bound"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(tokens); i++) {
                assert_true(authenticates(tokens[i], NULL, NULL));
                assert_true(authenticates(tokens[i], "api", NULL));
                assert_false(authenticates(tokens[i], "vault", NULL));
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(gone); i++) {
                if (gone[i][0])
                        remove_object(gone[i][0], gone[i][1]);
                for (size_t j = 1; j < CX_ARRAY_SIZE(tokens); j++) // the pod's outlives its node: the pod is looked at
                        if (authenticates(tokens[j], NULL, NULL) != (j > i))
                                fail_msg("token %zu after deletion %zu", j, i);
        }
        // A node of the same name is another one
        json_decref(must_create(&fixture, "nodes", "{'metadata':{'name':'n'}}"));
        assert_false(authenticates(of_node, NULL, NULL));
        assert_true(authenticates(free_token, NULL, NULL));
        remove_object("serviceaccounts", "bound");
        assert_false(authenticates(free_token, NULL, NULL));
        token_service_free(fixture.api.tokens);
        fixture.api.tokens = NULL;
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_roles),
                                           cmocka_unit_test(test_escalation),
                                           cmocka_unit_test(test_escalation_rules),
                                           cmocka_unit_test(test_escalation_by_change),
                                           cmocka_unit_test(test_nodes),
                                           cmocka_unit_test(test_creating_by_update),
                                           cmocka_unit_test(test_bootstrap_tokens),
                                           cmocka_unit_test(test_bound_tokens)};
        return cmocka_run_group_tests(tests, start, end);
}
