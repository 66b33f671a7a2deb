// SPDX-License-Identifier: Apache-2.0
// kubeconfig, REST calls, events, leader election, the JSON scanner and metrics.

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/metrics.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/client/component_internal.h"
#include "libcommon/client/events.h"
#include "libcommon/client/json_scan.h"
#include "libcommon/client/leader.h"
#include "test/unit/fake_api.h"

static const char config_text[] = "apiVersion: v1\n"
                                  "kind: Config\n"
                                  "current-context: dev\n"
                                  "extra: kept\n"
                                  "clusters:\n"
                                  "- name: c1\n"
                                  "  cluster: {server: 'https://h:1', certificate-authority-data: QUJD, unknown: 1}\n"
                                  "- name: c2\n"
                                  "  cluster: {server: 'https://h:2', insecure-skip-tls-verify: true}\n"
                                  "contexts:\n"
                                  "- name: dev\n"
                                  "  context: {cluster: c1, user: u1, namespace: n1}\n"
                                  "users:\n"
                                  "- name: u1\n"
                                  "  user: {token: abc}\n";

static void test_kubeconfig(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        char folder[] = "/tmp/cx-test-XXXXXX";
        assert_non_null(mkdtemp(folder));
        CX_CLEANUP(cx_freep) char *a = cx_sprintf("%s/a", folder);
        CX_CLEANUP(cx_freep) char *b = cx_sprintf("%s/sub/b", folder);
        CX_CLEANUP(cx_freep) char *list = cx_sprintf("%s:%s", a, b);
        assert_int_equal(cx_write_file(a, config_text, strlen(config_text), 0600, false, &err), 0);
        setenv("KUBECONFIG", list, 1);
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        assert_int_equal(cx_kubeconfig_load(NULL, false, &config, &err), 0);
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        assert_int_equal(cx_kubeconfig_resolve(&config, NULL, &credentials, &err), 0);
        assert_string_equal(credentials.server, "https://h:1");
        assert_string_equal(credentials.ca_pem, "ABC");
        assert_string_equal(credentials.token, "abc");
        assert_string_equal(credentials.namespace, "n1");
        cx_credentials_release(&credentials);
        struct cx_kubeconfig_overrides flags = {.cluster = "c2"};
        assert_int_equal(cx_kubeconfig_resolve(&config, &flags, &credentials, &err), 0);
        assert_true(credentials.insecure);
        cx_credentials_release(&credentials);
        flags = (struct cx_kubeconfig_overrides){.context = "nope"};
        assert_int_equal(cx_kubeconfig_resolve(&config, &flags, &credentials, &err), -ENOENT);
        assert_string_equal(cx_error_text(&err), "context \"nope\" does not exist");
        cx_error_release(&err);

        cx_kubeconfig_set(&config, "contexts", "new", json_pack("{s:s, s:s}", "cluster", "c2", "user", "u1"));
        cx_kubeconfig_set_current(&config, "new");
        assert_true(cx_kubeconfig_set(&config, "contexts", "dev", NULL));
        assert_false(cx_kubeconfig_set(&config, "contexts", "dev", NULL));
        assert_int_equal(cx_kubeconfig_save(&config, &err), 0);
        cx_kubeconfig_release(&config);
        assert_int_equal(cx_kubeconfig_load(a, false, &config, &err), 0);
        assert_string_equal(cx_kubeconfig_current_context(&config), "new");
        assert_string_equal(cx_json_string(config.merged, "extra"), "kept");
        assert_null(cx_kubeconfig_context(&config, "dev"));
        assert_int_equal(cx_json_int(cx_kubeconfig_cluster(&config, "c1"), "unknown", 0), 1);
        unsetenv("KUBECONFIG");
        CX_KUBECONFIG bad = CX_KUBECONFIG_INIT;
        assert_true(cx_kubeconfig_parse("- 1", 3, &bad, &err) < 0);
        cx_error_release(&err);
        assert_true(cx_kubeconfig_parse("users: 3", 8, &bad, &err) < 0);
        cx_error_release(&err);
        assert_int_equal(cx_remove_tree(folder, &err), 0);
}

