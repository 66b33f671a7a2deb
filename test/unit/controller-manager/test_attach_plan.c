// SPDX-License-Identifier: Apache-2.0
// When a volume is taken from a node.
#include "controller-manager/storage/attach_plan.h"

#include "libcommon/api/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE (60 * (int64_t)1000000000)

static void test_detach(void **state)
{
        (void)state;
        static const struct {
                struct attachment_facts facts;
                enum detach_step step;
        } table[] = {
                {{.wanted = true}, DETACH_NOT},
                {{.wanted = true, .out_of_service = true, .mounted = true}, DETACH_NOT},
                {{.node_ready = true}, DETACH_NOW},
                {{.node_ready = false}, DETACH_NOW}, // it is not mounted there
                {{.mounted = true, .node_ready = true}, DETACH_WAITS},
                {{.mounted = true, .node_ready = true, .unwanted = 7 * MINUTE}, DETACH_WAITS}, // it will unmount it
                {{.mounted = true, .unwanted = 5 * MINUTE}, DETACH_WAITS},
                {{.mounted = true, .unwanted = 6 * MINUTE}, DETACH_NOW},
                {{.mounted = true, .out_of_service = true}, DETACH_NOW},
                {{.mounted = true, .out_of_service = true, .node_ready = true}, DETACH_NOW},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (plan_detach(&table[i].facts) != table[i].step)
                        fail_msg("row %zu", i);
}

static void test_access(void **state)
{
        (void)state;
        assert_true(is_for_one_node(CX_READ_WRITE_ONCE));
        assert_true(is_for_one_node(CX_READ_WRITE_ONCE_POD));
        assert_false(is_for_one_node(CX_READ_WRITE_ONCE | CX_READ_ONLY_MANY));
        assert_false(is_for_one_node(CX_READ_WRITE_MANY));
        assert_false(is_for_one_node(0)); // nothing is said
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_detach), cmocka_unit_test(test_access)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
