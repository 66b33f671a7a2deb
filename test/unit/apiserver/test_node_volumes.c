// SPDX-License-Identifier: Apache-2.0
// What an account whose token is bound to node "a" may do with volumes and claims, and which such tokens a kubelet gets.
#include "apiserver/admission/plugin.h"
#include "test/unit/apiserver/fixture.h"

static struct fixture fixture;
static struct user account;

#define LOCAL(node)                                                                                                    \
        "'local':{'path':'/volumes/x'},'nodeAffinity':{'required':{'nodeSelectorTerms':[{'matchExpressions':[{'key':'" \
        "kubernetes.io/hostname','operator':'In','values':[" node "]}]}]}}"
#define VOLUME(name, spec)                                                                                             \
        "{'metadata':{'name':'" name "'},'spec':{'capacity':{'storage':'1Gi'},'accessModes':['ReadWriteOnce']," spec   \
        "}}"
#define FOR(claim) ",'claimRef':{'namespace':'default','name':'" claim "','uid':'?'}"

static void claim(const char *name, const char *more)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata':{'name':'%s'%s,'resources':{'requests':{'storage':'1Gi'}}}}", name, more);
        json_decref(must_create(&fixture, "persistentvolumeclaims", text));
}

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        json_decref(must_create(&fixture, "nodes", "{'metadata':{'name':'a'}}"));
        json_decref(must_create(&fixture, "nodes", "{'metadata':{'name':'b'}}"));
        json_decref(must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'default'}}"));
        json_decref(must_create(&fixture, "storageclasses", "{'metadata':{'name':'now'},'provisioner':'p'}"));
        json_decref(must_create(
                &fixture, "storageclasses",
                "{'metadata':{'name':'late'},'provisioner':'p','volumeBindingMode':'WaitForFirstConsumer'}"));
#define OF(class) "},'spec':{'accessModes':['ReadWriteOnce'],'storageClassName':'" class "'"
#define SELECTED(node) ",'annotations':{'volume.kubernetes.io/selected-node':'" node "'}"
        json_decref(must_create(&fixture, "csidrivers", "{'metadata':{'name':'d.example.com'},'spec':{}}"));
        json_decref(
                must_create(&fixture, "storageclasses", "{'metadata':{'name':'csi'},'provisioner':'d.example.com'}"));
        claim("csi", OF("csi"));
        claim("csi-of-a", SELECTED("a") OF("csi"));
        claim("now", OF("now"));
        claim("late", OF("late"));
        claim("of-a", SELECTED("a") OF("late"));
        claim("of-b", SELECTED("b") OF("late"));
        claim("of-gone", SELECTED("gone") OF("late"));
        claim("on-a", OF("late") ",'volumeName':'here'");
        claim("on-b", OF("late") ",'volumeName':'there'");
        json_decref(must_create(&fixture, "persistentvolumes", VOLUME("here", LOCAL("'a'"))));
        json_decref(must_create(&fixture, "persistentvolumes", VOLUME("there", LOCAL("'b'"))));
        json_decref(must_create(&fixture, "serviceaccounts", "{'metadata':{'name':'unit'}}"));
        json_decref(must_create(&fixture, "pods",
                                "{'metadata':{'name':'p'},'spec':{'nodeName':'a','serviceAccountName':'default',"
                                "'containers':[{'name':'c','image':'i'}]}}"));
        json_decref(must_create(&fixture, "clusterroles",
                                "{'metadata':{'name':'units'},'rules':[{'apiGroups':[''],'resources':["
                                "'serviceaccounts/token'],'resourceNames':['unit'],'verbs':['create']}]}"));
        json_decref(must_create(&fixture, "clusterrolebindings",
                                "{'metadata':{'name':'units'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io',"
                                "'kind':'ClusterRole','name':'units'},'subjects':[{'kind':'Group','apiGroup':"
                                "'rbac.authorization.k8s.io','name':'system:nodes'}]}"));
        account.name = cx_strdup("system:serviceaccount:kube-system:storage-provisioner");
        cx_strings_add(&account.groups, "system:serviceaccounts");
        account.extra = parse("{'authentication.kubernetes.io/node-name':['a']}");
        return 0;
}

static int end(void **state CX_UNUSED)
{
        user_release(&account);
        fixture_end(&fixture);
        return 0;
}