static void test_rest(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *pod = json_pack("{s:{s:s}}", "metadata", "name", "p");
        json_auto_t *made = NULL;
        assert_int_equal(cx_rest_create(api->rest, CX_REF("", "v1", "pods", "d"), pod, &made, &err), 0);
        assert_non_null(cx_json_string(made, "metadata.uid"));
        assert_int_equal(cx_rest_create(api->rest, CX_REF("", "v1", "pods", "d"), pod, NULL, &err), -EEXIST);
        assert_true(cx_error_is(&err, CX_REASON_ALREADY_EXISTS));
        cx_error_release(&err);
        cx_json_set_string(made, "metadata.resourceVersion", "1");
        assert_int_equal(cx_rest_update(api->rest, CX_REF("", "v1", "pods", "d", "p"), made, NULL, &err), -EAGAIN);
        cx_error_release(&err);
        struct cx_delete_options wrong = {.grace = -1, .uid = "x"};
        assert_int_equal(cx_rest_delete(api->rest, CX_REF("", "v1", "pods", "d", "p"), &wrong, &err), -EAGAIN);
        cx_error_release(&err);
        // Told to wait, the client tries again.
        api->fail_next = 3;
        api->fail_code = 429;
        assert_int_equal(cx_rest_delete(api->rest, CX_REF("", "v1", "pods", "d", "p"), NULL, &err), 0);
        assert_int_equal(cx_rest_get(api->rest, CX_REF("", "v1", "pods", "d", "p"), NULL, &err), -ENOENT);
        assert_true(cx_error_is(&err, CX_REASON_NOT_FOUND));
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, CX_REF("apps", "v1", "deployments", "n", "x/y"), "scale");
        cx_rest_query(&path, "a", "b=c");
        cx_rest_query(&path, "none", NULL);
        cx_rest_query(&path, "d", "e");
        assert_string_equal(path.data, "/apis/apps/v1/namespaces/n/deployments/x%2Fy/scale?a=b%3Dc&d=e");
        fake_api_free(api);
}

struct tokens {
        int given, refused;
        char last[16];
};

static int give_token(void *context, char **ret_token, struct cx_error *err)
{
        struct tokens *tokens = context;
        if (tokens->given == 3)
                return cx_error_set(err, -EAGAIN, "no more tokens");
        *ret_token = cx_sprintf("token-%d", ++tokens->given);
        return 0;
}

static void refuse_token(void *context, const char *token)
{
        struct tokens *tokens = context;
        tokens->refused++;
        cx_copy_string(tokens->last, sizeof tokens->last, token);
}

// A token that is refused is replaced once; a second refusal is the answer.
static void test_identity(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct tokens tokens = {0};
        struct cx_rest *rest = cx_rest_derive(api->rest, &(struct cx_rest_identity){give_token, refuse_token, &tokens});
        json_auto_t *pod = json_pack("{s:{s:s}}", "metadata", "name", "p");
        CX_ERROR err = CX_ERROR_INIT;
        api->fail_code = 401;
        api->fail_next = 1;
        assert_int_equal(cx_rest_create(rest, CX_REF("", "v1", "pods", "a"), pod, NULL, &err), 0);
        assert_int_equal(tokens.given, 2);
        assert_int_equal(tokens.refused, 1);
        assert_string_equal(tokens.last, "token-1");
        assert_true(cx_rest_get(rest, CX_REF("", "v1", "pods", "a", "q"), NULL, &err) <
                    0); // no other error is repeated
        assert_true(cx_error_is(&err, CX_REASON_NOT_FOUND));
        assert_int_equal(tokens.given, 3);
        cx_error_release(&err);
        assert_int_equal(cx_rest_get(rest, CX_REF("", "v1", "pods", "a", "p"), NULL, &err), -EAGAIN);
        cx_error_release(&err);
        tokens.given = 0;
        api->fail_next = 2;
        assert_true(cx_rest_get(rest, CX_REF("", "v1", "pods", "a", "p"), NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_UNAUTHORIZED));
        assert_int_equal(tokens.given, 2);
        cx_rest_free(rest);
        fake_api_free(api);
}

static size_t count_events(struct fake_api *api, int64_t *ret_most)
{
        size_t count = 0;
        pthread_mutex_lock(&api->lock);
        CX_MAP_FOREACH (&api->objects, entry) {
                if (!strstr(entry->key, "/events/"))
                        continue;
                count++;
                int64_t times = cx_json_int(entry->value, "count", 0);
                *ret_most = times > *ret_most ? times : *ret_most;
        }
        pthread_mutex_unlock(&api->lock);
        return count;
}

static void test_events(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct cx_events *events = cx_events_new(api->rest, "tester", "host");
        struct cx_event_about about = {.kind = "Pod", .api_version = "v1", .namespace = "d", .name = "p", .uid = "u"};
        int64_t most = 0;
        for (int i = 0; i < 5; i++)
                cx_event(events, &about, "Normal", "Pulled", "image %d", 1);
        FAKE_WAIT(count_events(api, &most) == 1 && most == 5);
        for (int i = 0; i < 100; i++) // a flood: alike events are combined, the rest is dropped
                cx_event(events, &about, "Warning", "Bad", "number %d", i);
        cx_events_free(events);
        most = 0;
        size_t count = count_events(api, &most);
        assert_in_range(count, 2, 12);
        assert_in_range(most, 5, 25);
        fake_api_free(api);
}

