// SPDX-License-Identifier: Apache-2.0
// PodSecurity: which requests it looks at, what it refuses, warns of and notes for the audit log, what labels a namespace may have, who
// is exempt, and its settings.
#include "apiserver/admission/pod_security.h"
#include "libcommon/base/metrics.h"
#include "test/unit/apiserver/fixture.h"

#include <unistd.h>

static struct fixture fixture;
static struct cx_strings annotations;

#define SPEC(more) "'spec':{" more "'containers':[{'name':'c','image':'i'}]}"
#define PRIVILEGED_SPEC "'spec':{'containers':[{'name':'c','image':'i','securityContext':{'privileged':true}}]}"
#define SAID "host namespaces (hostPID=true)"

static struct scope scope_in(const char *what, const char *namespace, const char *name)
{
        struct scope scope = scope_of(&fixture, what, name);
        scope.namespace = scope.resource->namespaced ? namespace : "";
        scope.annotations = &annotations;
        return scope;
}

static void forget(void)
{
        cx_strings_release(&fixture.warnings);
        cx_strings_release(&annotations);
}

static void make_namespace(const char *name, const char *labels)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'metadata':{'name':'%s','labels':{%s}}}", name, labels);
        struct scope scope = scope_in("namespaces", "", ""), account = scope_in("serviceaccounts", name, "");
        CX_ERROR err = CX_ERROR_INIT;
        if (create(&scope, text, NULL, &err) < 0 || create(&account, "{'metadata':{'name':'default'}}", NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        forget();
}

static int start(void **state CX_UNUSED)
{
        fixture_start(&fixture, NULL);
        fixture.api.options.allow_privileged = true;
        make_namespace("free", "");
        make_namespace("strict", "'pod-security.kubernetes.io/enforce':'baseline'");
        make_namespace("watched", "'pod-security.kubernetes.io/audit':'baseline','pod-security.kubernetes.io/warn':"
                                  "'baseline','pod-security.kubernetes.io/warn-version':'v1.30'");
        return 0;
}

static int end(void **state CX_UNUSED)
{
        pod_security_free(cx_steal(&fixture.api.pod_security));
        forget();
        fixture_end(&fixture);
        return 0;
}

static const char *annotation(const char *name)
{
        for (size_t i = 0; i < annotations.count; i += 2)
                if (strcmp(annotations.items[i] + strlen(POD_SECURITY), name) == 0)
                        return annotations.items[i + 1];
        return NULL;
}

// With C's quotes.
static void assert_said(const char *text, const char *expected)
{
        CX_CLEANUP(cx_freep) char *wanted = cx_strdup(expected);
        for (char *c = wanted; *c; c++)
                *c = *c == '\'' ? '"' : *c;
        assert_string_equal(text, wanted);
}

static void refused(const struct scope *scope, const char *text, const char *why)
{
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(create(scope, text, NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_FORBIDDEN));
        assert_said(err.message, why);
}

static void taken(const struct scope *scope, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (create(scope, text, NULL, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

static void test_enforce(void **state CX_UNUSED)
{
        struct scope strict = scope_in("pods", "strict", ""), open = scope_in("pods", "free", "");
        forget();
        refused(&strict, "{'metadata':{'name':'bad'}," SPEC("'hostPID':true,") "}",
                "pods 'bad' is forbidden: violates PodSecurity 'baseline:latest': " SAID);
        assert_int_equal(fixture.warnings.count, 0); // the refusal says it
        assert_string_equal(annotation("enforce-policy"), "baseline:latest");
        assert_null(annotation("audit-violations"));
        forget();
        taken(&strict, "{'metadata':{'name':'good'}," SPEC("") "}");
        assert_string_equal(annotation("enforce-policy"), "baseline:latest");
        forget();
        taken(&open, "{'metadata':{'name':'any'}," SPEC("'hostPID':true,") "}");
        assert_string_equal(annotation("enforce-policy"), "privileged:latest");
        assert_int_equal(fixture.warnings.count, 0);
        forget();
        struct scope dry = strict;
        dry.dry_run = true;
        refused(&dry, "{'metadata':{'name':'bad'}," SPEC("'hostPID':true,") "}",
                "pods 'bad' is forbidden: violates PodSecurity 'baseline:latest': " SAID);
}

// A pod that was there before its namespace was strict may live on, and be labelled; what is run in it may not change.
static void test_updates(void **state CX_UNUSED)
{
        make_namespace("tight", "");
        struct scope pods = scope_in("pods", "tight", ""), one = scope_in("pods", "tight", "p"),
                     status = scope_in("pods/status", "tight", "p"),
                     added = scope_in("pods/ephemeralcontainers", "tight", "p"),
                     resize = scope_in("pods/resize", "tight", "p"), namespace = scope_in("namespaces", "", "tight");
        taken(&pods, "{'metadata':{'name':'p'}," SPEC("'hostPID':true,") "}");
        CX_ERROR none = CX_ERROR_INIT, err = CX_ERROR_INIT, of_debug = CX_ERROR_INIT;
        assert_int_equal(patch(&namespace, PATCH_MERGE,
                               "{'metadata':{'labels':{'pod-security.kubernetes.io/enforce':'baseline'}}}", NULL,
                               &none),
                         0);
        forget();
        assert_int_equal(patch(&one, PATCH_MERGE, "{'metadata':{'labels':{'a':'b'}}}", NULL, &none), 0);
        assert_int_equal(patch(&status, PATCH_MERGE, "{'status':{'phase':'Running'}}", NULL, &none), 0);
        assert_int_equal(patch(&resize, PATCH_MERGE, "{}", NULL, &none), 0);
        assert_int_equal(annotations.count, 0);
        assert_true(patch(&one, PATCH_STRATEGIC, "{'spec':{'containers':[{'name':'c','image':'j'}]}}", NULL, &err) < 0);
        assert_said(err.message, "pods 'p' is forbidden: violates PodSecurity 'baseline:latest': " SAID);
        assert_true(patch(&added, PATCH_STRATEGIC, "{'spec':{'ephemeralContainers':[{'name':'e','image':'i'}]}}", NULL,
                          &of_debug) < 0);
        assert_said(of_debug.message, "pods 'p' is forbidden: violates PodSecurity 'baseline:latest': " SAID);
        struct scope good = scope_in("pods/ephemeralcontainers", "strict", "good");
        CX_ERROR of_privileged = CX_ERROR_INIT;
        assert_true(
                patch(&good, PATCH_STRATEGIC,
                      "{'spec':{'ephemeralContainers':[{'name':'e','image':'i','securityContext':{'privileged':true}}]}"
                      "}",
                      NULL, &of_privileged) < 0);
        assert_said(of_privileged.message,
                    "pods 'good' is forbidden: violates PodSecurity 'baseline:latest': privileged "
                    "(container 'e' must not set securityContext.privileged=true)");
        assert_int_equal(patch(&good, PATCH_STRATEGIC, "{'spec':{'ephemeralContainers':[{'name':'e','image':'i'}]}}",
                               NULL, &none),
                         0);
}

#define TOLD "host namespaces (hostPID=true)"
static void test_told(void **state CX_UNUSED)
{
#define TEMPLATE                                                                                                       \
        "'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':{'a':'b'}}," SPEC("'hostPID':true,") "}"
#define JOB "'template':{" SPEC("'hostPID':true,'restartPolicy':'Never',") "}"
        static const struct {
                const char *what, *text;
        } cases[] = {
                {"pods", SPEC("'hostPID':true,")},
                {"deployments.apps", "'spec':{" TEMPLATE "}"},
                {"replicasets.apps", "'spec':{" TEMPLATE "}"},
                {"daemonsets.apps", "'spec':{" TEMPLATE "}"},
                {"statefulsets.apps", "'spec':{'serviceName':'s'," TEMPLATE "}"},
                {"replicationcontrollers",
                 "'spec':{'selector':{'a':'b'},'template':{'metadata':{'labels':{'a':'b'}}," SPEC(
                         "'hostPID':true,") "}}"},
                {"jobs.batch", "'spec':{" JOB "}"},
                {"cronjobs.batch", "'spec':{'schedule':'* * * * *','jobTemplate':{'spec':{" JOB "}}}"},
                {"podtemplates", "'template':{'metadata':{'labels':{'a':'b'}}," SPEC("'hostPID':true,") "}"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'metadata':{'name':'told'},%s}", cases[i].text);
                struct scope watched = scope_in(cases[i].what, "watched", ""),
                             open = scope_in(cases[i].what, "free", "");
                forget();
                taken(&watched, text);
                assert_int_equal(fixture.warnings.count, 1);
                assert_said(fixture.warnings.items[0], "would violate PodSecurity 'baseline:v1.30': " TOLD);
                assert_said(annotation("audit-violations"), "would violate PodSecurity 'baseline:latest': " TOLD);
                assert_int_equal(annotation("enforce-policy") != NULL, i == 0);
                forget();
                taken(&open, text);
                assert_int_equal(fixture.warnings.count, 0);
                assert_int_equal(annotations.count, i == 0 ? 2 : 0);
        }
        // what makes pods is not refused where they will be, but who makes it is told
        struct scope deployment = scope_in("deployments.apps", "strict", ""),
                     scale = scope_in("deployments.apps/status", "watched", "told");
        forget();
        taken(&deployment, "{'metadata':{'name':'d'},'spec':{" TEMPLATE "}}");
        assert_said(fixture.warnings.items[0], "would violate PodSecurity 'baseline:latest': " TOLD);
        CX_ERROR err = CX_ERROR_INIT;
        forget();
        assert_int_equal(patch(&scale, PATCH_MERGE, "{'status':{'replicas':1}}", NULL, &err), 0);
        assert_int_equal(fixture.warnings.count, 0);
        struct scope controller = scope_in("replicationcontrollers", "watched", "");
        controller.dry_run = true;
        taken(&controller, "{'metadata':{'name':'dry'},'spec':{'selector':{'a':'b'},'template':{'metadata':{'labels':{'"
                           "a':'b'}}," SPEC("") "}}}");
        assert_int_equal(fixture.warnings.count, 0);
}

// --- namespaces ------------------------------------------------------------------------------------------------------

static int label(const char *name, const char *labels, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'metadata':{'labels':{%s}}}", labels);
        struct scope scope = scope_in("namespaces", "", name);
        forget();
        return patch(&scope, PATCH_MERGE, text, NULL, err);
}

#define ENFORCE(level) "'pod-security.kubernetes.io/enforce':'" level "'"
static void test_labels(void **state CX_UNUSED)
{
        CX_ERROR of_new = CX_ERROR_INIT, err = CX_ERROR_INIT, again = CX_ERROR_INIT, none = CX_ERROR_INIT;
        struct scope scope = scope_in("namespaces", "", "");
        assert_true(create(&scope, "{'metadata':{'name':'x','labels':{" ENFORCE("no") "}}}", NULL, &of_new) < 0);
        assert_true(cx_error_is(&of_new, CX_REASON_INVALID));
        assert_said(of_new.message,
                    "Namespace 'x' is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid "
                    "value: 'no': must be one of privileged, baseline, restricted");
        assert_string_equal(of_new.causes[0].field, "metadata.labels[pod-security.kubernetes.io/enforce]");
        make_namespace("labelled", "");
        assert_true(label("labelled", ENFORCE("no") ",'pod-security.kubernetes.io/warn-version':'v2'", &err) < 0);
        assert_said(err.message,
                    "Namespace 'labelled' is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid "
                    "value: 'no': must be one of privileged, baseline, restricted, "
                    "metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: 'v2': must be "
                    "'latest' or 'v1.x']");
        // one that was there before the plugin was stays, and is enforced as the strictest
        struct admission_chain *chain = fixture.api.admission;
        static const struct admission_plugin *const nobody[] = {NULL};
        fixture.api.admission = admission_chain_new(nobody, &(struct cx_strings){0}, &(struct cx_strings){0});
        make_namespace("old", ENFORCE("no"));
        admission_chain_free(fixture.api.admission);
        fixture.api.admission = chain;
        assert_int_equal(label("old", "'a':'b'", &none), 0);
        assert_true(label("old", ENFORCE("nope"), &again) < 0);
        struct scope pods = scope_in("pods", "old", "");
        forget();
        refused(&pods,
                "{'metadata':{'name':'p'}," SPEC(
                        "'securityContext':{'runAsNonRoot':true},'os':{'name':'windows'},'hostNetwork':true,") "}",
                "pods 'p' is forbidden: violates PodSecurity 'restricted:latest': host namespaces (hostNetwork=true)");
        assert_said(annotation("error"),
                    "Failed to parse policy: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid "
                    "value: 'no': must be one of privileged, baseline, restricted");
}

static void test_tightening(void **state CX_UNUSED)
{
        static const char *const pods[] = {
                "{'metadata':{'name':'b'}," PRIVILEGED_SPEC "}",
                "{'metadata':{'name':'a'}," PRIVILEGED_SPEC "}",
                "{'metadata':{'name':'c'}," SPEC("'hostPID':true,") "}",
                "{'metadata':{'name':'d'}," SPEC("") "}",
                "{'metadata':{'name':'e'}," PRIVILEGED_SPEC "}",
        };
        make_namespace("full", "");
        struct scope scope = scope_in("pods", "full", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++)
                taken(&scope, pods[i]);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(label("full", ENFORCE("baseline"), &err), 0);
        assert_int_equal(fixture.warnings.count, 3);
        assert_said(fixture.warnings.items[0],
                    "existing pods in namespace 'full' violate the new PodSecurity enforce level 'baseline:latest'");
        assert_string_equal(fixture.warnings.items[1], "a (and 2 other pods): privileged");
        assert_string_equal(fixture.warnings.items[2], "c: host namespaces");
        // the same, less, nothing, or something else: nobody is told; another version is looked at
        static const struct {
                const char *labels;
                size_t warnings;
        } changes[] = {
                {ENFORCE("baseline"), 0},
                {"'x':'y'", 0},
                {"'pod-security.kubernetes.io/warn':'restricted'", 0},
                {"'pod-security.kubernetes.io/enforce-version':'v1.20'", 3},
                {ENFORCE("restricted"), 4},
                {ENFORCE("baseline"), 0},
                {ENFORCE("privileged") ",'pod-security.kubernetes.io/enforce-version':'v1.1'", 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(changes); i++) {
                assert_int_equal(label("full", changes[i].labels, &err), 0);
                if (fixture.warnings.count != changes[i].warnings)
                        fail_msg("%s: %zu warnings", changes[i].labels, fixture.warnings.count);
        }
        // in no more than so many, in no more than that time, and not those that are exempt
        struct cache *cache = builtin(&fixture.api, "", "v1", "pods")->cache;
        const struct pod_standard standard = {POD_BASELINE, POD_LATEST};
        CX_STRINGS some = CX_STRINGS_INIT, hurried = CX_STRINGS_INIT;
        pod_security_try(&pod_security_default, cache, "full", &standard, 2, CX_NS_PER_S, &some);
        assert_int_equal(some.count, 3);
        assert_string_equal(some.items[0],
                            "new PodSecurity enforce level only checked against the first 2 of 5 existing pods");
        assert_string_equal(some.items[2], "a (and 1 other pod): privileged");
        pod_security_try(&pod_security_default, cache, "full", &standard, 3000, 0, &hurried);
        assert_string_equal(hurried.items[0],
                            "new PodSecurity enforce level only checked against the first 1 of 5 existing pods");
}

// Pods of one controller are alike, most often: one of each comes first.
static void test_order(void **state CX_UNUSED)
{
#define OWNED(name, uid)                                                                                               \
        "{'metadata':{'name':'" name "','ownerReferences':[{'apiVersion':'v1','kind':'X','name':'y','uid':'other'},{"  \
        "'apiVersion':'apps/v1','kind':'ReplicaSet','name':'r','uid':'" uid "','controller':true}]}," PRIVILEGED_SPEC  \
        "}"
        static const char *const pods[] = {OWNED("a", "1"), OWNED("b", "1"), OWNED("c", "1"), OWNED("d", "2"),
                                           "{'metadata':{'name':'e'}," SPEC("'hostPID':true,") "}"};
        make_namespace("owned", "");
        struct scope scope = scope_in("pods", "owned", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++)
                taken(&scope, pods[i]);
        const struct pod_standard standard = {POD_BASELINE, POD_LATEST};
        CX_STRINGS warnings = CX_STRINGS_INIT;
        pod_security_try(&pod_security_default, builtin(&fixture.api, "", "v1", "pods")->cache, "owned", &standard, 3,
                         CX_NS_PER_S, &warnings);
        assert_int_equal(warnings.count, 4);
        assert_string_equal(warnings.items[2], "a (and 1 other pod): privileged"); // a and d
        assert_string_equal(warnings.items[3], "e: host namespaces");
}

// --- settings --------------------------------------------------------------------------------------------------------

#define HEAD "'apiVersion':'pod-security.admission.config.k8s.io/v1','kind':'PodSecurityConfiguration'"
static void settle(const char *text)
{
        json_auto_t *settings = text ? parse(text) : NULL;
        CX_ERROR err = CX_ERROR_INIT;
        pod_security_free(cx_steal(&fixture.api.pod_security));
        if (pod_security_new(settings, NULL, &fixture.api.pod_security, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

static void test_settings(void **state CX_UNUSED)
{
        struct scope pods = scope_in("pods", "free", ""), exempt = scope_in("pods", "let-be", "");
        make_namespace("let-be", "");
        settle("{" HEAD
               ",'defaults':{'enforce':'baseline','enforce-version':'v1.30','warn':'restricted'},'exemptions':{"
               "'usernames':['system:trusted'],'runtimeClasses':['kata'],'namespaces':['let-be']}}");
        refused(&pods, "{'metadata':{'name':'s'}," SPEC("'hostPID':true,") "}",
                "pods 's' is forbidden: violates PodSecurity 'baseline:v1.30': " SAID);
        forget();
        taken(&pods, "{'metadata':{'name':'s'}," SPEC("") "}");
        assert_int_equal(fixture.warnings.count, 1);
        forget();
        taken(&exempt, "{'metadata':{'name':'s'}," SPEC("'hostPID':true,") "}");
        assert_string_equal(annotation("exempt"), "namespace");
        assert_int_equal(fixture.warnings.count + annotations.count, 2);
        // who asks, not on whose behalf
        char name[] = "system:trusted";
        const struct user trusted = {.name = name};
        struct scope by_trusted = pods;
        by_trusted.user = &trusted;
        forget();
        taken(&by_trusted, "{'metadata':{'name':'t'}," SPEC("'hostPID':true,") "}");
        assert_string_equal(annotation("exempt"), "user");
        forget();
        taken(&pods, "{'metadata':{'name':'u'}," SPEC("'runtimeClassName':'kata','hostPID':true,") "}");
        assert_string_equal(annotation("exempt"), "runtimeClass");
        // labels of a namespace that is exempt do nothing, which is said
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(label("let-be", ENFORCE("restricted") ",'pod-security.kubernetes.io/audit':'baseline'", &err),
                         0);
        assert_said(fixture.warnings.items[0], "namespace 'let-be' is exempt from Pod Security, and the policy "
                                               "(enforce=restricted:v1.30, audit=baseline:latest) will be ignored");
        // and one that is of an exempt class counts for nothing when it is tried
        const struct pod_standard standard = {POD_BASELINE, POD_LATEST};
        CX_STRINGS warnings = CX_STRINGS_INIT;
        pod_security_try(fixture.api.pod_security, builtin(&fixture.api, "", "v1", "pods")->cache, "free", &standard,
                         3000, CX_NS_PER_S, &warnings);
        for (size_t i = 0; i < warnings.count; i++)
                assert_false(cx_has_prefix(warnings.items[i], "u"));
        settle(NULL);
        assert_true(pod_policy_is_privileged(&fixture.api.pod_security->defaults));
}

static void test_wrong_settings(void **state CX_UNUSED)
{
        static const struct {
                const char *text, *why;
        } cases[] = {
                {"{'kind':'PodSecurityConfiguration'}",
                 "must be of apiVersion pod-security.admission.config.k8s.io/v1 and kind "
                 "PodSecurityConfiguration, not '' and 'PodSecurityConfiguration'"},
                {"{'apiVersion':'v1','kind':'Pod'}",
                 "must be of apiVersion pod-security.admission.config.k8s.io/v1 and kind "
                 "PodSecurityConfiguration, not 'v1' and 'Pod'"},
                {"{" HEAD ",'defaults':{'enforce':'all','warn-version':'1'},'exemptions':{'namespaces':['a','A','a'],"
                 "'usernames':['','x','x'],'runtimeClasses':['k_']}}",
                 NULL},
                {"{" HEAD ",'default':{}}", NULL},
                {"{" HEAD ",'exemptions':{'users':[]}}", NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *settings = parse(cases[i].text);
                struct pod_security *security = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                assert_true(pod_security_new(settings, NULL, &security, &err) < 0);
                assert_null(security);
                if (cases[i].why)
                        assert_said(err.message, cases[i].why);
                if (i == 2)
                        assert_int_equal(
                                strncmp(err.message, "[defaults.enforce: Invalid value: \"all\": must be one of", 55),
                                0);
                for (const char *const *part =
                             (const char *const[]){"defaults.warn-version: ", "exemptions.namespaces[1]: Invalid",
                                                   "exemptions.namespaces[2]: Duplicate value: \"a\"",
                                                   "exemptions.usernames[0]: Required value",
                                                   "exemptions.usernames[2]: Duplicate value: \"x\"",
                                                   "exemptions.runtimeClasses[0]: Invalid", NULL};
                     i == 2 && *part; part++)
                        assert_non_null(strstr(err.message, *part));
                if (i > 2)
                        assert_non_null(strstr(err.message, i == 3 ? "unknown field \"default\""
                                                                   : "unknown field \"exemptions.users\""));
        }
}

// --- the file --------------------------------------------------------------------------------------------------------

static char folder[] = "/tmp/coxswain-admission.XXXXXX";

static void write_file(const char *name, const char *text)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static int configure(const char *text, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/admission.yaml", folder);
        write_file("admission.yaml", text);
        pod_security_free(cx_steal(&fixture.api.pod_security));
        return admission_configure(&fixture.api, admission_plugins, path, err);
}

#define FILE_HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n"
#define INLINE                                                                                                         \
        "  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1beta1\n"                             \
        "    kind: PodSecurityConfiguration\n    defaults: {enforce: restricted}\n"
static void test_file(void **state CX_UNUSED)
{
        static const struct {
                const char *text, *why;
        } wrong[] = {
                {"a: [", "admission.yaml"},
                {"", "must be one document, not 0"},
                {FILE_HEAD "---\n" FILE_HEAD, "must be one document, not 2"},
                {"apiVersion: v1\nkind: Pod\n",
                 "must be of apiVersion apiserver.config.k8s.io/v1 and kind AdmissionConfiguration"},
                {FILE_HEAD "plugin: []\n", "unknown field \"plugin\""},
                {FILE_HEAD "plugins:\n- name: PodSecurity\n  file: x\n", "unknown field \"plugins[0].file\""},
                {FILE_HEAD "plugins:\n- path: x\n", "plugins[0].name"},
                {FILE_HEAD "plugins:\n- name: ImagePolicyWebhook\n  path: x\n",
                 "plugin \"ImagePolicyWebhook\": there is no such plugin"},
                {FILE_HEAD "plugins:\n- name: LimitRanger\n  path: x\n",
                 "plugin \"LimitRanger\": this plugin has no settings"},
                {FILE_HEAD "plugins:\n- name: PodSecurity\n", "has neither a path nor a configuration"},
                {FILE_HEAD "plugins:\n- name: PodSecurity\n  path: x\n" INLINE, "has both a path and a configuration"},
                {FILE_HEAD "plugins:\n- name: PodSecurity\n  path: none\n", "/none: No such file or directory"},
                {FILE_HEAD "plugins:\n- name: PodSecurity\n" INLINE "- name: PodSecurity\n" INLINE, "is there twice"},
                {FILE_HEAD "plugins:\n- name: PodSecurity\n" INLINE "    defaults: {}\n", "defaults"},
        };
        CX_ERROR err = CX_ERROR_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(wrong); i++) {
                CX_ERROR why = CX_ERROR_INIT;
                assert_true(configure(wrong[i].text, &why) < 0);
                assert_true(cx_has_prefix(why.message, "--admission-control-config-file: "));
                if (!strstr(why.message, wrong[i].why))
                        fail_msg("%s says %s", wrong[i].text, why.message);
        }
        assert_int_equal(configure(FILE_HEAD, &err), 0);
        assert_true(pod_policy_is_privileged(&fixture.api.pod_security->defaults));
        assert_int_equal(configure(FILE_HEAD "plugins:\n- name: PodSecurity\n" INLINE, &err), 0);
        assert_int_equal(fixture.api.pod_security->defaults.of[POD_ENFORCE].level, POD_RESTRICTED);
        // by a path, from the folder of the file
        write_file("security.yaml",
                   "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n"
                   "defaults: {audit: baseline, audit-version: v1.30}\n");
        assert_int_equal(configure(FILE_HEAD "plugins: [{name: PodSecurity, path: security.yaml}]\n", &err), 0);
        assert_int_equal(fixture.api.pod_security->defaults.of[POD_AUDIT].minor, 30);
        pod_security_free(cx_steal(&fixture.api.pod_security));
        assert_int_equal(admission_configure(&fixture.api, admission_plugins, NULL, &err), 0);
}

static int make_folder(void **state CX_UNUSED)
{
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state CX_UNUSED)
{
        static const char *const files[] = {"/admission.yaml", "/security.yaml", ""};
        for (size_t i = 0; i < CX_ARRAY_SIZE(files); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s%s", folder, files[i]);
                (void)remove(path);
        }
        return 0;
}

static void test_metrics(void **state CX_UNUSED)
{
        struct cx_metrics *metrics = cx_metrics_new();
        json_auto_t *settings = parse("{" HEAD ",'exemptions':{'namespaces':['let-be']}}");
        CX_ERROR err = CX_ERROR_INIT;
        CX_BUF text = CX_BUF_INIT;
        struct scope strict = scope_in("pods", "strict", ""), open = scope_in("pods", "free", ""),
                     exempt = scope_in("pods", "let-be", "");
        pod_security_free(cx_steal(&fixture.api.pod_security));
        assert_int_equal(pod_security_new(settings, metrics, &fixture.api.pod_security, &err), 0);
        refused(&strict, "{'metadata':{'name':'m'}," SPEC("'hostPID':true,") "}",
                "pods 'm' is forbidden: violates PodSecurity 'baseline:latest': " SAID);
        taken(&open, "{'metadata':{'name':'m'}," SPEC("") "}");
        taken(&exempt, "{'metadata':{'name':'m'}," SPEC("") "}");
        cx_metrics_write(metrics, &text);
        static const char *const lines[] = {
                "pod_security_evaluations_total{decision=\"deny\",policy_level=\"baseline\",policy_version=\"latest\","
                "mode="
                "\"enforce\",request_operation=\"create\",resource=\"pod\",subresource=\"\"} 1\n",
                "pod_security_evaluations_total{decision=\"allow\",policy_level=\"privileged\",policy_version="
                "\"latest\",mode="
                "\"enforce\",request_operation=\"create\",resource=\"pod\",subresource=\"\"} 1\n",
                "pod_security_exemptions_total{request_operation=\"create\",resource=\"pod\",subresource=\"\"} 1\n"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(lines); i++)
                assert_non_null(strstr(text.data, lines[i]));
        pod_security_free(cx_steal(&fixture.api.pod_security));
        cx_metrics_free(metrics);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_enforce),
                cmocka_unit_test(test_updates),
                cmocka_unit_test(test_told),
                cmocka_unit_test(test_labels),
                cmocka_unit_test(test_tightening),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_settings),
                cmocka_unit_test(test_wrong_settings),
                cmocka_unit_test_setup_teardown(test_file, make_folder, remove_folder),
                cmocka_unit_test(test_metrics),
        };
        return cmocka_run_group_tests(tests, start, end);
}
