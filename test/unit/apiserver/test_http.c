// SPDX-License-Identifier: Apache-2.0
// The chain over HTTP: paths and verbs, options of the query, bodies, the forms of an answer, and what admission is shown
// of a subresource and of a connection.
#include "test/unit/apiserver/http.h"

static struct served served;

// A plugin that notes what it is shown.
static char seen[256], *seen_object;

// Warns COUNT times of LENGTH letters, as the object asks for.
static void warn(const struct admission_request *request)
{
        int count = 0, length = 0;
        const char *asked = cx_json_string_or(request->object, "metadata.annotations.warn", "");
        if (sscanf(asked, "%d %d", &count, &length) != 2)
                return;
        for (int i = 0; i < count; i++) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "%03d", i);
                for (int k = 3; k < length; k++)
                        cx_buf_add(&text, "\xc3\xa9");
                scope_warn(request->scope, text.data);
                scope_warn(request->scope, text.data); // is told once
        }
}

static int note(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        const struct scope *scope = request->scope;
        warn(request);
        (void)snprintf(seen, sizeof seen, "%d %s/%s %s/%s %s%s", request->operation, scope->resource->resource,
                       scope->subresource ? scope->subresource : "", scope->namespace, scope->name, scope->user->name,
                       scope->dry_run ? " dry" : "");
        free(seen_object);
        seen_object = request->object ? cx_json_text(request->object) : NULL;
        return 0;
}

static const struct admission_want everything[] = {{ADMIT_ALL, "*", "*", "*"}, {0}};
static const struct admission_plugin noting = {.name = "Noting", .wants = everything, .validate = note};
static const struct admission_plugin *const plugins[] = {&noting, NULL};

static int start(void **state CX_UNUSED)
{
        served_start(&served, plugins);
        return 0;
}

static int end(void **state CX_UNUSED)
{
        served_end(&served);
        free(seen_object);
        return 0;
}

#define NS "/api/v1/namespaces/default"
#define MERGE "application/merge-patch+json"

static void test_paths_and_verbs(void **state CX_UNUSED)
{
        static const struct {
                const char *method, *path, *type, *body;
                int code;
        } cases[] = {
                {"POST", NS "/configmaps", NULL, "{'metadata':{'name':'a'}}", 201},
                {"POST", NS "/configmaps/a", NULL, "{}", 405},
                {"POST", "/api/v1/configmaps", NULL, "{'metadata':{'name':'a'}}", 400},
                {"GET", NS "/configmaps/a", NULL, NULL, 200},
                {"GET", NS "/configmaps/b", NULL, NULL, 404},
                {"GET", NS "/configmaps?resourceVersion=x", NULL, NULL, 400},
                {"GET", NS "/configmaps?limit=x", NULL, NULL, 400},
                {"GET", NS "/configmaps?labelSelector=((", NULL, NULL, 400},
                {"GET", NS "/configmaps?fieldSelector=data.k%3Dv", NULL, NULL, 400},
                {"GET", NS "/nonsense", NULL, NULL, 404},
                {"GET", "/apis/nonsense/v1/things", NULL, NULL, 404},
                {"GET", "/api/v1/namespaces/default/nodes", NULL, NULL, 404},
                {"GET", "/apis/apps/v1/namespaces/default/deployments/x/nonsense", NULL, NULL, 404},
                {"PUT", NS "/configmaps/a", NULL, "{'metadata':{'name':'b'}}", 400},
                {"PUT", NS "/configmaps/a", NULL, "{'kind':'Secret','apiVersion':'v1'}", 400},
                {"PUT", NS "/configmaps/a", NULL, "{'metadata':{'name':'a'},'data':{'k':'v'}}", 200},
                {"PUT", NS "/configmaps", NULL, "{}", 405},
                {"PATCH", NS "/configmaps/a", MERGE, "{'data':{'k':'w'}}", 200},
                {"PATCH", NS "/configmaps/a", "text/plain", "{}", 415},
                {"PATCH", NS "/configmaps/a", MERGE, "[]", 400},
                {"PATCH", NS "/configmaps/a?force=true", MERGE, "{}", 422},
                {"PATCH", NS "/configmaps/a", "application/apply-patch+yaml", "{}", 422},
                {"POST", NS "/configmaps?dryRun=nonsense", NULL, "{'metadata':{'name':'c'}}", 422},
                {"POST", NS "/configmaps?fieldValidation=Strict", NULL, "{'metadata':{'name':'c'},'x':1}", 400},
                {"PATCH", NS "/bindings", MERGE, "{}", 405},
                {"DELETE", NS "/configmaps/a?propagationPolicy=nonsense", NULL, NULL, 422},
                {"DELETE", NS "/configmaps/a?dryRun=All", NULL, NULL, 200},
                {"GET", NS "/configmaps/a", NULL, NULL, 200},
                {"DELETE", NS "/configmaps/a", NULL, NULL, 200},
                {"DELETE", NS "/configmaps/a", NULL, NULL, 404},
                {"GET", "/nonsense", NULL, NULL, 404},
                {"GET", "/version", NULL, NULL, 200},
                {"GET", "/readyz/etcd", NULL, NULL, 200},
                {"GET", "/apis/apps/v1", NULL, NULL, 200},
                {"GET", "/openapi/v3/apis/apps/v1", NULL, NULL, 200},
                {"GET", "/openapi/v3/apis/nonsense/v1", NULL, NULL, 404},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int code = ask(&served, cases[i].method, cases[i].path, cases[i].type, cases[i].body, NULL);
                if (code != cases[i].code)
                        fail_msg("%s %s: %d and not %d", cases[i].method, cases[i].path, code, cases[i].code);
        }
}

