// SPDX-License-Identifier: Apache-2.0
// Addresses and networks of both families.
#include "libcommon/base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct cx_address address(const char *text)
{
        struct cx_address parsed;
        if (cx_address_parse(text, &parsed) < 0)
                fail_msg("%s", text);
        return parsed;
}

static struct cx_network network(const char *text)
{
        struct cx_network parsed;
        if (cx_network_parse(text, &parsed) < 0)
                fail_msg("%s", text);
        return parsed;
}

static void test_parse(void **state)
{
        static const struct {
                const char *text, *canonical; // NULL: not an address
                const char *with_port;
        } cases[] = {
                {"10.0.0.1", "10.0.0.1", "10.0.0.1:80"},
                {"0.0.0.0", "0.0.0.0", "0.0.0.0:80"},
                {"FD00:0:0::1", "fd00::1", "[fd00::1]:80"},
                {"::", "::", "[::]:80"},
                {"::ffff:1.2.3.4", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80"},
                {"010.0.0.1", NULL, NULL},
                {"1.2.3", NULL, NULL},
                {"1.2.3.4 ", NULL, NULL},
                {"256.0.0.1", NULL, NULL},
                {"fe80::1%eth0", NULL, NULL},
                {"[::1]", NULL, NULL},
                {"1.2.3.4:80", NULL, NULL},
                {"", NULL, NULL},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                char text[CX_ADDRESS_TEXT], port[CX_ENDPOINT_TEXT];
                struct cx_address parsed;
                assert_int_equal(cx_address_parse(cases[i].text, &parsed) == 0, cases[i].canonical != NULL);
                assert_int_equal(cx_is_address(cases[i].text), cases[i].canonical != NULL);
                if (!cases[i].canonical)
                        continue;
                assert_string_equal(cx_address_format(&parsed, text), cases[i].canonical);
                assert_string_equal(cx_address_format_port(&parsed, 80, port), cases[i].with_port);
                struct sockaddr_storage socket;
                struct cx_address back;
                int number;
                cx_address_to_socket(&parsed, 4242, &socket);
                assert_int_equal(cx_address_from_socket((struct sockaddr *)&socket, &back, &number), 0);
                assert_int_equal(cx_address_compare(&parsed, &back), 0);
                assert_int_equal(number, 4242);
        }
        assert_false(cx_is_address(NULL));
        assert_true(cx_is_ipv4("1.2.3.4") && !cx_is_ipv4("::1") && cx_is_ipv6("::1") && !cx_is_ipv6("1.2.3.4"));
}

static void test_kinds(void **state)
{
        static const struct {
                const char *text;
                bool unspecified, loopback, link_local, multicast;
        } cases[] = {
                {"0.0.0.0", true, false, false, false},         {"::", true, false, false, false},
                {"127.8.9.1", false, true, false, false},       {"::1", false, true, false, false},
                {"128.0.0.1", false, false, false, false},      {"::2", false, false, false, false},
                {"169.254.169.254", false, false, true, false}, {"febf::1", false, false, true, false},
                {"fec0::1", false, false, false, false},        {"239.1.1.1", false, false, false, true},
                {"ff02::1", false, false, false, true},         {"10.0.0.1", false, false, false, false},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_address a = address(cases[i].text);
                if (cx_address_is_unspecified(&a) != cases[i].unspecified ||
                    cx_address_is_loopback(&a) != cases[i].loopback ||
                    cx_address_is_link_local(&a) != cases[i].link_local ||
                    cx_address_is_multicast(&a) != cases[i].multicast)
                        fail_msg("%s", cases[i].text);
        }
        static const char *const special[] = {
                "0.0.0.0",       "::",        "127.1.2.3", "::1",           "169.254.1.1",
                "fe80::1",       "224.0.0.9", "ff02::1",   "fd00:ec2::254", "::ffff:127.0.0.1",
                "::ffff:0.0.0.0"};
        static const char *const plain[] = {"10.0.0.1", "fd00::1", "239.1.1.1", "::ffff:10.0.0.1", "fd00:ec2::255"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(special); i++) {
                struct cx_address a = address(special[i]);
                if (!cx_address_why_special(&a))
                        fail_msg("%s", special[i]);
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(plain); i++) {
                struct cx_address a = address(plain[i]);
                if (cx_address_why_special(&a))
                        fail_msg("%s", plain[i]);
        }
        struct cx_address mapped = address("::ffff:127.0.0.1"), other = address("::fffe:127.0.0.1");
        cx_address_unmap(&mapped);
        cx_address_unmap(&other);
        assert_true(mapped.family == CX_IPV4 && cx_address_is_loopback(&mapped));
        assert_int_equal(other.family, CX_IPV6);
}

static void test_networks(void **state)
{
        static const struct {
                const char *text, *canonical; // NULL: not a network
                const char *inside, *outside;
                uint64_t size;
        } cases[] = {
                {"10.96.0.0/12", "10.96.0.0/12", "10.111.255.255", "10.112.0.0", 1 << 20},
                {"10.1.2.3/24", "10.1.2.0/24", "10.1.2.255", "10.1.3.0", 256},
                {"0.0.0.0/0", "0.0.0.0/0", "255.1.1.1", "::1", UINT64_C(1) << 32},
                {"1.2.3.4/32", "1.2.3.4/32", "1.2.3.4", "1.2.3.5", 1},
                {"fd00::/108", "fd00::/108", "fd00::f:ffff", "fd00::10:0", 1 << 20},
                {"fd00::/8", "fd00::/8", "fdff::1", "fc00::1", UINT64_MAX},
                {"::/0", "::/0", "1::1", "1.1.1.1", UINT64_MAX},
                {"10.0.0.0/33", NULL, NULL, NULL, 0},
                {"10.0.0.0/-1", NULL, NULL, NULL, 0},
                {"10.0.0.0/08", NULL, NULL, NULL, 0},
                {"10.0.0.0/", NULL, NULL, NULL, 0},
                {"10.0.0.0", NULL, NULL, NULL, 0},
                {"fd00::/129", NULL, NULL, NULL, 0},
                {"x/8", NULL, NULL, NULL, 0},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_network parsed;
                char text[CX_NETWORK_TEXT];
                assert_int_equal(cx_network_parse(cases[i].text, &parsed) == 0, cases[i].canonical != NULL);
                if (!cases[i].canonical)
                        continue;
                assert_string_equal(cx_network_format(&parsed, text), cases[i].canonical);
                struct cx_address inside = address(cases[i].inside), outside = address(cases[i].outside);
                assert_true(cx_network_has(&parsed, &inside));
                assert_false(cx_network_has(&parsed, &outside));
                assert_true(cx_network_size(&parsed) == cases[i].size);
        }
        struct cx_network a = network("10.0.0.0/8"), b = network("10.3.0.0/16"), c = network("11.0.0.0/8");
        assert_true(cx_network_overlaps(&a, &b) && cx_network_overlaps(&b, &a) && !cx_network_overlaps(&a, &c));
}

static void test_counting(void **state)
{
        static const struct {
                const char *network;
                uint64_t index;
                const char *address;
        } cases[] = {
                {"10.96.0.0/12", 0, "10.96.0.0"},
                {"10.96.0.0/12", 1, "10.96.0.1"},
                {"10.96.0.0/12", 1048575, "10.111.255.255"},
                {"fd00::/108", 65537, "fd00::1:1"},
                {"fd00::/64", UINT64_MAX - 1, "fd00::ffff:ffff:ffff:fffe"},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_network within = network(cases[i].network);
                struct cx_address at = cx_network_at(&within, cases[i].index);
                char text[CX_ADDRESS_TEXT];
                assert_string_equal(cx_address_format(&at, text), cases[i].address);
                assert_true(cx_network_index(&within, &at) == cases[i].index);
        }
        struct cx_network pods = network("10.244.0.0/16"), wide = network("fd00::/8");
        struct cx_network third = cx_network_subnet(&pods, 24, 2);
        char text[CX_NETWORK_TEXT];
        assert_string_equal(cx_network_format(&third, text), "10.244.2.0/24");
        assert_true(cx_network_subnets(&pods, 24) == 256 && cx_network_subnets(&pods, 8) == 0);
        struct cx_address far = address("fdff::1"), foreign = address("10.0.0.1");
        assert_true(cx_network_index(&wide, &far) == UINT64_MAX && cx_network_index(&wide, &foreign) == UINT64_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_networks),
                cmocka_unit_test(test_counting),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
