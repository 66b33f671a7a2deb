// SPDX-License-Identifier: Apache-2.0
// Rules for given services and slices, chain by chain, and the differences that are written. Single quotes in the JSON stand
// for double ones.
#include "kube-proxy/apply.h"
#include "test/unit/quoted_json.h"

struct world {
        struct cx_objects services, slices;
        struct rules_config config;
        struct ruleset rules;
};

static void add(struct cx_objects *list, const json_t *json, void *projection, void (*free_projection)(void *))
{
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = projection;
        object->free_projection = free_projection;
        cx_objects_add(list, object);
        cx_object_unref(object);
}

static void add_service(struct world *w, const char *name, const char *spec, const char *status)
{
        json_auto_t *json = json_pack("{s:{s:s, s:s}, s:o, s:o}", "metadata", "namespace", "ns", "name", name, "spec",
                                      quoted_json(spec), "status", quoted_json(status));
        add(&w->services, json, service_project(NULL, json), service_free);
}

static void add_slice(struct world *w, const char *service, const char *ports, const char *endpoints)
{
        json_auto_t *json = json_pack("{s:{s:s, s:s, s:{s:s}}, s:s, s:o, s:o}", "metadata", "namespace", "ns", "name",
                                      "slice", "labels", "kubernetes.io/service-name", service, "addressType", "IPv4",
                                      "ports", quoted_json(ports), "endpoints", quoted_json(endpoints));
        char node[] = "here";
        add(&w->slices, json, slice_project(node, json), slice_free);
}

static void build(struct world *w)
{
        ruleset_release(&w->rules);
        rules_build(&w->config, &w->services, &w->slices, &w->rules);
}

static void world_release(struct world *w)
{
        ruleset_release(&w->rules);
        cx_objects_release(&w->services);
        cx_objects_release(&w->slices);
}
#define WORLD CX_CLEANUP(world_release) struct world

static const char *chain(const struct world *w, int table, const char *name)
{
        const char *text = cx_map_get(&w->rules.chains[table], name);
        return text ? text : "(none)";
}

static bool has(const struct world *w, int table, const char *name, const char *part)
{
        return strstr(chain(w, table, name), part);
}

#define HTTP "[{'name': 'http', 'port': 8080, 'protocol': 'TCP'}]"
#define PORTS "'ports': [{'name': 'http', 'port': 80, 'protocol': 'TCP'}]"
#define TWO                                                                                                            \
        "[{'addresses': ['10.1.0.2'], 'nodeName': 'here', 'conditions': {'ready': true}},"                             \
        "{'addresses': ['10.1.1.3'], 'nodeName': 'there', 'conditions': {'ready': true}}]"

static void test_names(void **state)
{
        (void)state;
        char name[32];
        chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", name);
        assert_int_equal(strlen(name), 25);
        // Base32 of a SHA-256 digest, as `printf default/kubernetes:httpstcp | sha256sum` and base32 give it.
        chain_name("KUBE-SVC-", "default/kubernetes:https", "tcp", "", name);
        assert_string_equal(name, "KUBE-SVC-NPX46M4PTMTKRN6Y");
        assert_true(is_service_chain(name));
        assert_false(is_service_chain("KUBE-SERVICES"));
}

