// SPDX-License-Identifier: Apache-2.0
// The parts of the controllers that only compute.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/cluster/bootstrap_tokens.h"
#include "controller-manager/cluster/certificate_requests.h"
#include "controller-manager/cluster/csr_cleaner.h"
#include "controller-manager/core/cidr.h"
#include "controller-manager/core/own_writes.h"
#include "controller-manager/endpoints/endpointslice.h"
#include "controller-manager/nodes/node_zones.h"
#include "controller-manager/nodes/taints.h"
#include "controller-manager/nodes/ttl.h"
#include "controller-manager/pods/expectations.h"
#include "controller-manager/pods/pods.h"
#include "controller-manager/workloads/deployment.h"

static void test_fenceposts(void **state)
{
        (void)state;
        static const struct {
                const char *json;
                int64_t replicas, surge, unavailable;
        } cases[] = {
                {"{}", 10, 0, 1}, // the schema fills in 25 %
                {"{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"}", 10, 3, 2},
                {"{\"maxSurge\":0,\"maxUnavailable\":0}", 10, 0, 1},
                {"{\"maxSurge\":\"0%\",\"maxUnavailable\":\"10%\"}", 5, 0, 1},
                {"{\"maxSurge\":1,\"maxUnavailable\":0}", 3, 1, 0},
                {"{\"maxSurge\":\"100%\",\"maxUnavailable\":\"100%\"}", 4, 4, 4},
                {"{\"maxSurge\":2,\"maxUnavailable\":9}", 3, 2, 3},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *json = json_loads(cases[i].json, 0, NULL);
                int64_t surge, unavailable;
                rollout_fenceposts(json, cases[i].replicas, &surge, &unavailable);
                assert_int_equal(surge, cases[i].surge);
                assert_int_equal(unavailable, cases[i].unavailable);
        }
}

// Plays a rolling update to its end: the invariants hold at every step, and it ends.
static void play(int64_t replicas, int64_t surge, int64_t unavailable, int ready_per_step)
{
        struct replica_set items[2] = {{.replicas = replicas, .current = replicas, .available = replicas}, {0}};
        struct replica_sets sets = {items, 2};
        struct deployment d = {.replicas = replicas, .max_surge = surge, .max_unavailable = unavailable};
        int steps = 0;
        while (items[1].available < replicas || items[0].replicas) {
                assert_true(++steps < 10000);
                items[1].replicas = rollout_fresh_replicas(&d, &sets, 1);
                int64_t sizes[2];
                if (rollout_scale_down_old(&d, &sets, 1, sizes)) {
                        assert_int_equal(sizes[1], items[1].replicas);
                        items[0].replicas = sizes[0];
                }
                assert_true(items[0].replicas + items[1].replicas <= replicas + surge);
                if (items[0].available > items[0].replicas)
                        items[0].available = items[0].replicas;
                assert_true(items[0].available + items[1].available >= replicas - unavailable);
                for (int i = 0; i < ready_per_step && items[1].available < items[1].replicas; i++)
                        items[1].available++;
        }
        assert_int_equal(items[1].replicas, replicas);
}

static void test_rolling(void **state)
{
        (void)state;
        for (int64_t replicas = 1; replicas <= 12; replicas++)
                for (int64_t surge = 0; surge <= 4; surge++)
                        for (int64_t unavailable = surge ? 0 : 1; unavailable <= 3 && unavailable <= replicas;
                             unavailable++)
                                for (int pace = 1; pace <= 3; pace++)
                                        play(replicas, surge, unavailable, pace);
}

static void test_broken_old(void **state)
{
        (void)state;
        // Unhealthy old pods go first: 10 wanted, 2 may be missing; old 8 (5 available), fresh 5 (all available).
        struct replica_set items[2] = {{.replicas = 8, .available = 5}, {.replicas = 5, .available = 5}};
        struct replica_sets sets = {items, 2};
        struct deployment d = {.replicas = 10, .max_surge = 3, .max_unavailable = 2};
        int64_t sizes[2];
        assert_true(rollout_scale_down_old(&d, &sets, 1, sizes));
        assert_int_equal(sizes[0], 3); // 3 unhealthy, then 10 available - 8 = 2
        // A new version that never becomes ready takes down no more than allowed.
        items[0] = (struct replica_set){.replicas = 8, .available = 8};
        items[1] = (struct replica_set){.replicas = 5, .available = 0};
        assert_false(rollout_scale_down_old(&d, &sets, 1, sizes));
}

