// SPDX-License-Identifier: Apache-2.0
// What bodies of logins and kubeconfigs give, and what they are refused for.
#include "addons/dashboard/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// base64 of "-----BEGIN CERTIFICATE-----\nx\n", and of "-----BEGIN KEY-----\ny\n"
#define CERT "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCngK"
#define KEY "LS0tLS1CRUdJTiBLRVktLS0tLQp5Cg=="
#define CONFIG(user)                                                                                                   \
        "current-context: c\ncontexts: [{name: c, context: {user: u}}]\nusers: [{name: u, user: " user "}]\n"

static void test_kubeconfigs(void **state)
{
        static const struct {
                const char *text, *token, *cert, *complaint;
        } table[] = {
                {CONFIG("{token: abc}"), "abc", NULL, NULL},
                {CONFIG("{client-certificate-data: " CERT ", client-key-data: " KEY "}"), NULL,
                 "-----BEGIN CERTIFICATE-----\nx\n", NULL},
                {CONFIG("{client-certificate: /etc/passwd, client-key: /etc/shadow}"), NULL, NULL, "client-key-data"},
                {CONFIG("{tokenFile: /etc/passwd}"), NULL, NULL, "client-key-data"},
                {CONFIG("{exec: {command: touch}}"), NULL, NULL, "a program"},
                {CONFIG("{client-certificate-data: '!', client-key-data: " KEY "}"), NULL, NULL, "no base64"},
                {CONFIG("{client-certificate-data: " KEY ", client-key-data: " KEY "}"), NULL, NULL, "PEM"},
                {CONFIG("{token: 'a b'}"), NULL, NULL, "one line"},
                {CONFIG("[]"), NULL, NULL, ""},
                {"current-context: c\n", NULL, NULL, "no user"},
                {"current-context: c\ncontexts: [{name: c, context: {user: v}}]\n", NULL, NULL, "no user"},
                {"users: []\n", NULL, NULL, "current-context"},
                {"a: [", NULL, NULL, "kubeconfig"},
                {"- 1\n", NULL, NULL, ""},
                {"", NULL, NULL, ""}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                LOGIN login = {0};
                CX_ERROR err = CX_ERROR_INIT;
                int r = login_from_kubeconfig(table[i].text, &login, &err);
                if ((r < 0) != !!table[i].complaint || (r < 0 && !strstr(cx_error_text(&err), table[i].complaint)))
                        fail_msg("%s: %s", table[i].text, cx_error_text(&err));
                assert_true(cx_streq(login.token, table[i].token));
                assert_true(cx_streq(login.cert_pem, table[i].cert));
        }
}

static void test_bodies(void **state)
{
        static const struct {
                const char *body;
                bool good;
        } table[] = {{"{\"token\":\"abc\"}", true},
                     {"{\"token\":\"\"}", false},
                     {"{\"token\":7}", false},
                     {"{\"token\":\"a\\nb\"}", false},
                     {"{\"code\":\"abc\"}", false},
                     {"{}", false},
                     {"{\"token\":\"a\",\"code\":\"b\"}", false},
                     {"[]", false},
                     {"", false},
                     {"{", false}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                LOGIN login = {0};
                CX_ERROR err = CX_ERROR_INIT;
                if ((login_read(NULL, table[i].body, strlen(table[i].body), &login, &err) == 0) != table[i].good)
                        fail_msg("%s", table[i].body);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_kubeconfigs), cmocka_unit_test(test_bodies)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
