// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/flags.h"
#include "libcommon/format/json.h"

static void test_paths(void **state)
{
        (void)state;
        static const struct {
                const char *text, *paths;
        } cases[] = {
                {"{}", ""},
                {"[]", ""},
                {"3", ""},
                {" { \"a\" : 1 , \"a\" : 2 } ", "a"},
                {"{\"a\":1,\"a\":2,\"a\":3}", "a"},
                {"{\"a\":{\"b\":[{\"c\":1},{\"c\":1,\"d\":[],\"c\":2}]},\"e\":1}", "a.b[1].c"},
                {"{\"a\":{\"b\":1},\"c\":{\"b\":1},\"b\":1}", ""},
                {"{\"a\":\"}\\\"\",\"b\":\"a\",\"a\":[[],{}]}", "a"},
                {"[{\"a\":1},{\"a\":1,\"a\":[true,null,-1.5e3]}]", "[1].a"},
                {"{\"a\":1,\"b\":2,\"b\":2,\"a\":1,\"c\":1,\"c\":1}", "b a"}, // no more than two
                {"{\"a\":1,\"a\":", "a"},
                {"{\"a\":1,\"a", ""},
                {"{\"a\\", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_STRINGS paths = CX_STRINGS_INIT;
                cx_json_duplicates(cases[i].text, strlen(cases[i].text), 2, &paths);
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&paths, " ");
                assert_string_equal(joined, cases[i].paths);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