// Thousands at once do not take the API server from those who work: after a burst they come at a pace, and none is lost.
static void test_events_pace(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        int64_t most = 0;
        struct cx_events *events = cx_events_new(api->rest, "tester", "host");
        for (int i = 0; i < 150; i++) {
                char name[16];
                snprintf(name, sizeof name, "pod-%d", i);
                struct cx_event_about about = {"v1", "Pod", "a", name, NULL, NULL, NULL};
                cx_event(events, &about, "Normal", "Scheduled", "to a node");
        }
        FAKE_WAIT(count_events(api, &most) >= 100);
        assert_true(count_events(api, &most) < 150);
        cx_events_free(events);
        assert_int_equal(count_events(api, &most), 150);
        fake_api_free(api);
}

static void never(void *context)
{
        *(bool *)context = true;
}

struct candidate {
        struct cx_leader *leader;
        int result;
        bool done;
};

static void *acquire(void *argument)
{
        struct candidate *candidate = argument;
        static bool lost;
        candidate->result = cx_leader_acquire(candidate->leader, never, &lost);
        __atomic_store_n(&candidate->done, true, __ATOMIC_RELEASE);
        return NULL;
}

static int requests_of(struct fake_api *api)
{
        pthread_mutex_lock(&api->lock);
        int requests = api->requests;
        pthread_mutex_unlock(&api->lock);
        return requests;
}

static void test_leader(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct cx_leader_options options = {.name = "x",
                                            .lease_duration = 2 * CX_NS_PER_S,
                                            .renew_deadline = CX_NS_PER_S,
                                            .retry_period = CX_NS_PER_S / 20};
        bool lost = false;
        struct cx_leader *first = cx_leader_new(api->rest, NULL, &options);
        assert_int_equal(cx_leader_acquire(first, never, &lost), 0);
        assert_true(cx_leader_is(first));
        struct candidate second = {.leader = cx_leader_new(api->rest, NULL, &options)};
        pthread_t thread;
        pthread_create(&thread, NULL, acquire, &second);
        const int before = requests_of(api);
        FAKE_WAIT(requests_of(api) > before + 20); // several of its tries, among what the first renews
        assert_false(__atomic_load_n(&second.done, __ATOMIC_ACQUIRE));
        cx_leader_free(first); // gives the lease back
        pthread_join(thread, NULL);
        assert_int_equal(second.result, 0);
        assert_true(cx_leader_is(second.leader));
        cx_leader_free(second.leader);
        assert_false(lost);
        fake_api_free(api);
}

// A leader with a lease of its own; what happened since it has it.
struct reign {
        struct fake_api *api;
        struct cx_leader *leader;
        bool lost;
        long rv;
        int requests;
};
#define LEASE CX_REF("coordination.k8s.io", "v1", "leases", "kube-system", "x")

static void set_lost(void *context)
{
        __atomic_store_n((bool *)context, true, __ATOMIC_RELEASE);
}

static void reign_begin(struct reign *reign, int64_t deadline, int64_t period)
{
        reign->api = fake_api_new();
        struct cx_leader_options options = {
                .name = "x", .lease_duration = 2 * deadline, .renew_deadline = deadline, .retry_period = period};
        reign->leader = cx_leader_new(reign->api->rest, NULL, &options);
        assert_int_equal(cx_leader_acquire(reign->leader, set_lost, &reign->lost), 0);
        reign->requests = requests_of(reign->api);
        reign->rv = reign->api->rv;
}

static bool is_lost(const struct reign *reign)
{
        return __atomic_load_n(&reign->lost, __ATOMIC_ACQUIRE);
}

static long writes_of(const struct reign *reign)
{
        pthread_mutex_lock(&reign->api->lock);
        long writes = reign->api->rv - reign->rv;
        pthread_mutex_unlock(&reign->api->lock);
        return writes;
}

static void reign_end(struct reign *reign)
{
        cx_leader_free(reign->leader);
        fake_api_free(reign->api);
}