static void test_cluster_ip(void **state)
{
        (void)state;
        WORLD w = {.config = {.cluster_cidr = "10.1.0.0/16"}};
        add_service(&w, "web", "{'clusterIP': '10.96.0.9', " PORTS "}", "{}");
        add_slice(&w, "web", HTTP, TWO);
        build(&w);
        char service[32], one[32], two[32];
        chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", service);
        chain_name("KUBE-SEP-", "ns/web:http", "tcp", "10.1.0.2:8080", one);
        chain_name("KUBE-SEP-", "ns/web:http", "tcp", "10.1.1.3:8080", two);
        CX_CLEANUP(cx_freep)
        char *services = cx_sprintf(
                "-A KUBE-SERVICES -m comment --comment \"ns/web:http cluster IP\" -m tcp -p tcp -d 10.96.0.9 --dport "
                "80 "
                "-j %s\n-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the "
                "last rule in this chain\" -m addrtype --dst-type LOCAL ! -d 127.0.0.0/8 -j KUBE-NODEPORTS\n",
                service);
        assert_string_equal(chain(&w, TABLE_NAT, "KUBE-SERVICES"), services);
        CX_CLEANUP(cx_freep)
        char *balance = cx_sprintf(
                "-A %s -m comment --comment \"ns/web:http cluster IP\" -m tcp -p tcp -d 10.96.0.9 --dport 80 ! -s "
                "10.1.0.0/16 -j KUBE-MARK-MASQ\n"
                "-A %s -m comment --comment \"ns/web:http -> 10.1.0.2:8080\" -m statistic --mode random --probability "
                "0.5000000000 -j %s\n"
                "-A %s -m comment --comment \"ns/web:http -> 10.1.1.3:8080\" -j %s\n",
                service, service, one, service, two);
        assert_string_equal(chain(&w, TABLE_NAT, service), balance);
        CX_CLEANUP(cx_freep)
        char *endpoint = cx_sprintf(
                "-A %s -m comment --comment \"ns/web:http\" -s 10.1.0.2 -j KUBE-MARK-MASQ\n"
                "-A %s -m comment --comment \"ns/web:http\" -m tcp -p tcp -j DNAT --to-destination 10.1.0.2:8080\n",
                one, one);
        assert_string_equal(chain(&w, TABLE_NAT, one), endpoint);
        assert_string_equal(chain(&w, TABLE_FILTER, "KUBE-SERVICES"), "");
        assert_false(w.rules.has_node_ports);
        w.config.masquerade_all = true;
        build(&w);
        assert_true(has(&w, TABLE_NAT, service, "--dport 80 -j KUBE-MARK-MASQ\n"));
}

