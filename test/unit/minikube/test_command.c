// SPDX-License-Identifier: Apache-2.0
// The table of commands, and what is pure of minikube.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "minikube/command.h"
#include "minikube/habits.h"
#include "minikube/image.h"

static void check_command(const struct minikube_command *c)
{
        struct minikube m;
        struct cx_flag flags[MAX_FLAGS];
        assert_true(c->summary && *c->summary);
        assert_true(c->min_args <= c->max_args);
        assert_true(c->run || c->subcommands || strcmp(c->name, "help") == 0);
        minikube_defaults(&m);
        command_flags(c, &m, NULL, flags);
        size_t n = 0, own = 0;
        while (flags[n].name)
                n++;
        for (const struct minikube_flag *f = c->flags; f && f->name; f++)
                own++;
        for (const struct minikube_flag *f = minikube_global_flags; f->name; f++)
                own++;
        for (const struct habit *h = habits; c->habits && h->name; h++)
                own++;
        assert_int_equal(n, own); // there was room for all
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < i; j++) {
                        assert_string_not_equal(flags[i].name, flags[j].name);
                        assert_true(!flags[i].shorthand || flags[i].shorthand != flags[j].shorthand);
                }
        for (const struct minikube_command *sub = c->subcommands; sub && sub->name; sub++) {
                check_command(sub);
                assert_ptr_equal(command_find(c->subcommands, sub->name), sub); // no other has its name
        }
}

static void test_commands(void **state)
{
        (void)state;
        for (const struct minikube_command *c = minikube_commands; c->name; c++) {
                check_command(c);
                assert_ptr_equal(command_find(minikube_commands, c->name), c);
        }
        assert_null(command_find(minikube_commands, "nonsense"));
}

static void test_versions(void **state)
{
        static const struct {
                const char *version;
                int result;
                const char *words;
        } rows[] = {{NULL, 0, NULL},
                    {"", 0, NULL},
                    {"stable", 0, NULL},
                    {"latest", 0, NULL},
                    {"v1.35.0", 0, NULL},
                    {"1.35", 0, NULL},
                    {"v1.35.4", 0, NULL},
                    {"v1.35.0-rc.1", 0, NULL},
                    {"v1.34.9", -ENOTSUP,
                     "K8S_OLD_UNSUPPORTED: Specified Kubernetes version 1.34.9 is less than the oldest"},
                    {"1.36.0", -ENOTSUP,
                     "K8S_NEW_UNSUPPORTED: Specified Kubernetes version 1.36.0 is newer than the newest"},
                    {"2.0", -ENOTSUP, "K8S_NEW_UNSUPPORTED"},
                    {"0.9", -ENOTSUP, "K8S_OLD_UNSUPPORTED"},
                    {"1", -EINVAL, "Unable to parse"},
                    {"v1.35x", -EINVAL, "Unable to parse"},
                    {"newest", -EINVAL, "Unable to parse"}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(habits_check_version(rows[i].version, &err), rows[i].result);
                assert_true(!rows[i].words || strstr(cx_error_text(&err), rows[i].words));
        }
}

static void test_image_names(void **state)
{
        static const char *const rows[][2] = {
                {"hello", "docker.io/library/hello:latest"},         {"hello:v1", "docker.io/library/hello:v1"},
                {"mine/hello", "docker.io/mine/hello:latest"},       {"localhost/hello:v1", "localhost/hello:v1"},
                {"127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"}, {"ghcr.io/a/b:v1", "ghcr.io/a/b:v1"},
                {"a/b@sha256:0", "docker.io/a/b@sha256:0"}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                CX_CLEANUP(cx_freep) char *name = image_full_name(rows[i][0]);
                assert_string_equal(name, rows[i][1]);
        }
}

static void test_nodes(void **state)
{
        struct profile p = {.name = (char *)"p", .nodes = 1};
        int node = -1;
        CX_ERROR err = CX_ERROR_INIT;
        (void)state;
        for (int i = 1; i < 4; i++) {
                assert_int_equal(nodes_grow(&p, &node, &err), 0);
                assert_int_equal(node, i);
        }
        p.gone = 1U << 1;
        p.stopped = 1U << 2;
        assert_int_equal(node_count(&p), 3);
        assert_int_equal(node_count_running(&p), 2);
        assert_true(node_there(&p, 2) && !node_runs(&p, 2) && !node_there(&p, 1) && !node_there(&p, 4));
        assert_int_equal(choose_node(&p, "m04", &node, &err), 0);
        assert_int_equal(node, 3);
        assert_int_equal(choose_node(&p, "p", &node, &err), 0);
        assert_int_equal(node, 0);
        assert_int_equal(choose_node(&p, "p-m02", &node, NULL), -ENOENT); // it was deleted
        assert_int_equal(choose_node(&p, "2", &node, NULL), -ENOENT);
        assert_int_equal(nodes_grow(&p, &node, &err), 0); // and its number is free
        assert_int_equal(node, 1);
        p.nodes = MAX_NODES;
        assert_int_equal(nodes_grow(&p, &node, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_commands), cmocka_unit_test(test_versions),
                                           cmocka_unit_test(test_image_names), cmocka_unit_test(test_nodes)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
