// SPDX-License-Identifier: Apache-2.0
// Admission: what a plugin wants, how often it is asked, and what the server's own plugins do and refuse, on objects and
// on every subresource.
#include "apiserver/admission/plugin.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"
#include "test/unit/apiserver/fixture.h"

static struct fixture fixture;

// --- the chain ---

static int asked[4]; // how often each of the test's plugins was

static int count_own(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        asked[0]++;
        cx_json_set_string(request->object, "metadata.annotations.own", "seen");
        return 0;
}

static int change_from_outside(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        asked[1]++;
        if (json_object_get(cx_json_get(request->object, "metadata.annotations"), "outside"))
                return 0;
        cx_json_set_string(request->object, "metadata.annotations.outside", "was here");
        return 0;
}

static int forbid_by_label(const struct admission_request *request, struct cx_error *err)
{
        asked[2]++;
        return cx_json_get(request->object, "metadata.labels.bad") ? admission_forbid(request, "it is bad", err) : 0;
}

static int never(const struct admission_request *request, struct cx_error *err)
{
        asked[3]++;
        return admission_forbid(request, "off", err);
}

static const struct admission_want config_maps[] = {{ADMIT_CREATE, "", "configmaps", ""}, {0}};
static const struct admission_want statuses[] = {{ADMIT_UPDATE, "*", "*", "status"}, {0}};
static const struct admission_plugin own = {.name = "Own", .wants = config_maps, .mutate = count_own};
static const struct admission_plugin outside = {
        .name = "Outside", .wants = config_maps, .mutate = change_from_outside, .outside = true};
static const struct admission_plugin label = {.name = "Label", .wants = config_maps, .validate = forbid_by_label};
static const struct admission_plugin off = {
        .name = "Off", .wants = config_maps, .validate = never, .off_by_default = true};
static const struct admission_plugin status = {.name = "Status", .wants = statuses, .validate = never};
static const struct admission_plugin *const test_plugins[] = {&own, &outside, &label, &off, &status, NULL};

static void test_chain(void **state CX_UNUSED)
{
        fixture_start(&fixture, test_plugins);
        memset(asked, 0, sizeof asked);
        json_auto_t *object = must_create(&fixture, "configmaps", "{'metadata':{'name':'a'}}");
        assert_string_at(object, "metadata.annotations.own", "seen");
        assert_string_at(object, "metadata.annotations.outside", "was here");
        assert_int_equal(asked[0], 2); // again, as one from outside changed the object
        assert_int_equal(asked[1], 1);
        assert_int_equal(asked[2], 1);
        CX_ERROR err = CX_ERROR_INIT, of_status = CX_ERROR_INIT;
        struct scope scope = scope_of(&fixture, "configmaps", "");
        assert_true(create(&scope, "{'metadata':{'generateName':'b-','labels':{'bad':''}}}", NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_FORBIDDEN));
        assert_int_equal(asked[3], 0); // what is off, and what wants something else
        json_decref(must_create(&fixture, "nodes", "{'metadata':{'name':'n'}}"));
        scope = scope_of(&fixture, "nodes/status", "n");
        assert_true(patch(&scope, PATCH_MERGE, "{'status':{'phase':'x'}}", NULL, &of_status) < 0);
        assert_string_equal(cx_error_text(&of_status), "nodes \"n\" is forbidden: off");
        fixture_end(&fixture);
}

// --- the server's own plugins ---

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        json_decref(must_create(&fixture, "serviceaccounts",
                                "{'metadata':{'name':'default'},'imagePullSecrets':[{'name':'pull'}]}"));
        json_decref(must_create(&fixture, "priorityclasses", "{'metadata':{'name':'high'},'value':1000}"));
        json_decref(
                must_create(&fixture, "pods",
                            "{'metadata':{'name':'on-a'},'spec':{'nodeName':'a','volumes':[{'name':'t','projected':{"
                            "'sources':[{'serviceAccountToken':{'path':'v','audience':'vault'}}]}},{'name':'d',"
                            "'csi':{'driver':'d.example.com'}}],'containers':[{'name':'c','image':'i'}]}}"));
        json_decref(must_create(&fixture, "csidrivers",
                                "{'metadata':{'name':'d.example.com'},'spec':{'tokenRequests':[{'audience':'csi'}]}}"));
        json_decref(must_create(&fixture, "pods",
                                "{'metadata':{'name':'on-b'},'spec':{'nodeName':'b','containers':[{'name':'c','image':"
                                "'i'}]}}"));
        json_decref(must_create(&fixture, "nodes", "{'metadata':{'name':'a'}}"));
        json_decref(must_create(&fixture, "nodes", "{'metadata':{'name':'b'}}"));
        return 0;
}