static struct replica_set sized(int64_t replicas, int64_t most)
{
        json_t *json = json_pack("{s:{s:{s:o}}}", "metadata", "annotations", MAX_REPLICAS,
                                 json_sprintf("%lld", (long long)most));
        return (struct replica_set){.json = json, .replicas = replicas};
}

static void test_proportional(void **state)
{
        (void)state;
        // 10 → 20 in the middle of a rollout with surge 3: the room of 10 is shared by size, leftovers to the largest.
        struct replica_set items[2] = {sized(8, 13), sized(5, 13)};
        struct replica_sets sets = {items, 2};
        json_auto_t *json = json_object();
        struct deployment d = {.json = json, .replicas = 20, .max_surge = 3, .max_unavailable = 2};
        int64_t sizes[2];
        assert_true(rollout_scale(&d, &sets, 1, sizes));
        assert_int_equal(sizes[0] + sizes[1], 23);
        assert_int_equal(sizes[0], 14);
        assert_int_equal(sizes[1], 9);
        d.replicas = 0;
        assert_true(rollout_scale(&d, &sets, 1, sizes));
        assert_int_equal(sizes[0] + sizes[1], 0);
        // Only one has replicas: it follows.
        items[0].replicas = 0;
        d.replicas = 7;
        assert_true(rollout_scale(&d, &sets, 1, sizes));
        assert_int_equal(sizes[0], 0);
        assert_int_equal(sizes[1], 7);
        json_decref(items[0].json);
        json_decref(items[1].json);
}

static void test_hash(void **state)
{
        (void)state;
        json_auto_t *a = json_loads("{\"metadata\":{\"labels\":{\"x\":\"1\"}},\"spec\":{\"a\":1,\"b\":2}}", 0, NULL);
        json_auto_t *b = json_loads("{\"spec\":{\"b\":2,\"a\":1},\"metadata\":{\"labels\":"
                                    "{\"pod-template-hash\":\"zz\",\"x\":\"1\"},\"creationTimestamp\":null}}",
                                    0, NULL);
        json_auto_t *c = json_loads("{\"metadata\":{\"labels\":{\"x\":\"2\"}},\"spec\":{\"a\":1,\"b\":2}}", 0, NULL);
        char one[16], two[16], three[16], collided[16];
        template_hash(a, 0, one);
        template_hash(b, 0, two);
        template_hash(c, 0, three);
        template_hash(a, 1, collided);
        assert_string_equal(one, two);
        assert_string_not_equal(one, three);
        assert_string_not_equal(one, collided);
        assert_true(templates_equal(a, b));
        assert_false(templates_equal(a, c));
}

static struct cx_object *make_pod(const char *text)
{
        json_auto_t *json = json_loads(text, 0, NULL);
        assert_non_null(json);
        struct cx_object *object = cx_object_new(json, NULL, 0);
        static struct object_parts *parts; // freed with the process
        if (!parts) {
                parts = object_parts_new();
                object_parts_add(parts, &pod_state_part);
        }
        object->projection = object_parts_project(parts, json);
        object->free_projection = object_parts_free_projection;
        return object;
}

#define READY(since) "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"" since "\"}]"

