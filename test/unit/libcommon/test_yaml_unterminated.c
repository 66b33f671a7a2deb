// SPDX-License-Identifier: Apache-2.0
// The YAML reader stays within the length that it is given (the sanitizers see when it does not).
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/alloc.h"
#include "libcommon/format/yaml.h"

static void test_unterminated(void **state)
{
        (void)state;
        static const char *const texts[] = {"\n", " \t", "{}", "[1]", "a: b", "  {\"a\":1}"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++) {
                size_t length = strlen(texts[i]);
                char *copy = malloc(length); // no room for a zero byte
                memcpy(copy, texts[i], length);
                json_auto_t *documents = NULL;
                assert_true(cx_yaml_parse(copy, length, &documents, NULL) <= 0);
                free(copy);
        }
        // What follows the given length is not looked at.
        json_auto_t *documents = NULL;
        assert_int_equal(cx_yaml_parse(" {\"a\":1}", 1, &documents, NULL), 0);
        assert_int_equal(json_array_size(documents), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_unterminated)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