static void test_leader_one_call(void **state)
{
        (void)state;
        struct reign reign = {0};
        reign_begin(&reign, 10 * CX_NS_PER_S, CX_NS_PER_S / 50);
        FAKE_WAIT(writes_of(&reign) >= 10);
        pthread_mutex_lock(&reign.api->lock);
        const int requests = reign.api->requests - reign.requests;
        const long writes = reign.api->rv - reign.rv;
        pthread_mutex_unlock(&reign.api->lock);
        assert_in_range(requests, writes, writes + 1); // one may be under way
        reign_end(&reign);
}

// Each answer takes more than half of the time there is, but less than all of it.
static void test_leader_slow(void **state)
{
        (void)state;
        struct reign reign = {0};
        reign_begin(&reign, 6 * CX_NS_PER_S, CX_NS_PER_S / 20);
        pthread_mutex_lock(&reign.api->lock);
        reign.api->delay = 3300000;
        pthread_mutex_unlock(&reign.api->lock);
        FAKE_WAIT(writes_of(&reign) >= 3 || is_lost(&reign));
        assert_false(is_lost(&reign));
        reign_end(&reign);
}

// What others write into the object stays, and the lease is renewed all the same.
static void test_leader_conflict(void **state)
{
        (void)state;
        struct reign reign = {0};
        reign_begin(&reign, 10 * CX_NS_PER_S, CX_NS_PER_S / 50);
        json_auto_t *label = json_pack("{s:{s:{s:s}}}", "metadata", "labels", "a", "b"), *lease = NULL;
        assert_int_equal(cx_rest_patch(reign.api->rest, LEASE, NULL, CX_PATCH_MERGE, label, NULL, NULL), 0);
        const long before = writes_of(&reign);
        FAKE_WAIT(writes_of(&reign) > before + 3);
        assert_int_equal(cx_rest_get(reign.api->rest, LEASE, &lease, NULL), 0);
        assert_string_equal(cx_json_string(lease, "metadata.labels.a"), "b");
        assert_false(is_lost(&reign));
        reign_end(&reign);
}

// Whose lease was taken ends at once, and leaves it to the other.
static void test_leader_taken(void **state)
{
        (void)state;
        struct reign reign = {0};
        reign_begin(&reign, 60 * CX_NS_PER_S, CX_NS_PER_S / 50);
        json_auto_t *other = json_pack("{s:{s:s}}", "spec", "holderIdentity", "other"), *lease = NULL;
        assert_int_equal(cx_rest_patch(reign.api->rest, LEASE, NULL, CX_PATCH_MERGE, other, NULL, NULL), 0);
        FAKE_WAIT(is_lost(&reign));
        assert_false(cx_leader_is(reign.leader));
        assert_int_equal(cx_rest_get(reign.api->rest, LEASE, &lease, NULL), 0);
        assert_string_equal(cx_json_string(lease, "spec.holderIdentity"), "other");
        reign_end(&reign);
}

static int collect(void *context, const char *text, size_t length)
{
        struct cx_buf *to = context;
        cx_buf_append(to, text, length);
        cx_buf_add_char(to, '|');
        return 0;
}

static void test_scanner(void **state)
{
        (void)state;
        static const char list[] = " {\"kind\":\"L\", \"items\" : [ {\"a\":\"]}\\\"\"} ,{\"b\":[1,{}]},7],"
                                   "\"metadata\":{\"resourceVersion\":\"5\",\"items\":[1]} } ";
        for (size_t block = 1; block < sizeof list; block++) {
                CX_BUF items = CX_BUF_INIT;
                struct cx_list_splitter splitter;
                cx_list_splitter_init(&splitter, collect, &items);
                for (size_t i = 0; i < sizeof list - 1; i += block) {
                        size_t n = sizeof list - 1 - i < block ? sizeof list - 1 - i : block;
                        assert_int_equal(cx_list_splitter_feed(&splitter, list + i, n), 0);
                }
                assert_true(cx_list_splitter_done(&splitter));
                assert_string_equal(items.data, "{\"a\":\"]}\\\"\"}|{\"b\":[1,{}]}|7|");
                json_auto_t *rest = NULL;
                assert_int_equal(cx_json_parse(splitter.rest.data, splitter.rest.length, true, &rest, NULL), 0);
                assert_string_equal(cx_json_string(rest, "metadata.resourceVersion"), "5");
                cx_list_splitter_release(&splitter);
        }
        static const char event[] = "{\"type\":\"ADDED\",\"object\":{\"type\":\"x\\\\\",\"n\":[1,2]}}";
        const char *value;
        size_t length;
        assert_int_equal(cx_json_scan_member(event, sizeof event - 1, "object", &value, &length), 0);
        assert_int_equal(length, strlen("{\"type\":\"x\\\\\",\"n\":[1,2]}"));
        assert_int_equal(cx_json_scan_member(event, sizeof event - 1, "none", &value, &length), -ENOENT);
        assert_int_equal(cx_json_scan_member("{\"a\":", 5, "a", &value, &length), -EINVAL);
        assert_int_equal(cx_json_scan_member("[]", 2, "a", &value, &length), -EINVAL);
}