static void test_endpoint_states(void **state)
{
        (void)state;
        static const struct {
                const char *endpoints;
                size_t wanted;
        } table[] = {
                {"[]", 0},
                {"[{'addresses': ['10.1.0.2'], 'conditions': {'ready': false}}]", 0},
                {"[{'addresses': ['10.1.0.2']}]", 1}, // unknown counts as ready
                {"[{'addresses': ['10.1.0.2'], 'conditions': {'ready': false, 'serving': true, 'terminating': true}}]",
                 1},
                {"[{'addresses': ['10.1.0.2'], 'conditions': {'ready': false, 'serving': false, 'terminating': true}}]",
                 0},
                {"[{'addresses': ['10.1.0.2'], 'conditions': {'ready': false, 'serving': true, 'terminating': true}},"
                 "{'addresses': ['10.1.0.3'], 'conditions': {'ready': true}}]",
                 1},
                {"[{'addresses': ['10.1.0.2']}, {'addresses': ['10.1.0.2']}]", 1},
                // What is no address never becomes a rule.
                {"[{'addresses': ['10.1.0.2 -j ACCEPT']}, {'addresses': ['fd00::1']}, {'addresses': []}, {}]", 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                WORLD w = {0};
                add_service(&w, "web", "{'clusterIP': '10.96.0.9', " PORTS "}", "{}");
                add_slice(&w, "web", HTTP, table[i].endpoints);
                build(&w);
                assert_int_equal(w.rules.endpoints, table[i].wanted);
                assert_int_equal(has(&w, TABLE_FILTER, "KUBE-SERVICES",
                                     "\"ns/web:http has no endpoints\" -m tcp -p tcp -d 10.96.0.9 --dport 80 -j "
                                     "REJECT\n"),
                                 table[i].wanted == 0);
        }
}

static void test_ports_must_match(void **state)
{
        (void)state;
        WORLD w = {0};
        add_service(&w, "web", "{'clusterIP': '10.96.0.9', 'ports': [{'port': 53, 'protocol': 'UDP'}]}", "{}");
        add_slice(&w, "web", "[{'port': 53, 'protocol': 'TCP'}]", TWO);
        add_slice(&w, "web", "[{'name': 'x', 'port': 53, 'protocol': 'UDP'}]", TWO);
        build(&w);
        assert_int_equal(w.rules.endpoints, 0);
        add_slice(&w, "web", "[{'name': '', 'port': 5353, 'protocol': 'UDP'}]", TWO);
        build(&w);
        assert_int_equal(w.rules.endpoints, 2);
        assert_true(cx_map_has(&w.rules.udp_served, "10.96.0.9"));
        assert_true(cx_map_has(&w.rules.udp_endpoints, "10.96.0.9 10.1.1.3"));
}

static void test_node_port(void **state)
{
        (void)state;
        WORLD w = {.config = {.cluster_cidr = "10.1.0.0/16", .localhost_node_ports = true}};
        add_service(&w, "web",
                    "{'type': 'NodePort', 'clusterIP': '10.96.0.9', 'ports': [{'name': 'http', 'port': 80, 'protocol': "
                    "'TCP', 'nodePort': 30080}]}",
                    "{}");
        build(&w);
        assert_true(w.rules.has_node_ports);
        assert_string_equal(chain(&w, TABLE_NAT, "KUBE-NODEPORTS"), "");
        assert_string_equal(chain(&w, TABLE_FILTER, "KUBE-EXTERNAL-SERVICES"),
                            "-A KUBE-EXTERNAL-SERVICES -m comment --comment \"ns/web:http has no endpoints\" -m "
                            "addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j REJECT\n");
        add_slice(&w, "web", HTTP, TWO);
        build(&w);
        char external[32], service[32];
        chain_name("KUBE-EXT-", "ns/web:http", "tcp", "", external);
        chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", service);
        CX_CLEANUP(cx_freep)
        char *ports = cx_sprintf(
                "-A KUBE-NODEPORTS -m comment --comment \"ns/web:http\" -m tcp -p tcp --dport 30080 -j %s\n", external);
        assert_string_equal(chain(&w, TABLE_NAT, "KUBE-NODEPORTS"), ports);
        CX_CLEANUP(cx_freep)
        char *text =
                cx_sprintf("-A %s -m comment --comment \"masquerade traffic for ns/web:http external destinations\" -j "
                           "KUBE-MARK-MASQ\n-A %s -j %s\n",
                           external, external, service);
        assert_string_equal(chain(&w, TABLE_NAT, external), text);
        CX_STRINGS addresses = CX_STRINGS_INIT;
        cx_strings_add(&addresses, "192.0.2.1");
        w.config.node_port_addresses = &addresses;
        build(&w);
        assert_true(has(&w, TABLE_NAT, "KUBE-SERVICES", " -d 192.0.2.1 -j KUBE-NODEPORTS\n"));
        assert_false(has(&w, TABLE_NAT, "KUBE-SERVICES", "addrtype"));
}

static void test_policies(void **state)
{
        (void)state;
        WORLD w = {.config = {.cluster_cidr = "10.1.0.0/16"}};
        add_service(&w, "web",
                    "{'type': 'LoadBalancer', 'clusterIP': '10.96.0.9', 'externalTrafficPolicy': 'Local', "
                    "'healthCheckNodePort': 31000, 'loadBalancerSourceRanges': ['192.0.2.0/24', 'bad'], " PORTS "}",
                    "{'loadBalancer': {'ingress': [{'ip': '198.51.100.1'}, {'ip': '198.51.100.2', 'ipMode': 'Proxy'}, "
                    "{'hostname': 'x'}]}}");
        add_service(&w, "inside", "{'clusterIP': '10.96.0.10', 'internalTrafficPolicy': 'Local', " PORTS "}", "{}");
        add_slice(&w, "web", HTTP, TWO);
        add_slice(&w, "inside", HTTP, "[{'addresses': ['10.1.1.3'], 'nodeName': 'there'}]");
        build(&w);
        char external[32], service[32], local[32], firewall[32], one[32];
        chain_name("KUBE-EXT-", "ns/web:http", "tcp", "", external);
        chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", service);
        chain_name("KUBE-SVL-", "ns/web:http", "tcp", "", local);
        chain_name("KUBE-FW-", "ns/web:http", "tcp", "", firewall);
        chain_name("KUBE-SEP-", "ns/web:http", "tcp", "10.1.0.2:8080", one);
        CX_CLEANUP(cx_freep) char *to_pods = cx_sprintf("-s 10.1.0.0/16 -j %s\n", service);
        CX_CLEANUP(cx_freep) char *to_local = cx_sprintf("-A %s -j %s\n", external, local);
        assert_true(has(&w, TABLE_NAT, external, to_pods));
        assert_true(has(&w, TABLE_NAT, external, to_local));
        CX_CLEANUP(cx_freep)
        char *only = cx_sprintf("-A %s -m comment --comment \"ns/web:http -> 10.1.0.2:8080\" -j %s\n", local, one);
        assert_string_equal(chain(&w, TABLE_NAT, local), only);
        CX_CLEANUP(cx_freep)
        char *let_in = cx_sprintf("-A %s -m comment --comment \"ns/web:http loadbalancer IP\" -s 192.0.2.0/24 -j %s\n",
                                  firewall, external);
        assert_string_equal(chain(&w, TABLE_NAT, firewall), let_in);
        assert_true(has(&w, TABLE_FILTER, "KUBE-PROXY-FIREWALL", "-d 198.51.100.1 --dport 80 -j DROP\n"));
        assert_false(has(&w, TABLE_NAT, "KUBE-SERVICES", "198.51.100.2"));
        assert_int_equal(w.rules.n_health_checks, 1);
        assert_int_equal(w.rules.health_checks[0].local_endpoints, 1);
        assert_true(has(&w, TABLE_FILTER, "KUBE-NODEPORTS", "--dport 31000 -j ACCEPT\n"));
        assert_true(has(&w, TABLE_FILTER, "KUBE-SERVICES",
                        "\"ns/inside:http has no local endpoints\" -m tcp -p tcp -d 10.96.0.10 --dport 80 -j DROP\n"));
}

static void test_affinity(void **state)
{
        (void)state;
        WORLD w = {0};
        add_service(&w, "web",
                    "{'clusterIP': '10.96.0.9', 'sessionAffinity': 'ClientIP', 'sessionAffinityConfig': {'clientIP': "
                    "{'timeoutSeconds': 60}}, " PORTS "}",
                    "{}");
        add_slice(&w, "web", HTTP, TWO);
        build(&w);
        char service[32], one[32];
        chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", service);
        chain_name("KUBE-SEP-", "ns/web:http", "tcp", "10.1.0.2:8080", one);
        CX_CLEANUP(cx_freep)
        char *check = cx_sprintf("-m recent --name %s --rcheck --seconds 60 --reap -j %s\n", one, one);
        CX_CLEANUP(cx_freep) char *set = cx_sprintf("-m recent --name %s --set -m tcp -p tcp -j DNAT", one);
        assert_true(has(&w, TABLE_NAT, service, check));
        assert_true(has(&w, TABLE_NAT, one, set));
}

// Hints count when every ready endpoint has them and one is meant for this node.
static void test_hints(void **state)
{
        (void)state;
        static const struct {
                const char *first, *second, *zone;
                bool one, two;
        } cases[] = {
                {"{}", "{}", "z1", true, true},
                {"{'forZones': [{'name': 'z1'}]}", "{'forZones': [{'name': 'z2'}]}", "z1", true, false},
                {"{'forZones': [{'name': 'z1'}]}", "{'forZones': [{'name': 'z2'}, {'name': 'z1'}]}", "z1", true, true},
                {"{'forZones': [{'name': 'z1'}]}", "{'forZones': [{'name': 'z2'}]}", "z3", true, true},
                {"{'forZones': [{'name': 'z1'}]}", "{'forZones': [{'name': 'z2'}]}", NULL, true, true},
                {"{'forZones': [{'name': 'z1'}]}", "{}", "z1", true, true},
                {"{'forZones': [{'name': 'z1'}], 'forNodes': [{'name': 'there'}]}",
                 "{'forZones': [{'name': 'z2'}], 'forNodes': [{'name': 'here'}]}", "z1", false, true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                WORLD w = {.config = {.node_name = "here", .zone = cases[i].zone}};
                CX_CLEANUP(cx_freep)
                char *endpoints = cx_sprintf("[{'addresses': ['10.1.0.2'], 'hints': %s}, {'addresses': ['10.1.1.3'], "
                                             "'hints': %s}]",
                                             cases[i].first, cases[i].second);
                add_service(&w, "web", "{'clusterIP': '10.96.0.9', " PORTS "}", "{}");
                add_slice(&w, "web", HTTP, endpoints);
                build(&w);
                char service[32];
                chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", service);
                assert_int_equal(has(&w, TABLE_NAT, service, "-> 10.1.0.2:8080"), cases[i].one);
                assert_int_equal(has(&w, TABLE_NAT, service, "-> 10.1.1.3:8080"), cases[i].two);
        }
}

static void test_hostile_names(void **state)
{
        (void)state;
        WORLD w = {0};
        add_service(&w, "web", "{'clusterIP': '10.96.0.9\\n-F', " PORTS "}", "{}");
        add_service(&w, "two",
                    "{'clusterIP': '10.96.0.9', 'ports': [{'name': 'a\\n-F', 'port': 80}, {'name': 'b', 'port': 0}, "
                    "{'name': 'c', 'port': 80, 'protocol': 'X'}]}",
                    "{}");
        build(&w);
        assert_int_equal(w.rules.services, 1);
        assert_false(has(&w, TABLE_FILTER, "KUBE-SERVICES", "-F"));
        assert_string_equal(chain(&w, TABLE_FILTER, "KUBE-SERVICES"), "");
}

static void test_differences(void **state)
{
        (void)state;
        WORLD w = {0}, next = {0};
        add_service(&w, "web", "{'clusterIP': '10.96.0.9', " PORTS "}", "{}");
        add_slice(&w, "web", HTTP, TWO);
        build(&w);
        CX_BUF all = CX_BUF_INIT, changes = CX_BUF_INIT, none = CX_BUF_INIT;
        applier_difference(
                NULL,
                "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-OLDOLDOLDOLDOLDO - [0:0]\n"
                ":OTHER - [0:0]\n-A PREROUTING -m comment --comment x -j KUBE-SERVICES\nCOMMIT\n",
                &w.rules, &all);
        assert_non_null(strstr(all.data, "-X KUBE-SVC-OLDOLDOLDOLDOLDO\n"));
        assert_null(strstr(all.data, "OTHER"));
        assert_null(strstr(all.data, "-I PREROUTING"));
        assert_non_null(strstr(all.data, "-I POSTROUTING 1 "));
        applier_difference(w.rules.chains, "", &w.rules, &none);
        assert_int_equal(none.length, 0);
        // One endpoint less: its chain goes, the service's is written anew, nothing else is touched.
        add_service(&next, "web", "{'clusterIP': '10.96.0.9', " PORTS "}", "{}");
        add_slice(&next, "web", HTTP, "[{'addresses': ['10.1.0.2'], 'nodeName': 'here'}]");
        build(&next);
        applier_difference(w.rules.chains, "", &next.rules, &changes);
        char service[32], two[32];
        chain_name("KUBE-SVC-", "ns/web:http", "tcp", "", service);
        chain_name("KUBE-SEP-", "ns/web:http", "tcp", "10.1.1.3:8080", two);
        char one[32];
        chain_name("KUBE-SEP-", "ns/web:http", "tcp", "10.1.0.2:8080", one);
        CX_CLEANUP(cx_freep)
        char *wanted = cx_sprintf(
                "*nat\n:%s - [0:0]\n:%s - [0:0]\n-A %s -m comment --comment \"ns/web:http -> 10.1.0.2:8080\" -j %s\n-X "
                "%s\nCOMMIT\n",
                service, two, service, one, two);
        assert_string_equal(changes.data, wanted);
}

static void test_cleanup(void **state)
{
        (void)state;
        CX_BUF text = CX_BUF_INIT;
        applier_cleanup_text("*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:DOCKER - [0:0]\n"
                             "-A PREROUTING -m comment --comment x -j KUBE-SERVICES\n-A PREROUTING -j DOCKER\n"
                             "-A KUBE-SERVICES -j KUBE-SERVICES\nCOMMIT\n",
                             &text);
        assert_string_equal(text.data, "*nat\n:KUBE-SERVICES - [0:0]\n-D PREROUTING -m comment --comment x -j "
                                       "KUBE-SERVICES\n-X KUBE-SERVICES\nCOMMIT\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),         cmocka_unit_test(test_cluster_ip),
                cmocka_unit_test(test_node_port),     cmocka_unit_test(test_endpoint_states),
                cmocka_unit_test(test_policies),      cmocka_unit_test(test_ports_must_match),
                cmocka_unit_test(test_affinity),      cmocka_unit_test(test_hints),
                cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_differences),
                cmocka_unit_test(test_cleanup)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
