// SPDX-License-Identifier: Apache-2.0
// kubectl debug: names of images, and who is warned. What it makes is compared with upstream's in the differential run.
#include "kubectl/cmd/debug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void images(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                bool good;
        } cases[] = {
                {"busybox", true},
                {"busybox:1.35", true},
                {"a/b_c/d--e/f.g__h", true},
                {"localhost:5000/a:tag", true},
                {"HOST.example/a", true},
                {"[fd00::1]:5000/a", true},
                {"a@sha256:0123456789abcdef0123456789abcdef", true},
                {"host:5000/a:b@sha256:0123456789abcdef0123456789abcdef", true},
                {"", false},
                {"A", false},
                {"a b", false},
                {"a:", false},
                {"a:b:c", false},
                {"a/", false},
                {"/a", false},
                {"a//b", false},
                {"a..b", false},
                {"a___b", false},
                {"a-", false},
                {"a:.b", false},
                {"a@sha256:xyz", false},
                {"a@", false},
                {"host:x/a", false},
                {"host:/a", false},
                {"HOST/A", false},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                if (is_image_reference(cases[i].text) != cases[i].good)
                        fail_msg("\"%s\"", cases[i].text);
}

static void warnings(void **state)
{
        (void)state;
        static const struct {
                const char *pod;
                bool warned;
        } cases[] = {
                {"{'spec':{'securityContext':{'runAsUser':1},'containers':[{'name':'c','securityContext':{'privileged':"
                 "true}}]}}",
                 true},
                {"{'spec':{'securityContext':{'runAsUser':1},'ephemeralContainers':[{'name':'c','securityContext':"
                 "{'capabilities':{'add':['X']}}}]}}",
                 true},
                {"{'spec':{'securityContext':{'runAsUser':0},'containers':[{'name':'c','securityContext':{'privileged':"
                 "true}}]}}",
                 false},
                {"{'spec':{'containers':[{'name':'c','securityContext':{'privileged':true}}]}}", false},
                {"{'spec':{'securityContext':{'runAsUser':1},'containers':[{'name':'c','securityContext':"
                 "{'privileged':true,'runAsUser':0}}]}}",
                 false},
                {"{'spec':{'securityContext':{'runAsUser':1},'containers':[{'name':'c','securityContext':{'privileged':"
                 "false}}]}}",
                 false},
                {"{'spec':{'securityContext':{'runAsUser':1},'containers':[{'name':'c'}]}}", false},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char *text = strdup(cases[i].pod);
                for (char *p = text; (p = strchr(p, '\''));)
                        *p = '"';
                json_auto_t *pod = json_loads(text, 0, NULL);
                assert_non_null(pod);
                assert_int_equal(debug_wants_root(pod, "c"), cases[i].warned);
                free(text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(images), cmocka_unit_test(warnings)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