static void test_ranking(void **state)
{
        (void)state;
        // In the order in which they go.
        static const char *const pods[] = {
                "{\"metadata\":{\"uid\":\"1\"},\"spec\":{},\"status\":{\"phase\":\"Pending\"}}",
                "{\"metadata\":{\"uid\":\"2\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Pending\"}}",
                "{\"metadata\":{\"uid\":\"3\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\"}}",
                "{\"metadata\":{\"uid\":\"4\",\"annotations\":{\"controller.kubernetes.io/pod-deletion-cost\":\"-5\"}},"
                "\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\"," READY("2026-01-01T00:00:00Z") "}}",
                "{\"metadata\":{\"uid\":\"5\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\"," READY(
                        "2026-01-05T00:00:00Z") "}}",
                "{\"metadata\":{\"uid\":\"6\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\","
                "\"containerStatuses\":[{\"restartCount\":3}]," READY("2026-01-01T00:00:00Z") "}}",
                "{\"metadata\":{\"uid\":\"7\"},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\"," READY(
                        "2026-01-01T00:00:00Z") "}}",
        };
        struct cx_object *objects[CX_ARRAY_SIZE(pods)];
        int64_t now = 0;
        assert_int_equal(cx_time_parse("2026-01-05T00:10:00Z", &now), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++)
                objects[i] = make_pod(pods[i]);
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++)
                for (size_t j = 0; j < CX_ARRAY_SIZE(pods); j++) {
                        int order = pod_compare_for_deletion(objects[i], 1, objects[j], 1, now);
                        assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
                }
        // A node that has more of them loses first.
        assert_true(pod_compare_for_deletion(objects[6], 3, objects[5], 1, now) < 0);
        assert_true(pod_is_available(objects[6], 3600, now));
        assert_false(pod_is_available(objects[4], 3600, now));
        // How long it takes until one more is: the fifth has been ready for ten minutes.
        struct cx_objects some = {(const struct cx_object **)objects, CX_ARRAY_SIZE(objects)};
        assert_int_equal(pods_wait(&some, 0, now), 0);
        assert_int_equal(pods_wait(&some, 600, now), 0);
        assert_int_equal(pods_wait(&some, 660, now) / CX_NS_PER_S, 60);
        assert_int_equal(pods_wait(&some, 3600, now) / CX_NS_PER_S, 3000);
        // A status from the future makes nobody wait longer.
        assert_int_equal(pods_wait(&some, 5, now - 1000000 * CX_US_PER_S) / CX_NS_PER_S, 5);
        assert_true(pods_wait(&some, INT32_MAX, 0) > 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(pods); i++)
                cx_object_unref(objects[i]);
}

static json_t *endpoints(int from, int to)
{
        json_t *list = json_array();
        for (int i = from; i < to; i++)
                json_array_append_new(list, json_pack("{s:{s:o}}", "targetRef", "uid", json_sprintf("u%d", i)));
        return list;
}

static void test_packing(void **state)
{
        (void)state;
        struct packed_slice slices[10] = {0};
        size_t count = 0;
        json_auto_t *first = endpoints(0, 250);
        slices_pack(slices, &count, first, 100);
        assert_int_equal(count, 3);
        assert_int_equal(json_array_size(slices[0].endpoints), 100);
        assert_int_equal(json_array_size(slices[2].endpoints), 50);
        for (size_t i = 0; i < count; i++)
                slices[i].changed = slices[i].created = false;
        // Ten of the first go, five come: only the first slice is written.
        json_auto_t *second = endpoints(10, 255);
        slices_pack(slices, &count, second, 100);
        assert_int_equal(count, 3);
        assert_int_equal(json_array_size(slices[0].endpoints), 95);
        assert_true(slices[0].changed);
        assert_false(slices[1].changed);
        assert_false(slices[2].changed);
        slices_pack(slices, &count, second, 100);
        for (size_t i = 0; i < count; i++)
                assert_true(!slices[i].created && (i > 0) == !slices[i].changed ? true : !slices[i].changed);
        for (size_t i = 0; i < count; i++)
                json_decref(slices[i].endpoints);
}

static void test_cidr(void **state)
{
        (void)state;
        struct cidr_set set;
        CX_ERROR err = CX_ERROR_INIT;
        char subnet[64];
        assert_int_equal(cidr_set_init(&set, "10.244.0.0/22", 24, &err), 0);
        assert_true(cidr_set_mark(&set, "10.244.1.0/24", true));
        assert_false(cidr_set_mark(&set, "10.245.1.0/24", true));
        assert_false(cidr_set_mark(&set, "10.244.1.0/25", true));
        static const char *const want[] = {"10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(want); i++) {
                assert_true(cidr_set_take(&set, subnet));
                assert_string_equal(subnet, want[i]);
        }
        assert_false(cidr_set_take(&set, subnet));
        assert_true(cidr_set_mark(&set, "10.244.2.0/24", false));
        assert_true(cidr_set_take(&set, subnet));
        assert_string_equal(subnet, "10.244.2.0/24");
        cidr_set_release(&set);
        assert_int_equal(cidr_set_init(&set, "fd00:1::/48", 64, &err), 0);
        assert_true(cidr_set_take(&set, subnet));
        assert_true(cidr_set_take(&set, subnet));
        assert_string_equal(subnet, "fd00:1:0:1::/64");
        cidr_set_release(&set);
        // Nothing of the Services' range is given to a node.
        assert_int_equal(cidr_set_init(&set, "10.96.0.0/14", 16, &err), 0);
        assert_int_equal(cidr_set_exclude(&set, "10.97.128.0/17", &err), 0);
        assert_int_equal(cidr_set_exclude(&set, "10.99.0.0/15", &err), 0);
        assert_int_equal(cidr_set_exclude(&set, "fd00::/108", &err), 0); // another family
        assert_true(cidr_set_take(&set, subnet));
        assert_string_equal(subnet, "10.96.0.0/16");
        assert_false(cidr_set_take(&set, subnet));
        assert_int_equal(cidr_set_exclude(&set, "services", &err), -EINVAL);
        cx_error_release(&err);
        cidr_set_release(&set);
        assert_int_equal(cidr_set_init(&set, "10.0.0.0/24", 16, &err), -EINVAL);
        cx_error_release(&err);
        assert_int_equal(cidr_set_init(&set, "10.0.0.0", 24, &err), -EINVAL);
        cx_error_release(&err);
}