static int end(void **state CX_UNUSED)
{
        fixture_end(&fixture);
        return 0;
}

static void test_pods_are_completed(void **state CX_UNUSED)
{
        json_auto_t *pod = must_create(&fixture, "pods",
                                       "{'metadata':{'name':'whole'},'spec':{'priorityClassName':'high','containers':[{"
                                       "'name':'c','image':'i'}]}}");
        assert_string_at(pod, "spec.serviceAccountName", "default");
        assert_int_equal(cx_json_int(pod, "spec.priority", 0), 1000);
        assert_int_equal(cx_json_count(pod, "spec.tolerations"), 2);
        assert_int_equal(cx_json_count(pod, "spec.imagePullSecrets"), 1);
        const json_t *volume = json_array_get(cx_json_get(pod, "spec.volumes"), 0);
        const json_t *container = json_array_get(cx_json_get(pod, "spec.containers"), 0);
        const json_t *mount = json_array_get(json_object_get(container, "volumeMounts"), 0);
        assert_string_equal(cx_json_string(volume, "name"), cx_json_string(mount, "name"));
        assert_string_at(pod, "status.qosClass", "BestEffort");
}

// A plugin from outside may make them look again: they must leave alone what they have done.
static void test_plugins_may_run_twice(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "pods", "");
        json_auto_t *pod = parse("{'metadata':{'name':'twice'},'spec':{'containers':[{'name':'c','image':'i'}]}}");
        struct admission_request request = {.scope = &scope, .operation = ADMIT_CREATE, .object = pod};
        assert_int_equal(admit_mutating(&request, NULL, NULL), 0);
        json_auto_t *once = json_deep_copy(pod);
        assert_int_equal(admit_mutating(&request, NULL, NULL), 0);
        assert_true(json_equal(pod, once));
        json_array_append_new(cx_json_get(pod, "spec.containers"), parse("{'name':'late','image':'i'}"));
        assert_int_equal(admit_mutating(&request, NULL, NULL), 0);
        assert_int_equal(cx_json_count(pod, "spec.volumes"), 1); // the late one mounts the same volume
        const json_t *late = json_array_get(cx_json_get(pod, "spec.containers"), 1);
        assert_int_equal(json_array_size(json_object_get(late, "volumeMounts")), 1);
}

static void test_namespaces(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "pods", "");
        struct delete_options options = DELETE_OPTIONS_INIT;
        STORED *left = NULL;
        CX_ERROR absent = CX_ERROR_INIT, immortal = CX_ERROR_INIT, ending = CX_ERROR_INIT;
        scope.namespace = "nowhere"; // before anything else is looked for there
        assert_true(create(&scope, "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','image':'i'}]}}", NULL,
                           &absent) < 0);
        assert_string_equal(cx_error_text(&absent), "namespaces \"nowhere\" not found");
        struct scope kube_system = scope_of(&fixture, "namespaces", "kube-system");
        assert_true(registry_delete(&kube_system, &options, &left, NULL, &immortal) < 0);
        assert_true(cx_error_is(&immortal, CX_REASON_FORBIDDEN));
        json_decref(must_create(&fixture, "namespaces", "{'metadata':{'name':'ends'}}"));
        struct scope ends = scope_of(&fixture, "namespaces", "ends");
        assert_int_equal(registry_delete(&ends, &options, &left, NULL, NULL), 0);
        assert_non_null(left);
        struct scope in_it = scope_of(&fixture, "configmaps", "");
        in_it.namespace = "ends";
        assert_true(create(&in_it, "{'metadata':{'name':'x'}}", NULL, &ending) < 0);
        assert_true(cx_error_is(&ending, CX_REASON_FORBIDDEN));
        assert_string_equal(ending.causes[0].reason, "NamespaceTerminating");
}

