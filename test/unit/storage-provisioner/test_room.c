// SPDX-License-Identifier: Apache-2.0
// What a node may promise to volumes, and what it says of what it cannot.
#include "addons/storage-provisioner/room.h"

#include "libcommon/base/macro.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GIB (INT64_C(1) << 30)

static void test_limit(void **state)
{
        (void)state;
        static const struct {
                struct room room;
                int64_t percent, limit;
        } table[] = {
                {{.size = 200 * GIB, .free = 50 * GIB}, 0, 400 * GIB},
                {{.size = 200 * GIB, .free = 50 * GIB}, 100, 200 * GIB},
                // Of 200 others have 140.
                {{.size = 200 * GIB, .free = 50 * GIB, .used = 10 * GIB, .enforced = true}, 0, 60 * GIB},
                {{.size = 200 * GIB, .free = 50 * GIB, .used = 10 * GIB, .enforced = true}, 150, 90 * GIB},
                {{.size = INT64_MAX, .free = INT64_MAX, .used = GIB, .enforced = true}, 100000, INT64_MAX},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                assert_int_equal(room_for_volumes(&table[i].room, table[i].percent), table[i].limit);
}

static void test_check(void **state)
{
        (void)state;
        const struct room loose = {.size = 200 * GIB, .free = 50 * GIB},
                          tight = {.size = 200 * GIB, .free = 50 * GIB, .used = 10 * GIB, .enforced = true};
        const struct {
                const struct room *room;
                int64_t promised, more;
                bool fits;
        } table[] = {
                {&loose, 0, 50 * GIB, true},         {&loose, 0, 50 * GIB + 1, false}, // not even alone
                {&loose, 350 * GIB, 50 * GIB, true}, {&loose, 350 * GIB + 1, 50 * GIB, false},
                {&tight, 20 * GIB, 40 * GIB, true},  {&tight, 20 * GIB + 1, 40 * GIB, false},
                {&loose, INT64_MAX, 1, false}, // sums do not wrap
                {&loose, 0, INT64_MAX, false},       {&loose, -GIB, 50 * GIB, true},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                int r = room_check(table[i].room, 0, "n1", table[i].promised, table[i].more, &err);
                assert_int_equal(r, table[i].fits ? 0 : -ENOSPC);
        }
}

static void test_figures(void **state)
{
        (void)state;
        const struct room room = {.size = 200 * GIB, .free = 50 * GIB + 512 * 1024 * 1024 + 1};
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(room_check(&room, 0, "n1", 12 * GIB, 5 * 1024 * GIB, &err), -ENOSPC);
        assert_string_equal(
                cx_error_text(&err),
                "5Ti more is asked of node \"n1\", which has promised 12Gi to volumes of the 400Gi that it may "
                "promise; its file system of 200Gi has 50.5Gi free: ask for less, or free some");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit), cmocka_unit_test(test_check),
                                           cmocka_unit_test(test_figures)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
