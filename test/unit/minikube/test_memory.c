// SPDX-License-Identifier: Apache-2.0
// How much memory a cluster may have, by the control groups of v1 and v2.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "minikube/memory.h"

#include <stdlib.h>
#include <string.h>

static char folder[] = "/tmp/test-memory-XXXXXX";

static void file(const char *path, const char *text)
{
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s/%s", folder, path);
        CX_CLEANUP(cx_freep) char *parent = cx_strndup(whole, (size_t)(strrchr(whole, '/') - whole));
        assert_int_equal(cx_mkdir_all(parent, 0755, NULL), 0);
        assert_int_equal(cx_write_file(whole, text, strlen(text), 0600, false, NULL), 0);
}

static int64_t memory(const char *group)
{
        file("self", group);
        CX_CLEANUP(cx_freep) char *self = cx_sprintf("%s/self", folder);
        return memory_of_machine(self, folder);
}

static void test_limits(void **state)
{
        (void)state;
        int64_t all = memory_of_machine("/nonesuch", folder);
        assert_true(all > 64 << 20);
        file("memory/a/memory.stat", "cache 1\nhierarchical_memory_limit 1048576\ntotal_cache 5\n");
        file("memory/b/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
        file("memory.max", "max\n");
        file("c/memory.max", "2097152\n");
        file("c/d/memory.max", "max\n");
        file("c/e/memory.max", "1000\n");
        static const struct {
                const char *groups;
                int64_t memory; // 0: all
        } cases[] = {
                {"4:memory:/a\n0::/\n", 1048576},
                {"3:cpu:/\n4:memory:/b\n", 0},
                {"4:memory:/nonesuch\n", 0},
                {"3:cpu:/a\n", 0},
                {"0::/c/d\n", 2097152}, // of a group above
                {"0::/c/e\n", 1000},
                {"0::/c\n", 2097152},
                {"0::/\n", 0},
                {"garbage\n:\n0::\n", 0},
                {"", 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++)
                assert_int_equal(memory(cases[i].groups), cases[i].memory ? cases[i].memory : all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits)};
        if (!mkdtemp(folder))
                return 1;
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        return cx_remove_tree(folder, NULL) < 0 || failed;
}