// --- NodeRestriction ---

#define M "{'kubernetes.io/config.mirror':'x'}"
#define OWNER "{'apiVersion':'v1','kind':'Node','name':'a','uid':'?','controller':true}"
#define MIRROR(spec, volume, allowed)                                                                                  \
        {                                                                                                              \
                "pods", "", ADMIT_CREATE,                                                                              \
                        "{'metadata':{'annotations':" M ",'ownerReferences':[" OWNER "]},'spec':{'nodeName':'a'" spec  \
                        ",'volumes':[{'name':'v'},{" volume "}]}}",                                                    \
                        NULL, allowed                                                                                  \
        }
#define LABEL(key, allowed)                                                                                            \
        {                                                                                                              \
                "nodes", "a", ADMIT_UPDATE, "{'metadata':{'labels':{'" key "':'x'}}}", "{}", allowed                   \
        }
#define TOKEN(ref, audiences, allowed)                                                                                 \
        {                                                                                                              \
                "serviceaccounts/token", "default", ADMIT_CREATE,                                                      \
                        "{'spec':{'boundObjectRef':{" ref "},'audiences':[" audiences "]}}", NULL, allowed             \
        }

// "?" stands for the uid of the object that is named beside it.
static void fill_uid(json_t *ref)
{
        if (!cx_streq(cx_json_string(ref, "uid"), "?"))
                return;
        bool node = cx_streq(cx_json_string(ref, "kind"), "Node");
        struct scope scope = scope_of(&fixture, node ? "nodes" : "pods", cx_json_string(ref, "name"));
        json_auto_t *object = scope_find_json(&scope);
        json_object_set(ref, "uid", cx_json_get(object, "metadata.uid"));
}