static void test_volumes_that_are_made(void **state CX_UNUSED)
{
        static const struct {
                const char *volume;
                bool allowed;
        } cases[] = {
                {VOLUME("v", LOCAL("'a'") FOR("of-a")), true},
                {VOLUME("v1", LOCAL("'a'")), false},                 // for whoever likes it
                {VOLUME("v2", LOCAL("'a'") FOR("of-b")), false},     // whose pod is elsewhere
                {VOLUME("v3", LOCAL("'a'") FOR("late")), false},     // would draw its pod here
                {VOLUME("v4", LOCAL("'a'") FOR("nowhere")), false},  // is not there
                {VOLUME("v9", LOCAL("'a'") FOR("csi-of-a")), false}, // a CSI driver's to make
                {VOLUME("v5", LOCAL("'b'") FOR("of-a")), false},
                {VOLUME("v6", LOCAL("'a','b'") FOR("of-a")), false},
                {VOLUME("v7", "'hostPath':{'path':'/'}" FOR("of-a")), false},
                {VOLUME("v8", "'nfs':{'server':'s','path':'/'}" FOR("of-a")), false},
        };
        struct scope scope = scope_of(&fixture, "persistentvolumes", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *volume = parse(cases[i].volume);
                json_t *ref = cx_json_get(volume, "spec.claimRef");
                json_auto_t *bound = get(&fixture, "persistentvolumeclaims", cx_json_string_or(ref, "name", "none"));
                if (bound)
                        json_object_set(ref, "uid", cx_json_get(bound, "metadata.uid"));
                CX_CLEANUP(cx_freep) char *text = cx_json_text(volume);
                scope.user = &account;
                int r = create(&scope, text, NULL, &err);
                if ((r == 0) != cases[i].allowed)
                        fail_msg("case %zu: %s", i, cx_error_text(&err));
                assert_true(r == 0 || cx_error_is(&err, CX_REASON_FORBIDDEN));
        }
}

static void test_writes(void **state CX_UNUSED)
{
#define SELECT(node) "{'metadata':{'annotations':{'volume.kubernetes.io/selected-node':" node "}}}"
#define GROW "{'spec':{'capacity':{'storage':'2Gi'}}}"
#define GREW "{'status':{'capacity':{'storage':'2Gi'}}}"
        static const struct {
                const char *what, *name, *patch;
                bool allowed;
        } cases[] = {
                {"persistentvolumes", "here", GROW, true},
                {"persistentvolumes", "there", GROW, false},
                {"persistentvolumes", "here", "{'metadata':{'finalizers':['example.com/x']}}", true},
                {"persistentvolumes", "here", "{'spec':{'claimRef':{'namespace':'default','name':'late'}}}", false},
                {"persistentvolumeclaims", "now", SELECT("'b'"), false},
                {"persistentvolumeclaims", "now", SELECT("'a'"), true},
                {"persistentvolumeclaims", "csi", SELECT("'a'"), false}, // is a CSI driver's to make
                {"persistentvolumeclaims", "late", SELECT("'a'"), false},
                {"persistentvolumeclaims", "of-b", SELECT("'a'"), false},
                {"persistentvolumeclaims", "of-b", SELECT("null"), false},
                {"persistentvolumeclaims", "of-gone", SELECT("null"), true},
                {"persistentvolumeclaims", "of-a", SELECT("null"), true},
                {"persistentvolumeclaims", "of-b", "{'metadata':{'labels':{'x':'y'}}}", false},
                {"persistentvolumeclaims", "on-a", "{'metadata':{'finalizers':[]}}", false},
                {"persistentvolumeclaims", "on-a", "{'spec':{'resources':{'requests':{'storage':'2Gi'}}}}", false},
                {"persistentvolumeclaims/status", "on-a", GREW, true},
                {"persistentvolumeclaims/status", "on-b", GREW, false},
                {"persistentvolumeclaims/status", "late", GREW, false},
                {"persistentvolumeclaims/status", "on-a", "{'status':{'phase':'Lost'}}", false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, cases[i].what, cases[i].name);
                CX_ERROR err = CX_ERROR_INIT;
                scope.user = &account;
                int r = patch(&scope, PATCH_MERGE, cases[i].patch, NULL, &err);
                if ((r == 0) != cases[i].allowed)
                        fail_msg("case %zu, %s %s: %s", i, cases[i].what, cases[i].name, cx_error_text(&err));
                assert_true(r == 0 || cx_error_is(&err, CX_REASON_FORBIDDEN));
        }
}