static void test_taints(void **state)
{
        (void)state;
        json_auto_t *list =
                json_loads("[{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\",\"effect\":"
                           "\"NoExecute\",\"tolerationSeconds\":300},{\"key\":\"a\",\"value\":\"b\","
                           "\"effect\":\"NoExecute\"}]",
                           0, NULL);
        CX_TOLERATIONS tolerations;
        cx_tolerations_parse(list, &tolerations);
        static const struct {
                const char *taints;
                int64_t want; // seconds
        } cases[] = {
                {"[]", -1},
                {"[{\"key\":\"x\",\"effect\":\"NoSchedule\"}]", -1},
                {"[{\"key\":\"x\",\"effect\":\"NoExecute\"}]", 0},
                {"[{\"key\":\"a\",\"value\":\"b\",\"effect\":\"NoExecute\"}]", -1},
                {"[{\"key\":\"a\",\"value\":\"c\",\"effect\":\"NoExecute\"}]", 0},
                {"[{\"key\":\"node.kubernetes.io/unreachable\",\"effect\":\"NoExecute\",\"timeAdded\":"
                 "\"2026-01-01T00:00:00Z\"}]",
                 200},
        };
        int64_t now = 0;
        assert_int_equal(cx_time_parse("2026-01-01T00:01:40Z", &now), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *taints = json_loads(cases[i].taints, 0, NULL);
                int64_t left = taints_until_eviction(taints, &tolerations, now);
                assert_int_equal(left, cases[i].want > 0 ? cases[i].want * CX_NS_PER_S : cases[i].want);
        }
}

static void test_zones(void **state)
{
        (void)state;
        struct node_zones zones;
        int64_t wait, now = 1000 * CX_NS_PER_S;
        node_zones_init(&zones, &(struct node_zones_options){0.1, 0.01, 0.55, 5});
        assert_false(node_zones_all_down(&zones)); // there are none
        node_zones_note(&zones, "a1", "a", false);
        node_zones_note(&zones, "b1", "b", false);
        assert_true(node_zones_all_down(&zones)); // we are cut off
        assert_false(node_zones_may_give_up(&zones, "a", now, &wait));
        node_zones_note(&zones, "b1", "b", true);
        assert_false(node_zones_all_down(&zones));
        // A zone that is down as a whole is given up at the usual rate: one at once, then one in ten seconds.
        assert_true(node_zones_may_give_up(&zones, "a", now, &wait));
        assert_false(node_zones_may_give_up(&zones, "a", now, &wait));
        assert_int_equal((wait + 1) / CX_NS_PER_MS, 10000);
        assert_false(node_zones_may_give_up(&zones, "a", now + 9 * CX_NS_PER_S, &wait));
        assert_true(node_zones_may_give_up(&zones, "a", now + 20 * CX_NS_PER_S, &wait));
        assert_false(node_zones_may_give_up(&zones, "a", now + 20 * CX_NS_PER_S, &wait)); // nothing is saved up
        // A small zone that is mostly down is not given up; two of three are too few to say that.
        node_zones_note(&zones, "b2", "b", false);
        node_zones_note(&zones, "b3", "b", false);
        assert_true(node_zones_may_give_up(&zones, "b", now, &wait));
        node_zones_note(&zones, "b4", "b", false);
        assert_false(node_zones_may_give_up(&zones, "b", now + 1000 * CX_NS_PER_S, &wait));
        // A large one is, slowly.
        node_zones_note(&zones, "b5", "b", false);
        node_zones_note(&zones, "b6", "b", false);
        assert_true(node_zones_may_give_up(&zones, "b", now + 1001 * CX_NS_PER_S, &wait));
        assert_false(node_zones_may_give_up(&zones, "b", now + 1050 * CX_NS_PER_S, &wait));
        assert_true(node_zones_may_give_up(&zones, "b", now + 1102 * CX_NS_PER_S, &wait));
        node_zones_forget(&zones, "b1");
        node_zones_forget(&zones, "b1");
        assert_true(node_zones_all_down(&zones));
        node_zones_note(&zones, "a1", "c", true); // it moved
        assert_false(node_zones_all_down(&zones));
        node_zones_release(&zones);
}