static char *get_as(const char *path, const char *accept, int *ret_code)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        struct cx_http_call call = {.path = path, .accept = accept};
        assert_int_equal(cx_http_do(served.client, &call, &reply, NULL), 0);
        *ret_code = reply.code;
        return cx_strdup(reply.body.data);
}

static void test_forms(void **state CX_UNUSED)
{
        static const struct {
                const char *path, *accept;
                int code;
                const char *holds;
        } cases[] = {
                {NS, "application/json;as=Table;v=v1;g=meta.k8s.io", 200, "\"kind\":\"Table\""},
                {NS, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", 200,
                 "\"kind\":\"PartialObjectMetadata\""},
                {"/api/v1/namespaces", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 200,
                 "\"kind\":\"PartialObjectMetadataList\""},
                {"/api/v1/namespaces", "application/json;as=Table;v=v1;g=meta.k8s.io", 200, "\"rows\":["},
                {NS, "application/yaml", 200, "kind: Namespace"},
                {NS, "text/html", 406, "NotAcceptable"},
                {NS, "text/html, */*", 200, "\"kind\":\"Namespace\""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int code;
                CX_CLEANUP(cx_freep) char *text = get_as(cases[i].path, cases[i].accept, &code);
                assert_int_equal(code, cases[i].code);
                if (!strstr(text, cases[i].holds))
                        fail_msg("%s as %s: %.200s", cases[i].path, cases[i].accept, text);
        }
}

static void test_events_in_two_versions(void **state CX_UNUSED)
{
        json_auto_t *event = NULL;
        assert_int_equal(ask(&served, "POST", NS "/events", NULL,
                             "{'metadata':{'name':'e'},'involvedObject':{'namespace':'default','name':'x'},'message':"
                             "'m'}",
                             NULL),
                         201);
        assert_int_equal(ask(&served, "GET", "/apis/events.k8s.io/v1/namespaces/default/events/e", NULL, NULL, &event),
                         200);
        assert_string_at(event, "note", "m");
        assert_string_at(event, "apiVersion", "events.k8s.io/v1");
}

static void test_pages(void **state CX_UNUSED)
{
        for (int i = 0; i < 5; i++) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'metadata':{'name':'page-%d','labels':{'set':'pages'}}}", i);
                assert_int_equal(ask(&served, "POST", NS "/configmaps", NULL, text, NULL), 201);
        }
        json_auto_t *first = NULL, *second = NULL;
        assert_int_equal(ask(&served, "GET", NS "/configmaps?labelSelector=set%3Dpages&limit=3", NULL, NULL, &first),
                         200);
        assert_int_equal(cx_json_count(first, "items"), 3);
        assert_int_equal(ask(&served, "DELETE", NS "/configmaps/page-4", NULL, NULL, NULL), 200);
        CX_CLEANUP(cx_freep)
        char *more = cx_sprintf(NS "/configmaps?labelSelector=set%%3Dpages&limit=3&continue=%s",
                                cx_json_string(first, "metadata.continue"));
        assert_int_equal(ask(&served, "GET", more, NULL, NULL, &second), 200);
        assert_int_equal(cx_json_count(second, "items"), 2); // as of the first page
        assert_int_equal(ask(&served, "DELETE", NS "/configmaps?labelSelector=set%3Dpages", NULL, NULL, NULL), 200);
        json_auto_t *left = NULL;
        assert_int_equal(ask(&served, "GET", NS "/configmaps?labelSelector=set%3Dpages", NULL, NULL, &left), 200);
        assert_int_equal(cx_json_count(left, "items"), 0);
}

