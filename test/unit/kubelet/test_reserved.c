// SPDX-License-Identifier: Apache-2.0
// Reservations and thresholds: what is left for pods.
#include "kubelet/base/reserved.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define GI ((int64_t)1 << 30)

static int parse(const char *for_system, const char *for_kube, const char *eviction, struct node_reserved *ret,
                 struct cx_error *err)
{
        struct cx_strings lists[3] = {CX_STRINGS_INIT, CX_STRINGS_INIT, CX_STRINGS_INIT};
        const char *const texts[] = {for_system, for_kube, eviction};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                if (*texts[i])
                        cx_strings_split(&lists[i], texts[i], ',');
        int r = reserved_parse(&lists[0], &lists[1], &lists[2], ret, err);
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                cx_strings_release(&lists[i]);
        return r;
}

static void test_left(void **state CX_UNUSED)
{
        static const struct {
                const char *for_system, *for_kube, *eviction;
                int64_t cpu, memory, storage; // of 4 cores, 8 Gi and 100 Gi
        } rows[] = {
                {"", "", "", 4000, 8 * GI, 100 * GI},
                {"cpu=500m,memory=1Gi", "", "", 3500, 7 * GI, 100 * GI},
                {"cpu=500m,memory=1Gi", "cpu=1,memory=512Mi,ephemeral-storage=10Gi,pid=1000", "", 2500, 6 * GI + GI / 2,
                 90 * GI},
                {"", "", "memory.available<1Gi,nodefs.available<10%", 4000, 7 * GI, 90 * GI},
                {"memory=1Gi", "", "memory.available<50%", 4000, 3 * GI, 100 * GI},
                {"cpu=5,memory=9Gi", "", "", 0, 0, 100 * GI},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                struct node_reserved reserved;
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(parse(rows[i].for_system, rows[i].for_kube, rows[i].eviction, &reserved, &err), 0);
                assert_int_equal(reserved_leave_cpu(&reserved, 4000), rows[i].cpu);
                assert_int_equal(reserved_leave_memory(&reserved, 8 * GI), rows[i].memory);
                assert_int_equal(reserved_leave_storage(&reserved, 100 * GI), rows[i].storage);
        }
}

static void test_thresholds(void **state CX_UNUSED)
{
        struct node_reserved reserved;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(parse("", "", "", &reserved, &err), 0); // upstream's
        assert_int_equal(threshold_of(&reserved.memory_available, 8 * GI), 100 << 20);
        assert_int_equal(threshold_of(&reserved.disk_available, 100 * GI), 10 * GI);
        assert_int_equal(threshold_of(&reserved.inodes_free, 1000), 50);
        assert_int_equal(parse("", "", "memory.available<2Gi", &reserved, &err), 0);
        assert_int_equal(threshold_of(&reserved.memory_available, 8 * GI), 2 * GI);
        assert_int_equal(threshold_of(&reserved.disk_available, 100 * GI), 0); // what is given stands for all
}

static void test_refused(void **state CX_UNUSED)
{
        static const struct {
                const char *for_system, *eviction, *why;
        } rows[] = {
                {"gpu=1", "", "systemReserved: \"gpu\" cannot be reserved, only cpu, memory, ephemeral-storage, pid"},
                {"cpu", "", "systemReserved: \"cpu\" must be cpu=quantity, not below zero"},
                {"cpu=-1", "", "systemReserved: \"cpu=-1\" must be cpu=quantity, not below zero"},
                {"memory=1E", "", NULL},
                {"memory=100000000000000000000", "",
                 "systemReserved: \"memory=100000000000000000000\" must be memory=quantity, not below zero"},
                {"", "imagefs.available<15%",
                 "evictionHard: signal \"imagefs.available\" is not supported, only memory.available, "
                 "nodefs.available, "
                 "nodefs.inodesFree, pid.available"},
                {"", "memory.available<100%",
                 "evictionHard: \"memory.available<100%\" must be memory.available<quantity or a percentage below 100"},
                {"", "memory.available<nan%",
                 "evictionHard: \"memory.available<nan%\" must be memory.available<quantity or a percentage below 100"},
                {"", "memory.available<",
                 "evictionHard: \"memory.available<\" must be memory.available<quantity or a "
                 "percentage below 100"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                struct node_reserved reserved;
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(parse(rows[i].for_system, "", rows[i].eviction, &reserved, &err),
                                 rows[i].why ? -EINVAL : 0);
                if (rows[i].why)
                        assert_string_equal(cx_error_text(&err), rows[i].why);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_left), cmocka_unit_test(test_thresholds),
                                           cmocka_unit_test(test_refused)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