static void test_expectations(void **state)
{
        (void)state;
        struct expectations self;
        expectations_init(&self);
        assert_true(expectations_met(&self, "k"));
        expectations_expect_creations(&self, "k", 2);
        expectations_created(&self, "k", 1);
        assert_false(expectations_met(&self, "k"));
        expectations_created(&self, "k", 1);
        assert_true(expectations_met(&self, "k"));
        expectations_expect_deletion(&self, "k", "u");
        expectations_deleted(&self, "k", "other");
        assert_false(expectations_met(&self, "k"));
        expectations_deleted(&self, "k", "u");
        expectations_deleted(&self, "k", "u"); // update and delete event both
        assert_true(expectations_met(&self, "k"));
        expectations_release(&self);
}

// Up and down by steps that overlap.
static void test_ttl(void **state)
{
        (void)state;
        static const int64_t path[][2] = {{1, 0},    {100, 0},  {101, 15},   {90, 15},    {89, 0},    {501, 30},
                                          {450, 30}, {449, 15}, {5000, 300}, {1800, 300}, {1799, 60}, {0, 0}};
        size_t step = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(path); i++) {
                step = ttl_step(step, path[i][0]);
                assert_int_equal(ttl_seconds(step), path[i][1]);
        }
}

static void test_requests_end(void **state)
{
        (void)state;
#define MADE "\"metadata\":{\"creationTimestamp\":\"2026-01-01T00:00:00Z\"}"
#define SAYS(type) "{\"type\":\"" type "\",\"lastUpdateTime\":\"2026-01-01T10:00:00Z\"}"
        static const struct {
                const char *json, *ends; // "": never
        } cases[] = {
                {"{" MADE "}", "2026-01-02T00:00:00Z"},
                {"{" MADE ",\"status\":{\"conditions\":[" SAYS("Approved") "]}}", "2026-01-01T11:00:00Z"},
                {"{" MADE ",\"status\":{\"conditions\":[" SAYS("Denied") "]}}", "2026-01-01T11:00:00Z"},
                {"{" MADE ",\"status\":{\"conditions\":[" SAYS("Failed") "]}}", "2026-01-01T11:00:00Z"},
                {"{" MADE ",\"status\":{\"conditions\":[" SAYS("Other") "]}}", ""},
                {"{" MADE ",\"status\":{\"conditions\":[" SAYS("Approved") "],\"certificate\":\"eA==\"}}",
                 "2026-01-01T11:00:00Z"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *request = json_loads(cases[i].json, 0, NULL);
                int64_t expected = INT64_MAX;
                if (*cases[i].ends)
                        assert_int_equal(cx_time_parse(cases[i].ends, &expected), 0);
                assert_true(csr_ends_at(request) == expected);
        }
}

// What a node must not be able to pass itself off as.
static void test_server_names(void **state)
{
        (void)state;
        static const char *const names[] = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                            "kubernetes.default.svc.cluster.local",
                                            // of Services whose certificates the API server checks
                                            "metrics-server.kube-system.svc", "hook.default.svc.cluster.local",
                                            "a.svcs.svc"};
        static const char *const addresses[] = {"10.96.0.1",        "10.111.255.255", "fd00:96::1", "127.0.0.1",
                                                "0.0.0.0",          "169.254.1.1",    "::1",        "fe80::1",
                                                "::ffff:10.96.0.1", "nonsense"};
        CX_STRINGS services = CX_STRINGS_INIT;
        cx_strings_add(&services, "10.96.0.0/12");
        cx_strings_add(&services, "fd00:96::/112");
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                assert_true(csr_is_server_name(names[i]));
        assert_false(csr_is_server_name("n1"));
        static const char *const urls[][2] = {
                {"https://api.example.com:6443", "api.example.com"},
                {"https://192.0.2.1/x", "192.0.2.1"},
                {"https://[2001:db8::1]:6443", "2001:db8::1"},
                {"https://[2001:DB8:0::1]:6443", "2001:db8::1"}, // as a certificate has it
                {"https://API.example.com.:6443", "api.example.com"},
                {"", ""}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(urls); i++) {
                CX_CLEANUP(cx_freep) char *host = csr_host_of(urls[i][0]);
                assert_string_equal(host, urls[i][1]);
        }
        assert_false(csr_is_server_name("kubernetes-1"));
        assert_false(csr_is_server_name("svc.example.com"));
        assert_false(csr_is_server_name("a.svcs.example.com"));
        for (size_t i = 0; i < CX_ARRAY_SIZE(addresses); i++)
                assert_true(csr_is_server_address(addresses[i], &services));
        assert_false(csr_is_server_address("10.77.0.2", &services));
        assert_false(csr_is_server_address("fd00::2", &services));
}