static void test_kubelets(void **state CX_UNUSED)
{
        static const struct {
                const char *what, *name;
                enum admission_operation operation;
                const char *object, *old;
                bool allowed;
        } cases[] = {
                {"nodes", "a", ADMIT_UPDATE, "{}", "{}", true},
                {"nodes", "b", ADMIT_UPDATE, "{}", "{}", false},
                {"nodes/status", "b", ADMIT_UPDATE, "{}", "{}", false},
                {"nodes/proxy", "b", ADMIT_CONNECT, "{}", NULL, false},
                {"nodes", "a", ADMIT_DELETE, NULL, "{}", false},
                {"nodes", "b", ADMIT_DELETE, NULL, "{}", false},
                {"nodes", "", ADMIT_CREATE, "{'metadata':{'name':'a'}}", NULL, true},
                {"nodes", "", ADMIT_CREATE, "{'metadata':{'name':'b'}}", NULL, false},
                {"nodes", "", ADMIT_CREATE, "{'metadata':{'name':'a'},'spec':{'taints':[{'key':'k'}]}}", NULL, true},
                {"nodes", "", ADMIT_CREATE, "{'metadata':{'name':'a','labels':{'node-role.kubernetes.io/x':''}}}", NULL,
                 false},
                {"nodes", "", ADMIT_CREATE, "{'metadata':{'name':'a','ownerReferences':[{'kind':'Node'}]}}", NULL,
                 false},
                {"nodes", "a", ADMIT_UPDATE, "{'metadata':{'ownerReferences':[{'kind':'Node'}]}}", "{}", false},
                {"nodes/status", "a", ADMIT_UPDATE, "{'metadata':{'ownerReferences':[{'kind':'Node'}]}}", "{}", false},
                {"nodes", "a", ADMIT_UPDATE, "{'spec':{'taints':[{'key':'k'}]}}", "{}", false},
                {"nodes/status", "a", ADMIT_UPDATE, "{'spec':{'taints':[{'key':'k'}]}}", "{}", false},
                {"nodes", "a", ADMIT_UPDATE, "{'spec':{'taints':[]}}", "{}", true},
                {"nodes", "a", ADMIT_UPDATE, "{}", "{'spec':{'taints':[{'key':'k'}]}}", false},
                LABEL("foo", true),
                LABEL("example.com/foo", true),
                LABEL("kubernetes.io/hostname", true),
                LABEL("topology.kubernetes.io/zone", true),
                LABEL("topology.kubernetes.io/rack", false),
                LABEL("node.kubernetes.io/x", true),
                LABEL("sub.node.kubernetes.io/x", true),
                LABEL("kubelet.kubernetes.io/x", true),
                LABEL("xnode.kubernetes.io/x", false),
                LABEL("xkubelet.kubernetes.io/x", false),
                LABEL("xkubernetes.io/x", true),
                LABEL("xk8s.io/x", true),
                LABEL("kubernetes.io/x", false),
                LABEL("k8s.io/x", false),
                LABEL("a.k8s.io/x", false),
                LABEL("node-role.kubernetes.io/master", false),
                LABEL("node-restriction.kubernetes.io/x", false),
                LABEL("a.node-restriction.kubernetes.io/x", false),
                {"nodes", "a", ADMIT_UPDATE, "{}", "{'metadata':{'labels':{'node-restriction.kubernetes.io/x':''}}}",
                 false}, // taking one away is a change, too
                MIRROR("", "", true),
                {"pods", "", ADMIT_CREATE, "{'metadata':{'annotations':" M "},'spec':{'nodeName':'a'}}", NULL, false},
                {"pods", "", ADMIT_CREATE,
                 "{'metadata':{'annotations':" M ",'ownerReferences':[" OWNER "]},'spec':{'nodeName':'b'}}", NULL,
                 false},
                {"pods", "", ADMIT_CREATE,
                 "{'metadata':{'annotations':" M ",'ownerReferences':[" OWNER "," OWNER "]},'spec':{'nodeName':'a'}}",
                 NULL, false},
                {"pods", "", ADMIT_CREATE,
                 "{'metadata':{'annotations':" M ",'ownerReferences':[{'apiVersion':'v1','kind':'Node','name':'a','uid'"
                 ":'other','controller':true}]},'spec':{'nodeName':'a'}}",
                 NULL, false},
                {"pods", "", ADMIT_CREATE,
                 "{'metadata':{'annotations':" M ",'ownerReferences':[{'apiVersion':'v1','kind':'Node','name':'a','uid'"
                 ":'?','controller':true,'blockOwnerDeletion':true}]},'spec':{'nodeName':'a'}}",
                 NULL, false},
                MIRROR(",'serviceAccountName':'default'", "", false),
                MIRROR(",'imagePullSecrets':[{'name':'s'}]", "", false),
                MIRROR(",'resourceClaims':[{'name':'r','resourceClaimTemplateName':'t'}]", "", false),
                MIRROR(",'containers':[{'env':[{'name':'E','value':'v'}]}]", "", true),
                MIRROR(",'containers':[{'env':[{'name':'E','valueFrom':{'secretKeyRef':{'name':'s'}}}]}]", "", false),
                MIRROR(",'initContainers':[{'env':[{'name':'E','valueFrom':{'configMapKeyRef':{'name':'s'}}}]}]", "",
                       false),
                MIRROR(",'containers':[{'envFrom':[{'secretRef':{'name':'s'}}]}]", "", false),
                MIRROR("", "'hostPath':{'path':'/'}", true),
                MIRROR("", "'secret':{'secretName':'s'}", false),
                MIRROR("", "'configMap':{'name':'s'}", false),
                MIRROR("", "'persistentVolumeClaim':{'claimName':'s'}", false),
                MIRROR("", "'ephemeral':{'volumeClaimTemplate':{}}", false),
                MIRROR("", "'csi':{'driver':'d','nodePublishSecretRef':{'name':'s'}}", false),
                MIRROR("", "'azureFile':{'secretName':'s'}", false),
                MIRROR("", "'flexVolume':{'secretRef':{'name':'s'}}", false),
                MIRROR("", "'projected':{'sources':[{'downwardAPI':{}}]}", true),
                MIRROR("", "'projected':{'sources':[{'downwardAPI':{}},{'secret':{'name':'s'}}]}", false),
                MIRROR("", "'projected':{'sources':[{'configMap':{'name':'s'}}]}", false),
                MIRROR("", "'projected':{'sources':[{'serviceAccountToken':{'path':'t'}}]}", false),
                MIRROR("", "'projected':{'sources':[{'clusterTrustBundle':{'path':'t'}}]}", false),
                {"pods", "", ADMIT_CREATE, "{'spec':{'nodeName':'a'}}", NULL, false},
                {"pods", "on-a", ADMIT_UPDATE, "{'spec':{'nodeName':'a'}}", "{'spec':{'nodeName':'a'}}", false},
                {"pods", "on-a", ADMIT_DELETE, NULL, "{'spec':{'nodeName':'a'}}", true},
                {"pods", "on-b", ADMIT_DELETE, NULL, "{'spec':{'nodeName':'b'}}", false},
                {"pods/status", "on-a", ADMIT_UPDATE, "{}", "{'spec':{'nodeName':'a'}}", true},
                {"pods/status", "on-a", ADMIT_UPDATE, "{'metadata':{'labels':{'x':'y'}}}", "{'spec':{'nodeName':'a'}}",
                 false},
                {"pods/status", "on-a", ADMIT_UPDATE, "{'metadata':{'ownerReferences':[{'kind':'Node'}]}}",
                 "{'spec':{'nodeName':'a'}}", false},
                {"pods/status", "on-a", ADMIT_UPDATE, "{'status':{'resourceClaimStatuses':[{'name':'r'}]}}",
                 "{'spec':{'nodeName':'a'}}", false},
                {"pods/status", "on-b", ADMIT_UPDATE, "{}", "{'spec':{'nodeName':'b'}}", false},
                {"pods/eviction", "on-a", ADMIT_CREATE, "{}", NULL, true},
                {"pods/eviction", "on-b", ADMIT_CREATE, "{}", NULL, false},
                {"pods/binding", "on-a", ADMIT_CREATE, "{}", NULL, false},
                {"pods/ephemeralcontainers", "on-a", ADMIT_UPDATE, "{}", "{}", false},
                {"pods/exec", "on-a", ADMIT_CONNECT, "{}", NULL, false},
                {"pods/attach", "on-a", ADMIT_CONNECT, "{}", NULL, false},
                {"pods/portforward", "on-a", ADMIT_CONNECT, "{}", NULL, false},
                {"pods/proxy", "on-a", ADMIT_CONNECT, "{}", NULL, false},
                {"serviceaccounts/token", "default", ADMIT_CREATE, "{}", NULL, false},
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a','uid':'?'", "", true),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a','uid':'other'", "", false),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a'", "", false),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'nowhere','uid':'u'", "", false),
                TOKEN("'apiVersion':'v1','kind':'Node','name':'a','uid':'u'", "", false),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-b','uid':'?'", "", false),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a','uid':'?'", "'vault'", true),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a','uid':'?'", "'csi'", true),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a','uid':'?'", "'other'", false),
                TOKEN("'apiVersion':'v1','kind':'Pod','name':'on-a','uid':'?'", "'vault','csi'", false),
                {"leases", "a", ADMIT_UPDATE, "{}", "{}", false}, // in another namespace than kube-node-lease
                {"csinodes", "a", ADMIT_UPDATE, "{}", "{}", true},
                {"csinodes", "b", ADMIT_UPDATE, "{}", "{}", false},
                {"csinodes", "", ADMIT_CREATE, "{'metadata':{'name':'b'}}", NULL, false},
                {"csinodes", "b", ADMIT_DELETE, NULL, "{}", false},
                {"resourceslices", "", ADMIT_CREATE, "{'spec':{'nodeName':'a'}}", NULL, true},
                {"resourceslices", "", ADMIT_CREATE, "{'spec':{'nodeName':'b'}}", NULL, false},
                {"resourceslices", "x", ADMIT_DELETE, NULL, "{'spec':{'nodeName':'b'}}", false},
                {"persistentvolumeclaims", "x", ADMIT_UPDATE, "{}", "{}", false},
                {"persistentvolumeclaims/status", "x", ADMIT_UPDATE, "{'status':{'capacity':{'storage':'2Gi'}}}",
                 "{'status':{}}", true},
                {"persistentvolumeclaims/status", "x", ADMIT_UPDATE, "{'status':{'phase':'Lost'}}", "{}", false},
                {"persistentvolumeclaims/status", "x", ADMIT_UPDATE, "{'metadata':{'finalizers':['x']}}", "{}", false},
                {"certificatesigningrequests", "", ADMIT_CREATE,
                 "{'spec':{'signerName':'kubernetes.io/kubelet-serving',"
                 "'request':'eA=='}}",
                 NULL, false},
                {"certificatesigningrequests", "", ADMIT_CREATE,
                 "{'spec':{'signerName':'example.com/x','request':'x'}}", NULL, true},
                {"configmaps", "x", ADMIT_UPDATE, "{}", "{}", true},
        };
        struct user kubelet = {.name = cx_strdup("system:node:a")};
        cx_strings_add(&kubelet.groups, "system:nodes");
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, cases[i].what, cases[i].name);
                json_auto_t *object = cases[i].object ? parse(cases[i].object) : NULL;
                json_auto_t *old = cases[i].old ? parse(cases[i].old) : NULL;
                fill_uid(json_array_get(cx_json_get(object, "metadata.ownerReferences"), 0));
                fill_uid(cx_json_get(object, "spec.boundObjectRef"));
                CX_ERROR err = CX_ERROR_INIT;
                struct admission_request request = {
                        .scope = &scope, .operation = cases[i].operation, .object = object, .old = old};
                scope.user = &kubelet;
                int r = admit_validating(&request, &err);
                if ((r == 0) != cases[i].allowed)
                        fail_msg("%s %s, case %zu: %s", cases[i].what, cases[i].name, i, cx_error_text(&err));
                if (r < 0)
                        assert_true(cx_error_is(&err, CX_REASON_FORBIDDEN) || cx_error_is(&err, CX_REASON_NOT_FOUND));
                scope.user = &fixture.user; // others are not restricted
                assert_int_equal(admit_validating(&request, NULL), 0);
        }
        user_release(&kubelet);
}

