// SPDX-License-Identifier: Apache-2.0
// The provider for bare machines: what its ConfigMap says, and which address a Service gets.
#include "cloud-controller-manager/bare/choose.h"
#include "libcommon/format/json.h"
#include "test/unit/quoted_json.h"

static json_t *config_map(const char *pools, const char *machines)
{
        json_t *map = json_pack("{s:{}}", "data");
        if (pools)
                json_object_set_new(json_object_get(map, "data"), "pools", json_string(pools));
        if (machines)
                json_object_set_new(json_object_get(map, "data"), "machines", json_string(machines));
        return map;
}

static void test_range(void **state)
{
        (void)state;
        static const struct {
                const char *text, *first, *last; // NULL: no range
        } cases[] = {{"10.9.0.0/29", "10.9.0.1", "10.9.0.6"},
                     {"10.9.0.4/31", "10.9.0.4", "10.9.0.5"},
                     {"10.9.0.4/32", "10.9.0.4", "10.9.0.4"},
                     {"10.9.0.7", "10.9.0.7", "10.9.0.7"},
                     {"10.9.0.7-10.9.1.2", "10.9.0.7", "10.9.1.2"},
                     {"fd00::/126", "fd00::1", "fd00::3"},
                     {"fd00::5-fd00::9", "fd00::5", "fd00::9"},
                     {"10.9.0.9-10.9.0.1", NULL, NULL},
                     {"10.9.0.1-fd00::1", NULL, NULL},
                     {"10.9.0.1-", NULL, NULL},
                     {"-10.9.0.1", NULL, NULL},
                     {"", NULL, NULL},
                     {"10.9.0.0/33", NULL, NULL},
                     {"127.0.0.1-127.0.0.9", NULL, NULL},
                     {"169.254.1.1", NULL, NULL},
                     {"224.0.0.0/24", NULL, NULL},
                     {"::/0", NULL, NULL},
                     {"fe80::1", NULL, NULL}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct address_range range;
                char text[CX_ADDRESS_TEXT];
                CX_ERROR err = CX_ERROR_INIT;
                int r = address_range_parse(cases[i].text, &range, &err);
                if ((r == 0) != (cases[i].first != NULL))
                        fail_msg("%s: %d", cases[i].text, r);
                if (r < 0)
                        continue;
                assert_string_equal(cx_address_format(&range.first, text), cases[i].first);
                assert_string_equal(cx_address_format(&range.last, text), cases[i].last);
        }
}