static void test_bootstrap_tokens(void **state)
{
        (void)state;
        static const struct {
                const char *expiration; // base64
                int64_t expires;
        } cases[] = {{"", INT64_MAX}, {"c29vbg==", 0}, {"MTk3MC0wMS0wMVQwMDowMTowMFo=", 60 * CX_US_PER_S}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *secret = json_pack("{s:{s:s}}", "data", "expiration", cases[i].expiration);
                assert_true(bootstrap_token_expires(secret) == cases[i].expires);
        }
        json_auto_t *none = json_object();
        assert_true(bootstrap_token_expires(none) == INT64_MAX);
        // As openssl and python's hmac make it of the same.
        CX_CLEANUP(cx_freep) char *signature = bootstrap_token_sign("Hello", "abcdef", "0123456789abcdef");
        assert_string_equal(signature,
                            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..XBmA6aTtrN7IfbFPAQ7YEwkx07LGABNzsDGqOK2wNPg");
}

// An informer's object is too old to act on until it shows what was written; another of its name is not.
static void test_own_writes(void **state)
{
        (void)state;
        static const struct {
                const char *uid, *version;
                bool behind;
        } cases[] = {{"u", "9", true}, {"u", "10", false}, {"u", "11", false}, {"other", "9", false}, {"u", "", true}};
        struct own_writes writes;
        own_writes_init(&writes);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *json = json_pack("{s:{s:s, s:s, s:s, s:s}}", "metadata", "namespace", "a", "name", "o",
                                              "uid", cases[i].uid, "resourceVersion", cases[i].version);
                json_auto_t *written = json_pack("{s:{s:s}}", "metadata", "resourceVersion", "10");
                CX_OBJECT *object = cx_object_new(json, NULL, 0);
                if (i == 0) {
                        assert_false(own_writes_behind(&writes, object));
                        own_writes_note(&writes, object, written);
                }
                assert_int_equal(own_writes_behind(&writes, object), cases[i].behind);
                if (i + 1 == CX_ARRAY_SIZE(cases)) {
                        own_writes_forget(&writes, object->key);
                        assert_false(own_writes_behind(&writes, object));
                }
        }
        own_writes_release(&writes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_own_writes),   cmocka_unit_test(test_fenceposts),
                cmocka_unit_test(test_rolling),      cmocka_unit_test(test_broken_old),
                cmocka_unit_test(test_proportional), cmocka_unit_test(test_hash),
                cmocka_unit_test(test_ranking),      cmocka_unit_test(test_packing),
                cmocka_unit_test(test_cidr),         cmocka_unit_test(test_taints),
                cmocka_unit_test(test_zones),        cmocka_unit_test(test_expectations),
                cmocka_unit_test(test_ttl),          cmocka_unit_test(test_requests_end),
                cmocka_unit_test(test_server_names), cmocka_unit_test(test_bootstrap_tokens),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