static void test_metrics(void **state)
{
        (void)state;
        struct cx_metrics *metrics = cx_metrics_new();
        struct cx_metric *calls = cx_metrics_counter(metrics, "calls_total", "Calls.", CX_LABELS_("verb", "code"));
        cx_metric_add(calls, 1, "GET", "200");
        cx_metric_add(calls, 2, "GET", "200");
        cx_metric_add(calls, 1, "a\"b\\c\nd", "5");
        struct cx_metric *depth = cx_metrics_gauge(metrics, "depth", "Depth.", NULL);
        cx_metric_set(depth, 2.5);
        static const double bounds[] = {0.1, 1};
        struct cx_metric *seconds = cx_metrics_histogram(metrics, "seconds", "Seconds.", NULL, bounds, 2);
        cx_metric_observe(seconds, 0.1);
        cx_metric_observe(seconds, 0.5);
        cx_metric_observe(seconds, 7);
        CX_BUF text = CX_BUF_INIT;
        cx_metrics_write(metrics, &text);
        static const char *const want[] = {
                "# TYPE calls_total counter\n",
                "calls_total{verb=\"GET\",code=\"200\"} 3\n",
                "calls_total{verb=\"a\\\"b\\\\c\\nd\",code=\"5\"} 1\n",
                "depth 2.5\n",
                "seconds_bucket{le=\"0.1\"} 1\n",
                "seconds_bucket{le=\"1\"} 2\n",
                "seconds_bucket{le=\"+Inf\"} 3\n",
                "seconds_sum 7.6\n",
                "seconds_count 3\n",
                "process_resident_memory_bytes ",
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(want); i++)
                if (!strstr(text.data, want[i]))
                        fail_msg("missing %s in:\n%s", want[i], text.data);
        cx_metrics_free(metrics);
}

// --- the port of a component ---

static bool port_ready(struct cx_component *component)
{
        return component->context; // made by start
}

static bool port_serve(struct cx_component *component, struct cx_http_request *request)
{
        assert_non_null(component->context);
        if (strcmp(cx_http_path(request), "/own") != 0)
                return false;
        cx_http_respond_text(request, 200, "own");
        return true;
}

static int port_asked(const struct cx_component *component, const char *path)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep) char *server = cx_sprintf("https://127.0.0.1:%d", cx_http_server_port(component->server));
        struct cx_rest *rest;
        assert_int_equal(cx_rest_new(&(struct cx_credentials){.server = server, .insecure = true}, NULL, &rest, &err),
                         0);
        if (cx_http_do(cx_rest_http(rest), &(struct cx_http_call){.path = path}, &reply, &err) < 0)
                fail_msg("%s: %s", path, cx_error_text(&err));
        cx_rest_free(rest);
        return reply.code;
}

static void test_port_before_start(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_component component = {.name = "it",
                                         .bind_address = "127.0.0.1",
                                         .ready = port_ready,
                                         .serve = port_serve,
                                         .open_paths_given = true};
        cx_strings_add(&component.open_paths, "*");
        assert_int_equal(cx_component_open_port(&component, &err), 0);
        assert_int_equal(port_asked(&component, "/healthz"), 200);
        assert_int_equal(port_asked(&component, "/readyz"), 500); // nobody is asked who is not there yet
        assert_int_equal(port_asked(&component, "/own"), 503);
        component.context = &component;
        atomic_store(&component.started, true);
        assert_int_equal(port_asked(&component, "/readyz"), 200);
        assert_int_equal(port_asked(&component, "/own"), 200);
        assert_int_equal(port_asked(&component, "/none"), 404);
        cx_component_close_port(&component);
        cx_component_close_port(&component);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kubeconfig),        cmocka_unit_test(test_rest),
                cmocka_unit_test(test_identity),          cmocka_unit_test(test_events),
                cmocka_unit_test(test_events_pace),       cmocka_unit_test(test_leader),
                cmocka_unit_test(test_leader_one_call),   cmocka_unit_test(test_leader_slow),
                cmocka_unit_test(test_leader_conflict),   cmocka_unit_test(test_leader_taken),
                cmocka_unit_test(test_scanner),           cmocka_unit_test(test_metrics),
                cmocka_unit_test(test_port_before_start),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