static void test_config(void **state)
{
        (void)state;
        static const struct {
                const char *pools, *machines, *complaint;
        } cases[] = {
                {"- {name: a, addresses: [10.0.0.1]}", "- {name: n1, zone: z, shutdown: true}", NULL},
                {"", NULL, NULL},
                {NULL, NULL, NULL},
                {"a: b", NULL, "data.pools: a list is needed"},
                {"- {addresses: [10.0.0.1]}", NULL, "data.pools[0]: name: a text is needed"},
                {"- {name: a}", NULL, "data.pools[0]: addresses: a list of ranges is needed"},
                {"- {name: a, addresses: []}", NULL, "data.pools[0]: addresses: one range at least"},
                {"- {name: a, addresses: [10.0.0.1], namespace: b}", NULL,
                 "data.pools[0]: unknown member \"namespace\""},
                {"- {name: a, addresses: [10.0.0.1], namespaces: b}", NULL, "namespaces: a list of texts is needed"},
                {"- {name: a, addresses: [10.0.0.1], autoAssign: no thanks}", NULL, "autoAssign: true or false"},
                {"- {name: a, addresses: [10.0.0.1], selector: {matchExpressions: [{key: a, operator: Near}]}}", NULL,
                 "data.pools[0]: selector"},
                {"- {name: a, addresses: [nonsense]}", NULL, "addresses: \"nonsense\" is no range of addresses"},
                {"- {name: a, addresses: [10.0.0.1]}\n- {name: a, addresses: [10.0.0.2]}", NULL,
                 "data.pools[1]: the name \"a\" is there twice"},
                {"- [", NULL, "data.pools"},
                {NULL, "- {name: a, addresses: {internal: [x]}}",
                 "data.machines[0]: addresses: \"x\" is no IP address"},
                {NULL, "- {name: a, addresses: {inside: [10.0.0.1]}}", "{internal: […], external: […]} is needed"},
                {NULL, "- a", "data.machines[0]: an object is needed"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct bare_config config = {0};
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *map = config_map(cases[i].pools, cases[i].machines);
                int r = bare_config_parse(map, &config, &err);
                if (cases[i].complaint ? r == 0 || !strstr(cx_error_text(&err), cases[i].complaint) : r < 0)
                        fail_msg("case %zu: %s", i, cx_error_text(&err));
                if (i == 0) {
                        const struct bare_machine *machine = bare_config_machine(&config, "n1");
                        assert_string_equal(machine->provider_id, "bare://n1");
                        assert_true(machine->shut_down && config.lists_machines);
                        assert_null(bare_config_machine(&config, "n2"));
                }
                bare_config_release(&config);
        }
}

// --- choosing ---

#define POOLS                                                                                                          \
        "- {name: shop, addresses: [10.1.0.1], namespaces: [shop]}\n"                                                  \
        "- {name: spare, addresses: [10.2.0.1], autoAssign: false}\n"                                                  \
        "- {name: fast, addresses: [10.3.0.1], classes: [a/fast]}\n"                                                   \
        "- {name: all, addresses: [10.4.0.1-10.4.0.3, 'fd00::1-fd00::2']}\n"

static void free_json(void *json)
{
        json_decref(json);
}

#define USE(uid, rest) "{'service': 'ns/" uid "', 'uid': '" uid "'" rest "}"
#define K ", 'sharing': 'k', 'ports': "

static void test_choose(void **state)
{
        (void)state;
        static const struct {
                const char *metadata, *spec, *status, *uses, *want; // want beginning with "!": why there is none
        } cases[] = {
                {"", "", "", "{}", "10.4.0.1"},
                {"'namespace': 'shop'", "", "", "{}", "10.1.0.1"},
                {"'namespace': 'shop'", "", "", "{'10.1.0.1': [" USE("x", "") "]}", "10.4.0.1"},
                {"'annotations': {'metallb.io/address-pool': 'spare'}", "", "", "{}", "10.2.0.1"},
                {"'annotations': {'metallb.io/address-pool': 'none'}", "", "", "{}", "!no pool of ConfigMap"},
                {"", "'loadBalancerClass': 'a/fast'", "", "{}", "10.3.0.1"},
                {"", "'loadBalancerClass': 'a/slow'", "", "{}", "!no pool of ConfigMap"},
                // What it has it keeps: by what is written down, then by its status; if it may.
                {"", "", "", "{'10.4.0.2': [" USE("me", "") "]}", "10.4.0.2"},
                {"", "", "10.4.0.3", "{}", "10.4.0.3"},
                {"", "", "10.4.0.3", "{'10.4.0.3': [" USE("x", "") "]}", "10.4.0.1"},
                {"", "", "10.9.9.9", "{}", "10.4.0.1"},
                {"", "", "10.1.0.1", "{}", "10.4.0.1"},
                // One that was deleted and made again under its name is another.
                {"", "", "", "{'10.4.0.1': [{'service': 'ns/me', 'uid': 'old'}]}", "10.4.0.2"},
                // What it asks for.
                {"", "'loadBalancerIP': '10.4.0.2'", "", "{'10.4.0.1': [" USE("me", "") "]}", "10.4.0.2"},
                {"", "'loadBalancerIP': '10.2.0.1'", "", "{}", "10.2.0.1"},
                {"", "'loadBalancerIP': '10.4.0.2'", "", "{'10.4.0.2': [" USE("x", "") "]}",
                 "!the address 10.4.0.2 is taken by Service ns/x"},
                {"", "'loadBalancerIP': '10.1.0.1'", "", "{}", "!the address 10.1.0.1 is in no pool that serves"},
                {"", "'loadBalancerIP': 'there'", "", "{}", "!spec.loadBalancerIP: \"there\" is no IP address"},
                {"", "'loadBalancerIP': 'fd00::1'", "", "{}", "!one more than the Service has IP families for"},
                {"'annotations': {'metallb.io/loadBalancerIPs': '10.4.0.2'}", "", "", "{}", "10.4.0.2"},
                {"'annotations': {'metallb.io/loadBalancerIPs': '10.4.0.2'}", "'loadBalancerIP': '10.4.0.2'", "", "{}",
                 "!exclude each other"},
                // Families.
                {"", "'ipFamilies': ['IPv6']", "", "{}", "fd00::1"},
                {"", "'ipFamilies': ['IPv6', 'IPv4'], 'ipFamilyPolicy': 'RequireDualStack'", "", "{}",
                 "fd00::1,10.4.0.1"},
                {"'annotations': {'metallb.io/loadBalancerIPs': '10.4.0.3, fd00::2'}",
                 "'ipFamilies': ['IPv6', 'IPv4'], 'ipFamilyPolicy': 'RequireDualStack'", "", "{}", "fd00::2,10.4.0.3"},
                {"'annotations': {'metallb.io/address-pool': 'spare'}",
                 "'ipFamilies': ['IPv4', 'IPv6'], 'ipFamilyPolicy': 'RequireDualStack'", "", "{}", "!IPv6"},
                {"'annotations': {'metallb.io/address-pool': 'spare'}",
                 "'ipFamilies': ['IPv4', 'IPv6'], 'ipFamilyPolicy': 'PreferDualStack'", "", "{}", "10.2.0.1"},
                // Sharing: the same key, other ports, the same way of outside traffic.
                {"'annotations': {'metallb.io/allow-shared-ip': 'k'}", "", "",
                 "{'10.4.0.1': [" USE("x", K "['TCP/81']") "]}", "10.4.0.1"},
                {"'annotations': {'metallb.io/allow-shared-ip': 'k'}", "", "",
                 "{'10.4.0.1': [" USE("x", K "['UDP/80']") "]}", "10.4.0.1"},
                {"'annotations': {'metallb.io/allow-shared-ip': 'k'}", "", "",
                 "{'10.4.0.1': [" USE("x", K "['TCP/80']") "]}", "10.4.0.2"},
                {"'annotations': {'metallb.io/allow-shared-ip': 'l'}", "", "",
                 "{'10.4.0.1': [" USE("x", K "['TCP/81']") "]}", "10.4.0.2"},
                {"", "", "", "{'10.4.0.1': [" USE("x", K "['TCP/81']") "]}", "10.4.0.2"},
                {"'annotations': {'metallb.io/allow-shared-ip': 'k'}", "'externalTrafficPolicy': 'Local'", "",
                 "{'10.4.0.1': [" USE("x", K "['TCP/81']") "]}", "10.4.0.2"},
                {"'annotations': {'metallb.io/allow-shared-ip': 'k'}",
                 "'externalTrafficPolicy': 'Local', 'selector': {'a': 'b'}", "",
                 "{'10.4.0.1': [" USE("x", K "['TCP/81'], 'local': 'a=b'") "]}", "10.4.0.1"},
                // Two who share, and the second comes to want the port of the first: it leaves.
                {"'annotations': {'metallb.io/allow-shared-ip': 'k'}", "", "10.4.0.1",
                 "{'10.4.0.1': [" USE("x", K "['TCP/80']") ", " USE("me", K "['TCP/81']") "]}", "10.4.0.2"},
                // All are taken.
                {"", "", "",
                 "{'10.4.0.1': [" USE("x", "") "], '10.4.0.2': [" USE("y", "") "], '10.4.0.3': [" USE("z", "") "]}",
                 "!no IPv4 address is left"},
        };
        json_auto_t *map = config_map(POOLS, NULL);
        struct bare_config config = {0};
        assert_int_equal(bare_config_parse(map, &config, NULL), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_MAP uses = CX_MAP_INIT_FREE(free_json);
                ADDRESS_CLAIM claim = {0};
                CX_STRINGS got = CX_STRINGS_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf(
                        "{'metadata': {'name': 'me', 'uid': 'me'%s%s}, 'spec': {'ports': [{'port': 80}]%s%s},"
                        "'status': {'loadBalancer': {'ingress': [{'ip': '%s'}]}}}",
                        *cases[i].metadata ? ", " : "", cases[i].metadata, *cases[i].spec ? ", " : "", cases[i].spec,
                        cases[i].status);
                json_auto_t *service = quoted_json(text), *written = quoted_json(cases[i].uses);
                const char *key;
                json_t *value;
                if (!cx_json_get(service, "metadata.namespace"))
                        cx_json_set_string(service, "metadata.namespace", "ns");
                json_object_foreach (written, key, value)
                        cx_map_set(&uses, key, json_incref(value));
                int r = address_claim_parse(service, &claim, &err);
                if (r == 0)
                        r = addresses_choose(&config, &uses, &claim, &got, &err);
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&got, ",");
                bool right = cases[i].want[0] == '!' ? r < 0 && strstr(cx_error_text(&err), cases[i].want + 1)
                                                     : r == 0 && cx_streq(joined, cases[i].want);
                if (!right)
                        fail_msg("case %zu: %s, not %s", i, r < 0 ? cx_error_text(&err) : joined, cases[i].want);
        }
        assert_true(address_pools_serve(&config, NULL) && address_pools_serve(&config, "a/fast"));
        assert_false(address_pools_serve(&config, "a/slow"));
        bare_config_release(&config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_range), cmocka_unit_test(test_config),
                                           cmocka_unit_test(test_choose)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