static void test_deletion(void **state CX_UNUSED)
{
        static const struct {
                const char *what, *name;
                bool allowed;
        } cases[] = {{"persistentvolumes", "here", true},
                     {"persistentvolumes", "there", false},
                     {"persistentvolumeclaims", "of-a", false}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, cases[i].what, cases[i].name);
                json_auto_t *old = scope_find_json(&scope);
                struct admission_request request = {.scope = &scope, .operation = ADMIT_DELETE, .old = old};
                scope.user = &account;
                assert_int_equal(admit_validating(&request, NULL) == 0, cases[i].allowed);
        }
}

// A pod's token is not the node's: what runs in the pod was put there by somebody.
static void test_of_pods(void **state CX_UNUSED)
{
        struct user pod = {.name = cx_strdup(account.name)};
        pod.extra = parse("{'authentication.kubernetes.io/node-name':['a'],'authentication.kubernetes.io/pod-name':"
                          "['p']}");
        assert_null(user_bound_node(&pod));
        assert_string_equal(user_bound_node(&account), "a");
        user_release(&pod);
        pod = (struct user){.name = cx_strdup("admin"), .extra = json_incref(account.extra)};
        assert_null(user_bound_node(&pod));
        user_release(&pod);
}

// A TokenRequest for an account, bound to a node or to nothing, and what comes of it for this user.
static bool gets_token(const struct user *user, const char *account_name, const char *node, const char *uid_of,
                       const char *audience)
{
        struct scope scope = scope_of(&fixture, "serviceaccounts/token", account_name);
        json_auto_t *object = json_pack("{s:{}}", "spec");
        if (node)
                (void)cx_json_set(object, "spec.boundObjectRef",
                                  json_pack("{s:s,s:s,s:s}", "apiVersion", "v1", "kind", "Node", "name", node));
        json_auto_t *bound = uid_of ? get(&fixture, "nodes", uid_of) : NULL;
        if (bound)
                json_object_set(cx_json_get(object, "spec.boundObjectRef"), "uid", cx_json_get(bound, "metadata.uid"));
        if (audience)
                (void)cx_json_set(object, "spec.audiences", json_pack("[s]", audience));
        struct admission_request request = {.scope = &scope, .operation = ADMIT_CREATE, .object = object};
        scope.user = (struct user *)user;
        return admit_validating(&request, NULL) == 0;
}

static void test_tokens(void **state CX_UNUSED)
{
        static const struct {
                const char *account, *node, *uid_of, *audience;
                bool allowed;
        } cases[] = {
                {"unit", "a", "a", NULL, true},
                {"unit", "a", "b", NULL, false},
                {"unit", "a", NULL, NULL, false},
                {"unit", "b", "b", NULL, false},
                {"unit", "a", "a", "vault", false},
                {"default", "a", "a", NULL, false}}; // a pod of the node has it: that is no leave to outlive the pod
        struct user kubelet = {.name = cx_strdup("system:node:a")};
        cx_strings_add(&kubelet.groups, "system:nodes");
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++)
                if (gets_token(&kubelet, cases[i].account, cases[i].node, cases[i].uid_of, cases[i].audience) !=
                    cases[i].allowed)
                        fail_msg("case %zu", i);
        user_release(&kubelet);
}

// Whoever holds a token of the node gets none from it that is more than it.
static void test_tokens_of_accounts(void **state CX_UNUSED)
{
        assert_true(gets_token(&account, "unit", "a", "a", NULL));
        assert_false(gets_token(&account, "unit", NULL, NULL, NULL));
        assert_false(gets_token(&account, "unit", "b", "b", NULL));
        assert_false(gets_token(&account, "unit", "a", "b", NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_volumes_that_are_made),
                                           cmocka_unit_test(test_writes),
                                           cmocka_unit_test(test_deletion),
                                           cmocka_unit_test(test_of_pods),
                                           cmocka_unit_test(test_tokens),
                                           cmocka_unit_test(test_tokens_of_accounts)};
        return cmocka_run_group_tests(tests, start, end);
}