static const char pod[] = "{'metadata':{'name':'p'},'spec':{'containers':[{'name':'c','image':'i'}]}}";

static void expect_seen(const char *expected, const char *object)
{
        assert_string_equal(seen, expected);
        if (object && (!seen_object || !strstr(seen_object, object)))
                fail_msg("%s shows %s", expected, seen_object);
}

// 1 create, 2 update, 4 delete, 8 connect.
static void test_admission_sees_all(void **state CX_UNUSED)
{
        static const char d[] = "/apis/apps/v1/namespaces/default/deployments";
        assert_int_equal(ask(&served, "POST", NS "/pods", NULL, pod, NULL), 201);
        expect_seen("1 pods/ default/ system:anonymous", "\"kind\":\"Pod\"");
        assert_int_equal(ask(&served, "PATCH", NS "/pods/p/status", MERGE, "{'status':{'phase':'Running'}}", NULL),
                         200);
        expect_seen("2 pods/status default/p system:anonymous", NULL);
        assert_int_equal(ask(&served, "POST", NS "/pods/p/binding", NULL,
                             "{'metadata':{'name':'p'},'target':{'name':'n'}}", NULL),
                         201);
        expect_seen("1 pods/binding default/p system:anonymous", "\"kind\":\"Binding\"");
        ask(&served, "GET", NS "/pods/p/exec?command=ls&command=-l&stdin=true&container=c", NULL, NULL, NULL);
        expect_seen("8 pods/exec default/p system:anonymous", "\"command\":[\"ls\",\"-l\"]");
        assert_non_null(strstr(seen_object, "\"kind\":\"PodExecOptions\""));
        assert_non_null(strstr(seen_object, "\"stdin\":true"));
        ask(&served, "GET", NS "/pods/p/proxy/a/path", NULL, NULL, NULL);
        expect_seen("8 pods/proxy default/p system:anonymous", "\"path\":\"/a/path\"");
        assert_int_equal(
                ask(&served, "POST", NS "/pods/p/eviction?dryRun=All", NULL, "{'metadata':{'name':'p'}}", NULL), 201);
        expect_seen("1 pods/eviction default/p system:anonymous dry", "\"kind\":\"Eviction\"");
        assert_int_equal(ask(&served, "POST", "/apis/apps/v1/namespaces/default/deployments", NULL,
                             "{'metadata':{'name':'d'},'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{"
                             "'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','image':'i'}]}}}}",
                             NULL),
                         201);
        CX_CLEANUP(cx_freep) char *scale = cx_sprintf("%s/d/scale", d);
        assert_int_equal(ask(&served, "PATCH", scale, MERGE, "{'spec':{'replicas':4}}", NULL), 200);
        expect_seen("2 deployments/scale default/d system:anonymous", "\"kind\":\"Scale\"");
        assert_int_equal(ask(&served, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", NULL,
                             "{'spec':{'resourceAttributes':{'verb':'get','resource':'pods'}}}", NULL),
                         201);
        expect_seen("1 selfsubjectaccessreviews/ / system:anonymous", NULL);
        assert_int_equal(ask(&served, "DELETE", NS "/pods/p?gracePeriodSeconds=0", NULL, NULL, NULL), 200);
        expect_seen("4 pods/ default/p system:anonymous", NULL);
        assert_null(seen_object);
}

struct told {
        size_t count, characters;
        bool whole; // each is closed, and no letter is cut
};

