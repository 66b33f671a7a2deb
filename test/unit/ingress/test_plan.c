// SPDX-License-Identifier: Apache-2.0
// Plans for given objects: whose Ingress it is, routes and their keys, endpoints, conflicts, certificates, settings.
#include "test/unit/ingress/world.h"

#define TO(service) "'backend': {'service': {'name': '" service "', 'port': {'number': 80}}}"
#define PATH(path, type, service) "{'path': '" path "', 'pathType': '" type "', " TO(service) "}"
#define RULE(host, paths) "{'host': '" host "', 'http': {'paths': [" paths "]}}"
#define RULES(rules) "{'ingressClassName': 'haproxy', 'rules': [" rules "]}"

static void test_keys(void **state)
{
        (void)state;
        static const struct {
                const char *path, *type, *map, *key;
        } cases[] = {
                {"/", "Prefix", "prefix", "x.org%2F"},
                {"/foo", "Prefix", "prefix", "x.org%2Ffoo%2F"},
                {"/foo/", "Prefix", "prefix", "x.org%2Ffoo%2F"},
                {"/foo", "ImplementationSpecific", "prefix", "x.org%2Ffoo%2F"},
                {"/foo", "Exact", "exact", "x.org%2Ffoo"},
                {"/foo/", "Exact", "exact", "x.org%2Ffoo%2F"},
                {"/caf\\u00e9 ", "Exact", "exact", "x.org%2Fcaf%C3%A9%20"},
                {"/a\\u0001", "Exact", "exact", NULL},
                {"/caf%c3%a9", "Exact", "exact", "x.org%2Fcaf%C3%A9"},
                {"/a;b|c", "Exact", "exact", "x.org%2Fa%3Bb%7Cc"},
                {"/a%2", "Exact", "exact", "x.org%2Fa%252"},
                {"relative", "Prefix", "prefix", NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                WORLD w;
                world_begin(&w);
                CX_CLEANUP(cx_freep)
                char *spec = cx_sprintf(
                        "{'rules': [{'host': 'x.org', 'http': {'paths': [{'path': '%s', 'pathType': '%s', " TO(
                                "a") "}]}}]}",
                        cases[i].path, cases[i].type);
                world_ingress(&w, "i", "{}", spec);
                world_plan(&w);
                if (cases[i].key)
                        assert_string_equal(world_route(&w, cases[i].map, cases[i].key), "ns/a:80");
                else
                        assert_true(!w.plan.exact.count && !w.plan.prefix.count &&
                                    world_told(&w, "i", "InvalidPath", "paths[0]"));
        }
}

static void test_hosts(void **state)
{
        (void)state;
        WORLD w;
        world_begin(&w);
        world_ingress(&w, "i", "{}",
                      RULES(RULE("*.x.org", PATH("/", "Prefix", "a")) "," RULE(
                              "UPPER.org",
                              PATH("/", "Prefix",
                                   "a")) "," RULE("*.*.org",
                                                  PATH("/", "Prefix",
                                                       "a")) "," RULE("x|y.org",
                                                                      PATH("/", "Prefix",
                                                                           "a")) ","
                                                                                 "{'http': "
                                                                                 "{'paths': [" PATH("/any", "Prefix",
                                                                                                    "b") "]}}"));
        world_plan(&w);
        assert_int_equal(w.plan.hosts.count, 2);
        assert_true(cx_map_has(&w.plan.hosts, ".x.org") && cx_map_has(&w.plan.hosts, "*"));
        assert_true(world_told(&w, "i", "InvalidHost", "spec.rules[1].host"));
        assert_string_equal(world_route(&w, "prefix", ".x.org%2F"), "ns/a:80");
        assert_string_equal(world_route(&w, "prefix", "%2A%2Fany%2F"), "ns/b:80");
        assert_string_equal(cx_map_get(&w.maps[MAP_HOSTS], ".x.org"), ".x.org");
}

static void test_classes(void **state)
{
        (void)state;
        static const struct {
                const char *annotations, *spec;
                bool ours;
        } cases[] = {
                {"{}", "{'ingressClassName': 'haproxy'}", true},
                {"{}", "{'ingressClassName': 'other'}", false},
                {"{}", "{'ingressClassName': 'missing'}", false},
                {"{}", "{}", true}, // the default
                {"{'kubernetes.io/ingress.class': 'haproxy'}", "{}", true},
                {"{'kubernetes.io/ingress.class': 'other'}", "{}", false},
                {"{'kubernetes.io/ingress.class': 'other'}", "{'ingressClassName': 'haproxy'}", true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                WORLD w;
                world_begin(&w);
                world_ingress(&w, "i", cases[i].annotations, cases[i].spec);
                assert_int_equal(ingress_is_ours(&w.config, &w.classes, w.ingresses.items[0]), cases[i].ours);
        }
}

static void test_backends(void **state)
{
        (void)state;
        WORLD w;
        world_begin(&w);
        world_service(&w, "out", "{'type': 'ExternalName', 'externalName': 'kubernetes.default'}");
        world_ingress(
                &w, "i", "{}",
                RULES(RULE(
                        "x.org",
                        PATH("/a", "Exact", "a") "," PATH("/none", "Exact", "nothing") "," PATH(
                                "/out", "Exact",
                                "out") ",{'path': '/named', 'pathType': 'Exact', 'backend': {'service': {'name': 'b', "
                                       "'port': {'name': 'more'}}}},{'path': '/port', 'pathType': 'Exact', 'backend': "
                                       "{'service': {'name': 'b', 'port': {'number': 82}}}},{'path': '/thing', "
                                       "'pathType': "
                                       "'Exact', 'backend': {'resource': {'kind': 'X', 'name': 'y'}}}")));
        world_plan(&w);
        assert_string_equal(world_route(&w, "exact", "x.org%2Fnamed"), "ns/b:81");
        assert_string_equal(world_route(&w, "exact", "x.org%2Fnone"), "none");
        assert_string_equal(world_route(&w, "exact", "x.org%2Fout"), "none");
        assert_string_equal(world_route(&w, "exact", "x.org%2Fport"), "none");
        assert_string_equal(world_route(&w, "exact", "x.org%2Fthing"), "none");
        assert_true(world_told(&w, "i", "ServiceNotFound", "ns/nothing"));
        assert_true(world_told(&w, "i", "ExternalName", "ns/out"));
        assert_true(world_told(&w, "i", "PortNotFound", "no TCP port 82"));
        assert_true(world_told(&w, "i", "ResourceBackend", "path /thing"));
        assert_true(cx_map_has(&w.plan.services, "ns/nothing"));
        const struct plan_backend *a = cx_map_get(&w.plan.backends, "ns/a:80");
        assert_int_equal(a->servers.count, 2);
        assert_string_equal(a->servers.items[0], "10.1.0.1:8080");
        assert_string_equal(cx_map_get(&w.maps[MAP_EXACT], "x.org%2Fnone"), "none");
        assert_int_equal(*(const char *)cx_map_get(&w.maps[MAP_EXACT], "x.org%2Fa"), 'b');
}

static void test_endpoints(void **state)
{
        (void)state;
        static const struct {
                const char *endpoints, *servers;
        } cases[] = {
                {"[{'addresses': ['10.1.0.1'], 'conditions': {'ready': false}}, {'addresses': ['10.1.0.2']}]",
                 "10.1.0.2:8080"},
                {"[{'addresses': ['10.1.0.1'], 'conditions': {'ready': false, 'serving': true, 'terminating': true}}]",
                 "10.1.0.1:8080"},
                {"[{'addresses': ['10.1.0.1'], 'conditions': {'ready': false, 'serving': false}}]", ""},
                {"[{'addresses': ['10.1.0.1']}, {'addresses': ['10.1.0.1']}]", "10.1.0.1:8080"},
                {"[{'addresses': ['127.0.0.1']}, {'addresses': ['169.254.169.254']}, {'addresses': "
                 "['::ffff:127.0.0.1']}]",
                 ""},
                {"[{'addresses': ['fd00::1']}]", "[fd00::1]:8080"},
                {"[{'addresses': ['10.0.0.1 check']}, {'addresses': ['example.com']}, {}]", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                WORLD w;
                world_begin(&w);
                world_slice(&w, "b", cases[i].endpoints);
                world_ingress(&w, "i", "{}", RULES(RULE("x.org", PATH("/", "Prefix", "b"))));
                world_plan(&w);
                const struct plan_backend *b = cx_map_get(&w.plan.backends, "ns/b:80");
                CX_CLEANUP(cx_freep) char *servers = cx_strings_join(&b->servers, " ");
                assert_string_equal(servers, cases[i].servers);
        }
}

static void test_oldest_wins(void **state)
{
        (void)state;
        WORLD w;
        world_begin(&w);
        world_ingress(&w, "z", "{}", RULES(RULE("x.org", PATH("/", "Prefix", "a"))));
        world_ingress(&w, "b", "{}", RULES(RULE("x.org", PATH("/", "Prefix", "b") "," PATH("/", "Exact", "b"))));
        world_plan(&w);
        assert_string_equal(world_route(&w, "prefix", "x.org%2F"), "ns/a:80");
        assert_string_equal(world_route(&w, "exact", "x.org%2F"), "ns/b:80");
        assert_true(world_told(&w, "b", "Conflict", "host x.org, path /: the older Ingress ns/z has it already"));
        assert_false(world_told(&w, "z", "Conflict", ""));
}

static void test_defaults(void **state)
{
        (void)state;
        WORLD w;
        world_begin(&w);
        w.config.default_backend = "ns/b";
        world_ingress(&w, "i", "{}",
                      "{'defaultBackend': {'service': {'name': 'a', 'port': {'number': 80}}}, 'rules': [" RULE(
                              "x.org", PATH("/x", "Prefix", "b")) "," RULE("y.org", PATH("/", "Prefix", "b")) "]}");
        world_ingress(&w, "later", "{}", "{'defaultBackend': {'service': {'name': 'b', 'port': {'number': 80}}}}");
        world_plan(&w);
        assert_string_equal(world_route(&w, "prefix", "x.org%2F"), "ns/a:80");
        assert_string_equal(world_route(&w, "prefix", "y.org%2F"), "ns/b:80");
        assert_string_equal(world_route(&w, "prefix", "%2A%2F"), "ns/a:80");
        assert_string_equal(world_route(&w, "prefix", "%2F"), "ns/b:80");
}

static void test_certificates(void **state)
{
        (void)state;
        WORLD w;
        struct secret_view good = {0}, broken = {.certificate_problem = (char *)"is broken"};
        world_begin(&w);
        cx_strings_add(&good.names, "*.x.org");
        cx_map_set(&w.secrets, "ns/good", &good);
        cx_map_set(&w.secrets, "ns/broken", &broken);
        world_ingress(&w, "i", "{}",
                      "{'rules': [" RULE("a.x.org",
                                         PATH("/", "Prefix", "a")) "], 'tls': [{'hosts': ['a.x.org', 'y.org'], "
                                                                   "'secretName': 'good'}, {'hosts': ['b.org'], "
                                                                   "'secretName': 'broken'}, {'hosts': ['c.org'], "
                                                                   "'secretName': 'none'}, {'hosts': ['d.org']}]}");
        world_ingress(
                &w, "late", "{}",
                "{'rules': [" RULE("*.x.org", PATH("/", "Prefix", "a")) "], 'tls': [{'hosts': ['y.org'], 'secretName': "
                                                                        "'other'}, {'secretName': 'good'}]}");
        world_plan(&w);
        assert_string_equal(cx_map_get(&w.plan.certificates, "a.x.org"), "ns/good");
        assert_string_equal(cx_map_get(&w.plan.certificates, "y.org"), "ns/good");
        assert_string_equal(cx_map_get(&w.plan.certificates, "b.org"), "");
        assert_string_equal(cx_map_get(&w.plan.certificates, "c.org"), "");
        assert_string_equal(cx_map_get(&w.plan.certificates, "d.org"), "");
        assert_string_equal(cx_map_get(&w.plan.certificates, "*.x.org"), "ns/good");
        assert_true(world_told(&w, "i", "CertificateMismatch", "not for the host y.org"));
        assert_true(world_told(&w, "i", "CertificateProblem", "ns/broken is broken: the host b.org"));
        assert_true(world_told(&w, "i", "CertificateProblem", "ns/none does not exist"));
        assert_true(world_told(&w, "late", "Conflict", "the host y.org"));
        // Hosts with a certificate are sent to HTTPS.
        const struct plan_route *route = cx_map_get(&w.plan.prefix, "a.x.org%2F");
        assert_string_equal(route->flags, "s");
        cx_strings_release(&good.names);
}

// Annotations (without their prefix), the flags of the route, an entry of a map.
static void test_settings(void **state)
{
        (void)state;
        static const struct {
                const char *annotations, *flags;
                int map;
                const char *key, *value; // key: what follows the id
        } cases[] = {
                {"'proxy-body-size': '8m'", "b", MAP_SETTINGS + SETTING_BODY, "", "8388608"},
                {"'proxy-body-size': '0'", "", -1, NULL, NULL},
                {"'proxy-read-timeout': '90', 'proxy-send-timeout': '2m'", "t", MAP_SETTINGS + SETTING_TIMEOUT, "",
                 "120000"},
                {"'limit-rps': '3'", "l", MAP_SETTINGS + SETTING_RATE, "", "15"},
                {"'limit-rpm': '3', 'limit-connections': '2'", "l", MAP_SETTINGS + SETTING_CONNECTIONS, "", "2"},
                {"'whitelist-source-range': '10.0.0.0/8'", "a", MAP_SETTINGS + SETTING_ALLOW, "|4|0A", "1"},
                {"'allowlist-source-range': '192.168.4.0/23'", "a", MAP_SETTINGS + SETTING_ALLOW, "|4|C0A805", "1"},
                {"'denylist-source-range': '0.0.0.0/0'", "d", MAP_SETTINGS + SETTING_DENY, "|4|", "1"},
                {"'denylist-source-range': '1.2.3.4, fd00:abc0::/28'", "d", MAP_SETTINGS + SETTING_DENY, "|6|FD00ABC",
                 "1"},
                {"'force-ssl-redirect': 'true'", "s", -1, NULL, NULL},
                {"'permanent-redirect': 'https://x/|y'", "r", MAP_SETTINGS + SETTING_REDIRECT, "",
                 "301%7Chttps%3A%2F%2Fx%2F%7Cy"},
                {"'app-root': '/app'", "o", MAP_SETTINGS + SETTING_ROOT, "", "%2Fapp"},
                {"'rewrite-target': '/x y'", NULL, -1, NULL, NULL},
                {"'rewrite-target': '/x'", "f", MAP_SETTINGS + SETTING_REWRITE, "", "%2Fx"},
                {"'rewrite-target': '/$2/x'", NULL, -1, NULL, NULL},
                {"'auth-type': 'basic', 'auth-secret': 'u'", "u", MAP_SETTINGS + SETTING_REALM, "",
                 "Authentication%20Required"},
                {"'auth-type': 'basic'", NULL, -1, NULL, NULL},
                {"'auth-type': 'digest', 'auth-secret': 'u'", NULL, -1, NULL, NULL},
                {"'auth-secret': 'other/u'", NULL, -1, NULL, NULL},
                {"'auth-secret': 'n/u'", NULL, -1, NULL, NULL}, // "n" begins "ns"
                {"'auth-realm': 'x\\u000ay', 'auth-secret': 'u'", NULL, -1, NULL, NULL},
                {"'whitelist-source-range': ''", NULL, -1, NULL, NULL},
                {"'whitelist-source-range': '10.0.0.0/8;x'", NULL, -1, NULL, NULL},
                {"'limit-rps': '-1'", NULL, -1, NULL, NULL},
                {"'configuration-snippet': 'deny all;'", NULL, -1, NULL, NULL},
                {"'whitelist-source-rang': '10.0.0.0/8'", NULL, -1, NULL, NULL},
                {"'proxy-buffering': 'on'", "", -1, NULL, NULL},
                {"'proxy-read-timeout': 'x'", "", -1, NULL, NULL},
                {"'affinity': 'cookie', 'session-cookie-name': 'a b'", "", -1, NULL, NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                WORLD w;
                char id[PLAN_ID];
                world_begin(&w);
                json_auto_t *short_names = NULL, *annotations = json_object();
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{%s}", cases[i].annotations);
                const char *name;
                json_t *value;
                short_names = quoted_json(text);
                json_object_foreach (short_names, name, value) {
                        CX_CLEANUP(cx_freep) char *full = cx_sprintf(ANNOTATION_PREFIX "%s", name);
                        json_object_set(annotations, full, value);
                }
                CX_CLEANUP(cx_freep) char *dumped = json_dumps(annotations, 0);
                world_ingress(&w, "i", dumped, RULES(RULE("x.org", PATH("/", "Prefix", "a"))));
                world_plan(&w);
                const struct plan_route *route = cx_map_get(&w.plan.prefix, "x.org%2F");
                if (!cases[i].flags) { // refused: it answers, and leads nowhere
                        assert_null(route->backend);
                        assert_true(world_told(&w, "i", "Refused", ""));
                        assert_string_equal(cx_map_get(&w.maps[MAP_PREFIX], "x.org%2F"), "none");
                        continue;
                }
                assert_non_null(route->backend);
                assert_string_equal(route->flags, cases[i].flags);
                if (cases[i].map < 0)
                        continue;
                plan_id(w.ingresses.items[0], id);
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s%s", id, cases[i].key);
                const char *got = cx_map_get(&w.maps[cases[i].map], key);
                if (!cx_streq(got, cases[i].value))
                        fail_msg("%s: %s is %s", cases[i].annotations, key, got ? got : "(none)");
        }
}

static void test_rewrites(void **state)
{
        (void)state;
        static const struct {
                const char *path, *type, *target, *key, *flags; // flags NULL: refused
                int depth;
        } cases[] = {
                {"/app(/|$)(.*)", "ImplementationSpecific", "/$2", "x.org%2Fapp%2F", "w", 1},
                {"/a/b/(.*)", "ImplementationSpecific", "/x/$1", "x.org%2Fa%2Fb%2F", "w", 2},
                {"/(.*)", "ImplementationSpecific", "/x/$1", "x.org%2F", "w", 0},
                {"/plain", "Prefix", "/$2", "x.org%2Fplain%2F", "f", 1},
                {"/app(/|$)(.*)", "ImplementationSpecific", "/$1", "x.org%2F", NULL, 0},
                {"/a/x[0-9]+/(.*)", "ImplementationSpecific", "/$1", "x.org%2Fa%2F", NULL, 0},
                {"/a(b|c)", "ImplementationSpecific", "/$1", "x.org%2F", NULL, 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                WORLD w;
                world_begin(&w);
                CX_CLEANUP(cx_freep)
                char *annotations = cx_sprintf("{'" ANNOTATION_PREFIX "rewrite-target': '%s'}", cases[i].target);
                CX_CLEANUP(cx_freep)
                char *spec = cx_sprintf(
                        "{'rules': [{'host': 'x.org', 'http': {'paths': [{'path': '%s', 'pathType': '%s', " TO(
                                "a") "}]}}]}",
                        cases[i].path, cases[i].type);
                world_ingress(&w, "i", annotations, spec);
                world_plan(&w);
                const struct plan_route *route = cx_map_get(&w.plan.prefix, cases[i].key);
                assert_non_null(route);
                assert_int_equal(route->backend != NULL, cases[i].flags != NULL);
                if (cases[i].flags) {
                        assert_string_equal(route->flags, cases[i].flags);
                        assert_int_equal(route->depth, cases[i].depth);
                }
        }
}

static void test_profiles(void **state)
{
        (void)state;
        WORLD w;
        world_begin(&w);
        world_ingress(&w, "plain", "{}", RULES(RULE("x.org", PATH("/", "Prefix", "a"))));
        world_ingress(&w, "sticky",
                      "{'" ANNOTATION_PREFIX "affinity': 'cookie', '" ANNOTATION_PREFIX
                      "session-cookie-samesite': 'Lax', "
                      "'" ANNOTATION_PREFIX "backend-protocol': 'GRPCS'}",
                      RULES(RULE("y.org", PATH("/", "Prefix", "a"))));
        world_plan(&w);
        const struct plan_route *plain = cx_map_get(&w.plan.prefix, "x.org%2F"),
                                *sticky = cx_map_get(&w.plan.prefix, "y.org%2F");
        assert_ptr_not_equal(plain->backend, sticky->backend);
        assert_string_equal(plain->backend->profile, "");
        assert_string_equal(sticky->backend->profile,
                            "cookie INGRESSCOOKIE insert indirect nocache httponly dynamic attr \"SameSite=Lax\"\n");
        assert_true(sticky->backend->tls && sticky->backend->http2);
}

static void test_slots(void **state)
{
        (void)state;
        WORLD w;
        struct slots slots = {0};
        world_begin(&w);
        world_ingress(&w, "i", "{}", RULES(RULE("x.org", PATH("/", "Prefix", "a"))));
        world_plan(&w);
        assert_int_equal(slots_assign(&slots, &w.plan, false), SLOTS_ADDED); // the first
        size_t count = slots.count;
        assert_true(count > 32);
        world_ingress(&w, "j", "{}", RULES(RULE("y.org", PATH("/", "Prefix", "b"))));
        world_plan(&w);
        assert_int_equal(slots_assign(&slots, &w.plan, false), SLOTS_ENOUGH); // there was one free
        assert_int_equal(slots.count, count);
        slots_reset(&slots, &w.plan);
        PLAN nothing = {0};
        slots_retire(&slots, &nothing);
        int used = 0, with_servers = 0;
        for (size_t i = 0; i < slots.count; i++) {
                used += slots.items[i]->key != NULL;
                with_servers += slots.items[i]->live.count > 0;
        }
        assert_int_equal(used, 0);
        assert_int_equal(with_servers, 1); // its servers are still there, so nobody else takes it
        assert_int_equal(slots_assign(&slots, &w.plan, false), SLOTS_ENOUGH);
        for (size_t i = 0; i < slots.count; i++)
                if (slots.items[i]->live.count)
                        assert_null(slots.items[i]->key);
        slots_release(&slots);
}

// Each profile costs a load; what nobody needs goes with the next one, and no name comes twice.
static void test_profile_slots(void **state)
{
        (void)state;
        struct slots slots = {0};
        size_t first = 0;
        for (int i = 0; i < 4; i++) {
                WORLD w;
                world_begin(&w);
                CX_CLEANUP(cx_freep)
                char *annotations = cx_sprintf("{'" ANNOTATION_PREFIX "proxy-connect-timeout': '%d'}", i + 1);
                world_ingress(&w, "i", annotations, RULES(RULE("x.org", PATH("/", "Prefix", "a"))));
                world_plan(&w);
                if (i) {
                        assert_int_equal(slots_assign(&slots, &w.plan, false), SLOTS_MISSING);
                        assert_int_equal(slots.count, first);
                }
                assert_int_equal(slots_assign(&slots, &w.plan, true), SLOTS_ADDED);
                slots_reset(&slots, &w.plan);
                first = i ? first : slots.count;
                assert_int_equal(slots.count, first);
                for (size_t j = 0; j < slots.count; j++)
                        for (size_t k = 0; k < j; k++)
                                assert_string_not_equal(slots.items[j]->name, slots.items[k]->name);
        }
        slots_release(&slots);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_keys),          cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_classes),       cmocka_unit_test(test_backends),
                cmocka_unit_test(test_endpoints),     cmocka_unit_test(test_oldest_wins),
                cmocka_unit_test(test_defaults),      cmocka_unit_test(test_certificates),
                cmocka_unit_test(test_settings),      cmocka_unit_test(test_rewrites),
                cmocka_unit_test(test_profiles),      cmocka_unit_test(test_slots),
                cmocka_unit_test(test_profile_slots),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