// Through the whole pipeline: defaults, and what a mutating plugin adds, are nothing that the node has changed.
static void test_own_labels(void **state CX_UNUSED)
{
        struct user kubelet = {.name = cx_strdup("system:node:a")};
        cx_strings_add(&kubelet.groups, "system:nodes");
        struct scope node = scope_of(&fixture, "nodes", "a"), of_status = scope_of(&fixture, "nodes/status", "a");
        struct scope lease = scope_of(&fixture, "leases", "");
        node.user = of_status.user = lease.user = &kubelet;
        lease.namespace = "kube-node-lease";
        CX_ERROR err = CX_ERROR_INIT;
        if (patch(&node, PATCH_MERGE, "{'metadata':{'labels':{'foo':'bar'}}}", NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        if (patch(&of_status, PATCH_STRATEGIC, "{'status':{'conditions':[{'type':'Ready','status':'True'}]}}", NULL,
                  &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        assert_true(patch(&node, PATCH_MERGE, "{'metadata':{'labels':{'k8s.io/foo':'bar'}}}", NULL, NULL) < 0);
        assert_int_equal(create(&lease, "{'metadata':{'name':'a'}}", NULL, NULL), 0);
        assert_true(create(&lease, "{'metadata':{'name':'b'}}", NULL, NULL) < 0);
        user_release(&kubelet);
}

// --- certificates ---

static char *request_of(const char *name, const char *organization)
{
        CX_CLEANUP(cx_freep) char *key = NULL, *csr = NULL;
        CX_STRINGS organizations = CX_STRINGS_INIT;
        cx_strings_add(&organizations, organization);
        struct cx_certificate_spec spec = {.common_name = name, .organizations = &organizations};
        assert_int_equal(cx_pki_new_key(&key, NULL), 0);
        assert_int_equal(cx_pki_new_csr(&spec, key, &csr, NULL), 0);
        CX_BUF text = CX_BUF_INIT;
        cx_base64_encode(csr, strlen(csr), &text);
        return cx_buf_detach(&text);
}

static int ask(const struct user *user, const char *name, const char *signer, const char *encoded)
{
        struct scope scope = scope_of(&fixture, "certificatesigningrequests", "");
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata':{'name':'%s'},'spec':{'signerName':'%s','request':'%s','usages':['digital "
                                "signature','client auth']}}",
                                name, signer, encoded);
        scope.user = user;
        return create(&scope, text, NULL, NULL);
}

static void test_certificates(void **state CX_UNUSED)
{
        CX_CLEANUP(cx_freep)
        char *plain = request_of("jane", "people"), *masters = request_of("jane", "system:masters");
        CX_CLEANUP(cx_freep) char *of_a = request_of("system:node:a", "system:nodes");
        CX_CLEANUP(cx_freep) char *of_b = request_of("system:node:b", "system:nodes");
        struct user kubelet = {.name = cx_strdup("system:node:a")}, approver = {.name = cx_strdup("approver")};
        cx_strings_add(&kubelet.groups, "system:nodes");
        json_decref(must_create(&fixture, "clusterroles",
                                "{'metadata':{'name':'approver'},'rules':[{'verbs':['approve'],'apiGroups':["
                                "'certificates.k8s.io'],'resources':['signers'],'resourceNames':['example.com/*']},{"
                                "'verbs':['sign'],'apiGroups':['certificates.k8s.io'],'resources':['signers'],"
                                "'resourceNames':['example.com/b']}]}"));
        json_decref(must_create(&fixture, "clusterrolebindings",
                                "{'metadata':{'name':'approver'},'roleRef':{'apiGroup':'rbac.authorization.k8s.io',"
                                "'kind':'ClusterRole','name':'approver'},'subjects':[{'kind':'User','name':'approver'}"
                                "]}"));
        const struct user *admin = &fixture.user;
        assert_int_equal(ask(admin, "client", "kubernetes.io/kube-apiserver-client", plain), 0);
        assert_true(ask(admin, "masters", "kubernetes.io/kube-apiserver-client", masters) < 0);
        assert_int_equal(ask(admin, "a", "example.com/a", masters),
                         0); // what that signer makes of it is its own affair
        assert_int_equal(ask(admin, "b", "example.com/b", plain), 0);
        assert_int_equal(ask(&kubelet, "own", "kubernetes.io/kubelet-serving", of_a), 0);
        assert_true(ask(&kubelet, "others", "kubernetes.io/kubelet-serving", of_b) < 0);
        static const struct {
                const char *what, *name, *patch;
                bool allowed;
        } cases[] = {
#define APPROVE "{'status':{'conditions':[{'type':'Approved','status':'True'}]}}"
#define FAIL "{'status':{'conditions':[{'type':'Failed','status':'True'}]}}"
#define SIGN "{'status':{'certificate':'eA=='}}"
                {"certificatesigningrequests/approval", "client", APPROVE, false},
                {"certificatesigningrequests/approval", "own", APPROVE, false},
                {"certificatesigningrequests/status", "a", "{'status':{}}", true}, // which says nothing
                {"certificatesigningrequests/status", "a", SIGN, false},
                {"certificatesigningrequests/status", "a", FAIL, false},
                {"certificatesigningrequests/approval", "a", APPROVE, true},
                {"certificatesigningrequests/status", "b", SIGN, true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct scope scope = scope_of(&fixture, cases[i].what, cases[i].name);
                CX_ERROR err = CX_ERROR_INIT;
                scope.user = &approver;
                if ((patch(&scope, PATCH_MERGE, cases[i].patch, NULL, &err) == 0) != cases[i].allowed)
                        fail_msg("%s %s: %s", cases[i].what, cases[i].name, cx_error_text(&err));
        }
        user_release(&kubelet);
        user_release(&approver);
}

// --- those that are off unless they are asked for ---

static struct admission_request asked_for(const struct scope *scope, json_t *object, const json_t *old)
{
        return (struct admission_request){
                .scope = scope, .operation = old ? ADMIT_UPDATE : ADMIT_CREATE, .object = object, .old = old};
}

static const char *policy_at(const json_t *pod, const char *list, size_t index)
{
        return cx_json_string(json_array_get(cx_json_get(pod, list), index), "imagePullPolicy");
}

static void test_always_pull(void **state CX_UNUSED)
{
        struct scope scope = scope_of(&fixture, "pods", "");
        json_auto_t *pod =
                parse("{'spec':{'initContainers':[{'name':'i','image':'i'}],'containers':[{'name':'c','image':'i',"
                      "'imagePullPolicy':'Never'}],'volumes':[{'name':'v','image':{'reference':'i'}},{'name':'e'}]}}");
        struct admission_request request = asked_for(&scope, pod, NULL);
        assert_true(admission_always_pull_images.off_by_default);
        assert_int_equal(admission_always_pull_images.mutate(&request, NULL), 0);
        assert_string_equal(policy_at(pod, "spec.containers", 0), "Always");
        assert_string_equal(policy_at(pod, "spec.initContainers", 0), "Always");
        const json_t *volume = json_array_get(cx_json_get(pod, "spec.volumes"), 0);
        assert_string_equal(cx_json_string(volume, "image.pullPolicy"), "Always");
        // of a pod that was there before
        json_auto_t *old = parse("{'spec':{'containers':[{'name':'c','image':'a','imagePullPolicy':'Never'}]}}");
        json_auto_t *changed = parse("{'spec':{'containers':[{'name':'c','image':'a','imagePullPolicy':'Never'}],"
                                     "'ephemeralContainers':[{'name':'e','image':'b','imagePullPolicy':'Never'}]}}");
        request = asked_for(&scope, changed, old);
        assert_int_equal(admission_always_pull_images.mutate(&request, NULL), 0);
        assert_string_equal(policy_at(changed, "spec.containers", 0), "Never");
        assert_string_equal(policy_at(changed, "spec.ephemeralContainers", 0), "Always");
}

static void test_external_addresses(void **state CX_UNUSED)
{
        static const struct {
                const char *object, *old;
                bool allowed;
        } cases[] = {
                {"{'spec':{}}", NULL, true},
                {"{'spec':{'externalIPs':[]}}", NULL, true},
                {"{'metadata':{'name':'s'},'spec':{'externalIPs':['192.0.2.1']}}", NULL, false},
                {"{'spec':{'externalIPs':['192.0.2.1']}}", "{'spec':{}}", false},
                {"{'spec':{'externalIPs':['192.0.2.1']}}", "{'spec':{'externalIPs':['192.0.2.1','192.0.2.2']}}", true},
                {"{'spec':{'externalIPs':['192.0.2.1','192.0.2.3']}}", "{'spec':{'externalIPs':['192.0.2.1']}}", false},
        };
        struct scope scope = scope_of(&fixture, "services", "");
        assert_true(admission_deny_external_ips.off_by_default);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *object = parse(cases[i].object), *old = cases[i].old ? parse(cases[i].old) : NULL;
                struct admission_request request = asked_for(&scope, object, old);
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(admission_deny_external_ips.validate(&request, &err) == 0, cases[i].allowed);
                if (i == 2)
                        assert_string_equal(cx_error_text(&err), "services \"s\" is forbidden: Use of external IPs is "
                                                                 "denied by admission control.");
        }
}

static void test_names(void **state CX_UNUSED)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        cx_strings_add(&names, "NodeRestriction");
        assert_int_equal(admission_check_names(admission_plugins, "enable-admission-plugins", &names, NULL), 0);
        cx_strings_add(&names, "EventRateLimit");
        assert_int_equal(admission_check_names(admission_plugins, "enable-admission-plugins", &names, &err), -EINVAL);
        assert_string_equal(cx_error_text(&err), "enable-admission-plugins plugin \"EventRateLimit\" is unknown");
}

int main(void)
{
        const struct CMUnitTest chain[] = {cmocka_unit_test(test_chain)};
        const struct CMUnitTest plugins[] = {cmocka_unit_test(test_pods_are_completed),
                                             cmocka_unit_test(test_plugins_may_run_twice),
                                             cmocka_unit_test(test_namespaces),
                                             cmocka_unit_test(test_kubelets),
                                             cmocka_unit_test(test_own_labels),
                                             cmocka_unit_test(test_certificates),
                                             cmocka_unit_test(test_always_pull),
                                             cmocka_unit_test(test_external_addresses),
                                             cmocka_unit_test(test_names)};
        int failed = cmocka_run_group_tests(chain, NULL, NULL);
        return failed + cmocka_run_group_tests(plugins, start, end);
}
