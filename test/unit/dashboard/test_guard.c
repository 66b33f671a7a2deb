// SPDX-License-Identifier: Apache-2.0
// Hosts and paths that are ours.
#include "addons/dashboard/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_hosts(void **state)
{
        static const struct {
                const char *host;
                bool ours;
        } table[] = {{"127.0.0.1", true},
                     {"192.168.49.2:9443", true},
                     {"[::1]", true},
                     {"[fe80::1]:8443", true},
                     {"localhost", true},
                     {"LocalHost:1", true},
                     {"dash.example", true},
                     {"DASH.example:443", true},
                     {"evil.example", false},
                     {"dash.example.evil", false},
                     {"127.0.0.1.evil.example", false},
                     {"127.0.0.1:8443.evil", false},
                     {"127.1", false},
                     {"0x7f.1", false},
                     {"[::1", false},
                     {"[::1]x", false},
                     {"[localhost]:x", false},
                     {"localhost:0", false},
                     {"localhost:99999", false},
                     {"localhost.", false},
                     {":443", false},
                     {"", false},
                     {NULL, false}};
        CX_STRINGS hosts = CX_STRINGS_INIT;
        (void)state;
        cx_strings_add(&hosts, "dash.example");
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                if (guard_host_is_ours(table[i].host, &hosts) != table[i].ours)
                        fail_msg("%s", cx_str(table[i].host));
        char longer[400];
        memset(longer, 'a', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        assert_false(guard_host_is_ours(longer, &hosts));
}

static void test_paths(void **state)
{
        static const struct {
                const char *path, *encoded; // NULL: refused
        } table[] = {{"/api", "/api"},
                     {"/api/v1/pods", "/api/v1/pods"},
                     {"/apis/apps/v1/", "/apis/apps/v1/"},
                     {"/version", "/version"},
                     {"/openapi/v3", "/openapi/v3"},
                     {"/api/v1/a b", "/api/v1/a%20b"},
                     {"/api/v1/a%2fb?c#d", "/api/v1/a%252fb%3Fc%23d"},
                     {"/api/v1/namespaces/n/roles/system:x", "/api/v1/namespaces/n/roles/system:x"},
                     {"/api/\xc3\xa4", "/api/%C3%A4"},
                     {"/api/v1//pods", NULL},
                     {"/api/v1/../pods", NULL},
                     {"/api/..", NULL},
                     {"/api/./v1", NULL},
                     {"//api", NULL},
                     {"/api/v1/a\r\nb", NULL},
                     {"/api/v1\\pods", NULL},
                     {"/apiv1", NULL},
                     {"/metrics", NULL},
                     {"/", NULL},
                     {"", NULL},
                     {"api", NULL}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_BUF path = CX_BUF_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                int r = guard_path(table[i].path, &path, &err);
                if ((r == 0) != !!table[i].encoded)
                        fail_msg("%s: %d", table[i].path, r);
                if (table[i].encoded)
                        assert_string_equal(path.data, table[i].encoded);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_paths)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