static void count_warning(void *context, const char *name, const char *value)
{
        struct told *told = context;
        size_t length = strlen(value), quote = strlen("299 - \"");
        if (strcasecmp(name, "Warning") != 0)
                return;
        told->count++;
        told->whole &= strncmp(value, "299 - \"", quote) == 0 && value[length - 1] == '"';
        told->whole &= length == quote + 1 + 3 + (length - quote - 4) / 2 * 2;
        told->characters += 3 + (length - quote - 4) / 2;
}

// As many as a client can be told of; when they are too long, the beginning of each.
static void test_warnings(void **state CX_UNUSED)
{
        static const struct {
                const char *asked;
                size_t count, characters;
        } cases[] = {{"1 4096", 1, 4096},   {"16 256", 16, 4096},  {"1 4097", 1, 256},
                     {"9 500", 9, 9 * 256}, {"100 300", 16, 4096}, {"3 5", 3, 15}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct told told = {.whole = true};
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep)
                char *body = cx_sprintf("{\"metadata\":{\"generateName\":\"w\",\"annotations\":{\"warn\":\"%s\"}}}",
                                        cases[i].asked);
                const struct cx_http_call call = {.method = "POST",
                                                  .path = NS "/configmaps?dryRun=All",
                                                  .content_type = "application/json",
                                                  .body = body,
                                                  .body_length = strlen(body)};
                assert_int_equal(cx_http_do(served.client, &call, &reply, &err), 0);
                assert_int_equal(reply.code, 201);
                cx_http_reply_headers(&reply, count_warning, &told);
                assert_int_equal(told.count, cases[i].count);
                assert_int_equal(told.characters, cases[i].characters);
                assert_true(told.whole);
        }
}

static void test_eviction_takes_an_allowance(void **state CX_UNUSED)
{
        static const char budgets[] = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
        CX_CLEANUP(cx_freep) char *status = cx_sprintf("%s/b/status", budgets);
        CX_CLEANUP(cx_freep) char *one = cx_sprintf("%s/b", budgets);
        json_auto_t *budget = NULL;
        assert_int_equal(ask(&served, "POST", budgets, NULL,
                             "{'metadata':{'name':'b'},'spec':{'minAvailable':1,'selector':{'matchLabels':{'app':'x'}}}"
                             "}",
                             NULL),
                         201);
        for (const char *name = "12"; *name; name++) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'metadata':{'name':'p%c','labels':{'app':'x'}},'spec':{'containers':[{'name':"
                                        "'c','image':'i'}]}}",
                                        *name);
                CX_CLEANUP(cx_freep) char *path = cx_sprintf(NS "/pods/p%c/status", *name);
                assert_int_equal(ask(&served, "POST", NS "/pods", NULL, text, NULL), 201);
                assert_int_equal(ask(&served, "PATCH", path, MERGE,
                                     "{'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}]}}",
                                     NULL),
                                 200);
        }
        assert_int_equal(ask(&served, "PATCH", status, MERGE,
                             "{'status':{'observedGeneration':1,'disruptionsAllowed':1,'currentHealthy':2,"
                             "'desiredHealthy':1,'expectedPods':2}}",
                             NULL),
                         200);
        assert_int_equal(ask(&served, "POST", NS "/pods/p1/eviction", NULL, "{}", NULL), 201);
        assert_int_equal(ask(&served, "GET", NS "/pods/p1", NULL, NULL, NULL), 404);
        assert_int_equal(ask(&served, "GET", one, NULL, NULL, &budget), 200);
        assert_int_equal(cx_json_int(budget, "status.disruptionsAllowed", -1), 0);
        assert_non_null(cx_json_get(budget, "status.disruptedPods.p1"));
        assert_int_equal(ask(&served, "POST", NS "/pods/p2/eviction", NULL, "{}", NULL), 429);
        assert_int_equal(ask(&served, "GET", NS "/pods/p2", NULL, NULL, NULL), 200);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths_and_verbs),
                cmocka_unit_test(test_forms),
                cmocka_unit_test(test_events_in_two_versions),
                cmocka_unit_test(test_pages),
                cmocka_unit_test(test_admission_sees_all),
                cmocka_unit_test(test_warnings),
                cmocka_unit_test(test_eviction_takes_an_allowance),
        };
        return cmocka_run_group_tests(tests, start, end);
}
